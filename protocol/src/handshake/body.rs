//! Whether a request has a body (RFC 9112, section 6). None is ever wanted here, but its bytes must not be taken for
//! frames, and whoever is in front must agree on where it ends.

use httparse::Header;

use super::{request::RequestError, target::is_decimal, values};

/// Whether bytes of a body follow the head.
pub(super) fn announces_body(
    minor_version: u8,
    headers: &[Header<'_>],
) -> Result<bool, RequestError> {
    let mut lengths = values(headers, "content-length");
    let length = match (lengths.next(), lengths.next()) {
        (None, _) => None,
        (Some(length), None) => Some(parse_length(length)?),
        (Some(_), Some(_)) => {
            return Err(RequestError::Malformed("Content-Length stands twice"));
        }
    };
    let mut codings = values(headers, "transfer-encoding").peekable();
    if codings.peek().is_none() {
        return Ok(length.is_some_and(|length| length > 0));
    }
    if length.is_some() {
        return Err(RequestError::Malformed(
            "Content-Length and Transfer-Encoding exclude each other",
        ));
    }
    if minor_version == 0 || !codings.all(|coding| coding.eq_ignore_ascii_case(b"chunked")) {
        return Err(RequestError::Malformed(
            "the only Transfer-Encoding understood is chunked, in HTTP/1.1",
        ));
    }
    Ok(true)
}

fn parse_length(value: &[u8]) -> Result<u64, RequestError> {
    // `parse` alone would take a sign.
    str::from_utf8(value)
        .ok()
        .filter(|digits| is_decimal(digits))
        .and_then(|digits| digits.parse().ok())
        .ok_or(RequestError::Malformed("Content-Length must be a number"))
}
