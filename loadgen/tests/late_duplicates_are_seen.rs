//! A value that comes a second time when all have arrived is still of the run.

mod support;

use std::time::Duration;

use support::relay::relay;
use support::server::{Act, Behaviour};

#[test]
fn what_is_sent_again_behind_the_last_value_is_a_duplicate() {
    const LAST: u64 = 100;
    let again = Behaviour::tampering(|sending| {
        if sending.value.counter == LAST {
            let rest = Act::Rest(Duration::from_millis(500));
            vec![sending.text(), rest, sending.text()]
        } else {
            vec![sending.text()]
        }
    });
    let flags = ["--connections", "2", "--symbols", "1", "--rate", "100"];
    let more = ["--duration", "1s", "--warm-up", "0s", "--max-p99", "5s"];
    let (_, run) = relay(again, &[&flags[..], &more].concat());
    run.expect("/delivery/delivered", 2 * LAST);
    run.expect("/delivery/duplicates", 2);
    run.expect("/account/disorder", 2);
    assert_eq!(run.outcome("disorder"), "missed");
    assert_eq!(run.exit_code, 1);
}
