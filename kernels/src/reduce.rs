//! Reductions: sums, products, norms, moments, extremes, histograms.
//!
//! Sums go through a fixed tree: 64 `f32` or 32 `f64` partial sums (four blocks) over at most 256 blocks at a time,
//! merged pairwise; then each of the 16 or 8 lanes is summed over the chunks in `f64`, and those go pairwise into one. So
//! the bits depend on the values and the length alone, and the error of an `f32` sum is at most `68 * EPSILON / 2 * sum |x|`
//! (4.1e-6 of it) at any length, where a plain loop has `n * EPSILON / 2`. An `f64` sum has `EPSILON / 2` more for
//! each 2048 elements.

use crate::error::expect_len;
use crate::moments::deviations;
use crate::once::compiled_once;
use crate::simd::apply::{fold, fold_sum, take_chunk};
use crate::simd::{Arithmetic, Lanes, Simd, dispatch};
use crate::{Element, Level, ShapeError};

/// `sum x[i]`; 0 for an empty slice.
///
/// ```
/// use slicewise_kernels::{Level, sum};
///
/// assert_eq!(sum(Level::detect(), &[1.0f32, 2.0, 3.5]), 6.5);
/// ```
pub fn sum<T: Element>(level: Level, x: &[T]) -> T {
    T::from_f64(T::sum_in_f64(level, x))
}

/// The dot product `sum x[i] * y[i]`, by fused multiply-add; 0 for empty slices.
///
/// ```
/// use slicewise_kernels::{Level, dot};
///
/// assert_eq!(dot(Level::detect(), &[1.0f64, 2.0], &[3.0, 4.0])?, 11.0);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless `y` is as long as `x`.
pub fn dot<T: Element>(level: Level, x: &[T], y: &[T]) -> Result<T, ShapeError> {
    expect_len("y", x.len(), y.len())?;
    Ok(T::from_f64(T::dot_in_f64(level, x, y)))
}

/// `sum x[i]^2`; 0 for an empty slice. Infinite where a square overflows: see [`norm`].
///
/// ```
/// use slicewise_kernels::{Level, sum_of_squares};
///
/// assert_eq!(sum_of_squares(Level::detect(), &[3.0f32, -4.0]), 25.0);
/// ```
pub fn sum_of_squares<T: Element>(level: Level, x: &[T]) -> T {
    T::from_f64(T::dot_in_f64(level, x, x))
}

/// The penalty of L2 regularisation, `0.5 * regularisation * sum w[i]^2`, as [`optimizer_step`](crate::optimizer_step)
/// has its gradient. The sum is not rounded to `T`.
///
/// ```
/// use slicewise_kernels::{Level, l2_penalty};
///
/// assert_eq!(l2_penalty(Level::detect(), 0.1, &[3.0f32, -4.0]), 1.25);
/// ```
pub fn l2_penalty<T: Element>(level: Level, regularisation: f64, w: &[T]) -> f64 {
    0.5 * regularisation * T::dot_in_f64(level, w, w)
}

/// The Manhattan (L1) norm `sum |x[i]|`; 0 for an empty slice.
///
/// ```
/// use slicewise_kernels::{Level, sum_abs};
///
/// assert_eq!(sum_abs(Level::detect(), &[3.0f32, -4.0]), 7.0);
/// ```
pub fn sum_abs<T: Element>(level: Level, x: &[T]) -> T {
    T::from_f64(T::sum_of_magnitudes(level, x))
}

/// The Euclidean (L2) norm `sqrt(sum x[i]^2)`; 0 for an empty slice.
///
/// Squares that overflow or underflow do no harm: where the sum of squares is too large or too small to be trusted, a
/// second pass scales by the largest magnitude.
///
/// ```
/// use slicewise_kernels::{Level, norm};
///
/// assert_eq!(norm(Level::detect(), &[3.0f32, -4.0]), 5.0);
/// assert_eq!(norm(Level::detect(), &[3e30f32, -4e30]), 5e30);
/// ```
pub fn norm<T: Element>(level: Level, x: &[T]) -> T {
    T::from_f64(T::euclidean_norm(level, x))
}

/// `sum x[i] / n`; NaN for an empty slice.
///
/// ```
/// use slicewise_kernels::{Level, mean};
///
/// assert_eq!(mean(Level::detect(), &[1.0f32, 2.0, 6.0]), 3.0);
/// ```
pub fn mean<T: Element>(level: Level, x: &[T]) -> T {
    T::from_f64(T::sum_in_f64(level, x) / x.len() as f64)
}

/// The biased variance `sum (x[i] - mean)^2 / n`; NaN for an empty slice.
///
/// Each 256 blocks are read three times, from the cache: their mean, and the sums of the deviations from it and of
/// their squares, whose first corrects the rounding of the mean (Chan, Golub & LeVeque 1983). The chunks are
/// merged in `f64`. So a mean that is large beside the deviations costs no accuracy: the relative error for `f32` is
/// below 1e-5.
///
/// ```
/// use slicewise_kernels::{Level, variance};
///
/// assert_eq!(variance(Level::detect(), &[1e6f32, 1e6 + 2.0]), 1.0);
/// ```
pub fn variance<T: Element>(level: Level, x: &[T]) -> T {
    T::from_f64(T::biased_variance(level, x))
}

/// The largest element; minus infinity for an empty slice, NaN where there is one. Of zeros of both signs it may be
/// either.
///
/// ```
/// use slicewise_kernels::{Level, max};
///
/// assert_eq!(max(Level::detect(), &[1.0f32, 3.0, 2.0]), 3.0);
/// assert!(max(Level::detect(), &[1.0, f32::NAN, 2.0]).is_nan());
/// ```
pub fn max<T: Element>(level: Level, x: &[T]) -> T {
    T::greatest(level, x)
}

/// The smallest element; infinity for an empty slice, NaN where there is one. Of zeros of both signs it may be
/// either.
///
/// ```
/// use slicewise_kernels::{Level, min};
///
/// assert_eq!(min(Level::detect(), &[3.0f32, 1.0, 2.0]), 1.0);
/// ```
pub fn min<T: Element>(level: Level, x: &[T]) -> T {
    T::least(level, x)
}

/// Where the first of the largest elements stands, `None` for an empty slice. NaN counts as the largest (NumPy's
/// rule): the first NaN, where there is one.
///
/// ```
/// use slicewise_kernels::{Level, argmax};
///
/// assert_eq!(argmax(Level::detect(), &[1.0f32, 3.0, 2.0, 3.0]), Some(1));
/// ```
pub fn argmax<T: Element>(level: Level, x: &[T]) -> Option<usize> {
    T::first_of_greatest(level, x)
}

/// Counts the elements in each of `counts.len()` bins of one width over `[low, high]`, and returns how many lie outside
/// (NaN does).
///
/// Bin `j` of `b` has `low + j * (high - low) / b <= x < low + (j + 1) * (high - low) / b`, as near as `f64` rounds, and
/// the last one has `high` too. The counts are added to what is there, so that a histogram can go over several
/// slices; set them to 0 first. With `low == high` that one value falls into the first bin; where `low <= high` does
/// not hold, or there are no bins, everything lies outside.
///
/// ```
/// use slicewise_kernels::histogram;
///
/// let mut counts = [0; 2];
/// let outside = histogram(&[0.0f32, 0.2, 0.5, 1.0, 1.5, f32::NAN], 0.0, 1.0, &mut counts);
/// assert_eq!((counts, outside), ([2, 2], 2));
/// ```
pub fn histogram<T: Element>(x: &[T], low: f64, high: f64, counts: &mut [u64]) -> u64 {
    let per_unit = counts.len() as f64 / (high - low);
    let last = counts.len().saturating_sub(1);
    let few = u32::try_from(last).is_ok();
    let mut outside = 0;
    for x in x {
        let x = x.to_f64();
        // Casts of NaN (0 / 0, of an empty range) give 0. One to 32 bits is the faster.
        let bin = (x - low) * per_unit;
        let bin = if few { (bin as u32) as usize } else { bin as usize }.min(last);
        match counts.get_mut(bin) {
            Some(count) if low <= x && x <= high => *count += 1,
            _ => outside += 1,
        }
    }
    outside
}

compiled_once! {
    /// Reductions, sums in `f64`.
    trait Reduce {
        /// `sum x[i]`.
        fn sum_in_f64(level: Level, x: &[Self]) -> f64 {
            dispatch!(level, simd => sum_kernel(simd, x))
        }

        /// `sum x[i] y[i]`.
        fn dot_in_f64(level: Level, x: &[Self], y: &[Self]) -> f64 {
            dispatch!(level, simd => dot_kernel(simd, x, y))
        }

        /// `sum |x[i]|`.
        fn sum_of_magnitudes(level: Level, x: &[Self]) -> f64 {
            dispatch!(level, simd => sum_abs_kernel(simd, x))
        }

        /// See [`norm`].
        fn euclidean_norm(level: Level, x: &[Self]) -> f64 {
            dispatch!(level, simd => norm_kernel(simd, x))
        }

        /// See [`variance`].
        fn biased_variance(level: Level, x: &[Self]) -> f64 {
            dispatch!(level, simd => variance_kernel(simd, x))
        }

        /// See [`max`].
        fn greatest(level: Level, x: &[Self]) -> Self {
            dispatch!(level, simd => max_kernel(simd, x))
        }

        /// See [`min`].
        fn least(level: Level, x: &[Self]) -> Self {
            dispatch!(level, simd => min_kernel(simd, x))
        }

        /// See [`argmax`].
        fn first_of_greatest(level: Level, x: &[Self]) -> Option<usize> {
            dispatch!(level, simd => argmax_kernel(simd, x))
        }
    }
}

#[inline(always)]
pub(crate) fn sum_kernel<T: Element, S: Simd>(simd: S, x: &[T]) -> f64 {
    fold_sum(
        simd,
        [x],
        #[inline(always)]
        |sum, [x]| sum + x,
    )
}

#[inline(always)]
fn dot_kernel<T: Element, S: Simd>(simd: S, x: &[T], y: &[T]) -> f64 {
    fold_sum(
        simd,
        [x, y],
        #[inline(always)]
        |sum, [x, y]| x.mul_add(y, sum),
    )
}

#[inline(always)]
fn sum_abs_kernel<T: Element, S: Simd>(simd: S, x: &[T]) -> f64 {
    fold_sum(
        simd,
        [x],
        #[inline(always)]
        |sum, [x]| sum + x.max(-x),
    )
}

/// The norm, not rounded to `T`.
#[inline(always)]
fn norm_kernel<T: Element, S: Simd>(simd: S, x: &[T]) -> f64 {
    // Below it, squares that have become subnormal may count.
    let least = if T::LANES == 16 { 1e-30 } else { 1e-280 };
    let squares = dot_kernel(simd, x, x);
    if squares >= least && squares < f64::INFINITY || squares.is_nan() {
        return libm::sqrt(squares);
    }
    let largest = largest_magnitude(simd, x);
    if largest == T::default() || !largest.is_finite() {
        return largest.to_f64();
    }
    let scale = T::Lanes::<S>::splat(simd, largest);
    let squares = fold_sum(
        simd,
        [x],
        #[inline(always)]
        |sum, [x]| {
            // Not a product with 1 / scale, which is infinite for subnormal ones.
            let x = x / scale;
            x.mul_add(x, sum)
        },
    );
    largest.to_f64() * libm::sqrt(squares)
}

/// `max |x[i]|`, NaN where there is one.
#[inline(always)]
fn largest_magnitude<T: Element, S: Simd>(simd: S, x: &[T]) -> T {
    let zero = T::Lanes::<S>::splat(simd, T::default());
    extreme(
        simd,
        x,
        zero,
        #[inline(always)]
        |a, x| a.max(x.max(-x)),
        #[inline(always)]
        |a, b| a > b,
    )
}

#[inline(always)]
fn max_kernel<T: Element, S: Simd>(simd: S, x: &[T]) -> T {
    extreme(
        simd,
        x,
        T::Lanes::<S>::splat(simd, -T::INFINITY),
        #[inline(always)]
        |a, x| a.max(x),
        #[inline(always)]
        |a, b| a > b,
    )
}

#[inline(always)]
fn min_kernel<T: Element, S: Simd>(simd: S, x: &[T]) -> T {
    extreme(
        simd,
        x,
        T::Lanes::<S>::splat(simd, T::INFINITY),
        #[inline(always)]
        |a, x| a.min(x),
        #[inline(always)]
        |a, b| a < b,
    )
}

/// Folds by `step`, which keeps a NaN of its second argument, and keeps those of the first as well. `before` says which
/// of two numbers wins.
#[inline(always)]
fn extreme<T: Element, S: Simd>(
    simd: S,
    x: &[T],
    init: T::Lanes<S>,
    step: impl Fn(T::Lanes<S>, T::Lanes<S>) -> T::Lanes<S>,
    before: impl Fn(T, T) -> bool,
) -> T {
    let [acc] = fold(
        simd,
        [x],
        init,
        #[inline(always)]
        |[a], [x]| [T::Lanes::<S>::select(a.eq(a), step(a, x), a)],
        #[inline(always)]
        |a, b| T::Lanes::<S>::select(a.eq(a), step(a, b), a),
    );
    acc.fold_lanes(
        simd,
        #[inline(always)]
        |a, b| if before(a, b) || a.to_f64().is_nan() { a } else { b },
    )
}

#[inline(always)]
fn argmax_kernel<T: Element, S: Simd>(simd: S, x: &[T]) -> Option<usize> {
    let largest = max_kernel(simd, x);
    let is_largest = |x: T| (x == largest) | x.to_f64().is_nan();
    // Whole blocks without an exit inside take vector comparisons.
    let (blocks, _) = T::blocks(x);
    let skipped =
        blocks.iter().take_while(|block| !block.as_ref().iter().fold(false, |any, &x| any | is_largest(x)));
    let start = skipped.count() * T::LANES;
    let found = x.get(start..)?.iter().position(|&x| is_largest(x))?;
    Some(start + found)
}

#[inline(always)]
fn variance_kernel<T: Element, S: Simd>(simd: S, x: &[T]) -> f64 {
    let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
    let mut rest = [x];
    while rest.first().is_some_and(|x| !x.is_empty()) {
        let [chunk] = take_chunk(&mut rest);
        let n = chunk.len() as f64;
        let shift = T::from_f64(sum_kernel(simd, chunk) / n);
        let [sum, square] = deviations(simd, chunk, shift);
        let delta = shift.to_f64() + sum / n - mean;
        let both = count + n;
        squares += square - sum * sum / n + delta * delta * count * n / both;
        mean += delta * n / both;
        count = both;
    }
    // Rounding may leave a variance of 0 below it.
    if squares < 0.0 { 0.0 } else { squares / count }
}

#[cfg(test)]
mod tests;
