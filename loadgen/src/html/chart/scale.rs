//! From a value to its place on an axis.

use super::ticks::{clock_step, label, multiples, nice_step};

/// An axis's extent and how values spread over it.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::html) struct Scale {
    kind: Kind,
    ticks: Vec<Tick>,
}

/// One labelled place.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::html) struct Tick {
    /// 0 to 100 of the axis's length, from its origin.
    pub(in crate::html) at_percent: f64,
    pub(in crate::html) label: String,
    /// Left out where there is little room.
    pub(in crate::html) is_minor: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// low < high
    Linear { low: f64, high: f64 },
    /// 0 < low < high
    Logarithmic { low: f64, high: f64 },
    /// Percent by their distance to 100, which shrinks by ten `nines` times: 90 is 1, 99 is 2.
    Nines { nines: f64 },
}

impl Scale {
    /// Linear, from zero to a round value not below `high`.
    pub(in crate::html) fn from_zero(high: f64) -> Self {
        let high = if high > 0.0 { high } else { 1.0 };
        let step = nice_step(high);
        let high = (high / step - 1e-9).ceil() * step;
        let kind = Kind::Linear { low: 0.0, high };
        Self::new(
            kind,
            multiples(0.0, high, step)
                .into_iter()
                .map(|tick| (tick, label(tick, step, high), false)),
        )
    }

    /// Linear, from `low` to `high` as they are.
    pub(in crate::html) fn between(low: f64, high: f64) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        let step = nice_step(high - low);
        let ticks = multiples(low, high, step);
        let ticks = ticks
            .into_iter()
            .map(|tick| (tick, label(tick, step, high), false));
        Self::new(Kind::Linear { low, high }, ticks)
    }

    /// A time axis from zero to so many seconds, with its unit.
    pub(in crate::html) fn time(span_s: f64) -> (Self, &'static str) {
        let (unit_s, unit) = match span_s {
            ..=180.0 => (1.0, "s"),
            ..=10_800.0 => (60.0, "min"),
            _ => (3_600.0, "h"),
        };
        let high = if span_s > 0.0 { span_s } else { 1.0 };
        let step = clock_step(high / unit_s);
        let ticks = multiples(0.0, high / unit_s, step).into_iter();
        let ticks = ticks.map(|tick| (tick * unit_s, label(tick, step, tick), false));
        (Self::new(Kind::Linear { low: 0.0, high }, ticks), unit)
    }

    /// Logarithmic, between values that are 1, 2 or 5 times a power of ten and enclose `low` and `high`.
    pub(in crate::html) fn logarithmic(low: f64, high: f64) -> Self {
        let origin = decade(low.max(f64::MIN_POSITIVE));
        let steps = (0..)
            .flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * origin * 10_f64.powi(power)))
            .enumerate();
        let mut ticks = Vec::new();
        for (index, tick) in steps {
            if tick <= low * 1.000_001 {
                ticks.clear();
            }
            ticks.push((tick, label(tick, tick, tick), !index.is_multiple_of(3)));
            if tick >= high * 0.999_999 && ticks.len() > 1 {
                break;
            }
        }
        let bound = |tick: Option<&(f64, String, bool)>| tick.map_or(origin, |(tick, ..)| *tick);
        let (low, high) = (bound(ticks.first()), bound(ticks.last()));
        // Over many decades the decades are enough.
        if high / low > 200.0 {
            ticks.retain(|(_, _, is_minor)| !is_minor);
        }
        Self::new(Kind::Logarithmic { low, high }, ticks)
    }

    /// From zero when the values are of one size, otherwise logarithmic; and whether it is.
    pub(in crate::html) fn fitting(values: impl IntoIterator<Item = f64>) -> (Self, bool) {
        /// Beyond it the small ones would lie on the axis.
        const RATIO_MAX: f64 = 40.0;
        let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
        for value in values.into_iter().filter(|&value| value > 0.0) {
            (low, high) = (low.min(value), high.max(value));
        }
        if high / low > RATIO_MAX {
            (Self::logarithmic(low, high), true)
        } else {
            (Self::from_zero(high), false)
        }
    }

    /// Percentiles, as far as so many samples tell them apart.
    pub(in crate::html) fn nines(samples: u64) -> Self {
        let nines = (samples.max(100) as f64).log10();
        let kind = Kind::Nines { nines };
        let percents = [
            "0",
            "50",
            "90",
            "99",
            "99.9",
            "99.99",
            "99.999",
            "99.9999",
            "99.99999",
            "99.999999",
        ];
        let ticks = percents
            .into_iter()
            .enumerate()
            .filter_map(|(index, text)| {
                let percent: f64 = text.parse().expect("a number");
                let is_inside = (index as f64) <= nines + 1.0;
                // More labels would touch each other on a desk as well.
                let is_bare = nines > 6.0 && index > 4 && index.is_multiple_of(2);
                let text = if is_bare { "" } else { text };
                // Beyond three nines a phone has room for every other one.
                let is_minor = index == 1 || (index > 4 && index.is_multiple_of(2));
                is_inside.then(|| (percent, text.to_owned(), is_minor))
            });
        Self::new(kind, ticks)
    }

    /// Without labels where `keep` says no.
    fn new(kind: Kind, ticks: impl IntoIterator<Item = (f64, String, bool)>) -> Self {
        let ticks = ticks.into_iter().map(|(value, label, is_minor)| Tick {
            at_percent: 100.0 * kind.share(value),
            label,
            is_minor,
        });
        Self {
            ticks: ticks.collect(),
            kind,
        }
    }

    /// Where `value` lies: 0 at the origin, 1 at the end; what is outside lies at the nearer one.
    pub(in crate::html) fn share(&self, value: f64) -> f64 {
        self.kind.share(value)
    }

    pub(in crate::html) fn ticks(&self) -> &[Tick] {
        &self.ticks
    }
}

impl Kind {
    fn share(self, value: f64) -> f64 {
        let share = match self {
            Self::Linear { low, high } => (value - low) / (high - low),
            Self::Logarithmic { low, high } => (value.max(low) / low).ln() / (high / low).ln(),
            Self::Nines { nines } => (100.0 / (100.0 - value).max(1e-12)).log10() / nines,
        };
        share.clamp(0.0, 1.0)
    }
}

/// The greatest power of ten that is not above `value`.
fn decade(value: f64) -> f64 {
    10_f64.powf((value.log10() + 1e-9).floor())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> Vec<&str> {
        scale.ticks().iter().map(|tick| &*tick.label).collect()
    }

    #[track_caller]
    fn lies_at(scale: &Scale, value: f64, share: f64) {
        let found = scale.share(value);
        assert!((found - share).abs() < 1e-6, "{value} lies at {found}");
    }

    #[test]
    fn linear_axes_end_on_a_label() {
        let scale = Scale::from_zero(9.3);
        assert_eq!(labels(&scale), ["0", "2", "4", "6", "8", "10"]);
        lies_at(&scale, 5.0, 0.5);
        lies_at(&scale, -1.0, 0.0);
        lies_at(&scale, 11.0, 1.0);
        assert_eq!(labels(&Scale::from_zero(0.0)).first(), Some(&"0"));
    }

    #[test]
    fn logarithmic_axes_give_decades_equal_room() {
        let scale = Scale::logarithmic(0.1, 90.0);
        assert_eq!(labels(&scale), ["0.1", "1", "10", "100"]);
        lies_at(&scale, 1.0, 1.0 / 3.0);
        lies_at(&scale, 0.0, 0.0);
        let short = Scale::logarithmic(3.0, 18.0);
        assert_eq!(labels(&short), ["2", "5", "10", "20"]);
        assert_eq!(labels(&Scale::logarithmic(5.0, 5.0)), ["5", "10"]);
    }

    #[test]
    fn values_of_very_different_size_make_the_axis_logarithmic() {
        assert!(!Scale::fitting([1.0, 30.0]).1);
        assert!(Scale::fitting([0.0, 1.0, 50.0]).1);
        assert!(!Scale::fitting([]).1, "no value has no ratio");
    }

    #[test]
    fn each_nine_is_as_far_as_the_one_before() {
        let scale = Scale::nines(10_000);
        assert_eq!(labels(&scale), ["0", "50", "90", "99", "99.9", "99.99"]);
        let many = Scale::nines(20_000_000);
        assert_eq!(labels(&many)[4..], ["99.9", "99.99", "", "99.9999", ""]);
        lies_at(&scale, 0.0, 0.0);
        lies_at(&scale, 90.0, 0.25);
        lies_at(&scale, 99.9, 0.75);
        lies_at(&scale, 100.0, 1.0);
    }

    #[test]
    fn time_is_told_in_its_unit() {
        let (scale, unit) = Scale::time(30.0);
        assert_eq!(unit, "s");
        assert_eq!(labels(&scale), ["0", "5", "10", "15", "20", "25", "30"]);
        let (scale, unit) = Scale::time(10_800.0);
        assert_eq!(unit, "min");
        assert_eq!(labels(&scale), ["0", "30", "60", "90", "120", "150", "180"]);
        lies_at(&scale, 5_400.0, 0.5);
        assert_eq!(Scale::time(40_000.0).1, "h");
    }

    #[test]
    fn one_level_alone_has_an_axis() {
        let scale = Scale::between(500.0, 500.0);
        lies_at(&scale, 500.0, 0.0);
        assert!(!scale.ticks().is_empty());
    }
}
