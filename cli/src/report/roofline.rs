//! Rates over what limits them, in log space: points below lines that none of them can cross.

use super::canvas::{AXIS, Canvas, Colour, GUIDE, PAPER, Side, hover, picture, width_of};
use super::frame::{Axis, Frame, SIZE, shows};
use crate::error::Outcome;

/// A limit: a line through points, with its name on it.
#[derive(Debug, Clone)]
pub(super) struct Ceiling {
    pub(super) name: String,
    /// Where on the line its name stands, from 0 to 1.
    pub(super) at: f64,
    pub(super) from: (f64, f64),
    pub(super) to: (f64, f64),
}

/// What was measured, and what is said of it to who points at it.
#[derive(Debug, Clone)]
pub(super) struct Spot {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) colour: Colour,
    pub(super) title: String,
}

/// A chart.
#[derive(Debug, Clone)]
pub(super) struct Roofline<'a> {
    pub(super) label: &'a str,
    pub(super) name: &'a str,
    pub(super) spots: Vec<Spot>,
    pub(super) ceilings: Vec<Ceiling>,
}

/// The least and the largest of the spots, with a little room.
pub(super) fn span(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    super::frame::range(values, true).map(|(low, high)| (low / 1.3, high * 1.3))
}

impl Roofline<'_> {
    /// The `<svg>` element; nothing without a spot that can be shown.
    pub(super) fn svg(&self) -> Outcome<Option<String>> {
        let shown = || self.spots.iter().filter(|spot| shows(spot.x, true) && shows(spot.y, true));
        let ceilings = || self.ceilings.iter().filter(|ceiling| ceiling.can_be_shown());
        let Some((low, _)) = span(shown().map(|spot| spot.y)) else { return Ok(None) };
        let tops = ceilings().map(|ceiling| ceiling.to.1 * 1.1);
        let x = Axis::log(shown().map(|spot| spot.x).chain(ceilings().flat_map(|c| [c.from.0, c.to.0])));
        let y = Axis::log(shown().map(|spot| spot.y).chain(tops).chain([low]));
        let (Some(x), Some(y)) = (x, y) else { return Ok(None) };
        let frame = Frame { x, y, name: self.name.to_string(), right: 16.0 };
        let svg = picture(SIZE, self.label, |canvas| {
            frame.draw(canvas);
            ceilings().for_each(|ceiling| ceiling.draw(&frame, low, canvas));
            ceilings().for_each(|ceiling| ceiling.write(&frame, low, canvas));
            for spot in shown() {
                canvas.dot((frame.at_x(spot.x), frame.at_y(spot.y)), 3.2, spot.colour, 0.75);
            }
        })?;
        let places = shown().map(|spot| ((frame.at_x(spot.x), frame.at_y(spot.y)), spot.title.as_str()));
        Ok(Some(hover(svg, places)))
    }
}

impl Ceiling {
    fn can_be_shown(&self) -> bool {
        [self.from.0, self.from.1, self.to.0, self.to.1].into_iter().all(|value| shows(value, true))
    }

    /// Its ends on the canvas, without what is below the chart.
    fn ends(&self, frame: &Frame, low: f64) -> [(f64, f64); 2] {
        let (mut from, to) = (self.from, self.to);
        if from.1 < low && to.1 > low {
            let way = (low / from.1).ln() / (to.1 / from.1).ln();
            from = (from.0 * (to.0 / from.0).powf(way), low);
        }
        [from, to].map(|(x, y)| (frame.at_x(x), frame.at_y(y)))
    }

    fn draw(&self, frame: &Frame, low: f64, canvas: &Canvas<'_>) {
        canvas.line(&self.ends(frame, low), GUIDE, 1.2);
    }

    /// The name, in a gap of the line.
    fn write(&self, frame: &Frame, low: f64, canvas: &Canvas<'_>) {
        let [from, to] = self.ends(frame, low);
        let (x, y) = (from.0 + (to.0 - from.0) * self.at, from.1 + (to.1 - from.1) * self.at);
        let half = width_of(&self.name) * 0.55;
        let x = x.clamp(frame.left() + half, (frame.right() - half).max(frame.left() + half));
        canvas.rectangle((x - half, y - 7.0), (x + half, y + 7.0), PAPER, 1.0);
        canvas.text(&self.name, (x, y), AXIS, Side::Middle);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::canvas::BLUE;
    use proptest::prelude::*;

    #[test]
    fn every_spot_says_what_it_is() {
        let spot = Spot { x: 1.0, y: 2.0, colour: BLUE, title: "a < b".into() };
        let nothing = Spot { y: f64::NAN, ..spot.clone() };
        let mut chart = Roofline { label: "a", name: "b", spots: vec![spot, nothing], ceilings: Vec::new() };
        let svg = chart.svg().unwrap().unwrap();
        assert_eq!(svg.matches("<title>a &lt; b</title></circle>").count(), 1);
        assert!(svg.ends_with("</svg>\n") || svg.ends_with("</svg>"));
        chart.spots.remove(0);
        assert_eq!(chart.svg().unwrap(), None);
    }

    proptest! {
        #[test]
        fn any_values_can_be_drawn(values in proptest::collection::vec((any::<f64>(), any::<f64>()), 2..9)) {
            let spots = values.iter().map(|&(x, y)| Spot { x, y, colour: BLUE, title: String::new() }).collect();
            let ceiling = |ends: &[(f64, f64)]| Ceiling { name: "c".into(), at: 0.2, from: ends[0], to: ends[1] };
            let ceilings = values.windows(2).map(ceiling).collect();
            let svg = Roofline { label: "a", name: "b", spots, ceilings }.svg().unwrap().unwrap_or_default();
            prop_assert!(!svg.contains("NaN") && !svg.contains("inf"));
        }
    }
}
