//! The floor: the least that a program can do that sends each update to each WebSocket client.
//!
//! One thread: takes clients one after the other until `--clients` have subscribed, then on a fixed schedule
//! one precomputed frame and a bare `send()` loop over all clients. No subscriptions, no slow clients, no
//! reading, no errors. The engine's CPU per delivery is held against this program's.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command-line program")]

use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use tickwire_protocol::event::{append_connected, append_subscribed};
use tickwire_protocol::frame::append_text;
use tickwire_protocol::handshake::{
    Parsed, UpgradeOffer, append_switching_protocols, parse_request,
};
use tickwire_protocol::timestamp::Timestamp;

#[derive(Parser)]
#[command(about = "A bare send() loop: what the engine's CPU per delivery is held against")]
struct Arguments {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
    /// Clients to wait for before the first update.
    #[arg(long)]
    clients: usize,
    /// Updates a second, evenly spaced, over all symbols.
    #[arg(long, default_value_t = 50.0)]
    rate: f64,
    /// Seconds to publish for.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Names of the symbols, which take turns.
    #[arg(long, value_delimiter = ',', required = true)]
    symbols: Vec<String>,
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    listener.set_reuse_address(true)?;
    listener.bind(&arguments.listen.into())?;
    listener.listen(4_096)?;
    let listener = TcpListener::from(listener);
    println!("listening on {}", arguments.listen);
    let mut clients = Vec::with_capacity(arguments.clients);
    while clients.len() < arguments.clients {
        let (mut client, _) = listener.accept()?;
        open_session(&mut client)?;
        clients.push(client);
    }
    println!("{} clients", clients.len());
    let delivered = publish(&arguments, &mut clients)?;
    println!("delivered {delivered}");
    // Clients may finish reading.
    std::thread::sleep(Duration::from_secs(5));
    Ok(())
}

/// Upgrades, takes the subscribe command unread, and answers it.
fn open_session(client: &mut TcpStream) -> Result<(), Box<dyn Error>> {
    client.set_nodelay(true)?;
    let mut head = Vec::new();
    let mut chunk = [0; 4096];
    let mut reply = Vec::new();
    loop {
        let read = client.read(&mut chunk)?;
        head.extend_from_slice(&chunk[..read]);
        if let Ok(Parsed::Complete { request, .. }) = parse_request(&head)
            && let UpgradeOffer::Valid { key } = request.upgrade
        {
            append_switching_protocols(&mut reply, key);
            break;
        }
    }
    let now = wall();
    append_connected(&mut reply, "floor", "floor", 30_000, now);
    client.write_all(&reply)?;
    let _ = client.read(&mut chunk)?;
    reply.clear();
    append_subscribed(
        &mut reply,
        None,
        [].into_iter(),
        [].into_iter(),
        0,
        &[],
        now,
    );
    client.write_all(&reply)?;
    client.set_nonblocking(true)?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the floor has no clock module")]
fn publish(arguments: &Arguments, clients: &mut [TcpStream]) -> Result<u64, Box<dyn Error>> {
    let period = Duration::from_secs_f64(1.0 / arguments.rate);
    let end = Instant::now() + Duration::from_secs(arguments.seconds);
    let (mut due, mut delivered, mut frame) = (Instant::now(), 0, Vec::new());
    for update in 0u64.. {
        due += period;
        if due > end {
            break;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let symbols = arguments.symbols.len() as u64;
        let symbol = &arguments.symbols[usize::try_from(update % symbols)?];
        let counter = update / symbols + 1;
        let now = wall();
        frame.clear();
        let object = format!(
            r#"{{"type":"price_update","symbol":"{symbol}","data":{{"price":2450.50,"change":-12.35,"volume":123456,"n":{counter},"sentUs":{}}},"timestamp":"{now}","seq":{counter}}}"#,
            now.unix_micros()
        );
        append_text(&mut frame, object.as_bytes());
        for client in clients.iter_mut() {
            match client.write(&frame) {
                Ok(sent) if sent == frame.len() => delivered += 1,
                Ok(_) => return Err("a client is too slow for the floor".into()),
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(delivered)
}

#[expect(clippy::disallowed_methods, reason = "the floor has no clock module")]
fn wall() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_unix_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
