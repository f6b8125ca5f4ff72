//! The activations and their derivatives, in lanes.

use super::Activation;
use crate::error::expect_len;
use crate::math::Smooth;
use crate::simd::apply::{map, map_chains};
use crate::simd::{Lanes, Simd, dispatch};
use crate::{Element, Level, ShapeError};

/// The kernels of one type. Not generic, so that they are compiled once, in this crate: generic code is compiled anew in every crate that
/// calls it.
#[allow(unreachable_pub, reason = "sealed: it stands in the bounds of a public trait")]
pub trait Activate: Sized {
    /// `y = f(x)`, or `f(y)` where there is no `x`.
    fn activate(level: Level, activation: Activation, x: Option<&[Self]>, y: &mut [Self]);
    /// `dx = dy f'(x)` from `y = f(x)`, or `dx f'(x)` where there is no `dy`.
    fn backward(level: Level, activation: Activation, y: &[Self], dy: Option<&[Self]>, dx: &mut [Self]);
    /// `dx = dy f'(x)` from `x`.
    fn backward_from_input(level: Level, activation: Activation, x: &[Self], dy: &[Self], dx: &mut [Self]);
}

impl Activate for f32 {
    fn activate(level: Level, activation: Activation, x: Option<&[f32]>, y: &mut [f32]) {
        activate(level, activation, x, y);
    }

    fn backward(level: Level, activation: Activation, y: &[f32], dy: Option<&[f32]>, dx: &mut [f32]) {
        backward(level, activation, y, dy, dx);
    }

    fn backward_from_input(level: Level, activation: Activation, x: &[f32], dy: &[f32], dx: &mut [f32]) {
        dispatch!(level, simd => backward_from_input_kernel(simd, activation, x, dy, dx));
    }
}

impl Activate for f64 {
    fn activate(level: Level, activation: Activation, x: Option<&[f64]>, y: &mut [f64]) {
        activate(level, activation, x, y);
    }

    fn backward(level: Level, activation: Activation, y: &[f64], dy: Option<&[f64]>, dx: &mut [f64]) {
        backward(level, activation, y, dy, dx);
    }

    fn backward_from_input(level: Level, activation: Activation, x: &[f64], dy: &[f64], dx: &mut [f64]) {
        dispatch!(level, simd => backward_from_input_kernel(simd, activation, x, dy, dx));
    }
}

#[inline(always)]
fn activate<T: Element>(level: Level, activation: Activation, x: Option<&[T]>, y: &mut [T]) {
    match x {
        Some(x) => dispatch!(level, simd => activate_kernel(simd, activation, [x], y)),
        None => dispatch!(level, simd => activate_kernel(simd, activation, [], y)),
    }
}

#[inline(always)]
fn backward<T: Element>(level: Level, activation: Activation, y: &[T], dy: Option<&[T]>, dx: &mut [T]) {
    match dy {
        Some(dy) => dispatch!(level, simd => backward_kernel(simd, activation, [y, dy], dx)),
        None => dispatch!(level, simd => backward_kernel(simd, activation, [y], dx)),
    }
}

/// `$body` with `$constant`, the variant of `$activation`, known to the compiler: one loop for each activation, no
/// choice inside it. The fast ones go the way of the accurate ones.
macro_rules! specialize {
    ($activation:expr, $constant:ident => $body:expr) => {
        specialize!(@ $activation, $constant, $body,
            Identity, Relu, Selu, Sigmoid | SigmoidFast, Tanh | TanhFast, Softplus, Gelu | GeluFast, GeluTanh, Silu,
            HardSigmoid, HardTanh, HardSwish)
    };
    (@ $activation:expr, $constant:ident, $body:expr, $($plain:ident $(| $fast:ident)?),*) => {
        match $activation {
            $(Activation::$plain $(| Activation::$fast)? => {
                let $constant = Activation::$plain;
                $body
            })*
            Activation::LeakyRelu { slope } => {
                let $constant = Activation::LeakyRelu { slope };
                $body
            }
            Activation::Elu { alpha } => {
                let $constant = Activation::Elu { alpha };
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
        let one = T::Lanes::<S>::splat(simd, T::from(1));
        match self {
            Self::Identity => x,
            Self::Relu => zero.max(x),
            Self::LeakyRelu { slope } => {
                let slope = T::Lanes::<S>::splat(simd, T::from_f64(slope));
                T::Lanes::<S>::select(zero.lt(x), x, slope * x)
            }
            Self::Elu { .. } | Self::Selu => {
                let [_, limit] = self.elu::<T, S>(simd);
                let negative = limit * T::smooth(simd, Smooth::ExpM1Negative, x.min(zero));
                // One rounding of the scale's fraction alone: a rounded scale overflows where the exact product does not.
                let positive = if self == Self::Selu {
                    x.mul_add(T::Lanes::<S>::splat(simd, T::from_f64(Self::SELU_SCALE - 1.0)), x)
                } else {
                    x
                };
                T::Lanes::<S>::select(x.lt(zero), negative, positive)
            }
            Self::Sigmoid => T::smooth(simd, Smooth::Sigmoid, x),
            Self::Tanh => T::smooth(simd, Smooth::Tanh, x),
            Self::SigmoidFast => T::smooth(simd, Smooth::SigmoidFast, x),
            Self::TanhFast => T::smooth(simd, Smooth::TanhFast, x),
            Self::GeluFast => T::smooth(simd, Smooth::GeluFast, x),
            Self::Softplus => T::smooth(simd, Smooth::Softplus, x),
            Self::Gelu => T::smooth(simd, Smooth::Gelu, x),
            Self::GeluTanh => T::smooth(simd, Smooth::GeluTanh, x),
            Self::Silu => T::smooth(simd, Smooth::Silu, x),
            Self::HardSigmoid => hard_sigmoid::<T, S>(simd, x),
            Self::HardTanh => one.min((-one).max(x)),
            // Not infinity times 0.
            Self::HardSwish => T::Lanes::<S>::splat(simd, -T::from(3)).max(x) * hard_sigmoid::<T, S>(simd, x),
        }
    }

    /// `f'` of lanes, from the output `y = f(x)`.
    #[inline(always)]
    pub(crate) fn derivative<T: Element, S: Simd>(self, simd: S, y: T::Lanes<S>) -> T::Lanes<S> {
        let zero = T::Lanes::<S>::splat(simd, T::default());
        let one = T::Lanes::<S>::splat(simd, T::from(1));
        match self {
            Self::Identity => one,
            Self::Relu => relu_derivative(zero, one, y),
            Self::LeakyRelu { slope } => {
                let slope = T::Lanes::<S>::splat(simd, T::from_f64(slope));
                let low = T::Lanes::<S>::select(y.le(zero), slope, y);
                T::Lanes::<S>::select(zero.lt(y), one, low)
            }
            Self::Elu { .. } | Self::Selu => {
                let [scale, limit] = self.elu::<T, S>(simd);
                T::Lanes::<S>::select(zero.lt(y), scale, y + limit)
            }
            Self::Sigmoid | Self::SigmoidFast => y * (one - y),
            Self::Tanh | Self::TanhFast => y.neg_mul_add(y, one),
            // 1 - e^-y
            Self::Softplus => -T::smooth(simd, Smooth::ExpM1Negative, zero.min(-y)),
            Self::HardSigmoid => {
                let sixth = T::Lanes::<S>::splat(simd, T::from_f64(1.0 / 6.0));
                T::Lanes::<S>::select(zero.lt(y) & y.lt(one), sixth, flat(zero, y))
            }
            Self::HardTanh => T::Lanes::<S>::select((-one).lt(y) & y.lt(one), one, flat(zero, y)),
            // The output does not tell it: the interface refuses these.
            Self::Gelu | Self::GeluFast | Self::GeluTanh | Self::Silu | Self::HardSwish => y,
        }
    }

    /// `f'` of lanes, from the input.
    #[inline(always)]
    pub(crate) fn derivative_from_input<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        let zero = T::Lanes::<S>::splat(simd, T::default());
        let one = T::Lanes::<S>::splat(simd, T::from(1));
        match self {
            Self::Identity | Self::Relu | Self::LeakyRelu { .. } | Self::HardTanh => {
                self.derivative::<T, S>(simd, x)
            }
            Self::Elu { .. } | Self::Selu => {
                let [scale, limit] = self.elu::<T, S>(simd);
                let negative = limit * T::smooth(simd, Smooth::ExpNegative, x.min(zero));
                let low = T::Lanes::<S>::select(x.le(zero), negative, x);
                T::Lanes::<S>::select(zero.lt(x), scale, low)
            }
            Self::Softplus => T::smooth(simd, Smooth::Sigmoid, x),
            Self::Gelu | Self::GeluFast => T::smooth(simd, Smooth::GeluDerivative, x),
            Self::GeluTanh => T::smooth(simd, Smooth::GeluTanhDerivative, x),
            Self::Silu => T::smooth(simd, Smooth::SiluDerivative, x),
            Self::HardSigmoid => {
                let (sixth, three) = (T::from_f64(1.0 / 6.0), T::Lanes::<S>::splat(simd, T::from(3)));
                let sixth = T::Lanes::<S>::splat(simd, sixth);
                T::Lanes::<S>::select((-three).lt(x) & x.lt(three), sixth, flat(zero, x))
            }
            Self::HardSwish => {
                let (third, three) = (T::from_f64(1.0 / 3.0), T::Lanes::<S>::splat(simd, T::from(3)));
                let half = T::Lanes::<S>::splat(simd, T::from_f64(0.5));
                let inside = x.mul_add(T::Lanes::<S>::splat(simd, third), half);
                let outside = T::Lanes::<S>::select(three.le(x), one, flat(zero, x));
                T::Lanes::<S>::select((-three).lt(x) & x.lt(three), inside, outside)
            }
            // f(-|x|) f(|x|), where the first factor keeps its digits in both tails.
            Self::Sigmoid | Self::SigmoidFast => {
                let y = T::smooth(simd, Smooth::Sigmoid, x.min(-x));
                y * (one - y)
            }
            // 1 - tanh^2 = 4 s (1 - s), with s the logistic function of -2 |x|.
            Self::Tanh | Self::TanhFast => {
                let y = T::smooth(simd, Smooth::Sigmoid, x.min(-x) + x.min(-x));
                let derivative = y * (one - y);
                (derivative + derivative) + (derivative + derivative)
            }
        }
    }

    /// The slope of an ELU where it is positive, and minus its limit towards minus infinity.
    #[inline(always)]
    fn elu<T: Element, S: Simd>(self, simd: S) -> [T::Lanes<S>; 2] {
        let (scale, limit) = match self {
            Self::Elu { alpha } => (1.0, alpha),
            _ => (Self::SELU_SCALE, Self::SELU_SCALE * Self::SELU_ALPHA),
        };
        [T::Lanes::<S>::splat(simd, T::from_f64(scale)), T::Lanes::<S>::splat(simd, T::from_f64(limit))]
    }

    /// Whether the output tells the derivative, so that it alone need be kept: not that of GELU, SiLU and hard swish, and not with a
    /// negative `slope` or `alpha`.
    ///
    /// ```
    /// use slicewise_kernels::Activation;
    ///
    /// assert!(Activation::Tanh.output_tells_derivative() && !Activation::Gelu.output_tells_derivative());
    /// ```
    #[must_use]
    pub const fn output_tells_derivative(self) -> bool {
        match self {
            Self::LeakyRelu { slope } => slope >= 0.0 || slope.is_nan(),
            Self::Elu { alpha } => alpha >= 0.0 || alpha.is_nan(),
            Self::Gelu | Self::GeluFast | Self::GeluTanh | Self::Silu | Self::HardSwish => false,
            _ => true,
        }
    }

    /// An error where the output does not tell the derivative.
    pub(crate) fn expect_derivative_from_output(self) -> Result<(), ShapeError> {
        let without = match self {
            Self::LeakyRelu { .. } => "negative slope",
            Self::Elu { .. } => "negative alpha",
            _ => "outputs that do not tell the derivative",
        };
        expect_len(without, 0, usize::from(!self.output_tells_derivative()))
    }
}

/// From `x`, or in place where there is none.
#[inline(always)]
fn activate_kernel<T: Element, S: Simd, const IN: usize>(
    simd: S,
    activation: Activation,
    x: [&[T]; IN],
    y: &mut [T],
) {
    match activation {
        // Those of f64 are the accurate ones.
        Activation::SigmoidFast if T::LANES == 16 => map_chains(
            simd,
            x,
            y,
            #[inline(always)]
            |x| Activation::SigmoidFast.value::<T, S>(simd, x),
        ),
        Activation::TanhFast if T::LANES == 16 => map_chains(
            simd,
            x,
            y,
            #[inline(always)]
            |x| Activation::TanhFast.value::<T, S>(simd, x),
        ),
        Activation::GeluFast if T::LANES == 16 => map(
            simd,
            x,
            [y],
            #[inline(always)]
            |x, [y]| [Activation::GeluFast.value::<T, S>(simd, x.first().copied().unwrap_or(y))],
        ),
        _ => specialize!(activation, activation => map(
            simd,
            x,
            [y],
            #[inline(always)]
            |x, [y]| [activation.value::<T, S>(simd, x.first().copied().unwrap_or(y))],
        )),
    }
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

/// The derivative of ReLU, from its input or its output. By itself, for where the others are not wanted: without optimisation a match is all of
/// its arms, and their stack.
#[inline(always)]
pub(crate) fn relu_derivative<V: Lanes>(zero: V, one: V, x: V) -> V {
    // A NaN comes through the maximum.
    V::select(zero.lt(x), one, zero.max(x))
}

/// `x / 6 + 1 / 2` in [0, 1]; NaN comes through.
#[inline(always)]
fn hard_sigmoid<T: Element, S: Simd>(simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
    let (zero, one) = (T::Lanes::<S>::splat(simd, T::default()), T::Lanes::<S>::splat(simd, T::from(1)));
    let (three, six) = (T::Lanes::<S>::splat(simd, T::from(3)), T::Lanes::<S>::splat(simd, T::from(6)));
    one.min(zero.max((x + three) / six))
}

/// The derivative where `x` lies on a flat part: 0, or NaN.
#[inline(always)]
fn flat<V: Lanes>(zero: V, x: V) -> V {
    V::select(x.eq(x), zero, x)
}
