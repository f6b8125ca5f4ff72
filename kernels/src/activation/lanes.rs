//! The loops of activations and of their derivatives.

use super::Activation;
use super::curves::{self, Curve};
use crate::once::compiled_once;
use crate::simd::wide::{Elementwise, map_wide};
use crate::simd::{Arithmetic, Simd, dispatch};
use crate::{Element, Level};

/// `$body` with `$curve`, the type of `$activation`: one function for each, no choice inside it. After the bar, what goes the same way.
macro_rules! each_curve {
    ($activation:expr, $curve:ident => $body:expr, $($plain:ident $(| $same:ident)?),*) => {
        match $activation {
            $(Activation::$plain $(| Activation::$same)? => {
                let $curve = curves::$plain;
                $body
            })*
            Activation::LeakyRelu { slope } => {
                let $curve = curves::LeakyRelu { slope };
                $body
            }
            Activation::Elu { alpha } => {
                let $curve = curves::Elu { alpha };
                $body
            }
        }
    };
}

compiled_once! {
    /// Activations and their derivatives.
    trait Activate {
        /// `y = f(x)`, or `f(y)` where there is no `x`.
        fn activate(level: Level, activation: Activation, x: Option<&[Self]>, y: &mut [Self]) {
            each_curve!(
                activation,
                curve => match x {
                    Some(x) => dispatch!(level, simd => activate_kernel(simd, curve, [x], y)),
                    None => dispatch!(level, simd => activate_kernel(simd, curve, [], y)),
                },
                Identity, Relu, Selu, Sigmoid, SigmoidFast, Tanh, TanhFast, Softplus, Gelu, GeluFast, GeluTanh, Silu, HardSigmoid,
                HardTanh, HardSwish
            );
        }

        /// `dx = dy f'(x)` from `y = f(x)`, or `dx f'(x)` where there is no `dy`.
        fn backward(level: Level, activation: Activation, y: &[Self], dy: Option<&[Self]>, dx: &mut [Self]) {
            each_curve!(
                activation,
                curve => match dy {
                    Some(dy) => dispatch!(level, simd => backward_kernel(simd, curve, [y, dy], dx)),
                    None => dispatch!(level, simd => backward_kernel(simd, curve, [y], dx)),
                },
                Identity, Relu, Selu, Sigmoid | SigmoidFast, Tanh | TanhFast, Softplus, Gelu | GeluFast, GeluTanh, Silu, HardSigmoid,
                HardTanh, HardSwish
            );
        }

        /// `dx = dy f'(x)` from `x`.
        fn backward_from_input(level: Level, activation: Activation, x: &[Self], dy: &[Self], dx: &mut [Self]) {
            each_curve!(
                activation,
                curve => dispatch!(level, simd => backward_from_input_kernel(simd, curve, x, dy, dx)),
                Identity, Relu, Selu, Sigmoid | SigmoidFast, Tanh | TanhFast, Softplus, Gelu | GeluFast, GeluTanh, Silu, HardSigmoid,
                HardTanh, HardSwish
            );
        }
    }
}

/// From `x`, or in place where there is none.
#[inline(always)]
fn activate_kernel<T: Element, S: Simd, C: Curve, const IN: usize>(
    simd: S,
    curve: C,
    x: [&[T]; IN],
    y: &mut [T],
) {
    map_wide(simd, x, y, Value(curve));
}

/// From `[y, dy]`, or from `[y]` where `dx` holds `dy`.
#[inline(always)]
fn backward_kernel<T: Element, S: Simd, C: Curve, const IN: usize>(
    simd: S,
    curve: C,
    operands: [&[T]; IN],
    dx: &mut [T],
) {
    map_wide(simd, operands, dx, Derivative(curve));
}

#[inline(always)]
fn backward_from_input_kernel<T: Element, S: Simd, C: Curve>(
    simd: S,
    curve: C,
    x: &[T],
    dy: &[T],
    dx: &mut [T],
) {
    map_wide(simd, [x, dy], dx, DerivativeFromInput(curve));
}

/// `f(x)`, or of `y` where there is no `x`.
struct Value<C>(C);

impl<T: Element, C: Curve, const IN: usize> Elementwise<T, IN> for Value<C> {
    #[inline(always)]
    fn lanes<A: Arithmetic<Scalar = T>>(&self, simd: A::Simd, x: [A; IN], y: A) -> A {
        self.0.value(simd, x.first().copied().unwrap_or(y))
    }
}

/// Of `[y, dy]`, or of `[y]` and `dy`: `dy f'`.
struct Derivative<C>(C);

impl<T: Element, C: Curve, const IN: usize> Elementwise<T, IN> for Derivative<C> {
    #[inline(always)]
    fn lanes<A: Arithmetic<Scalar = T>>(&self, simd: A::Simd, operands: [A; IN], dx: A) -> A {
        let y = operands.first().copied().unwrap_or(dx);
        let dy = operands.get(1).copied().unwrap_or(dx);
        dy * self.0.derivative(simd, y)
    }
}

/// Of `[x, dy]`: `dy f'(x)`.
struct DerivativeFromInput<C>(C);

impl<T: Element, C: Curve> Elementwise<T, 2> for DerivativeFromInput<C> {
    #[inline(always)]
    fn lanes<A: Arithmetic<Scalar = T>>(&self, simd: A::Simd, [x, dy]: [A; 2], _: A) -> A {
        dy * self.0.derivative_from_input(simd, x)
    }
}
