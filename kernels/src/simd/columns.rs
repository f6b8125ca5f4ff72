//! Sums and maps over the rows of a matrix whose columns are channels.
//!
//! Lanes run along the columns, so that a column's bits do not depend on its neighbours. Several rows are taken at a
//! time: parameters and sums are loaded once for all of them.

use super::apply::{cut, load_blocks, load_tails, map, split};
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

/// Rows that are summed at a time.
const SUM_ROWS: usize = 4;
/// Rows that are mapped at a time where that pays: more streams to write would crowd each other out of the cache.
const MAP_ROWS: usize = 2;
/// Groups of rows in a chain of sums.
pub(crate) const CHAIN: usize = 64;
/// Columns whose sums are taken at a time where there is more than one chain.
pub(crate) const WIDTH: usize = 256;

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

    /// Elements from one row to the one `n` rows on, not 0.
    #[inline(always)]
    fn step(self, n: usize) -> usize {
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
        let params = load_blocks::<T, S, P>(simd, &params, i);
        for (x, y) in x.iter().zip(&mut y) {
            let Some(block) = y.get_mut(i) else { return };
            let old = T::Lanes::<S>::load(simd, block);
            f(params, load_blocks::<T, S, N>(simd, x, i), old).store(block);
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

/// For each column, `[sum a, sum a * b]` over its values, `(a, b) = terms(x, params)`: `params` has
/// one value a column.
///
/// In a fixed order: rows by fours, each a tree; 64 such groups a chain, rows left over at its end; the chains of
/// 256 rows in a compensated sum, so that the error does not grow with the number of rows. A value goes through at
/// most 71 roundings, a product through 72.
#[inline(always)]
pub(crate) fn sum_columns<T: Element, S: Simd, const N: usize, const P: usize>(
    simd: S,
    columns: Columns,
    x: [&[T]; N],
    params: [&[T]; P],
    [sums, products]: [&mut [T]; 2],
    terms: impl Fn([T::Lanes<S>; N], [T::Lanes<S>; P]) -> [T::Lanes<S>; 2],
) {
    let len = x.first().map_or(0, |x| x.len());
    let chain = columns.step(SUM_ROWS * CHAIN);
    if len <= chain {
        sum_chain(simd, columns, x, params, [sums, products], &terms);
        return;
    }
    let (mut first, count) = (0, sums.len());
    while first < count {
        let columns = columns.part(first, WIDTH);
        let end = count.min(first + WIDTH);
        // Not chunks: their count is a division, which the compiler keeps with its panic.
        let (Some(sums), Some(products)) = (sums.get_mut(first..end), products.get_mut(first..end)) else {
            return;
        };
        let params = params.map(
            #[inline(always)]
            |p| p.get(first..end).unwrap_or_default(),
        );
        first = end;
        sums.fill(T::default());
        products.fill(T::default());
        let mut low = [[T::default(); WIDTH]; 2];
        let mut next = [[T::default(); WIDTH]; 2];
        let (Some([low_sums, low_products]), Some([next_sums, next_products])) =
            (first_of(&mut low, sums.len()), first_of(&mut next, sums.len()))
        else {
            return;
        };
        let mut start = 0;
        while start < len {
            let x = x.map(
                #[inline(always)]
                |x| {
                    let x = x.get(start..).unwrap_or_default();
                    x.get(..chain).unwrap_or(x)
                },
            );
            sum_chain(simd, columns, x, params, [&mut *next_sums, &mut *next_products], &terms);
            for (next, y) in [
                (&*next_sums, [&mut *sums, &mut *low_sums]),
                (&*next_products, [&mut *products, &mut *low_products]),
            ] {
                map(
                    simd,
                    [next],
                    y,
                    #[inline(always)]
                    |[next], y| add_exactly::<T, S>(next, y),
                );
            }
            start = start.saturating_add(chain);
        }
        for (low, sum) in [(low_sums, sums), (low_products, products)] {
            map(
                simd,
                [low],
                [sum],
                #[inline(always)]
                |[low], [sum]| [sum + low],
            );
        }
    }
}

/// The first `n` of each.
#[inline(always)]
fn first_of<T>([a, b]: &mut [[T; WIDTH]; 2], n: usize) -> Option<[&mut [T]; 2]> {
    Some([a.get_mut(..n)?, b.get_mut(..n)?])
}

/// Knuth's exact addition: `sum + x`, with what its rounding loses added to `low`.
#[inline(always)]
pub(crate) fn add_exactly<T: Element, S: Simd>(
    x: T::Lanes<S>,
    [sum, low]: [T::Lanes<S>; 2],
) -> [T::Lanes<S>; 2] {
    let next = sum + x;
    let of_x = next - sum;
    let lost = (sum - (next - of_x)) + (x - of_x);
    [next, low + lost]
}

/// [`sum_columns`] of one chain.
#[inline(always)]
fn sum_chain<T: Element, S: Simd, const N: usize, const P: usize>(
    simd: S,
    columns: Columns,
    x: [&[T]; N],
    params: [&[T]; P],
    [sums, products]: [&mut [T]; 2],
    terms: &impl Fn([T::Lanes<S>; N], [T::Lanes<S>; P]) -> [T::Lanes<S>; 2],
) {
    sums.fill(T::default());
    products.fill(T::default());
    let len = x.first().map_or(0, |x| x.len());
    let group = columns.step(SUM_ROWS);
    let whole = len - len % group;
    // Whole blocks of columns, their sums in memory.
    let tail = columns.width % T::LANES;
    let body = columns.part(0, columns.width - tail);
    for start in (0..whole).step_by(group) {
        let sums = [&mut *sums, &mut *products];
        sum_rows::<T, S, N, P, SUM_ROWS>(simd, body.rows(x, start), params, sums, terms);
    }
    for start in (whole..len).step_by(columns.step(1)) {
        sum_rows::<T, S, N, P, 1>(simd, body.rows(x, start), params, [&mut *sums, &mut *products], terms);
    }
    // The columns left over, their sums in registers.
    if tail > 0 {
        let columns = columns.part(body.width, tail);
        let zero = T::Lanes::<S>::splat(simd, T::default());
        let mut last_params = [zero; P];
        for (v, p) in last_params.iter_mut().zip(params) {
            *v = T::Lanes::<S>::load_partial(simd, p.get(body.width..).unwrap_or_default());
        }
        let (mut sum, mut product) = (zero, zero);
        for start in (0..whole).step_by(group) {
            let rows = columns.rows::<T, N, SUM_ROWS>(x, start);
            let rows = load_partials(simd, rows);
            let [s, p] = sum_block::<T, S, N, P, SUM_ROWS>(simd, rows, last_params, terms);
            (sum, product) = (sum + s, product + p);
        }
        for start in (whole..len).step_by(columns.step(1)) {
            let rows = columns.rows::<T, N, 1>(x, start);
            let [s, p] = sum_block::<T, S, N, P, 1>(simd, load_partials(simd, rows), last_params, terms);
            (sum, product) = (sum + s, product + p);
        }
        sum.store_partial(sums.get_mut(body.width..).unwrap_or_default());
        product.store_partial(products.get_mut(body.width..).unwrap_or_default());
    }
}

/// The first lanes of each row.
#[inline(always)]
fn load_partials<T: Element, S: Simd, const N: usize, const G: usize>(
    simd: S,
    rows: [[&[T]; N]; G],
) -> [[T::Lanes<S>; N]; G] {
    let mut lanes = [[T::Lanes::<S>::splat(simd, T::default()); N]; G];
    for (lanes, row) in lanes.iter_mut().zip(rows) {
        for (lanes, x) in lanes.iter_mut().zip(row) {
            *lanes = T::Lanes::<S>::load_partial(simd, x);
        }
    }
    lanes
}

/// Adds `G` rows of one length to the sums.
#[inline(always)]
fn sum_rows<T: Element, S: Simd, const N: usize, const P: usize, const G: usize>(
    simd: S,
    rows: [[&[T]; N]; G],
    params: [&[T]; P],
    [sum, product]: [&mut [T]; 2],
    terms: &impl Fn([T::Lanes<S>; N], [T::Lanes<S>; P]) -> [T::Lanes<S>; 2],
) {
    let width = rows.first().and_then(|row| row.first()).map_or(0, |x| x.len());
    // A short row has fewer columns than there are sums.
    let (Some(sum), Some(product)) = (sum.get_mut(..width), product.get_mut(..width)) else { return };
    let params = params.map(
        #[inline(always)]
        |p| p.get(..width).unwrap_or_default(),
    );
    let (mut params, (sums, sum_tail), (products, product_tail)) =
        (split(params), T::blocks_mut(sum), T::blocks_mut(product));
    let mut rows = rows.map(split);
    let blocks = sums.len();
    // Cut to one length that the optimiser knows, the loop needs no bounds checks.
    if !cut(&mut params, blocks) {
        return;
    }
    for row in &mut rows {
        if !cut(row, blocks) {
            return;
        }
    }
    let zero = T::Lanes::<S>::splat(simd, T::default());
    for (i, (sum, product)) in sums.iter_mut().zip(products).enumerate() {
        let params = load_blocks::<T, S, P>(simd, &params, i);
        let mut xs = [[zero; N]; G];
        for (xs, row) in xs.iter_mut().zip(&rows) {
            *xs = load_blocks::<T, S, N>(simd, row, i);
        }
        let [s, p] = sum_block::<T, S, N, P, G>(simd, xs, params, terms);
        (T::Lanes::<S>::load(simd, sum) + s).store(sum);
        (T::Lanes::<S>::load(simd, product) + p).store(product);
    }
    // Only a short row has a tail here: `sum_chain` sees to the others.
    if G == 1
        && !sum_tail.is_empty()
        && let [row] = rows.as_slice()
    {
        let params = load_tails::<T, S, P>(simd, &params);
        let mut xs = [[zero; N]; G];
        for xs in &mut xs {
            *xs = load_tails::<T, S, N>(simd, row);
        }
        let [s, p] = sum_block::<T, S, N, P, G>(simd, xs, params, terms);
        (T::Lanes::<S>::load_partial(simd, sum_tail) + s).store_partial(sum_tail);
        (T::Lanes::<S>::load_partial(simd, product_tail) + p).store_partial(product_tail);
    }
}

/// `[sum a, sum a * b]` of one block or of four: a tree of sums, a chain of products.
#[inline(always)]
pub(crate) fn sum_block<T: Element, S: Simd, const N: usize, const P: usize, const G: usize>(
    simd: S,
    x: [[T::Lanes<S>; N]; G],
    params: [T::Lanes<S>; P],
    terms: &impl Fn([T::Lanes<S>; N], [T::Lanes<S>; P]) -> [T::Lanes<S>; 2],
) -> [T::Lanes<S>; 2] {
    match x.as_slice() {
        [x] => {
            let [a, b] = terms(*x, params);
            [a, a * b]
        }
        [x0, x1, x2, x3] => {
            let [a, b] = terms(*x0, params);
            let [c, d] = terms(*x1, params);
            let [e, f] = terms(*x2, params);
            let [g, h] = terms(*x3, params);
            [(a + c) + (e + g), g.mul_add(h, e.mul_add(f, c.mul_add(d, a * b)))]
        }
        _ => [T::Lanes::<S>::splat(simd, T::default()); 2],
    }
}
