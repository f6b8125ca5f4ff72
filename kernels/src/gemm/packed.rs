//! Products of any size and layout: blocks of B, and of A where that pays, are copied into panels that stay in cache.

use super::kernel::{Block, tiles};
use super::left::{Columns, Panels, Rows, Source};
use super::pack::{Operand, Region, pack};
use super::plan::Product;
use super::right::Panel;
use super::{LINE, MatMut, even_depth, min};
use crate::Element;
use crate::simd::Simd;

/// Rows of A packed at a time: a block of `MC x KC` stays in L2. A multiple of every tile's height.
pub(super) const MC: usize = 144;
/// The depth of a block: deep enough that loading and storing C between blocks costs little.
pub(super) const KC: usize = 512;
/// Columns of B packed at a time: a block of `KC x NC` stays in L3. A multiple of every panel's width.
pub(super) const NC: usize = 1024;

/// Panels of B, and bytes of A, up to which contiguous columns of A are not packed: what is packed would be used seldom, and
/// the lines of cache that a tile shares with the next stay in L2.
const FEW_PANELS: usize = 4;
const FEW_BYTES: usize = 1536 << 10;

/// The five loops around the micro-kernel, for panels of `MR` rows of A and `NB` blocks of columns of B. Tiles
/// at the edge have `MID` or `LOW` rows. `before`: B's panels, where they are packed already, all of them.
#[inline(always)]
pub(super) fn multiply<
    T: Element,
    S: Simd,
    const MR: usize,
    const MID: usize,
    const LOW: usize,
    const NB: usize,
>(
    simd: S,
    product: &mut Product<'_, '_, T>,
    before: Option<&[T]>,
    scratch: &mut [T],
) {
    let (alpha, a, b) = (product.alpha, product.a, product.b);
    let (m, n, k) = (a.rows, b.cols, a.cols);
    let nr = NB * T::LANES;
    // Panels from before have blocks as they come.
    let kc_even = if before.is_some() { KC } else { even_depth(k, KC) };
    let aligned = scratch.as_ptr().align_offset(LINE * 4).min(LINE);
    let a = Operand { data: a.data, k_stride: a.col_stride, width_stride: a.row_stride };
    let b = Operand { data: b.data, k_stride: b.row_stride, width_stride: b.col_stride };
    // Contiguous rows of A serve as they are: a few streams, which cost less than packing them.
    let by_columns = a.width_stride == 1
        && a.k_stride != 1
        && n <= FEW_PANELS * nr
        && m.saturating_mul(k) <= FEW_BYTES / size_of::<T>();
    let packing = a.k_stride != 1 && !by_columns || alpha != T::from(1);
    let rows = if packing { min(m, MC).next_multiple_of(MR) } else { 0 };
    let packed_a_len = (rows * min(kc_even, k)).next_multiple_of(LINE);
    let Some((packed_a, packed_b)) =
        scratch.get_mut(aligned..).and_then(|s| s.split_at_mut_checked(packed_a_len))
    else {
        return;
    };
    let (packed_b, _) = T::blocks_mut(packed_b);
    let (packed_b, _) = packed_b.as_chunks_mut::<NB>();
    let (packed_a, _) = packed_a.as_chunks_mut::<MR>();

    // Loop 5: n in blocks of NC (B, C).
    let mut jc = 0;
    while jc < n {
        let nc = min(n - jc, NC);
        // Loop 4: k in blocks of KC (A, B).
        let mut pc = 0;
        while pc < k {
            let kc = min(k - pc, kc_even);
            let mut block = Block::new(product, pc, kc);
            let packed_b = if let Some(panels) = before {
                let (blocks, _) =
                    T::blocks(panels.get(pc * n.next_multiple_of(nr) + jc * kc..).unwrap_or_default());
                blocks.as_chunks().0
            } else {
                pack(
                    &b,
                    Region { p: pc, kc, line: jc, lines: nc },
                    nc.div_ceil(nr) * NB,
                    T::Block::default(),
                    packed_b,
                    #[inline(always)]
                    |panels: &mut [[T::Block; NB]], step, index| {
                        panels.get_mut(index / NB * kc + step)?.get_mut(index % NB)
                    },
                );
                &*packed_b
            };
            // Loop 3: m in blocks of MC (A, C).
            let mut ic = 0;
            while ic < m {
                let mc = min(m - ic, MC);
                (block.i, block.end) = (ic, ic + mc);
                if packing {
                    pack(
                        &a,
                        Region { p: pc, kc, line: ic, lines: mc },
                        mc.div_ceil(MR),
                        [T::default(); MR],
                        packed_a,
                        #[inline(always)]
                        |panels: &mut [[T; MR]], step, index| panels.get_mut(index * kc + step),
                    );
                    if alpha != T::from(1) {
                        for x in packed_a.as_flattened_mut() {
                            *x = alpha * *x;
                        }
                    }
                    let a = Panels { panels: packed_a, first: ic, kc };
                    columns::<T, S, _, MR, MID, LOW, NB>(simd, &a, packed_b, &block, product.c, jc);
                } else if by_columns {
                    let a = Columns {
                        data: a.data.get(pc * a.k_stride..).unwrap_or_default(),
                        stride: a.k_stride,
                    };
                    columns::<T, S, _, MR, MID, LOW, NB>(simd, &a, packed_b, &block, product.c, jc);
                } else {
                    let a = Rows { operand: &a, p: pc, kc, last: m - 1 };
                    columns::<T, S, _, MR, MID, LOW, NB>(simd, &a, packed_b, &block, product.c, jc);
                }
                ic += mc;
            }
            pc += kc;
        }
        jc += nc;
    }
}

/// Loop 2: panels of B, from column `j` of C on. Loop 1, panels of A, is [`tiles`].
#[inline(always)]
fn columns<
    T: Element,
    S: Simd,
    A: Source<T>,
    const MR: usize,
    const MID: usize,
    const LOW: usize,
    const NB: usize,
>(
    simd: S,
    a: &A,
    packed_b: &[[T::Block; NB]],
    block: &Block<'_, T>,
    c: &mut MatMut<'_, T>,
    mut j: usize,
) {
    let end = min(j + NC, c.cols);
    for panel in packed_b.chunks_exact(block.kc.max(1)) {
        if j >= end {
            return;
        }
        // The last panel's columns past the edge are left out, but for those of its last block.
        let b = Panel(panel);
        let blocks = (end - j).div_ceil(T::LANES);
        // A frame of its own: see ARCHITECTURE.md.
        simd.vectorize(
            #[inline(always)]
            || {
                if blocks >= NB {
                    tiles::<T, S, _, _, MR, MID, LOW, NB>(simd, a, b, block, c, j);
                } else if NB > 3 && blocks == 3 {
                    tiles::<T, S, _, _, MR, MID, LOW, 3>(simd, a, b, block, c, j);
                } else if NB > 2 && blocks == 2 {
                    tiles::<T, S, _, _, MR, MID, LOW, 2>(simd, a, b, block, c, j);
                } else {
                    tiles::<T, S, _, _, MR, MID, LOW, 1>(simd, a, b, block, c, j);
                }
            },
        );
        j += NB * T::LANES;
    }
}
