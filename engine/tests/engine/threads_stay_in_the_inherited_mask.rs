//! A mask from `taskset`, a container or systemd is obeyed by every thread.

use crate::harness::Engine;

#[test]
fn every_thread_runs_where_it_may() {
    let cpu = tickwire_ring::placement::allowed_cpus()
        .unwrap()
        .pop()
        .unwrap();
    let mut command = std::process::Command::new("taskset");
    command.args(["-c", &cpu.to_string(), env!("CARGO_BIN_EXE_tickwire")]);
    command.args([
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "127.0.0.1:0",
        "--cores",
        "auto",
        "--driver",
        crate::DRIVER,
    ]);
    let engine = Engine::start_with(&mut command);
    engine.client();
    let mut threads = 0;
    for task in std::fs::read_dir(format!("/proc/{}/task", engine.pid())).unwrap() {
        let status = std::fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        let mask = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
            .unwrap();
        assert_eq!(mask.trim(), cpu.to_string());
        threads += 1;
    }
    assert!(threads >= 3, "main, ingest and a shard");
}
