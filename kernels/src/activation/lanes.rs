//! The loops of activations and of their derivatives.

use super::Activation;
use super::curves::{self, Curve};
use crate::simd::wide::{Elementwise, map_wide};
use crate::simd::{Arithmetic, Simd, dispatch};
use crate::{Element, Level};

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
        backward_from_input(level, activation, x, dy, dx);
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
        backward_from_input(level, activation, x, dy, dx);
    }
}

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

#[inline(always)]
fn activate<T: Element>(level: Level, activation: Activation, x: Option<&[T]>, y: &mut [T]) {
    each_curve!(
        activation,
        curve => match x {
            Some(x) => dispatch!(level, simd => activate_kernel(simd, curve, [x], y)),
            None => dispatch!(level, simd => activate_kernel(simd, curve, [], y)),
        },
        Identity, Relu, Selu, Sigmoid, SigmoidFast, Tanh, TanhFast, Softplus, Gelu, GeluFast, GeluTanh, Silu, HardSigmoid, HardTanh,
        HardSwish
    );
}

#[inline(always)]
fn backward<T: Element>(level: Level, activation: Activation, y: &[T], dy: Option<&[T]>, dx: &mut [T]) {
    each_curve!(
        activation,
        curve => match dy {
            Some(dy) => dispatch!(level, simd => backward_kernel(simd, curve, [y, dy], dx)),
            None => dispatch!(level, simd => backward_kernel(simd, curve, [y], dx)),
        },
        Identity, Relu, Selu, Sigmoid | SigmoidFast, Tanh | TanhFast, Softplus, Gelu | GeluFast, GeluTanh, Silu, HardSigmoid, HardTanh,
        HardSwish
    );
}

#[inline(always)]
fn backward_from_input<T: Element>(level: Level, activation: Activation, x: &[T], dy: &[T], dx: &mut [T]) {
    each_curve!(
        activation,
        curve => dispatch!(level, simd => backward_from_input_kernel(simd, curve, x, dy, dx)),
        Identity, Relu, Selu, Sigmoid | SigmoidFast, Tanh | TanhFast, Softplus, Gelu | GeluFast, GeluTanh, Silu, HardSigmoid, HardTanh,
        HardSwish
    );
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
