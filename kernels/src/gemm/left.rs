//! How the micro-kernel reads A: a packed panel, or rows as they lie.

use core::slice;

use super::pack::Operand;
use crate::Element;

/// Steps of k that the micro-kernel unrolls.
pub(super) const UNROLL: usize = 4;

/// `MR` rows of A, read column by column.
pub(super) trait Left<T, const MR: usize> {
    /// The next `UNROLL` columns; `None` where fewer are left.
    fn next_chunk(&mut self) -> Option<[[T; MR]; UNROLL]>;
    /// The next of the last columns, fewer than `UNROLL`.
    fn next_last(&mut self) -> Option<[T; MR]>;
}

/// A panel of columns packed one after another.
pub(super) struct Packed<'a, T, const MR: usize> {
    chunks: slice::Iter<'a, [[T; MR]; UNROLL]>,
    last: slice::Iter<'a, [T; MR]>,
}

impl<'a, T, const MR: usize> Packed<'a, T, MR> {
    #[inline(always)]
    pub(super) fn new(panel: &'a [[T; MR]]) -> Self {
        let (chunks, last) = panel.as_chunks();
        Self { chunks: chunks.iter(), last: last.iter() }
    }
}

impl<T: Element, const MR: usize> Left<T, MR> for Packed<'_, T, MR> {
    #[inline(always)]
    fn next_chunk(&mut self) -> Option<[[T; MR]; UNROLL]> {
        self.chunks.next().copied()
    }
    #[inline(always)]
    fn next_last(&mut self) -> Option<[T; MR]> {
        self.last.next().copied()
    }
}

/// Rows with contiguous elements, without packing.
pub(super) struct Rows<'a, T, const MR: usize> {
    chunks: [&'a [[T; UNROLL]]; MR],
    last: [&'a [T]; MR],
}

impl<'a, T: Element, const MR: usize> Rows<'a, T, MR> {
    /// Rows `i..` of an `a` of `m` rows, `kc` columns from `p` on. Past the last row it is repeated: what comes of it is
    /// dropped.
    #[inline(always)]
    pub(super) fn new(a: &Operand<'a, T>, p: usize, kc: usize, i: usize, m: usize) -> Option<Self> {
        let mut rows = Self { chunks: [&[]; MR], last: [&[]; MR] };
        for (r, (chunks, last)) in rows.chunks.iter_mut().zip(&mut rows.last).enumerate() {
            let first = (i + r).min(m - 1) * a.width_stride + p;
            (*chunks, *last) = a.data.get(first..first + kc)?.as_chunks();
        }
        Some(rows)
    }
}

impl<T: Element, const MR: usize> Left<T, MR> for Rows<'_, T, MR> {
    #[inline(always)]
    fn next_chunk(&mut self) -> Option<[[T; MR]; UNROLL]> {
        let mut columns = [[T::default(); MR]; UNROLL];
        for (r, row) in self.chunks.iter_mut().enumerate() {
            let (chunk, rest) = row.split_first()?;
            *row = rest;
            for (column, x) in columns.iter_mut().zip(chunk) {
                if let Some(to) = column.get_mut(r) {
                    *to = *x;
                }
            }
        }
        Some(columns)
    }
    #[inline(always)]
    fn next_last(&mut self) -> Option<[T; MR]> {
        let mut column = [T::default(); MR];
        for (to, row) in column.iter_mut().zip(&mut self.last) {
            let (x, rest) = row.split_first()?;
            *row = rest;
            *to = *x;
        }
        Some(column)
    }
}
