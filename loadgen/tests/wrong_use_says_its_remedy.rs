//! What can't be run ends at once with exit code 2 and a message that helps.

mod support;

use support::loadgen;

#[test]
fn wrong_use() {
    for (flags, hint) in [
        (&["--url", "http://127.0.0.1/ws"][..], "ws://HOST:PORT"),
        (&["--duration", "soon"], "duration"),
        (&["--symbols", "0"], "1 to 5000"),
        (&["--min-delivery", "101"], "0 to 100"),
        (&["--connections", "0"], "connections"),
        (&["--connections", "100000000"], "lower"),
        (&["--rate", "100"], "--publish"),
        (&["--frobnicate"], "--help"),
        (&["--publish", "redis://127.0.0.1:1"], "start Redis"),
        (&["--cores", "4000"], "choose from"),
    ] {
        let run = loadgen(flags);
        assert_eq!(run.exit_code, 2, "{flags:?}");
        assert!(run.stderr.contains(hint), "{flags:?}: {}", run.stderr);
        assert!(run.stdout.is_empty());
    }
}
