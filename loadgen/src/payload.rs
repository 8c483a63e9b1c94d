//! The values that the publisher sends, in the canonical form of the wire.

use std::io::Write;

use crate::schedule::Publication;
use crate::symbols::Symbols;

/// Prices are whole numbers of this many hundredths, as exchanges quote.
const TICK_HUNDREDTHS: u64 = 5;

/// Where every price starts, in ticks: 2450.50.
const PRICE_START_TICKS: u64 = 245_050 / TICK_HUNDREDTHS;

/// Prices stay this close to their start, in ticks.
const PRICE_SPREAD_TICKS: u64 = 20_000;

const _: () = assert!(PRICE_SPREAD_TICKS < PRICE_START_TICKS);

/// Builds payloads; prices wander, the same in every run.
#[derive(Debug)]
pub struct PayloadBuilder {
    symbols: Symbols,
    /// Ticks per symbol.
    prices: Vec<u64>,
    /// State of a xorshift generator; never 0.
    random: u64,
    payload_bytes: usize,
}

impl PayloadBuilder {
    /// Payloads of `payload_bytes`, or what the fields need if that is more.
    #[must_use]
    pub fn new(symbols: Symbols, payload_bytes: usize) -> Self {
        let prices = vec![PRICE_START_TICKS; symbols.names().len()];
        Self {
            symbols,
            prices,
            random: 0x9e37_79b9_7f4a_7c15,
            payload_bytes,
        }
    }

    /// Writes the payload of `publication` to `out`, replacing its content.
    ///
    /// The intended time goes into the value, not the time of sending: who reads it measures from when
    /// the value was due.
    pub fn build(&mut self, publication: Publication, out: &mut Vec<u8>) {
        out.clear();
        let (price, volume) = self.trade(publication);
        let symbol = &self.symbols.names()[publication.symbol.as_usize()];
        let (start, hundredths) = (PRICE_START_TICKS * TICK_HUNDREDTHS, price * TICK_HUNDREDTHS);
        let change = hundredths.abs_diff(start);
        let head = write!(
            out,
            r#"{{"type":"price_update","symbol":"{symbol}","data":{{"price":{}.{:02},"change":{}{}.{:02},"volume":{volume},"n":{},"sentUs":{}"#,
            hundredths / 100,
            hundredths % 100,
            if hundredths < start { "-" } else { "" },
            change / 100,
            change % 100,
            publication.counter,
            publication.intended.get(),
        );
        head.expect("a vector takes all");
        const TIMESTAMP: &[u8] = br#"},"timestamp":""#;
        const TIMESTAMP_BYTES: usize = "2026-01-10T10:30:00.123Z".len();
        const END: &[u8] = br#""}"#;
        const PAD: &[u8] = br#","pad":""#;
        let without_pad = out.len() + TIMESTAMP.len() + TIMESTAMP_BYTES + END.len();
        let room = self.payload_bytes.saturating_sub(without_pad);
        if let Some(pad) = room.checked_sub(PAD.len() + 1) {
            out.extend_from_slice(PAD);
            out.resize(out.len() + pad, b'x');
            out.push(b'"');
        }
        out.extend_from_slice(TIMESTAMP);
        publication.intended.timestamp().append_to(out);
        out.extend_from_slice(END);
    }

    /// The next price in ticks, and a volume.
    fn trade(&mut self, publication: Publication) -> (u64, u64) {
        // Marsaglia, Xorshift RNGs (2003), the triple 13, 7, 17.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let price = &mut self.prices[publication.symbol.as_usize()];
        let low = PRICE_START_TICKS - PRICE_SPREAD_TICKS;
        // Between 10 ticks down and 10 up.
        let moved = *price + self.random % 21 - 10;
        *price = moved.clamp(low, PRICE_START_TICKS + PRICE_SPREAD_TICKS);
        (*price, self.random % 100_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixMicros;
    use crate::scan::{Scanned, scan};
    use crate::symbols::SymbolIndex;

    fn payload(payload_bytes: usize, counter: u64) -> Vec<u8> {
        let mut builder = PayloadBuilder::new("TCS,AAPL".parse().unwrap(), payload_bytes);
        let mut out = Vec::new();
        let intended = UnixMicros::new(1_763_670_000_123_456);
        builder.build(
            Publication {
                intended,
                symbol: SymbolIndex(1),
                counter,
            },
            &mut out,
        );
        out
    }

    #[test]
    fn a_payload_is_canonical_and_scannable() {
        let out = payload(200, 17);
        let expected = Scanned {
            symbol: b"AAPL",
            counter: Some(17),
            sent_us: Some(1_763_670_000_123_456),
            sequence: None,
        };
        assert_eq!(scan(&out), Some(expected));
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(json["type"], "price_update");
        assert_eq!(json["timestamp"], "2025-11-20T20:20:00.123Z");
        assert!(json["data"]["price"].as_f64().unwrap() > 1_000.0);
    }

    #[test]
    fn a_payload_is_as_long_as_asked() {
        for bytes in [200, 201, 500, 4_096] {
            assert_eq!(payload(bytes, 1).len(), bytes);
        }
        assert!(
            payload(0, 1).len() < 200,
            "fields need less than the default"
        );
    }

    #[test]
    fn prices_wander_within_their_spread() {
        let mut builder = PayloadBuilder::new("TCS".parse().unwrap(), 0);
        let mut seen = std::collections::BTreeSet::new();
        for counter in 1..100_000 {
            let (price, _) = builder.trade(Publication {
                intended: UnixMicros::new(1),
                symbol: SymbolIndex(0),
                counter,
            });
            assert!(price.abs_diff(PRICE_START_TICKS) <= PRICE_SPREAD_TICKS);
            seen.insert(price);
        }
        assert!(seen.len() > 100);
    }
}
