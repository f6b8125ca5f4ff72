//! Sums down the columns of a matrix whose columns are channels.
//!
//! Several rows are taken at a time, so that parameters and sums are loaded once for all of them.

use super::apply::{Outputs, cut, cut_mut, empty, load_blocks, load_tails, map, none, split};
use super::columns::{Columns, load_last, store_last};
use super::{Arithmetic, Lanes, Simd};
use crate::Element;

/// Rows that are summed at a time.
const SUM_ROWS: usize = 4;
/// Groups of rows in a chain of sums.
pub(crate) const CHAIN: usize = 64;
/// Columns whose sums are taken at a time where there is more than one chain.
const WIDTH: usize = 256;

/// For each column, `[sum a, sum a * b]` over its values, `(a, b) = terms(x, params)`, or the last of these alone: `params` has one
/// value a column.
///
/// In a fixed order: rows by fours, each a tree; 64 such groups a chain, rows left over at its end; the chains of
/// 256 rows in a compensated sum, so that the error does not grow with the number of rows. A value goes through at
/// most 71 roundings, a product through 72.
#[inline(always)]
pub(crate) fn sum_columns<T: Element, S: Simd, const N: usize, const P: usize, const K: usize>(
    simd: S,
    columns: Columns,
    x: [&[T]; N],
    params: [&[T]; P],
    sums: [&mut [T]; K],
    terms: impl Fn([T::Lanes<S>; N], [T::Lanes<S>; P]) -> [T::Lanes<S>; 2],
) {
    let len = x.first().map_or(0, |x| x.len());
    let chain = columns.step(SUM_ROWS * CHAIN);
    let mut more = None;
    let mut rest = sums;
    let most = if len > chain { WIDTH } else { columns.width.max(1) };
    // Not chunks: their count is a division, which the compiler keeps with its panic.
    let mut first = 0;
    while rest.first().is_some_and(|x| !x.is_empty()) {
        let mut sums = none::<T, K>();
        for (sums, rest) in sums.iter_mut().zip(&mut rest) {
            let all = core::mem::take(rest);
            (*sums, *rest) = all.split_at_mut_checked(most.min(all.len())).unwrap_or_default();
        }
        let width = sums.first().map_or(0, |x| x.len());
        let (columns, end) = (columns.part(first, most), first.saturating_add(width));
        let params = params.map(
            #[inline(always)]
            |p| p.get(first..end).unwrap_or_default(),
        );
        first = end;
        let mut start = 0;
        loop {
            let x = x.map(
                #[inline(always)]
                |x| {
                    let x = x.get(start..).unwrap_or_default();
                    x.get(..chain).unwrap_or(x)
                },
            );
            // The first chain is the sum so far.
            let mut to = none::<T, K>();
            if start > 0 {
                let [next, _] = more.get_or_insert([[[T::default(); WIDTH]; K]; 2]);
                for (to, next) in to.iter_mut().zip(next) {
                    *to = next.get_mut(..width).unwrap_or_default();
                }
            } else {
                for (to, sums) in to.iter_mut().zip(&mut sums) {
                    *to = sums;
                }
            }
            sum_chain(simd, columns, x, params, to, &terms);
            if start > 0
                && let Some([next, low]) = &mut more
            {
                for ((next, low), sums) in next.iter().zip(low).zip(&mut sums) {
                    map(
                        simd,
                        [next.get(..width).unwrap_or_default()],
                        [&mut **sums, low.get_mut(..width).unwrap_or_default()],
                        #[inline(always)]
                        |[next], y| add_exactly::<T, S>(next, y),
                    );
                }
            }
            start = start.saturating_add(chain);
            if start >= len {
                break;
            }
        }
        if let Some([_, low]) = &mut more {
            for (low, sums) in low.iter_mut().zip(sums) {
                let low = low.get_mut(..width).unwrap_or_default();
                map(
                    simd,
                    [&*low],
                    [sums],
                    #[inline(always)]
                    |[low], [sum]| [sum + low],
                );
                low.fill(T::default());
            }
        }
    }
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
///
/// A few rows at a time go along all the columns, their sums in memory. What is no more than a block of columns goes down all the rows,
/// its sums and parameters in registers.
#[inline(always)]
fn sum_chain<T: Element, S: Simd, const N: usize, const P: usize, const K: usize>(
    simd: S,
    columns: Columns,
    x: [&[T]; N],
    params: [&[T]; P],
    mut sums: [&mut [T]; K],
    terms: &impl Fn([T::Lanes<S>; N], [T::Lanes<S>; P]) -> [T::Lanes<S>; 2],
) {
    for sums in &mut sums {
        sums.fill(T::default());
    }
    let len = x.first().map_or(0, |x| x.len());
    let group = columns.step(SUM_ROWS);
    let whole = len - len % group;
    let along = if columns.width <= T::LANES { 0 } else { columns.width - columns.width % T::LANES };
    if along > 0 {
        for start in (0..whole).step_by(group) {
            let rows = columns.part(0, along).rows(x, start);
            sum_rows::<T, S, N, P, K, SUM_ROWS>(simd, rows, params, &mut sums, terms);
        }
    }
    if along < columns.width {
        // The last block may begin among the columns of the one before: it finds the same.
        let at = columns.width.saturating_sub(T::LANES);
        sum_down::<T, S, N, P, K>(simd, columns, at, x, whole, params, &mut sums, terms);
    }
    for start in (whole..len).step_by(columns.step(1)) {
        sum_rows::<T, S, N, P, K, 1>(simd, columns.rows(x, start), params, &mut sums, terms);
    }
}

/// The sums of the columns from `at` on, at most a block of them, over the rows of the first `len` elements, by fours.
#[inline(always)]
fn sum_down<T: Element, S: Simd, const N: usize, const P: usize, const K: usize>(
    simd: S,
    columns: Columns,
    at: usize,
    x: [&[T]; N],
    len: usize,
    params: [&[T]; P],
    sums: &mut [&mut [T]; K],
    terms: &impl Fn([T::Lanes<S>; N], [T::Lanes<S>; P]) -> [T::Lanes<S>; 2],
) {
    let columns = columns.part(at, T::LANES);
    let zero = T::Lanes::<S>::splat(simd, T::default());
    let mut of_columns = [zero; P];
    for (v, params) in of_columns.iter_mut().zip(params) {
        *v = load_last::<T, S>(simd, params.get(at..at + columns.width).unwrap_or_default());
    }
    let mut total = [zero; K];
    let mut rest = [&[][..]; N];
    for (rest, x) in rest.iter_mut().zip(x) {
        *rest = x.get(columns.first..len).unwrap_or_default();
    }
    'rows: loop {
        let mut xs = [[zero; N]; SUM_ROWS];
        for (i, rest) in rest.iter_mut().enumerate() {
            let Some(rows) = columns.next_rows::<T, SUM_ROWS>(rest) else { break 'rows };
            for (xs, row) in xs.iter_mut().zip(rows) {
                let Some(x) = xs.get_mut(i) else { break 'rows };
                *x = load_last::<T, S>(simd, row);
            }
        }
        let block = sum_block::<T, S, N, P, SUM_ROWS>(simd, xs, of_columns, terms);
        for (sum, of_block) in total.iter_mut().rev().zip(block.into_iter().rev()) {
            *sum = *sum + of_block;
        }
    }
    for (total, sums) in total.into_iter().zip(sums) {
        store_last::<T, S>(total, sums.get_mut(at..at + columns.width).unwrap_or_default());
    }
}

/// Adds `G` rows of one length to the sums.
#[inline(always)]
fn sum_rows<T: Element, S: Simd, const N: usize, const P: usize, const K: usize, const G: usize>(
    simd: S,
    rows: [[&[T]; N]; G],
    params: [&[T]; P],
    sums: &mut [&mut [T]; K],
    terms: &impl Fn([T::Lanes<S>; N], [T::Lanes<S>; P]) -> [T::Lanes<S>; 2],
) {
    let width = rows.first().and_then(|row| row.first()).map_or(0, |x| x.len());
    // A short row has fewer columns than there are sums.
    let params = params.map(
        #[inline(always)]
        |p| p.get(..width).unwrap_or_default(),
    );
    let mut params = split(params);
    let mut rows = rows.map(split);
    let blocks = width / T::LANES;
    let mut parts: Outputs<'_, T, K> = [const { (empty(), empty()) }; K];
    for (part, sums) in parts.iter_mut().zip(sums) {
        *part = T::blocks_mut(sums.get_mut(..width).unwrap_or_default());
    }
    // Cut to one length that the optimiser knows, the loop needs no bounds checks.
    if !cut(&mut params, blocks) || !cut_mut(&mut parts, blocks) {
        return;
    }
    for row in &mut rows {
        if !cut(row, blocks) {
            return;
        }
    }
    let zero = T::Lanes::<S>::splat(simd, T::default());
    for i in 0..blocks {
        let Some(params) = load_blocks::<T, S, P>(simd, &params, i) else { return };
        let mut xs = [[zero; N]; G];
        for (xs, row) in xs.iter_mut().zip(&rows) {
            let Some(blocks) = load_blocks::<T, S, N>(simd, row, i) else { return };
            *xs = blocks;
        }
        let block = sum_block::<T, S, N, P, G>(simd, xs, params, terms);
        for ((sums, _), of_block) in parts.iter_mut().rev().zip(block.into_iter().rev()) {
            let Some(sum) = sums.get_mut(i) else { return };
            (T::Lanes::<S>::load(simd, sum) + of_block).store(sum);
        }
    }
    // `sum_down` sees to the tails of four rows.
    if G == 1
        && !width.is_multiple_of(T::LANES)
        && let [row] = rows.as_slice()
    {
        let params = load_tails::<T, S, P>(simd, &params);
        let mut xs = [[zero; N]; G];
        for xs in &mut xs {
            *xs = load_tails::<T, S, N>(simd, row);
        }
        let block = sum_block::<T, S, N, P, G>(simd, xs, params, terms);
        for ((_, tail), of_block) in parts.into_iter().rev().zip(block.into_iter().rev()) {
            (T::Lanes::<S>::load_partial(simd, tail) + of_block).store_partial(tail);
        }
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
