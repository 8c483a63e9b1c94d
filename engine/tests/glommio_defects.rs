//! What glommio 0.9 does that its driver has to live with; each is worked around in `driver/glommio`.
//!
//! A test here that fails with a newer glommio is good news: the workaround named with it can go.
#![cfg(feature = "glommio")]
#![expect(clippy::unwrap_used, reason = "test helpers; a panic is the failure")]

use std::future::poll_fn;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::process::Command;
use std::task::Poll;

use futures_io::AsyncRead;
use glommio::net::{TcpListener, TcpStream};
use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn executor() -> LocalExecutor {
    LocalExecutorBuilder::new(Placement::Unbound)
        .make()
        .unwrap()
}

/// Each wake-up from another thread is a clone until the executor looks. Around it: wake-ups come through an eventfd.
#[test]
fn the_32_768th_clone_of_a_waker_ends_the_process() {
    const NAME: &str = "the_32_768th_clone_of_a_waker_ends_the_process";
    let clone = |clones: usize| {
        executor().run(poll_fn(|context| {
            let wakers = vec![context.waker().clone(); clones];
            Poll::Ready(wakers.len())
        }))
    };
    assert_eq!(clone(30_000), 30_000);
    let text = dying_words(NAME, || {
        clone(32_768);
    });
    assert!(text.contains("Waker invariant broken"), "{text}");
}

/// Where a ring is refused; here for want of a descriptor, which needs no kernel that forbids them. Around it: a probe before.
#[test]
fn an_executor_that_can_not_be_made_panics() {
    const NAME: &str = "an_executor_that_can_not_be_made_panics";
    let text = dying_words(NAME, || {
        // One is left, which glommio takes before its first ring.
        let next = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        let limit = Rlimit {
            current: Some(u64::try_from(next.as_raw_fd()).unwrap() + 1),
            maximum: getrlimit(Resource::Nofile).maximum,
        };
        drop(next);
        setrlimit(Resource::Nofile, limit).unwrap();
        drop(LocalExecutorBuilder::new(Placement::Unbound).make());
    });
    assert!(text.contains("Failed to register a probe"), "{text}");
}

/// So a second engine would take half of the clients silently. Around it: listeners of the engine's own.
#[test]
fn two_listeners_share_a_port_unasked() {
    executor().run(async {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = first.local_addr().unwrap();
        assert!(TcpListener::bind(address).is_ok());
    });
}

/// No descriptor but a socket can be waited for. Around it, what this pins: a stream waits for whatever it was made of, once.
#[test]
fn a_stream_made_of_an_epoll_set_waits_for_its_events_and_then_fails() {
    let set = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let counter = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
    let flags = EventFlags::IN | EventFlags::ET;
    epoll::add(&set, &counter, EventData::new_u64(0), flags).unwrap();
    let copy = set.try_clone().unwrap();
    executor().run(async move {
        let socket = glommio_socket::Socket::from(std::net::TcpStream::from(copy));
        let mut stream = TcpStream::from(socket);
        let mut looks = 0;
        let ended = poll_fn(|context| {
            let read = Pin::new(&mut stream).poll_read(context, &mut [0]);
            looks += 1;
            if looks == 1 {
                assert!(read.is_pending(), "nothing has happened");
                rustix::io::write(&counter, &1u64.to_ne_bytes()).unwrap();
            }
            read
        })
        .await;
        assert!(ended.is_err(), "a set is no socket");
    });
}

/// What a process says that dies of this body of the test of this name; the body runs in a child.
fn dying_words(name: &str, body: impl FnOnce()) -> String {
    const CHILD: &str = "DIE_OF_THE_DEFECT";
    if std::env::var_os(CHILD).is_some() {
        body();
        std::process::exit(0);
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stderr).into_owned();
    assert!(!child.status.success(), "it is mended: {text}");
    text
}
