//! The tiles of some rows of C under one panel of B: the loop around the micro-kernel.

use super::MatMut;
use super::kernel::{Block, tile};
use super::left::Source;
use super::narrow::pairs;
use super::right::Right;
use crate::Element;
use crate::simd::Simd;

/// The tiles of a block under one panel of B, at column `j` of C: `TALL` rows each, and lower ones at the end.
#[inline(always)]
pub(super) fn tiles<
    T: Element,
    S: Simd,
    A: Source<T>,
    R: Right<T, NB> + Copy,
    const TALL: usize,
    const MID: usize,
    const LOW: usize,
    const NB: usize,
>(
    simd: S,
    a: &A,
    b: R,
    block: &Block<'_, T>,
    c: &mut MatMut<'_, T>,
    j: usize,
) {
    // Where half a block is registers of its own.
    let narrow = !S::BLOCK_IS_REGISTER && NB == 1 && c.col_stride == 1 && 2 * (c.cols - j) <= T::LANES;
    let mut i = block.i;
    while i < block.end {
        // Rows past the end are computed and dropped, where they may be read.
        let (rows, tall, mid, low) =
            if A::EXACT { (block.end - i, TALL, MID, LOW) } else { (block.end - i, MID + 1, LOW + 1, 1) };
        // Rather two of the middle height than a tall one and a low one, whose few chains wait for each other.
        let even = A::ANY_ROW && rows == TALL + LOW && rows == 2 * MID;
        if narrow && A::ANY_ROW && TALL == 6 && rows >= if A::EXACT { 8 } else { 7 } {
            // As many chains as hide the latency of a multiply-add.
            pairs_at::<T, S, A, R, 8, NB>(simd, a, b, block, c, i, j);
            i += 8;
        } else if rows >= tall && narrow {
            pairs_at::<T, S, A, R, TALL, NB>(simd, a, b, block, c, i, j);
            i += TALL;
        } else if rows >= tall && !even {
            tile_at::<T, S, A, R, TALL, NB>(simd, a, b, block, c, i, j);
            i += TALL;
        } else if rows >= mid {
            tile_at::<T, S, A, R, MID, NB>(simd, a, b, block, c, i, j);
            i += MID;
        } else if rows >= low {
            tile_at::<T, S, A, R, LOW, NB>(simd, a, b, block, c, i, j);
            i += LOW;
        } else {
            tile_at::<T, S, A, R, 1, NB>(simd, a, b, block, c, i, j);
            i += 1;
        }
    }
}

#[inline(always)]
fn tile_at<T: Element, S: Simd, A: Source<T>, R: Right<T, NB>, const MR: usize, const NB: usize>(
    simd: S,
    a: &A,
    b: R,
    block: &Block<'_, T>,
    c: &mut MatMut<'_, T>,
    i: usize,
    j: usize,
) {
    in_frame(
        simd,
        R::OWN_FRAME,
        #[inline(always)]
        || {
            // A copy: what is behind a reference is looked up again, and slices that were cut by it are checked.
            let block = *block;
            let Some(a) = a.rows(i, block.kc) else { return };
            let Some(b) = b.for_tile(i, block.kc) else { return };
            tile::<T, S, R, MR, NB>(simd, &block, a, b, c, i, j);
        },
    );
}

#[inline(always)]
fn pairs_at<T: Element, S: Simd, A: Source<T>, R: Right<T, NB>, const MR: usize, const NB: usize>(
    simd: S,
    a: &A,
    b: R,
    block: &Block<'_, T>,
    c: &mut MatMut<'_, T>,
    i: usize,
    j: usize,
) {
    in_frame(
        simd,
        R::OWN_FRAME,
        #[inline(always)]
        || {
            // A copy: what is behind a reference is looked up again, and slices that were cut by it are checked.
            let block = *block;
            let Some(a) = a.rows(i, block.kc) else { return };
            let Some(b) = b.for_tile(i, block.kc) else { return };
            pairs::<T, S, R, MR, NB>(simd, &block, a, b, c, i, j);
        },
    );
}

/// Runs `f`, with `own` in a frame of its own where a block is several registers.
#[inline(always)]
pub(super) fn in_frame<S: Simd>(simd: S, own: bool, f: impl FnOnce()) {
    if own && !S::BLOCK_IS_REGISTER { simd.vectorize(f) } else { f() }
}
