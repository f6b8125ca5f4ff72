//! Activations and their derivatives, element by element.

use crate::error::expect_len;
use crate::simd::apply::map;
use crate::simd::{Lanes, Simd, dispatch};
use crate::{Element, Level, ShapeError};

/// An elementwise nonlinearity `y = f(x)`.
///
/// The parameters are `f64`, so that one value serves networks of either type; kernels round them to the nearest
/// `T`. At its kink at 0 each function has the derivative from the left, as PyTorch does: 0, `slope`, `alpha`.
///
/// ```
/// use slicewise_kernels::{Activation, Level, activate};
///
/// const HIDDEN: Activation = Activation::LeakyRelu { slope: 0.25 };
/// let mut y = [0.0f32; 3];
/// activate(Level::detect(), HIDDEN, &[-2.0, 0.0, 3.0], &mut y)?;
/// assert_eq!(y, [-0.5, 0.0, 3.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Activation {
    /// `x`.
    Identity,
    /// `max(x, 0)`; -0 stays -0. Derivative `x > 0`. (Nair and Hinton 2010.)
    Relu,
    /// `x` where positive, else `slope * x`. (Maas, Hannun and Ng 2013; He et al. 2015.)
    LeakyRelu {
        /// The derivative where `x` is not positive.
        slope: f64,
    },
    /// `x` where positive, else `alpha * (e^x - 1)`. (Clevert, Unterthiner and Hochreiter 2016.)
    Elu {
        /// Minus the limit towards minus infinity.
        alpha: f64,
    },
    /// The logistic function `1 / (1 + e^-x)`, right in its whole negative tail.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
}

/// `$body` with `$constant`, the variant of `$activation`, known to the compiler: one loop for each activation, no
/// choice inside it.
macro_rules! specialize {
    ($activation:expr, $constant:ident => $body:expr) => {
        match $activation {
            Activation::Identity => {
                let $constant = Activation::Identity;
                $body
            }
            Activation::Relu => {
                let $constant = Activation::Relu;
                $body
            }
            Activation::LeakyRelu { slope } => {
                let $constant = Activation::LeakyRelu { slope };
                $body
            }
            Activation::Elu { alpha } => {
                let $constant = Activation::Elu { alpha };
                $body
            }
            Activation::Sigmoid => {
                let $constant = Activation::Sigmoid;
                $body
            }
            Activation::Tanh => {
                let $constant = Activation::Tanh;
                $body
            }
        }
    };
}

impl Activation {
    /// `f(x)` of lanes.
    #[inline(always)]
    pub(crate) fn value<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        let zero = T::Lanes::<S>::splat(simd, T::default());
        match self {
            Self::Identity => x,
            Self::Relu => zero.max(x),
            Self::LeakyRelu { slope } => {
                let slope = T::Lanes::<S>::splat(simd, T::from_f64(slope));
                T::Lanes::<S>::select(zero.lt(x), x, slope * x)
            }
            Self::Elu { alpha } => {
                let alpha = T::Lanes::<S>::splat(simd, T::from_f64(alpha));
                let negative = alpha * T::exp_m1_negative_lanes(simd, x.min(zero));
                T::Lanes::<S>::select(x.lt(zero), negative, x)
            }
            Self::Sigmoid => T::sigmoid_lanes(simd, x),
            Self::Tanh => T::tanh_lanes(simd, x),
        }
    }

    /// `f'` of lanes, from the output `y = f(x)`.
    #[inline(always)]
    pub(crate) fn derivative<T: Element, S: Simd>(self, simd: S, y: T::Lanes<S>) -> T::Lanes<S> {
        let zero = T::Lanes::<S>::splat(simd, T::default());
        let one = T::Lanes::<S>::splat(simd, T::from(1));
        match self {
            Self::Identity => one,
            // A NaN comes through the maximum.
            Self::Relu => T::Lanes::<S>::select(zero.lt(y), one, zero.max(y)),
            Self::LeakyRelu { slope } => {
                let slope = T::Lanes::<S>::splat(simd, T::from_f64(slope));
                let low = T::Lanes::<S>::select(y.le(zero), slope, y);
                T::Lanes::<S>::select(zero.lt(y), one, low)
            }
            Self::Elu { alpha } => {
                let alpha = T::Lanes::<S>::splat(simd, T::from_f64(alpha));
                T::Lanes::<S>::select(zero.lt(y), one, y + alpha)
            }
            Self::Sigmoid => y * (one - y),
            Self::Tanh => y.neg_mul_add(y, one),
        }
    }

    /// `f'` of lanes, from the input.
    #[inline(always)]
    pub(crate) fn derivative_from_input<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        let zero = T::Lanes::<S>::splat(simd, T::default());
        let one = T::Lanes::<S>::splat(simd, T::from(1));
        match self {
            Self::Identity | Self::Relu | Self::LeakyRelu { .. } => self.derivative::<T, S>(simd, x),
            Self::Elu { alpha } => {
                let alpha = T::Lanes::<S>::splat(simd, T::from_f64(alpha));
                let negative = alpha * T::exp_negative_lanes(simd, x.min(zero));
                let low = T::Lanes::<S>::select(x.le(zero), negative, x);
                T::Lanes::<S>::select(zero.lt(x), one, low)
            }
            // f(-|x|) f(|x|), where the first factor keeps its digits in both tails.
            Self::Sigmoid => {
                let y = T::sigmoid_lanes(simd, x.min(-x));
                y * (one - y)
            }
            // 1 - tanh^2 = 4 s (1 - s), with s the logistic function of -2 |x|.
            Self::Tanh => {
                let y = T::sigmoid_lanes(simd, x.min(-x) + x.min(-x));
                let derivative = y * (one - y);
                (derivative + derivative) + (derivative + derivative)
            }
        }
    }

    /// Whether the output tells the derivative: an error where it does not, with a negative `slope` or `alpha`.
    pub(crate) fn expect_derivative_from_output(self) -> Result<(), ShapeError> {
        match self {
            Self::LeakyRelu { slope } => expect_len("negative slope", 0, usize::from(slope < 0.0)),
            Self::Elu { alpha } => expect_len("negative alpha", 0, usize::from(alpha < 0.0)),
            _ => Ok(()),
        }
    }
}

/// `y[i] = f(x[i])`.
///
/// ```
/// use slicewise_kernels::{Activation, Level, activate};
///
/// let mut y = [0.0f32; 3];
/// activate(Level::detect(), Activation::LeakyRelu { slope: 0.5 }, &[-2.0, 0.0, 3.0], &mut y)?;
/// assert_eq!(y, [-1.0, 0.0, 3.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless `y` is as long as `x`.
pub fn activate<T: Element>(
    level: Level,
    activation: Activation,
    x: &[T],
    y: &mut [T],
) -> Result<(), ShapeError> {
    expect_len("y", x.len(), y.len())?;
    if activation == Activation::Identity {
        y.clone_from_slice(x);
    } else {
        dispatch!(level, simd => activate_kernel(simd, activation, [x], y));
    }
    Ok(())
}

/// `y[i] = f(y[i])`: the bits of [`activate`].
///
/// ```
/// use slicewise_kernels::{Activation, Level, activate_in_place};
///
/// let mut y = [-1.0f64, 2.0];
/// activate_in_place(Level::detect(), Activation::Relu, &mut y);
/// assert_eq!(y, [0.0, 2.0]);
/// ```
pub fn activate_in_place<T: Element>(level: Level, activation: Activation, y: &mut [T]) {
    if activation != Activation::Identity {
        dispatch!(level, simd => activate_kernel(simd, activation, [], y));
    }
}

/// The gradient with respect to the input, from the **output** `y = f(x)`: `dx[i] = dy[i] * f'(x[i])`.
///
/// The output is what a network keeps. It tells the derivative of every activation here, but for a negative `slope` or
/// `alpha`; those go through [`activation_backward_from_input`].
///
/// ```
/// use slicewise_kernels::{Activation, Level, activation_backward};
///
/// let (y, dy) = ([0.5f32, 0.25], [4.0, 16.0]);
/// let mut dx = [0.0; 2];
/// activation_backward(Level::detect(), Activation::Sigmoid, &y, &dy, &mut dx)?;
/// assert_eq!(dx, [1.0, 3.0]); // dy * y * (1 - y)
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless `dy` and `dx` are as long as `y`, and where `slope` or `alpha` is negative.
pub fn activation_backward<T: Element>(
    level: Level,
    activation: Activation,
    y: &[T],
    dy: &[T],
    dx: &mut [T],
) -> Result<(), ShapeError> {
    activation.expect_derivative_from_output()?;
    expect_len("dy", y.len(), dy.len())?;
    expect_len("dx", y.len(), dx.len())?;
    dispatch!(level, simd => backward_kernel(simd, activation, [y, dy], dx));
    Ok(())
}

/// [`activation_backward`] where `dy` becomes `dx`: the same bits.
///
/// ```
/// use slicewise_kernels::{Activation, Level, activation_backward_in_place};
///
/// let (y, mut dy) = ([0.0f32, 3.0], [5.0, 5.0]);
/// activation_backward_in_place(Level::detect(), Activation::Relu, &y, &mut dy)?;
/// assert_eq!(dy, [0.0, 5.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless `dy` is as long as `y`, and where `slope` or `alpha` is negative.
pub fn activation_backward_in_place<T: Element>(
    level: Level,
    activation: Activation,
    y: &[T],
    dy: &mut [T],
) -> Result<(), ShapeError> {
    activation.expect_derivative_from_output()?;
    expect_len("dy", y.len(), dy.len())?;
    dispatch!(level, simd => backward_kernel(simd, activation, [y], dy));
    Ok(())
}

/// The gradient from the **input** `x`: `dx[i] = dy[i] * f'(x[i])`, for every `slope` and `alpha`.
///
/// Slower than [`activation_backward`] for the exponential ones, and accurate relative to the derivative where the
/// output has already rounded to its limit.
///
/// ```
/// use slicewise_kernels::{Activation, Level, activation_backward_from_input};
///
/// // A negative slope: the output does not tell which side the input was on.
/// let (x, dy, mut dx) = ([-1.0f32, 1.0], [5.0, 5.0], [0.0; 2]);
/// activation_backward_from_input(Level::detect(), Activation::LeakyRelu { slope: -2.0 }, &x, &dy, &mut dx)?;
/// assert_eq!(dx, [-10.0, 5.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless `dy` and `dx` are as long as `x`.
pub fn activation_backward_from_input<T: Element>(
    level: Level,
    activation: Activation,
    x: &[T],
    dy: &[T],
    dx: &mut [T],
) -> Result<(), ShapeError> {
    expect_len("dy", x.len(), dy.len())?;
    expect_len("dx", x.len(), dx.len())?;
    dispatch!(level, simd => backward_from_input_kernel(simd, activation, x, dy, dx));
    Ok(())
}

/// From `x`, or in place where there is none.
#[inline(always)]
fn activate_kernel<T: Element, S: Simd, const IN: usize>(
    simd: S,
    activation: Activation,
    x: [&[T]; IN],
    y: &mut [T],
) {
    specialize!(activation, activation => map(
        simd,
        x,
        [y],
        #[inline(always)]
        |x, [y]| [activation.value::<T, S>(simd, x.first().copied().unwrap_or(y))],
    ));
}

/// From `[y, dy]`, or from `[y]` where `dx` holds `dy`.
#[inline(always)]
fn backward_kernel<T: Element, S: Simd, const IN: usize>(
    simd: S,
    activation: Activation,
    operands: [&[T]; IN],
    dx: &mut [T],
) {
    specialize!(activation, activation => map(
        simd,
        operands,
        [dx],
        #[inline(always)]
        |operands, [dx]| {
            let y = operands.first().copied().unwrap_or(dx);
            let dy = operands.get(1).copied().unwrap_or(dx);
            [dy * activation.derivative::<T, S>(simd, y)]
        },
    ));
}

#[inline(always)]
fn backward_from_input_kernel<T: Element, S: Simd>(
    simd: S,
    activation: Activation,
    x: &[T],
    dy: &[T],
    dx: &mut [T],
) {
    specialize!(activation, activation => map(
        simd,
        [x, dy],
        [dx],
        #[inline(always)]
        |[x, dy], _| [dy * activation.derivative_from_input::<T, S>(simd, x)],
    ));
}

#[cfg(test)]
mod tests;
