//! A server that numbers nothing: everything else is measured, and the account has no verdict.

mod support;

use support::measure;
use support::server::{Act, Behaviour, Server};

#[test]
fn values_without_seq() {
    let server = Server::start(Behaviour {
        // They are sent as they were fed, with their numbers.
        withholds_snapshots: true,
        ..Behaviour::tampering(|sending| {
            let text = &sending.value.text;
            let end = text.find(",\"seq\":").unwrap();
            vec![Act::Text(format!("{}}}", &text[..end]))]
        })
    });
    let run = measure(&server, &["--connections", "2", "--symbols", "2"]);
    assert_eq!(run.outcome("delivery"), "met");
    run.expect("/account/numbered", 0);
    assert!(run.number("/account/unnumbered") > 0);
    assert_eq!(
        (run.outcome("account").as_str(), run.exit_code),
        ("noVerdict", 3)
    );
    assert!(run.stdout.contains("the server numbers no values"));
}
