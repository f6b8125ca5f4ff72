//! The activations and their derivatives, in lanes: a type each, so that what is compiled for one holds no other.

use super::Activation;
use crate::Element;
use crate::math::smooth;
use crate::simd::{Lanes, Simd};

/// An activation and its derivative.
pub(super) trait Curve: Copy {
    /// Whether `value` is few instructions that wait for each other: see [`map_chains`](crate::simd::apply::map_chains).
    const IS_CHAIN: bool = false;

    /// `f(x)`
    fn value<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S>;

    /// `f'(x)` from the output `y = f(x)`. Where that does not tell it, the interface refuses.
    #[inline(always)]
    fn derivative<T: Element, S: Simd>(self, _: S, y: T::Lanes<S>) -> T::Lanes<S> {
        y
    }

    /// `f'(x)`
    fn derivative_from_input<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S>;
}

/// A value in every lane.
#[inline(always)]
fn splat<T: Element, S: Simd>(simd: S, x: f64) -> T::Lanes<S> {
    T::Lanes::<S>::splat(simd, T::from_f64(x))
}

#[derive(Clone, Copy)]
pub(super) struct Identity;

impl Curve for Identity {
    #[inline(always)]
    fn value<T: Element, S: Simd>(self, _: S, x: T::Lanes<S>) -> T::Lanes<S> {
        x
    }

    #[inline(always)]
    fn derivative<T: Element, S: Simd>(self, simd: S, _: T::Lanes<S>) -> T::Lanes<S> {
        splat::<T, S>(simd, 1.0)
    }

    #[inline(always)]
    fn derivative_from_input<T: Element, S: Simd>(self, simd: S, _: T::Lanes<S>) -> T::Lanes<S> {
        splat::<T, S>(simd, 1.0)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Relu;

impl Curve for Relu {
    #[inline(always)]
    fn value<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        splat::<T, S>(simd, 0.0).max(x)
    }

    #[inline(always)]
    fn derivative<T: Element, S: Simd>(self, simd: S, y: T::Lanes<S>) -> T::Lanes<S> {
        relu_derivative(splat::<T, S>(simd, 0.0), splat::<T, S>(simd, 1.0), y)
    }

    #[inline(always)]
    fn derivative_from_input<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        self.derivative::<T, S>(simd, x)
    }
}

#[derive(Clone, Copy)]
pub(super) struct LeakyRelu {
    pub(super) slope: f64,
}

impl Curve for LeakyRelu {
    #[inline(always)]
    fn value<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        let zero = splat::<T, S>(simd, 0.0);
        T::Lanes::<S>::select(zero.lt(x), x, splat::<T, S>(simd, self.slope) * x)
    }

    #[inline(always)]
    fn derivative<T: Element, S: Simd>(self, simd: S, y: T::Lanes<S>) -> T::Lanes<S> {
        let (zero, one) = (splat::<T, S>(simd, 0.0), splat::<T, S>(simd, 1.0));
        let low = T::Lanes::<S>::select(y.le(zero), splat::<T, S>(simd, self.slope), y);
        T::Lanes::<S>::select(zero.lt(y), one, low)
    }

    #[inline(always)]
    fn derivative_from_input<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        self.derivative::<T, S>(simd, x)
    }
}

/// `limit (e^x - 1)` below 0, where ELU and SELU agree but for the limit.
#[inline(always)]
fn elu_below<T: Element, S: Simd>(simd: S, limit: f64, x: T::Lanes<S>, positive: T::Lanes<S>) -> T::Lanes<S> {
    let zero = splat::<T, S>(simd, 0.0);
    let negative = splat::<T, S>(simd, limit) * T::smooth::<S, smooth::ExpM1Negative>(simd, x.min(zero));
    T::Lanes::<S>::select(x.lt(zero), negative, positive)
}

/// From the output, with the slope above 0 and minus the limit towards minus infinity.
#[inline(always)]
fn elu_derivative<T: Element, S: Simd>(simd: S, [slope, limit]: [f64; 2], y: T::Lanes<S>) -> T::Lanes<S> {
    let zero = splat::<T, S>(simd, 0.0);
    T::Lanes::<S>::select(zero.lt(y), splat::<T, S>(simd, slope), y + splat::<T, S>(simd, limit))
}

/// From the input.
#[inline(always)]
fn elu_derivative_from_input<T: Element, S: Simd>(
    simd: S,
    [slope, limit]: [f64; 2],
    x: T::Lanes<S>,
) -> T::Lanes<S> {
    let zero = splat::<T, S>(simd, 0.0);
    let negative = splat::<T, S>(simd, limit) * T::smooth::<S, smooth::ExpNegative>(simd, x.min(zero));
    let low = T::Lanes::<S>::select(x.le(zero), negative, x);
    T::Lanes::<S>::select(zero.lt(x), splat::<T, S>(simd, slope), low)
}

#[derive(Clone, Copy)]
pub(super) struct Elu {
    pub(super) alpha: f64,
}

impl Curve for Elu {
    #[inline(always)]
    fn value<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        elu_below::<T, S>(simd, self.alpha, x, x)
    }

    #[inline(always)]
    fn derivative<T: Element, S: Simd>(self, simd: S, y: T::Lanes<S>) -> T::Lanes<S> {
        elu_derivative::<T, S>(simd, [1.0, self.alpha], y)
    }

    #[inline(always)]
    fn derivative_from_input<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        elu_derivative_from_input::<T, S>(simd, [1.0, self.alpha], x)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Selu;

impl Selu {
    const SLOPE: f64 = Activation::SELU_SCALE;
    const LIMIT: f64 = Self::SLOPE * Activation::SELU_ALPHA;
}

impl Curve for Selu {
    #[inline(always)]
    fn value<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        // One rounding of the scale's fraction alone: a rounded scale overflows where the exact product does not.
        let positive = x.mul_add(splat::<T, S>(simd, Self::SLOPE - 1.0), x);
        elu_below::<T, S>(simd, Self::LIMIT, x, positive)
    }

    #[inline(always)]
    fn derivative<T: Element, S: Simd>(self, simd: S, y: T::Lanes<S>) -> T::Lanes<S> {
        elu_derivative::<T, S>(simd, [Self::SLOPE, Self::LIMIT], y)
    }

    #[inline(always)]
    fn derivative_from_input<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        elu_derivative_from_input::<T, S>(simd, [Self::SLOPE, Self::LIMIT], x)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Sigmoid;

impl Curve for Sigmoid {
    #[inline(always)]
    fn value<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        T::smooth::<S, smooth::Sigmoid>(simd, x)
    }

    #[inline(always)]
    fn derivative<T: Element, S: Simd>(self, simd: S, y: T::Lanes<S>) -> T::Lanes<S> {
        y * (splat::<T, S>(simd, 1.0) - y)
    }

    #[inline(always)]
    fn derivative_from_input<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        // f(-|x|) f(|x|), where the first factor keeps its digits in both tails.
        let y = T::smooth::<S, smooth::Sigmoid>(simd, x.min(-x));
        y * (splat::<T, S>(simd, 1.0) - y)
    }
}

#[derive(Clone, Copy)]
pub(super) struct SigmoidFast;

impl Curve for SigmoidFast {
    const IS_CHAIN: bool = true;

    #[inline(always)]
    fn value<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        T::smooth::<S, smooth::SigmoidFast>(simd, x)
    }

    #[inline(always)]
    fn derivative<T: Element, S: Simd>(self, simd: S, y: T::Lanes<S>) -> T::Lanes<S> {
        Sigmoid.derivative::<T, S>(simd, y)
    }

    #[inline(always)]
    fn derivative_from_input<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        Sigmoid.derivative_from_input::<T, S>(simd, x)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Tanh;

impl Curve for Tanh {
    #[inline(always)]
    fn value<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        T::smooth::<S, smooth::Tanh>(simd, x)
    }

    #[inline(always)]
    fn derivative<T: Element, S: Simd>(self, simd: S, y: T::Lanes<S>) -> T::Lanes<S> {
        y.neg_mul_add(y, splat::<T, S>(simd, 1.0))
    }

    #[inline(always)]
    fn derivative_from_input<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        // 1 - tanh^2 = 4 s (1 - s), with s the logistic function of -2 |x|.
        let y = T::smooth::<S, smooth::Sigmoid>(simd, x.min(-x) + x.min(-x));
        let derivative = y * (splat::<T, S>(simd, 1.0) - y);
        (derivative + derivative) + (derivative + derivative)
    }
}

#[derive(Clone, Copy)]
pub(super) struct TanhFast;

impl Curve for TanhFast {
    const IS_CHAIN: bool = true;

    #[inline(always)]
    fn value<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        T::smooth::<S, smooth::TanhFast>(simd, x)
    }

    #[inline(always)]
    fn derivative<T: Element, S: Simd>(self, simd: S, y: T::Lanes<S>) -> T::Lanes<S> {
        Tanh.derivative::<T, S>(simd, y)
    }

    #[inline(always)]
    fn derivative_from_input<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        Tanh.derivative_from_input::<T, S>(simd, x)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Softplus;

impl Curve for Softplus {
    #[inline(always)]
    fn value<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        T::smooth::<S, smooth::Softplus>(simd, x)
    }

    #[inline(always)]
    fn derivative<T: Element, S: Simd>(self, simd: S, y: T::Lanes<S>) -> T::Lanes<S> {
        // 1 - e^-y
        -T::smooth::<S, smooth::ExpM1Negative>(simd, splat::<T, S>(simd, 0.0).min(-y))
    }

    #[inline(always)]
    fn derivative_from_input<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        T::smooth::<S, smooth::Sigmoid>(simd, x)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Gelu;

impl Curve for Gelu {
    #[inline(always)]
    fn value<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        T::smooth::<S, smooth::Gelu>(simd, x)
    }

    #[inline(always)]
    fn derivative_from_input<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        T::smooth::<S, smooth::GeluDerivative>(simd, x)
    }
}

#[derive(Clone, Copy)]
pub(super) struct GeluFast;

impl Curve for GeluFast {
    #[inline(always)]
    fn value<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        T::smooth::<S, smooth::GeluFast>(simd, x)
    }

    #[inline(always)]
    fn derivative_from_input<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        T::smooth::<S, smooth::GeluDerivative>(simd, x)
    }
}

#[derive(Clone, Copy)]
pub(super) struct GeluTanh;

impl Curve for GeluTanh {
    #[inline(always)]
    fn value<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        T::smooth::<S, smooth::GeluTanh>(simd, x)
    }

    #[inline(always)]
    fn derivative_from_input<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        T::smooth::<S, smooth::GeluTanhDerivative>(simd, x)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Silu;

impl Curve for Silu {
    #[inline(always)]
    fn value<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        T::smooth::<S, smooth::Silu>(simd, x)
    }

    #[inline(always)]
    fn derivative_from_input<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        T::smooth::<S, smooth::SiluDerivative>(simd, x)
    }
}

#[derive(Clone, Copy)]
pub(super) struct HardSigmoid;

impl Curve for HardSigmoid {
    #[inline(always)]
    fn value<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        hard_sigmoid::<T, S>(simd, x)
    }

    #[inline(always)]
    fn derivative<T: Element, S: Simd>(self, simd: S, y: T::Lanes<S>) -> T::Lanes<S> {
        let (zero, one) = (splat::<T, S>(simd, 0.0), splat::<T, S>(simd, 1.0));
        let sixth = splat::<T, S>(simd, 1.0 / 6.0);
        T::Lanes::<S>::select(zero.lt(y) & y.lt(one), sixth, flat(zero, y))
    }

    #[inline(always)]
    fn derivative_from_input<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        let (zero, three, sixth) =
            (splat::<T, S>(simd, 0.0), splat::<T, S>(simd, 3.0), splat::<T, S>(simd, 1.0 / 6.0));
        T::Lanes::<S>::select((-three).lt(x) & x.lt(three), sixth, flat(zero, x))
    }
}

#[derive(Clone, Copy)]
pub(super) struct HardTanh;

impl Curve for HardTanh {
    #[inline(always)]
    fn value<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        let one = splat::<T, S>(simd, 1.0);
        one.min((-one).max(x))
    }

    #[inline(always)]
    fn derivative<T: Element, S: Simd>(self, simd: S, y: T::Lanes<S>) -> T::Lanes<S> {
        let (zero, one) = (splat::<T, S>(simd, 0.0), splat::<T, S>(simd, 1.0));
        T::Lanes::<S>::select((-one).lt(y) & y.lt(one), one, flat(zero, y))
    }

    #[inline(always)]
    fn derivative_from_input<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        self.derivative::<T, S>(simd, x)
    }
}

#[derive(Clone, Copy)]
pub(super) struct HardSwish;

impl Curve for HardSwish {
    #[inline(always)]
    fn value<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        // Not infinity times 0.
        splat::<T, S>(simd, -3.0).max(x) * hard_sigmoid::<T, S>(simd, x)
    }

    #[inline(always)]
    fn derivative_from_input<T: Element, S: Simd>(self, simd: S, x: T::Lanes<S>) -> T::Lanes<S> {
        let (zero, one) = (splat::<T, S>(simd, 0.0), splat::<T, S>(simd, 1.0));
        let three = splat::<T, S>(simd, 3.0);
        let inside = x.mul_add(splat::<T, S>(simd, 1.0 / 3.0), splat::<T, S>(simd, 0.5));
        let outside = T::Lanes::<S>::select(three.le(x), one, flat(zero, x));
        T::Lanes::<S>::select((-three).lt(x) & x.lt(three), inside, outside)
    }
}

/// The derivative of ReLU, from its input or its output.
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
