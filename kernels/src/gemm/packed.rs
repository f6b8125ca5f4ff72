//! Products of any size and layout: blocks of B, and of A where that pays, are copied into panels that stay in cache.

use core::ops::Range;

use super::kernel::{Block, comes_from_afar, tile};
use super::left::{Columns, Panels, Rows, Source};
use super::pack::{Operand, Region, pack, pack_columns};
use super::plan::Product;
use super::right::{Next, Packing, Panel, Strided};
use super::tiles::{in_frame, tiles};
use super::{LINE, MatMut, even_depth, min, on_the_same_lines, panel_blocks};
use crate::Element;
use crate::simd::Simd;

/// The most rows of A at a time. A multiple of every tile's height.
pub(super) const MC: usize = 144;
/// Bytes of a block of A, which stays in L2 beside the panels: of the 1 MB that CPUs have where a block is a register, else of 512 KB.
const BYTES_OF_1_MB: usize = 576 << 10;
const BYTES: usize = 192 << 10;
/// The depth of a block: deep enough that loading and storing C between blocks costs little.
pub(super) const KC: usize = 512;
/// Columns of B packed at a time: a block of `KC x NC` stays in L3. A multiple of every panel's width.
pub(super) const NC: usize = 1024;

/// Rows of a C from beyond L2 at a time, where each takes no more than so many steps: as many as the CPU's prefetcher follows, a stream
/// each, so that C is written along its rows. A multiple of every tile's height.
const STREAMS: usize = 24;
const SHORT: usize = 64;
/// Rows of tiles of less than the widest panels: as many chains as hide the latency of a multiply-add, and no more rows than registers for
/// their addresses.
const TALLER: usize = 8;
/// Panels of B, and bytes of A, up to which contiguous columns of A are not packed: what is packed would be used seldom, and
/// the lines of cache that a tile shares with the next stay in L2.
const FEW_PANELS: usize = 4;
const FEW_BYTES: usize = 1536 << 10;
/// Columns of C from which on rows of A are packed that fall on the same few lines of a cache: there they push each other out.
const MANY_COLUMNS: usize = 1024;

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
    let packing = a.k_stride != 1 && !by_columns
        || alpha != T::from(1)
        || m > MC && n >= MANY_COLUMNS && on_the_same_lines::<T>(a.width_stride);
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
            let most = if kc <= SHORT && comes_from_afar(product.c) {
                STREAMS
            } else {
                rows_at_a_time::<T, S>(m, kc)
            };
            let mut panels = if let Some(panels) = before {
                let from = pc * n.next_multiple_of(nr) + jc * kc;
                PanelsOfB::Packed(T::blocks(panels.get(from..).unwrap_or_default()).0.as_chunks().0)
            } else if b.width_stride == 1 && m >= if NB > 3 { TALLER } else { MR } {
                let rows = b.data.get(pc * b.k_stride..).unwrap_or_default();
                let below = (pc + kc < k).then_some(jc + kc * b.k_stride);
                PanelsOfB::Rows {
                    rows,
                    stride: b.k_stride,
                    end: jc + nc,
                    below,
                    packed: &mut *packed_b,
                    again: m > most,
                }
            } else if S::TURNS && b.k_stride == 1 {
                PanelsOfB::Columns { b: &b, p: pc, packed: &mut *packed_b, again: m > most }
            } else {
                pack(
                    simd,
                    &b,
                    Region { p: pc, kc, line: jc, lines: nc },
                    T::Block::default(),
                    packed_b,
                    #[inline(always)]
                    |line| T::blocks(line).0.first_chunk(),
                );
                PanelsOfB::Packed(&*packed_b)
            };
            // Loop 3: m in blocks of MC (A, C).
            let mut ic = 0;
            while ic < m {
                let mc = min(m - ic, most);
                (block.i, block.end) = (ic, ic + mc);
                let c = &mut *product.c;
                if packing {
                    pack(
                        simd,
                        &a,
                        Region { p: pc, kc, line: ic, lines: mc },
                        [T::default(); MR],
                        packed_a.as_chunks_mut::<1>().0,
                        #[inline(always)]
                        |line| line.as_chunks().0.first_chunk(),
                    );
                    if alpha != T::from(1) {
                        for x in packed_a.as_flattened_mut() {
                            *x = alpha * *x;
                        }
                    }
                    let a = Panels { panels: packed_a, first: ic };
                    columns::<T, S, _, MR, MID, LOW, NB>(simd, &a, &mut panels, &block, c, jc..jc + nc);
                } else if by_columns {
                    let a = Columns {
                        data: a.data.get(pc * a.k_stride..).unwrap_or_default(),
                        stride: a.k_stride,
                    };
                    columns::<T, S, _, MR, MID, LOW, NB>(simd, &a, &mut panels, &block, c, jc..jc + nc);
                } else {
                    let a = Rows { operand: &a, p: pc, last: m - 1 };
                    columns::<T, S, _, MR, MID, LOW, NB>(simd, &a, &mut panels, &block, c, jc..jc + nc);
                }
                ic += mc;
            }
            pc += kc;
        }
        jc += nc;
    }
}

/// Rows of a block of A of `kc` steps. A multiple of every tile's height, so that no tile but the last goes past its
/// block's end; after a first tile of six rows, those of eight leave two.
#[inline(always)]
fn rows_at_a_time<T: Element, S: Simd>(m: usize, kc: usize) -> usize {
    let (bytes, tiles) = if S::BLOCK_IS_REGISTER { (BYTES_OF_1_MB, 24) } else { (BYTES, 12) };
    let rows = bytes / (kc * size_of::<T>()).max(1);
    let most = (rows / tiles * tiles).clamp(tiles, MC);
    if m <= min(most + most / 2, MC) {
        return m;
    }
    // Evenly: a last block of few rows would read all panels for them.
    let blocks = m.div_ceil(most).max(1);
    m.div_ceil(blocks).next_multiple_of(tiles)
}

/// Panels of a block of B.
enum PanelsOfB<'b, 'p, T, B, const NB: usize> {
    Packed(&'p [[B; NB]]),
    /// Rows, to be packed under the first block of A; each panel into the same place, where there is no second block. Columns
    /// up to `end`; `below`: the first element of the next block of rows.
    Rows {
        rows: &'b [T],
        stride: usize,
        end: usize,
        below: Option<usize>,
        packed: &'p mut [[B; NB]],
        again: bool,
    },
    /// Columns from step `p` on, likewise.
    Columns {
        b: &'b Operand<'b, T>,
        p: usize,
        packed: &'p mut [[B; NB]],
        again: bool,
    },
}

/// Loop 2: panels of B, for these columns of C. Loop 1, panels of A, is [`tiles`].
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
    b: &mut PanelsOfB<'_, '_, T, T::Block, NB>,
    block: &Block<'_, T>,
    c: &mut MatMut<'_, T>,
    columns: Range<usize>,
) {
    let (mut j, mut index) = (columns.start, 0);
    while j < columns.end {
        // The last panel's columns past the edge are left out, but for those of its last block.
        let left = (columns.end - j).div_ceil(T::LANES);
        // Packed rows come in panels of one height, and packed columns of one width.
        let taller = NB > 3 && A::ANY_ROW;
        let own = taller && !matches!(b, PanelsOfB::Packed(_));
        let blocks = if own { panel_blocks(left, NB) } else { min(left, NB) };
        // A frame of its own: see ARCHITECTURE.md.
        simd.vectorize(
            #[inline(always)]
            || {
                if blocks == NB {
                    panel::<T, S, A, MR, MID, LOW, NB, NB>(simd, a, b, block, c, j, index);
                } else if taller && blocks == 3 {
                    panel::<T, S, A, TALLER, MID, LOW, NB, 3>(simd, a, b, block, c, j, index);
                } else if taller && blocks == 2 {
                    panel::<T, S, A, TALLER, MID, LOW, NB, 2>(simd, a, b, block, c, j, index);
                } else if taller {
                    panel::<T, S, A, TALLER, MID, LOW, NB, 1>(simd, a, b, block, c, j, index);
                } else if NB > 3 && blocks == 3 {
                    panel::<T, S, A, MR, MID, LOW, NB, 3>(simd, a, b, block, c, j, index);
                } else if NB > 2 && blocks == 2 {
                    panel::<T, S, A, MR, MID, LOW, NB, 2>(simd, a, b, block, c, j, index);
                } else {
                    panel::<T, S, A, MR, MID, LOW, NB, 1>(simd, a, b, block, c, j, index);
                }
            },
        );
        j += blocks * T::LANES;
        index += 1;
    }
}

/// A block of rows under panel `index` of B, of which `BLOCKS` blocks of columns lie inside C, at column `j`.
#[inline(always)]
fn panel<
    T: Element,
    S: Simd,
    A: Source<T>,
    const MR: usize,
    const MID: usize,
    const LOW: usize,
    const NB: usize,
    const BLOCKS: usize,
>(
    simd: S,
    a: &A,
    b: &mut PanelsOfB<'_, '_, T, T::Block, NB>,
    block: &Block<'_, T>,
    c: &mut MatMut<'_, T>,
    j: usize,
    index: usize,
) {
    let mut block = *block;
    let place = index * block.kc..index * block.kc + block.kc;
    let mut next = None;
    let panel = match b {
        PanelsOfB::Packed(packed) => packed.get(place),
        PanelsOfB::Rows { packed, .. } | PanelsOfB::Columns { packed, .. } if block.i > 0 => {
            packed.get(place)
        }
        PanelsOfB::Columns { b, p, packed, again } => {
            let Some(panel) = packed.get_mut(if *again { place } else { 0..block.kc }) else { return };
            let lines = min(c.cols - j, BLOCKS * T::LANES);
            simd.vectorize(
                #[inline(always)]
                || pack_columns(simd, b, Region { p: *p, kc: block.kc, line: j, lines }, &mut *panel),
            );
            Some(&*panel)
        }
        PanelsOfB::Rows { rows, stride, end, below, packed, again } => {
            let Some(panel) = packed.get_mut(if *again { place } else { 0..block.kc }) else { return };
            // By the last elements, as `Packing` asks.
            let beside = j + BLOCKS * T::LANES;
            let first = if beside < *end { Some(beside) } else { *below };
            next = first.map(|first| Next { rows, at: first + NB * T::LANES - 1, stride: *stride });
            let rows = Strided::new(rows.get(j..).unwrap_or_default(), *stride, c.cols - j);
            // Beside the others, tiles keep their sums in memory; those that read A by columns do so in a frame of their own.
            in_frame(
                simd,
                !A::EXACT,
                #[inline(always)]
                || {
                    let Some(a) = a.rows(0, block.kc) else { return };
                    tile::<T, S, _, MR, BLOCKS>(
                        simd,
                        &block,
                        a,
                        Packing { rows, panel: &mut *panel },
                        c,
                        0,
                        j,
                    );
                },
            );
            block.i = MR;
            Some(&*panel)
        }
    };
    let Some(panel) = panel else { return };
    if block.i < block.end {
        tiles::<T, S, _, _, MR, MID, LOW, BLOCKS>(
            simd,
            a,
            Panel::<_, _, _, MR>::new(panel, next),
            &block,
            c,
            j,
        );
    }
}
