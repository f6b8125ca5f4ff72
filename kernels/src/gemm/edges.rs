//! Tiles at C's edge, or of a C whose columns are apart, which are read and written by way of a copy.

use super::{MatMut, min};
use crate::Element;
use crate::simd::{Arithmetic, Lanes, Simd};

/// Copies what of C lies under a tile, `blocks` blocks wide, into it: rows that are contiguous, through masked registers.
#[inline(always)]
pub(super) fn load_rows<T: Element, S: Simd>(
    simd: S,
    c: &MatMut<'_, T>,
    i: usize,
    j: usize,
    tile: &mut [T::Block],
    blocks: usize,
) {
    let width = min(c.cols - j, blocks * T::LANES);
    for (to, i) in tile.chunks_exact_mut(blocks.max(1)).zip(i..c.rows) {
        let row = c.data.get(i * c.row_stride + j..).and_then(
            #[inline(always)]
            |c| c.get(..width),
        );
        let (whole, tail) = T::blocks(row.unwrap_or_default());
        for (b, to) in to.iter_mut().enumerate() {
            match whole.get(b) {
                Some(block) => *to = *block,
                None if b == whole.len() => T::Lanes::<S>::load_partial(simd, tail).store(to),
                None => {}
            }
        }
    }
}

/// Copies what of a tile, `blocks` blocks wide, lies inside C, whose rows are contiguous.
#[inline(always)]
pub(super) fn store_rows<T: Element, S: Simd>(
    simd: S,
    tile: &[T::Block],
    blocks: usize,
    c: &mut MatMut<'_, T>,
    i: usize,
    j: usize,
) {
    let width = min(c.cols - j, blocks * T::LANES);
    for (from, i) in tile.chunks_exact(blocks.max(1)).zip(i..c.rows) {
        let row = c.data.get_mut(i * c.row_stride + j..).and_then(
            #[inline(always)]
            |c| c.get_mut(..width),
        );
        let (whole, tail) = T::blocks_mut(row.unwrap_or_default());
        let full = whole.len();
        for (b, from) in from.iter().enumerate() {
            match whole.get_mut(b) {
                Some(block) => *block = *from,
                None if b == full => T::Lanes::<S>::load(simd, from).store_partial(tail),
                None => {}
            }
        }
    }
}

/// Copies what of C lies under a tile, `blocks` blocks wide, into it: columns that are apart.
#[inline(never)]
pub(super) fn gather<T: Element>(
    c: &MatMut<'_, T>,
    i: usize,
    j: usize,
    tile: &mut [T::Block],
    blocks: usize,
) {
    for (row, i) in tile.chunks_exact_mut(blocks.max(1)).zip(i..c.rows) {
        for (block, j) in row.iter_mut().zip((j..c.cols).step_by(T::LANES)) {
            let from = c.data.get(i * c.row_stride + j * c.col_stride..).unwrap_or_default();
            let from = from.iter().step_by(c.col_stride.max(1));
            for (to, x) in block.as_mut().iter_mut().take(c.cols - j).zip(from) {
                *to = *x;
            }
        }
    }
}

/// Copies what of a tile, `blocks` blocks wide, lies inside C, whose columns are apart.
#[inline(never)]
pub(super) fn scatter<T: Element>(
    tile: &[T::Block],
    blocks: usize,
    c: &mut MatMut<'_, T>,
    i: usize,
    j: usize,
) {
    if c.row_stride == 1 {
        let rows = min(c.rows - i, tile.len() / blocks.max(1));
        for (l, j) in (0..blocks * T::LANES).zip(j..c.cols) {
            let first = j * c.col_stride + i;
            let column = c.data.get_mut(first..first + rows).unwrap_or_default();
            let from = tile.get(l / T::LANES..).unwrap_or_default().iter().step_by(blocks.max(1));
            for (to, block) in column.iter_mut().zip(from) {
                *to = block.as_ref().get(l % T::LANES).copied().unwrap_or_default();
            }
        }
        return;
    }
    for (row, i) in tile.chunks_exact(blocks.max(1)).zip(i..c.rows) {
        for (block, j) in row.iter().zip((j..c.cols).step_by(T::LANES)) {
            let to = c.data.get_mut(i * c.row_stride + j * c.col_stride..).unwrap_or_default();
            let to = to.iter_mut().step_by(c.col_stride.max(1));
            for (to, x) in to.zip(block.as_ref().iter().take(c.cols - j)) {
                *to = *x;
            }
        }
    }
}
