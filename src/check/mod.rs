//! Is it healthy? The checks of CS231n's "Babysitting the learning process" and "Gradient checks", on a bound network and
//! memory that the caller lends: none allocates, each returns the numbers and a [`Verdict`].
//!
//! | check | what it asks |
//! |---|---|
//! | [`gradient`] | do the analytic gradients agree with centred differences? |
//! | [`initial_loss`] | does it begin at `ln C`, knowing nothing? |
//! | [`regularisation`] | does the penalty raise the loss by `0.5 * reg * sum W^2`, and pull the weights by `reg * W`? |
//! | [`overfit`] | can it learn twenty rows by heart? |
//! | [`sweep`] | which learning rates can be used? |
//! | [`inputs`], [`signal`], [`equal_units`] | do inputs, and what comes through the layers, keep their size? |
//! | [`add_update_ratios`], [`judge_update_ratio`] | are updates about a thousandth of the weights? |
//! | [`loss_curve`] | does the loss fall as it should? |
//! | [`Gap`] | does what is learned hold for other rows? |
//!
//! Checks that train leave the network trained, and those that run forward move its running statistics:
//! [`Saved`](crate::Saved) brings it back.

mod curve;
mod gradient;
mod loss;
mod rate;
mod signal;
mod trial;

pub use curve::{Gap, LossCurve, LossShape, loss_curve};
pub use gradient::{GRADIENT_STEP, GradientCheck, Parameter, Sample, gradient};
pub use loss::{InitialLoss, Regularisation, initial_loss, regularisation};
pub use rate::{RateJudgement, RatePoint, Sweep, judge_rates, sweep};
pub use signal::{
    InputStatistics, Signal, UPDATE_RATIO, add_update_ratios, equal_units, inputs, judge_update_ratio, signal,
};
pub use trial::{EXPLODED, Lent, Overfit, Rows, Trial, overfit, trial};

/// What a check makes of its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Pass,
    /// It may be right, and is worth a look.
    Warn,
    /// Something is wrong.
    Fail,
}
