//! A matrix times a column: sums along k.
//!
//! Each element is `beta * c + bias + sum of a * (alpha * b)`, the sum in one block of partial sums: lane `l` takes steps `l`, `l + LANES`, …
//! of k, and the lanes are added by a fixed tree. So the bits depend on neither layout nor the number of rows.

use super::plan::Product;
use super::{Bias, MatRef};
use crate::Element;
use crate::simd::{Lanes, Simd};

/// Rows of A at a time: as many streams from memory.
const ROWS: usize = 8;

#[inline(always)]
pub(super) fn multiply<T: Element, S: Simd>(simd: S, product: &mut Product<'_, T>, scratch: &mut [T]) {
    let Product { alpha, a, b, beta, ref mut c, bias, relu } = *product;
    let Some((column, row)) = scratch.split_at_mut_checked(a.cols) else { return };
    let x = if b.row_stride == 1 && alpha == T::from(1) {
        b.data.get(..b.rows).unwrap_or_default()
    } else {
        for (p, to) in column.iter_mut().enumerate() {
            *to = alpha * b.data.get(p * b.row_stride).copied().unwrap_or_default();
        }
        column
    };
    let bias = match bias {
        Bias::Columns(bias) => bias.first().copied(),
        _ => None,
    };
    let mut c = Column { beta, bias, relu, data: &mut *c.data, stride: c.row_stride };
    let m = a.rows;
    let mut i = 0;
    if a.col_stride == 1 {
        while i + ROWS <= m {
            for (r, sum) in sums::<T, S, ROWS>(simd, &a, i, x).into_iter().enumerate() {
                c.put(i + r, sum);
            }
            i += ROWS;
        }
        while i < m {
            for sum in sums::<T, S, 1>(simd, &a, i, x) {
                c.put(i, sum);
            }
            i += 1;
        }
    } else if a.row_stride == 1 {
        while i < m {
            let width = T::LANES.min(m - i);
            let sums = down::<T, S>(simd, &a, i, width, x);
            for (r, sum) in sums.as_ref().iter().take(width).enumerate() {
                c.put(i + r, *sum);
            }
            i += width;
        }
    } else {
        while i < m {
            for (p, to) in row.iter_mut().take(a.cols).enumerate() {
                *to = a.data.get(i * a.row_stride + p * a.col_stride).copied().unwrap_or_default();
            }
            for sum in sums::<T, S, 1>(simd, &MatRef::row_major(row, 1, a.cols), 0, x) {
                c.put(i, sum);
            }
            i += 1;
        }
    }
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

/// `width` rows from row `i` on, whose columns are contiguous, each times `x`: the same sums, a lane a row.
#[inline(always)]
fn down<T: Element, S: Simd>(simd: S, a: &MatRef<'_, T>, i: usize, width: usize, x: &[T]) -> T::Block {
    let zero = T::Lanes::<S>::splat(simd, T::default());
    // One for each lane of the rows' own sums. f64 needs half of them.
    let mut acc = [zero; 16];
    for (group, x) in x.chunks(T::LANES).enumerate() {
        for (l, (acc, x)) in acc.iter_mut().zip(x).enumerate() {
            let first = i + (group * T::LANES + l) * a.col_stride;
            let column = a.data.get(first..first + width).unwrap_or_default();
            *acc = T::Lanes::<S>::load_partial(simd, column).mul_add(T::Lanes::<S>::splat(simd, *x), *acc);
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
