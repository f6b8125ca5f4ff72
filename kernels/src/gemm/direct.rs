//! Products whose operands stay in cache: nothing is packed.
//!
//! Rows of A and of B are read as they lie. Every element is the same chain as that of packed panels.

use super::kernel::{Start, tile};
use super::left::Rows;
use super::pack::Operand;
use super::right::{Part, Right, Whole};
use super::{MatMut, Product, min};
use crate::Element;
use crate::simd::Simd;

/// The depth of a block: as many rows of a panel of B stay in cache from one tile to the next.
const KC: usize = 512;

/// With tiles of `MR` rows, `HALF` where no more are left, and `NB` blocks of columns. The rows of A, B and C must be
/// contiguous, and alpha 1.
#[inline(always)]
pub(super) fn multiply<T: Element, S: Simd, const MR: usize, const HALF: usize, const NB: usize>(
    simd: S,
    product: Product<'_, T>,
) {
    let Product { a, b, beta, mut c, .. } = product;
    let a = Operand { data: a.data, k_stride: a.col_stride, width_stride: a.row_stride };
    let (n, k) = (c.cols, b.rows);
    let mut p = 0;
    while p < k {
        let kc = min(k - p, KC);
        let block = Block { p, kc, start: if p == 0 { Start::new(beta) } else { Start::Loaded } };
        let mut j = 0;
        while j < n {
            let rows = b.data.get(p * b.row_stride + j..).unwrap_or_default();
            let width = n - j;
            if width >= NB * T::LANES {
                let b = Whole::new(rows, b.row_stride, kc);
                column::<T, S, _, MR, HALF, NB>(simd, &a, b, block, &mut c, j);
                j += NB * T::LANES;
            } else if width > T::LANES {
                let b = Part::new(rows, b.row_stride, kc, width);
                column::<T, S, _, MR, HALF, NB>(simd, &a, b, block, &mut c, j);
                j = n;
            } else {
                let b = Part::new(rows, b.row_stride, kc, width);
                column::<T, S, _, MR, HALF, 1>(simd, &a, b, block, &mut c, j);
                j = n;
            }
        }
        p += kc;
    }
}

/// Steps `p..p + kc` of k, and what their chains start from.
#[derive(Clone, Copy)]
struct Block<T> {
    p: usize,
    kc: usize,
    start: Start<T>,
}

/// The tiles under one panel of B.
#[inline(always)]
fn column<
    T: Element,
    S: Simd,
    R: Right<T, NB> + Copy,
    const MR: usize,
    const HALF: usize,
    const NB: usize,
>(
    simd: S,
    a: &Operand<'_, T>,
    b: R,
    block: Block<T>,
    c: &mut MatMut<'_, T>,
    j: usize,
) {
    let Block { p, kc, start } = block;
    let m = c.rows;
    let mut i = 0;
    while i < m {
        if m - i > HALF {
            let Some(a) = Rows::new(a, p, kc, i, m) else { return };
            tile::<T, S, R, MR, NB>(simd, a, b, start, c, i, j);
        } else {
            let Some(a) = Rows::new(a, p, kc, i, m) else { return };
            tile::<T, S, R, HALF, NB>(simd, a, b, start, c, i, j);
        }
        i += MR;
    }
}
