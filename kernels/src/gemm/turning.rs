//! A few rows times a matrix with contiguous columns: squares of B are turned in registers, and nothing is packed.
//!
//! The same chain as the tiles', so that a row's bits do not depend on how many rows there are.

use super::kernel::{Block, IN_L2, Tile, begin, end, multiply_add};
use super::left::Rows;
use super::pack::Operand;
use super::plan::Product;
use super::squares::Squares;
use super::{even_depth, min, on_two_lines};
use crate::Element;
use crate::simd::{Arithmetic, Simd};

/// The depth of a block: as many elements of the rows of A stay in L1.
const KC: usize = 1024;

/// Up to `MOST` rows of A and C, which must be contiguous, and alpha 1.
#[inline(always)]
pub(super) fn multiply<T: Element, S: Simd, const MOST: usize>(simd: S, product: &mut Product<'_, '_, T>) {
    let k = product.a.cols;
    let depth = even_depth(k, KC);
    // The chains of one row against one square wait for each other. From afar, twice as many columns cost more than that.
    let far = product.b.t().bytes() > IN_L2 || on_two_lines::<T>(product.b.col_stride);
    let pairs = !S::BLOCK_IS_REGISTER && product.c.rows == 1 && !far;
    let mut p = 0;
    while p < k {
        let block = Block::new(product, p, min(k - p, depth));
        let mut j = 0;
        while j < product.c.cols {
            let left = product.c.cols - j;
            let (pair, whole) = (pairs && left >= 2 * T::LANES, left >= T::LANES);
            // One row, of which dropped ones would cost a single prediction; some; and as many as there may be.
            match (product.c.rows, whole) {
                (1, true) if pair => columns::<T, S, 1, 2, true>(simd, product, &block, p, j),
                (1, true) => columns::<T, S, 1, 1, true>(simd, product, &block, p, j),
                (1, false) => columns::<T, S, 1, 1, false>(simd, product, &block, p, j),
                (rows, true) if rows <= 4 => columns::<T, S, 4, 1, true>(simd, product, &block, p, j),
                (rows, false) if rows <= 4 => columns::<T, S, 4, 1, false>(simd, product, &block, p, j),
                (_, true) => columns::<T, S, MOST, 1, true>(simd, product, &block, p, j),
                (_, false) => columns::<T, S, MOST, 1, false>(simd, product, &block, p, j),
            }
            j += if pair { 2 * T::LANES } else { T::LANES };
        }
        p += depth;
    }
}

/// `NB` blocks of columns from `j` on, all of them inside C with `WHOLE`, and steps of k from `p` on.
#[inline(always)]
fn columns<T: Element, S: Simd, const MR: usize, const NB: usize, const WHOLE: bool>(
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
            let squares: [_; NB] = core::array::from_fn(
                #[inline(always)]
                |n| {
                    let j = j + n * T::LANES;
                    let data = b.data.get(j * b.col_stride + p..).unwrap_or_default();
                    Squares { data, stride: b.col_stride, last: b.cols - 1 - j }
                },
            );
            let mut acc = begin::<T, S, MR, NB>(simd, block, c, 0, j);
            each_square::<T, S, MR, NB, WHOLE>(simd, &rows, &squares, &mut acc);
            end::<T, S, MR, NB>(simd, block, acc, c, 0, j);
        },
    );
}

#[inline(always)]
fn each_square<T: Element, S: Simd, const MR: usize, const NB: usize, const WHOLE: bool>(
    simd: S,
    rows: &[&[T]; MR],
    squares: &[Squares<'_, T>; NB],
    acc: &mut Tile<T::Lanes<S>, MR, NB>,
) {
    // Lanes, not blocks: what is read again so soon must not lie across lines of the cache.
    let mut turned = [[T::Lanes::<S>::splat(simd, T::default()); NB]; 16];
    let mut lines: [(&[T::Block], &[T]); MR] = [(&[], &[]); MR];
    for (line, row) in lines.iter_mut().zip(rows) {
        *line = T::blocks(row);
    }
    let (blocks, rest) = lines.first().map_or((0, 0), |(blocks, rest)| (blocks.len(), rest.len()));
    for q in 0..blocks {
        for (n, squares) in squares.iter().enumerate() {
            let all = squares.turn::<S, WHOLE>(
                simd,
                q,
                #[inline(always)]
                |step, lanes| put::<T, S, NB>(&mut turned, step, n, lanes),
            );
            if all.is_none() {
                return;
            }
        }
        let mut a = [T::Block::default(); MR];
        for (a, (blocks, _)) in a.iter_mut().zip(&lines) {
            let Some(block) = blocks.get(q) else { return };
            *a = *block;
        }
        for (step, row) in turned.iter().enumerate().take(T::LANES) {
            let mut column = [T::default(); MR];
            for (to, a) in column.iter_mut().zip(&a) {
                *to = a.as_ref().get(step).copied().unwrap_or_default();
            }
            multiply_add::<T, S, MR, NB>(simd, &column, *row, acc);
        }
    }
    if rest == 0 {
        return;
    }
    for (n, squares) in squares.iter().enumerate() {
        turn_rest::<T, S, NB>(simd, squares, blocks, rest, &mut turned, n);
    }
    for (step, row) in turned.iter().enumerate().take(rest) {
        let mut column = [T::default(); MR];
        for (to, (_, rest)) in column.iter_mut().zip(&lines) {
            *to = rest.get(step).copied().unwrap_or_default();
        }
        multiply_add::<T, S, MR, NB>(simd, &column, *row, acc);
    }
}

/// Writes a row of square `n`.
#[inline(always)]
fn put<T: Element, S: Simd, const NB: usize>(
    turned: &mut [[T::Lanes<S>; NB]; 16],
    step: usize,
    n: usize,
    lanes: T::Lanes<S>,
) {
    if let Some(to) = turned.get_mut(step).and_then(
        #[inline(always)]
        |row| row.get_mut(n),
    ) {
        *to = lanes;
    }
}

/// Turns the `rest` last steps of the columns of square `n`, behind `blocks` blocks of them.
#[inline(never)]
fn turn_rest<T: Element, S: Simd, const NB: usize>(
    simd: S,
    squares: &Squares<'_, T>,
    blocks: usize,
    rest: usize,
    turned: &mut [[T::Lanes<S>; NB]; 16],
    n: usize,
) {
    simd.vectorize(
        #[inline(always)]
        || {
            squares.turn_rest(
                simd,
                blocks,
                rest,
                #[inline(always)]
                |step, lanes| put::<T, S, NB>(turned, step, n, lanes),
            );
        },
    );
}
