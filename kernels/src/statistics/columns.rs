//! Moments of columns: channels last.
//!
//! Each column's open block is a chain in the order of rows. Where channels are few, a number of rows that the channels alone fix count as
//! one, so that lanes are full: each channel has as many sets of moments, which are joined at last, halves onto halves.

use super::blocks::{Moments, Progress, close_block, part, results, widen_last};
use crate::Element;
use crate::simd::apply::map;
use crate::simd::column_sums::add_exactly;
use crate::simd::columns::{Columns, load_last, store_last};
use crate::simd::{Arithmetic, Simd};

/// Columns whose moments are taken at a time.
pub(super) const PANEL: usize = 256;
/// Channels from which on rows are wide enough by themselves.
const WIDE: usize = 32;
/// Columns that rows which count as one have, or some more.
const ENOUGH: usize = 128;
/// The most rows of a block.
const LINKS: usize = 64;
/// Rows that are summed at a time.
const ROWS: usize = 8;

/// Rows that count as one.
pub(super) const fn sets(channels: usize) -> usize {
    if channels == 0 || channels >= WIDE {
        return 1;
    }
    // Whole blocks of eight columns.
    let zeros = if channels.trailing_zeros() < 3 { channels.trailing_zeros() } else { 3 };
    let whole = 8 >> zeros;
    whole * ENOUGH.div_ceil(whole * channels)
}

/// Adds whole rows.
#[inline(always)]
fn add_whole<T: Element, S: Simd>(
    simd: S,
    columns: Columns,
    x: &[T],
    progress: &mut Progress,
    moments: &mut Moments<'_>,
) {
    let pitch = columns.pitch.max(1);
    let mut rest = x;
    if progress.closed == 0 && !x.is_empty() {
        first_row(simd, columns.row(x, 0), moments);
        progress.closed = 1;
        rest = rest.get(pitch..).unwrap_or_default();
    }
    while !rest.is_empty() {
        let most = progress.closed.min(LINKS as u64);
        let rows = usize::try_from(most.saturating_sub(progress.open)).unwrap_or(LINKS).max(1);
        let (run, others) = rest.split_at_checked(pitch.saturating_mul(rows)).unwrap_or((rest, &[]));
        rest = others;
        let [mean, .., sum, square] = &mut *moments;
        let group = pitch.saturating_mul(ROWS);
        let whole = run.len() - run.len() % group;
        for start in (0..whole).step_by(group) {
            add_rows::<T, S, ROWS>(simd, columns.rows([run], start), mean, [&mut **sum, &mut **square]);
        }
        for start in (whole..run.len()).step_by(pitch) {
            add_rows::<T, S, 1>(simd, columns.rows([run], start), mean, [&mut **sum, &mut **square]);
        }
        count_rows(simd, run.len() / pitch, progress, moments);
    }
}

/// Adds the channels from `first` on of rows, `sets` of which count as one.
#[inline(always)]
pub(super) fn add<T: Element, S: Simd>(
    simd: S,
    channels: usize,
    first: usize,
    x: &[T],
    progress: &mut Progress,
    moments: &mut Moments<'_>,
) {
    let width = (channels * sets(channels)).max(1);
    let begun = begun(channels, progress.rows);
    // What completes the row that is begun, whole rows, and what begins another.
    let head = if begun > 0 { (width - begun).min(x.len()) } else { 0 };
    let (head, x) = x.split_at_checked(head).unwrap_or_default();
    let (whole, tail) = x.split_at_checked(x.len() - x.len() % width).unwrap_or_default();
    if !head.is_empty() {
        add_part(simd, head, begun, progress, moments);
        if begun + head.len() == width {
            if progress.closed == 0 {
                progress.closed = 1;
            } else {
                count_rows(simd, 1, progress, moments);
            }
        }
    }
    add_whole(simd, Columns::all(width).part(first, PANEL), whole, progress, moments);
    if !tail.is_empty() {
        add_part(simd, tail, 0, progress, moments);
    }
}

/// Columns that have one value more than the others.
#[inline(always)]
fn begun(channels: usize, rows: u64) -> usize {
    let rows = rows % (sets(channels) as u64).max(1);
    usize::try_from(rows).unwrap_or(0) * channels
}

/// Adds a part of a row, to the columns from `first` on.
#[inline(always)]
fn add_part<T: Element, S: Simd>(
    simd: S,
    x: &[T],
    first: usize,
    progress: &Progress,
    moments: &mut Moments<'_>,
) {
    let mut moments = part(moments, first, x.len());
    if progress.closed == 0 {
        first_row(simd, x, &mut moments);
    } else {
        let [mean, .., sum, square] = moments;
        add_rows::<T, S, 1>(simd, [[x]], mean, [sum, square]);
    }
}

/// The first value of each column is the first mean.
#[inline(always)]
fn first_row<T: Element, S: Simd>(_: S, x: &[T], moments: &mut Moments<'_>) {
    let [mean, _, spread, ..] = moments;
    for ((mean, spread), x) in mean.iter_mut().zip(spread.iter_mut()).zip(x) {
        let x = x.to_f64();
        // Not 0 where it is infinite or NaN.
        (*mean, *spread) = (x, x * 0.0);
    }
}

/// Counts rows of the open block, and closes it where they fill it.
#[inline(always)]
fn count_rows<S: Simd>(simd: S, rows: usize, progress: &mut Progress, moments: &mut Moments<'_>) {
    if progress.add(rows, rows, LINKS) {
        close_block(simd, progress.closed, progress.open, moments.each_mut().map(|x| &mut **x));
        progress.close();
    }
}

/// Adds `G` rows to the open block, one after the other.
#[inline(always)]
fn add_rows<T: Element, S: Simd, const G: usize>(
    simd: S,
    rows: [[&[T]; 1]; G],
    mean: &[f64],
    [sum, square]: [&mut [f64]; 2],
) {
    let ragged = !mean.len().is_multiple_of(8);
    // The last elements go in a block of their own, which overlaps the one before it: what it comes to is kept until that is
    // done.
    let mut last = [S::F64::splat(simd, 0.0); 2];
    if ragged {
        last = [load_last::<f64, S>(simd, sum), load_last::<f64, S>(simd, square)];
        let mean = load_last::<f64, S>(simd, mean);
        for [row] in &rows {
            last = link::<S>(widen_last(simd, row) - mean, last);
        }
    }
    let (means, sums, squares) =
        (mean.as_chunks::<8>().0, sum.as_chunks_mut::<8>().0, square.as_chunks_mut::<8>().0);
    let blocks = sums.len();
    // Cut to one length that the optimiser knows, the loop needs no bounds checks.
    let Some(means) = means.get(..blocks) else { return };
    let mut bodies = [&[][..]; G];
    for (body, [row]) in bodies.iter_mut().zip(&rows) {
        let Some(eights) = row.as_chunks::<8>().0.get(..blocks) else { return };
        *body = eights;
    }
    for (i, (sum, square)) in sums.iter_mut().zip(squares).enumerate() {
        let Some(mean) = means.get(i) else { return };
        let mean = S::F64::load(simd, mean);
        let mut sums = [S::F64::load(simd, sum), S::F64::load(simd, square)];
        for body in &bodies {
            let Some(x) = body.get(i) else { return };
            sums = link::<S>(T::widen(simd, x) - mean, sums);
        }
        let [s, q] = sums;
        s.store(sum);
        q.store(square);
    }
    if ragged {
        let [s, q] = last;
        store_last::<f64, S>(s, sum);
        store_last::<f64, S>(q, square);
    }
}

#[inline(always)]
fn link<S: Simd>(d: S::F64, [sum, square]: [S::F64; 2]) -> [S::F64; 2] {
    [sum + d, d.mul_add(d, square)]
}

/// The results; the moments are overwritten. `channels` are those of a row.
#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 values")]
pub(super) fn finish<T: Element, S: Simd>(
    simd: S,
    channels: usize,
    progress: Progress,
    moments: &mut Moments<'_>,
    results_of: [&mut [T]; 2],
) {
    let begun = begun(channels, progress.rows);
    let Progress { closed, open, .. } = progress;
    if closed > 0 {
        if begun > 0 {
            close_block(simd, closed, open + 1, part(moments, 0, begun));
        }
        if open > 0 {
            close_block(simd, closed, open, part(moments, begun, PANEL));
        }
    }
    let mut left = sets(channels);
    if left > 1 {
        let mut counts = [0.0; PANEL];
        for (i, n) in counts.iter_mut().enumerate() {
            *n = (closed + open + u64::from(i < begun)) as f64;
        }
        // Halves onto halves: what has no values comes last.
        while left > 1 {
            let half = left / 2;
            join(simd, (left - half) * channels, half * channels, &mut counts, moments);
            left -= half;
        }
    }
    results(simd, progress.rows as f64, part(moments, 0, channels), results_of);
}

/// Joins the moments of `width` columns from `at` on to those of the first, `counts` values each.
#[inline(always)]
fn join<S: Simd>(
    simd: S,
    at: usize,
    width: usize,
    counts: &mut [f64],
    [mean, low, spread, spread_low, ..]: &mut Moments<'_>,
) {
    let mut first: [&mut [f64]; 5] = [&mut [], &mut [], &mut [], &mut [], &mut []];
    let mut second: [&[f64]; 5] = [&[]; 5];
    for ((first, second), x) in first.iter_mut().zip(&mut second).zip([counts, mean, low, spread, spread_low])
    {
        let Some((x, y)) = x.split_at_mut_checked(at) else { return };
        let (Some(x), Some(y)) = (x.get_mut(..width), y.get(..width)) else { return };
        (*first, *second) = (x, y);
    }
    let zero = S::F64::splat(simd, 0.0);
    map::<f64, S, 5, 5>(
        simd,
        second,
        first,
        #[inline(always)]
        |[n, mean, low, spread, spread_low], [of_n, of_mean, of_low, of_spread, of_spread_low]| {
            let all = of_n + n;
            let share = S::F64::select(zero.lt(n), n / all, zero);
            let delta = (mean - of_mean) + (low - of_low);
            let [of_mean, of_low] = add_exactly::<f64, S>(delta.mul_add(share, of_low), [of_mean, zero]);
            let term = (delta * (of_n * share)).mul_add(delta, spread + spread_low);
            let [of_spread, of_spread_low] = add_exactly::<f64, S>(term, [of_spread, of_spread_low]);
            [all, of_mean, of_low, of_spread, of_spread_low]
        },
    );
}
