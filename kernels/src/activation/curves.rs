//! The activations and their derivatives, in lanes: a type each, so that what is compiled for one holds no other.

use super::Activation;
use crate::Element;
use crate::math::smooth;
use crate::simd::Arithmetic;

/// An activation and its derivative.
pub(super) trait Curve: Copy {
    /// `f(x)`
    fn value<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A;

    /// `f'(x)` from the output `y = f(x)`. Where that does not tell it, the interface refuses.
    #[inline(always)]
    fn derivative<A: Arithmetic<Scalar: Element>>(self, _: A::Simd, y: A) -> A {
        y
    }

    /// `f'(x)`
    fn derivative_from_input<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A;
}

/// A value in every lane.
#[inline(always)]
fn splat<A: Arithmetic<Scalar: Element>>(simd: A::Simd, x: f64) -> A {
    A::splat(simd, A::Scalar::from_f64(x))
}

#[derive(Clone, Copy)]
pub(super) struct Identity;

impl Curve for Identity {
    #[inline(always)]
    fn value<A: Arithmetic<Scalar: Element>>(self, _: A::Simd, x: A) -> A {
        x
    }

    #[inline(always)]
    fn derivative<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, _: A) -> A {
        splat::<A>(simd, 1.0)
    }

    #[inline(always)]
    fn derivative_from_input<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, _: A) -> A {
        splat::<A>(simd, 1.0)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Relu;

impl Curve for Relu {
    #[inline(always)]
    fn value<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        splat::<A>(simd, 0.0).max(x)
    }

    #[inline(always)]
    fn derivative<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, y: A) -> A {
        relu_derivative(splat::<A>(simd, 0.0), splat::<A>(simd, 1.0), y)
    }

    #[inline(always)]
    fn derivative_from_input<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        self.derivative(simd, x)
    }
}

#[derive(Clone, Copy)]
pub(super) struct LeakyRelu {
    pub(super) slope: f64,
}

impl Curve for LeakyRelu {
    #[inline(always)]
    fn value<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        let zero = splat::<A>(simd, 0.0);
        A::select(zero.lt(x), x, splat::<A>(simd, self.slope) * x)
    }

    #[inline(always)]
    fn derivative<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, y: A) -> A {
        let (zero, one) = (splat::<A>(simd, 0.0), splat::<A>(simd, 1.0));
        let low = A::select(y.le(zero), splat::<A>(simd, self.slope), y);
        A::select(zero.lt(y), one, low)
    }

    #[inline(always)]
    fn derivative_from_input<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        self.derivative(simd, x)
    }
}

/// `limit (e^x - 1)` below 0, where ELU and SELU agree but for the limit.
#[inline(always)]
fn elu_below<A: Arithmetic<Scalar: Element>>(simd: A::Simd, limit: f64, x: A, positive: A) -> A {
    let zero = splat::<A>(simd, 0.0);
    let negative = splat::<A>(simd, limit) * x.min(zero).smooth::<smooth::ExpM1Negative>(simd);
    A::select(x.lt(zero), negative, positive)
}

/// From the output, with the slope above 0 and minus the limit towards minus infinity.
#[inline(always)]
fn elu_derivative<A: Arithmetic<Scalar: Element>>(simd: A::Simd, [slope, limit]: [f64; 2], y: A) -> A {
    let zero = splat::<A>(simd, 0.0);
    A::select(zero.lt(y), splat::<A>(simd, slope), y + splat::<A>(simd, limit))
}

/// From the input.
#[inline(always)]
fn elu_derivative_from_input<A: Arithmetic<Scalar: Element>>(
    simd: A::Simd,
    [slope, limit]: [f64; 2],
    x: A,
) -> A {
    let zero = splat::<A>(simd, 0.0);
    let negative = splat::<A>(simd, limit) * x.min(zero).smooth::<smooth::ExpNegative>(simd);
    let low = A::select(x.le(zero), negative, x);
    A::select(zero.lt(x), splat::<A>(simd, slope), low)
}

#[derive(Clone, Copy)]
pub(super) struct Elu {
    pub(super) alpha: f64,
}

impl Curve for Elu {
    #[inline(always)]
    fn value<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        elu_below(simd, self.alpha, x, x)
    }

    #[inline(always)]
    fn derivative<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, y: A) -> A {
        elu_derivative(simd, [1.0, self.alpha], y)
    }

    #[inline(always)]
    fn derivative_from_input<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        elu_derivative_from_input(simd, [1.0, self.alpha], x)
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
    fn value<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        // One rounding of the scale's fraction alone: a rounded scale overflows where the exact product does not.
        let positive = x.mul_add(splat::<A>(simd, Self::SLOPE - 1.0), x);
        elu_below(simd, Self::LIMIT, x, positive)
    }

    #[inline(always)]
    fn derivative<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, y: A) -> A {
        elu_derivative(simd, [Self::SLOPE, Self::LIMIT], y)
    }

    #[inline(always)]
    fn derivative_from_input<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        elu_derivative_from_input(simd, [Self::SLOPE, Self::LIMIT], x)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Sigmoid;

impl Curve for Sigmoid {
    #[inline(always)]
    fn value<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        x.smooth::<smooth::Sigmoid>(simd)
    }

    #[inline(always)]
    fn derivative<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, y: A) -> A {
        y * (splat::<A>(simd, 1.0) - y)
    }

    #[inline(always)]
    fn derivative_from_input<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        // f(-|x|) f(|x|), where the first factor keeps its digits in both tails.
        let y = (x.min(-x)).smooth::<smooth::Sigmoid>(simd);
        y * (splat::<A>(simd, 1.0) - y)
    }
}

#[derive(Clone, Copy)]
pub(super) struct SigmoidFast;

impl Curve for SigmoidFast {
    #[inline(always)]
    fn value<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        x.smooth::<smooth::SigmoidFast>(simd)
    }

    #[inline(always)]
    fn derivative<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, y: A) -> A {
        Sigmoid.derivative(simd, y)
    }

    #[inline(always)]
    fn derivative_from_input<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        Sigmoid.derivative_from_input(simd, x)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Tanh;

impl Curve for Tanh {
    #[inline(always)]
    fn value<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        x.smooth::<smooth::Tanh>(simd)
    }

    #[inline(always)]
    fn derivative<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, y: A) -> A {
        y.neg_mul_add(y, splat::<A>(simd, 1.0))
    }

    #[inline(always)]
    fn derivative_from_input<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        // 1 - tanh^2 = 4 s (1 - s), with s the logistic function of -2 |x|.
        let y = (x.min(-x) + x.min(-x)).smooth::<smooth::Sigmoid>(simd);
        let derivative = y * (splat::<A>(simd, 1.0) - y);
        (derivative + derivative) + (derivative + derivative)
    }
}

#[derive(Clone, Copy)]
pub(super) struct TanhFast;

impl Curve for TanhFast {
    #[inline(always)]
    fn value<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        x.smooth::<smooth::TanhFast>(simd)
    }

    #[inline(always)]
    fn derivative<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, y: A) -> A {
        Tanh.derivative(simd, y)
    }

    #[inline(always)]
    fn derivative_from_input<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        Tanh.derivative_from_input(simd, x)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Softplus;

impl Curve for Softplus {
    #[inline(always)]
    fn value<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        x.smooth::<smooth::Softplus>(simd)
    }

    #[inline(always)]
    fn derivative<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, y: A) -> A {
        // 1 - e^-y
        -(splat::<A>(simd, 0.0).min(-y)).smooth::<smooth::ExpM1Negative>(simd)
    }

    #[inline(always)]
    fn derivative_from_input<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        x.smooth::<smooth::Sigmoid>(simd)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Gelu;

impl Curve for Gelu {
    #[inline(always)]
    fn value<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        x.smooth::<smooth::Gelu>(simd)
    }

    #[inline(always)]
    fn derivative_from_input<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        x.smooth::<smooth::GeluDerivative>(simd)
    }
}

#[derive(Clone, Copy)]
pub(super) struct GeluFast;

impl Curve for GeluFast {
    #[inline(always)]
    fn value<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        x.smooth::<smooth::GeluFast>(simd)
    }

    #[inline(always)]
    fn derivative_from_input<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        x.smooth::<smooth::GeluDerivative>(simd)
    }
}

#[derive(Clone, Copy)]
pub(super) struct GeluTanh;

impl Curve for GeluTanh {
    #[inline(always)]
    fn value<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        x.smooth::<smooth::GeluTanh>(simd)
    }

    #[inline(always)]
    fn derivative_from_input<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        x.smooth::<smooth::GeluTanhDerivative>(simd)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Silu;

impl Curve for Silu {
    #[inline(always)]
    fn value<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        x.smooth::<smooth::Silu>(simd)
    }

    #[inline(always)]
    fn derivative_from_input<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        x.smooth::<smooth::SiluDerivative>(simd)
    }
}

#[derive(Clone, Copy)]
pub(super) struct HardSigmoid;

impl Curve for HardSigmoid {
    #[inline(always)]
    fn value<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        hard_sigmoid(simd, x)
    }

    #[inline(always)]
    fn derivative<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, y: A) -> A {
        let (zero, one) = (splat::<A>(simd, 0.0), splat::<A>(simd, 1.0));
        let sixth = splat::<A>(simd, 1.0 / 6.0);
        A::select(zero.lt(y) & y.lt(one), sixth, flat(zero, y))
    }

    #[inline(always)]
    fn derivative_from_input<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        let (zero, three, sixth) =
            (splat::<A>(simd, 0.0), splat::<A>(simd, 3.0), splat::<A>(simd, 1.0 / 6.0));
        A::select((-three).lt(x) & x.lt(three), sixth, flat(zero, x))
    }
}

#[derive(Clone, Copy)]
pub(super) struct HardTanh;

impl Curve for HardTanh {
    #[inline(always)]
    fn value<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        let one = splat::<A>(simd, 1.0);
        one.min((-one).max(x))
    }

    #[inline(always)]
    fn derivative<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, y: A) -> A {
        let (zero, one) = (splat::<A>(simd, 0.0), splat::<A>(simd, 1.0));
        A::select((-one).lt(y) & y.lt(one), one, flat(zero, y))
    }

    #[inline(always)]
    fn derivative_from_input<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        self.derivative(simd, x)
    }
}

#[derive(Clone, Copy)]
pub(super) struct HardSwish;

impl Curve for HardSwish {
    #[inline(always)]
    fn value<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        // Not infinity times 0.
        splat::<A>(simd, -3.0).max(x) * hard_sigmoid(simd, x)
    }

    #[inline(always)]
    fn derivative_from_input<A: Arithmetic<Scalar: Element>>(self, simd: A::Simd, x: A) -> A {
        let (zero, one) = (splat::<A>(simd, 0.0), splat::<A>(simd, 1.0));
        let three = splat::<A>(simd, 3.0);
        let inside = x.mul_add(splat::<A>(simd, 1.0 / 3.0), splat::<A>(simd, 0.5));
        let outside = A::select(three.le(x), one, flat(zero, x));
        A::select((-three).lt(x) & x.lt(three), inside, outside)
    }
}

/// The derivative of ReLU, from its input or its output.
#[inline(always)]
pub(crate) fn relu_derivative<V: Arithmetic>(zero: V, one: V, x: V) -> V {
    // A NaN comes through the maximum.
    V::select(zero.lt(x), one, zero.max(x))
}

/// `x / 6 + 1 / 2` in [0, 1]; NaN comes through.
#[inline(always)]
fn hard_sigmoid<A: Arithmetic<Scalar: Element>>(simd: A::Simd, x: A) -> A {
    let (zero, one) = (splat::<A>(simd, 0.0), splat::<A>(simd, 1.0));
    let (three, six) = (splat::<A>(simd, 3.0), splat::<A>(simd, 6.0));
    one.min(zero.max((x + three) / six))
}

/// The derivative where `x` lies on a flat part: 0, or NaN.
#[inline(always)]
fn flat<V: Arithmetic>(zero: V, x: V) -> V {
    V::select(x.eq(x), zero, x)
}
