//! SIGSTOP and SIGCONT, as from a debugger or a freezer, interrupt whatever system call a shard sleeps in; it goes on.

use rustix::process::Signal;

use crate::harness::{Engine, until};

#[test]
fn values_arrive_after_each_thaw() {
    let engine = Engine::start(&["--duplicate-window", "0", "--simulate", "false"]);
    let mut client = engine.subscriber(&["THAW"]);
    let status = format!("/proc/{}/status", engine.pid());
    for sequence in 1..=20 {
        engine.signal(Signal::STOP);
        until("it is stopped", || {
            let status = std::fs::read_to_string(&status).unwrap();
            status.contains("State:\tT").then_some(())
        });
        engine.signal(Signal::CONT);
        engine.publish(r#"{"type":"price_update","symbol":"THAW","data":1}"#);
        assert_eq!(client.json()["seq"], sequence);
    }
}
