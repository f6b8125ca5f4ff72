//! What the course of a loss says of the learning rate and the start, and what validation says of the model's size.

use super::Verdict;
use super::trial::EXPLODED;
use crate::Element;

/// Parts that a curve is averaged in, so that noise does not decide.
const PARTS: usize = 20;
/// Values that tell where it begins.
const FEW: usize = 5;

/// The shapes of a loss curve (CS231n, "Babysitting the learning process").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossShape {
    /// Falls fast, then levels off low.
    Good,
    /// Barely falls at all: the learning rate is far too low, or nothing comes back to the weights.
    Flat,
    /// Falls in a straight line and is far from done: the learning rate is low.
    Linear,
    /// Falls fast and then stalls high: the learning rate is high, or the model too small.
    Stalled,
    /// Stays where it began for long, then drops: a bad initialisation.
    Plateau,
    /// Grows: the learning rate is far too high.
    Exploding,
}

/// What [`loss_curve`] found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossCurve {
    /// The mean of the first twentieth.
    pub first: f64,
    /// The mean of the last twentieth.
    pub last: f64,
    /// The share of the curve before it has fallen by a fiftieth.
    pub plateau: f64,
    /// Its shape.
    pub shape: LossShape,
}

impl LossCurve {
    /// A good one passes, a flat or an exploding one fails.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.shape {
            LossShape::Good => Verdict::Pass,
            LossShape::Linear | LossShape::Stalled | LossShape::Plateau => Verdict::Warn,
            LossShape::Flat | LossShape::Exploding => Verdict::Fail,
        }
    }
}

/// The shape of a curve of losses, step by step. Of no values it is flat.
///
/// ```
/// use slicewise::check::{LossShape, loss_curve};
///
/// let falling: [f64; 100] = core::array::from_fn(|step| 2.3 * 0.95f64.powi(step as i32));
/// assert_eq!(loss_curve(&falling).shape, LossShape::Good);
/// assert_eq!(loss_curve(&[2.3; 100]).shape, LossShape::Flat);
/// ```
#[must_use]
pub fn loss_curve(losses: &[f64]) -> LossCurve {
    let mut means = [f64::NAN; PARTS];
    let len = losses.len();
    for (part, to) in means.iter_mut().enumerate() {
        let (from, end) = (len * part / PARTS, (len * (part + 1) / PARTS).max(len * part / PARTS + 1));
        let values = losses.get(from..end.min(len)).unwrap_or_default();
        *to = values.iter().sum::<f64>() / count(values.len());
    }
    let [first, .., last] = means;
    // The very first values: the first mean may hide a fall within it.
    let few = losses.get(..len.min(FEW)).unwrap_or_default();
    let start = (few.iter().sum::<f64>() / count(few.len())).max(first);
    let middle = means.get(PARTS / 2).copied().unwrap_or(last);
    let lowest = means.iter().copied().fold(f64::INFINITY, f64::min);
    let moved = means.iter().position(|mean| *mean < 0.98 * start).unwrap_or(PARTS);
    let plateau = count(moved) / count(PARTS);
    let fall = (start - last) / start;
    let (early, late) = (start - middle, middle - last);
    let fifth = means.get(PARTS / 5).copied().unwrap_or(last);
    let shape = if means.iter().any(|mean| !mean.is_finite()) && len > 0 || last > EXPLODED * start {
        LossShape::Exploding
    } else if fall < 0.05 || fall.is_nan() {
        // Having been low, and come back, it is no flat one.
        if lowest < 0.8 * start { LossShape::Stalled } else { LossShape::Flat }
    } else if plateau > 0.2 && fall > 0.2 {
        LossShape::Plateau
    } else if late > 0.7 * early && last > 0.4 * start {
        LossShape::Linear
    } else if last > 0.6 * start && start - fifth > 0.8 * (start - last) {
        LossShape::Stalled
    } else {
        LossShape::Good
    };
    LossCurve { first, last, plateau, shape }
}

/// Between rows that were learned from and others.
///
/// ```
/// use slicewise::check::{Gap, Verdict};
///
/// let healthy = Gap { train: 0.99, validation: 0.97, commonest: 0.1, rows: 300 };
/// assert_eq!(healthy.verdict(), Verdict::Pass);
/// let labels_shuffled = Gap { validation: 0.11, ..healthy };
/// assert!(labels_shuffled.is_chance());
/// assert_eq!(labels_shuffled.verdict(), Verdict::Fail);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gap {
    /// The accuracy on rows that were learned from.
    pub train: f64,
    /// The accuracy on others.
    pub validation: f64,
    /// The share of the commonest class among the others: what guessing reaches.
    pub commonest: f64,
    /// The others.
    pub rows: usize,
}

impl Gap {
    /// A larger gap means that the model overfits.
    pub const LARGE: f64 = 0.15;
    /// A smaller gap means that a larger model may learn more.
    pub const SMALL: f64 = 0.02;

    /// `train - validation`.
    #[must_use]
    pub fn gap(&self) -> f64 {
        self.train - self.validation
    }

    /// Whether validation is no better than guessing, within four standard deviations of luck.
    #[must_use]
    pub fn is_chance(&self) -> bool {
        let luck = Element::sqrt(self.commonest * (1.0 - self.commonest) / count(self.rows.max(1)));
        self.validation <= self.commonest + 4.0 * luck
    }

    /// Validation no better than guessing fails; a large gap, or none where a quarter of the learned rows is still wrong,
    /// warns.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.is_chance() || !self.validation.is_finite() {
            Verdict::Fail
        } else if self.gap() > Self::LARGE || (self.gap() < Self::SMALL && self.train < 0.75) {
            Verdict::Warn
        } else {
            Verdict::Pass
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_shape(expected: LossShape, loss: impl FnMut(usize) -> f64) {
        let losses: [f64; 200] = core::array::from_fn(loss);
        let curve = loss_curve(&losses);
        assert_eq!(curve.shape, expected, "{curve:?}");
    }

    #[test]
    fn every_shape_is_told_from_the_others() {
        // Noise as of batches.
        let noise = |step: usize| 0.05 * f64::from((step * 7919 % 101) as u8) / 101.0 - 0.025;
        assert_shape(LossShape::Good, |step| 0.1 + 2.2 * 0.97f64.powi(step as i32) + noise(step));
        assert_shape(LossShape::Flat, |step| 2.3 - 1e-6 * step as f64);
        assert_shape(LossShape::Linear, |step| 2.3 - 0.004 * step as f64 + noise(step));
        assert_shape(LossShape::Stalled, |step| 1.6 + 0.7 * 0.8f64.powi(step as i32) + noise(step));
        assert_shape(LossShape::Plateau, |step| {
            if step < 100 { 2.3 } else { 0.2 + 2.1 * 0.95f64.powi(step as i32 - 100) }
        });
        assert_shape(LossShape::Exploding, |step| 2.3 * 1.05f64.powi(step as i32));
        assert_shape(LossShape::Exploding, |step| if step < 100 { 2.3 } else { f64::NAN });
    }

    #[test]
    fn a_gap_is_large_small_or_by_chance() {
        let gap = Gap { train: 0.9, validation: 0.88, commonest: 0.1, rows: 1000 };
        assert_eq!(gap.verdict(), Verdict::Pass);
        assert_eq!(Gap { validation: 0.7, ..gap }.verdict(), Verdict::Warn);
        assert_eq!(Gap { train: 0.5, validation: 0.5, ..gap }.verdict(), Verdict::Warn);
        assert_eq!(Gap { validation: 0.13, ..gap }.verdict(), Verdict::Fail);
        assert_eq!(Gap { validation: f64::NAN, ..gap }.verdict(), Verdict::Fail);
        assert!(!Gap { validation: 0.15, ..gap }.is_chance());
    }
}
