//! A series as an SVG path.

use std::fmt::Write;

/// Width and height of the paths' coordinates, whatever the size on the page.
const EXTENT: f64 = 1_000.0;

/// A series as it is drawn.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::html) struct Path {
    /// Broken where a value is missing.
    pub(in crate::html) line: String,
    /// Values without neighbours: lines that are as good as none, but have round ends.
    pub(in crate::html) lone: String,
}

impl Path {
    /// Through `points`, shares of the axes' lengths.
    pub(super) fn new(points: impl IntoIterator<Item = (f64, Option<f64>)>) -> Self {
        let mut path = Self::default();
        let mut stretch = Vec::new();
        for (x, y) in points {
            match y {
                Some(y) => stretch.push((x, y)),
                None => path.end_stretch(&mut stretch),
            }
        }
        path.end_stretch(&mut stretch);
        path
    }

    pub(super) fn is_empty(&self) -> bool {
        self.line.is_empty() && self.lone.is_empty()
    }

    fn end_stretch(&mut self, stretch: &mut Vec<(f64, f64)>) {
        // Points in one place are one point.
        stretch.dedup();
        let is_lone = stretch.len() == 1;
        let path = if is_lone {
            &mut self.lone
        } else {
            &mut self.line
        };
        for (index, (x, y)) in stretch.drain(..).enumerate() {
            let command = if index == 0 { 'M' } else { 'L' };
            let (x, y) = (Coordinate(x * EXTENT), Coordinate((1.0 - y) * EXTENT));
            write!(path, "{command}{x} {y}").expect("a string takes all");
        }
        if is_lone {
            path.push_str("h.01");
        }
    }
}

/// A tenth of a thousandth of the chart is less than a pixel.
struct Coordinate(f64);

impl std::fmt::Display for Coordinate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tenths = (self.0 * 10.0).round() / 10.0;
        write!(f, "{tenths}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origin_is_below_on_the_left() {
        let path = Path::new([(0.0, Some(0.0)), (0.5, Some(0.25)), (1.0, Some(1.0))]);
        assert_eq!(path.line, "M0 1000L500 750L1000 0");
        assert_eq!(path.lone, "");
    }

    #[test]
    fn a_missing_value_breaks_the_line_and_a_lonely_one_is_a_dot() {
        let values = [Some(1.0), None, Some(1.0), Some(1.0), None, None, Some(1.0)];
        let places = (0_u8..).map(|index| f64::from(index) / 10.0);
        let path = Path::new(places.zip(values));
        assert_eq!(path.line, "M200 0L300 0");
        assert_eq!(path.lone, "M0 0h.01M600 0h.01");
        let twice = Path::new([(1.0, Some(0.5)), (1.0, Some(0.5))]);
        assert_eq!(twice.lone, "M1000 500h.01");
        assert!(Path::new([]).is_empty());
    }
}
