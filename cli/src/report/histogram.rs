//! Histograms: bars for one, ridges for many.

use super::canvas::{AXIS, BLUE, Canvas, Colour, FAINT, GRID, GUIDE, PAPER, Side, picture};
use super::numbers::short;
use crate::error::Outcome;
use crate::events::Histogram;

/// A histogram with values: not empty, over a range.
fn is_sound(histogram: &Histogram) -> bool {
    let (low, high) = (histogram.low, histogram.high);
    low.abs() <= 1e300
        && high.abs() <= 1e300
        && low <= high
        && histogram.counts.iter().any(|count| *count > 0)
}

/// The range of all that can be drawn.
pub(super) fn range<'a>(histograms: impl Iterator<Item = &'a Histogram>) -> (f64, f64) {
    let (low, high) = histograms
        .filter(|histogram| is_sound(histogram))
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), histogram| {
            (low.min(histogram.low), high.max(histogram.high))
        });
    if low < high {
        (low, high)
    } else if low == high {
        (low - 1.0, high + 1.0)
    } else {
        (-1.0, 1.0)
    }
}

/// Heights from 0 to 1. One bin far above the others, as the zeros of ReLU are, is cut, so that the others can be seen.
fn heights(histogram: &Histogram) -> Vec<f64> {
    let mut sorted = histogram.counts.clone();
    sorted.sort_unstable();
    let largest = sorted.last().copied().unwrap_or(0).max(1) as f64;
    let second = sorted.iter().rev().nth(1).copied().unwrap_or(0) as f64;
    let full = if second * 40.0 >= largest && second * 3.0 < largest { second * 1.5 } else { largest };
    histogram.counts.iter().map(|count| (*count as f64 / full).min(1.0)).collect()
}

/// One histogram as bars over `low..high`.
pub(super) fn bars(
    histogram: &Histogram,
    (low, high): (f64, f64),
    colour: Colour,
    label: &str,
) -> Outcome<String> {
    const SIZE: (f64, f64) = (150.0, 92.0);
    const BASE: f64 = 74.0;
    picture(SIZE, label, |canvas| {
        if is_sound(histogram) {
            let at = |value: f64| 4.0 + (SIZE.0 - 8.0) * ((value - low) / (high - low)).clamp(0.0, 1.0);
            let width = (histogram.high - histogram.low) / histogram.counts.len() as f64;
            for (bin, height) in
                heights(histogram).into_iter().enumerate().filter(|(_, height)| *height > 0.0)
            {
                let left = at(histogram.low + width * bin as f64);
                let right = at(histogram.low + width * (bin + 1) as f64).max(left + 1.0);
                canvas.rectangle((left, BASE - height * (BASE - 4.0)), (right, BASE), colour, 0.85);
            }
        }
        canvas.line(&[(4.0, BASE), (SIZE.0 - 4.0, BASE)], AXIS, 1.0);
        ends(canvas, (low, high), (4.0, SIZE.0 - 4.0), BASE + 10.0);
    })
}

/// Histograms one below another, the last in front.
pub(super) fn ridges(rows: &[(String, &Histogram)], label: &str) -> Outcome<String> {
    const SIZE: (f64, f64) = (480.0, 300.0);
    const TALL: f64 = 62.0;
    let (left, right, top, bottom) = (44.0, SIZE.0 - 12.0, TALL + 4.0, SIZE.1 - 30.0);
    let (low, high) = range(rows.iter().map(|(_, histogram)| *histogram));
    picture(SIZE, label, |canvas| {
        let steps = (rows.len().max(2) - 1) as f64;
        let at = |value: f64| left + (right - left) * ((value - low) / (high - low)).clamp(0.0, 1.0);
        if low < 0.0 && high > 0.0 {
            canvas.line(&[(at(0.0), 6.0), (at(0.0), bottom)], GRID, 1.0);
        }
        let mut free = f64::NEG_INFINITY;
        for (index, (name, histogram)) in rows.iter().enumerate() {
            let base = if rows.len() == 1 { bottom } else { top + (bottom - top) * index as f64 / steps };
            let mut points = vec![(left, base)];
            if is_sound(histogram) {
                let width = (histogram.high - histogram.low) / histogram.counts.len() as f64;
                points.push((at(histogram.low), base));
                let tops = heights(histogram).into_iter().enumerate();
                points.extend(tops.map(|(bin, height)| {
                    (at(histogram.low + width * (bin as f64 + 0.5)), base - height * TALL)
                }));
                points.push((at(histogram.high), base));
            }
            points.push((right, base));
            let last = index + 1 == rows.len();
            canvas.area(&points, PAPER, 0.9);
            canvas.area(&points, BLUE, 0.18);
            canvas.line(&points, if last { BLUE } else { FAINT }, if last { 1.6 } else { 1.0 });
            if base >= free {
                canvas.text(name, (left - 6.0, base - 4.0), AXIS, Side::Left);
                free = base + 17.0;
            }
        }
        ends(canvas, (low, high), (left, right), bottom + 12.0);
        if low < 0.0 && high > 0.0 && (0.15..0.85).contains(&(-low / (high - low))) {
            canvas.text("0", (at(0.0), bottom + 12.0), GUIDE, Side::Middle);
        }
    })
}

/// The range in words below its ends.
fn ends(canvas: &Canvas<'_>, (low, high): (f64, f64), (left, right): (f64, f64), y: f64) {
    canvas.text(&short(low), (left, y), AXIS, Side::Right);
    canvas.text(&short(high), (right, y), AXIS, Side::Left);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_tall_bar_is_cut() {
        let histogram = |counts: &[u64]| Histogram { low: 0.0, high: 1.0, counts: counts.to_vec() };
        assert_eq!(heights(&histogram(&[70, 10, 20])), [1.0, 10.0 / 30.0, 20.0 / 30.0]);
        assert_eq!(heights(&histogram(&[40, 10, 20])), [1.0, 0.25, 0.5]);
        assert_eq!(heights(&histogram(&[1000, 1, 0])), [1.0, 0.001, 0.0]);
    }

    proptest! {
        #[test]
        fn any_histogram_can_be_drawn(
            low in any::<f64>(), high in any::<f64>(), counts in proptest::collection::vec(any::<u64>(), 0..9),
        ) {
            let histogram = Histogram { low, high, counts };
            for svg in [
                bars(&histogram, range([&histogram].into_iter()), BLUE, "a").unwrap(),
                ridges(&[("1".into(), &histogram), ("2".into(), &histogram)], "b").unwrap(),
            ] {
                prop_assert!(!svg.contains("NaN") && !svg.contains("inf"));
            }
        }
    }
}
