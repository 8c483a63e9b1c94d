//! What clients ask for, as fast as it is answered: connections opened, or messages answered. CPU that this costs a
//! server is read beside it.
//!
//! 1. Connections are opened, so many at once: connect(2), upgrade, and with `--until subscribed` a subscription and its
//!    snapshots. With `--rate` they begin so many a second.
//! 2. Each client then sends `--commands` messages, the next one when the last is answered: subscribe, unsubscribe,
//!    ping, and again.
//! 3. With `--hold` they stay for a time; then all are reset, as fast as one core does it.
//!
//! One thread and one epoll. Answers are counted by frame and not looked into; a server that closes fails the run.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command-line program")]

mod client;
mod clock;
#[path = "../fixtures/conversation.rs"]
mod conversation;
mod phase;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use rustix::event::epoll;

use crate::client::{Client, Conversation, Progress};
use crate::phase::{Phase, Report, Reset};

#[derive(Parser)]
#[command(about = "Opens connections and sends commands, as fast as a server answers")]
struct Arguments {
    /// The server.
    #[arg(long)]
    address: SocketAddr,
    /// Clients.
    #[arg(long, default_value_t = 1_000)]
    connections: usize,
    /// Connections on their way at once.
    #[arg(long, default_value_t = 128)]
    at_once: usize,
    /// Connections begun per second; without it, as fast as they open.
    #[arg(long)]
    rate: Option<u32>,
    /// When a connection counts as open.
    #[arg(long, value_enum, default_value = "subscribed")]
    until: Until,
    /// Frames that the server sends behind its 101 unasked.
    #[arg(long, default_value_t = 1)]
    greeting_frames: usize,
    /// Frames that answer the first subscription: one, and one per symbol that has a value.
    #[arg(long, default_value_t = 1)]
    subscribed_frames: usize,
    /// Symbols of each subscription.
    #[arg(long, default_value_t = 10)]
    symbols: usize,
    /// Messages of each client after all are open.
    #[arg(long, default_value_t = 0)]
    commands: usize,
    /// Seconds that all stay open before they are reset.
    #[arg(long, default_value_t = 0)]
    hold: u64,
    /// Where the report goes.
    #[arg(long)]
    json: PathBuf,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Until {
    /// The upgrade was answered.
    Upgraded,
    /// And a subscription too.
    Subscribed,
}

/// Longest time without any answer.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let conversation = Conversation::new(&arguments);
    let mut caller = Caller::new(&arguments, &conversation)?;
    let connect = caller.connect()?;
    let commands = match arguments.commands {
        0 => None,
        count => Some(caller.command(count)?),
    };
    let mut report = Report {
        connect,
        commands,
        reset: None,
    };
    println!("{report}");
    std::thread::sleep(Duration::from_secs(arguments.hold));
    report.reset = Some(caller.leave());
    std::fs::write(&arguments.json, serde_json::to_vec(&report)?)?;
    Ok(())
}

struct Caller<'a> {
    arguments: &'a Arguments,
    conversation: &'a Conversation,
    epoll: rustix::fd::OwnedFd,
    clients: Vec<Client>,
    events: Vec<epoll::Event>,
}

impl<'a> Caller<'a> {
    fn new(
        arguments: &'a Arguments,
        conversation: &'a Conversation,
    ) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            arguments,
            conversation,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            clients: Vec::with_capacity(arguments.connections),
            events: Vec::with_capacity(256),
        })
    }

    fn connect(&mut self) -> Result<Phase, Box<dyn Error>> {
        let mut phase = Phase::begin();
        let mut opened = 0;
        while opened < self.arguments.connections {
            while self.may_begin(&phase, opened) {
                let client = Client::connect(self.arguments.address)?;
                let name = epoll::EventData::new_u64(self.clients.len() as u64);
                // Edge-triggered: once for "connected", then for what arrives.
                let flags = epoll::EventFlags::IN
                    | epoll::EventFlags::OUT
                    | epoll::EventFlags::RDHUP
                    | epoll::EventFlags::ET;
                epoll::add(&self.epoll, client.stream(), name, flags)?;
                self.clients.push(client);
            }
            self.wait(
                if self.arguments.rate.is_some() {
                    1
                } else {
                    1_000
                },
                &phase,
            )?;
            for index in 0..self.events.len() {
                let (client, has_ended) = self.event(index)?;
                let client = &mut self.clients[client];
                if let Progress::Opened = client.open(self.conversation, has_ended)? {
                    opened += 1;
                    phase.note(client.begun());
                }
            }
        }
        Ok(phase.end())
    }

    fn may_begin(&self, phase: &Phase, opened: usize) -> bool {
        let begun = self.clients.len();
        let is_due = self
            .arguments
            .rate
            .is_none_or(|rate| begun as f64 <= phase.elapsed().as_secs_f64() * f64::from(rate));
        begun < self.arguments.connections && begun - opened < self.arguments.at_once && is_due
    }

    fn command(&mut self, count: usize) -> Result<Phase, Box<dyn Error>> {
        let mut phase = Phase::begin();
        for client in &mut self.clients {
            client.begin_commands(count);
            client.ask(self.conversation)?;
        }
        let mut busy = self.clients.len();
        while busy > 0 {
            self.wait(1_000, &phase)?;
            for index in 0..self.events.len() {
                let (client, has_ended) = self.event(index)?;
                let client = &mut self.clients[client];
                if !client.is_answered(has_ended)? {
                    continue;
                }
                phase.note(client.begun());
                if !client.ask(self.conversation)? {
                    busy -= 1;
                }
            }
        }
        Ok(phase.end())
    }

    /// Whose event it is, and whether the server has ended its side.
    fn event(&self, index: usize) -> Result<(usize, bool), Box<dyn Error>> {
        // By value: it is packed.
        let epoll::Event { flags, data } = self.events[index];
        let has_ended = flags.contains(epoll::EventFlags::RDHUP);
        Ok((usize::try_from(data.u64())?, has_ended))
    }

    fn wait(&mut self, most_ms: u32, phase: &Phase) -> Result<(), Box<dyn Error>> {
        self.events.clear();
        let most = Duration::from_millis(u64::from(most_ms)).try_into()?;
        let spare = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, spare, Some(&most)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if phase.silence() > PATIENCE {
            return Err("the server has not answered for 20 s".into());
        }
        Ok(())
    }

    /// Ends all connections with a reset, so that none of them keeps its port.
    fn leave(self) -> Reset {
        let start_us = clock::unix_us();
        for client in self.clients {
            let _ = socket2::SockRef::from(client.stream()).set_linger(Some(Duration::ZERO));
        }
        Reset {
            start_us,
            end_us: clock::unix_us(),
        }
    }
}

/// When something was asked.
type Begun = Instant;
