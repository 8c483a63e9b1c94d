//! SIGINT and SIGTERM: every client is told 1012, then exit code 0.

use rustix::process::Signal;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::harness::Engine;

#[test]
fn clients_get_their_close_frame_and_the_exit_code_is_0() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut engine = Engine::start(&[]);
        let mut clients: Vec<_> = (0..5).map(|_| engine.subscriber(&["TCS"])).collect();
        engine.signal(signal);
        for client in &mut clients {
            assert_eq!(client.close_code(), CloseCode::Restart);
        }
        drop(clients);
        assert_eq!(engine.wait().code(), Some(0));
    }
}

#[test]
fn clients_that_do_not_answer_do_not_keep_it() {
    let mut engine = Engine::start(&[]);
    let _mute = engine.subscriber(&["TCS"]);
    engine.signal(Signal::TERM);
    assert_eq!(engine.wait().code(), Some(0));
}
