//! Trickling clients: they read about what they were told to, however much is there.

mod support;

use support::measure;
use support::server::{Behaviour, Server};

const RATE: u64 = 10_000;

#[test]
fn a_trickle_is_about_as_fast_as_asked() {
    let server = Server::start(Behaviour::conflating());
    // Of 200 KB a second.
    let run = measure(
        &server,
        &[
            "--connections",
            "4",
            "--symbols",
            "2",
            "--slow-share",
            "50%",
            "--slow-read",
            "10KB",
            "--duration",
            "2s",
            "--grace",
            "2s",
        ],
    );
    let read = run.number("/slow/messages/bytesInWindow");
    let wanted = 2 * RATE * 2;
    assert!(
        (wanted / 2..=wanted * 5 / 4).contains(&read),
        "{read} bytes, about {wanted} wanted"
    );
    assert_eq!(server.stalled().len(), 2);
    run.expect("/plan/slowReadBytesPerSecond", RATE);
    run.expect("/slow/account/balanced", 4);
    assert_eq!(run.outcome("slow finality"), "met");
    assert_eq!(run.exit_code, 0);
}
