//! Moments of planes: channels first.
//!
//! Lanes run along a plane, each with sums of its own until a block is closed. Blocks end where a piece of a plane does.

use super::blocks::{Progress, close_block, results, widen_last};
use crate::moments::squares;
use crate::simd::column_sums::sum_block;
use crate::simd::planes::{TILE, plane};
use crate::simd::{Arithmetic, Lanes, Simd};
use crate::{Channels, Element};

/// Eights that are summed at a time, by a tree: a link of the chain.
const EIGHTS: usize = 4;
/// Links of a block, which may have less than twice as many; no piece of a plane has more.
const LINKS: usize = 32;
/// The most elements of a plane that are taken at a time.
const PIECE: usize = LINKS * EIGHTS * 8;

/// The moments of at most [`TILE`] channels: the mean and what its rounding lost, the spread and what its rounding lost; and the
/// sum and the sum of squares of the open block, eight lanes each.
pub(super) struct Tile<'a> {
    pub(super) moments: [&'a mut [f64]; 4],
    pub(super) sums: [&'a mut [[f64; 8]]; 2],
}

/// Adds the planes of the channels from `first` on.
#[inline(always)]
pub(super) fn add<T: Element, S: Simd>(
    simd: S,
    shape: Channels,
    first: usize,
    x: &[T],
    progress: &mut Progress,
    tile: &mut Tile<'_>,
) {
    for image in 0..shape.outer() {
        let mut start = 0;
        while start < shape.inner() {
            let len = PIECE.min(shape.inner() - start);
            let [mean, ..] = &mut tile.moments;
            let [sums, squares] = &mut tile.sums;
            for (i, (mean, (sum, square))) in
                mean.iter_mut().zip(sums.iter_mut().zip(squares.iter_mut())).enumerate()
            {
                let piece = plane(shape, x, image, first + i).get(start..).unwrap_or_default();
                let piece = piece.get(..len).unwrap_or(piece);
                if progress.closed == 0 {
                    *mean = first_mean(simd, piece);
                }
                let [s, q] =
                    sum_piece(simd, piece, *mean, [S::F64::load(simd, sum), S::F64::load(simd, square)]);
                s.store(sum);
                q.store(square);
            }
            start += len;
            if progress.add(len, len / (8 * EIGHTS) + (len % (8 * EIGHTS)).div_ceil(8), LINKS) {
                close(simd, *progress, tile);
                progress.close();
            }
        }
    }
}

/// The results of the channels; the moments are overwritten.
#[inline(always)]
pub(super) fn finish<T: Element, S: Simd>(
    simd: S,
    progress: Progress,
    tile: &mut Tile<'_>,
    results_of: [&mut [T]; 2],
) {
    if progress.open > 0 {
        close(simd, progress, tile);
    }
    let [mean, low, spread, spread_low] = &mut tile.moments;
    #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 values")]
    let n = (progress.closed + progress.open) as f64;
    results(simd, n, [mean, low, spread, spread_low, &mut [], &mut []], results_of);
}

/// The mean of the first piece, which is the first value where all are equal.
#[inline(always)]
fn first_mean<T: Element, S: Simd>(simd: S, piece: &[T]) -> f64 {
    let first = piece.first().map_or(0.0, |x| x.to_f64());
    let [sum, _] = sum_piece(simd, piece, first, [S::F64::splat(simd, 0.0); 2]);
    first + fold::<S>(simd, sum) / piece.len() as f64
}

/// Joins the open block to those before, and empties it.
#[inline(always)]
fn close<S: Simd>(simd: S, progress: Progress, tile: &mut Tile<'_>) {
    let Tile { moments: [mean, low, spread, spread_low], sums } = tile;
    let mut folded = [[0.0; TILE]; 2];
    for (folded, lanes) in folded.iter_mut().zip(sums) {
        for (folded, lanes) in folded.iter_mut().zip(lanes.iter_mut()) {
            *folded = fold::<S>(simd, S::F64::load(simd, lanes));
            *lanes = [0.0; 8];
        }
    }
    let [sum, square] = &mut folded;
    let (Some(sum), Some(square)) = (sum.get_mut(..mean.len()), square.get_mut(..mean.len())) else { return };
    close_block(simd, progress.closed, progress.open, [mean, low, spread, spread_low, sum, square]);
}

#[inline(always)]
fn fold<S: Simd>(simd: S, x: S::F64) -> f64 {
    x.fold_lanes(
        simd,
        #[inline(always)]
        |a, b| a + b,
    )
}

/// Adds a piece of a plane to `[sum, square]`, about `mean`.
#[inline(always)]
fn sum_piece<T: Element, S: Simd>(
    simd: S,
    x: &[T],
    mean: f64,
    [mut sum, mut square]: [S::F64; 2],
) -> [S::F64; 2] {
    let mean = S::F64::splat(simd, mean);
    let (eights, tail) = x.as_chunks::<8>();
    let (links, rest) = eights.as_chunks::<EIGHTS>();
    for link in links {
        let mut xs = [[mean]; EIGHTS];
        for ([to], x) in xs.iter_mut().zip(link) {
            *to = T::widen(simd, x);
        }
        let [s, q] = sum_block::<f64, S, 1, 1, EIGHTS>(simd, xs, [mean], &squares::<f64, S>);
        (sum, square) = (sum + s, square + q);
    }
    for x in rest {
        let d = T::widen(simd, x) - mean;
        (sum, square) = (sum + d, d.mul_add(d, square));
    }
    if !tail.is_empty() {
        // The last eight, of which the first are done already.
        let inside = if eights.is_empty() {
            S::F64::first(simd, tail.len())
        } else {
            !S::F64::first(simd, 8 - tail.len())
        };
        let d = S::F64::select(inside, widen_last(simd, x) - mean, S::F64::splat(simd, 0.0));
        (sum, square) = (sum + d, d.mul_add(d, square));
    }
    [sum, square]
}
