//! Optimizers: one step of gradient descent on a slice of weights.

use crate::error::{expect_at_least, expect_len};
use crate::once::compiled_once;
use crate::simd::apply::map_sum;
use crate::simd::{Arithmetic, Lanes, Simd, dispatch};
use crate::{Element, Level, Serial, ShapeError, optimizer_step_on};

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

#[inline(always)]
fn step_kernel<T: Element, S: Simd>(
    simd: S,
    step: &Step,
    w: &mut [T],
    g: &[T],
    first: &mut [T],
    second: &mut [T],
) -> UpdateNorms {
    let mut learning_rate = step.learning_rate;
    let mut rule = Rule {
        learning_rate: splat::<T, S>(simd, step.learning_rate),
        regularisation: splat::<T, S>(simd, step.regularisation),
    };
    let [update, weights] = match step.optimizer {
        Optimizer::Sgd => map_sum(
            simd,
            [g],
            [w],
            #[inline(always)]
            |[g], [w], norms| {
                let g = rule.gradient(g, w);
                let (w, norms) = rule.descend(w, g, norms);
                ([w], norms)
            },
        ),
        Optimizer::Momentum { momentum } => {
            let momentum = splat::<T, S>(simd, momentum);
            map_sum(
                simd,
                [g],
                [w, first],
                #[inline(always)]
                |[g], [w, v], norms| {
                    let v = momentum.mul_add(v, rule.gradient(g, w));
                    let (w, norms) = rule.descend(w, v, norms);
                    ([w, v], norms)
                },
            )
        }
        Optimizer::Nesterov { momentum } => {
            let momentum = splat::<T, S>(simd, momentum);
            map_sum(
                simd,
                [g],
                [w, first],
                #[inline(always)]
                |[g], [w, v], norms| {
                    let g = rule.gradient(g, w);
                    let v = momentum.mul_add(v, g);
                    let (w, norms) = rule.descend(w, momentum.mul_add(v, g), norms);
                    ([w, v], norms)
                },
            )
        }
        Optimizer::Adam { beta1, beta2, epsilon } => {
            let adam = Adam::new::<T>(simd, step, beta1, beta2, epsilon);
            (learning_rate, rule.learning_rate) =
                (adam.learning_rate, splat::<T, S>(simd, adam.learning_rate));
            map_sum(
                simd,
                [g],
                [w, first, second],
                #[inline(always)]
                |[g], [w, m, v], norms| {
                    let (d, m, v) = adam.direction(rule.gradient(g, w), m, v);
                    let (w, norms) = rule.descend(w, d, norms);
                    ([w, m, v], norms)
                },
            )
        }
        Optimizer::AdamW { beta1, beta2, epsilon, weight_decay } => {
            let adam = Adam::new::<T>(simd, step, beta1, beta2, epsilon);
            (learning_rate, rule.learning_rate) =
                (adam.learning_rate, splat::<T, S>(simd, adam.learning_rate));
            let decay = splat::<T, S>(simd, weight_decay * step.learning_rate / learning_rate);
            map_sum(
                simd,
                [g],
                [w, first, second],
                #[inline(always)]
                |[g], [w, m, v], norms| {
                    let (d, m, v) = adam.direction(rule.gradient(g, w), m, v);
                    let (w, norms) = rule.descend(w, decay.mul_add(w, d), norms);
                    ([w, m, v], norms)
                },
            )
        }
        Optimizer::RmsProp { decay, epsilon } => {
            let (decay, gain, epsilon) =
                (splat::<T, S>(simd, decay), splat::<T, S>(simd, 1.0 - decay), splat::<T, S>(simd, epsilon));
            map_sum(
                simd,
                [g],
                [w, first],
                #[inline(always)]
                |[g], [w, v], norms| {
                    let g = rule.gradient(g, w);
                    let v = (gain * g).mul_add(g, decay * v);
                    let (w, norms) = rule.descend(w, g / (v.sqrt() + epsilon), norms);
                    ([w, v], norms)
                },
            )
        }
        Optimizer::Adagrad { epsilon } => {
            let epsilon = splat::<T, S>(simd, epsilon);
            map_sum(
                simd,
                [g],
                [w, first],
                #[inline(always)]
                |[g], [w, v], norms| {
                    let g = rule.gradient(g, w);
                    let v = g.mul_add(g, v);
                    let (w, norms) = rule.descend(w, g / (v.sqrt() + epsilon), norms);
                    ([w, v], norms)
                },
            )
        }
    };
    UpdateNorms { update: learning_rate * learning_rate * update, weights }
}

/// `x` in every lane.
#[inline(always)]
fn splat<T: Element, S: Simd>(simd: S, x: f64) -> T::Lanes<S> {
    T::Lanes::<S>::splat(simd, T::from_f64(x))
}

/// What all optimizers share, in lanes.
#[derive(Clone, Copy)]
struct Rule<L> {
    learning_rate: L,
    regularisation: L,
}

impl<L: Lanes> Rule<L> {
    /// The gradient of the loss with its penalty.
    #[inline(always)]
    fn gradient(self, g: L, w: L) -> L {
        self.regularisation.mul_add(w, g)
    }

    /// `w - learning_rate * d`, and the squares of `d` and `w` added to the norms.
    #[inline(always)]
    fn descend(self, w: L, d: L, [update, weights]: [L; 2]) -> (L, [L; 2]) {
        (self.learning_rate.neg_mul_add(d, w), [d.mul_add(d, update), w.mul_add(w, weights)])
    }
}

/// Adam's averages, in lanes.
#[derive(Clone, Copy)]
struct Adam<L> {
    gain1: L,
    gain2: L,
    beta2: L,
    epsilon: L,
    /// With both bias corrections in it, as `epsilon` has the second one (Kingma & Ba, end of section 2):
    /// `lr * (m / bias1) / (sqrt(v / bias2) + epsilon)` takes a division and a product less so.
    learning_rate: f64,
}

impl<L: Lanes> Adam<L> {
    #[inline(always)]
    fn new<T: Element<Lanes<L::Simd> = L>>(
        simd: L::Simd,
        step: &Step,
        beta1: f64,
        beta2: f64,
        epsilon: f64,
    ) -> Self {
        let (bias1, bias2) = (bias(beta1, step.t), libm::sqrt(bias(beta2, step.t)));
        Self {
            gain1: splat::<T, L::Simd>(simd, 1.0 - beta1),
            gain2: splat::<T, L::Simd>(simd, 1.0 - beta2),
            beta2: splat::<T, L::Simd>(simd, beta2),
            epsilon: splat::<T, L::Simd>(simd, epsilon * bias2),
            learning_rate: step.learning_rate * bias2 / bias1,
        }
    }

    /// `d`, and the averages with `g` in them.
    #[inline(always)]
    fn direction(self, g: L, m: L, v: L) -> (L, L, L) {
        let m = (g - m).mul_add(self.gain1, m);
        let v = (self.gain2 * g).mul_add(g, self.beta2 * v);
        (m / (v.sqrt() + self.epsilon), m, v)
    }
}

/// `1 - beta^t`, without cancellation.
fn bias(beta: f64, t: u64) -> f64 {
    -libm::expm1(t as f64 * libm::log(beta))
}

#[cfg(test)]
mod tests;
