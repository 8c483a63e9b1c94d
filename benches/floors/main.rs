//! The floor: the least that a program can do that takes updates from Redis and sends each one to the WebSocket
//! clients that subscribed to its symbol. CPU per delivered value of the engine is held against it.
//!
//! One thread and one epoll: the subscription at Redis, the listener, and clients until they have subscribed; from
//! then on a client is only sent to. Per update the work is: find its symbol, splice `seq`, write the frame's header,
//! and send. What is left out on purpose: slow clients (a send that is short drops the client, and says so),
//! heartbeats, further commands, metrics, limits, reconnecting to Redis.
//!
//! Three ways to send, `--mode`:
//! * `send`: one send(2) per update and client.
//! * `coalesce`: what one read of the Redis socket brought leaves in one send(2) per client.
//! * `uring`: as `coalesce`, but the sends enter the kernel 512 at a time.
//!
//! `--mode answer` has no Redis: it is the least that can take what clients send, see `answering.rs`.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command-line program")]

mod answering;
mod delivery;
mod opening;
mod subscription;
mod topics;

use std::collections::HashMap;
use std::error::Error;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use clap::{Parser, ValueEnum};
use rustix::event::epoll;

use crate::delivery::{Deliver, Sends, Uring};
use crate::opening::{Opening, Progress};
use crate::subscription::Subscription;
use crate::topics::Topics;

#[derive(Parser)]
#[command(about = "The least that can serve the wire: what CPU per delivery is held against")]
struct Arguments {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// Where updates come from.
    #[arg(long, default_value = "redis://127.0.0.1:6379")]
    redis: String,
    /// How frames leave.
    #[arg(long, value_enum, default_value = "send")]
    mode: Mode,
    /// With `--mode answer`: sizes of the texts that messages are answered with, in turn.
    #[arg(long, value_delimiter = ',', default_value = "100")]
    answer_bytes: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// One send per update and client.
    Send,
    /// One send per client for all updates of one read.
    Coalesce,
    /// The same through `io_uring`, 512 sends at a time.
    Uring,
    /// No updates: 101 to each upgrade, a text to each message.
    Answer,
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    match arguments.mode {
        Mode::Send | Mode::Coalesce => serve(&arguments, Sends::default()),
        Mode::Uring => serve(&arguments, Uring::new()?),
        Mode::Answer => answering::serve(arguments.listen, &arguments.answer_bytes),
    }
}

/// What epoll names its events by; clients that have not subscribed come after these.
const REDIS: u64 = 0;
const LISTENER: u64 = 1;
const OPENING: u64 = 2;

fn serve<D: Deliver>(arguments: &Arguments, mut delivery: D) -> Result<(), Box<dyn Error>> {
    let mut subscription = Subscription::open(&arguments.redis)?;
    let listener = listen(arguments.listen)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let name = epoll::EventData::new_u64;
    epoll::add(&epoll, &subscription, name(REDIS), epoll::EventFlags::IN)?;
    epoll::add(&epoll, &listener, name(LISTENER), epoll::EventFlags::IN)?;
    println!("listening on {}", listener.local_addr()?);

    let mut topics = Topics::default();
    let mut openings: HashMap<u64, Opening> = HashMap::new();
    let mut next = OPENING;
    let mut events = Vec::with_capacity(256);
    let mut dropped = 0;
    loop {
        match epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            match event.data.u64() {
                REDIS => {
                    let is_open = subscription.read(|payload| {
                        topics.update(payload);
                        if arguments.mode == Mode::Send {
                            topics.deliver(&mut delivery);
                        }
                    })?;
                    topics.deliver(&mut delivery);
                    report(delivery.dropped(), &mut dropped);
                    if !is_open {
                        eprintln!("floor: Redis is gone; {dropped} clients were dropped in all");
                        return Ok(());
                    }
                }
                LISTENER => {
                    while let Some(opening) = accept(&listener)? {
                        epoll::add(&epoll, &opening, name(next), epoll::EventFlags::IN)?;
                        openings.insert(next, opening);
                        next += 1;
                    }
                }
                client => {
                    let Some(opening) = openings.get_mut(&client) else {
                        continue;
                    };
                    let progress = opening.read();
                    if let Progress::Waits = progress {
                        continue;
                    }
                    epoll::delete(&epoll, &*opening)?;
                    let opening = openings.remove(&client);
                    if let (Some(opening), Progress::Subscribes(symbols)) = (opening, progress)
                        && let Some(stream) = opening.finish(&topics.newest(&symbols))
                    {
                        topics.join(symbols, delivery.adopt(stream)?);
                    }
                }
            }
        }
    }
}

/// Says that clients were dropped, once per turn.
fn report(dropped_now: u64, dropped: &mut u64) {
    if dropped_now > *dropped {
        *dropped = dropped_now;
        eprintln!("floor: {dropped} clients dropped so far, their sockets were full");
    }
}

fn listen(address: SocketAddr) -> Result<TcpListener, Box<dyn Error>> {
    let listener = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM,
        None,
    )?;
    listener.set_reuse_address(true)?;
    listener.bind(&address.into())?;
    listener.listen(4_096)?;
    listener.set_nonblocking(true)?;
    Ok(listener.into())
}

fn accept(listener: &TcpListener) -> Result<Option<Opening>, std::io::Error> {
    match listener.accept() {
        Ok((stream, _)) => Opening::new(stream).map(Some),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
