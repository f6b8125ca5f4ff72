//! A few rows times a matrix with contiguous rows: nothing is packed.
//!
//! The same chain as the tiles', so that a row's bits do not depend on how many rows there are.

use super::Product;
use super::kernel::{Start, tile};
use super::left::Left;
use super::right::{Part, Whole};
use crate::Element;
use crate::simd::{Lanes, Simd};

/// With more rows than this, the tiles of several rows pay.
pub(super) const MAX_ROWS: usize = 3;
/// Blocks of columns whose chains stay in registers from the first step of k to the last.
const BLOCKS: usize = 4;
/// Rows of B that go into C at a time where it is wider: each is a stream from memory.
const STREAMS: usize = 8;

/// The rows of B and C must be contiguous.
#[inline(always)]
pub(super) fn multiply<T: Element, S: Simd>(simd: S, mut product: Product<'_, T>) {
    for i in 0..product.c.rows {
        match product.c.cols.div_ceil(T::LANES) {
            1 => strip::<T, S, 1>(simd, &mut product, i),
            2 => strip::<T, S, 2>(simd, &mut product, i),
            3 => strip::<T, S, 3>(simd, &mut product, i),
            BLOCKS => strip::<T, S, BLOCKS>(simd, &mut product, i),
            _ => streams(simd, &mut product, i),
        }
    }
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
}

/// Row `i` of a C that is `NB` blocks wide.
#[inline(always)]
fn strip<T: Element, S: Simd, const NB: usize>(simd: S, product: &mut Product<'_, T>, i: usize) {
    let Product { alpha, a, b, beta, c } = product;
    let data = a.data.get(i * a.row_stride..).unwrap_or_default();
    let a_row = Line { alpha: *alpha, data, stride: a.col_stride };
    let start = Start::new(*beta);
    if c.cols == NB * T::LANES {
        tile::<T, S, _, 1, NB>(simd, a.cols, a_row, Whole::new(b.data, b.row_stride), start, c, i, 0);
    } else {
        tile::<T, S, _, 1, NB>(simd, a.cols, a_row, Part::new(b.data, b.row_stride, c.cols), start, c, i, 0);
    }
}

/// Row `i` of a wide C, which stays in cache while B passes once.
#[inline(always)]
fn streams<T: Element, S: Simd>(simd: S, product: &mut Product<'_, T>, i: usize) {
    let Product { alpha, a, b, beta, c } = product;
    let a_row = a.data.get(i * a.row_stride..).unwrap_or_default();
    let first = i * c.row_stride;
    let Some(c_row) = c.data.get_mut(first..first + c.cols) else { return };
    let mut start = Start::new(*beta);
    let mut p = 0;
    while p < a.cols {
        let rows = b.data.get(p * b.row_stride..).unwrap_or_default();
        let x = a_row.get(p * a.col_stride..).unwrap_or_default();
        if a.cols - p >= STREAMS {
            add_rows::<T, S, STREAMS>(simd, *alpha, x, a.col_stride, rows, b.row_stride, start, c_row);
            p += STREAMS;
        } else {
            add_rows::<T, S, 1>(simd, *alpha, x, a.col_stride, rows, b.row_stride, start, c_row);
            p += 1;
        }
        start = Start::Loaded;
    }
}

/// `c += alpha x B` for `N` rows of B.
#[inline(always)]
fn add_rows<T: Element, S: Simd, const N: usize>(
    simd: S,
    alpha: T,
    x: &[T],
    x_stride: usize,
    b: &[T],
    b_stride: usize,
    start: Start<T>,
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
        let Some(x) = x.get(r * x_stride) else { return };
        *factor = T::Lanes::<S>::splat(simd, alpha * *x);
    }
    for (j, c) in blocks.iter_mut().enumerate() {
        let mut acc = begin(
            simd,
            start,
            #[inline(always)]
            || T::Lanes::<S>::load(simd, c),
        );
        for ((row, _), factor) in rows.iter().zip(factors) {
            let Some(b) = row.get(j) else { return };
            acc = factor.mul_add(T::Lanes::<S>::load(simd, b), acc);
        }
        acc.store(c);
    }
    if rest > 0 {
        let mut acc = begin(
            simd,
            start,
            #[inline(always)]
            || T::Lanes::<S>::load_partial(simd, tail),
        );
        for ((_, row), factor) in rows.iter().zip(factors) {
            acc = factor.mul_add(T::Lanes::<S>::load_partial(simd, row), acc);
        }
        acc.store_partial(tail);
    }
}

/// What the chains of a block start from.
#[inline(always)]
fn begin<S: Simd, V: Lanes<Simd = S>>(simd: S, start: Start<V::Scalar>, load: impl Fn() -> V) -> V
where
    V::Scalar: Default,
{
    match start {
        Start::Zero => V::splat(simd, V::Scalar::default()),
        Start::Loaded => load(),
        Start::Scaled(beta) => V::splat(simd, beta) * load(),
    }
}
