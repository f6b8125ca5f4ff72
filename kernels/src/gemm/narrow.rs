//! Tiles of columns that fill no more than half a block: two rows of C to a block, so that no half of it is idle.
//!
//! The chains are those of [`tile`](super::kernel::tile).

use super::kernel::{Block, Start, each_step};
use super::left::Left;
use super::right::Right;
use super::{Bias, MatMut};
use crate::Element;
use crate::simd::{Arithmetic, Lanes, Simd};

/// Pairs of rows of the tallest tile.
const MAX_PAIRS: usize = 4;

/// As [`tile`](super::kernel::tile), of the last columns of C. `MR` is even.
#[inline(always)]
pub(super) fn pairs<T: Element, S: Simd, R: Right<T, NB>, const MR: usize, const NB: usize>(
    simd: S,
    block: &Block<'_, T>,
    a: impl Left<T, MR>,
    b: R,
    c: &mut MatMut<'_, T>,
    i: usize,
    j: usize,
) {
    let mut acc = [T::Lanes::<S>::splat(simd, T::default()); MAX_PAIRS];
    let acc = acc.get_mut(..MR / 2).unwrap_or_default();
    for (p, acc) in acc.iter_mut().enumerate() {
        *acc = start::<T, S>(simd, block, c, i + 2 * p, j);
    }
    each_step::<T, S, R, MR, NB>(
        simd,
        block.kc,
        a,
        b,
        #[inline(always)]
        |a, b| {
            let [b, ..] = b.as_slice() else { return };
            multiply_add_pairs::<T, S>(simd, &a, *b, acc);
        },
    );
    let zero = T::Lanes::<S>::splat(simd, T::default());
    for (p, acc) in acc.iter().enumerate() {
        let y = if block.relu { zero.max(*acc) } else { *acc };
        y.store_partial(row_of(c, i + 2 * p, j));
        halves::<T, S>(y, y).1.store_partial(row_of(c, i + 2 * p + 1, j));
    }
}

/// `acc[i / 2][j] += a[i] * b[j]`, in the half of a block that is row i's, for the columns in the first half of `b`.
#[inline(always)]
pub(super) fn multiply_add_pairs<T: Element, S: Simd>(
    simd: S,
    a: &[T],
    b: T::Lanes<S>,
    acc: &mut [T::Lanes<S>],
) {
    let b = halves::<T, S>(b, b).0;
    for ([x, y], acc) in a.as_chunks().0.iter().zip(acc) {
        let (x, y) = (T::Lanes::<S>::splat(simd, *x), T::Lanes::<S>::splat(simd, *y));
        *acc = halves::<T, S>(x, y).0.mul_add(b, *acc);
    }
}

/// What the chains of rows `i` and `i + 1` start from.
#[inline(always)]
fn start<T: Element, S: Simd>(
    simd: S,
    block: &Block<'_, T>,
    c: &mut MatMut<'_, T>,
    i: usize,
    j: usize,
) -> T::Lanes<S> {
    let mut start = T::Lanes::<S>::splat(simd, T::default());
    if !matches!(block.start, Start::Zero) {
        let x = T::Lanes::<S>::load_partial(simd, row_of(c, i, j));
        let y = T::Lanes::<S>::load_partial(simd, row_of(c, i + 1, j));
        start = halves::<T, S>(x, y).0;
        if let Start::Scaled(beta) = block.start {
            start = T::Lanes::<S>::splat(simd, beta) * start;
        }
    }
    match block.bias {
        Bias::None => start,
        Bias::Columns(bias) => {
            let bias = T::Lanes::<S>::load_partial(simd, bias.get(j..).unwrap_or_default());
            start + halves::<T, S>(bias, bias).0
        }
        Bias::Rows(bias) => {
            let x = T::Lanes::<S>::splat(simd, bias.get(i).copied().unwrap_or_default());
            let y = T::Lanes::<S>::splat(simd, bias.get(i + 1).copied().unwrap_or_default());
            start + halves::<T, S>(x, y).0
        }
    }
}

/// Row `i` of C from column `j` on; empty past the last row.
#[inline(always)]
fn row_of<'c, T: Element>(c: &'c mut MatMut<'_, T>, i: usize, j: usize) -> &'c mut [T] {
    if i >= c.rows {
        return &mut [];
    }
    let first = i * c.row_stride;
    c.data.get_mut(first + j..first + c.cols).unwrap_or_default()
}

/// The first half of `x` beside that of `y`, and the second beside the second.
#[inline(always)]
pub(super) fn halves<T: Element, S: Simd>(x: T::Lanes<S>, y: T::Lanes<S>) -> (T::Lanes<S>, T::Lanes<S>) {
    if T::LANES == 16 { x.halves::<8>(y) } else { x.halves::<4>(y) }
}
