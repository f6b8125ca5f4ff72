//! Line charts.

use super::canvas::{Canvas, Colour, FAINT, GREEN, GUIDE, Side, picture};
use super::frame::{Axis, Frame, SIZE};
use super::numbers::{scientific, short};
use crate::error::Outcome;

/// One curve.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) colour: Colour,
    /// From left to right; a value that cannot be shown interrupts the curve.
    pub(super) points: Vec<(f64, f64)>,
    pub(super) kind: Kind,
}

/// How a curve is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its last value is marked and written beside it.
    Marked,
    /// Every value has a dot.
    Dotted,
    /// Dots alone.
    Dots,
    /// Thin.
    Thin,
    /// Thin and without its own weight in the chart: a theory beside what was measured.
    Dashed,
}

/// How the vertical axis runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vertical {
    /// From 0 up.
    FromZero,
    /// Up to 1, as far down as needed.
    UpToOne,
    /// Powers of ten.
    Decades,
}

/// How the horizontal axis runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Horizontal {
    /// Counts of something.
    Counts(&'static str),
    /// Powers of ten of something.
    Log(&'static str),
}

/// A chart.
#[derive(Debug, Clone)]
pub(super) struct Chart {
    pub(super) label: &'static str,
    pub(super) x: Horizontal,
    pub(super) y: Vertical,
    /// Drawn in this order.
    pub(super) series: Vec<Series>,
    /// A horizontal line to judge the curves by, and its name.
    pub(super) guide: Option<(f64, String)>,
    /// Values that are good.
    pub(super) band: Option<(f64, f64)>,
    /// A place of the horizontal axis that matters, and its name.
    pub(super) here: Option<(f64, String)>,
}

impl Chart {
    /// A chart over counts, with nothing but its curves.
    pub(super) fn over(name: &'static str, label: &'static str, y: Vertical, series: Vec<Series>) -> Self {
        Self { label, x: Horizontal::Counts(name), y, series, guide: None, band: None, here: None }
    }

    /// The `<svg>` element; nothing when there is no value to show.
    pub(super) fn svg(&self) -> Outcome<Option<String>> {
        let Some(frame) = self.frame() else { return Ok(None) };
        picture(SIZE, self.label, |canvas| self.draw(&frame, canvas)).map(Some)
    }

    fn frame(&self) -> Option<Frame> {
        let log_x = matches!(self.x, Horizontal::Log(_));
        let log_y = self.y == Vertical::Decades;
        let shown = || {
            let points = self.series.iter().flat_map(|series| &series.points);
            points.filter(|(x, y)| super::frame::shows(*x, log_x) && super::frame::shows(*y, log_y)).copied()
        };
        let band = self.band.map(|(low, high)| [low, high]);
        let values = || {
            let lines = self.guide.iter().map(|guide| guide.0).chain(band.into_iter().flatten());
            shown().map(|point| point.1).chain(lines)
        };
        shown().next()?;
        let y = match self.y {
            Vertical::FromZero => Axis::from_zero(values())?,
            Vertical::UpToOne => Axis::up_to_one(values())?,
            Vertical::Decades => Axis::decades(values())?,
        };
        let (x, name) = match self.x {
            Horizontal::Counts(name) => {
                let (first, last) = super::frame::range(shown().map(|point| point.0), false)?;
                (Axis::counts(first as u32, last as u32), name)
            }
            Horizontal::Log(name) => (Axis::log(shown().map(|point| point.0))?, name),
        };
        let words = self.guide.is_some() || self.series.iter().any(|series| series.kind == Kind::Marked);
        Some(Frame { x, y, name: name.into(), right: if words { 64.0 } else { 16.0 } })
    }

    fn draw(&self, frame: &Frame, canvas: &Canvas<'_>) {
        let (left, right) = (frame.left(), frame.right());
        if let Some((low, high)) = self.band {
            canvas.rectangle((left, frame.at_y(high)), (right, frame.at_y(low)), GREEN, 0.14);
        }
        frame.draw(canvas);
        if let Some((value, name)) = &self.guide {
            let y = frame.at_y(*value);
            canvas.dashes((left, y), (right, y), GUIDE);
            canvas.text(name, (right + 8.0, y), GUIDE, Side::Right);
        }
        if let Some((value, name)) = &self.here {
            let x = frame.at_x(*value);
            canvas.dashes((x, frame.top()), (x, frame.bottom()), GUIDE);
            let half = super::canvas::width_of(name) * 0.65;
            canvas.text(
                name,
                (x.clamp(left + half, (right - half).max(left + half)), frame.top() - 1.0),
                GUIDE,
                Side::Above,
            );
        }
        for series in &self.series {
            series.draw(frame, canvas);
        }
        self.mark_last_values(frame, canvas);
    }

    /// A dot on the last value of each marked curve, and the value at the chart's right, moved apart where two would
    /// overlap.
    fn mark_last_values(&self, frame: &Frame, canvas: &Canvas<'_>) {
        const APART: f64 = 16.0;
        let mut marks: Vec<(f64, Colour, String)> = Vec::new();
        for series in self.series.iter().filter(|series| series.kind == Kind::Marked) {
            let Some(&(x, value)) = series.points.iter().rfind(|(_, value)| frame.y.shows(*value)) else {
                continue;
            };
            let y = frame.at_y(value);
            canvas.dot((frame.at_x(x), y), 3.5, series.colour, 1.0);
            let label =
                if frame.y.log && !(0.1..100.0).contains(&value) { scientific(value) } else { short(value) };
            marks.push((y, series.colour, label));
        }
        // The guide's name stands in the same column and does not move.
        let fixed = self.guide.as_ref().map(|(value, _)| frame.at_y(*value));
        marks.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut places: Vec<f64> = marks.iter().map(|mark| mark.0).collect();
        spread(&mut places, APART, fixed, (frame.top(), frame.bottom()));
        for (y, (_, colour, label)) in places.iter().zip(&marks) {
            canvas.text(label, (frame.right() + 8.0, *y), *colour, Side::Right);
        }
    }
}

impl Series {
    /// A curve of values with a number each.
    pub(super) fn new(colour: Colour, kind: Kind, points: impl IntoIterator<Item = (u32, f64)>) -> Self {
        let points = points.into_iter().map(|(x, y)| (f64::from(x), y)).collect();
        Self { colour, points, kind }
    }

    /// A thin curve in the background.
    pub(super) fn faint(points: impl IntoIterator<Item = (u32, f64)>) -> Self {
        Self::new(FAINT, Kind::Thin, points)
    }

    fn draw(&self, frame: &Frame, canvas: &Canvas<'_>) {
        let seen = |&(x, y): &(f64, f64)| frame.x.shows(x) && frame.y.shows(y);
        let width = if matches!(self.kind, Kind::Marked | Kind::Dotted) { 2.0 } else { 1.0 };
        for piece in self.points.split(|point| !seen(point)) {
            let points: Vec<_> = piece.iter().map(|&(x, y)| (frame.at_x(x), frame.at_y(y))).collect();
            match (self.kind, points.as_slice()) {
                (Kind::Dashed, points) => {
                    points.windows(2).for_each(|pair| canvas.dashes(pair[0], pair[1], self.colour))
                }
                (Kind::Thin, [alone]) => canvas.dot(*alone, 2.0, self.colour, 1.0),
                (Kind::Dots, _) => {}
                (_, points) if points.len() > 1 => canvas.line(points, self.colour, width),
                _ => {}
            }
            if matches!(self.kind, Kind::Dotted | Kind::Dots) {
                points.iter().for_each(|point| {
                    canvas.dot(*point, if self.kind == Kind::Dots { 4.0 } else { 3.0 }, self.colour, 1.0)
                });
            }
        }
    }
}

/// Moves sorted places apart and away from a fixed one, within the bounds where there is room.
fn spread(places: &mut [f64], apart: f64, fixed: Option<f64>, bounds: (f64, f64)) {
    if let Some(fixed) = fixed {
        for place in places.iter_mut().filter(|place| (**place - fixed).abs() < apart) {
            *place = if *place < fixed { fixed - apart } else { fixed + apart };
        }
    }
    let mut last = f64::NEG_INFINITY;
    for place in places.iter_mut() {
        let mut wanted = place.max(last + apart);
        if fixed.is_some_and(|fixed| (wanted - fixed).abs() < apart) {
            wanted = wanted.max(fixed.unwrap_or(wanted) + apart);
        }
        *place = wanted;
        last = wanted;
    }
    let mut limit = bounds.1;
    for place in places.iter_mut().rev() {
        *place = place.min(limit);
        limit = *place - apart;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::canvas::CURVES;
    use proptest::prelude::*;

    fn chart(y: Vertical, values: &[f64]) -> Chart {
        let series = Series::new(CURVES[0], Kind::Marked, (1..).zip(values.iter().copied()));
        Chart::over("epoch", "test", y, vec![series])
    }

    #[test]
    fn a_gap_interrupts_the_curve() {
        let curve = |values: &[f64]| {
            chart(Vertical::Decades, values).svg().unwrap().unwrap().matches("<polyline").count()
        };
        let whole = curve(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(curve(&[1.0, 2.0, f64::NAN, 4.0, 5.0]), whole + 1);
        assert_eq!(curve(&[1.0, 2.0, 0.0, 4.0, 5.0]), whole + 1);
        assert_eq!(chart(Vertical::Decades, &[0.0, f64::NAN]).svg().unwrap(), None);
    }

    proptest! {
        #[test]
        fn any_values_can_be_drawn(
            values in proptest::collection::vec((any::<f64>(), any::<f64>()), 0..20),
            guide in any::<f64>(),
        ) {
            for kind in [Kind::Marked, Kind::Dotted, Kind::Dots, Kind::Thin, Kind::Dashed] {
                for y in [Vertical::FromZero, Vertical::UpToOne, Vertical::Decades] {
                    let series = Series { colour: CURVES[0], points: values.clone(), kind };
                    let mut chart = Chart::over("epoch", "test", y, vec![series]);
                    chart.guide = Some((guide, "guide".into()));
                    chart.here = Some((guide, "here".into()));
                    // Counts are counts of something that happened.
                    chart.series[0].points.iter_mut().zip(0..).for_each(|(point, x)| point.0 = f64::from(x));
                    let svg = chart.svg().unwrap().unwrap_or_default();
                    prop_assert!(!svg.contains("NaN") && !svg.contains("inf"));
                    chart.x = Horizontal::Log("rate");
                    chart.series[0].points.clone_from(&values);
                    chart.svg().unwrap();
                }
            }
        }

        #[test]
        fn labels_do_not_overlap(
            mut places in proptest::collection::vec(20.0..240.0f64, 1..6),
            fixed in proptest::option::of(100.0..101.0f64),
        ) {
            places.sort_by(f64::total_cmp);
            spread(&mut places, 15.0, fixed, (14.0, 260.0));
            prop_assert!(places.windows(2).all(|pair| pair[1] - pair[0] > 14.9), "{:?}", places);
            prop_assert!(places.iter().all(|place| *place <= 260.0));
        }
    }
}
