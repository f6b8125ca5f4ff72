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
    fn expect_derivative_from_output(self) -> Result<(), ShapeError> {
        match self {
            Self::LeakyRelu { slope } => expect_len("negative slope", 0, usize::from(slope < 0.0)),
            Self::Elu { alpha } => expect_len("negative alpha", 0, usize::from(alpha < 0.0)),
            _ => Ok(()),
        }
    }
}

/// `y[i] = f(x[i])`.
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
mod tests {
    use super::*;
    use crate::reference::strategies::{slice, special_slice};
    use crate::reference::{Placed, activation as oracle, assert_close, assert_same_bits, levels, ulp_error};
    use proptest::prelude::*;

    const ALL: [Activation; 8] = [
        Activation::Identity,
        Activation::Relu,
        Activation::LeakyRelu { slope: 0.125 },
        Activation::LeakyRelu { slope: -0.5 },
        Activation::Elu { alpha: 1.0 },
        Activation::Elu { alpha: 1.75 },
        Activation::Sigmoid,
        Activation::Tanh,
    ];

    fn from_output(activation: Activation) -> bool {
        activation != Activation::LeakyRelu { slope: -0.5 }
    }

    /// The error of [`activate`] in ULP: that of the lane function, and of the product with `alpha`.
    fn value_bound(activation: Activation) -> f64 {
        match activation {
            Activation::Identity | Activation::Relu => 0.0,
            Activation::LeakyRelu { .. } => 0.5,
            Activation::Elu { alpha: 1.0 } => 1.0,
            Activation::Elu { .. } => 2.0,
            Activation::Sigmoid | Activation::Tanh => 3.0,
        }
    }

    /// The error of `f'` from the exact `y` or `x`, in units of EPSILON / 2 of the exact value.
    fn derivative_bound(activation: Activation) -> f64 {
        match activation {
            Activation::Identity | Activation::Relu | Activation::LeakyRelu { .. } => 0.0,
            // From the output one rounding; from the input 1 ULP of e^x and the product with `alpha`.
            Activation::Elu { .. } => 3.0,
            // Two roundings, and from the input twice the ULPs of the sigmoid.
            Activation::Sigmoid | Activation::Tanh => 8.0,
        }
    }

    fn check<T: Element>(x: &[T], dy: &[T], offset: usize) {
        for activation in ALL {
            let mut first = None;
            for level in levels() {
                let mut y = Placed::new(&std::vec![T::from_f64(f64::NAN); x.len()], offset + 3);
                activate(level, activation, Placed::new(x, offset).get(), y.get_mut()).unwrap();
                for (&x, &y) in x.iter().zip(y.get()) {
                    let ulp = ulp_error(y, oracle::value(activation, x.to_f64()));
                    let name = level.name();
                    assert!(ulp <= value_bound(activation), "{activation:?}({x}) = {y} at {name}: {ulp} ULP");
                }
                let mut in_place = Placed::new(x, offset);
                activate_in_place(level, activation, in_place.get_mut());
                assert_same_bits(in_place.get(), y.get(), "in place", level);

                let mut dx = std::vec![T::from_f64(f64::NAN); x.len()];
                activation_backward_from_input(level, activation, x, dy, &mut dx).unwrap();
                check_gradient(level, activation, x, dy, &dx, oracle::derivative);
                if from_output(activation) {
                    activation_backward(level, activation, y.get(), dy, &mut dx).unwrap();
                    check_gradient(level, activation, y.get(), dy, &dx, oracle::derivative_from_output);
                    let mut in_place = Placed::new(dy, offset);
                    activation_backward_in_place(level, activation, y.get(), in_place.get_mut()).unwrap();
                    assert_same_bits(in_place.get(), &dx, "backward in place", level);
                }
                if level != Level::Portable {
                    let (y0, dx0) = first.get_or_insert_with(|| (y.clone(), dx.clone()));
                    assert_same_bits(y.get(), y0.get(), "activate", level);
                    assert_same_bits(&dx, dx0, "activation_backward", level);
                }
            }
        }
    }

    fn check_gradient<T: Element>(
        level: Level,
        activation: Activation,
        at: &[T],
        dy: &[T],
        dx: &[T],
        derivative: impl Fn(Activation, f64) -> f64,
    ) {
        let half_epsilon = T::EPSILON.to_f64() / 2.0;
        let subnormal = if T::LANES == 16 { f64::from(f32::from_bits(1)) } else { f64::from_bits(1) };
        for ((&at, &dy), &dx) in at.iter().zip(dy).zip(dx) {
            let factor = derivative(activation, at.to_f64());
            let expected = factor * dy.to_f64();
            // The product rounds once more. `1 - y * y` without FMA rounds y * y too.
            let mut bound = (derivative_bound(activation) + 1.0) * half_epsilon * expected.abs()
                + 4.0 * subnormal * (1.0 + dy.to_f64().abs());
            if level == Level::Portable && activation == Activation::Tanh {
                bound += half_epsilon * dy.to_f64().abs();
            }
            assert_close(dx, expected, bound, &std::format!("{activation:?} backward at {at}"), level);
        }
    }

    fn operands<T: Element>() -> impl Strategy<Value = (std::vec::Vec<T>, std::vec::Vec<T>, usize)> {
        (0usize..70).prop_flat_map(|n| (special_slice::<T>(n), slice::<T>(n), 0usize..16))
    }

    proptest! {
        #[test]
        fn f32_is_within_its_bounds((x, dy, offset) in operands::<f32>()) {
            check(&x, &dy, offset);
        }

        #[test]
        fn f64_is_within_its_bounds((x, dy, offset) in operands::<f64>()) {
            check(&x, &dy, offset);
        }
    }

    #[test]
    fn kinks_zeros_and_limits() {
        let x = [0.0f32, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
        for level in levels() {
            let run = |activation| {
                let (mut y, mut dx, mut from_x) = ([7.0; 5], [7.0; 5], [7.0; 5]);
                activate(level, activation, &x, &mut y).unwrap();
                activation_backward(level, activation, &y, &[1.0; 5], &mut dx).unwrap();
                activation_backward_from_input(level, activation, &x, &[1.0; 5], &mut from_x).unwrap();
                assert_same_bits(&dx, &from_x, "from output and input", level);
                (y, dx)
            };
            let infinity = f32::INFINITY;
            let nan = f32::NAN;
            let expected = [
                (Activation::Relu, [0.0, -0.0, infinity, 0.0, nan], [0.0, -0.0, 1.0, 0.0, nan]),
                (
                    Activation::LeakyRelu { slope: 0.5 },
                    [0.0, -0.0, infinity, -infinity, nan],
                    [0.5, 0.5, 1.0, 0.5, nan],
                ),
                (Activation::Elu { alpha: 2.0 }, [0.0, -0.0, infinity, -2.0, nan], [2.0, 2.0, 1.0, 0.0, nan]),
                (Activation::Sigmoid, [0.5, 0.5, 1.0, 0.0, nan], [0.25, 0.25, 0.0, 0.0, nan]),
                (Activation::Tanh, [0.0, -0.0, 1.0, -1.0, nan], [1.0, 1.0, 0.0, 0.0, nan]),
            ];
            for (activation, y, dx) in expected {
                let (actual_y, actual_dx) = run(activation);
                let what = std::format!("{activation:?}");
                assert_same_bits(&actual_y, &y, &what, level);
                assert_same_bits(&actual_dx, &dx, &what, level);
            }
        }
    }

    #[test]
    fn lengths_and_parameters_are_checked() {
        let level = Level::Portable;
        let mut out = [7.0f32; 4];
        let wrong = |argument, expected, actual| Err(ShapeError { argument, expected, actual });
        assert_eq!(activate(level, Activation::Relu, &[1.0; 3], &mut out), wrong("y", 3, 4));
        let backward =
            |activation, dy, out: &mut [f32]| activation_backward(level, activation, &[1.0; 3], dy, out);
        assert_eq!(backward(Activation::Tanh, &[1.0; 2], &mut out), wrong("dy", 3, 2));
        assert_eq!(backward(Activation::Tanh, &[1.0; 3], &mut out), wrong("dx", 3, 4));
        let negative = Activation::LeakyRelu { slope: -0.1 };
        assert_eq!(backward(negative, &[1.0; 3], &mut out[..3]), wrong("negative slope", 0, 1));
        let negative = Activation::Elu { alpha: -1.0 };
        assert_eq!(
            activation_backward_in_place(level, negative, &[1.0; 4], &mut out),
            wrong("negative alpha", 0, 1)
        );
        let x = [1.0; 3];
        assert_eq!(
            activation_backward_from_input(level, negative, &x, &[1.0; 2], &mut out),
            wrong("dy", 3, 2)
        );
        assert_eq!(activation_backward_from_input(level, negative, &x, &x, &mut out), wrong("dx", 3, 4));
        assert_eq!(out, [7.0; 4]);
    }
}
