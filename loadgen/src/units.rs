//! Figures as people read them: grouped, in the unit that suits them, with no more digits than they bear.

use std::fmt::{self, Display, Write};

/// Keeps the groups of a number, or a number and its unit, on one line.
const NARROW_SPACE: char = '\u{202f}';

/// A count, in groups of three digits.
#[derive(Clone, Copy, Debug)]
pub struct Count(pub u64);

impl Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.chars().enumerate() {
            let remaining = digits.len() - index;
            // A number of four digits is read at a glance.
            if index > 0 && remaining.is_multiple_of(3) && digits.len() > 4 {
                f.write_char(NARROW_SPACE)?;
            }
            f.write_char(digit)?;
        }
        Ok(())
    }
}

/// A number with three significant digits; from 1000 on it is whole, and grouped.
#[derive(Clone, Copy, Debug)]
pub struct Number(pub f64);

impl Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let magnitude = self.0.abs();
        if !magnitude.is_finite() {
            return f.write_str("–");
        }
        match magnitude {
            999.5.. => {
                let sign = if self.0 < 0.0 { "−" } else { "" };
                write!(f, "{sign}{}", Count(rounded(magnitude)))
            }
            99.95.. => write!(f, "{:.0}", self.0),
            9.995.. => write!(f, "{:.1}", self.0),
            0.0995.. => write!(f, "{:.2}", self.0),
            0.0 => f.write_str("0"),
            _ => write!(f, "{:.3}", self.0),
        }
    }
}

/// A number that somebody gave: all its digits, and no more.
#[derive(Clone, Copy, Debug)]
pub struct Given(pub f64);

impl Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.fract() == 0.0 && self.0 >= 0.0 {
            return write!(f, "{}", Count(rounded(self.0)));
        }
        write!(f, "{}", self.0)
    }
}

/// A time given in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Micros(pub f64);

impl Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (value, unit) = match self.0.abs() {
            ..999.5 => (self.0, "µs"),
            ..999_500.0 => (self.0 / 1e3, "ms"),
            _ => (self.0 / 1e6, "s"),
        };
        write!(f, "{}{NARROW_SPACE}{unit}", Number(value))
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug)]
pub struct Bytes(pub f64);

impl Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const KIB: f64 = 1_024.0;
        let mut value = self.0;
        let mut unit = "B";
        for larger in ["KiB", "MiB", "GiB"] {
            if value.abs() < KIB {
                break;
            }
            value /= KIB;
            unit = larger;
        }
        write!(f, "{}{NARROW_SPACE}{unit}", Number(value))
    }
}

/// A part of a hundred. What falls short of the whole never reads as the whole.
#[derive(Clone, Copy, Debug)]
pub struct Percent(pub f64);

impl Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.0;
        if percent > 99.0 && percent < 100.0 {
            let rounded_down = (percent * 1e3).floor() / 1e3;
            return write!(f, "{rounded_down}{NARROW_SPACE}%");
        }
        write!(f, "{}{NARROW_SPACE}%", Number(percent))
    }
}

/// What is not known is a dash.
#[derive(Clone, Copy, Debug)]
pub struct Known<T>(pub Option<T>);

impl<T: Display> Display for Known<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("–"),
        }
    }
}

/// A time that may not be known.
#[must_use]
pub fn micros(us: Option<u64>) -> Known<Micros> {
    Known(us.map(|us| Micros(us as f64)))
}

/// To the next whole number; `value` is not negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates, and negative values are excluded"
)]
fn rounded(value: f64) -> u64 {
    value.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn shown(figure: impl Display, expected: &str) {
        let text = figure.to_string().replace(NARROW_SPACE, " ");
        assert_eq!(text, expected);
    }

    #[test]
    fn counts_are_grouped_from_five_digits_on() {
        shown(Count(0), "0");
        shown(Count(9_999), "9999");
        shown(Count(10_000), "10 000");
        shown(Count(1_234_567), "1 234 567");
    }

    #[test]
    fn numbers_have_three_digits_and_no_more_than_they_bear() {
        for (value, text) in [
            (0.0, "0"),
            (0.0042, "0.004"),
            (0.5, "0.50"),
            (9.996, "10.0"),
            (12.34, "12.3"),
            (99.96, "100"),
            (999.7, "1000"),
            (-1_234_567.0, "−1 234 567"),
            (f64::NAN, "–"),
        ] {
            shown(Number(value), text);
        }
    }

    #[test]
    fn times_and_sizes_take_the_unit_that_suits_them() {
        shown(Micros(788.0), "788 µs");
        shown(Micros(999.7), "1.00 ms");
        shown(Micros(5_527.0), "5.53 ms");
        shown(Micros(2_345_678.0), "2.35 s");
        shown(Bytes(410.0), "410 B");
        shown(Bytes(36_500_000.0), "34.8 MiB");
        shown(Bytes(-2_048.0), "-2.00 KiB");
        shown(micros(None), "–");
    }

    #[test]
    fn what_was_given_is_shown_as_it_was() {
        shown(Given(50.0), "50");
        shown(Given(0.25), "0.25");
        shown(Given(20_000.0), "20 000");
    }

    #[test]
    fn almost_all_is_never_all() {
        shown(Percent(100.0), "100 %");
        shown(Percent(99.999_99), "99.999 %");
        shown(Percent(99.2), "99.2 %");
        shown(Percent(98.76), "98.8 %");
    }
}
