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
use crate::simd::columns::{Columns, WIDTH, sum_columns};
use crate::simd::planes::{TILE, plane, sum_planes};
use crate::simd::{Arithmetic, Lanes, Simd};
use crate::{Channels, Element};

/// Channels-last data where channels are few: several rows count as one, so that lanes are full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Narrow {
    /// At most [`WIDTH`] of them.
    pub(crate) columns: Columns,
    channels: usize,
    parts: usize,
}

impl Narrow {
    /// `None` where rows are wide enough by themselves, or too few.
    #[inline(always)]
    pub(crate) fn of<T: Element>(rows: usize, channels: usize) -> Option<Self> {
        if channels >= 4 * T::LANES {
            return None;
        }
        // The least number of rows that make whole blocks.
        let whole = T::LANES >> channels.trailing_zeros().min(T::LANES.trailing_zeros());
        let most = WIDTH.checked_div(channels)?.min(rows / 8);
        let parts = most - most % whole.max(1);
        (parts > 1).then_some(Self { columns: Columns::all(parts * channels), channels, parts })
    }

    /// One value a column, from one a channel.
    #[inline(always)]
    pub(crate) fn spread<T: Copy>(self, x: &[T], columns: &mut [T]) {
        for part in columns.chunks_exact_mut(self.channels.max(1)).take(self.parts) {
            for (to, from) in part.iter_mut().zip(x) {
                *to = *from;
            }
        }
    }

    /// Adds up each channel's columns, in their order; the sums are the first columns.
    #[inline(always)]
    pub(crate) fn join<T: Element, S: Simd>(self, simd: S, columns: &mut [T]) {
        let Some((first, rest)) = columns.split_at_mut_checked(self.channels) else { return };
        for part in rest.chunks_exact(self.channels.max(1)).take(self.parts - 1) {
            map(
                simd,
                [part],
                [&mut *first],
                #[inline(always)]
                |[x], [y]| [x + y],
            );
        }
    }
}

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

/// The mean and the biased variance of each column, `n` values each. `pivot` is scratch.
#[inline(always)]
pub(crate) fn column_moments<T: Element, S: Simd>(
    simd: S,
    columns: Columns,
    x: &[T],
    n: T,
    [mean, variance]: [&mut [T]; 2],
    pivot: &mut [T],
) {
    guess_columns(simd, columns, x, 1, pivot);
    for _ in 0..2 {
        sum_columns(simd, columns, [x], [&*pivot], [&mut *mean, &mut *variance], squares::<T, S>);
        if !moments_of_sums(simd, n, [&mut *mean, &mut *variance, &mut *pivot]) {
            break;
        }
    }
}

/// [`column_moments`] of each channel of narrow rows.
#[inline(always)]
pub(crate) fn narrow_moments<T: Element, S: Simd>(
    simd: S,
    narrow: Narrow,
    x: &[T],
    n: T,
    [mean, variance]: [&mut [T]; 2],
) {
    let (width, channels) = (narrow.columns.width, narrow.channels);
    let mut buffers = [[T::default(); WIDTH]; 4];
    let [pivots, sums, products, guess] = buffers.each_mut().map(
        #[inline(always)]
        |b| b.get_mut(..width).unwrap_or_default(),
    );
    guess_columns(simd, narrow.columns, x, narrow.parts, guess);
    narrow.join(simd, guess);
    for _ in 0..2 {
        narrow.spread(guess, pivots);
        sum_columns(simd, narrow.columns, [x], [&*pivots], [&mut *sums, &mut *products], squares::<T, S>);
        narrow.join(simd, sums);
        narrow.join(simd, products);
        let first = [&mut *sums, &mut *products, &mut *guess].map(
            #[inline(always)]
            |x| x.get_mut(..channels).unwrap_or_default(),
        );
        if !moments_of_sums(simd, n, first) {
            break;
        }
    }
    for (to, from) in [(mean, sums), (variance, products)] {
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from;
        }
    }
}

/// A guess of each column's mean: the average of eight rows spread over the batch (of all where there are fewer),
/// divided by `parts`.
#[inline(always)]
fn guess_columns<T: Element, S: Simd>(simd: S, columns: Columns, x: &[T], parts: usize, pivot: &mut [T]) {
    let rows = x.len().checked_div(columns.pitch).unwrap_or(0);
    let samples = rows.min(8);
    let step = rows.checked_div(samples).unwrap_or(0);
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    let weight = T::Lanes::<S>::splat(simd, T::from_f64(1.0 / (samples * parts) as f64));
    pivot.fill(T::default());
    for i in 0..samples {
        map(
            simd,
            [columns.row(x, i * step * columns.pitch)],
            [&mut *pivot],
            #[inline(always)]
            |[x], [pivot]| [x.mul_add(weight, pivot)],
        );
    }
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
