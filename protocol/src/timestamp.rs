//! Points in time as they stand on the wire: RFC 3339, UTC, milliseconds.

use std::fmt;

use jiff::tz::Offset;

/// A point in time, microseconds since the Unix epoch. Read from a clock by the caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
    pub const fn from_unix_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970-01-01T00:00:00Z.
    pub const fn unix_micros(self) -> i64 {
        self.0
    }

    /// Reads an RFC 3339 date and time with its offset; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let instant: jiff::Timestamp = text.parse().ok()?;
        Some(Self(instant.as_microsecond()))
    }

    /// Appends for example `2026-01-10T10:30:00.123Z`, without quotes.
    ///
    /// Times outside the years 0000–9999, which RFC 3339 cannot write, appear as the nearest that
    /// it can. Cost: no allocation beyond growth of `out`.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_bytes());
    }

    fn to_bytes(self) -> [u8; TEXT_BYTES] {
        // The clamp keeps the value inside jiff's range, so the fallback is never taken.
        let instant = jiff::Timestamp::from_microsecond(self.0.clamp(MICROS_MIN, MICROS_MAX))
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let civil = Offset::UTC.to_datetime(instant);
        let (year, millisecond) = (
            civil.year().unsigned_abs(),
            civil.millisecond().unsigned_abs(),
        );
        let [y0, y1] = pair(year / 100);
        let [y2, y3] = pair(year % 100);
        let [mo0, mo1] = pair(civil.month().unsigned_abs().into());
        let [d0, d1] = pair(civil.day().unsigned_abs().into());
        let [h0, h1] = pair(civil.hour().unsigned_abs().into());
        let [mi0, mi1] = pair(civil.minute().unsigned_abs().into());
        let [s0, s1] = pair(civil.second().unsigned_abs().into());
        let [_, ms0] = pair(millisecond / 100);
        let [ms1, ms2] = pair(millisecond % 100);
        [
            y0, y1, y2, y3, b'-', mo0, mo1, b'-', d0, d1, b'T', h0, h1, b':', mi0, mi1, b':', s0,
            s1, b'.', ms0, ms1, ms2, b'Z',
        ]
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_bytes()
            .iter()
            .try_for_each(|&byte| fmt::Write::write_char(f, byte.into()))
    }
}

/// The two digits of a number below 100.
fn pair(number: u16) -> [u8; 2] {
    PAIRS[usize::from(number % 100)]
}

const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut number: u8 = 0;
    while number < 100 {
        pairs[number as usize] = [b'0' + number / 10, b'0' + number % 10];
        number += 1;
    }
    pairs
};
const TEXT_BYTES: usize = "2026-01-10T10:30:00.123Z".len();
/// 0000-01-01T00:00:00Z
const MICROS_MIN: i64 = -62_167_219_200_000_000;
/// 9999-12-30T22:00:00Z: the end of jiff's range, which leaves room for every time zone.
const MICROS_MAX: i64 = 253_402_207_200_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_other_offsets_are_understood() {
        let time = Timestamp::from_unix_micros(1_768_041_000_123_000);
        assert_eq!(Timestamp::parse(&time.to_string()), Some(time));
        assert_eq!(
            Timestamp::parse("2026-01-10T16:00:00.123+05:30"),
            Some(time)
        );
        for text in ["", "yesterday", "2026-01-10", "1768041000123"] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    #[track_caller]
    fn check(micros: i64, expected: &str) {
        let timestamp = Timestamp::from_unix_micros(micros);
        assert_eq!(timestamp.to_string(), expected);
        let mut out = b"x".to_vec();
        timestamp.append_to(&mut out);
        assert_eq!(out, format!("x{expected}").into_bytes());
    }

    #[test]
    fn text_is_rfc_3339_with_milliseconds() {
        check(0, "1970-01-01T00:00:00.000Z");
        check(1_768_041_000_123_999, "2026-01-10T10:30:00.123Z");
        check(1_709_210_096_007_000, "2024-02-29T12:34:56.007Z");
        check(4_107_542_399_999_999, "2100-02-28T23:59:59.999Z");
    }

    #[test]
    fn milliseconds_are_cut_downwards_before_the_epoch_too() {
        check(-1, "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn years_that_cannot_be_written_are_clamped() {
        check(i64::MIN, "0000-01-01T00:00:00.000Z");
        check(i64::MAX, "9999-12-30T22:00:00.000Z");
    }
}
