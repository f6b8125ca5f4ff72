//! Points over one parameter, and lines over several.

use super::canvas::{AMBER, AXIS, BLUE, Canvas, Colour, FAINT, GUIDE, Side, VERMILION, picture, shortened};
use super::frame::{Axis, Frame, SIZE, shows};
use super::numbers::short;
use crate::error::Outcome;

/// How a point is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Dot,
    Ring,
    Cross,
    /// A dot within a ring: the one that matters.
    Best,
}

/// A point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    pub(super) x: f64,
    /// None where there is no value: the point stands on the axis.
    pub(super) y: Option<f64>,
    pub(super) colour: Colour,
    pub(super) mark: Mark,
}

/// Points over one parameter, which may run in log space; shares upwards.
pub(super) struct Scatter<'a> {
    pub(super) label: &'a str,
    pub(super) name: &'a str,
    pub(super) log: bool,
    pub(super) points: &'a [Point],
    /// A range, named.
    pub(super) range: Option<(f64, f64)>,
}

impl Scatter<'_> {
    /// The `<svg>` element; nothing without a point.
    pub(super) fn svg(&self) -> Outcome<Option<String>> {
        let shown = || self.points.iter().filter(|point| shows(point.x, self.log));
        let ends = self.range.into_iter().flat_map(|(low, high)| [low, high]);
        let xs = shown().map(|point| point.x).chain(ends);
        let x = if self.log { Axis::log(xs) } else { Axis::linear(xs) };
        let y = Axis::linear(shown().filter_map(|point| point.y))
            .or_else(|| Axis::linear([0.0, 1.0].into_iter()));
        let (Some(x), Some(y)) = (x, y) else { return Ok(None) };
        let frame = Frame { x, y, name: self.name.to_string(), right: 18.0 };
        let svg = picture(SIZE, self.label, |canvas| {
            frame.draw(canvas);
            for end in self.range.into_iter().flat_map(|(low, high)| [low, high]) {
                let x = frame.at_x(end);
                canvas.dashes((x, frame.top()), (x, frame.bottom()), FAINT);
            }
            for point in shown() {
                let y = point.y.filter(|y| y.is_finite()).map_or(frame.bottom() - 5.0, |y| frame.at_y(y));
                draw_mark(canvas, (frame.at_x(point.x), y), point);
            }
        })?;
        Ok(Some(svg))
    }
}

fn draw_mark(canvas: &Canvas<'_>, at: (f64, f64), point: &Point) {
    match point.mark {
        Mark::Dot => canvas.dot(at, 3.6, point.colour, 0.75),
        Mark::Ring => canvas.ring(at, 3.2, point.colour, 1.3),
        Mark::Cross => canvas.cross(at, 3.2, point.colour),
        Mark::Best => {
            canvas.dot(at, 4.2, VERMILION, 1.0);
            canvas.ring(at, 7.5, VERMILION, 1.6);
        }
    }
}

/// An axis of parallel coordinates.
pub(super) struct Column {
    pub(super) name: String,
    pub(super) log: bool,
}

/// One line across all columns for each row, stronger the larger its last value; the row with the largest in a colour
/// of its own. Rows with a value that cannot be shown are left out.
pub(super) fn parallel(columns: &[Column], rows: &[Vec<f64>], label: &str) -> Outcome<Option<String>> {
    let whole = |row: &&Vec<f64>| {
        row.len() == columns.len() && row.iter().zip(columns).all(|(value, column)| shows(*value, column.log))
    };
    let mut rows: Vec<&Vec<f64>> = rows.iter().filter(whole).collect();
    let last = |row: &Vec<f64>| row.last().copied().unwrap_or(0.0);
    rows.sort_by(|a, b| last(a).total_cmp(&last(b)));
    if rows.is_empty() || columns.len() < 2 {
        return Ok(None);
    }
    let placed = |value: f64, log: bool| if log { value.log10() } else { value };
    let ranges: Vec<(f64, f64)> = (0..columns.len())
        .map(|column| {
            let log = columns[column].log;
            let values = rows.iter().map(|row| row[column]);
            super::frame::range(values, log).unwrap_or((1.0, 1.0))
        })
        .collect();
    let (left, right, top, bottom) = (46.0, SIZE.0 - 46.0, 42.0, SIZE.1 - 34.0);
    let at_x = |column: usize| left + (right - left) * column as f64 / (columns.len() - 1) as f64;
    let at_y = |column: usize, value: f64| {
        let (log, (low, high)) = (columns[column].log, ranges[column]);
        let (low, high) = (placed(low, log), placed(high, log));
        let share = if high > low { (placed(value, log) - low) / (high - low) } else { 0.5 };
        bottom - share.clamp(0.0, 1.0) * (bottom - top)
    };
    picture(SIZE, label, |canvas| {
        for (index, row) in rows.iter().enumerate() {
            let points: Vec<_> =
                row.iter().enumerate().map(|(column, value)| (at_x(column), at_y(column, *value))).collect();
            if index + 1 == rows.len() {
                canvas.line(&points, VERMILION, 2.4);
            } else {
                let rank = (index + 1) as f64 / rows.len() as f64;
                canvas.faint_line(&points, BLUE, 1.2, 0.08 + 0.6 * rank * rank);
            }
        }
        for (column, Column { name, .. }) in columns.iter().enumerate() {
            let x = at_x(column);
            let (low, high) = ranges[column];
            canvas.line(&[(x, top), (x, bottom)], AXIS, 1.0);
            canvas.text(&short(high), (x, top - 5.0), AXIS, Side::Above);
            canvas.text(&short(low), (x, bottom + 5.0), AXIS, Side::Below);
            canvas.text(&shortened(name, 14), (x, 12.0), GUIDE, Side::Middle);
        }
    })
    .map(Some)
}

/// Colours of the studies that are compared.
pub(super) const STUDIES: [Colour; 3] = [BLUE, AMBER, super::canvas::GREEN];

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_values_can_be_drawn(rows in proptest::collection::vec((any::<f64>(), any::<f64>()), 0..9), log in any::<bool>()) {
            let marks = [Mark::Dot, Mark::Ring, Mark::Cross, Mark::Best];
            let points: Vec<Point> = rows.iter().zip(marks.into_iter().cycle())
                .map(|(&(x, y), mark)| Point { x, y: Some(y), colour: BLUE, mark })
                .collect();
            let scatter = Scatter { label: "a", name: "b", log, points: &points, range: rows.first().copied() };
            let svg = scatter.svg().unwrap().unwrap_or_default();
            prop_assert!(!svg.contains("NaN") && !svg.contains("inf"));
            let columns = [Column { name: "x".into(), log }, Column { name: "y".into(), log: false }];
            let lines: Vec<Vec<f64>> = rows.iter().map(|row| vec![row.0, row.1]).collect();
            let svg = parallel(&columns, &lines, "c").unwrap().unwrap_or_default();
            prop_assert!(!svg.contains("NaN") && !svg.contains("inf"));
        }
    }
}
