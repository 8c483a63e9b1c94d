//! The Rust peer: the wire of Tickwire on tokio and tokio-tungstenite, as one would write it for speed.
//!
//! One thread (a `current_thread` runtime) with a task per client. What was done for speed:
//! * An update is spliced once into a `Utf8Bytes`; clients share it by reference count.
//! * A client's task takes all that waits in its queue at once and flushes once: one send(2) for all updates of a turn.
//! * mimalloc, no compression, TCP_NODELAY.
//!
//! Slow clients: a bounded queue of [`QUEUE_FRAMES_MAX`] frames each. Whoever lets it fill up is disconnected.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command-line program")]

mod client;
mod hub;

use std::cell::RefCell;
use std::error::Error;
use std::net::SocketAddr;
use std::rc::Rc;

use clap::Parser;
use futures_util::StreamExt;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::LocalSet;

use crate::hub::Hub;

/// Frames that may wait for one client.
const QUEUE_FRAMES_MAX: usize = 256;

#[derive(Parser)]
#[command(about = "Tickwire's wire on tokio-tungstenite, to compare with")]
struct Arguments {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// Where updates come from.
    #[arg(long, default_value = "redis://127.0.0.1:6379")]
    redis: String,
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, serve(arguments))
}

async fn serve(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let redis = redis::Client::open(arguments.redis)?;
    let mut subscription = redis.get_async_pubsub().await?;
    subscription.subscribe("market-data:updates").await?;
    let hub = Rc::new(RefCell::new(Hub::default()));
    let listener = listen(arguments.listen)?;
    println!("listening on {}", listener.local_addr()?);
    tokio::task::spawn_local(accept(listener, Rc::clone(&hub)));

    let mut updates = subscription.into_on_message();
    while let Some(update) = updates.next().await {
        hub.borrow_mut().publish(&update.get_payload::<String>()?);
    }
    Err("Redis is gone".into())
}

async fn accept(listener: TcpListener, hub: Rc<RefCell<Hub>>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => client::spawn(stream, Rc::clone(&hub)),
            Err(error) => eprintln!("peer-tungstenite: accept: {error}"),
        }
    }
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(4_096)
}
