//! Maps over the rows of a matrix whose columns are channels.
//!
//! Lanes run along the columns, so that a column's bits do not depend on its neighbours. Several rows are taken at a
//! time: parameters are loaded once for all of them.

use super::apply::{cut, load_blocks, map, split};
use super::{Arithmetic, Lanes, Simd};
use crate::Element;

/// Columns `first .. first + width` of rows that are `pitch` apart.
///
/// A slice may end with a part of a row: it counts as a shorter row (where `first` is 0).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Columns {
    pub(crate) pitch: usize,
    pub(crate) first: usize,
    pub(crate) width: usize,
}

/// A row of `N` matrices, as blocks and tails.
type Row<'a, T, const N: usize> = [(&'a [<T as Element>::Block], &'a [T]); N];

/// Rows that are mapped at a time where that pays: more streams to write would crowd each other out of the cache.
const MAP_ROWS: usize = 2;

/// The most bytes of a map that is done several rows at a time: with more, streams that are written in turn cost more than reading the
/// parameters once for all saves.
const MOST_BYTES: usize = 1 << 20;
/// Addresses that are a multiple of so many bytes apart look alike to a load that passes a store.
const ALIAS: usize = 4096;

/// Whether rows of so many bytes may be written in turn.
const fn apart(bytes: usize) -> bool {
    let beyond = bytes % ALIAS;
    beyond >= 64 && ALIAS - beyond >= 64
}

impl Columns {
    /// All columns.
    #[inline(always)]
    pub(crate) fn all(width: usize) -> Self {
        Self { pitch: width, first: 0, width }
    }

    /// Columns `first .. first + width` of these, or as many as there are.
    #[inline(always)]
    pub(crate) fn part(self, first: usize, width: usize) -> Self {
        let first = first.min(self.width);
        Self { first: self.first.saturating_add(first), width: width.min(self.width - first), ..self }
    }

    /// These columns of the row that starts at `start`: fewer where `x` ends before.
    #[inline(always)]
    pub(crate) fn row<T>(self, x: &[T], start: usize) -> &[T] {
        let x = x.get(start.saturating_add(self.first)..).unwrap_or_default();
        x.get(..self.width).unwrap_or(x)
    }

    /// These columns of the row that `x` is: fewer where it is short.
    #[inline(always)]
    fn of_row<T>(self, x: &mut [T]) -> &mut [T] {
        let x = x.get_mut(self.first..).unwrap_or_default();
        let width = self.width.min(x.len());
        x.get_mut(..width).unwrap_or_default()
    }

    /// These columns of the `G` rows from `start` on.
    #[inline(always)]
    pub(crate) fn rows<T, const N: usize, const G: usize>(
        self,
        x: [&[T]; N],
        start: usize,
    ) -> [[&[T]; N]; G] {
        let mut rows = [[&[][..]; N]; G];
        let mut start = start;
        for row in &mut rows {
            for (row, x) in row.iter_mut().zip(x) {
                *row = self.row(x, start);
            }
            start = start.saturating_add(self.pitch);
        }
        rows
    }

    /// These columns of the next `G` rows of `rest`, which begins with them; `None` where it ends before.
    #[inline(always)]
    pub(super) fn next_rows<'a, T, const G: usize>(self, rest: &mut &'a [T]) -> Option<[&'a [T]; G]> {
        // Nothing but this one comparison depends on where the rows are: the compiler looks at the others once.
        let len = self.pitch.checked_mul(G - 1)?.checked_add(self.width)?;
        let all = rest.get(..len)?;
        let mut rows = [&[][..]; G];
        for (r, row) in rows.iter_mut().enumerate() {
            *row = all.get(r * self.pitch..)?.get(..self.width)?;
        }
        *rest = rest.get(G * self.pitch..).unwrap_or_default();
        Some(rows)
    }

    /// Elements from one row to the one `n` rows on, not 0.
    #[inline(always)]
    pub(super) fn step(self, n: usize) -> usize {
        self.pitch.saturating_mul(n).max(1)
    }
}

/// `y = f(params, x, y)`, element by element: `params` has one value a column.
#[inline(always)]
pub(crate) fn map_columns<T: Element, S: Simd, const N: usize, const P: usize>(
    simd: S,
    columns: Columns,
    x: [&[T]; N],
    y: &mut [T],
    params: [&[T]; P],
    f: impl Fn([T::Lanes<S>; P], [T::Lanes<S>; N], T::Lanes<S>) -> T::Lanes<S>,
) {
    if columns.pitch == T::LANES && columns.width == T::LANES {
        // Rows are blocks that follow each other: what belongs to the columns stays in registers.
        let zero = T::Lanes::<S>::splat(simd, T::default());
        let mut of_columns = [zero; P];
        for (v, params) in of_columns.iter_mut().zip(params) {
            *v = load_last::<T, S>(simd, columns.row(params, 0));
        }
        map(
            simd,
            x,
            [y],
            #[inline(always)]
            |x, [y]| [f(of_columns, x, y)],
        );
        return;
    }
    let group = columns.step(MAP_ROWS);
    // With one parameter a column there is little to load again: one stream from input to output is faster
    // where rows are not very short.
    let several = (P > 1 || N == 0)
        && size_of_val(y) <= MOST_BYTES
        && apart(columns.pitch.saturating_mul(size_of::<T>()));
    let whole = if several { y.len() - y.len() % group } else { 0 };
    let Some((groups, rest)) = y.split_at_mut_checked(whole) else { return };
    let mut start = 0;
    for group in groups.chunks_exact_mut(group) {
        let mut rows = group.chunks_exact_mut(columns.step(1));
        let y = [(); MAP_ROWS].map(
            #[inline(always)]
            |()| columns.of_row(rows.next().unwrap_or_default()),
        );
        map_rows::<T, S, N, P, MAP_ROWS>(simd, columns.rows(x, start), y, params, &f);
        start = start.saturating_add(columns.step(MAP_ROWS));
    }
    for row in rest.chunks_mut(columns.step(1)) {
        map_rows::<T, S, N, P, 1>(simd, columns.rows(x, start), [columns.of_row(row)], params, &f);
        start = start.saturating_add(columns.pitch);
    }
}

/// [`map_columns`] of `G` rows of one length.
///
/// The last elements of a row go in a block of their own, which overlaps the one before it: its operands are loaded
/// first, so that `y` may be one of them.
#[inline(always)]
fn map_rows<T: Element, S: Simd, const N: usize, const P: usize, const G: usize>(
    simd: S,
    x: [[&[T]; N]; G],
    mut y: [&mut [T]; G],
    params: [&[T]; P],
    f: &impl Fn([T::Lanes<S>; P], [T::Lanes<S>; N], T::Lanes<S>) -> T::Lanes<S>,
) {
    let width = y.first().map_or(0, |y| y.len());
    // A short row has fewer columns than there are parameters.
    let params = params.map(
        #[inline(always)]
        |p| p.get(..width).unwrap_or_default(),
    );
    let zero = T::Lanes::<S>::splat(simd, T::default());
    let (mut last_params, mut last) = ([zero; P], [([zero; N], zero); G]);
    let ragged = !width.is_multiple_of(T::LANES);
    if ragged {
        for (v, p) in last_params.iter_mut().zip(params) {
            *v = load_last::<T, S>(simd, p);
        }
        for ((xs, old), (x, y)) in last.iter_mut().zip(x.iter().zip(&y)) {
            for (v, x) in xs.iter_mut().zip(x) {
                *v = load_last::<T, S>(simd, x);
            }
            *old = load_last::<T, S>(simd, y);
        }
    }
    map_blocks::<T, S, N, P, G>(simd, x.map(split), &mut y, split(params), f);
    if ragged {
        for ((xs, old), y) in last.into_iter().zip(&mut y) {
            store_last::<T, S>(f(last_params, xs, old), y);
        }
    }
}

/// [`map_rows`] of the whole blocks.
#[inline(always)]
fn map_blocks<T: Element, S: Simd, const N: usize, const P: usize, const G: usize>(
    simd: S,
    mut x: [Row<'_, T, N>; G],
    y: &mut [&mut [T]; G],
    mut params: Row<'_, T, P>,
    f: &impl Fn([T::Lanes<S>; P], [T::Lanes<S>; N], T::Lanes<S>) -> T::Lanes<S>,
) {
    let mut y = y.each_mut().map(
        #[inline(always)]
        |y| T::blocks_mut(y).0,
    );
    let blocks = y.first().map_or(0, |y| y.len());
    // Cut to one length that the optimiser knows, the loop needs no bounds checks.
    if !cut(&mut params, blocks) {
        return;
    }
    for x in &mut x {
        if !cut(x, blocks) {
            return;
        }
    }
    for y in &mut y {
        let Some(first) = core::mem::take(y).get_mut(..blocks) else { return };
        *y = first;
    }
    for i in 0..blocks {
        let Some(params) = load_blocks::<T, S, P>(simd, &params, i) else { return };
        for (x, y) in x.iter().zip(&mut y) {
            let (Some(x), Some(block)) = (load_blocks::<T, S, N>(simd, x, i), y.get_mut(i)) else { return };
            let old = T::Lanes::<S>::load(simd, block);
            f(params, x, old).store(block);
        }
    }
}

/// The last block of `x`: all of `x`, and 0 in the missing lanes, where it is shorter.
#[inline(always)]
pub(crate) fn load_last<T: Element, S: Simd>(simd: S, x: &[T]) -> T::Lanes<S> {
    let last = x.len().checked_sub(T::LANES).and_then(|start| x.get(start..));
    match last.map(T::blocks) {
        Some(([block], _)) => T::Lanes::<S>::load(simd, block),
        _ => T::Lanes::<S>::load_partial(simd, x),
    }
}

/// Writes what [`load_last`] reads.
#[inline(always)]
pub(crate) fn store_last<T: Element, S: Simd>(x: T::Lanes<S>, y: &mut [T]) {
    match y.len().checked_sub(T::LANES) {
        None => x.store_partial(y),
        Some(start) => {
            if let Some(last) = y.get_mut(start..)
                && let ([block], _) = T::blocks_mut(last)
            {
                x.store(block);
            }
        }
    }
}
