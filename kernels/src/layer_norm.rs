//! Layer normalisation: forward, evaluation, backward.
//!
//! For each row, over its `n` features (Ba, Kiros and Hinton, "Layer Normalization", 2016):
//!
//! ```text
//! mean     = sum x / n
//! variance = sum (x - mean)^2 / n                 biased
//! inv_std  = 1 / sqrt(variance + epsilon)
//! y        = gamma * (x - mean) * inv_std + beta
//! ```
//!
//! A row is summed twice, from the cache: for its mean, and for the deviations from that and their squares; the sum of
//! deviations puts right what the mean was off by. Both are sums as of [`sum`](crate::sum), in lanes and then in `f64`, so
//! that their errors do not grow with the length. With `u = EPSILON / 2`, `a = sum |x| / n` and `k = 76` (in `f64`, 1 more for each
//! 2048 features):
//!
//! ```text
//! |mean error|     <= u |mean| + k u s            s = sqrt(variance) + 2 k u a
//! |variance error| <= k u s^2
//! ```
//!
//! Nothing goes from one row into another: a row's bits are the same in every batch.

use crate::batch_norm::{Affine, AffineGradient, Saved, SavedMut};
use crate::error::{expect_at_least, expect_len};
use crate::once::compiled_once;
use crate::rows::expect_rows;
use crate::simd::dispatch;
use crate::{Element, Level, ShapeError};

mod kernel;

use kernel::{backward_kernel, forward_kernel};

/// Normalises each row by its own statistics, and keeps them: `y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`.
///
/// `x`, `y`: (rows, `features`) row-major; `affine`: one value a feature; `saved`: one a row, overwritten as `y` is, for
/// [`layer_norm_backward`].
///
/// `epsilon` is positive (1e-5 by custom): a constant row gives `beta`. With `u = EPSILON / 2`, the mean is off by at most `u |mean| + 76 u
/// std` and the variance by 76 u of itself, where the mean is not above some thousand deviations, at any length (`f64`: 1 u more for
/// each 2048 features); `inv_std` by half of what the variance is and 4 u; and `y`, from what was saved, by `4 u |y - beta| + u |beta|`. Where
/// squares of deviations overflow the row is `beta`; where a NaN or an infinity is, or the sum overflows, it is NaN. No other row is
/// touched by either. (Ba, Kiros and Hinton, Layer Normalization, 2016.)
///
/// ```
/// use slicewise_kernels::{Affine, Level, SavedMut, layer_norm_forward};
///
/// let x = [1.0f32, 3.0, 10.0, 30.0]; // 2 rows of 2 features
/// let (mut mean, mut inv_std, mut y) = ([0.0; 2], [0.0; 2], [0.0; 4]);
/// let affine = Affine { gamma: &[1.0, 2.0], beta: &[0.0, 0.5] };
/// let saved = SavedMut { mean: &mut mean, inv_std: &mut inv_std };
/// layer_norm_forward(Level::detect(), 1e-5, 2, &x, affine, saved, &mut y)?;
/// assert_eq!(mean, [2.0, 20.0]);
/// assert!(y.iter().zip([-1.0, 2.5, -1.0, 2.5]).all(|(y, z)| (y - z).abs() < 1e-4));
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless there is a feature, `x` holds whole rows, and every other length fits.
pub fn layer_norm_forward<T: Element>(
    level: Level,
    epsilon: f64,
    features: usize,
    x: &[T],
    affine: Affine<'_, T>,
    saved: SavedMut<'_, T>,
    y: &mut [T],
) -> Result<(), ShapeError> {
    let rows = expect_forward(features, x.len(), affine)?;
    expect_len("saved.mean", rows, saved.mean.len())?;
    expect_len("saved.inv_std", rows, saved.inv_std.len())?;
    expect_len("y", x.len(), y.len())?;
    T::layer_norm(level, epsilon, features, Some(x), affine, Some(saved), y);
    Ok(())
}

/// [`layer_norm_forward`] that keeps no statistics: the same bits.
///
/// ```
/// use slicewise_kernels::{Affine, Level, layer_norm_evaluate};
///
/// let (affine, mut y) = (Affine { gamma: &[2.0, 2.0], beta: &[1.0, 1.0] }, [0.0f64; 2]);
/// layer_norm_evaluate(Level::detect(), 1e-5, 2, &[3.0, 5.0], affine, &mut y)?;
/// assert!((y[0] + 1.0).abs() < 1e-4 && (y[1] - 3.0).abs() < 1e-4);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless there is a feature, `x` holds whole rows, and every other length fits.
pub fn layer_norm_evaluate<T: Element>(
    level: Level,
    epsilon: f64,
    features: usize,
    x: &[T],
    affine: Affine<'_, T>,
    y: &mut [T],
) -> Result<(), ShapeError> {
    expect_forward(features, x.len(), affine)?;
    expect_len("y", x.len(), y.len())?;
    T::layer_norm(level, epsilon, features, Some(x), affine, None, y);
    Ok(())
}

/// [`layer_norm_evaluate`] that overwrites its input, with the same bits.
///
/// ```
/// use slicewise_kernels::{Affine, Level, layer_norm_evaluate_in_place};
///
/// let (affine, mut x) = (Affine { gamma: &[2.0, 2.0], beta: &[1.0, 1.0] }, [3.0f64, 5.0]);
/// layer_norm_evaluate_in_place(Level::detect(), 1e-5, 2, &mut x, affine)?;
/// assert!((x[0] + 1.0).abs() < 1e-4 && (x[1] - 3.0).abs() < 1e-4);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless there is a feature, `x` holds whole rows, and every other length fits.
pub fn layer_norm_evaluate_in_place<T: Element>(
    level: Level,
    epsilon: f64,
    features: usize,
    x: &mut [T],
    affine: Affine<'_, T>,
) -> Result<(), ShapeError> {
    expect_forward(features, x.len(), affine)?;
    T::layer_norm(level, epsilon, features, None, affine, None, x);
    Ok(())
}

/// The gradients of a loss by `x`, `gamma` and `beta`, from its gradient `dy` by `y`, through each row's statistics.
///
/// With `z = (x - mean) * inv_std` and `g = gamma * dy`, means over the `n` features of a row, sums over the rows:
///
/// ```text
/// dx     = inv_std * (g - mean g - z * mean (g * z))
/// dgamma = sum dy * z
/// dbeta  = sum dy
/// ```
///
/// `x`, `dy`, `dx`: (rows, `features`) row-major; `gamma` and `gradient`: one value a feature; `saved`: one a row, from
/// [`layer_norm_forward`]. Overwrites `dx` and `gradient`, which is 0 of no rows.
///
/// With `u = EPSILON / 2`, `dx` is off by at most `84 u` of `inv_std * (|g| + mean |g| + |z| * mean |g * z|)`, at any length (`f64`: 1 u
/// more for each 2048 features). Rows are summed in their order by fours, so that `dgamma` and `dbeta` are off by `(rows / 4 + 12) u` of
/// their sums of magnitudes. NaN in, NaN out: `dx` in its row alone. (Ba, Kiros and Hinton, Layer Normalization, 2016.)
///
/// ```
/// use slicewise_kernels::{AffineGradient, Level, Saved, layer_norm_backward};
///
/// let (x, dy) = ([-1.0f32, 0.0, 1.0], [0.0, 0.0, 6.0]);
/// let (mut dx, mut dgamma, mut dbeta) = ([0.0; 3], [0.0; 3], [0.0; 3]);
/// let saved = Saved { mean: &[0.0], inv_std: &[1.0] };
/// let gradient = AffineGradient { gamma: &mut dgamma, beta: &mut dbeta };
/// layer_norm_backward(Level::detect(), 3, &x, &[1.0; 3], saved, &dy, &mut dx, gradient)?;
/// assert!(dx.iter().zip([0.0, -2.0, 2.0]).all(|(dx, z)| (dx - z).abs() < 1e-5));
/// assert_eq!((dgamma, dbeta), ([0.0, 0.0, 6.0], dy));
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless there is a feature, `x` holds whole rows, and every other length fits.
pub fn layer_norm_backward<T: Element>(
    level: Level,
    features: usize,
    x: &[T],
    gamma: &[T],
    saved: Saved<'_, T>,
    dy: &[T],
    dx: &mut [T],
    gradient: AffineGradient<'_, T>,
) -> Result<(), ShapeError> {
    expect_backward(features, x, gamma, saved, dy.len(), &gradient)?;
    expect_len("dx", x.len(), dx.len())?;
    T::layer_norm_gradients(level, features, x, gamma, saved, Some(dy), dx, gradient);
    Ok(())
}

/// [`layer_norm_backward`] that turns `dy` into `dx` where it stands, with the same bits.
///
/// ```
/// use slicewise_kernels::{AffineGradient, Level, Saved, layer_norm_backward_in_place};
///
/// let (x, mut dy, mut dgamma, mut dbeta) = ([-1.0f32, 1.0], [1.0, 2.0], [0.0; 2], [0.0; 2]);
/// let saved = Saved { mean: &[0.0], inv_std: &[1.0] };
/// let gradient = AffineGradient { gamma: &mut dgamma, beta: &mut dbeta };
/// layer_norm_backward_in_place(Level::detect(), 2, &x, &[1.0; 2], saved, &mut dy, gradient)?;
/// // Two values in a row are always -1 and 1: no input changes that.
/// assert_eq!((dy, dgamma, dbeta), ([0.0, 0.0], [-1.0, 2.0], [1.0, 2.0]));
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless there is a feature, `x` holds whole rows, and every other length fits.
pub fn layer_norm_backward_in_place<T: Element>(
    level: Level,
    features: usize,
    x: &[T],
    gamma: &[T],
    saved: Saved<'_, T>,
    dy: &mut [T],
    gradient: AffineGradient<'_, T>,
) -> Result<(), ShapeError> {
    expect_backward(features, x, gamma, saved, dy.len(), &gradient)?;
    T::layer_norm_gradients(level, features, x, gamma, saved, None, dy, gradient);
    Ok(())
}

compiled_once! {
    /// Layer norm, in place where there is no `x`, or no `dy`.
    trait NormaliseRows {
        /// See [`layer_norm_forward`].
        fn layer_norm(
            level: Level,
            epsilon: f64,
            features: usize,
            x: Option<&[Self]>,
            affine: Affine<'_, Self>,
            saved: Option<SavedMut<'_, Self>>,
            y: &mut [Self],
        ) {
            let epsilon = Self::from_f64(epsilon);
            dispatch!(level, simd => forward_kernel(simd, epsilon, features, x, affine, saved, y));
        }

        /// See [`layer_norm_backward`].
        fn layer_norm_gradients(
            level: Level,
            features: usize,
            x: &[Self],
            gamma: &[Self],
            saved: Saved<'_, Self>,
            dy: Option<&[Self]>,
            dx: &mut [Self],
            gradient: AffineGradient<'_, Self>,
        ) {
            dispatch!(level, simd => backward_kernel(simd, features, x, gamma, saved, dy, dx, gradient));
        }
    }
}

/// The number of rows in `x`.
fn rows_of(features: usize, x: usize) -> Result<usize, ShapeError> {
    expect_at_least("features", 1, features)?;
    expect_rows("x", features, x)?;
    Ok(x.checked_div(features).unwrap_or(0))
}

fn expect_forward<T>(features: usize, x: usize, affine: Affine<'_, T>) -> Result<usize, ShapeError> {
    let rows = rows_of(features, x)?;
    expect_len("affine.gamma", features, affine.gamma.len())?;
    expect_len("affine.beta", features, affine.beta.len())?;
    Ok(rows)
}

fn expect_backward<T>(
    features: usize,
    x: &[T],
    gamma: &[T],
    saved: Saved<'_, T>,
    dy: usize,
    gradient: &AffineGradient<'_, T>,
) -> Result<(), ShapeError> {
    let rows = rows_of(features, x.len())?;
    expect_len("gamma", features, gamma.len())?;
    expect_len("saved.mean", rows, saved.mean.len())?;
    expect_len("saved.inv_std", rows, saved.inv_std.len())?;
    expect_len("dy", x.len(), dy)?;
    expect_len("gradient.gamma", features, gradient.gamma.len())?;
    expect_len("gradient.beta", features, gradient.beta.len())
}

#[cfg(test)]
mod tests;
