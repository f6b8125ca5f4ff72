//! Products so small that a call costs as much as its arithmetic: C up to two blocks wide, few steps of k, all by rows.
//!
//! The chains are those of the tiles. What differs is what stands around them: exact rows, found by going through the slices
//! once, and as little as possible to make ready.

use core::hint::cold_path;
use core::slice::{Chunks, ChunksMut};

use super::Bias;
use super::kernel::{Tile, multiply_add};
use super::plan::Product;
use super::right::row_of_blocks;
use crate::Element;
use crate::simd::{Arithmetic, Lanes, Simd};

/// Steps of k that are few enough.
pub(super) const MOST_STEPS: usize = 32;
/// Rows that are few enough of a C two blocks wide, where a block is several registers.
pub(super) const MOST_ROWS: usize = 16;

/// With beta 0, alpha 1 and up to `TALL` rows at a time, 8, 4, 2 or 1; `WIDE` where C is two blocks wide.
#[inline(always)]
pub(super) fn multiply<T: Element, S: Simd, const TALL: usize, const WIDE: usize>(
    simd: S,
    product: &mut Product<'_, '_, T>,
) {
    if product.b.cols <= T::LANES {
        all_rows::<T, S, TALL, 1>(simd, product);
    } else {
        all_rows::<T, S, WIDE, 2>(simd, product);
    }
}

/// Of a C that is `NB` blocks wide.
#[inline(always)]
fn all_rows<T: Element, S: Simd, const TALL: usize, const NB: usize>(
    simd: S,
    product: &mut Product<'_, '_, T>,
) {
    // A frame for each: it makes ready what its own loops need.
    simd.vectorize(
        #[inline(always)]
        || {
            let Product { a, b, ref mut c, bias, relu, .. } = *product;
            let mut start = [T::Lanes::<S>::splat(simd, T::default()); NB];
            if let Bias::Columns(bias) = bias {
                start = row_of_blocks::<T, S, NB>(simd, bias);
            }
            let right = Right { data: b.data, stride: b.row_stride, width: b.cols, k: a.cols, start, relu };
            let mut left = a.data.chunks(a.row_stride.max(1));
            let mut to = c.data.chunks_mut(c.row_stride.max(1));
            let mut rows = a.rows;
            while rows >= 8 && TALL >= 8 {
                some_rows::<T, S, 8, NB>(simd, &right, &mut left, &mut to);
                rows -= 8;
            }
            while rows >= 4 && TALL >= 4 {
                some_rows::<T, S, 4, NB>(simd, &right, &mut left, &mut to);
                rows -= 4;
            }
            while rows >= 2 && TALL >= 2 {
                some_rows::<T, S, 2, NB>(simd, &right, &mut left, &mut to);
                rows -= 2;
            }
            while rows > 0 {
                some_rows::<T, S, 1, NB>(simd, &right, &mut left, &mut to);
                rows -= 1;
            }
        },
    );
}

/// B, and what every chain begins and ends with.
struct Right<'a, T, V, const NB: usize> {
    data: &'a [T],
    stride: usize,
    width: usize,
    k: usize,
    start: [V; NB],
    relu: bool,
}

/// The next `H` rows of A and of C.
#[inline(always)]
fn some_rows<T: Element, S: Simd, const H: usize, const NB: usize>(
    simd: S,
    right: &Right<'_, T, T::Lanes<S>, NB>,
    left: &mut Chunks<'_, T>,
    to: &mut ChunksMut<'_, T>,
) {
    let mut rows: [&[T]; H] = [&[]; H];
    for row in &mut rows {
        let Some(a) = left.next() else {
            cold_path();
            return;
        };
        let Some(a) = a.get(..right.k) else {
            cold_path();
            return;
        };
        *row = a;
    }
    let mut acc = [right.start; H];
    let mut rest = right.data;
    for p in 0..right.k {
        let Some(b) = rest.get(..right.width) else {
            cold_path();
            return;
        };
        let b = row_of_blocks::<T, S, NB>(simd, b);
        let mut a = [T::default(); H];
        for (a, row) in a.iter_mut().zip(&rows) {
            let Some(x) = row.get(p) else {
                cold_path();
                return;
            };
            *a = *x;
        }
        multiply_add::<T, S, H, NB>(simd, &a, b, &mut acc);
        // Behind the last row there may be less than a stride.
        let Some(next) = rest.get(right.stride..) else {
            cold_path();
            break;
        };
        rest = next;
    }
    let zero = T::Lanes::<S>::splat(simd, T::default());
    if right.relu {
        for v in acc.as_flattened_mut() {
            *v = zero.max(*v);
        }
    }
    if NB == 1 && right.width <= T::LANES / 4 {
        store::<T, S, H, NB, 4>(&acc, to, right.width);
    } else if NB == 1 && right.width <= T::LANES / 2 {
        store::<T, S, H, NB, 2>(&acc, to, right.width);
    } else {
        store::<T, S, H, NB, 1>(&acc, to, right.width);
    }
}

/// Writes the next rows of C, that fill one of `PARTS` parts of a block at most.
#[inline(always)]
fn store<T: Element, S: Simd, const H: usize, const NB: usize, const PARTS: usize>(
    acc: &Tile<T::Lanes<S>, H, NB>,
    to: &mut ChunksMut<'_, T>,
    width: usize,
) {
    for acc in acc {
        let Some(c) = to.next() else {
            cold_path();
            return;
        };
        let Some(c) = c.get_mut(..width) else {
            cold_path();
            return;
        };
        let (whole, tail) = T::blocks_mut(c);
        let full = whole.len();
        for (b, v) in acc.iter().enumerate() {
            match whole.get_mut(b) {
                Some(block) => v.store(block),
                None if b == full => v.store_few::<PARTS>(tail),
                None => {}
            }
        }
    }
}
