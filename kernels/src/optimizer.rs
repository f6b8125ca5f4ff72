//! Optimizers: one step of gradient descent on a slice of weights.

use crate::error::{expect_at_least, expect_len};
use crate::once::compiled_once;
use crate::simd::dispatch;
use crate::{Element, Level, Serial, ShapeError, optimizer_step_on};
use lanes::step_kernel;

mod lanes;

/// A rule that turns gradients into updates, with its hyper-parameters.
///
/// Below, `g` is the gradient with the regularisation added, `W` a weight, `lr` the learning rate; everything is
/// element by element, and state starts at 0. The conventions are PyTorch's.
///
/// ```
/// use slicewise_kernels::Optimizer;
///
/// assert_eq!(Optimizer::momentum(), Optimizer::Momentum { momentum: 0.9 });
/// assert_eq!(Optimizer::adam().state_slots(), 2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// Stochastic gradient descent: `W -= lr * g`. No state.
    Sgd,
    /// `v = momentum * v + g; W -= lr * v`, with `v` in the first slot (Polyak 1964).
    ///
    /// CS231n writes `u = momentum * u - lr * g; W += u`: the same steps with `u = -lr * v`, as long as the
    /// learning rate does not change. Where it does, the new rate here applies to the whole velocity at once.
    Momentum {
        /// How much of the velocity is kept, in [0, 1).
        momentum: f64,
    },
    /// `v = momentum * v + g; W -= lr * (g + momentum * v)`, with `v` in the first slot (Nesterov 1983; Sutskever
    /// et al. 2013).
    ///
    /// CS231n writes `p = u; u = momentum * u - lr * g; W += -momentum * p + (1 + momentum) * u`: the same steps
    /// with `u = -lr * v`.
    Nesterov {
        /// How much of the velocity is kept, in [0, 1).
        momentum: f64,
    },
    /// `m = beta1 * m + (1 - beta1) * g; v = beta2 * v + (1 - beta2) * g^2;`
    /// `W -= lr * m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon)`, with `m` in the first slot and `v` in
    /// the second (Kingma & Ba, Adam, 2015).
    Adam {
        /// Decay of the mean of the gradients, in [0, 1).
        beta1: f64,
        /// Decay of the mean of their squares, in [0, 1).
        beta2: f64,
        /// Keeps the quotient finite; above 0, as a `T` too.
        epsilon: f64,
    },
    /// [`Adam`](Optimizer::Adam), and `W -= lr * weight_decay * W`, which does not go through the gradient and its
    /// averages (Loshchilov & Hutter, Decoupled Weight Decay Regularization, 2019).
    AdamW {
        /// Decay of the mean of the gradients, in [0, 1).
        beta1: f64,
        /// Decay of the mean of their squares, in [0, 1).
        beta2: f64,
        /// Keeps the quotient finite; above 0, as a `T` too.
        epsilon: f64,
        /// The part of a weight that a learning rate of 1 takes away.
        weight_decay: f64,
    },
    /// `v = decay * v + (1 - decay) * g^2; W -= lr * g / (sqrt(v) + epsilon)`, with `v` in the first slot (Tieleman
    /// & Hinton, Lecture 6.5, 2012).
    RmsProp {
        /// Decay of the mean of the squares, in [0, 1).
        decay: f64,
        /// Keeps the quotient finite; above 0, as a `T` too.
        epsilon: f64,
    },
    /// `v = v + g^2; W -= lr * g / (sqrt(v) + epsilon)`, with `v` in the first slot (Duchi et al. 2011).
    Adagrad {
        /// Keeps the quotient finite; above 0, as a `T` too.
        epsilon: f64,
    },
}

impl Optimizer {
    /// [`Momentum`](Optimizer::Momentum) of 0.9.
    #[must_use]
    pub const fn momentum() -> Self {
        Self::Momentum { momentum: 0.9 }
    }

    /// [`Nesterov`](Optimizer::Nesterov) momentum of 0.9.
    #[must_use]
    pub const fn nesterov() -> Self {
        Self::Nesterov { momentum: 0.9 }
    }

    /// [`Adam`](Optimizer::Adam) with the paper's 0.9, 0.999 and 1e-8.
    #[must_use]
    pub const fn adam() -> Self {
        Self::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 }
    }

    /// [`AdamW`](Optimizer::AdamW) with 0.9, 0.999, 1e-8 and a weight decay of 0.01.
    #[must_use]
    pub const fn adam_w() -> Self {
        Self::AdamW { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01 }
    }

    /// [`RmsProp`](Optimizer::RmsProp) with a decay of 0.99 and 1e-8.
    #[must_use]
    pub const fn rms_prop() -> Self {
        Self::RmsProp { decay: 0.99, epsilon: 1e-8 }
    }

    /// [`Adagrad`](Optimizer::Adagrad) with 1e-10.
    #[must_use]
    pub const fn adagrad() -> Self {
        Self::Adagrad { epsilon: 1e-10 }
    }

    /// How many numbers it keeps for each weight: 0, 1 or 2.
    #[must_use]
    pub const fn state_slots(&self) -> usize {
        match self {
            Self::Sgd => 0,
            Self::Momentum { .. } | Self::Nesterov { .. } | Self::RmsProp { .. } | Self::Adagrad { .. } => 1,
            Self::Adam { .. } | Self::AdamW { .. } => 2,
        }
    }
}

/// What [`optimizer_step`] does to every weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The rule.
    pub optimizer: Optimizer,
    /// How far to go.
    pub learning_rate: f64,
    /// The strength of the penalty `0.5 * regularisation * sum W^2`, whose gradient `regularisation * W` is added
    /// to the gradient given. 0 for biases and other parameters that are not penalised.
    pub regularisation: f64,
    /// The number of this step, 1 for the first. Adam's bias correction asks for it.
    pub t: u64,
}

/// How large a step was: what [`optimizer_step`] reports.
///
/// Their ratio says whether the learning rate fits: about `1e-3` after warm-up (CS231n, Babysitting the learning
/// process). Both are sums of squares, so that those of several slices add up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct UpdateNorms {
    /// `sum (lr * d)^2`, where the step was `W -= lr * d`.
    pub update: f64,
    /// `sum W^2` of the weights before the step.
    pub weights: f64,
}

impl UpdateNorms {
    /// `||update|| / ||W||`. NaN where both are 0, infinite where only `W` is.
    ///
    /// ```
    /// use slicewise_kernels::UpdateNorms;
    ///
    /// assert_eq!(UpdateNorms { update: 1e-6, weights: 1.0 }.ratio(), 1e-3);
    /// ```
    #[must_use]
    pub fn ratio(&self) -> f64 {
        libm::sqrt(self.update / self.weights)
    }
}

/// Takes one step down the gradient.
///
/// `weights`, `gradient`: `n` elements; `first`, `second`: the `n` elements of state in each slot that the optimizer
/// [has](Optimizer::state_slots), 0 before the first step. A slot that it does not have is not looked at and
/// may be empty. Everything is read and written once.
///
/// Hyper-parameters are rounded to `T`. They are not checked: outside the ranges given at [`Optimizer`] the formulas
/// hold as they stand, and may give NaN.
///
/// The norms are summed in `T` over 256 blocks, then in `f64`, in an order that the length fixes: for `f32` they are exact to 2e-5 at any length, but a
/// `d` or a weight below `1e-19` counts with less, below `1e-23` with none of its square, and above `1.8e19` the sum
/// is infinite.
///
/// ```
/// use slicewise_kernels::{Level, Optimizer, Step, optimizer_step};
///
/// let step = Step { optimizer: Optimizer::Sgd, learning_rate: 0.5, regularisation: 0.0, t: 1 };
/// let mut w = [1.0f32, 2.0];
/// let norms = optimizer_step(Level::detect(), &step, &mut w, &[2.0, -2.0], &mut [], &mut [])?;
/// assert_eq!(w, [0.0, 3.0]);
/// assert_eq!((norms.update, norms.weights), (2.0, 5.0));
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless `gradient` and every slot of state are as long as `weights`, and `t` is at least 1.
pub fn optimizer_step<T: Element>(
    level: Level,
    step: &Step,
    weights: &mut [T],
    gradient: &[T],
    first: &mut [T],
    second: &mut [T],
) -> Result<UpdateNorms, ShapeError> {
    optimizer_step_on(&Serial, level, step, weights, gradient, first, second)
}

/// What [`optimizer_step`] promises to check.
pub(crate) fn check_step<T>(
    step: &Step,
    weights: &[T],
    gradient: &[T],
    first: &[T],
    second: &[T],
) -> Result<(), ShapeError> {
    expect_len("gradient", weights.len(), gradient.len())?;
    if step.optimizer.state_slots() > 0 {
        expect_len("first", weights.len(), first.len())?;
    }
    if step.optimizer.state_slots() > 1 {
        expect_len("second", weights.len(), second.len())?;
    }
    expect_at_least("t", 1, usize::from(step.t > 0))
}

compiled_once! {
    /// Steps of weights.
    trait Update {
        /// A step on weights whose norms are summed in one go, of operands that have been checked.
        fn step_of_leaf(
            level: Level,
            step: &Step,
            weights: &mut [Self],
            gradient: &[Self],
            first: &mut [Self],
            second: &mut [Self],
        ) -> UpdateNorms {
            dispatch!(level, simd => step_kernel(simd, step, weights, gradient, first, second))
        }
    }
}

#[cfg(test)]
mod tests;
