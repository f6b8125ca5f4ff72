//! Elementary functions of slices.

use crate::error::expect_len;
use crate::math::{Smooth, smooth};
use crate::once::compiled_once;
use crate::simd::apply::map;
use crate::simd::wide::{Elementwise, map_wide};
use crate::simd::{Arithmetic, Simd, dispatch};
use crate::{Element, Level, ShapeError};

/// An elementary function `y = f(x)` of single values.
///
/// NaN in, NaN out; infinities, signed zeros and subnormals are right. For `f32` the error is in units of the last place of the exact result,
/// over every `f32`, at the levels with fused multiply-add (`docs/accuracy.md` has each level's, and the worst inputs). For `f64` it
/// is 1 ULP; 2 for [`Tanh`](Self::Tanh), [`Sigmoid`](Self::Sigmoid) and [`Rsqrt`](Self::Rsqrt).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Function {
    /// `e^x`: 1.0 ULP.
    Exp,
    /// `2^x`: 1.1 ULP.
    Exp2,
    /// `e^x - 1`, with its digits near 0: 1.5 ULP.
    ExpM1,
    /// The natural logarithm: 0.9 ULP. Minus infinity at both zeros, NaN below.
    Ln,
    /// `ln(1 + x)`, with its digits near 0: 1.4 ULP. Minus infinity at -1, NaN below.
    Ln1p,
    /// The hyperbolic tangent: 1.3 ULP.
    Tanh,
    /// The logistic function `1 / (1 + e^-x)`: 1.5 ULP.
    Sigmoid,
    /// The error function `2 / sqrt(pi) * integral from 0 to x of e^-t^2 dt`: 1.5 ULP.
    Erf,
    /// The square root, correctly rounded. NaN below -0.
    Sqrt,
    /// `1 / sqrt(x)`, correctly rounded. Infinite at both zeros, with their signs; NaN below.
    Rsqrt,
}

impl Function {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::Exp,
        Self::Exp2,
        Self::ExpM1,
        Self::Ln,
        Self::Ln1p,
        Self::Tanh,
        Self::Sigmoid,
        Self::Erf,
        Self::Sqrt,
        Self::Rsqrt,
    ];

    /// Its name in small letters: `"exp"`, `"ln_1p"`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exp => "exp",
            Self::Exp2 => "exp2",
            Self::ExpM1 => "exp_m1",
            Self::Ln => "ln",
            Self::Ln1p => "ln_1p",
            Self::Tanh => "tanh",
            Self::Sigmoid => "sigmoid",
            Self::Erf => "erf",
            Self::Sqrt => "sqrt",
            Self::Rsqrt => "rsqrt",
        }
    }
}

/// `y[i] = f(x[i])`.
///
/// ```
/// use slicewise_kernels::{Function, Level, apply};
///
/// let mut y = [0.0f32; 3];
/// apply(Level::detect(), Function::Exp2, &[-1.0, 0.0, 10.0], &mut y)?;
/// assert_eq!(y, [0.5, 1.0, 1024.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless `y` is as long as `x`.
pub fn apply<T: Element>(level: Level, function: Function, x: &[T], y: &mut [T]) -> Result<(), ShapeError> {
    expect_len("y", x.len(), y.len())?;
    T::apply(level, function, Some(x), y);
    Ok(())
}

/// `y[i] = f(y[i])`: the bits of [`apply`].
///
/// ```
/// use slicewise_kernels::{Function, Level, apply_in_place};
///
/// let mut y = [4.0f64, 0.25];
/// apply_in_place(Level::detect(), Function::Rsqrt, &mut y);
/// assert_eq!(y, [0.5, 2.0]);
/// ```
pub fn apply_in_place<T: Element>(level: Level, function: Function, y: &mut [T]) {
    T::apply(level, function, None, y);
}

compiled_once! {
    /// Functions of slices.
    trait Apply {
        /// `y = f(x)`, or `f(y)` where there is no `x`.
        fn apply(level: Level, function: Function, x: Option<&[Self]>, y: &mut [Self]) {
            match x {
                Some(x) => dispatch!(level, simd => kernel(simd, function, [x], y)),
                None => dispatch!(level, simd => kernel(simd, function, [], y)),
            }
        }
    }
}

/// From `x`, or in place where there is none: one loop for each function, no choice inside it.
#[inline(always)]
fn kernel<T: Element, S: Simd, const IN: usize>(simd: S, function: Function, x: [&[T]; IN], y: &mut [T]) {
    match function {
        Function::Exp => map_wide(simd, x, y, Of(smooth::Exp)),
        Function::Exp2 => map_wide(simd, x, y, Of(smooth::Exp2)),
        Function::ExpM1 => map_wide(simd, x, y, Of(smooth::ExpM1)),
        Function::Ln => map_wide(simd, x, y, Of(smooth::Ln)),
        Function::Ln1p => map_wide(simd, x, y, Of(smooth::Ln1p)),
        Function::Tanh => map_wide(simd, x, y, Of(smooth::Tanh)),
        Function::Sigmoid => map_wide(simd, x, y, Of(smooth::Sigmoid)),
        Function::Erf => map_wide(simd, x, y, Of(smooth::Erf)),
        Function::Rsqrt => map_wide(simd, x, y, Of(smooth::Rsqrt)),
        Function::Sqrt => map(
            simd,
            x,
            [y],
            #[inline(always)]
            |x, [y]| [x.first().copied().unwrap_or(y).sqrt()],
        ),
    }
}

/// The function of the input, or of the output where there is none.
struct Of<F>(F);

impl<T: Element, F: Smooth, const IN: usize> Elementwise<T, IN> for Of<F> {
    #[inline(always)]
    fn lanes<A: Arithmetic<Scalar = T>>(&self, simd: A::Simd, x: [A; IN], y: A) -> A {
        x.first().copied().unwrap_or(y).smooth::<F>(simd)
    }
}

#[cfg(test)]
mod tests;
