//! The opening handshake (RFC 6455, section 4) and the little HTTP/1.1 around it.
//!
//! The server's side: [`parse_request`] reads a request head, [`append_switching_protocols`] or
//! [`append_response`] answer it. What a path means is the engine's affair. The client's side, for
//! the load generator and tests: [`append_upgrade_request`] and [`parse_upgrade_response`].

mod body;
mod client;
mod offer;
mod origin;
mod request;
mod response;
mod target;

pub use client::{UpgradeRefused, append_upgrade_request, parse_upgrade_response};
pub use offer::UpgradeOffer;
pub use origin::AllowedOrigins;
pub use request::{Parsed, Request, RequestError, parse_request};
pub use response::{append_response, append_switching_protocols};
pub use target::Segments;

use httparse::Header;

/// The values of all header fields of one name.
fn values<'h, 'b>(
    headers: &'h [Header<'b>],
    name: &'h str,
) -> impl Iterator<Item = &'b [u8]> + use<'h, 'b> {
    headers
        .iter()
        .filter(move |header| header.name.eq_ignore_ascii_case(name))
        .map(|header| header.value)
}

/// Whether a header field that is a list of words, possibly spread over several lines, has `word`.
fn has_word(headers: &[Header<'_>], name: &str, word: &str) -> bool {
    values(headers, name)
        .flat_map(|value| value.split(|byte| *byte == b','))
        .any(|listed| listed.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}
