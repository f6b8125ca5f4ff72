//! A matrix times a column: sums along k.
//!
//! Each element is `beta * c + bias + alpha * sum of a * b`, the sum in one block of partial sums: lane `l` takes steps `l`, `l + LANES`, …
//! of k, and the lanes are added by a fixed tree. So the bits depend on neither layout nor the number of rows.

use super::kernel::IN_L2;
use super::plan::Product;
use super::right::load_blocks;
use super::{Bias, MatRef};
use crate::Element;
use crate::simd::short_rows::fold_rows;
use crate::simd::{Arithmetic, Lanes, Simd};

/// Rows of A from afar at a time: more are more streams than the CPU's prefetchers keep up with.
const FAR_ROWS: usize = 4;
/// Blocks from those which are read of them to those which are asked for.
const AHEAD: usize = 8;
/// Rows of which it takes less time to sum each one's lanes.
const FEW_ROWS: usize = 3;

/// Up to `TALL` contiguous rows of A at a time: as many as there are registers for their sums.
#[inline(always)]
pub(super) fn multiply<T: Element, S: Simd, const TALL: usize>(simd: S, product: &mut Product<'_, '_, T>) {
    let Product { alpha, a, b, beta, ref mut c, bias, relu } = *product;
    let bias = match bias {
        Bias::Columns(bias) => bias.first().copied(),
        _ => None,
    };
    let mut c = Column { alpha, beta, bias, relu, data: &mut *c.data, stride: c.row_stride };
    let x = Line { data: b.data, stride: b.row_stride, len: b.rows };
    let contiguous = match x.data.get(..x.len) {
        Some(x) if b.row_stride == 1 && a.col_stride == 1 => Some(x),
        _ => None,
    };
    let mut i = 0;
    while i < a.rows {
        let left = a.rows - i;
        let rows = T::LANES.min(left);
        i += if let Some(x) = contiguous {
            if left > FEW_ROWS {
                c.put(simd, i, rows, [along::<T, S, TALL>(simd, a, i, rows, x)])
            } else {
                c.put(simd, i, 1, [alone(simd, a, i, x)])
            }
        } else if a.row_stride != 1 {
            c.put(simd, i, rows, [apart(simd, a, i, rows, &x)])
        } else if S::BLOCK_IS_REGISTER && left >= 8 * T::LANES {
            c.put(simd, i, rows, down::<T, S, 8>(simd, a, i, &x))
        } else if !S::BLOCK_IS_REGISTER && left >= 6 * T::LANES {
            c.put(simd, i, rows, down::<T, S, 6>(simd, a, i, &x))
        } else if left >= 4 * T::LANES {
            c.put(simd, i, rows, down::<T, S, 4>(simd, a, i, &x))
        } else if left >= T::LANES {
            c.put(simd, i, rows, down::<T, S, 1>(simd, a, i, &x))
        } else {
            c.put(simd, i, rows, [last_down(simd, a, i, rows, &x)])
        };
    }
}

/// A row of A or the column B: elements `stride` apart.
struct Line<'a, T> {
    data: &'a [T],
    stride: usize,
    len: usize,
}

impl<T: Element> Line<'_, T> {
    #[inline(always)]
    fn element(&self, p: usize) -> T {
        self.data.get(p * self.stride).copied().unwrap_or_default()
    }

    /// The block of steps from `p` on; 0 past the last.
    #[inline(always)]
    fn block<S: Simd>(&self, simd: S, p: usize) -> T::Lanes<S> {
        let mut block = T::Block::default();
        for (p, to) in (p..self.len).zip(block.as_mut()) {
            *to = self.element(p);
        }
        T::Lanes::<S>::load(simd, &block)
    }
}

/// C, and what becomes of a sum.
struct Column<'a, T> {
    alpha: T,
    beta: T,
    bias: Option<T>,
    relu: bool,
    data: &'a mut [T],
    stride: usize,
}

impl<T: Element> Column<'_, T> {
    /// Ends the chains from row `i` on, `rows` to a block of sums, a row a lane. Returns how many.
    #[inline(always)]
    fn put<S: Simd, const NB: usize>(
        &mut self,
        simd: S,
        i: usize,
        rows: usize,
        sums: [T::Lanes<S>; NB],
    ) -> usize {
        for (b, sums) in sums.into_iter().enumerate() {
            self.put_block(simd, i + b * rows, rows, sums);
        }
        rows * NB
    }

    #[inline(always)]
    fn put_block<S: Simd>(&mut self, simd: S, i: usize, rows: usize, sums: T::Lanes<S>) {
        if self.stride == 1 {
            let Some(c) = self.data.get(i..i + rows) else { return };
            let y = self.end(simd, T::Lanes::<S>::load_partial(simd, c), sums);
            if let Some(c) = self.data.get_mut(i..i + rows) {
                y.store_partial(c);
            }
            return;
        }
        let mut block = T::Block::default();
        for (r, to) in block.as_mut().iter_mut().take(rows).enumerate() {
            *to = self.data.get((i + r) * self.stride).copied().unwrap_or_default();
        }
        let block = self.end(simd, T::Lanes::<S>::load(simd, &block), sums).to_block(simd);
        for (r, y) in block.as_ref().iter().take(rows).enumerate() {
            if let Some(c) = self.data.get_mut((i + r) * self.stride) {
                *c = *y;
            }
        }
    }

    /// What elements of C that were `c` become.
    #[inline(always)]
    fn end<S: Simd>(&self, simd: S, c: T::Lanes<S>, sums: T::Lanes<S>) -> T::Lanes<S> {
        let zero = T::Lanes::<S>::splat(simd, T::default());
        let mut start =
            if self.beta == T::default() { zero } else { T::Lanes::<S>::splat(simd, self.beta) * c };
        if let Some(bias) = self.bias {
            start = start + T::Lanes::<S>::splat(simd, bias);
        }
        let y = T::Lanes::<S>::splat(simd, self.alpha).mul_add(sums, start);
        if self.relu { zero.max(y) } else { y }
    }
}

/// `rows` contiguous rows from row `i` on, each times `x`.
#[inline(always)]
fn along<T: Element, S: Simd, const TALL: usize>(
    simd: S,
    a: &MatRef<'_, T>,
    i: usize,
    rows: usize,
    x: &[T],
) -> T::Lanes<S> {
    let mut sums = [T::Lanes::<S>::splat(simd, T::default()); 16];
    let near = a.bytes() <= IN_L2;
    let mut r = 0;
    while r < rows {
        let left = rows - r;
        let (i, to) = (i + r, sums.get_mut(r..).unwrap_or_default());
        r += if left >= TALL && (near || TALL < FAR_ROWS) {
            some::<T, S, TALL, false>(simd, a, i, x, to)
        } else if left >= FAR_ROWS && TALL >= FAR_ROWS {
            some::<T, S, FAR_ROWS, true>(simd, a, i, x, to)
        } else {
            some::<T, S, 1, false>(simd, a, i, x, to)
        };
    }
    fold::<T, S>(simd, &sums)
}

/// Row `i` times `x`, in every lane: by the same tree as all rows of a block, in less time.
#[inline(always)]
fn alone<T: Element, S: Simd>(simd: S, a: &MatRef<'_, T>, i: usize, x: &[T]) -> T::Lanes<S> {
    let mut sum = [T::Lanes::<S>::splat(simd, T::default())];
    some::<T, S, 1, false>(simd, a, i, x, &mut sum);
    let [sum] = sum;
    let sum = sum.fold_lanes(
        simd,
        #[inline(always)]
        |a, b| a + b,
    );
    T::Lanes::<S>::splat(simd, sum)
}

/// `H` rows from row `i` on, each times `x`, with `FAR` asked for ahead of their turn. Returns how many.
#[inline(always)]
fn some<T: Element, S: Simd, const H: usize, const FAR: bool>(
    simd: S,
    a: &MatRef<'_, T>,
    i: usize,
    x: &[T],
    sums: &mut [T::Lanes<S>],
) -> usize {
    let mut acc = [T::Lanes::<S>::splat(simd, T::default()); H];
    let mut rows: [(&[T::Block], &[T]); H] = [(&[], &[]); H];
    let (blocks, tail) = T::blocks(x);
    for (h, row) in rows.iter_mut().enumerate() {
        let first = (i + h) * a.row_stride;
        let (whole, part) = T::blocks(a.data.get(first..first + x.len()).unwrap_or_default());
        let Some(whole) = whole.get(..blocks.len()) else { return H };
        *row = (whole, part);
    }
    for (p, x) in blocks.iter().enumerate() {
        let x = T::Lanes::<S>::load(simd, x);
        if FAR {
            for (row, _) in &rows {
                simd.prefetch(row, p + AHEAD);
            }
        }
        for ((row, _), acc) in rows.iter().zip(&mut acc) {
            let Some(a) = row.get(p) else { return H };
            *acc = T::Lanes::<S>::load(simd, a).mul_add(x, *acc);
        }
    }
    if !tail.is_empty() {
        let x = T::Lanes::<S>::load_partial(simd, tail);
        for ((_, part), acc) in rows.iter().zip(&mut acc) {
            *acc = T::Lanes::<S>::load_partial(simd, part).mul_add(x, *acc);
        }
    }
    for (sum, acc) in sums.iter_mut().zip(acc) {
        *sum = acc;
    }
    H
}

/// Adds the lanes of each sum: a row a lane.
#[inline(always)]
fn fold<T: Element, S: Simd>(simd: S, sums: &[T::Lanes<S>; 16]) -> T::Lanes<S> {
    fold_rows::<T, S>(
        #[inline(always)]
        |r| sums.get(r).copied().unwrap_or(T::Lanes::<S>::splat(simd, T::default())),
        #[inline(always)]
        |a, b| a + b,
    )
}

/// `NB` blocks of rows from row `i` on, whose columns are contiguous, each times `x`: the same sums, a row a lane.
#[inline(always)]
fn down<T: Element, S: Simd, const NB: usize>(
    simd: S,
    a: &MatRef<'_, T>,
    i: usize,
    x: &Line<'_, T>,
) -> [T::Lanes<S>; NB] {
    let mut waiting = [[T::Lanes::<S>::splat(simd, T::default()); NB]; 5];
    let depth = T::LANES.trailing_zeros();
    // Lane by lane of the rows' own sums, in the order in which the tree adds them: no more than one of each of its levels waits.
    for turn in 0..T::LANES {
        let mut sums = steps_of_lane::<T, S, NB>(simd, a, i, x, turn.reverse_bits() >> (usize::BITS - depth));
        let levels = turn.trailing_ones() as usize;
        for before in waiting.iter().take(levels) {
            for (sum, before) in sums.iter_mut().zip(before) {
                *sum = *before + *sum;
            }
        }
        if let Some(to) = waiting.get_mut(levels) {
            *to = sums;
        }
    }
    waiting.get(depth as usize).copied().unwrap_or([T::Lanes::<S>::splat(simd, T::default()); NB])
}

/// What lane `lane` of the sums of `NB` blocks of rows from row `i` on comes to.
#[inline(always)]
fn steps_of_lane<T: Element, S: Simd, const NB: usize>(
    simd: S,
    a: &MatRef<'_, T>,
    i: usize,
    x: &Line<'_, T>,
    lane: usize,
) -> [T::Lanes<S>; NB] {
    let mut sums = [T::Lanes::<S>::splat(simd, T::default()); NB];
    let mut rest = a.data.get(i + lane * a.col_stride..).unwrap_or_default();
    for p in (lane..x.len).step_by(T::LANES) {
        let Some(column) = T::blocks(rest).0.first_chunk() else { break };
        let x = T::Lanes::<S>::splat(simd, x.element(p));
        for (a, sum) in load_blocks::<T, S, NB>(simd, column).into_iter().zip(&mut sums) {
            *sum = a.mul_add(x, *sum);
        }
        rest = rest.get(T::LANES * a.col_stride..).unwrap_or_default();
    }
    sums
}

/// The first of `rows` rows from row `i` on, fewer than a block: as [`down`].
#[inline(always)]
fn last_down<T: Element, S: Simd>(
    simd: S,
    a: &MatRef<'_, T>,
    i: usize,
    rows: usize,
    x: &Line<'_, T>,
) -> T::Lanes<S> {
    let mut acc = [T::Lanes::<S>::splat(simd, T::default()); 16];
    for group in (0..x.len).step_by(T::LANES) {
        for (p, acc) in (group..x.len).zip(acc.iter_mut().take(T::LANES)) {
            let first = i + p * a.col_stride;
            let column = a.data.get(first..first + rows).unwrap_or_default();
            let x = T::Lanes::<S>::splat(simd, x.element(p));
            *acc = T::Lanes::<S>::load_partial(simd, column).mul_add(x, *acc);
        }
    }
    fold_lines::<T, _>(
        acc,
        #[inline(always)]
        |a, b| a + b,
    )
}

/// The tree of a row's lanes, over whole lines of them.
#[inline(always)]
fn fold_lines<T: Element, V: Copy>(mut lines: [V; 16], add: impl Fn(V, V) -> V) -> V {
    let mut half = T::LANES / 2;
    while half > 0 {
        if let Some((low, high)) = lines.split_at_mut_checked(half) {
            for (low, high) in low.iter_mut().zip(high) {
                *low = add(*low, *high);
            }
        }
        half /= 2;
    }
    let [first, ..] = lines;
    first
}

/// `rows` rows from row `i` on, each times `x`, none of which need be contiguous.
#[inline(always)]
fn apart<T: Element, S: Simd>(
    simd: S,
    a: &MatRef<'_, T>,
    i: usize,
    rows: usize,
    x: &Line<'_, T>,
) -> T::Lanes<S> {
    let zero = T::Lanes::<S>::splat(simd, T::default());
    let mut sums = [zero; 16];
    for (r, sum) in sums.iter_mut().take(rows).enumerate() {
        let data = a.data.get((i + r) * a.row_stride..).unwrap_or_default();
        let row = Line { data, stride: a.col_stride, len: a.cols };
        for p in (0..x.len).step_by(T::LANES) {
            *sum = row.block(simd, p).mul_add(x.block(simd, p), *sum);
        }
    }
    fold::<T, S>(simd, &sums)
}
