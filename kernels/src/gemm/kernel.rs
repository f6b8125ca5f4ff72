//! The micro-kernel: a tile of C in registers, plus a panel of A times a panel of B.

use super::edges::{gather, load_rows, scatter, store_rows};
use super::left::Left;
use super::plan::Product;
use super::right::{Right, STEPS};
use super::{Bias, MatMut};
use crate::Element;
use crate::simd::{Arithmetic, Lanes, Simd};

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
    fn new(beta: T) -> Self {
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
pub(super) type Tile<V, const MR: usize, const NB: usize> = [[V; NB]; MR];

/// Rows `i..end` of C, `kc` steps of k, and how their chains start and end.
#[derive(Clone, Copy)]
pub(super) struct Block<'a, T> {
    pub(super) i: usize,
    pub(super) end: usize,
    pub(super) kc: usize,
    pub(super) start: Start<T>,
    pub(super) bias: Bias<'a, T>,
    pub(super) relu: bool,
    /// Whether C comes from beyond the near caches: then each tile asks for the rows of the next.
    pub(super) far: bool,
}

/// Bytes of a matrix that stay in L2, and steps of k from which on a tile has the time to ask for the next one's rows.
pub(super) const IN_L2: usize = 512 << 10;
const MANY_STEPS: usize = 33;

/// Whether C, of contiguous rows, hardly stays in L2.
#[inline(always)]
pub(super) fn comes_from_afar<T>(c: &MatMut<'_, T>) -> bool {
    c.col_stride == 1 && c.rows.saturating_mul(c.row_stride) > IN_L2 / size_of::<T>()
}

impl<'a, T: Element> Block<'a, T> {
    /// All rows of C, steps `p..p + kc` of a product's k.
    #[inline(always)]
    pub(super) fn new(product: &Product<'a, '_, T>, p: usize, kc: usize) -> Self {
        let first = p == 0;
        Self {
            i: 0,
            end: product.c.rows,
            kc,
            start: if first { Start::new(product.beta) } else { Start::Loaded },
            bias: if first { product.bias } else { Bias::None },
            relu: product.relu && p + kc == product.a.cols,
            far: kc >= MANY_STEPS && comes_from_afar(product.c),
        }
    }
}

/// Adds the product of `a: (MR, kc)` and `b: (kc, NB)` blocks to the tile of C whose upper left element is `(i, j)`. Rows
/// and columns past the edge of C are computed and dropped.
#[inline(always)]
pub(super) fn tile<T: Element, S: Simd, R: Right<T, NB>, const MR: usize, const NB: usize>(
    simd: S,
    block: &Block<'_, T>,
    a: impl Left<T, MR>,
    b: R,
    c: &mut MatMut<'_, T>,
    i: usize,
    j: usize,
) {
    let mut acc = begin::<T, S, MR, NB>(simd, block, c, i, j);
    each_step::<T, S, R, MR, NB>(
        simd,
        block.kc,
        a,
        b,
        #[inline(always)]
        |a, b| multiply_add::<T, S, MR, NB>(simd, &a, b, &mut acc),
    );
    end::<T, S, MR, NB>(simd, block, acc, c, i, j);
}

/// What the chains of the tile of C whose upper left element is `(i, j)` start from.
#[inline(always)]
pub(super) fn begin<T: Element, S: Simd, const MR: usize, const NB: usize>(
    simd: S,
    block: &Block<'_, T>,
    c: &MatMut<'_, T>,
    i: usize,
    j: usize,
) -> Tile<T::Lanes<S>, MR, NB> {
    let mut acc = load::<T, S, MR, NB>(simd, block.start, c, i, j);
    add_bias::<T, S, MR, NB>(simd, block.bias, i, j, &mut acc);
    if block.far {
        for r in MR..2 * MR {
            for b in 1..=NB {
                simd.prefetch(c.data, (i + r).wrapping_mul(c.row_stride).wrapping_add(j + b * T::LANES - 1));
            }
        }
    }
    acc
}

/// Ends the chains of a tile, and writes what of it lies inside C.
#[inline(always)]
pub(super) fn end<T: Element, S: Simd, const MR: usize, const NB: usize>(
    simd: S,
    block: &Block<'_, T>,
    mut acc: Tile<T::Lanes<S>, MR, NB>,
    c: &mut MatMut<'_, T>,
    i: usize,
    j: usize,
) {
    if block.relu {
        let zero = T::Lanes::<S>::splat(simd, T::default());
        for v in acc.as_flattened_mut() {
            *v = zero.max(*v);
        }
    }
    store::<T, S, MR, NB>(simd, &acc, c, i, j);
}

/// Whether all of the tile lies inside a C of contiguous rows.
#[inline(always)]
fn is_inside<T: Element, const MR: usize, const NB: usize>(c: &MatMut<'_, T>, i: usize, j: usize) -> bool {
    c.col_stride == 1 && i + MR <= c.rows && j + NB * T::LANES <= c.cols
}

/// Hands `kc` steps of k to `step`, each a column of A and a row of B.
#[inline(always)]
pub(super) fn each_step<T: Element, S: Simd, R: Right<T, NB>, const MR: usize, const NB: usize>(
    simd: S,
    kc: usize,
    a: impl Left<T, MR>,
    mut b: R,
    mut step: impl FnMut([T; MR], [T::Lanes<S>; NB]),
) {
    let mut p = 0;
    // What each step takes besides is shared by some; but rows of B that are apart have no registers for it beside a wide tile.
    if !S::BLOCK_IS_REGISTER || R::IN_GROUPS {
        let groups = kc / STEPS;
        let Some(a) = a.cut(groups * STEPS) else { return };
        p = groups * STEPS;
        for group in 0..groups {
            // A last: a branch between a load and its use would part the two, which are one instruction.
            let Some(mut row) = b.next_rows::<S, STEPS>(simd, group) else {
                p = group * STEPS;
                break;
            };
            let Some(column) = a.columns::<STEPS>(group) else { break };
            for s in 0..STEPS {
                let Some(row) = row(s) else { break };
                let Some(column) = column(s) else { break };
                step(column, row);
            }
        }
    }
    while S::BLOCK_IS_REGISTER && p < kc {
        let Some(mut row) = b.next_rows::<S, 1>(simd, p) else { break };
        let Some(row) = row(0) else { break };
        let Some(column) = a.column(p) else { break };
        step(column, row);
        p += 1;
    }
    // Rows that end with the slice.
    while p < kc {
        let Some(row) = b.next_row(simd, p) else { break };
        let Some(column) = a.column(p) else { break };
        step(column, row);
        p += 1;
    }
}

/// Adds the bias of the columns from `j` on, or of the rows from `i` on.
#[inline(always)]
fn add_bias<T: Element, S: Simd, const MR: usize, const NB: usize>(
    simd: S,
    bias: Bias<'_, T>,
    i: usize,
    j: usize,
    acc: &mut Tile<T::Lanes<S>, MR, NB>,
) {
    match bias {
        Bias::None => {}
        Bias::Columns(bias) => {
            let mut lanes = [T::Lanes::<S>::splat(simd, T::default()); NB];
            let (blocks, tail) = T::blocks(bias.get(j..).unwrap_or_default());
            for (b, lanes) in lanes.iter_mut().enumerate() {
                match blocks.get(b) {
                    Some(block) => *lanes = T::Lanes::<S>::load(simd, block),
                    None if b == blocks.len() => *lanes = T::Lanes::<S>::load_partial(simd, tail),
                    None => {}
                }
            }
            for row in acc {
                for (v, bias) in row.iter_mut().zip(lanes) {
                    *v = *v + bias;
                }
            }
        }
        Bias::Rows(bias) => {
            for (r, row) in acc.iter_mut().enumerate() {
                let bias = T::Lanes::<S>::splat(simd, bias.get(i + r).copied().unwrap_or_default());
                for v in row {
                    *v = *v + bias;
                }
            }
        }
    }
}

/// `acc[i][j] += a[i] * b[j]`.
#[inline(always)]
pub(super) fn multiply_add<T: Element, S: Simd, const MR: usize, const NB: usize>(
    simd: S,
    a: &[T; MR],
    b: [T::Lanes<S>; NB],
    acc: &mut Tile<T::Lanes<S>, MR, NB>,
) {
    for (a, acc) in a.iter().zip(acc) {
        let a = T::Lanes::<S>::splat(simd, *a);
        for (b, acc) in b.iter().zip(acc) {
            *acc = a.mul_add(*b, *acc);
        }
    }
}

/// The tile to start from. Inside C its rows are read as they lie; at an edge, or where C's columns are not next to
/// each other, by way of a copy.
#[inline(always)]
fn load<T: Element, S: Simd, const MR: usize, const NB: usize>(
    simd: S,
    start: Start<T>,
    c: &MatMut<'_, T>,
    i: usize,
    j: usize,
) -> Tile<T::Lanes<S>, MR, NB> {
    let mut acc = [[T::Lanes::<S>::splat(simd, T::default()); NB]; MR];
    if let Start::Zero = start {
        return acc;
    }
    if is_inside::<T, MR, NB>(c, i, j) {
        for (r, acc) in acc.iter_mut().enumerate() {
            let first = (i + r) * c.row_stride + j;
            let row = c.data.get(first..first + NB * T::LANES).unwrap_or_default();
            load_row::<T, S, NB>(simd, T::blocks(row).0, acc);
        }
    } else {
        let mut edge: Tile<T::Block, MR, NB> = [[T::Block::default(); NB]; MR];
        if c.col_stride == 1 {
            // In a frame of its own: once, not in every tile.
            simd.vectorize(
                #[inline(always)]
                || load_rows::<T, S>(simd, c, i, j, edge.as_flattened_mut(), NB),
            );
        } else {
            gather(c, i, j, edge.as_flattened_mut(), NB);
        }
        for (row, acc) in edge.iter().zip(&mut acc) {
            load_row::<T, S, NB>(simd, row, acc);
        }
    }
    if let Start::Scaled(beta) = start {
        let beta = T::Lanes::<S>::splat(simd, beta);
        for v in acc.as_flattened_mut() {
            *v = beta * *v;
        }
    }
    acc
}

#[inline(always)]
fn load_row<T: Element, S: Simd, const NB: usize>(simd: S, row: &[T::Block], acc: &mut [T::Lanes<S>; NB]) {
    for (v, block) in acc.iter_mut().zip(row) {
        *v = T::Lanes::<S>::load(simd, block);
    }
}

/// Writes what of the tile lies inside C.
#[inline(always)]
fn store<T: Element, S: Simd, const MR: usize, const NB: usize>(
    simd: S,
    acc: &Tile<T::Lanes<S>, MR, NB>,
    c: &mut MatMut<'_, T>,
    i: usize,
    j: usize,
) {
    if is_inside::<T, MR, NB>(c, i, j) {
        for (r, acc) in acc.iter().enumerate() {
            let first = (i + r) * c.row_stride + j;
            let row = c.data.get_mut(first..first + NB * T::LANES).unwrap_or_default();
            store_row::<T, S, NB>(acc, T::blocks_mut(row).0);
        }
    } else if c.col_stride == 1 && NB == 1 && MR <= 8 {
        let width = T::LANES.min(c.cols - j);
        for (r, [v]) in acc.as_flattened().as_chunks().0.iter().enumerate() {
            // Not of an empty row: a masked store to an address of nothing takes 100 cycles and more.
            if i + r < c.rows {
                let first = (i + r) * c.row_stride + j;
                if let Some(row) = c.data.get_mut(first..first + width) {
                    v.store_partial(row);
                }
            }
        }
    } else {
        let mut edge: Tile<T::Block, MR, NB> = [[T::Block::default(); NB]; MR];
        for (row, acc) in edge.iter_mut().zip(acc) {
            store_row::<T, S, NB>(acc, row);
        }
        if c.col_stride == 1 {
            simd.vectorize(
                #[inline(always)]
                || store_rows::<T, S>(simd, edge.as_flattened(), NB, c, i, j),
            );
        } else {
            scatter(edge.as_flattened(), NB, c, i, j);
        }
    }
}

#[inline(always)]
fn store_row<T: Element, S: Simd, const NB: usize>(acc: &[T::Lanes<S>; NB], row: &mut [T::Block]) {
    for (v, block) in acc.iter().zip(row) {
        v.store(block);
    }
}
