//! The values that the publisher sends, in the canonical form of the wire.

use std::io::Write;

use crate::schedule::Publication;
use crate::symbols::Symbols;

/// Prices are whole numbers of this many hundredths, as exchanges quote.
const TICK_HUNDREDTHS: u64 = 5;

/// Where every price starts, in ticks: 2450.50.
const PRICE_START_TICKS: u64 = 245_050 / TICK_HUNDREDTHS;

/// Between the lowest price and the highest, in ticks.
const PRICE_SPREAD_TICKS: u64 = 20_000;

const _: () = assert!(PRICE_SPREAD_TICKS < PRICE_START_TICKS);

/// Builds payloads. Each follows from its publication alone, so that whoever receives it can build it
/// again and compare ([`crate::verify`]).
#[derive(Debug)]
pub struct PayloadBuilder {
    symbols: Symbols,
    payload_bytes: usize,
}

impl PayloadBuilder {
    /// Payloads of `payload_bytes`, or what the fields need if that is more.
    #[must_use]
    pub const fn new(symbols: Symbols, payload_bytes: usize) -> Self {
        Self {
            symbols,
            payload_bytes,
        }
    }

    /// Writes the payload of `publication` to `out`, replacing its content.
    ///
    /// The intended time goes into the value, not the time of sending: who reads it measures from when
    /// the value was due.
    pub fn build(&self, publication: Publication, out: &mut Vec<u8>) {
        out.clear();
        let (price, volume) = trade(publication);
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
}

/// A price in ticks that goes up and down with a jitter of ten ticks, and a volume.
fn trade(publication: Publication) -> (u64, u64) {
    /// Counters from one low to the next.
    const PERIOD: u64 = 2_000;
    let at = (publication.counter + 97 * u64::from(publication.symbol.0)) % PERIOD;
    let height = at.min(PERIOD - at) * 2 * PRICE_SPREAD_TICKS / PERIOD;
    let jitter = mix(publication.counter << 16 | u64::from(publication.symbol.0));
    let price = PRICE_START_TICKS - PRICE_SPREAD_TICKS / 2 + height + jitter % 21 - 10;
    (price, (jitter >> 32) % 100_000)
}

/// Finalizer of SplitMix64 (Steele, Lea, Flood 2014).
const fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixMicros;
    use crate::scan::{Scanned, scan};
    use crate::symbols::SymbolIndex;

    fn payload(payload_bytes: usize, counter: u64) -> Vec<u8> {
        let builder = PayloadBuilder::new("TCS,AAPL".parse().unwrap(), payload_bytes);
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
        let mut seen = std::collections::BTreeSet::new();
        for counter in 1..100_000 {
            let (price, _) = trade(Publication {
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
