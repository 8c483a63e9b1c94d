//! The coordinator: starts the threads, opens and closes the measuring window, gathers the results.
//!
//! ```text
//! connect all │ lead │ warm-up │ measuring window │ grace │ goodbye
//!             now    schedule  window             window
//!                    starts    start              end
//! ```
//!
//! A tokio thread of its own that looks at atomics every 20 ms (`TICK`); it is never in the path of a
//! message. Ctrl-C (and SIGTERM) ends the window early, and what was measured is reported; a second
//! one skips the grace time.

mod sampler;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tickwire_ring::{probe, raise_file_limit, reserve_descriptors};
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::sampler::{Sampler, Window};
use crate::audit::Expectation;
use crate::cli::Unusable;
use crate::clock;
use crate::control::Control;
use crate::interest::Interest;
use crate::measurement::{Coordinated, Measurement, ServerMeasurement};
use crate::plan::Plan;
use crate::progress::{Phase, ProgressLine};
use crate::publisher::{Publisher, Publishing};
use crate::receiver::{self, CONNECTIONS_MAX, Measured, ReceiveError};
use crate::schedule::Schedule;
use crate::server_process::ServerProcesses;
use crate::timeline;
use crate::verdict::NOTICE_PATIENCE;
use crate::window::Bounds;

/// How often the coordinator looks.
const TICK: Duration = Duration::from_millis(20);

/// Changes to the window lie so far ahead that every receive thread, which looks at least each 20 ms,
/// has seen them before a value of the affected time can arrive.
const LEAD: Duration = Duration::from_millis(100);

/// Why there is no measurement.
#[derive(Debug)]
pub enum RunError {
    /// The plan can't be run here.
    Unusable(Unusable),
    /// Something broke on the way.
    Failed(String),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unusable(unusable) => unusable.fmt(f),
            Self::Failed(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for RunError {}

impl From<Unusable> for RunError {
    fn from(unusable: Unusable) -> Self {
        Self::Unusable(unusable)
    }
}

/// Carries the plan out.
///
/// # Errors
/// See [`RunError`]; nothing that the server does is one.
pub fn run(plan: Plan) -> Result<Measurement, RunError> {
    let kernel = check_machine(&plan)?;
    let control = Arc::new(Control::new(plan.population.threads));
    let publisher = plan
        .load
        .as_ref()
        .map(|load| Publisher::connect(load, &plan.symbols, control.clone()))
        .transpose()
        .map_err(|error| Unusable::new(error.to_string(), "start Redis, or correct --publish"))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| RunError::Failed(format!("no runtime: {error}")))?;
    let processes = ServerProcesses::new(plan.server.pids.clone());
    let server = (!plan.server.pids.is_empty()).then(|| ServerMeasurement {
        pids: plan.server.pids.clone(),
        command: processes.command(),
        before: processes.read(),
        ..ServerMeasurement::default()
    });
    runtime.block_on(async {
        let failed = |error: io::Error| RunError::Failed(format!("no signals or threads: {error}"));
        let signals = Signals::new().map_err(failed)?;
        let plan = Arc::new(plan);
        let threads = start_threads(&plan, &control).map_err(failed)?;
        let progress = ProgressLine::on_terminal();
        let coordinator = Coordinator {
            plan,
            control,
            threads,
            signals,
            progress,
            processes,
            server,
        };
        coordinator.run(publisher, kernel).await
    })
}

/// Refuses what would fail half-way; returns the kernel's release.
fn check_machine(plan: &Plan) -> Result<String, Unusable> {
    /// Standard streams, rings, runtimes, Redis, the report.
    const OTHER_DESCRIPTORS: u64 = 64;
    let features =
        probe().map_err(|error| Unusable::new("this machine can't run it", error.to_string()))?;
    let population = &plan.population;
    let connections = population
        .connections
        .saturating_add(population.churning_max());
    if connections > CONNECTIONS_MAX {
        return Err(Unusable::new(
            format!("--connections is above {CONNECTIONS_MAX}"),
            "lower it",
        ));
    }
    let needed = u64::from(connections) + OTHER_DESCRIPTORS;
    match raise_file_limit().descriptors_max {
        Some(limit) if limit < needed => Err(Unusable::new(
            format!(
                "{connections} connections need {needed} file descriptors, the limit is {limit}"
            ),
            "raise it (`ulimit -Hn`, LimitNOFILE=) or lower --connections",
        )),
        _ => {
            reserve_descriptors(needed);
            Ok(features.release)
        }
    }
}

type ReceiveThread = JoinHandle<Result<Measured, ReceiveError>>;

fn start_threads(plan: &Arc<Plan>, control: &Arc<Control>) -> io::Result<Vec<ReceiveThread>> {
    let start = |thread| {
        let (plan, control) = (plan.clone(), control.clone());
        let name = format!("receive-{thread}");
        std::thread::Builder::new()
            .name(name)
            .spawn(move || receiver::run(thread, &plan, &control))
    };
    (0..plan.population.threads).map(start).collect()
}

struct Coordinator {
    plan: Arc<Plan>,
    control: Arc<Control>,
    threads: Vec<ReceiveThread>,
    signals: Signals,
    progress: ProgressLine,
    processes: ServerProcesses,
    /// What they take, when there are some.
    server: Option<ServerMeasurement>,
}

/// How a phase ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PhaseEnd {
    Reached,
    Interrupted,
    /// A receive thread is gone; joining tells why.
    Broken,
}

impl Coordinator {
    async fn run(
        mut self,
        publisher: Option<Publisher>,
        kernel: String,
    ) -> Result<Measurement, RunError> {
        let begun = clock::now();
        let mut end = self.connect().await;
        let mut publishing = None;
        let mut window = Window::default();
        let mut grace = Duration::ZERO;
        // With nobody to receive, there is nothing to measure; the report says why.
        if end == PhaseEnd::Reached && self.control.figures().established() > 0 {
            publishing = self.open_window(publisher);
            (end, window) = self.measure().await;
            if end != PhaseEnd::Broken {
                grace = self.wait_for_late_values(publishing.as_ref()).await;
            }
        }
        self.control.end();
        self.progress.clear();
        let publisher = publishing.map(Publishing::join);
        let figures = self.control.figures();
        let bounds = self.control.window.bounds();
        let parts = join(self.threads)?;
        let coordinated = Coordinated {
            begun,
            is_interrupted: end == PhaseEnd::Interrupted,
            grace,
            figures,
            samples: window.samples,
            server: self.server,
            bounds,
            cpu_percent: window.cpu_percent,
            kernel,
        };
        let schedule = self.control.schedule.get();
        Ok(Measurement::gather(
            coordinated,
            &self.plan.population,
            &parts,
            schedule.zip(publisher),
        ))
    }

    /// Waits until every connection is established or failed.
    async fn connect(&mut self) -> PhaseEnd {
        let asked = u64::from(self.plan.population.connections);
        loop {
            let figures = self.control.figures();
            if figures.settled() >= asked {
                return PhaseEnd::Reached;
            }
            let share = (figures.settled(), asked);
            self.progress.show(Phase::Connecting, share, figures);
            if let Some(end) = self.tick().await {
                return end;
            }
        }
    }

    /// Fixes schedule and window, in that order: who sees the window has the schedule.
    fn open_window(&self, publisher: Option<Publisher>) -> Option<Publishing> {
        let phases = self.plan.phases;
        let first = clock::now().plus(LEAD);
        let start = first.plus(phases.warm_up);
        let bounds = Bounds {
            start,
            end: start.plus(phases.measure),
        };
        let schedule = self.plan.load.as_ref().map(|load| {
            let mut schedule = Schedule::new(first, bounds.end.since(first), load.pace);
            if load.window.is_some() {
                schedule = schedule.closed_loop();
            }
            self.control
                .schedule
                .set(schedule)
                .expect("the window opens once");
            schedule
        });
        self.control.window.open(bounds);
        publisher
            .zip(schedule)
            .map(|(publisher, schedule)| publisher.begin(schedule))
    }

    /// Waits for the end of the window, sampling what it does.
    async fn measure(&mut self) -> (PhaseEnd, Window) {
        let begun = clock::now();
        let mut sampler = None;
        let mut end = PhaseEnd::Reached;
        loop {
            let (now, bounds) = (clock::now(), self.control.window.bounds());
            if now >= bounds.start {
                let interval = timeline::interval(self.plan.phases.measure);
                let sampler = sampler.get_or_insert_with(|| {
                    Sampler::begin(now, interval, &self.processes, self.server.as_mut())
                });
                let up = self.control.figures();
                sampler.sample(now, up, &self.processes, self.server.as_mut());
            }
            if now >= bounds.end {
                let window = sampler.map(|sampler: Sampler| {
                    sampler.finish(now, &self.processes, self.server.as_mut())
                });
                return (end, window.unwrap_or_default());
            }
            let (phase, from, until) = if now < bounds.start {
                (Phase::WarmUp, begun, bounds.start)
            } else {
                (Phase::Measuring, bounds.start, bounds.end)
            };
            let share = (now.micros_since(from), until.micros_since(from));
            self.progress.show(phase, share, self.control.figures());
            match self.tick().await {
                Some(PhaseEnd::Broken) => return (PhaseEnd::Broken, Window::default()),
                Some(_) => {
                    end = PhaseEnd::Interrupted;
                    self.control.window.shorten(clock::now().plus(LEAD));
                }
                None => {}
            }
        }
    }

    /// Waits until everything expected has arrived, where that is known, or the grace is over; but not less
    /// than [`NOTICE_PATIENCE`] of it: what comes twice, or is told, comes after what was awaited. Returns
    /// the grace that was granted: the planned one, unless a signal or a failure cut it short.
    async fn wait_for_late_values(&mut self, publishing: Option<&Publishing>) -> Duration {
        let bounds = self.control.window.bounds();
        let (begun, grace) = (clock::now(), self.plan.phases.grace);
        let deadline = bounds.end.plus(grace);
        // Slow clients have a lot to catch up with, and how much is not known.
        let has_slow = self.plan.population.slow.is_some();
        let scheduled = self.control.schedule.get();
        // Where each client has its own symbols, or where there is no schedule, the grace is waited out.
        let is_countable =
            self.plan.interest == Interest::All && self.plan.population.storm.is_none();
        let per_connection = scheduled
            .filter(|schedule| is_countable && !schedule.is_closed_loop())
            .map(|schedule| {
                let indices = schedule.indices(bounds, schedule.total());
                Expectation::scheduled(schedule, &indices).per_connection()
            });
        loop {
            let (now, figures) = (clock::now(), self.control.figures());
            let healthy = figures.healthy;
            let is_complete = !has_slow
                && publishing.is_some_and(Publishing::is_finished)
                && per_connection.is_some_and(|per| healthy.delivered >= per * healthy.established);
            let is_patient = now >= bounds.end.plus(NOTICE_PATIENCE);
            if now >= deadline || is_complete && is_patient {
                return grace;
            }
            let share = (now.micros_since(begun), deadline.micros_since(begun));
            self.progress.show(Phase::Grace, share, figures);
            if self.tick().await.is_some() {
                return now.since(bounds.end);
            }
        }
    }

    /// Sleeps a tick; `Some` when something else than time has come.
    async fn tick(&mut self) -> Option<PhaseEnd> {
        if self.threads.iter().any(JoinHandle::is_finished) {
            return Some(PhaseEnd::Broken);
        }
        tokio::select! {
            () = tokio::time::sleep(TICK) => None,
            () = self.signals.next() => Some(PhaseEnd::Interrupted),
        }
    }
}

/// Takes the results of all threads; the first error is the run's.
fn join(threads: Vec<ReceiveThread>) -> Result<Vec<Measured>, RunError> {
    let join = |thread: ReceiveThread| match thread.join() {
        Ok(Ok(measured)) => Ok(measured),
        Ok(Err(ReceiveError::Ring(errno))) => {
            Err(RunError::Failed(ReceiveError::Ring(errno).to_string()))
        }
        Ok(Err(error)) => {
            let remedy = "lower --connections or --threads, or change --cores";
            Err(RunError::Unusable(Unusable::new(error.to_string(), remedy)))
        }
        Err(_) => Err(RunError::Failed(
            "a receive thread panicked; see the message above".to_owned(),
        )),
    };
    // All are joined before the first error is returned: their rings close their sockets.
    let parts: Vec<_> = threads.into_iter().map(join).collect();
    parts.into_iter().collect()
}

/// Ctrl-C and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
