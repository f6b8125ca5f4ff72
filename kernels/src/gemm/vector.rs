//! A few rows times a matrix with contiguous rows: nothing is packed.
//!
//! The same chain as the tiles', so that a row's bits do not depend on how many rows there are.

use super::kernel::{Block, Start, tile};
use super::left::{Left, Rows, Source};
use super::pack::Operand;
use super::plan::Product;
use super::right::{Fetching, Strided};
use super::{Bias, even_depth, min, on_the_same_lines};
use crate::Element;
use crate::simd::{Arithmetic, Lanes, Simd};

/// With more rows than this, the other ways pay.
pub(super) const MAX_ROWS: usize = 3;
/// The depth of a block: as many elements of the rows of A stay in L1.
const KC: usize = 512;
/// Blocks of columns whose chains stay in registers from the first step of k to the last.
const BLOCKS: usize = 4;
/// Rows of B that go into C at a time where it is wider: each is a stream from memory.
const STREAMS: usize = 8;

/// The rows of B and C must be contiguous. Tiles of two rows are up to `TWO` blocks wide, of three `THREE`: 1, 2 or 4.
#[inline(always)]
pub(super) fn multiply<T: Element, S: Simd, const TWO: usize, const THREE: usize>(
    simd: S,
    product: &mut Product<'_, '_, T>,
) {
    let rows = product.c.rows;
    if rows > 1 && product.lies_by_rows() && !on_the_same_lines::<T>(product.b.row_stride) {
        if rows == 2 {
            pieces::<T, S, 2, TWO>(simd, product);
        } else {
            pieces::<T, S, 3, THREE>(simd, product);
        }
        return;
    }
    simd.vectorize(
        #[inline(always)]
        || {
            for i in 0..rows {
                match product.c.cols.div_ceil(T::LANES) {
                    1 => strip::<T, S, 1>(simd, product, i),
                    2 => strip::<T, S, 2>(simd, product, i),
                    3 => strip::<T, S, 3>(simd, product, i),
                    BLOCKS => strip::<T, S, BLOCKS>(simd, product, i),
                    _ => streams(simd, product, i),
                }
            }
        },
    );
}

/// All `ROWS` rows of C, up to `WIDE` blocks of columns at a time, for which B is read once.
#[inline(always)]
fn pieces<T: Element, S: Simd, const ROWS: usize, const WIDE: usize>(
    simd: S,
    product: &mut Product<'_, '_, T>,
) {
    simd.vectorize(
        #[inline(always)]
        || {
            let k = product.a.cols;
            let depth = even_depth(k, KC);
            let mut p = 0;
            while p < k {
                let kc = min(k - p, depth);
                let block = Block::new(product, p, kc);
                let mut j = 0;
                while j < product.c.cols {
                    let blocks = min((product.c.cols - j).div_ceil(T::LANES), WIDE);
                    if WIDE >= 4 && blocks == 4 {
                        piece::<T, S, ROWS, 4>(simd, product, &block, p, j);
                    } else if WIDE >= 4 && blocks == 3 {
                        piece::<T, S, ROWS, 3>(simd, product, &block, p, j);
                    } else if WIDE >= 2 && blocks == 2 {
                        piece::<T, S, ROWS, 2>(simd, product, &block, p, j);
                    } else {
                        piece::<T, S, ROWS, 1>(simd, product, &block, p, j);
                    }
                    j += blocks * T::LANES;
                }
                p += kc;
            }
        },
    );
}

/// `NB` blocks of columns from `j` on, and steps of k from `p` on.
#[inline(always)]
fn piece<T: Element, S: Simd, const ROWS: usize, const NB: usize>(
    simd: S,
    product: &mut Product<'_, '_, T>,
    block: &Block<'_, T>,
    p: usize,
    j: usize,
) {
    let Product { a, b, c, .. } = product;
    let operand = Operand { data: a.data, k_stride: a.col_stride, width_stride: a.row_stride };
    let rows_of_a = Rows { operand: &operand, p, last: a.rows - 1 };
    let Some(a) = rows_of_a.rows::<ROWS>(0, block.kc) else { return };
    let rows = b.data.get(p * b.row_stride + j..).unwrap_or_default();
    let rows = Fetching(Strided::new(rows, b.row_stride, c.cols - j));
    tile::<T, S, _, ROWS, NB>(simd, block, a, rows, c, 0, j);
}

/// One row of A, scaled.
struct Line<'a, T> {
    alpha: T,
    data: &'a [T],
    stride: usize,
}

impl<T: Element> Left<T, 1> for Line<'_, T> {
    #[inline(always)]
    fn column(&self, p: usize) -> Option<[T; 1]> {
        Some([self.alpha * *self.data.get(p * self.stride)?])
    }

    #[inline(always)]
    fn columns<const STEPS: usize>(&self, index: usize) -> Option<impl Fn(usize) -> Option<[T; 1]>> {
        Some(
            #[inline(always)]
            move |step: usize| self.column(index * STEPS + step),
        )
    }
}

/// Row `i` of a C that is `NB` blocks wide.
#[inline(always)]
fn strip<T: Element, S: Simd, const NB: usize>(simd: S, product: &mut Product<'_, '_, T>, i: usize) {
    let block = Block::new(product, 0, product.a.cols);
    let Product { alpha, a, b, c, .. } = product;
    let data = a.data.get(i * a.row_stride..).unwrap_or_default();
    let a = Line { alpha: *alpha, data, stride: a.col_stride };
    tile::<T, S, _, 1, NB>(simd, &block, a, Strided::new(b.data, b.row_stride, c.cols), c, i, 0);
}

/// Row `i` of a wide C, which stays in cache while B passes once: whole rows, as pieces of them take a quarter longer.
#[inline(always)]
fn streams<T: Element, S: Simd>(simd: S, product: &mut Product<'_, '_, T>, i: usize) {
    let k = product.a.cols;
    let mut p = 0;
    while p < k {
        let n = if k - p >= STREAMS { STREAMS } else { 1 };
        let block = Block::new(product, p, n);
        let Product { alpha, a, b, c, .. } = &mut *product;
        let x = a.data.get(i * a.row_stride + p * a.col_stride..).unwrap_or_default();
        let x = Line { alpha: *alpha, data: x, stride: a.col_stride };
        let rows = b.data.get(p * b.row_stride..).unwrap_or_default();
        let first = i * c.row_stride;
        let Some(c_row) = c.data.get_mut(first..first + c.cols) else { return };
        if n == STREAMS {
            add_rows::<T, S, STREAMS>(simd, &block, i, &x, rows, b.row_stride, c_row);
        } else {
            add_rows::<T, S, 1>(simd, &block, i, &x, rows, b.row_stride, c_row);
        }
        p += n;
    }
}

/// `N` rows of B, added to row `i` of C.
#[inline(always)]
fn add_rows<T: Element, S: Simd, const N: usize>(
    simd: S,
    block: &Block<'_, T>,
    i: usize,
    x: &Line<'_, T>,
    b: &[T],
    b_stride: usize,
    c: &mut [T],
) {
    let mut rows: [(&[T::Block], &[T]); N] = [(&[], &[]); N];
    let mut factors = [T::Lanes::<S>::splat(simd, T::default()); N];
    let (blocks, tail) = T::blocks_mut(c);
    let (len, rest) = (blocks.len(), tail.len());
    for (r, (row, factor)) in rows.iter_mut().zip(&mut factors).enumerate() {
        let first = r * b_stride;
        let Some(elements) = b.get(first..first + len * T::LANES + rest) else { return };
        let (whole, part) = T::blocks(elements);
        let (Some(whole), Some(part)) = (whole.get(..len), part.get(..rest)) else { return };
        *row = (whole, part);
        let Some([x]) = x.column(r) else { return };
        *factor = T::Lanes::<S>::splat(simd, x);
    }
    let first = First { start: block.start, bias: block.bias, i };
    let zero = T::Lanes::<S>::splat(simd, T::default());
    for (j, c) in blocks.iter_mut().enumerate() {
        let mut acc = first.begin(
            simd,
            j,
            #[inline(always)]
            || T::Lanes::<S>::load(simd, c),
        );
        for ((row, _), factor) in rows.iter().zip(factors) {
            let Some(b) = row.get(j) else { return };
            acc = factor.mul_add(T::Lanes::<S>::load(simd, b), acc);
        }
        if block.relu {
            acc = zero.max(acc);
        }
        acc.store(c);
    }
    if rest > 0 {
        let mut acc = first.begin(
            simd,
            len,
            #[inline(always)]
            || T::Lanes::<S>::load_partial(simd, tail),
        );
        for ((_, row), factor) in rows.iter().zip(factors) {
            acc = factor.mul_add(T::Lanes::<S>::load_partial(simd, row), acc);
        }
        if block.relu {
            acc = zero.max(acc);
        }
        acc.store_partial(tail);
    }
}

/// What the chains of row `i` start from.
struct First<'a, T> {
    start: Start<T>,
    bias: Bias<'a, T>,
    i: usize,
}

impl<T: Element> First<'_, T> {
    /// Those of block `j`, whose part of C `load` reads.
    #[inline(always)]
    fn begin<S: Simd>(&self, simd: S, j: usize, load: impl Fn() -> T::Lanes<S>) -> T::Lanes<S> {
        let start = match self.start {
            Start::Zero => T::Lanes::<S>::splat(simd, T::default()),
            Start::Loaded => load(),
            Start::Scaled(beta) => T::Lanes::<S>::splat(simd, beta) * load(),
        };
        match self.bias {
            Bias::None => start,
            Bias::Columns(bias) => {
                let (blocks, tail) = T::blocks(bias);
                let bias = match blocks.get(j) {
                    Some(block) => T::Lanes::<S>::load(simd, block),
                    None => T::Lanes::<S>::load_partial(simd, tail),
                };
                start + bias
            }
            Bias::Rows(bias) => {
                start + T::Lanes::<S>::splat(simd, bias.get(self.i).copied().unwrap_or_default())
            }
        }
    }
}
