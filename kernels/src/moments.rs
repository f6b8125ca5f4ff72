//! Mean and variance of channels, in one reading of memory.
//!
//! Each channel has a pivot `p`, a guess of its mean taken from a few values spread over the batch, and sums
//! `s = sum (x - p)` and `q = sum (x - p)^2`; then
//!
//! ```text
//! mean     = p + s / n
//! variance = (q - s * s / n) / n
//! ```
//!
//! The differences `x - p` carry one rounding each, so that nothing is lost where the mean is large and the spread
//! small, as `E[x^2] - E[x]^2` loses everything. What cancels in `q - s * s / n` is `(mean - p)^2` against the variance: where
//! that is more than four times the variance (a guess from values unlike the others), the channel is summed once more
//! about the mean found.
//!
//! With `u = EPSILON / 2`, in any layout and for any number of values:
//!
//! ```text
//! |mean error|     <= u * |mean| + 100 u * sqrt(5 variance)
//! |variance error| <= 1500 u * variance + (terms of u^3 mean^2)
//! ```

use crate::simd::apply::{fold_sums, map};
use crate::simd::channel_rows::ChannelRows;
use crate::simd::planes::{TILE, plane, sum_planes};
use crate::simd::{Arithmetic, Lanes, Simd};
use crate::{Channels, Element};

/// `d` and `d`, whose product is its square.
#[inline(always)]
pub(crate) fn squares<T: Element, S: Simd>(
    [x]: [T::Lanes<S>; 1],
    [pivot]: [T::Lanes<S>; 1],
) -> [T::Lanes<S>; 2] {
    let d = x - pivot;
    [d, d]
}

/// `sum (x - shift)` and `sum (x - shift)^2`: with a shift near the mean, what two passes need.
#[inline(always)]
pub(crate) fn deviations<T: Element, S: Simd>(simd: S, x: &[T], shift: T) -> [f64; 2] {
    let shift = T::Lanes::<S>::splat(simd, shift);
    fold_sums(
        simd,
        [x],
        #[inline(always)]
        |[sum, square], [x]| {
            let d = x - shift;
            [sum + d, d.mul_add(d, square)]
        },
    )
}

/// The mean and the biased variance of each channel, `n` values each. `pivot` is scratch, one value a channel.
#[inline(always)]
pub(crate) fn row_moments<T: Element, S: Simd>(
    simd: S,
    rows: ChannelRows,
    x: &[T],
    n: T,
    [mean, variance]: [&mut [T]; 2],
    pivot: &mut [T],
) {
    guess_channels(simd, rows, x, pivot);
    for _ in 0..2 {
        rows.sum(simd, [x], [&*pivot], [&mut *mean, &mut *variance], squares::<T, S>);
        if !moments_of_sums(simd, n, [&mut *mean, &mut *variance, &mut *pivot]) {
            break;
        }
    }
}

/// A guess of each channel's mean: the average of eight rows spread over the batch, some of them more than once where there are fewer.
#[inline(always)]
fn guess_channels<T: Element, S: Simd>(simd: S, rows: ChannelRows, x: &[T], pivot: &mut [T]) {
    let columns = rows.columns;
    let count = x.len().checked_div(columns.pitch).unwrap_or(0);
    let mut samples = [&[][..]; 8];
    for (i, sample) in samples.iter_mut().enumerate() {
        *sample = columns.row(x, i * count / 8 * columns.pitch);
    }
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let weight = T::Lanes::<S>::splat(simd, T::from_f64(1.0 / (8 * rows.parts()) as f64));
    let mut buffer = None;
    let [[guess], channels] = rows.totals([pivot], &mut buffer);
    map(
        simd,
        samples,
        [&mut *guess],
        // Each by its weight, so that the sum of large values is not infinite.
        #[inline(always)]
        |[a, b, c, d, e, f, g, h], _| {
            let low = d.mul_add(weight, c.mul_add(weight, b.mul_add(weight, a * weight)));
            [h.mul_add(weight, g.mul_add(weight, f.mul_add(weight, e.mul_add(weight, low))))]
        },
    );
    rows.finish(simd, [[guess], channels]);
}

/// Turns sums about a pivot into moments: `[sum, sum of squares, pivot]` into `[mean, variance, pivot]`. Where the
/// pivot was poor, it becomes the mean, and the result is true: the sums are to be taken again.
#[inline(always)]
fn moments_of_sums<T: Element, S: Simd>(simd: S, n: T, sums: [&mut [T]; 3]) -> bool {
    let zero = T::Lanes::<S>::splat(simd, T::default());
    let n = T::Lanes::<S>::splat(simd, n);
    let one = T::Lanes::<S>::splat(simd, T::from(1));
    let four = T::Lanes::<S>::splat(simd, T::from(4));
    // A pivot that is off by its own rounding is good enough.
    let eight_u = T::Lanes::<S>::splat(simd, T::EPSILON * T::from(4));
    let mut poor = zero;
    map(
        simd,
        [],
        sums,
        #[inline(always)]
        |[], [sum, square, pivot]| {
            let offset = sum / n;
            let mean = pivot + offset;
            let variance = zero.max(sum.neg_mul_add(offset, square) / n);
            let rounding = pivot * eight_u;
            let limit = variance.mul_add(four, rounding * rounding);
            let moved = limit.lt(offset * offset);
            poor = T::Lanes::<S>::select(moved, one, poor);
            [mean, variance, T::Lanes::<S>::select(moved, mean, pivot)]
        },
    );
    let poor = poor.fold_lanes(
        simd,
        #[inline(always)]
        |a, b| a + b,
    );
    poor > T::default()
}

/// The mean and the biased variance of each of at most [`TILE`] channels of planes from `first` on, `n` values each.
#[inline(always)]
pub(crate) fn plane_moments<T: Element, S: Simd>(
    simd: S,
    shape: Channels,
    first: usize,
    x: &[T],
    n: T,
    [mean, variance]: [&mut [T]; 2],
) {
    let mut pivot = [T::default(); TILE];
    let Some(pivot) = pivot.get_mut(..mean.len()) else { return };
    for (i, pivot) in pivot.iter_mut().enumerate() {
        *pivot = guess_plane(simd, shape, first + i, x);
    }
    for _ in 0..2 {
        sum_planes(simd, shape, first, [x], [pivot], [&mut *mean, &mut *variance], squares::<T, S>);
        if !moments_of_sums(simd, n, [&mut *mean, &mut *variance, &mut *pivot]) {
            break;
        }
    }
}

/// A guess of the channel's mean: the average of the first block of eight planes spread over the batch.
#[inline(always)]
fn guess_plane<T: Element, S: Simd>(simd: S, shape: Channels, channel: usize, x: &[T]) -> T {
    let samples = shape.outer().min(8);
    let step = shape.outer().checked_div(samples).unwrap_or(0);
    let width = shape.inner().min(T::LANES);
    #[expect(clippy::cast_precision_loss, reason = "at most 128")]
    let weight = T::Lanes::<S>::splat(simd, T::from_f64(1.0 / (samples * width) as f64));
    let mut pivot = T::Lanes::<S>::splat(simd, T::default());
    for i in 0..samples {
        let plane = plane(shape, x, i * step, channel);
        pivot = T::Lanes::<S>::load_partial(simd, plane).mul_add(weight, pivot);
    }
    pivot.fold_lanes(
        simd,
        #[inline(always)]
        |a, b| a + b,
    )
}
