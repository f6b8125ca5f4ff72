//! Axes, and where values lie between them.

use super::canvas::{AXIS, Canvas, GRID, Side, width_of};
use super::numbers::{power_of_ten, short};

/// Width and height of a chart.
pub(super) const SIZE: (f64, f64) = (480.0, 284.0);
const LEFT: f64 = 54.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 42.0;

/// One axis: linear, or powers of ten.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    /// Its ends: values, or their logarithms to base 10.
    low: f64,
    high: f64,
    pub(super) log: bool,
    /// Values (or logarithms) with their labels.
    ticks: Vec<(f64, String)>,
}

/// Whether a value can be shown: far from the limits of its type, so that a range can be computed.
pub(super) fn shows(value: f64, log: bool) -> bool {
    if log { (1e-300..=1e300).contains(&value) } else { value.abs() <= 1e300 }
}

impl Axis {
    /// From 0 up; none without a value.
    pub(super) fn from_zero(values: impl Iterator<Item = f64>) -> Option<Self> {
        let (_, high) = range(values, false)?;
        if high <= 0.0 {
            return Some(Self::linear_between(0.0, 1.0));
        }
        let step = nice_step(high);
        Some(Self::linear_between(0.0, (high / step - 1e-9).ceil() * step))
    }

    /// Up to 1, as far down as needed.
    pub(super) fn up_to_one(values: impl Iterator<Item = f64>) -> Option<Self> {
        let (low, _) = range(values, false)?;
        let step = nice_step((1.0 - low).max(0.05));
        Some(Self::linear_between((low.min(1.0 - 5.0 * step) / step + 1e-9).floor() * step, 1.0))
    }

    /// As far as the values go, to round numbers.
    pub(super) fn linear(values: impl Iterator<Item = f64>) -> Option<Self> {
        let (low, high) = range(values, false)?;
        if low == high {
            let room = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
            return Some(Self::linear_between(low - room, high + room));
        }
        let step = nice_step(high - low);
        Some(Self::linear_between((low / step + 1e-9).floor() * step, (high / step - 1e-9).ceil() * step))
    }

    /// Whole powers of ten around the values.
    pub(super) fn decades(values: impl Iterator<Item = f64>) -> Option<Self> {
        let (low, high) = range(values, true)?;
        let low = low.log10().floor();
        Some(Self::log_between(low, high.log10().ceil().max(low + 1.0), false))
    }

    /// In log space, no further than the values and a little room.
    pub(super) fn log(values: impl Iterator<Item = f64>) -> Option<Self> {
        let (low, high) = range(values, true)?;
        let (low, high) = (low.log10(), high.log10());
        let room = ((high - low) * 0.03).max(0.02);
        Some(Self::log_between(low - room, high + room, true))
    }

    /// Counts from `first` to `last`, both with a tick.
    pub(super) fn counts(first: u32, last: u32) -> Self {
        let step = nice_step(f64::from(last.saturating_sub(first)).max(1.0)).max(1.0) as u32;
        let mut ticks: Vec<u32> = (first..=last).filter(|count| count % step == 0).collect();
        // The first and the last are worth a tick where their neighbour does not crowd them.
        if ticks.first().is_none_or(|&next| next > first && (next - first) * 2 >= step) {
            ticks.insert(0, first);
        }
        if ticks.last().is_some_and(|&before| before < last && (last - before) * 3 >= step * 2) {
            ticks.push(last);
        }
        let (low, high) = (f64::from(first), f64::from(last));
        let ticks = ticks.into_iter().map(|tick| (f64::from(tick), tick.to_string())).collect();
        Self { low, high, log: false, ticks }
    }

    fn linear_between(low: f64, high: f64) -> Self {
        let step = nice_step(high - low);
        let digits = (-step.log10().floor()).clamp(0.0, 300.0) as usize;
        let first = (low / step - 1e-9).ceil();
        let label = |value: f64| match value.abs() {
            _ if step >= 1e5 || (digits > 4 && value != 0.0) => short(value),
            _ => format!("{:.digits$}", if value == 0.0 { 0.0 } else { value }),
        };
        let ticks = (0..20)
            .map(|tick| (first + f64::from(tick)) * step)
            .take_while(|value| *value <= high + step * 1e-9)
            .map(|value| (value, label(value)))
            .collect();
        Self { low, high, log: false, ticks }
    }

    /// Between two logarithms. Below two decades, 2 and 5 are worth a tick as well where the axis is `fine`; above six, not
    /// every power of ten.
    fn log_between(low: f64, high: f64, fine: bool) -> Self {
        let step = (((high - low) / 6.0).ceil() as i32).max(1);
        let between: &[f64] = match high - low {
            span if fine && span < 0.7 => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0],
            span if fine && span < 2.0 => &[1.0, 2.0, 5.0],
            _ => &[1.0],
        };
        let mut ticks = Vec::new();
        for power in (low.floor() as i32..=high.ceil() as i32).filter(|power| power % step == 0) {
            for &digit in between {
                let at = f64::from(power) + digit.log10();
                if at >= low - 1e-9 && at <= high + 1e-9 {
                    let value = digit * 10f64.powi(power);
                    let plain = (0.01..1000.0).contains(&value) && between.len() > 1;
                    ticks.push((
                        at,
                        match digit {
                            _ if plain => format!("{value:.*}", decimals(value)),
                            1.0 => power_of_ten(power),
                            _ => format!("{digit}·{}", power_of_ten(power)),
                        },
                    ));
                }
            }
        }
        Self { low, high, log: true, ticks }
    }

    /// Whether the value can be shown here.
    pub(super) fn shows(&self, value: f64) -> bool {
        shows(value, self.log)
    }

    /// From 0 at its lower end to 1 at its upper, and no further.
    pub(super) fn share(&self, value: f64) -> f64 {
        let value = if self.log { value.log10() } else { value };
        let share = if self.low == self.high { 0.5 } else { (value - self.low) / (self.high - self.low) };
        if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) }
    }

    /// The labels, from low to high.
    #[cfg(test)]
    pub(super) fn labels(&self) -> Vec<&str> {
        self.ticks.iter().map(|(_, label)| label.as_str()).collect()
    }

    /// Where its ticks lie, and what they say.
    pub(super) fn marks(&self) -> impl Iterator<Item = (f64, &str)> {
        let span = if self.low == self.high { 1.0 } else { self.high - self.low };
        let middle = if self.low == self.high { 0.5 } else { 0.0 };
        self.ticks.iter().map(move |(at, label)| (middle + (at - self.low) / span, label.as_str()))
    }
}

/// Two axes around a chart.
#[derive(Debug, Clone)]
pub(super) struct Frame {
    pub(super) x: Axis,
    pub(super) y: Axis,
    /// What the horizontal axis counts.
    pub(super) name: String,
    /// Room for words at the right.
    pub(super) right: f64,
}

impl Frame {
    pub(super) fn left(&self) -> f64 {
        LEFT
    }

    pub(super) fn right(&self) -> f64 {
        SIZE.0 - self.right
    }

    pub(super) fn top(&self) -> f64 {
        TOP
    }

    pub(super) fn bottom(&self) -> f64 {
        SIZE.1 - BOTTOM
    }

    pub(super) fn at_x(&self, value: f64) -> f64 {
        self.left() + self.x.share(value) * (self.right() - self.left())
    }

    pub(super) fn at_y(&self, value: f64) -> f64 {
        self.bottom() - self.y.share(value) * (self.bottom() - self.top())
    }

    /// Lines to read values by, and the axes with their labels.
    pub(super) fn draw(&self, canvas: &Canvas<'_>) {
        let (left, right, top, bottom) = (self.left(), self.right(), self.top(), self.bottom());
        for (share, label) in self.y.marks() {
            let y = bottom - share * (bottom - top);
            canvas.line(&[(left, y), (right, y)], GRID, 1.0);
            canvas.text(label, (left - 7.0, y), AXIS, Side::Left);
        }
        // On a phone words are larger: their labels need more room than they take here.
        let mut free = f64::NEG_INFINITY;
        for (share, label) in self.x.marks() {
            let x = left + share * (right - left);
            let half = width_of(label) * 0.65;
            canvas.line(&[(x, bottom), (x, bottom + 4.0)], AXIS, 1.0);
            if x - half >= free {
                canvas.text(label, (x, bottom + 8.0), AXIS, Side::Below);
                free = x + half + 4.0;
            }
        }
        canvas.line(&[(left, bottom), (right, bottom)], AXIS, 1.0);
        canvas.text(&self.name, ((left + right) / 2.0, bottom + 26.0), AXIS, Side::Below);
    }
}

/// The least and the largest value that can be shown.
pub(super) fn range(values: impl Iterator<Item = f64>, log: bool) -> Option<(f64, f64)> {
    values.filter(|value| shows(*value, log)).fold(None, |range, value| match range {
        None => Some((value, value)),
        Some((low, high)) => Some((value.min(low), value.max(high))),
    })
}

/// 1, 2 or 5 times a power of ten: four to eight steps in the range.
fn nice_step(range: f64) -> f64 {
    let rough = range / 5.0;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0].into_iter().find(|step| rough <= step * power * 1.5).unwrap_or(10.0);
    (step * power).max(f64::MIN_POSITIVE)
}

/// Decimals that show a number of two digits.
fn decimals(value: f64) -> usize {
    let leading = (-value.log10().floor()).max(0.0) as usize;
    let scaled = value * 10f64.powi(leading as i32);
    if (scaled - scaled.round()).abs() < 1e-6 { leading } else { leading + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(axis: Option<Axis>) -> Vec<String> {
        axis.unwrap().labels().into_iter().map(String::from).collect()
    }

    #[test]
    fn axes_have_round_ticks() {
        fn of(values: &[f64]) -> impl Iterator<Item = f64> {
            values.iter().copied()
        }
        assert_eq!(labels(Axis::from_zero(of(&[0.93, 0.1]))), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(Axis::from_zero(of(&[0.0]))), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(
            labels(Axis::up_to_one(of(&[0.91, 0.99]))),
            ["0.90", "0.92", "0.94", "0.96", "0.98", "1.00"]
        );
        assert_eq!(labels(Axis::up_to_one(of(&[1.0]))), ["0.95", "0.96", "0.97", "0.98", "0.99", "1.00"]);
        assert_eq!(labels(Axis::decades(of(&[2e-4, 3e-2]))), ["10⁻⁴", "10⁻³", "10⁻²", "10⁻¹"]);
        assert_eq!(labels(Axis::decades(of(&[1e-3]))), ["10⁻³", "10⁻²"]);
        assert_eq!(labels(Axis::linear(of(&[-1.0, 1.0]))), ["-1.0", "-0.5", "0.0", "0.5", "1.0"]);
        assert_eq!(labels(Axis::log(of(&[1e-6, 1e6]))), ["10⁻⁶", "10⁻³", "10⁰", "10³", "10⁶"]);
        assert_eq!(labels(Axis::log(of(&[1e-300, 1e300]))).len(), 7);
        assert_eq!(labels(Axis::log(of(&[16.0, 512.0]))), ["20", "50", "100", "200", "500"]);
    }

    #[test]
    fn the_first_and_the_last_count_are_ticks() {
        assert_eq!(Axis::counts(1, 137).labels(), ["1", "20", "40", "60", "80", "100", "120", "137"]);
        assert_eq!(Axis::counts(1, 1).labels(), ["1"]);
    }

    proptest! {
        #[test]
        fn every_value_has_a_place(values in proptest::collection::vec(any::<f64>(), 1..8)) {
            let of = || values.iter().copied();
            let axes = [Axis::from_zero(of()), Axis::up_to_one(of()), Axis::linear(of()), Axis::decades(of()), Axis::log(of())];
            for axis in axes.into_iter().flatten() {
                prop_assert!(axis.ticks.len() <= 60, "{} ticks", axis.ticks.len());
                for value in &values {
                    prop_assert!((0.0..=1.0).contains(&axis.share(*value)));
                }
                for (share, _) in axis.marks() {
                    prop_assert!((-1e-6..=1.0 + 1e-6).contains(&share), "{axis:?}");
                }
            }
        }
    }
}
