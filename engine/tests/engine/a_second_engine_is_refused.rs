//! SO_REUSEPORT would let a second engine take half of the clients in silence.

use std::process::Stdio;

use crate::harness::Engine;

#[test]
fn on_the_same_port_with_the_remedy() {
    let first = Engine::start(&[]);
    let public = first.public.to_string();
    let second = Engine::command(&["--listen", &public])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(second.status.code(), Some(1));
    let log = String::from_utf8(second.stderr).unwrap();
    assert!(log.contains("in use") && log.contains("--listen"), "{log}");
    assert!(second.stdout.is_empty());
    first.client();
}
