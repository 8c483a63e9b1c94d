//! A series as an SVG path.

use std::fmt::Write;

/// Width and height of the paths' coordinates, whatever the size on the page.
pub(super) const EXTENT: f64 = 1_000.0;

/// The path through `points`, shares of the axes' lengths. Where a value is missing the line is
/// broken; a value without neighbours is a dot.
pub(super) fn path(points: impl IntoIterator<Item = (f64, Option<f64>)>) -> String {
    let mut path = String::new();
    let mut stretch = 0_usize;
    for (x, y) in points {
        let Some(y) = y else {
            end_stretch(&mut path, stretch);
            stretch = 0;
            continue;
        };
        let command = if stretch == 0 { 'M' } else { 'L' };
        let (x, y) = (x * EXTENT, (1.0 - y) * EXTENT);
        write!(path, "{command}{} {}", Coordinate(x), Coordinate(y)).expect("a string takes all");
        stretch += 1;
    }
    end_stretch(&mut path, stretch);
    path
}

/// A line that is as good as none, but has round ends.
fn end_stretch(path: &mut String, length: usize) {
    if length == 1 {
        path.push_str("h.01");
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
        let line = path([(0.0, Some(0.0)), (0.5, Some(0.25)), (1.0, Some(1.0))]);
        assert_eq!(line, "M0 1000L500 750L1000 0");
    }

    #[test]
    fn a_missing_value_breaks_the_line_and_a_lonely_one_is_a_dot() {
        let values = [Some(1.0), None, Some(1.0), Some(1.0), None, None, Some(1.0)];
        let places = (0_u8..).map(|index| f64::from(index) / 10.0);
        assert_eq!(path(places.zip(values)), "M0 0h.01M200 0L300 0M600 0h.01");
        assert_eq!(path([]), "");
    }
}
