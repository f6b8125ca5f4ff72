//! A few rows times a matrix with contiguous rows: nothing is packed.
//!
//! The same chain as the tiles', so that a row's bits do not depend on how many rows there are.

use core::mem::take;

use super::kernel::{Block, IN_L2, Start, tile};
use super::left::{Left, Rows, Source};
use super::pack::Operand;
use super::plan::Product;
use super::right::{Fetching, Strided};
use super::tiles::in_frame;
use super::{Bias, even_depth, min, on_the_same_lines, on_two_lines};
use crate::Element;
use crate::simd::apply::map;
use crate::simd::{Arithmetic, Lanes, Simd};

/// With more rows than this, the other ways pay.
pub(super) const MAX_ROWS: usize = 3;
/// The depth of a block: as many elements of the rows of A stay in L1.
const KC: usize = 512;
/// Blocks of columns whose chains stay in registers from the first step of k to the last, however far B is.
const BLOCKS: usize = 4;
/// Rows of B that go into a row of C at a time where it is wider; and into several rows, or one where a block is a register: each is a stream
/// from memory.
const STREAMS: usize = 8;
const FEW_STREAMS: usize = 4;
/// Bytes of a B that stays in L1; of one that stays in L2, or is not far from there.
const IN_L1: usize = 32 << 10;
const NEAR: usize = 2 << 20;

/// The rows of B and C must be contiguous. Tiles of one row are up to `ONE` blocks wide, of two `TWO`, of three `THREE`.
#[inline(always)]
pub(super) fn multiply<T: Element, S: Simd, const ONE: usize, const TWO: usize, const THREE: usize>(
    simd: S,
    product: &mut Product<'_, '_, T>,
) {
    let rows = product.c.rows;
    if product.lies_by_rows() && pieces_pay(product, TWO) {
        match rows {
            1 => pieces::<T, S, 1, ONE>(simd, product),
            2 => pieces::<T, S, 2, TWO>(simd, product),
            _ => pieces::<T, S, 3, THREE>(simd, product),
        }
        return;
    }
    simd.vectorize(
        #[inline(always)]
        || {
            let blocks = product.c.cols.div_ceil(T::LANES);
            if rows == 2 && blocks > BLOCKS {
                return streams::<T, S, 2, FEW_STREAMS>(simd, product, 0);
            }
            if rows == 3 && blocks > BLOCKS {
                return streams::<T, S, 3, FEW_STREAMS>(simd, product, 0);
            }
            for i in 0..rows {
                match blocks {
                    1 => strip::<T, S, 1>(simd, product, i),
                    2 => strip::<T, S, 2>(simd, product, i),
                    3 => strip::<T, S, 3>(simd, product, i),
                    BLOCKS => strip::<T, S, BLOCKS>(simd, product, i),
                    // From afar: pieces of rows take a quarter longer.
                    _ if S::BLOCK_IS_REGISTER => streams::<T, S, 1, FEW_STREAMS>(simd, product, i),
                    _ => streams::<T, S, 1, STREAMS>(simd, product, i),
                }
            }
        },
    );
}

/// Whether pieces of rows of B cost less than whole ones, with tiles of two rows `two` blocks wide: not those of one row where B comes from
/// afar, nor those of more where its rows push each other out of the cache, unless they are not far and much of each is read at once.
#[inline(always)]
fn pieces_pay<T: Element>(product: &Product<'_, '_, T>, two: usize) -> bool {
    let stride = product.b.row_stride;
    let bytes = product.b.bytes();
    if product.c.rows == 1 {
        bytes <= IN_L2
    } else if two == BLOCKS {
        !on_the_same_lines::<T>(stride) || bytes <= NEAR
    } else {
        !on_two_lines::<T>(stride)
    }
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
                    // Rather even widths than a narrow last one, whose few chains wait for each other.
                    let blocks = even_depth((product.c.cols - j).div_ceil(T::LANES), WIDE);
                    if WIDE >= 8 && blocks == 8 {
                        piece::<T, S, ROWS, 8>(simd, product, &block, p, j);
                    } else if WIDE >= 8 && blocks == 7 {
                        piece::<T, S, ROWS, 7>(simd, product, &block, p, j);
                    } else if WIDE >= 8 && blocks == 6 {
                        piece::<T, S, ROWS, 6>(simd, product, &block, p, j);
                    } else if WIDE >= 8 && blocks == 5 {
                        piece::<T, S, ROWS, 5>(simd, product, &block, p, j);
                    } else if WIDE >= 4 && blocks == 4 {
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
    // Several rows of one block keep their sums in memory otherwise, as in `tiles`.
    in_frame(
        simd,
        ROWS > 1 && NB == 1,
        #[inline(always)]
        || {
            let Product { a, b, c, .. } = product;
            let operand = Operand { data: a.data, k_stride: a.col_stride, width_stride: a.row_stride };
            let rows_of_a = Rows { operand: &operand, p, last: a.rows - 1 };
            let Some(a) = rows_of_a.rows::<ROWS>(0, block.kc) else { return };
            let rows = b.data.get(p * b.row_stride + j..).unwrap_or_default();
            let rows = Strided::new(rows, b.row_stride, c.cols - j);
            if ROWS == 1 || !S::BLOCK_IS_REGISTER && b.bytes() <= IN_L1 {
                // Near, and as many instructions as the multiply-adds would ask for it.
                tile::<T, S, _, ROWS, NB>(simd, block, a, rows, c, 0, j);
            } else {
                tile::<T, S, _, ROWS, NB>(simd, block, a, Fetching(rows), c, 0, j);
            }
        },
    );
}

/// One row of A, scaled.
#[derive(Clone, Copy)]
struct Line<'a, T> {
    alpha: T,
    data: &'a [T],
    stride: usize,
}

impl<T: Element> Left<T, 1> for Line<'_, T> {
    #[inline(always)]
    fn cut(&self, _: usize) -> Option<Self> {
        Some(*self)
    }

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

/// `ROWS` rows from `i` on of a wide C, which stay in cache while B passes once: `N` whole rows of it at a time.
#[inline(always)]
fn streams<T: Element, S: Simd, const ROWS: usize, const N: usize>(
    simd: S,
    product: &mut Product<'_, '_, T>,
    i: usize,
) {
    let (zero, k) = (T::Lanes::<S>::splat(simd, T::default()), product.a.cols);
    for i in i..i + ROWS {
        begin(simd, product, i);
    }
    let mut p = 0;
    while p < k {
        if k - p >= N {
            add_rows::<T, S, ROWS, N>(simd, product, i, p);
            p += N;
        } else {
            add_rows::<T, S, ROWS, 1>(simd, product, i, p);
            p += 1;
        }
    }
    if product.relu {
        for i in i..i + ROWS {
            map(
                simd,
                [],
                [row_of_c(product, i)],
                #[inline(always)]
                |[], [c]| [zero.max(c)],
            );
        }
    }
}

/// Row `i` of C.
#[inline(always)]
fn row_of_c<'c, T>(product: &'c mut Product<'_, '_, T>, i: usize) -> &'c mut [T] {
    let first = i * product.c.row_stride;
    product.c.data.get_mut(first..first + product.c.cols).unwrap_or_default()
}

/// Makes row `i` of C what its chains start from: `beta c + bias`.
#[inline(always)]
fn begin<T: Element, S: Simd>(simd: S, product: &mut Product<'_, '_, T>, i: usize) {
    let block = Block::new(product, 0, product.a.cols);
    let row = row_of_c(product, i);
    if let Bias::Columns(bias) = block.bias {
        map(
            simd,
            [bias],
            [row],
            #[inline(always)]
            |[bias], [c]| [start_of::<T, S>(simd, block.start, c) + bias],
        );
        return;
    }
    let bias = match block.bias {
        Bias::Rows(bias) => bias.get(i).copied().unwrap_or_default(),
        // What adds nothing, to a -0 too.
        _ => -T::default(),
    };
    let bias = T::Lanes::<S>::splat(simd, bias);
    map(
        simd,
        [],
        [row],
        #[inline(always)]
        |[], [c]| [start_of::<T, S>(simd, block.start, c) + bias],
    );
}

#[inline(always)]
fn start_of<T: Element, S: Simd>(simd: S, start: Start<T>, c: T::Lanes<S>) -> T::Lanes<S> {
    match start {
        Start::Zero => T::Lanes::<S>::splat(simd, T::default()),
        Start::Loaded => c,
        Start::Scaled(beta) => T::Lanes::<S>::splat(simd, beta) * c,
    }
}

/// `N` rows of B from `p` on, added to `ROWS` rows of C from `i` on.
#[inline(always)]
fn add_rows<T: Element, S: Simd, const ROWS: usize, const N: usize>(
    simd: S,
    product: &mut Product<'_, '_, T>,
    i: usize,
    p: usize,
) {
    let Product { alpha, a, b, c, .. } = &mut *product;
    let (cols, len, rest) = (c.cols, c.cols / T::LANES, c.cols % T::LANES);
    let zero = T::Lanes::<S>::splat(simd, T::default());
    let mut rows: [(&[T::Block], &[T]); N] = [(&[], &[]); N];
    for (s, row) in rows.iter_mut().enumerate() {
        let first = (p + s) * b.row_stride;
        let (whole, part) = T::blocks(b.data.get(first..first + cols).unwrap_or_default());
        let (Some(whole), Some(part)) = (whole.get(..len), part.get(..rest)) else { return };
        *row = (whole, part);
    }
    let mut factors = [[zero; N]; ROWS];
    let mut lines = [(); ROWS].map(|()| (<&mut [T::Block]>::default(), <&mut [T]>::default()));
    let mut below = c.data.get_mut(i * c.row_stride..).unwrap_or_default();
    for (r, (line, factors)) in lines.iter_mut().zip(&mut factors).enumerate() {
        let data = a.data.get((i + r) * a.row_stride + p * a.col_stride..).unwrap_or_default();
        let x = Line { alpha: *alpha, data, stride: a.col_stride };
        for (s, factor) in factors.iter_mut().enumerate() {
            let Some([x]) = x.column(s) else { return };
            *factor = T::Lanes::<S>::splat(simd, x);
        }
        // Behind the last row there may be less than a stride; that of a single one may be any.
        let stride = min(c.row_stride.max(cols), below.len());
        let (row, after) = take(&mut below).split_at_mut(stride);
        below = after;
        let (whole, part) = T::blocks_mut(row.get_mut(..cols).unwrap_or_default());
        let (Some(whole), Some(part)) = (whole.get_mut(..len), part.get_mut(..rest)) else { return };
        *line = (whole, part);
    }
    for j in 0..len {
        let mut b = [zero; N];
        for (b, (row, _)) in b.iter_mut().zip(&rows) {
            let Some(row) = row.get(j) else { return };
            *b = T::Lanes::<S>::load(simd, row);
        }
        for ((c, _), factors) in lines.iter_mut().zip(&factors) {
            let Some(c) = c.get_mut(j) else { return };
            let mut acc = T::Lanes::<S>::load(simd, c);
            for (b, factor) in b.iter().zip(factors) {
                acc = factor.mul_add(*b, acc);
            }
            acc.store(c);
        }
    }
    if rest == 0 {
        return;
    }
    for ((_, c), factors) in lines.iter_mut().zip(&factors) {
        let mut acc = T::Lanes::<S>::load_partial(simd, c);
        for ((_, row), factor) in rows.iter().zip(factors) {
            acc = factor.mul_add(T::Lanes::<S>::load_partial(simd, row), acc);
        }
        acc.store_partial(c);
    }
}
