//! The bytes that clients send: the same for all of them, built once, shared by reference.

use std::rc::Rc;

use tickwire_protocol::error_code::CloseCode;
use tickwire_protocol::frame::{MaskedOpcode, append_masked};
use tickwire_protocol::handshake::append_upgrade_request;
use tickwire_ring::SharedBytes;

use crate::scenario::Server;
use crate::symbols::Symbols;

/// Sent as `Sec-WebSocket-Key` by all clients. It is to tell a cached answer from a fresh one; no
/// cache stands between a load generator and its server, and the same request can be shared by all.
pub(super) const KEY: &str = "VGlja3dpcmUgbG9hZGdlbg==";

/// Masks hide client bytes from proxies; again none is here. Not zero, so that servers do the work.
const MASK: [u8; 4] = [0x5a, 0xc3, 0x96, 0x0f];

/// The bytes that all clients send.
pub(super) struct Requests {
    pub(super) upgrade: SharedBytes,
    pub(super) subscribe: SharedBytes,
    pub(super) goodbye: SharedBytes,
}

impl Requests {
    pub(super) fn new(server: &Server, symbols: &Symbols) -> Self {
        let mut upgrade = Vec::new();
        append_upgrade_request(&mut upgrade, &server.host, &server.path, KEY);
        let names = symbols.names().join(r#"",""#);
        let subscribe = format!(r#"{{"action":"subscribe","symbols":["{names}"],"id":1}}"#);
        Self {
            upgrade: Rc::new(upgrade),
            subscribe: frame(MaskedOpcode::Text, subscribe.as_bytes()),
            goodbye: close_frame(CloseCode::Normal.code()),
        }
    }
}

/// One masked frame.
pub(super) fn frame(opcode: MaskedOpcode, payload: &[u8]) -> SharedBytes {
    let mut bytes = Vec::new();
    append_masked(&mut bytes, opcode, MASK, payload);
    Rc::new(bytes)
}

/// A close frame with this code and no reason.
pub(super) fn close_frame(code: u16) -> SharedBytes {
    frame(MaskedOpcode::Close, &code.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use tickwire_protocol::limits::COMMAND_BYTES_MAX;

    use super::*;
    use crate::symbols::SYMBOLS_MAX;

    #[test]
    fn the_largest_subscription_fits_one_command() {
        let server = Server {
            url: String::new(),
            address: ([127, 0, 0, 1], 1).into(),
            host: "h".to_owned(),
            path: "/".to_owned(),
        };
        let requests = Requests::new(&server, &Symbols::first(SYMBOLS_MAX).unwrap());
        assert!(requests.subscribe.len() <= COMMAND_BYTES_MAX);
    }
}
