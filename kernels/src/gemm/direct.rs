//! Products whose operands stay in cache: nothing is packed.
//!
//! Rows of A and of B are read as they lie. Every element is the same chain as that of packed panels.

use super::kernel::Block;
use super::left::Rows;
use super::pack::Operand;
use super::plan::Product;
use super::right::{Fetching, Strided};
use super::tiles::tiles;
use super::{MatMut, MatRef, even_depth, min, on_two_lines, panel_blocks};
use crate::Element;
use crate::simd::Simd;

/// The depth of a block: as many rows of a panel of B stay in L2 from one tile to the next.
const KC: usize = 512;
/// Bytes from one row of B to the next from which on no prefetcher sees a panel coming, and bytes of a panel that stay in L1.
const FAR_ROWS: usize = 1024;
const PANEL: usize = 24 << 10;
/// Bytes of a B whose rows need not be asked for; and those from which on they must be, even where they push each other out of L1 before their turn.
const NEAR: usize = 256 << 10;
const IN_L3: usize = 4 << 20;
/// Elements of a block of A, which stays in cache from one panel of B to the next.
const MC: usize = 32 << 10;
/// A multiple of every tile's height.
const TILE: usize = 24;

/// With panels of B up to `WIDE` blocks of columns, and tiles of as many rows as leave registers for them. The rows of A, B
/// and C must be contiguous, and alpha 1.
#[inline(always)]
pub(super) fn multiply<T: Element, S: Simd, const TALL: usize, const WIDE: usize>(
    simd: S,
    product: &mut Product<'_, '_, T>,
) {
    let (m, k) = (product.a.rows, product.a.cols);
    let (a, b) = (product.a, product.b);
    let a = Operand { data: a.data, k_stride: a.col_stride, width_stride: a.row_stride };
    let far = b.row_stride.saturating_mul(size_of::<T>()) > FAR_ROWS;
    let depth = even_depth(k, if far { PANEL / (WIDE * size_of::<T::Block>()) } else { KC });
    let mut p = 0;
    while p < k {
        let kc = min(k - p, depth);
        let rows = Rows { operand: &a, p, last: m - 1 };
        let mut block = Block::new(product, p, kc);
        let mc = (MC / (kc * TILE)).max(1) * TILE;
        while block.i < m {
            block.end = min(block.i + mc, m);
            panels::<T, S, TALL, WIDE>(simd, &rows, b, &block, product.c);
            block.i = block.end;
        }
        p += kc;
    }
}

/// A block of rows, under every panel of B.
#[inline(always)]
fn panels<T: Element, S: Simd, const TALL: usize, const WIDE: usize>(
    simd: S,
    a: &Rows<'_, T>,
    b: &MatRef<'_, T>,
    block: &Block<'_, T>,
    c: &mut MatMut<'_, T>,
) {
    let mut j = 0;
    while j < c.cols {
        let blocks = panel_blocks((c.cols - j).div_ceil(T::LANES), WIDE);
        if WIDE >= 4 && blocks == 4 {
            panel::<T, S, 6, 4, 2, 4>(simd, a, b, block, c, j);
        } else if WIDE >= 4 && blocks == 3 {
            panel::<T, S, 8, 4, 2, 3>(simd, a, b, block, c, j);
        } else if WIDE >= 4 && blocks == 2 {
            panel::<T, S, 8, 4, 2, 2>(simd, a, b, block, c, j);
        } else if WIDE >= 4 {
            panel::<T, S, 8, 4, 2, 1>(simd, a, b, block, c, j);
        } else if TALL >= 6 {
            panel::<T, S, 6, 4, 2, 1>(simd, a, b, block, c, j);
        } else {
            panel::<T, S, 2, 1, 1, 1>(simd, a, b, block, c, j);
        }
        j += blocks * T::LANES;
    }
}

/// Whether asking for rows of B would cost more than waiting for them, where a tile has hardly a register left for where they are.
#[inline(always)]
fn is_near<T: Element>(b: &MatRef<'_, T>) -> bool {
    let bytes = b.bytes();
    bytes <= NEAR || bytes <= IN_L3 && on_two_lines::<T>(b.row_stride)
}

/// A block of rows, under the panel of B at column `j`.
#[inline(always)]
fn panel<T: Element, S: Simd, const TALL: usize, const MID: usize, const LOW: usize, const NB: usize>(
    simd: S,
    a: &Rows<'_, T>,
    b: &MatRef<'_, T>,
    block: &Block<'_, T>,
    c: &mut MatMut<'_, T>,
    j: usize,
) {
    let rows = b.data.get(a.p * b.row_stride + j..).unwrap_or_default();
    // A frame of its own: see ARCHITECTURE.md.
    simd.vectorize(
        #[inline(always)]
        || {
            let rows = Strided::new(rows, b.row_stride, c.cols - j);
            if S::BLOCK_IS_REGISTER || TALL < 6 || is_near(b) {
                tiles::<T, S, _, _, TALL, MID, LOW, NB>(simd, a, rows, block, c, j);
            } else {
                tiles::<T, S, _, _, TALL, MID, LOW, NB>(simd, a, Fetching(rows), block, c, j);
            }
        },
    );
}
