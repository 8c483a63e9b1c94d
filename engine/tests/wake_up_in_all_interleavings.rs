//! The flags between ingest and a shard, under a model checker that tries every interleaving and every
//! reordering that the memory model allows. The ring and the signals are stand-ins; the flags are the real code.
#![expect(clippy::unwrap_used, reason = "a panic is the failure")]

use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use tickwire_engine::mailbox::{AtomicFlag, Atomics, OverflowFlag, SleepFlag};

struct LoomAtomics;

/// A mistake, for the checker to find.
struct WithoutFences;

struct LoomFlag(AtomicBool);

impl Atomics for LoomAtomics {
    type Flag = LoomFlag;

    fn fence() {
        fence(Ordering::SeqCst);
    }
}

impl Atomics for WithoutFences {
    type Flag = LoomFlag;

    fn fence() {}
}

impl AtomicFlag for LoomFlag {
    fn new(value: bool) -> Self {
        Self(AtomicBool::new(value))
    }

    fn load(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn store(&self, value: bool) {
        self.0.store(value, Ordering::Relaxed);
    }

    fn swap(&self, value: bool) -> bool {
        self.0.swap(value, Ordering::AcqRel)
    }
}

/// A signal that is kept until it is waited for, as an eventfd does.
struct Signal {
    given: Mutex<bool>,
    arrived: Condvar,
}

impl Signal {
    fn new() -> Self {
        Self {
            given: Mutex::new(false),
            arrived: Condvar::new(),
        }
    }

    fn notify(&self) {
        *self.given.lock().unwrap() = true;
        self.arrived.notify_one();
    }

    fn wait(&self) {
        let mut given = self.given.lock().unwrap();
        while !*given {
            given = self.arrived.wait(given).unwrap();
        }
        *given = false;
    }
}

/// A ring as its counters show it.
struct Ring {
    pushed: AtomicUsize,
    taken: AtomicUsize,
}

impl Ring {
    fn new() -> Self {
        Self {
            pushed: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
        }
    }

    fn push(&self) {
        let pushed = self.pushed.load(Ordering::Relaxed);
        self.pushed.store(pushed + 1, Ordering::Release);
    }

    fn take_all(&self) -> usize {
        let pushed = self.pushed.load(Ordering::Acquire);
        self.taken.store(pushed, Ordering::Release);
        pushed
    }

    fn len(&self) -> usize {
        self.pushed.load(Ordering::Acquire) - self.taken.load(Ordering::Acquire)
    }
}

/// A shard that slept over an update would wait for ever here, which the checker reports as a deadlock.
#[test]
fn a_sleeper_never_misses_an_update() {
    sleep_over_updates::<LoomAtomics>();
}

#[test]
#[should_panic(expected = "deadlock")]
fn the_checker_finds_the_update_that_is_missed_without_fences() {
    sleep_over_updates::<WithoutFences>();
}

fn sleep_over_updates<A: Atomics + 'static>()
where
    A::Flag: Send + Sync,
{
    loom::model(|| {
        const UPDATES: usize = 2;
        let state = Arc::new((SleepFlag::<A>::new(), Ring::new(), Signal::new()));
        let ingest = thread::spawn({
            let state = state.clone();
            move || {
                let (sleep, ring, signal) = &*state;
                for _ in 0..UPDATES {
                    ring.push();
                    if sleep.must_signal(|| true) {
                        signal.notify();
                    }
                }
            }
        });
        let (sleep, ring, signal) = &*state;
        while ring.take_all() < UPDATES {
            sleep.announce_sleep();
            if ring.len() == 0 {
                signal.wait();
            }
            sleep.awake();
        }
        ingest.join().unwrap();
    });
}

/// What the shard wants is said before it sleeps, and looked at behind the fence: an update of a topic that a
/// client has just subscribed to wakes it.
#[test]
fn interest_said_before_sleeping_is_seen() {
    loom::model(|| {
        let state = Arc::new((
            SleepFlag::<LoomAtomics>::new(),
            Ring::new(),
            Signal::new(),
            AtomicBool::new(false),
        ));
        let ingest = thread::spawn({
            let state = state.clone();
            move || {
                let (sleep, ring, signal, interest) = &*state;
                ring.push();
                if sleep.must_signal(|| interest.load(Ordering::Relaxed)) {
                    signal.notify();
                }
            }
        });
        let (sleep, ring, signal, interest) = &*state;
        interest.store(true, Ordering::Relaxed);
        while ring.take_all() == 0 {
            sleep.announce_sleep();
            if ring.len() == 0 {
                signal.wait();
            }
            sleep.awake();
        }
        ingest.join().unwrap();
    });
}

/// Either ingest sees the room that the shard has made, or the shard sees that something waits for it.
#[test]
fn nothing_stays_in_the_overflow() {
    loom::model(|| {
        let state = Arc::new((
            OverflowFlag::<LoomAtomics>::new(),
            Ring::new(),
            AtomicBool::new(false),
        ));
        // The ring is full.
        state.1.push();
        let shard = thread::spawn({
            let state = state.clone();
            move || {
                let (overflow, ring, told) = &*state;
                ring.take_all();
                if overflow.must_tell(|| ring.len() == 0) {
                    told.store(true, Ordering::Relaxed);
                }
            }
        });
        let (overflow, ring, told) = &*state;
        let refilled = overflow.raise(|| ring.len() == 0);
        shard.join().unwrap();
        assert!(refilled || told.load(Ordering::Relaxed));
    });
}
