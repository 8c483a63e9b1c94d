//! Request heads and answers to upgrades.

use tickwire_protocol::handshake::{
    Parsed, UpgradeOffer, append_response, append_switching_protocols, parse_request,
    parse_upgrade_response,
};
use tickwire_protocol::limits::REQUEST_HEAD_BYTES_MAX;

/// The example of RFC 6455, section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A head is taken the same way however it arrives, and nothing of it can become a line of an answer.
pub fn check(data: &[u8]) {
    let _ = parse_upgrade_response(data, KEY);
    let Ok(Parsed::Complete { head_len, request }) = parse_request(data) else {
        return;
    };
    assert!(head_len <= data.len() && head_len <= REQUEST_HEAD_BYTES_MAX);
    assert!(data[..head_len].ends_with(b"\n"));
    assert_eq!(
        parse_request(&data[..head_len]),
        Ok(Parsed::Complete { head_len, request }),
        "what follows the head changes nothing"
    );
    for length in [head_len - 1, head_len / 2, head_len / 3, 0] {
        assert_eq!(parse_request(&data[..length]), Ok(Parsed::Partial));
    }
    assert!(!request.method.is_empty());
    assert!(request.path.starts_with('/') || request.path == "*");
    for segment in request.segments() {
        assert!(!segment.chars().any(char::is_control) && segment != ".." && segment != ".");
    }
    let mut answer = Vec::new();
    append_response(&mut answer, 426, &[("X", request.path)], "text/plain", b"x");
    let lines = answer.windows(2).filter(|pair| pair == b"\r\n").count();
    assert_eq!(lines, 6, "a status, four headers and an empty line");
    if let UpgradeOffer::Valid { key } = request.upgrade {
        answer.clear();
        append_switching_protocols(&mut answer, key);
        assert_eq!(parse_upgrade_response(&answer, key), Ok(Some(answer.len())));
    }
}
