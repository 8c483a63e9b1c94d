//! A server that leaves values out without a word, or with a wrong one: found to the value, whatever
//! the publisher's counter says.

mod support;

use support::server::{Act, Behaviour, Sending, Server};
use support::{Run, measure};

const FLAGS: [&str; 6] = [
    "--connections",
    "3",
    "--symbols",
    "1",
    "--min-delivery",
    "0",
];

/// The values 30 to 34 of the first connection are left out, and `tell` says what it says with the next.
fn check(flags: &[&str], tell: impl Fn(&Sending<'_>) -> Vec<Act> + Send + Sync + 'static) -> Run {
    let server = Server::start(Behaviour::tampering(move |sending| {
        match (sending.connection, sending.value.sequence) {
            (0, 30..35) => Vec::new(),
            (0, 35) => tell(sending).into_iter().chain([sending.text()]).collect(),
            _ => vec![sending.text()],
        }
    }));
    let run = measure(&server, &[&FLAGS[..], flags].concat());
    run.expect("/account/pairs", 3);
    run
}

const PATIENT: [&str; 2] = ["--grace", "1500ms"];

#[test]
fn silent_skips() {
    let run = check(&PATIENT, |_| Vec::new());
    run.expect("/account/unaccounted", 5);
    run.expect("/account/balanced", 2);
    assert_eq!(
        (run.outcome("account").as_str(), run.exit_code),
        ("missed", 1)
    );
}

#[test]
fn skips_of_which_too_few_are_told() {
    let run = check(&PATIENT, |sending| vec![sending.skipped(2, 34)]);
    run.expect("/account/unaccounted", 3);
    run.expect("/account/contradictions", 0);
    assert_eq!(run.exit_code, 1);
}

#[test]
fn skips_of_which_too_many_are_told() {
    let run = check(&PATIENT, |sending| vec![sending.skipped(7, 34)]);
    run.expect("/account/unaccounted", 2);
    assert_eq!(run.exit_code, 1);
}

#[test]
fn silent_skips_within_the_target() {
    let run = check(&["--max-unaccounted", "5"], |_| Vec::new());
    run.expect("/account/unaccounted", 5);
    assert_eq!(run.exit_code, 0);
}

#[test]
fn a_grace_too_short_for_notices_gives_no_verdict() {
    let run = check(&["--grace", "400ms"], |_| Vec::new());
    run.expect("/account/unaccounted", 5);
    assert_eq!(
        (run.outcome("account").as_str(), run.exit_code),
        ("noVerdict", 3)
    );
    assert!(run.stdout.contains("raise --grace"));
}

#[test]
fn numbers_that_repeat_are_disorder() {
    // The counter goes on, so only the number gives the fault away.
    let server = Server::start(Behaviour::tampering(|sending| {
        let value = sending.value;
        if sending.connection == 0 && value.sequence == 40 {
            let text = value.text.replace("\"seq\":40", "\"seq\":39");
            return vec![Act::Text(text)];
        }
        vec![sending.text()]
    }));
    let run = measure(&server, &[&FLAGS[..], &PATIENT].concat());
    run.expect("/delivery/duplicates", 0);
    run.expect("/account/disorder", 1);
    run.expect("/account/unaccounted", 1);
    assert_eq!(run.outcome("disorder"), "missed");
}
