//! Hyper-parameter search: where values are looked for, and where the next round looks.
//!
//! A search goes from coarse to fine (CS231n, "Hyperparameter Optimization"): few epochs over wide ranges, then more epochs
//! over what the best of them have in common. Values are drawn at random, because a grid spends most of its trials on
//! repeating the few values of the one parameter that matters (Bergstra and Bengio 2012); what multiplies, such as a
//! learning rate or a penalty, is drawn in log space.
//!
//! A value follows from the search's seed, the trial's number and the parameter's place alone: any process can run any
//! trial, in any order.
//!
//! ```
//! use slicewise::search::{Edge, Range};
//!
//! let rates = Range::log_uniform(1e-6, 1e-3)?;
//! let rate = rates.draw(1, 17, 0); // seed 1, trial 17, the first parameter
//! assert!((1e-6..=1e-3).contains(&rate));
//! // The best three trials, the best one first: it lies at the edge, and better ones may lie beyond.
//! let (finer, edge) = rates.refine(&[9.5e-4, 4e-4, 3e-4]);
//! assert_eq!(edge, Some(Edge::High));
//! assert!(finer.low() > 1e-4 && finer.high() > 1e-3);
//! # Ok::<(), slicewise::Error>(())
//! ```

use rand_core::Rng;
use rand_pcg::Pcg64;

use crate::Error;
use crate::error::expect_len;
use crate::kernels::{Element, ShapeError, ValueError};

/// A best value this near to an end of its range, as a share of the range in its own space, lies at the edge. CS231n's best
/// learning rate, 9.47e-4 of 1e-4..1e-3, is 0.024 away.
pub const EDGE: f64 = 0.05;
/// What a range grows by at an edge, as a share of the range in its own space.
pub const WIDENING: f64 = 0.25;
/// What is kept around the best values on both sides, as a share of the range in its own space.
pub const MARGIN: f64 = 0.05;
/// How many times its first loss is too much for a trial (CS231n, "Babysitting the learning process").
pub const EXPLODED: f64 = 3.0;

/// Draws come from one stream, apart from those of shuffles and first weights. (A stream for each trial would not do: the
/// first numbers of neighbouring streams are not independent.)
const STREAM: u128 = 1 << 64;
/// Numbers of the stream for each trial.
const PLACES: u128 = 256;

/// The values that a parameter may take, ends included, evenly likely in the range's own space: the values themselves or
/// their logarithms.
///
/// A *position* is a place in that space: 0 is the low end, 1 the high one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    low: f64,
    high: f64,
    log: bool,
    integer: bool,
}

/// An end of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// The low end.
    Low,
    /// The high end.
    High,
}

impl Range {
    /// Real numbers, `low + u (high - low)` for a uniform u.
    ///
    /// ```
    /// let dropout = slicewise::search::Range::uniform(0.0, 0.5)?;
    /// assert_eq!(dropout.at(0.5), 0.25);
    /// # Ok::<(), slicewise::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Value`] unless `low <= high`, both and their distance finite.
    pub fn uniform(low: f64, high: f64) -> Result<Self, Error> {
        Self { low, high, log: false, integer: false }.checked()
    }

    /// Real numbers whose logarithm is uniform, `exp(ln low + u (ln high - ln low))`: CS231n's `10 ** uniform(-6, -3)` is
    /// `log_uniform(1e-6, 1e-3)`.
    ///
    /// ```
    /// let rates = slicewise::search::Range::log_uniform(1e-4, 1e-2)?;
    /// assert!((rates.at(0.5) - 1e-3).abs() < 1e-15);
    /// # Ok::<(), slicewise::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Value`] unless `0 < low <= high`, both finite.
    pub fn log_uniform(low: f64, high: f64) -> Result<Self, Error> {
        Self { low, high, log: true, integer: false }.checked()
    }

    /// Whole numbers whose logarithm is uniform, rounded to the nearest: widths of layers, where 64 and 128 are as far apart
    /// as 512 and 1024.
    ///
    /// ```
    /// let widths = slicewise::search::Range::integer(16, 256)?;
    /// assert_eq!(widths.at(0.5), 64.0);
    /// # Ok::<(), slicewise::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Value`] unless `1 <= low <= high`.
    pub fn integer(low: u32, high: u32) -> Result<Self, Error> {
        Self { low: low.into(), high: high.into(), log: true, integer: true }.checked()
    }

    fn checked(self) -> Result<Self, Error> {
        let Self { low, high, log, .. } = self;
        if !low.is_finite() || (log && low <= 0.0) {
            return Err(ValueError { argument: "low", value: low }.into());
        }
        if high < low || !(high - low).is_finite() {
            return Err(ValueError { argument: "high", value: high }.into());
        }
        Ok(self)
    }

    /// The smallest value.
    #[must_use]
    pub const fn low(self) -> f64 {
        self.low
    }

    /// The largest value.
    #[must_use]
    pub const fn high(self) -> f64 {
        self.high
    }

    /// Whether its own space is that of logarithms.
    #[must_use]
    pub const fn is_log(self) -> bool {
        self.log
    }

    /// Whether its values are whole numbers.
    #[must_use]
    pub const fn is_integer(self) -> bool {
        self.integer
    }

    /// The value at a position. A position beyond 0..1, or NaN, gives the nearer end.
    ///
    /// ```
    /// let widths = slicewise::search::Range::integer(10, 1000)?;
    /// assert_eq!([0.0, 0.5, 1.0, 7.0].map(|position| widths.at(position)), [10.0, 100.0, 1000.0, 1000.0]);
    /// # Ok::<(), slicewise::Error>(())
    /// ```
    #[must_use]
    pub fn at(self, position: f64) -> f64 {
        // The ends are exact: a logarithm and back is not.
        if position >= 1.0 {
            return self.high;
        }
        if position > 0.0 { self.beyond(position).max(self.low).min(self.high) } else { self.low }
    }

    /// Where a value lies: 0 at the low end, 1 at the high end, outside beyond them; 0.5 where there is one value only.
    ///
    /// ```
    /// // The lecture's coarse best, 4.3e-4 of 1e-6..1e-3.
    /// let rates = slicewise::search::Range::log_uniform(1e-6, 1e-3)?;
    /// assert!((rates.position(4.3e-4) - 0.878).abs() < 1e-3);
    /// # Ok::<(), slicewise::Error>(())
    /// ```
    #[must_use]
    pub fn position(self, value: f64) -> f64 {
        let (low, high) = (self.to_space(self.low), self.to_space(self.high));
        if low < high { (self.to_space(value) - low) / (high - low) } else { 0.5 }
    }

    /// The value of a trial's parameter: at a uniform position, number `256 trial + parameter` of the PCG64 stream that the
    /// search's seed begins (Bergstra and Bengio 2012 on why random).
    ///
    /// ```
    /// let rates = slicewise::search::Range::log_uniform(1e-6, 1e-3)?;
    /// assert_eq!(rates.draw(1, 17, 0), rates.draw(1, 17, 0));
    /// assert_ne!(rates.draw(1, 17, 0), rates.draw(1, 18, 0));
    /// # Ok::<(), slicewise::Error>(())
    /// ```
    #[must_use]
    pub fn draw(self, seed: u64, trial: u64, parameter: u32) -> f64 {
        let mut rng = Pcg64::new(u128::from(seed), STREAM);
        rng.advance(u128::from(trial) * PLACES + u128::from(parameter));
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let position = (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        self.at(position)
    }

    /// Point `index` of `count` evenly spaced ones, both ends among them; the middle where there is one.
    ///
    /// ```
    /// let rates = slicewise::search::Range::log_uniform(1e-4, 1e-2)?;
    /// assert_eq!([rates.point(0, 3), rates.point(2, 3)], [1e-4, 1e-2]);
    /// # Ok::<(), slicewise::Error>(())
    /// ```
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share, rounded")]
    pub fn point(self, index: usize, count: usize) -> f64 {
        self.at(if count > 1 { index as f64 / (count - 1) as f64 } else { 0.5 })
    }

    /// How many points a grid can have here: as many as there are whole numbers.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole numbers of a u32")]
    pub fn points(self) -> usize {
        match (self.low < self.high, self.integer) {
            (false, _) => 1,
            (true, true) => (self.high - self.low) as usize + 1,
            (true, false) => usize::MAX,
        }
    }

    /// The edge that a value lies at: within [`EDGE`] of it.
    ///
    /// ```
    /// use slicewise::search::{Edge, Range};
    ///
    /// let rates = Range::log_uniform(1e-4, 1e-3)?;
    /// assert_eq!(rates.edge(9.471549e-4), Some(Edge::High)); // the lecture's fine best
    /// assert_eq!(rates.edge(4e-4), None);
    /// # Ok::<(), slicewise::Error>(())
    /// ```
    #[must_use]
    pub fn edge(self, value: f64) -> Option<Edge> {
        let position = self.position(value);
        if self.low == self.high {
            None
        } else if position <= EDGE {
            Some(Edge::Low)
        } else if position >= 1.0 - EDGE {
            Some(Edge::High)
        } else {
            None
        }
    }

    /// The range of the next round, from the best values of this one, the best of all first: what they span, with
    /// [`MARGIN`] on both sides, within this range. Where the best of all lies at an edge, the next range reaches beyond it
    /// by [`WIDENING`].
    ///
    /// A parameter that matters narrows, since its good values lie together; one that does not, hardly does. No values leave
    /// the range as it is.
    #[must_use]
    pub fn refine(self, best: &[f64]) -> (Self, Option<Edge>) {
        let Some(first) = best.first() else { return (self, None) };
        let positions = best.iter().map(|value| self.position(*value));
        let (least, most) = positions
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), p| (least.min(p), most.max(p)));
        if least > most {
            // None of them is a number.
            return (self, None);
        }
        let mut next = Self { low: self.at(least - MARGIN), high: self.at(most + MARGIN), ..self };
        let edge = self.edge(*first);
        match edge {
            Some(Edge::Low) => next.low = self.beyond(-WIDENING).min(next.low),
            Some(Edge::High) => next.high = self.beyond(1.0 + WIDENING).max(next.high),
            None => {}
        }
        (next, edge)
    }

    /// What of the range lies within other bounds; the nearer bound where nothing does.
    ///
    /// ```
    /// let dropout = slicewise::search::Range::uniform(-0.1, 0.4)?;
    /// assert_eq!(dropout.within(0.0, 0.9).low(), 0.0);
    /// # Ok::<(), slicewise::Error>(())
    /// ```
    #[must_use]
    pub fn within(self, low: f64, high: f64) -> Self {
        let inside = |value: f64| value.max(low).min(high);
        Self { low: inside(self.low), high: inside(self.high), ..self }
    }

    /// The value at a position, beyond the ends too.
    fn beyond(self, position: f64) -> f64 {
        let (low, high) = (self.to_space(self.low), self.to_space(self.high));
        let place = low + position * (high - low);
        let value = if self.log {
            Element::exp(place).clamp(f64::MIN_POSITIVE, f64::MAX)
        } else {
            place.clamp(f64::MIN, f64::MAX)
        };
        if self.integer { nearest(value) } else { value }
    }

    fn to_space(self, value: f64) -> f64 {
        if self.log { Element::ln(value) } else { value }
    }
}

/// The nearest whole number from 1 on. `core` has no `round`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn nearest(value: f64) -> f64 {
    f64::from(((value + 0.5) as u32).max(1))
}

/// The points of each axis of a grid of up to `trials` points: as even as can be, more on earlier axes, never more than an
/// axis' limit ([`Range::points`]). Returns their product.
///
/// ```
/// let mut counts = [0; 2];
/// let points = slicewise::search::grid_counts(60, &[usize::MAX, usize::MAX], &mut counts)?;
/// assert_eq!((points, counts), (56, [8, 7]));
/// # Ok::<(), slicewise::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] unless there is one count for each limit, and one trial or more.
pub fn grid_counts(trials: usize, limits: &[usize], counts: &mut [usize]) -> Result<usize, Error> {
    expect_len("counts", limits.len(), counts.len())?;
    if trials == 0 {
        return Err(ShapeError { argument: "trials", expected: 1, actual: 0 }.into());
    }
    counts.fill(1);
    let mut points = 1usize;
    loop {
        // An axis gets another point: of those that can, the first of the shortest.
        let grown = |count: usize| points.checked_div(count).map(|rest| rest.saturating_mul(count + 1));
        let axis = counts
            .iter_mut()
            .zip(limits)
            .filter(|(count, limit)| **count < **limit && grown(**count).is_some_and(|n| n <= trials))
            .min_by_key(|(count, _)| **count);
        let Some((count, _)) = axis else { return Ok(points) };
        points = grown(*count).unwrap_or(points);
        *count += 1;
    }
}

/// The place on one axis of a grid's point: the first axis changes fastest.
///
/// ```
/// use slicewise::search::grid_place;
///
/// let counts = [3, 2];
/// let points: [[usize; 2]; 6] = core::array::from_fn(|i| [0, 1].map(|axis| grid_place(i, &counts, axis)));
/// assert_eq!(points, [[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]]);
/// ```
#[must_use]
pub fn grid_place(index: usize, counts: &[usize], axis: usize) -> usize {
    let (before, after) = counts.split_at_checked(axis).unwrap_or((counts, &[]));
    let stride = before.iter().fold(1usize, |product, count| product.saturating_mul(*count));
    let place = index.checked_div(stride).unwrap_or(0);
    after.first().and_then(|count| place.checked_rem(*count)).unwrap_or(0)
}

/// Whether a trial should stop: its loss has passed [`EXPLODED`] times its first one, or is no number.
///
/// ```
/// use slicewise::search::exploded;
///
/// assert!(!exploded(6.9, 2.302585) && exploded(7.0, 2.302585) && exploded(f64::NAN, 2.302585));
/// ```
#[must_use]
pub fn exploded(loss: f64, first: f64) -> bool {
    loss.is_nan() || loss > EXPLODED * first
}

/// Successive halving (Jamieson and Talwalkar 2016): all trials train for a few epochs, the best 1 / eta of them for eta
/// times as many, and so on, until the last ones have trained for all.
///
/// ```
/// use slicewise::search::{Halving, Rung};
///
/// let halving = Halving::new(27, 9, 3)?;
/// assert_eq!(halving.rungs(), 3);
/// assert_eq!(halving.rung(0), Rung { trials: 27, epochs: 1 });
/// assert_eq!(halving.rung(1), Rung { trials: 9, epochs: 3 });
/// assert_eq!(halving.rung(2), Rung { trials: 3, epochs: 9 });
/// # Ok::<(), slicewise::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Halving {
    trials: usize,
    epochs: u32,
    eta: u32,
    rungs: u32,
}

/// A step of [`Halving`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Trials that take part.
    pub trials: usize,
    /// Epochs that each has trained for at its end.
    pub epochs: u32,
}

impl Halving {
    /// As many rungs as leave every one of them a trial and an epoch.
    ///
    /// # Errors
    /// [`Error::Shape`] for no trials, no epochs, or an `eta` below 2.
    pub fn new(trials: usize, epochs: u32, eta: u32) -> Result<Self, Error> {
        let wanted = |argument, expected, actual| Err(ShapeError { argument, expected, actual }.into());
        match (trials, epochs, eta) {
            (0, ..) => wanted("trials", 1, 0),
            (_, 0, _) => wanted("epochs", 1, 0),
            (.., 0 | 1) => wanted("eta", 2, eta as usize),
            _ => {
                let halvings = trials.checked_ilog(eta as usize).min(epochs.checked_ilog(eta));
                let rungs = 1 + halvings.unwrap_or(0);
                Ok(Self { trials, epochs, eta, rungs })
            }
        }
    }

    /// All trials in one rung: no halving.
    #[must_use]
    pub const fn none(trials: usize, epochs: u32) -> Self {
        Self { trials, epochs, eta: 2, rungs: 1 }
    }

    /// How many rungs there are.
    #[must_use]
    pub const fn rungs(self) -> u32 {
        self.rungs
    }

    /// A rung, from 0; the last one for numbers beyond it.
    #[must_use]
    pub fn rung(self, index: u32) -> Rung {
        let last = self.rungs.saturating_sub(1);
        let index = index.min(last);
        let divided = |whole: usize, times: u32| {
            whole.checked_div((self.eta as usize).saturating_pow(times)).unwrap_or(0)
        };
        #[expect(clippy::cast_possible_truncation, reason = "no more than a u32")]
        let epochs = divided(self.epochs as usize, last - index) as u32;
        Rung { trials: divided(self.trials, index), epochs }
    }
}

#[cfg(test)]
mod tests;
