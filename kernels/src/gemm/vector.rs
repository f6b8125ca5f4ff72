//! A few rows times a matrix with contiguous rows: nothing is packed.
//!
//! The same chain as the tiles', so that a row's bits do not depend on how many rows there are.

use super::Product;
use super::kernel::{Start, load, multiply_add, store};
use crate::Element;
use crate::simd::{Lanes, Simd};

/// With more rows than this, packing B pays.
pub(super) const MAX_ROWS: usize = 3;
/// Blocks of columns at a time: as many chains as hide the latency of a multiply-add.
const BLOCKS: usize = 4;

#[inline(always)]
pub(super) fn multiply<T: Element, S: Simd>(simd: S, mut product: Product<'_, T>) {
    let cols = product.c.cols;
    for i in 0..product.c.rows {
        let mut j = 0;
        while j + BLOCKS * T::LANES <= cols {
            strip::<T, S, BLOCKS>(simd, &mut product, i, j, BLOCKS * T::LANES);
            j += BLOCKS * T::LANES;
        }
        while j < cols {
            let width = T::LANES.min(cols - j);
            strip::<T, S, 1>(simd, &mut product, i, j, width);
            j += width;
        }
    }
}

/// `width` columns of one row of C, from `(i, j)`.
#[inline(always)]
fn strip<T: Element, S: Simd, const NB: usize>(
    simd: S,
    product: &mut Product<'_, T>,
    i: usize,
    j: usize,
    width: usize,
) {
    let Product { alpha, a, b, beta, c } = product;
    let inside = c.col_stride == 1 && width == NB * T::LANES;
    let mut acc = load::<T, S, 1, NB>(simd, Start::new(*beta), c, i, j, inside);
    for p in 0..a.cols {
        let x = a.data.get(i * a.row_stride + p * a.col_stride).copied().unwrap_or_default();
        let first = p * b.row_stride + j;
        let row = b.data.get(first..first + width).unwrap_or_default();
        let mut blocks = [T::Block::default(); NB];
        match T::blocks(row) {
            (whole, []) => {
                for (to, block) in blocks.iter_mut().zip(whole) {
                    *to = *block;
                }
            }
            (_, part) => {
                for to in &mut blocks {
                    T::Lanes::<S>::load_partial(simd, part).store(to);
                }
            }
        }
        let mut lanes = [T::Lanes::<S>::splat(simd, T::default()); NB];
        for (lanes, block) in lanes.iter_mut().zip(&blocks) {
            *lanes = T::Lanes::<S>::load(simd, block);
        }
        multiply_add::<T, S, 1, NB>(simd, &[*alpha * x], lanes, &mut acc);
    }
    store::<T, S, 1, NB>(simd, &acc, c, i, j, inside);
}
