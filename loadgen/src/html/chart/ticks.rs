//! Where an axis is labelled: at round values only.

/// About so many labels fit beside or below a chart on a phone.
const TICKS_WANTED: f64 = 5.0;

/// The round step (1, 2 or 5 times a power of ten) that divides `span` into about [`TICKS_WANTED`].
pub(super) fn nice_step(span: f64) -> f64 {
    if span.is_nan() || span <= 0.0 {
        return 1.0;
    }
    let raw = span / TICKS_WANTED;
    let magnitude = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0].map(|factor| factor * magnitude);
    let fits = step.into_iter().find(|step| raw <= step * 1.000_001);
    fits.unwrap_or(10.0 * magnitude)
}

/// The multiples of `step` from `low` to `high`.
pub(super) fn multiples(low: f64, high: f64, step: f64) -> Vec<f64> {
    /// No axis has more: a step that does not fit its span is a bug, not a reason to fill the memory.
    const TICKS_MAX: u32 = 100;
    let first = (low / step - 1e-9).ceil();
    (0..TICKS_MAX)
        .map(|index| (first + f64::from(index)) * step)
        .take_while(|tick| *tick <= high + step * 1e-9)
        .collect()
}

/// The step of a time axis of so many seconds, minutes or hours: one that a clock has.
pub(super) fn clock_step(span: f64) -> f64 {
    /// Twice as many fit, for the labels are short.
    const LABELS_WANTED: f64 = 6.0;
    let steps = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0];
    let raw = span / LABELS_WANTED;
    if !(1.0..=60.0).contains(&raw) {
        return nice_step(span);
    }
    let fits = steps.into_iter().find(|step| raw <= *step);
    fits.unwrap_or(60.0)
}

/// The value with as many decimals as the step needs, and thousands or millions by a letter: which one
/// depends on the greatest value of the axis, so that all its labels have the same.
pub(super) fn label(value: f64, step: f64, greatest: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let (divisor, letter) = match greatest.abs() {
        999_999.5.. => (1e6, "M"),
        9_999.5.. => (1e3, "k"),
        _ => (1.0, ""),
    };
    let decimals = (0..6).find(|&decimals| {
        let shifted = step / divisor * 10_f64.powi(decimals);
        (shifted - shifted.round()).abs() < 1e-6
    });
    let decimals = usize::try_from(decimals.unwrap_or(6)).expect("at most six");
    format!("{:.decimals$}{letter}", value / divisor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_give_about_five_ticks() {
        for (span, step) in [
            (1.0, 0.2),
            (10.0, 2.0),
            (12.0, 5.0),
            (0.037, 0.01),
            (98_000.0, 20_000.0),
            (0.0, 1.0),
            (f64::NAN, 1.0),
        ] {
            let nice = nice_step(span);
            assert!((nice - step).abs() < 1e-9, "{span}: {nice}");
        }
        for hundredths in 1..5_000 {
            let span = f64::from(hundredths) / 100.0;
            let count = multiples(0.0, span, nice_step(span)).len();
            assert!((3..=6).contains(&count), "{span}: {count}");
        }
    }

    #[test]
    fn multiples_include_both_ends_despite_rounding() {
        assert_eq!(multiples(0.0, 0.6, 0.2).len(), 4);
        assert_eq!(multiples(-1.0, 1.0, 0.5).len(), 5);
        assert_eq!(multiples(3.0, 9.0, 5.0), [5.0]);
    }

    #[test]
    fn a_clock_has_quarters() {
        assert_eq!(clock_step(30.0), 5.0);
        assert_eq!(clock_step(60.0), 10.0);
        assert_eq!(clock_step(90.0), 15.0);
        assert_eq!(clock_step(180.0), 30.0);
        assert_eq!(clock_step(3.0), 1.0);
    }

    #[test]
    fn labels_have_the_decimals_of_their_step() {
        assert_eq!(label(0.4, 0.2, 1.0), "0.4");
        assert_eq!(label(1.0, 0.25, 2.0), "1.00");
        assert_eq!(label(2_500.0, 500.0, 3_000.0), "2500");
        assert_eq!(label(8_000.0, 2_000.0, 10_000.0), "8k");
        assert_eq!(label(50_000.0, 10_000.0, 60_000.0), "50k");
        assert_eq!(label(1_500_000.0, 500_000.0, 2e6), "1.5M");
        assert_eq!(label(0.0, 0.2, 1.0), "0");
    }
}
