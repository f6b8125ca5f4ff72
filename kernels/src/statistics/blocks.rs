//! The moments of blocks of values, joined in the order of the data.
//!
//! A channel has a mean `m` and a spread `q = sum (x - m)^2` of the `n` values of closed blocks, each with what its last
//! roundings lost, and an open block: `s = sum (x - m)` and `sum (x - m)^2`, about the mean of what came before. A full block of
//! `k` values is closed by
//!
//! ```text
//! d = s / k                        its mean, from m
//! q = q + (sum (x - m)^2 - s * d) + d^2 * n * k / (n + k)
//! m = m + d * k / (n + k)
//! ```
//!
//! (Chan, Golub & LeVeque 1983). A block is full once it has as many values as all before it, or a chain of some
//! number of additions. So `k d^2`, what cancels, is at most thrice what the block adds to `q`, whatever the values: neither a mean far
//! from 0 nor first values unlike the others cost more than that. Where blocks end follows from how many values came, not from the calls
//! that brought them.
//!
//! All of it is `f64`, of `f32` too. With `v = 2^-53`, before the results are rounded to their type:
//!
//! ```text
//! |mean error|     <= v |mean| + 225 v * sqrt(variance)
//! |variance error| <= 1500 v * variance
//! ```

use crate::Element;
use crate::simd::apply::map;
use crate::simd::column_sums::add_exactly;
use crate::simd::{Arithmetic, Simd};

/// One value a channel of each: the mean and what its rounding lost, the spread and what its rounding lost, the sum and the sum of squares
/// of the open block.
pub(super) type Moments<'a> = [&'a mut [f64]; 6];

/// How many values of each channel came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Rows or images.
    pub(super) rows: u64,
    /// Values of closed blocks.
    pub(super) closed: u64,
    /// Values of the open one.
    pub(super) open: u64,
    /// Additions in its chain.
    pub(super) links: usize,
}

impl Progress {
    /// Counts values of the open block; true where they fill it, which `most` links do.
    #[inline(always)]
    pub(super) fn add(&mut self, values: usize, links: usize, most: usize) -> bool {
        self.open += values as u64;
        self.links += links;
        self.open >= self.closed || self.links >= most
    }

    /// The open block counts as closed.
    #[inline(always)]
    pub(super) fn close(&mut self) {
        self.closed += self.open;
        (self.open, self.links) = (0, 0);
    }
}

/// Joins a block of `open` values to the `closed` before.
#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 values")]
pub(super) fn close_block<S: Simd>(simd: S, closed: u64, open: u64, moments: Moments<'_>) {
    let (before, n) = (closed as f64, open as f64);
    let share = n / (before + n);
    let zero = S::F64::splat(simd, 0.0);
    let [per_n, share, weight] =
        [S::F64::splat(simd, 1.0 / n), S::F64::splat(simd, share), S::F64::splat(simd, before * share)];
    map::<f64, S, 0, 6>(
        simd,
        [],
        moments,
        #[inline(always)]
        |[], [mean, mean_low, spread, spread_low, sum, square]| {
            let offset = sum * per_n;
            let within = zero.max(sum.neg_mul_add(offset, square));
            let delta = offset - mean_low;
            let [mean, mean_low] = add_exactly::<f64, S>(delta.mul_add(share, mean_low), [mean, zero]);
            let term = (delta * weight).mul_add(delta, within);
            let [spread, spread_low] = add_exactly::<f64, S>(term, [spread, spread_low]);
            [mean, mean_low, spread, spread_low, zero, zero]
        },
    );
}

/// The mean and the standard deviation of `n` values a channel, all their blocks closed; the moments are overwritten.
#[inline(always)]
pub(super) fn results<T: Element, S: Simd>(
    simd: S,
    n: f64,
    moments: Moments<'_>,
    [mean, std]: [&mut [T]; 2],
) {
    let n = S::F64::splat(simd, n);
    let zero = S::F64::splat(simd, 0.0);
    let [first, low, spread, spread_low, ..] = moments;
    map::<f64, S, 2, 2>(
        simd,
        [low, spread_low],
        [&mut *first, &mut *spread],
        #[inline(always)]
        |[low, spread_low], [mean, spread]| [mean + low, (zero.max(spread + spread_low) / n).sqrt()],
    );
    for (to, from) in [(mean, first), (std, spread)] {
        for (to, from) in to.iter_mut().zip(from) {
            *to = T::from_f64(*from);
        }
    }
}

/// Elements `first .. first + width` of each, or as many as there are.
#[inline(always)]
pub(super) fn part<'a>(moments: &'a mut Moments<'_>, first: usize, width: usize) -> Moments<'a> {
    let mut parts: Moments<'a> = [&mut [], &mut [], &mut [], &mut [], &mut [], &mut []];
    for (part, x) in parts.iter_mut().zip(moments) {
        let x = x.get_mut(first..).unwrap_or_default();
        let width = width.min(x.len());
        *part = x.get_mut(..width).unwrap_or_default();
    }
    parts
}

/// The last eight elements as `f64`: all of `x`, and 0 in the missing lanes, where there are fewer.
#[inline(always)]
pub(super) fn widen_last<T: Element, S: Simd>(simd: S, x: &[T]) -> S::F64 {
    if let Some(eight) = x.last_chunk::<8>() {
        return T::widen(simd, eight);
    }
    let mut eight = [T::default(); 8];
    for (to, from) in eight.iter_mut().zip(x) {
        *to = *from;
    }
    T::widen(simd, &eight)
}
