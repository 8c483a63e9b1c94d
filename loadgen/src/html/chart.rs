//! Charts as inline SVG that takes the width it is given.
//!
//! Everything is placed in percent of the plot, and only the lines are stretched with it (their
//! strokes are not): text has the page's size on a desk and on a phone. The read-outs are `<title>`s of
//! invisible rectangles side by side, which a browser shows by itself; the page's script only shows
//! them better.

mod line;
mod scale;
mod ticks;

use askama::Template;
use askama::filters::HtmlSafe;

use self::line::Path;
pub(super) use self::scale::{Scale, Tick};

/// A chart, ready to be drawn.
#[derive(Debug, Template)]
#[template(path = "chart.html")]
pub(super) struct Chart {
    title: String,
    x: Axis,
    y: Axis,
    /// What it shows, for those who do not see it.
    summary: String,
    series: Vec<Series>,
    points: Vec<Point>,
    readouts: Vec<Readout>,
}

/// Its own template escapes it.
impl HtmlSafe for Chart {}

/// An axis.
#[derive(Debug)]
pub(super) struct Axis {
    /// What, and in which unit.
    pub(super) title: String,
    pub(super) scale: Scale,
}

/// How a series is told from others, also without colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stroke {
    First,
    Second,
    Third,
}

/// A mark of its own, told apart by its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Dot,
    Cross,
    Ring,
}

#[derive(Debug)]
struct Series {
    name: &'static str,
    stroke: Stroke,
    path: Path,
}

#[derive(Debug)]
struct Point {
    x_percent: f64,
    /// From above.
    y_percent: f64,
    shape: Shape,
}

/// What is said of one place of the x axis.
#[derive(Debug)]
struct Readout {
    at_percent: f64,
    /// Of the rectangle that is nearer to this place than to others.
    left_percent: f64,
    width_percent: f64,
    text: String,
}

impl Chart {
    pub(super) fn new(title: impl Into<String>, x: Axis, y: Axis) -> Self {
        Self {
            title: title.into(),
            x,
            y,
            summary: String::new(),
            series: Vec::new(),
            points: Vec::new(),
            readouts: Vec::new(),
        }
    }

    /// What it shows, in a sentence or two.
    pub(super) fn summary(mut self, summary: impl Into<String>) -> Self {
        self.summary = summary.into();
        self
    }

    /// Adds a line, broken where a value is missing; none at all when all are.
    pub(super) fn line(
        mut self,
        name: &'static str,
        stroke: Stroke,
        points: impl IntoIterator<Item = (f64, Option<f64>)>,
    ) -> Self {
        let (x, y) = (&self.x.scale, &self.y.scale);
        let shares = points.into_iter();
        let path =
            Path::new(shares.map(|(at, value)| (x.share(at), value.map(|value| y.share(value)))));
        if !path.is_empty() {
            self.series.push(Series { name, stroke, path });
        }
        self
    }

    /// Adds a mark.
    pub(super) fn point(mut self, x: f64, y: f64, shape: Shape) -> Self {
        self.points.push(Point {
            x_percent: 100.0 * self.x.scale.share(x),
            y_percent: 100.0 * (1.0 - self.y.scale.share(y)),
            shape,
        });
        self
    }

    /// Adds what is said of places of the x axis, in ascending order.
    pub(super) fn readouts(mut self, texts: impl IntoIterator<Item = (f64, String)>) -> Self {
        let scale = &self.x.scale;
        let texts = texts.into_iter();
        let mut places: Vec<_> = texts
            .map(|(at, text)| (100.0 * scale.share(at), text))
            .collect();
        // Of two in one place the later one says more: that of the larger value.
        places.reverse();
        places.dedup_by(|a, b| (a.0 - b.0).abs() < 1e-3);
        places.reverse();
        let middle = |a: usize, b: usize| (places[a].0 + places[b].0) / 2.0;
        let last = places.len().saturating_sub(1);
        let bounds: Vec<_> = (0..places.len())
            .map(|index| {
                let left = if index == 0 {
                    0.0
                } else {
                    middle(index - 1, index)
                };
                let right = if index == last {
                    100.0
                } else {
                    middle(index, index + 1)
                };
                (left, right - left)
            })
            .collect();
        self.readouts = places
            .into_iter()
            .zip(bounds)
            .map(
                |((at_percent, text), (left_percent, width_percent))| Readout {
                    at_percent,
                    left_percent,
                    width_percent,
                    text,
                },
            )
            .collect();
        self
    }

    /// One line needs no name beside the title.
    fn has_legend(&self) -> bool {
        self.series.len() > 1
    }
}

impl Stroke {
    /// The class that the style sheet knows.
    fn class(self) -> &'static str {
        match self {
            Self::First => "s1",
            Self::Second => "s2",
            Self::Third => "s3",
        }
    }
}

impl Shape {
    /// A path about the origin.
    fn path(self) -> &'static str {
        match self {
            Self::Dot | Self::Ring => "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0",
            Self::Cross => "M-5-5L5 5M-5 5L5-5",
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Dot => "dot",
            Self::Ring => "ring",
            Self::Cross => "cross",
        }
    }
}

/// Two decimals: a hundredth of a percent is less than a pixel.
fn percent(value: &f64) -> String {
    let hundredths = (value * 100.0).round() / 100.0;
    format!("{hundredths}%")
}

/// From above, where an axis counts from below.
fn from_above(tick: &Tick) -> String {
    percent(&(100.0 - tick.at_percent))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart() -> Chart {
        let axis = |high| Axis {
            title: "seconds".to_owned(),
            scale: Scale::from_zero(high),
        };
        Chart::new("a < b", axis(10.0), axis(100.0))
    }

    #[test]
    fn readouts_tile_the_axis() {
        let chart = chart().readouts([2.0, 4.0, 8.0].map(|at| (at, format!("at {at}"))));
        let tiles: Vec<_> = chart
            .readouts
            .iter()
            .map(|tile| (tile.left_percent, tile.width_percent))
            .collect();
        assert_eq!(tiles, [(0.0, 30.0), (30.0, 30.0), (60.0, 40.0)]);
    }

    #[test]
    fn of_two_readouts_in_one_place_the_later_stands() {
        let chart = chart().readouts([(5.0, "first".to_owned()), (5.0, "second".to_owned())]);
        assert_eq!(chart.readouts.len(), 1);
        assert_eq!(chart.readouts[0].text, "second");
        assert_eq!(chart.readouts[0].width_percent, 100.0);
    }

    #[test]
    fn what_is_drawn_is_escaped_and_placed() {
        let text = chart()
            .line("p50", Stroke::First, [(0.0, Some(0.0)), (10.0, Some(50.0))])
            .line("never", Stroke::Second, [(0.0, None)])
            .point(5.0, 75.0, Shape::Cross)
            .readouts([(5.0, "a & \"b\"".to_owned())])
            .summary("rises <fast>")
            .to_string();
        assert!(text.contains("a &#60; b"), "{text}");
        assert!(text.contains("rises &#60;fast&#62;"), "{text}");
        assert!(text.contains("a &#38; &#34;b&#34;"), "{text}");
        assert!(text.contains("M0 1000L1000 500"), "{text}");
        assert!(text.contains(r#"x="50%" y="25%""#), "{text}");
        assert!(
            !text.contains("never"),
            "a series without a value is left out"
        );
    }
}
