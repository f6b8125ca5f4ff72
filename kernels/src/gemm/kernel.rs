//! The micro-kernel: a tile of C in registers, plus a panel of A times a panel of B.

use super::MatMut;
use super::left::{Left, UNROLL};
use crate::Element;
use crate::simd::{Lanes, Simd};

/// What the chain of multiply-adds starts from.
#[derive(Clone, Copy)]
pub(super) enum Start<T> {
    /// 0, without reading C.
    Zero,
    /// C as it is.
    Loaded,
    /// beta times C.
    Scaled(T),
}

impl<T: Element> Start<T> {
    /// The start of a whole product's chain.
    #[inline(always)]
    pub(super) fn new(beta: T) -> Self {
        if beta == T::default() {
            Self::Zero
        } else if beta == T::from(1) {
            Self::Loaded
        } else {
            Self::Scaled(beta)
        }
    }
}

/// A tile of C: `MR` rows of `NB` blocks of columns.
type Tile<V, const MR: usize, const NB: usize> = [[V; NB]; MR];

/// Adds the product of `a: (MR, kc)` and `b: (kc, NB)` blocks to the tile of C whose upper left element is `(i, j)`. Rows
/// and columns past the edge of C are computed and dropped.
#[inline(always)]
pub(super) fn tile<T: Element, S: Simd, const MR: usize, const NB: usize>(
    simd: S,
    mut a: impl Left<T, MR>,
    b: &[[T::Block; NB]],
    start: Start<T>,
    c: &mut MatMut<'_, T>,
    i: usize,
    j: usize,
) {
    let inside = c.col_stride == 1 && i + MR <= c.rows && j + NB * T::LANES <= c.cols;
    let mut edge: Tile<T::Block, MR, NB> = [[T::Block::default(); NB]; MR];
    let mut acc = load::<T, S, MR, NB>(simd, start, c, i, j, inside, &mut edge);
    let (chunks, last) = b.as_chunks::<UNROLL>();
    for b in chunks {
        let Some(a) = a.next_chunk() else { break };
        for (a, b) in a.iter().zip(b) {
            multiply_add::<T, S, MR, NB>(simd, a, b, &mut acc);
        }
    }
    for b in last {
        let Some(a) = a.next_last() else { break };
        multiply_add::<T, S, MR, NB>(simd, &a, b, &mut acc);
    }
    store::<T, S, MR, NB>(&acc, c, i, j, inside, &mut edge);
}

/// `acc[i][j] += a[i] * b[j]`.
#[inline(always)]
pub(super) fn multiply_add<T: Element, S: Simd, const MR: usize, const NB: usize>(
    simd: S,
    a: &[T; MR],
    b: &[T::Block; NB],
    acc: &mut Tile<T::Lanes<S>, MR, NB>,
) {
    let mut row = [T::Lanes::<S>::splat(simd, T::default()); NB];
    for (v, block) in row.iter_mut().zip(b) {
        *v = T::Lanes::<S>::load(simd, block);
    }
    for (a, acc) in a.iter().zip(acc) {
        let a = T::Lanes::<S>::splat(simd, *a);
        for (b, acc) in row.iter().zip(acc) {
            *acc = a.mul_add(*b, *acc);
        }
    }
}

/// The tile to start from. Inside C its rows are read as they lie; at an edge, or where C's columns are not next to
/// each other, by way of `edge`.
#[inline(always)]
pub(super) fn load<T: Element, S: Simd, const MR: usize, const NB: usize>(
    simd: S,
    start: Start<T>,
    c: &MatMut<'_, T>,
    i: usize,
    j: usize,
    inside: bool,
    edge: &mut Tile<T::Block, MR, NB>,
) -> Tile<T::Lanes<S>, MR, NB> {
    let mut acc = [[T::Lanes::<S>::splat(simd, T::default()); NB]; MR];
    if let Start::Zero = start {
        return acc;
    }
    if !inside {
        gather(c, i, j, edge.as_flattened_mut(), NB);
    }
    for (r, (row, edge)) in acc.iter_mut().zip(edge).enumerate() {
        let first = (i + r) * c.row_stride + j;
        let blocks = match c.data.get(first..first + NB * T::LANES) {
            Some(row) if inside => T::blocks(row).0,
            _ => edge.as_slice(),
        };
        for (v, block) in row.iter_mut().zip(blocks) {
            *v = T::Lanes::<S>::load(simd, block);
            if let Start::Scaled(beta) = start {
                *v = T::Lanes::<S>::splat(simd, beta) * *v;
            }
        }
    }
    acc
}

/// Writes what of the tile lies inside C.
#[inline(always)]
pub(super) fn store<T: Element, S: Simd, const MR: usize, const NB: usize>(
    acc: &Tile<T::Lanes<S>, MR, NB>,
    c: &mut MatMut<'_, T>,
    i: usize,
    j: usize,
    inside: bool,
    edge: &mut Tile<T::Block, MR, NB>,
) {
    for (r, (row, edge)) in acc.iter().zip(edge.iter_mut()).enumerate() {
        let first = (i + r) * c.row_stride + j;
        let blocks = match c.data.get_mut(first..first + NB * T::LANES) {
            Some(row) if inside => T::blocks_mut(row).0,
            _ => edge.as_mut_slice(),
        };
        for (v, block) in row.iter().zip(blocks) {
            v.store(block);
        }
    }
    if !inside {
        scatter(edge.as_flattened(), NB, c, i, j);
    }
}

/// Copies what of C lies under a tile, `blocks` blocks wide, into it.
#[inline(never)]
fn gather<T: Element>(c: &MatMut<'_, T>, i: usize, j: usize, tile: &mut [T::Block], blocks: usize) {
    for (at, block) in tile.iter_mut().enumerate() {
        let (i, j) = (i + at / blocks.max(1), j + at % blocks.max(1) * T::LANES);
        for (l, x) in block.as_mut().iter_mut().enumerate().take(c.cols.saturating_sub(j)) {
            if i < c.rows {
                *x = c.data.get(i * c.row_stride + (j + l) * c.col_stride).copied().unwrap_or_default();
            }
        }
    }
}

/// Copies what of a tile, `blocks` blocks wide, lies inside C.
#[inline(never)]
fn scatter<T: Element>(tile: &[T::Block], blocks: usize, c: &mut MatMut<'_, T>, i: usize, j: usize) {
    for (at, block) in tile.iter().enumerate() {
        let (i, j) = (i + at / blocks.max(1), j + at % blocks.max(1) * T::LANES);
        for (l, x) in block.as_ref().iter().enumerate().take(c.cols.saturating_sub(j)) {
            if i < c.rows
                && let Some(to) = c.data.get_mut(i * c.row_stride + (j + l) * c.col_stride)
            {
                *to = *x;
            }
        }
    }
}
