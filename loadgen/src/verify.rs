//! Is every value byte for byte what was published?
//!
//! A payload follows from its publication alone ([`crate::payload`]), so it is built again here and
//! compared with what came. The wire lets a server do one thing to it: splice `,"seq":N` in before the
//! closing brace. Of a batch only the fields are known; its elements are counted as unverified.

use hashbrown::HashMap;
use serde::Serialize;

use crate::message::Value;
use crate::payload::PayloadBuilder;
use crate::schedule::Publication;

/// What came of the comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// Values compared.
    pub compared: u64,
    /// Those among them that were not what was published.
    pub changed: u64,
    /// Values of batches, or without counter or time.
    pub unverified: u64,
}

impl Verification {
    /// Takes in another thread's.
    pub const fn merge(&mut self, other: Self) {
        self.compared += other.compared;
        self.changed += other.changed;
        self.unverified += other.unverified;
    }
}

/// Compares the values of one thread.
#[derive(Debug)]
pub struct Verifier {
    payloads: PayloadBuilder,
    /// The payload of each symbol that was built last: most clients get the same value at a time.
    built: HashMap<u16, (Publication, Vec<u8>)>,
    verification: Verification,
}

impl Verifier {
    /// For values that this builder builds.
    #[must_use]
    pub fn new(payloads: PayloadBuilder) -> Self {
        Self {
            payloads,
            built: HashMap::new(),
            verification: Verification::default(),
        }
    }

    /// Compares one value with the message that it came in; `None` when it came in a batch.
    ///
    /// The time is taken from the value: whether it is the right one the audit says.
    pub fn compare(&mut self, value: Value, message: Option<&[u8]>) {
        let (Some(message), Some(counter), Some(intended)) =
            (message, value.counter, value.intended)
        else {
            self.verification.unverified += 1;
            return;
        };
        let publication = Publication {
            intended,
            symbol: value.symbol,
            counter,
        };
        let entry = self.built.entry(value.symbol.0);
        let (built, payload) = entry.or_insert_with(|| (publication, Vec::new()));
        if payload.is_empty() || *built != publication {
            *built = publication;
            self.payloads.build(publication, payload);
        }
        self.verification.compared += 1;
        self.verification.changed += u64::from(!is_verbatim(message, payload, value.sequence));
    }

    /// The result so far.
    #[must_use]
    pub const fn verification(&self) -> Verification {
        self.verification
    }
}

/// Whether `message` is `payload` with at most `,"seq":N` spliced in.
fn is_verbatim(message: &[u8], payload: &[u8], sequence: Option<u64>) -> bool {
    const KEY: &[u8] = br#","seq":"#;
    let Some(sequence) = sequence else {
        return message == payload;
    };
    let Some(body) = payload.strip_suffix(b"}") else {
        return false;
    };
    let number = message
        .strip_prefix(body)
        .and_then(|rest| rest.strip_prefix(KEY))
        .and_then(|rest| rest.strip_suffix(b"}"));
    // Digits only, and no leading zero: the number as it is written, not merely its value.
    number.is_some_and(|number| number == sequence.to_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixMicros;
    use crate::symbols::SymbolIndex;

    const VALUE: Value = Value {
        symbol: SymbolIndex(0),
        counter: Some(7),
        intended: Some(UnixMicros::new(1_763_670_000_123_456)),
        sequence: Some(12),
    };

    fn sent() -> String {
        let payloads = PayloadBuilder::new("TCS".parse().unwrap(), 200);
        let mut payload = Vec::new();
        let publication = Publication {
            intended: VALUE.intended.unwrap(),
            symbol: VALUE.symbol,
            counter: 7,
        };
        payloads.build(publication, &mut payload);
        String::from_utf8(payload).unwrap()
    }

    #[track_caller]
    fn check(value: Value, message: &str, changed: u64) {
        let payloads = PayloadBuilder::new("TCS".parse().unwrap(), 200);
        let mut verifier = Verifier::new(payloads);
        verifier.compare(value, Some(message.as_bytes()));
        let found = verifier.verification();
        assert_eq!((found.compared, found.changed), (1, changed), "{message}");
    }

    #[test]
    fn what_was_published_is_verbatim_with_and_without_a_number() {
        let sent = sent();
        let numbered = format!(r#"{},"seq":12}}"#, sent.strip_suffix('}').unwrap());
        check(VALUE, &numbered, 0);
        let unnumbered = Value {
            sequence: None,
            ..VALUE
        };
        check(unnumbered, &sent, 0);
    }

    #[test]
    fn every_other_byte_is_a_change() {
        let sent = sent();
        let numbered = format!(r#"{},"seq":12}}"#, sent.strip_suffix('}').unwrap());
        for changed in [
            numbered.replace("price_update", "price-update"),
            numbered.replacen(r#""volume""#, r#" "volume""#, 1),
            numbered.replace(r#""seq":12"#, r#""seq":012"#),
            numbered.replace("xxx", "xxy"),
            format!("{numbered} "),
        ] {
            assert_ne!(changed, numbered);
            check(VALUE, &changed, 1);
        }
    }

    #[test]
    fn what_cannot_be_compared_is_counted() {
        let mut verifier = Verifier::new(PayloadBuilder::new("TCS".parse().unwrap(), 200));
        verifier.compare(VALUE, None);
        verifier.compare(
            Value {
                counter: None,
                ..VALUE
            },
            Some(b"{}"),
        );
        assert_eq!(verifier.verification().unverified, 2);
    }
}
