//! Line charts over epochs as inline SVG.
//!
//! The picture is drawn at four times its size, because the SVG writer rounds to whole units. Every colour below is
//! named again in the page's style sheet, which swaps it for another in the dark.

use crate::error::{Failure, Outcome};
use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoFont, RGBColor, ShapeStyle, TextStyle};

/// Colours of curves, told apart also by the colour-blind (Okabe and Ito, 2008), without the yellow that vanishes on white.
pub(super) const CURVES: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];
/// Curves in the background.
pub(super) const FAINT: RGBColor = RGBColor(173, 181, 189);
const GRID: RGBColor = RGBColor(228, 231, 235);
const AXIS: RGBColor = RGBColor(108, 117, 125);
const GUIDE: RGBColor = RGBColor(73, 80, 87);

const SCALE: i32 = 4;
const WIDTH: i32 = 560;
const HEIGHT: i32 = 300;
const LEFT: i32 = 52;
const RIGHT: i32 = 62;
const TOP: i32 = 14;
const BOTTOM: i32 = 40;
const FONT: f64 = 12.0;

/// One curve.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) colour: RGBColor,
    /// Epoch and value, in the order of the epochs; a value that is not finite interrupts the curve.
    pub(super) points: Vec<(u32, f64)>,
    /// Whether the last value is marked and written beside it.
    pub(super) marked: bool,
}

/// How the vertical axis runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Axis {
    /// From 0 up.
    FromZero,
    /// Up to 1, as far down as needed.
    UpToOne,
    /// Powers of ten.
    Log,
}

/// A chart.
#[derive(Debug, Clone)]
pub(super) struct Chart {
    pub(super) axis: Axis,
    /// Drawn in this order.
    pub(super) series: Vec<Series>,
    /// A horizontal line to judge the curves by, and its name.
    pub(super) guide: Option<(f64, &'static str)>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

impl Chart {
    /// The `<svg>` element; nothing when there is no value to show.
    pub(super) fn svg(&self) -> Outcome<Option<String>> {
        let Some(frame) = Frame::of(self) else { return Ok(None) };
        let mut svg = String::new();
        {
            let size = ((WIDTH * SCALE) as u32, (HEIGHT * SCALE) as u32);
            let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            self.draw(&frame, &area)
                .and_then(|()| area.present().map_err(|error| error.to_string()))
                .map_err(|error| Failure::failed(format!("cannot draw a chart: {error}")))?;
        }
        // The page gives the size; the text in the writer's tags may carry no blank before it.
        let fixed = format!("width=\"{}\" height=\"{}\" ", WIDTH * SCALE, HEIGHT * SCALE);
        Ok(Some(svg.replacen(&fixed, "role=\"img\" ", 1)))
    }

    fn draw(&self, frame: &Frame, area: &Area<'_>) -> Result<(), String> {
        let (left, right) = (LEFT, WIDTH - RIGHT);
        for (value, label) in frame.y_ticks(self.axis) {
            let y = frame.y(value);
            line(area, &[(f64::from(left), y), (f64::from(right), y)], GRID, 1.0)?;
            text(area, &label, (f64::from(left) - 8.0, y), AXIS, HPos::Right, VPos::Center)?;
        }
        let bottom = f64::from(HEIGHT - BOTTOM);
        for epoch in frame.x_ticks() {
            let x = frame.x(f64::from(epoch));
            line(area, &[(x, bottom), (x, bottom + 4.0)], AXIS, 1.0)?;
            text(area, &epoch.to_string(), (x, bottom + 8.0), AXIS, HPos::Center, VPos::Top)?;
        }
        line(area, &[(f64::from(left), bottom), (f64::from(right), bottom)], AXIS, 1.0)?;
        let middle = f64::from(left + right) / 2.0;
        text(area, "epoch", (middle, bottom + 25.0), AXIS, HPos::Center, VPos::Top)?;

        if let Some((value, name)) = self.guide {
            let y = frame.y(value);
            for dash in (left..right).step_by(8) {
                line(area, &[(f64::from(dash), y), (f64::from((dash + 4).min(right)), y)], GUIDE, 1.0)?;
            }
            text(area, name, (f64::from(right) + 8.0, y), GUIDE, HPos::Left, VPos::Center)?;
        }
        for series in &self.series {
            let width = if series.marked { 2.0 } else { 1.0 };
            for piece in series.points.split(|(_, value)| !self.axis.shows(*value)) {
                let points: Vec<_> =
                    piece.iter().map(|&(epoch, value)| (frame.x(f64::from(epoch)), frame.y(value))).collect();
                line(area, &points, series.colour, width)?;
            }
        }
        self.mark_last_values(frame, area)
    }

    /// A dot on the last value of each marked curve, and the value at the chart's right, moved apart where two would
    /// overlap.
    fn mark_last_values(&self, frame: &Frame, area: &Area<'_>) -> Result<(), String> {
        const APART: f64 = 15.0;
        let mut marks: Vec<(f64, RGBColor, String)> = Vec::new();
        for series in self.series.iter().filter(|series| series.marked) {
            let Some(&(epoch, value)) = series.points.iter().rfind(|(_, value)| self.axis.shows(*value))
            else {
                continue;
            };
            let y = frame.y(value);
            let centre = (scaled(frame.x(f64::from(epoch))), scaled(y));
            draw(area, &Circle::new(centre, scaled(3.5), series.colour.filled()))?;
            let label = if self.axis == Axis::Log { scientific(value) } else { short(value) };
            marks.push((y, series.colour, label));
        }
        // The guide's name stands in the same column and does not move.
        let fixed = self.guide.map(|(value, _)| frame.y(value));
        marks.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut places: Vec<f64> = marks.iter().map(|mark| mark.0).collect();
        spread(&mut places, APART, fixed, (f64::from(TOP), f64::from(HEIGHT - BOTTOM)));
        for (y, (_, colour, label)) in places.iter().zip(&marks) {
            let x = f64::from(WIDTH - RIGHT) + 8.0;
            text(area, label, (x, *y), *colour, HPos::Left, VPos::Center)?;
        }
        Ok(())
    }
}

impl Axis {
    fn shows(self, value: f64) -> bool {
        value.is_finite() && (self != Self::Log || value > 0.0)
    }
}

/// Where values lie in the picture.
#[derive(Debug)]
struct Frame {
    epochs: (u32, u32),
    /// Of the values, or of their logarithms to base 10.
    values: (f64, f64),
    log: bool,
}

impl Frame {
    fn of(chart: &Chart) -> Option<Self> {
        let shown = || {
            let points = chart.series.iter().flat_map(|series| &series.points);
            points.filter(|(_, value)| chart.axis.shows(*value)).copied()
        };
        let epochs = (shown().map(|point| point.0).min()?, shown().map(|point| point.0).max()?);
        let all = || shown().map(|point| point.1).chain(chart.guide.map(|guide| guide.0));
        let low = all().fold(f64::INFINITY, f64::min);
        let high = all().fold(f64::NEG_INFINITY, f64::max);
        let values = match chart.axis {
            Axis::FromZero if high > 0.0 => {
                let step = nice_step(high);
                (0.0, (high / step).ceil() * step)
            }
            Axis::FromZero => (0.0, 1.0),
            Axis::UpToOne => {
                let step = nice_step((1.0 - low).max(0.05));
                ((low.min(1.0 - 5.0 * step) / step).floor() * step, 1.0)
            }
            Axis::Log => (low.log10().floor(), high.log10().ceil().max(low.log10().floor() + 1.0)),
        };
        Some(Self { epochs, values, log: chart.axis == Axis::Log })
    }

    fn x(&self, epoch: f64) -> f64 {
        let (first, last) = (f64::from(self.epochs.0), f64::from(self.epochs.1));
        let share = if first == last { 0.5 } else { (epoch - first) / (last - first) };
        f64::from(LEFT) + share * f64::from(WIDTH - LEFT - RIGHT)
    }

    fn y(&self, value: f64) -> f64 {
        let value = if self.log { value.log10() } else { value };
        let share = (value - self.values.0) / (self.values.1 - self.values.0);
        f64::from(HEIGHT - BOTTOM) - share * f64::from(HEIGHT - TOP - BOTTOM)
    }

    /// Values with their labels.
    fn y_ticks(&self, axis: Axis) -> Vec<(f64, String)> {
        let (low, high) = self.values;
        if axis == Axis::Log {
            return (low as i32..=high as i32)
                .map(|power| (10f64.powi(power), power_of_ten(power)))
                .collect();
        }
        let step = nice_step(high - low);
        let digits = (-step.log10().floor()).max(0.0) as usize;
        let first = (low / step - 1e-9).ceil() as i64;
        (first..)
            .take(20)
            .map(|tick| tick as f64 * step)
            .take_while(|value| *value <= high + step * 1e-9)
            .map(|value| (value, format!("{value:.digits$}")))
            .collect()
    }

    fn x_ticks(&self) -> Vec<u32> {
        let (first, last) = self.epochs;
        let step = nice_step(f64::from(last - first).max(1.0)).max(1.0) as u32;
        let mut ticks: Vec<u32> = (first..=last).filter(|epoch| epoch % step == 0).collect();
        // The first and the last epoch are worth a tick where their neighbour does not crowd them.
        if ticks.first().is_none_or(|&next| next > first && (next - first) * 2 >= step) {
            ticks.insert(0, first);
        }
        if ticks.last().is_some_and(|&before| before < last && (last - before) * 2 >= step) {
            ticks.push(last);
        }
        ticks
    }
}

/// 1, 2 or 5 times a power of ten: four to eight steps in the range.
fn nice_step(range: f64) -> f64 {
    let rough = range / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0].into_iter().find(|step| rough <= step * power * 1.5).unwrap_or(10.0);
    step * power
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

/// A value in about three digits.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => "–".into(),
        0.0 => "0".into(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size >= 0.01 => format!("{value:.3}"),
        size if size >= 0.001 => format!("{value:.4}"),
        _ => scientific(value),
    }
}

fn scientific(value: f64) -> String {
    let text = format!("{value:.1e}");
    match text.split_once('e') {
        Some((digits, power)) => format!("{digits}·{}", power_of_ten(power.parse().unwrap_or_default())),
        None => text,
    }
}

fn power_of_ten(power: i32) -> String {
    let raise = |c: char| match c {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        digit => digit.to_digit(10).and_then(|digit| char::from_u32(0x2070 + digit)).unwrap_or(digit),
    };
    format!("10{}", power.to_string().chars().map(raise).collect::<String>())
}

fn scaled(length: f64) -> i32 {
    (length * f64::from(SCALE)).round() as i32
}

fn line(area: &Area<'_>, points: &[(f64, f64)], colour: RGBColor, width: f64) -> Result<(), String> {
    let points: Vec<_> = points.iter().map(|&(x, y)| (scaled(x), scaled(y))).collect();
    let style = ShapeStyle { color: colour.to_rgba(), filled: false, stroke_width: scaled(width) as u32 };
    draw(area, &PathElement::new(points, style))
}

fn text(
    area: &Area<'_>,
    text: &str,
    (x, y): (f64, f64),
    colour: RGBColor,
    horizontal: HPos,
    vertical: VPos,
) -> Result<(), String> {
    // The SVG writer divides the size by 1.24.
    let size = FONT * f64::from(SCALE) * 1.24;
    let style = TextStyle::from(("sans-serif", size).into_font()).color(&colour);
    let style = style.pos(Pos::new(horizontal, vertical));
    draw(area, &Text::new(text.to_string(), (scaled(x), scaled(y)), style))
}

fn draw<E>(area: &Area<'_>, element: &E) -> Result<(), String>
where
    for<'a> &'a E: plotters::element::PointCollection<'a, (i32, i32)>,
    for<'a> E: plotters::element::Drawable<SVGBackend<'a>>,
{
    area.draw(element).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn chart(axis: Axis, values: &[f64]) -> Chart {
        let points = (1..).zip(values.iter().copied()).collect();
        Chart { axis, series: vec![Series { colour: CURVES[0], points, marked: true }], guide: None }
    }

    fn ticks(axis: Axis, values: &[f64]) -> Vec<String> {
        let frame = Frame::of(&chart(axis, values)).unwrap();
        frame.y_ticks(axis).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn axes_have_round_ticks() {
        assert_eq!(ticks(Axis::FromZero, &[0.93, 0.1]), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(ticks(Axis::FromZero, &[0.0]), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(ticks(Axis::UpToOne, &[0.91, 0.99]), ["0.90", "0.92", "0.94", "0.96", "0.98", "1.00"]);
        assert_eq!(ticks(Axis::UpToOne, &[1.0]), ["0.95", "0.96", "0.97", "0.98", "0.99", "1.00"]);
        assert_eq!(ticks(Axis::Log, &[2e-4, 3e-2]), ["10⁻⁴", "10⁻³", "10⁻²", "10⁻¹"]);
        assert_eq!(ticks(Axis::Log, &[1e-3]), ["10⁻³", "10⁻²"]);
    }

    #[test]
    fn the_first_and_the_last_epoch_are_ticks() {
        let frame = Frame::of(&chart(Axis::FromZero, &[1.0; 137])).unwrap();
        assert_eq!(frame.x_ticks(), [1, 20, 40, 60, 80, 100, 120, 137]);
        let frame = Frame::of(&chart(Axis::FromZero, &[1.0])).unwrap();
        assert_eq!(frame.x_ticks(), [1]);
    }

    #[test]
    fn a_gap_interrupts_the_curve() {
        let curve =
            |values: &[f64]| chart(Axis::Log, values).svg().unwrap().unwrap().matches("<polyline").count();
        let whole = curve(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(curve(&[1.0, 2.0, f64::NAN, 4.0, 5.0]), whole + 1);
        assert_eq!(curve(&[1.0, 2.0, 0.0, 4.0, 5.0]), whole + 1);
        assert_eq!(chart(Axis::Log, &[0.0, f64::NAN]).svg().unwrap(), None);
    }

    proptest! {
        #[test]
        fn any_values_can_be_drawn(values in proptest::collection::vec(any::<f64>(), 0..20)) {
            for axis in [Axis::FromZero, Axis::UpToOne, Axis::Log] {
                chart(axis, &values).svg().unwrap();
            }
        }

        #[test]
        fn labels_do_not_overlap(
            mut places in proptest::collection::vec(20.0..260.0f64, 1..6),
            fixed in proptest::option::of(100.0..101.0f64),
        ) {
            places.sort_by(f64::total_cmp);
            spread(&mut places, 15.0, fixed, (14.0, 260.0));
            prop_assert!(places.windows(2).all(|pair| pair[1] - pair[0] > 14.9), "{:?}", places);
            prop_assert!(places.iter().all(|place| *place <= 260.0));
        }
    }
}
