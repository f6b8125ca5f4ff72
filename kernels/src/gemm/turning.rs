//! A few rows times a matrix with contiguous columns: squares of B are turned in registers, and nothing is packed.
//!
//! The same chain as the tiles', so that a row's bits do not depend on how many rows there are.

use super::kernel::{Block, Tile, begin, end, multiply_add};
use super::left::Rows;
use super::pack::Operand;
use super::plan::Product;
use super::squares::Squares;
use super::{even_depth, min};
use crate::Element;
use crate::simd::{Arithmetic, Simd};

/// The depth of a block: as many elements of the rows of A stay in L1.
const KC: usize = 1024;

/// Up to `MOST` rows of A and C, which must be contiguous, and alpha 1.
#[inline(always)]
pub(super) fn multiply<T: Element, S: Simd, const MOST: usize>(simd: S, product: &mut Product<'_, '_, T>) {
    let k = product.a.cols;
    let depth = even_depth(k, KC);
    let mut p = 0;
    while p < k {
        let block = Block::new(product, p, min(k - p, depth));
        let mut j = 0;
        while j < product.c.cols {
            let whole = product.c.cols - j >= T::LANES;
            // One row, of which dropped ones would cost a single prediction; some; and as many as there may be.
            match (product.c.rows, whole) {
                (1, true) => columns::<T, S, 1, true>(simd, product, &block, p, j),
                (1, false) => columns::<T, S, 1, false>(simd, product, &block, p, j),
                (rows, true) if rows <= 4 => columns::<T, S, 4, true>(simd, product, &block, p, j),
                (rows, false) if rows <= 4 => columns::<T, S, 4, false>(simd, product, &block, p, j),
                (_, true) => columns::<T, S, MOST, true>(simd, product, &block, p, j),
                (_, false) => columns::<T, S, MOST, false>(simd, product, &block, p, j),
            }
            j += T::LANES;
        }
        p += depth;
    }
}

/// A block of columns from `j` on, all of them inside C with `WHOLE`, and steps of k from `p` on.
#[inline(always)]
fn columns<T: Element, S: Simd, const MR: usize, const WHOLE: bool>(
    simd: S,
    product: &mut Product<'_, '_, T>,
    block: &Block<'_, T>,
    p: usize,
    j: usize,
) {
    simd.vectorize(
        #[inline(always)]
        || {
            let Product { a, b, c, .. } = product;
            let operand = Operand { data: a.data, k_stride: a.col_stride, width_stride: a.row_stride };
            let rows = Rows { operand: &operand, p, last: a.rows - 1 };
            let Some(rows) = rows.lines::<MR>(0, block.kc) else { return };
            let data = b.data.get(j * b.col_stride + p..).unwrap_or_default();
            let squares = Squares { data, stride: b.col_stride, last: b.cols - 1 - j };
            let mut acc = begin::<T, S, MR, 1>(simd, block, c, 0, j);
            each_square::<T, S, MR, WHOLE>(simd, &rows, &squares, &mut acc);
            end::<T, S, MR, 1>(simd, block, acc, c, 0, j);
        },
    );
}

#[inline(always)]
fn each_square<T: Element, S: Simd, const MR: usize, const WHOLE: bool>(
    simd: S,
    rows: &[&[T]; MR],
    squares: &Squares<'_, T>,
    acc: &mut Tile<T::Lanes<S>, MR, 1>,
) {
    // Lanes, not blocks: what is read again so soon must not lie across lines of the cache.
    let mut square = [T::Lanes::<S>::splat(simd, T::default()); 16];
    let mut lines: [(&[T::Block], &[T]); MR] = [(&[], &[]); MR];
    for (line, row) in lines.iter_mut().zip(rows) {
        *line = T::blocks(row);
    }
    let (blocks, rest) = lines.first().map_or((0, 0), |(blocks, rest)| (blocks.len(), rest.len()));
    for q in 0..blocks {
        let turned = squares.turn::<S, WHOLE>(
            simd,
            q,
            #[inline(always)]
            |step, lanes| {
                if let Some(to) = square.get_mut(step) {
                    *to = lanes;
                }
            },
        );
        if turned.is_none() {
            return;
        }
        let mut a = [T::Block::default(); MR];
        for (a, (blocks, _)) in a.iter_mut().zip(&lines) {
            let Some(block) = blocks.get(q) else { return };
            *a = *block;
        }
        for (step, row) in square.iter().enumerate().take(T::LANES) {
            let mut column = [T::default(); MR];
            for (to, a) in column.iter_mut().zip(&a) {
                *to = a.as_ref().get(step).copied().unwrap_or_default();
            }
            multiply_add::<T, S, MR, 1>(simd, &column, [*row], acc);
        }
    }
    if rest == 0 {
        return;
    }
    turn_rest::<T, S>(simd, squares, blocks, rest, &mut square);
    for (step, row) in square.iter().enumerate().take(rest) {
        let mut column = [T::default(); MR];
        for (to, (_, rest)) in column.iter_mut().zip(&lines) {
            *to = rest.get(step).copied().unwrap_or_default();
        }
        multiply_add::<T, S, MR, 1>(simd, &column, [*row], acc);
    }
}

/// Turns the `rest` last steps of columns, behind `blocks` blocks of them.
#[inline(never)]
fn turn_rest<T: Element, S: Simd>(
    simd: S,
    squares: &Squares<'_, T>,
    blocks: usize,
    rest: usize,
    square: &mut [T::Lanes<S>; 16],
) {
    simd.vectorize(
        #[inline(always)]
        || {
            squares.turn_rest(
                simd,
                blocks,
                rest,
                #[inline(always)]
                |step, lanes| {
                    if let Some(to) = square.get_mut(step) {
                        *to = lanes;
                    }
                },
            );
        },
    );
}
