//! The bytes that clients send: built once and shared by reference where they are the same for all.

use std::rc::Rc;

use tickwire_protocol::error_code::CloseCode;
use tickwire_protocol::frame::{MaskedOpcode, append_masked};
use tickwire_protocol::handshake::append_upgrade_request;
use tickwire_ring::SharedBytes;

use super::dialect::{Formalities, wrap};
use crate::plan::{Dialect, Server};
use crate::symbols::{SymbolIndex, Symbols};

/// Sent as `Sec-WebSocket-Key` by all clients. It is to tell a cached answer from a fresh one; no
/// cache stands between a load generator and its server, and the same request can be shared by all.
pub(super) const KEY: &str = "VGlja3dpcmUgbG9hZGdlbg==";

/// Masks hide client bytes from proxies; again none is here. Not zero, so that servers do the work.
const MASK: [u8; 4] = [0x5a, 0xc3, 0x96, 0x0f];

/// The bytes that clients send.
#[derive(Debug)]
pub(super) struct Requests {
    pub(super) upgrade: SharedBytes,
    /// For all symbols.
    subscribe: SharedBytes,
    pub(super) goodbye: SharedBytes,
    pub(super) formalities: Formalities,
    pub(super) dialect: Dialect,
    symbols: Symbols,
}

impl Requests {
    pub(super) fn new(server: &Server, symbols: &Symbols) -> Self {
        let mut upgrade = Vec::new();
        append_upgrade_request(&mut upgrade, &server.host, &server.path, KEY);
        let names = symbols.names().iter().map(String::as_str);
        Self {
            upgrade: Rc::new(upgrade),
            subscribe: subscribe(server.dialect, names),
            goodbye: close_frame(CloseCode::Normal.code()),
            formalities: Formalities::default(),
            dialect: server.dialect,
            symbols: symbols.clone(),
        }
    }

    /// For these symbols, or for all when there are none.
    pub(super) fn subscribe(&self, own: &[SymbolIndex]) -> SharedBytes {
        if own.is_empty() {
            return self.subscribe.clone();
        }
        let names = own
            .iter()
            .map(|index| self.symbols.names()[index.as_usize()].as_str());
        subscribe(self.dialect, names)
    }
}

fn subscribe<'n>(dialect: Dialect, names: impl Iterator<Item = &'n str>) -> SharedBytes {
    let names = Vec::from_iter(names).join(r#"",""#);
    let command = format!(r#"{{"action":"subscribe","symbols":["{names}"],"id":1}}"#);
    wrap(dialect, &command)
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
            dialect: Dialect::Plain,
            pids: Vec::new(),
        };
        let requests = Requests::new(&server, &Symbols::first(SYMBOLS_MAX).unwrap());
        assert!(requests.subscribe.len() <= COMMAND_BYTES_MAX);
    }
}
