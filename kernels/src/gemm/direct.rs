//! Products whose operands stay in cache: nothing is packed.
//!
//! Rows of A and of B are read as they lie. Every element is the same chain as that of packed panels.

use super::kernel::{Start, tile};
use super::left::Rows;
use super::pack::Operand;
use super::right::{Part, Right, Whole};
use super::{MatMut, MatRef, Product, min};
use crate::Element;
use crate::simd::Simd;

/// The depth of a block: as many rows of a panel of B stay in cache from one tile to the next.
const KC: usize = 512;
/// Elements of a block of A, which stays in cache from one panel of B to the next.
const MC: usize = 32 << 10;
/// A multiple of every tile's height.
const TILE: usize = 24;

/// With tiles of `NB` blocks of columns, `TALL` rows high, and lower where fewer are left. An odd block at the end makes
/// the last tile wider: `WIDE` blocks, `MID` rows. The rows of A, B and C must be contiguous, and alpha 1.
#[inline(always)]
pub(super) fn multiply<
    T: Element,
    S: Simd,
    const TALL: usize,
    const MID: usize,
    const LOW: usize,
    const NB: usize,
    const WIDE: usize,
>(
    simd: S,
    product: Product<'_, T>,
) {
    let Product { a, b, beta, mut c, .. } = product;
    let a = Operand { data: a.data, k_stride: a.col_stride, width_stride: a.row_stride };
    let (m, k) = (c.rows, b.rows);
    let mut p = 0;
    while p < k {
        let kc = min(k - p, KC);
        let start = if p == 0 { Start::new(beta) } else { Start::Loaded };
        let mc = (MC / (kc * TILE)).max(1) * TILE;
        let mut i = 0;
        while i < m {
            let block = Block { i, end: min(i + mc, m), p, kc, start };
            panels::<T, S, TALL, MID, LOW, NB, WIDE>(simd, &a, &b, block, &mut c);
            i = block.end;
        }
        p += kc;
    }
}

/// A block of rows, under every panel of B.
#[inline(always)]
fn panels<
    T: Element,
    S: Simd,
    const TALL: usize,
    const MID: usize,
    const LOW: usize,
    const NB: usize,
    const WIDE: usize,
>(
    simd: S,
    a: &Operand<'_, T>,
    b: &MatRef<'_, T>,
    block: Block<T>,
    c: &mut MatMut<'_, T>,
) {
    let n = c.cols;
    let mut j = 0;
    while j < n {
        let rows = b.data.get(block.p * b.row_stride + j..).unwrap_or_default();
        let (width, stride) = (n - j, b.row_stride);
        let blocks = width.div_ceil(T::LANES);
        if blocks == WIDE && WIDE > NB {
            let b = Part::new(rows, stride, width);
            column::<T, S, _, MID, MID, LOW, WIDE>(simd, a, b, block, c, j);
            j = n;
        } else if width >= NB * T::LANES {
            column::<T, S, _, TALL, MID, LOW, NB>(simd, a, Whole::new(rows, stride), block, c, j);
            j += NB * T::LANES;
        } else if blocks == NB {
            let b = Part::new(rows, stride, width);
            column::<T, S, _, TALL, MID, LOW, NB>(simd, a, b, block, c, j);
            j = n;
        } else {
            let b = Part::new(rows, stride, width);
            column::<T, S, _, TALL, MID, LOW, 1>(simd, a, b, block, c, j);
            j = n;
        }
    }
}

/// Rows `i..end` of A, steps `p..p + kc` of k, and what their chains start from.
#[derive(Clone, Copy)]
struct Block<T> {
    i: usize,
    end: usize,
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
    const TALL: usize,
    const MID: usize,
    const LOW: usize,
    const NB: usize,
>(
    simd: S,
    a: &Operand<'_, T>,
    b: R,
    block: Block<T>,
    c: &mut MatMut<'_, T>,
    j: usize,
) {
    let Block { mut i, end: m, p, kc, start } = block;
    while i < m {
        if m - i > MID {
            let Some(a) = Rows::new(a, p, kc, i, m) else { return };
            tile::<T, S, R, TALL, NB>(simd, kc, a, b, start, c, i, j);
            i += TALL;
        } else if m - i > LOW {
            let Some(a) = Rows::new(a, p, kc, i, m) else { return };
            tile::<T, S, R, MID, NB>(simd, kc, a, b, start, c, i, j);
            i += MID;
        } else {
            let Some(a) = Rows::new(a, p, kc, i, m) else { return };
            tile::<T, S, R, LOW, NB>(simd, kc, a, b, start, c, i, j);
            i += LOW;
        }
    }
}
