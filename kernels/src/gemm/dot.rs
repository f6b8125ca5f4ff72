//! A matrix times a column: sums along k.
//!
//! Each element is `beta * c + bias + sum of a * (alpha * b)`, the sum in one block of partial sums: lane `l` takes steps `l`, `l + LANES`, …
//! of k, and the lanes are added by a fixed tree. So the bits depend on neither layout nor the number of rows.

use super::plan::Product;
use super::{Bias, MatRef};
use crate::Element;
use crate::simd::{Arithmetic, Lanes, Simd};

/// Rows of A at a time: as many streams from memory, where their sums are a register each, or two.
const ROWS: usize = 8;
const FEWER_ROWS: usize = 4;

#[inline(always)]
pub(super) fn multiply<T: Element, S: Simd>(simd: S, product: &mut Product<'_, '_, T>) {
    let Product { alpha, a, b, beta, ref mut c, bias, relu } = *product;
    let bias = match bias {
        Bias::Columns(bias) => bias.first().copied(),
        _ => None,
    };
    let mut c = Column { beta, bias, relu, data: &mut *c.data, stride: c.row_stride };
    let x = Line { data: b.data, stride: b.row_stride, len: b.rows };
    let m = a.rows;
    let mut i = 0;
    if a.col_stride == 1 && x.stride == 1 && alpha == T::from(1) {
        let Some(x) = x.data.get(..x.len) else { return };
        while S::BLOCK_IS_REGISTER && i + ROWS <= m {
            for (r, sum) in sums::<T, S, ROWS>(simd, a, i, x).into_iter().enumerate() {
                c.put(i + r, sum);
            }
            i += ROWS;
        }
        while i + FEWER_ROWS <= m {
            for (r, sum) in sums::<T, S, FEWER_ROWS>(simd, a, i, x).into_iter().enumerate() {
                c.put(i + r, sum);
            }
            i += FEWER_ROWS;
        }
        while i < m {
            for sum in sums::<T, S, 1>(simd, a, i, x) {
                c.put(i, sum);
            }
            i += 1;
        }
    } else if a.row_stride == 1 {
        while i < m {
            let width = T::LANES.min(m - i);
            let sums = down::<T, S>(simd, a, i, width, &x, alpha);
            for (r, sum) in sums.as_ref().iter().take(width).enumerate() {
                c.put(i + r, *sum);
            }
            i += width;
        }
    } else {
        while i < m {
            let data = a.data.get(i * a.row_stride..).unwrap_or_default();
            c.put(i, apart(simd, &Line { data, stride: a.col_stride, len: a.cols }, &x, alpha));
            i += 1;
        }
    }
}

/// A row of A or the column B: elements `stride` apart.
struct Line<'a, T> {
    data: &'a [T],
    stride: usize,
    len: usize,
}

impl<T: Element> Line<'_, T> {
    #[inline(always)]
    fn element(&self, p: usize) -> T {
        self.data.get(p * self.stride).copied().unwrap_or_default()
    }

    /// The block of steps from `p` on; 0 past the last.
    #[inline(always)]
    fn block<S: Simd>(&self, simd: S, p: usize) -> T::Lanes<S> {
        let mut block = T::Block::default();
        for (p, to) in (p..self.len).zip(block.as_mut()) {
            *to = self.element(p);
        }
        T::Lanes::<S>::load(simd, &block)
    }
}

/// A line times another, neither of which need be contiguous.
#[inline(always)]
fn apart<T: Element, S: Simd>(simd: S, a: &Line<'_, T>, x: &Line<'_, T>, alpha: T) -> T {
    let alpha = T::Lanes::<S>::splat(simd, alpha);
    let mut acc = T::Lanes::<S>::splat(simd, T::default());
    for p in (0..x.len).step_by(T::LANES) {
        acc = a.block(simd, p).mul_add(alpha * x.block(simd, p), acc);
    }
    acc.fold_lanes(
        simd,
        #[inline(always)]
        |a, b| a + b,
    )
}

/// C, and what becomes of a sum.
struct Column<'a, T> {
    beta: T,
    bias: Option<T>,
    relu: bool,
    data: &'a mut [T],
    stride: usize,
}

impl<T: Element> Column<'_, T> {
    #[inline(always)]
    fn put(&mut self, i: usize, sum: T) {
        if let Some(c) = self.data.get_mut(i * self.stride) {
            let zero = T::default();
            let mut start = if self.beta == zero { zero } else { self.beta * *c };
            if let Some(bias) = self.bias {
                start += bias;
            }
            let y = start + sum;
            *c = if self.relu && zero > y { zero } else { y };
        }
    }
}

/// `H` contiguous rows from row `i` on, each times `x`.
#[inline(always)]
fn sums<T: Element, S: Simd, const H: usize>(simd: S, a: &MatRef<'_, T>, i: usize, x: &[T]) -> [T; H] {
    let zero = T::Lanes::<S>::splat(simd, T::default());
    let mut acc = [zero; H];
    let mut sums = [T::default(); H];
    let mut rows: [(&[T::Block], &[T]); H] = [(&[], &[]); H];
    let (blocks, tail) = T::blocks(x);
    for (r, row) in rows.iter_mut().enumerate() {
        let first = (i + r) * a.row_stride;
        let (whole, part) = T::blocks(a.data.get(first..first + x.len()).unwrap_or_default());
        let Some(whole) = whole.get(..blocks.len()) else { return sums };
        *row = (whole, part);
    }
    for (p, x) in blocks.iter().enumerate() {
        let x = T::Lanes::<S>::load(simd, x);
        for ((row, _), acc) in rows.iter().zip(&mut acc) {
            let Some(a) = row.get(p) else { return sums };
            *acc = T::Lanes::<S>::load(simd, a).mul_add(x, *acc);
        }
    }
    let x = T::Lanes::<S>::load_partial(simd, tail);
    for (((_, part), acc), sum) in rows.iter().zip(acc).zip(&mut sums) {
        let acc = T::Lanes::<S>::load_partial(simd, part).mul_add(x, acc);
        *sum = acc.fold_lanes(
            simd,
            #[inline(always)]
            |a, b| a + b,
        );
    }
    sums
}

/// `width` rows from row `i` on, whose columns are contiguous, each times `alpha x`: the same sums, a lane a row.
#[inline(always)]
fn down<T: Element, S: Simd>(
    simd: S,
    a: &MatRef<'_, T>,
    i: usize,
    width: usize,
    x: &Line<'_, T>,
    alpha: T,
) -> T::Block {
    let zero = T::Lanes::<S>::splat(simd, T::default());
    // One for each lane of the rows' own sums. f64 needs half of them.
    let mut acc = [zero; 16];
    for group in (0..x.len).step_by(T::LANES) {
        for (p, acc) in (group..x.len).zip(acc.iter_mut().take(T::LANES)) {
            let first = i + p * a.col_stride;
            let column = a.data.get(first..first + width).unwrap_or_default();
            let x = T::Lanes::<S>::splat(simd, alpha * x.element(p));
            *acc = T::Lanes::<S>::load_partial(simd, column).mul_add(x, *acc);
        }
    }
    let mut half = T::LANES / 2;
    while half > 0 {
        if let Some((low, high)) = acc.split_at_mut_checked(half) {
            for (low, high) in low.iter_mut().zip(high) {
                *low = *low + *high;
            }
        }
        half /= 2;
    }
    acc.first().map_or(
        T::Block::default(),
        #[inline(always)]
        |sum| sum.to_block(simd),
    )
}
