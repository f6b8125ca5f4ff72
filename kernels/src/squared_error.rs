//! The loss of regression.

use crate::error::{expect_at_least, expect_len};
use crate::once::compiled_once;
use crate::simd::apply::map_sum;
use crate::simd::{Arithmetic, Simd, dispatch};
use crate::{Element, Level, ShapeError};

/// The mean squared error `sum_i (y[i] - t[i])^2 / n` and its gradient with respect to the predictions, `dy[i] = 2 / n (y[i] - t[i])`.
///
/// `y`: predictions, `targets`, `dy`: n each, in any layout. Each difference, each square and each product with `2 / n` is rounded once; 256
/// blocks at a time are summed in the lanes, then in `f64`: a relative error of at most `(256 + 5) * EPSILON / 2` for `f32`, at
/// any n. NaN in, NaN out. (Bishop, Pattern Recognition and Machine Learning, 1.1.)
///
/// ```
/// use slicewise_kernels::{Level, squared_error};
///
/// let mut dy = [0.0f32; 2];
/// let loss = squared_error(Level::detect(), &[1.0, 3.0], &[2.0, 1.0], &mut dy)?;
/// assert_eq!(loss, 2.5);
/// assert_eq!(dy, [-1.0, 2.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless `y` has an element, and `targets` and `dy` are as long.
pub fn squared_error<T: Element>(
    level: Level,
    y: &[T],
    targets: &[T],
    dy: &mut [T],
) -> Result<f64, ShapeError> {
    expect_at_least("y", 1, y.len())?;
    expect_len("targets", y.len(), targets.len())?;
    expect_len("dy", y.len(), dy.len())?;
    Ok(T::squared_error(level, y, targets, dy))
}

compiled_once! {
    /// The mean squared error.
    trait SquaredError {
        /// See [`squared_error`].
        fn squared_error(level: Level, y: &[Self], targets: &[Self], dy: &mut [Self]) -> f64 {
            dispatch!(level, simd => kernel(simd, y, targets, dy))
        }
    }
}

#[inline(always)]
fn kernel<T: Element, S: Simd>(simd: S, y: &[T], targets: &[T], dy: &mut [T]) -> f64 {
    let n = y.len() as f64;
    let factor = T::Lanes::<S>::splat(simd, T::from_f64(2.0 / n));
    let [sum] = map_sum(
        simd,
        [y, targets],
        [dy],
        #[inline(always)]
        |[y, t], _, [sum]| {
            let error = y - t;
            ([factor * error], [error.mul_add(error, sum)])
        },
    );
    sum / n
}

#[cfg(test)]
mod tests;
