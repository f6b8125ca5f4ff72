//! How the micro-kernel reads A: a packed panel, or rows as they lie.

use super::pack::Operand;
use crate::Element;

/// `MR` rows of A, read column by column.
pub(super) trait Left<T, const MR: usize> {
    /// Column `p`; `None` past the last.
    fn column(&self, p: usize) -> Option<[T; MR]>;
}

/// A panel of columns packed one after another.
#[derive(Clone, Copy)]
pub(super) struct Packed<'a, T, const MR: usize>(pub(super) &'a [[T; MR]]);

impl<T: Element, const MR: usize> Left<T, MR> for Packed<'_, T, MR> {
    #[inline(always)]
    fn column(&self, p: usize) -> Option<[T; MR]> {
        self.0.get(p).copied()
    }
}

/// Rows with contiguous elements, without packing.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a, T, const MR: usize>([&'a [T]; MR]);

impl<'a, T: Element, const MR: usize> Rows<'a, T, MR> {
    /// Rows `i..` of an `a` of `m` rows, `kc` columns from `p` on. Past the last row it is repeated: what comes of it is
    /// dropped.
    #[inline(always)]
    pub(super) fn new(a: &Operand<'a, T>, p: usize, kc: usize, i: usize, m: usize) -> Option<Self> {
        let mut rows: [&[T]; MR] = [&[]; MR];
        // Loops that may end early are unrolled up to 8 rounds, no further.
        let (fours, rest) = rows.as_chunks_mut::<4>();
        for (f, rows) in fours.iter_mut().enumerate() {
            for (r, row) in rows.iter_mut().enumerate() {
                *row = line(a, p, kc, (i + 4 * f + r).min(m - 1))?;
            }
        }
        for (r, row) in rest.iter_mut().enumerate() {
            *row = line(a, p, kc, (i + MR / 4 * 4 + r).min(m - 1))?;
        }
        Some(Self(rows))
    }
}

impl<T: Element, const MR: usize> Left<T, MR> for Rows<'_, T, MR> {
    #[inline(always)]
    fn column(&self, p: usize) -> Option<[T; MR]> {
        let mut column = [T::default(); MR];
        // Rows are equally long, which the compiler sees: one check is left of all.
        let (fours, rest) = column.as_chunks_mut::<4>();
        let (four_rows, rest_rows) = self.0.as_chunks::<4>();
        for (column, rows) in fours.iter_mut().zip(four_rows) {
            for (to, row) in column.iter_mut().zip(rows) {
                *to = *row.get(p)?;
            }
        }
        for (to, row) in rest.iter_mut().zip(rest_rows) {
            *to = *row.get(p)?;
        }
        Some(column)
    }
}

/// Elements `p..p + kc` of row `i`.
#[inline(always)]
fn line<'a, T>(a: &Operand<'a, T>, p: usize, kc: usize, i: usize) -> Option<&'a [T]> {
    a.data.get(i * a.width_stride + p..)?.get(..kc)
}
