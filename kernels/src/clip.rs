//! Gradient clipping.

use crate::once::compiled_once;
use crate::simd::apply::map;
use crate::simd::{Arithmetic, Simd, dispatch};
use crate::{Element, Level, ValueError};

/// Scales a gradient down to the norm `max_norm` where it is longer: `gradient *= max_norm / ||gradient||`. Returns the norm before.
///
/// A step then goes no further than `learning_rate * max_norm`, in the direction it had (Pascanu, Mikolov & Bengio, On the difficulty of
/// training recurrent neural networks, 2013). The global norm is that of all parameters' gradients together: of one slice with all in it. With
/// an infinite `max_norm` nothing is clipped, only measured.
///
/// The norm is that of [`norm`](crate::norm), not rounded to `T`: squares that overflow or underflow do no harm, and for `f32` it is exact
/// to 2.2e-6 at any length. Each element is rounded twice; so the norm afterwards is `max_norm` to 2.4e-6.
///
/// Where the gradient has a NaN the norm is NaN; where it has an infinity and no NaN, or the norm is beyond the largest `f64`, the norm is
/// infinite. The gradient is then left as it is, for no factor would mend it: see `is_finite` of what comes back, and leave out the step.
///
/// ```
/// use slicewise_kernels::{Level, clip_by_norm};
///
/// let mut gradient = [3.0f32, -4.0];
/// assert_eq!(clip_by_norm(Level::detect(), 10.0, &mut gradient)?, 5.0);
/// assert_eq!(gradient, [3.0, -4.0]);
/// assert_eq!(clip_by_norm(Level::detect(), 2.5, &mut gradient)?, 5.0);
/// assert_eq!(gradient, [1.5, -2.0]);
/// # Ok::<(), slicewise_kernels::ValueError>(())
/// ```
///
/// # Errors
/// [`ValueError`] unless `max_norm` is 0 or above.
pub fn clip_by_norm<T: Element>(level: Level, max_norm: f64, gradient: &mut [T]) -> Result<f64, ValueError> {
    if max_norm.is_nan() || max_norm < 0.0 {
        return Err(ValueError { argument: "max_norm", value: max_norm });
    }
    let norm = T::euclidean_norm(level, gradient);
    if norm > max_norm && norm.is_finite() {
        scale(level, max_norm, norm, gradient);
    }
    Ok(norm)
}

/// `gradient *= max_norm / norm`, of a norm above `max_norm`.
fn scale<T: Element>(level: Level, max_norm: f64, norm: f64, gradient: &mut [T]) {
    let smallest_normal = if T::LANES == 16 { f64::from(f32::MIN_POSITIVE) } else { f64::MIN_POSITIVE };
    let factor = max_norm / norm;
    if factor >= smallest_normal {
        T::scale(level, T::from_f64(factor), gradient);
    } else {
        // A factor that would lose its digits, or be 0, where a product need not be.
        for g in gradient {
            *g = T::from_f64(g.to_f64() / norm * max_norm);
        }
    }
}

compiled_once! {
    /// Products with one factor.
    trait Clip {
        /// `x[i] *= factor`.
        fn scale(level: Level, factor: Self, x: &mut [Self]) {
            dispatch!(level, simd => scale_kernel(simd, factor, x));
        }
    }
}

#[inline(always)]
fn scale_kernel<T: Element, S: Simd>(simd: S, factor: T, x: &mut [T]) {
    let factor = T::Lanes::<S>::splat(simd, factor);
    map(
        simd,
        [],
        [x],
        #[inline(always)]
        |[], [x]| [factor * x],
    );
}

#[cfg(test)]
mod tests;
