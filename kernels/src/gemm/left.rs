//! How the micro-kernel reads A: packed panels, or rows as they lie.

use super::pack::Operand;
use crate::Element;

/// A block of A.
pub(super) trait Source<T> {
    /// Whether rows past the last must not be asked for.
    const EXACT: bool = false;
    /// Whether tiles of any height may begin at any row.
    const ANY_ROW: bool = true;

    /// `kc` steps of `H` rows from row `i` of A on. Past the last row they hold anything: what comes of it is dropped.
    fn rows<const H: usize>(&self, i: usize, kc: usize) -> Option<impl Left<T, H>>;
}

/// `H` rows of A, read column by column.
pub(super) trait Left<T, const H: usize> {
    /// The first `steps` columns: of slices cut to one length that the compiler can see, nothing is checked in the loop.
    fn cut(&self, steps: usize) -> Option<Self>
    where
        Self: Sized;
    /// Column `p`; `None` past the last.
    fn column(&self, p: usize) -> Option<[T; H]>;
    /// The `index`th `STEPS` columns, each to be had by its number; `None` past the last so many.
    fn columns<const STEPS: usize>(&self, index: usize) -> Option<impl Fn(usize) -> Option<[T; H]>>;
}

/// Panels of `MR` rows, each packed column by column, from row `first` of A on.
#[derive(Clone, Copy)]
pub(super) struct Panels<'a, T, const MR: usize> {
    pub(super) panels: &'a [[T; MR]],
    pub(super) first: usize,
}

impl<T: Element, const MR: usize> Source<T> for Panels<'_, T, MR> {
    const ANY_ROW: bool = false;

    #[inline(always)]
    fn rows<const H: usize>(&self, i: usize, kc: usize) -> Option<impl Left<T, H>> {
        let panel = (i - self.first) / MR * kc;
        self.panels.get(panel..)?.get(..kc)
    }
}

impl<T: Element, const MR: usize, const H: usize> Left<T, H> for &[[T; MR]] {
    #[inline(always)]
    fn cut(&self, steps: usize) -> Option<Self> {
        self.get(..steps)
    }

    #[inline(always)]
    fn column(&self, p: usize) -> Option<[T; H]> {
        self.get(p)?.first_chunk().copied()
    }

    #[inline(always)]
    fn columns<const STEPS: usize>(&self, index: usize) -> Option<impl Fn(usize) -> Option<[T; H]>> {
        let steps = self.as_chunks::<STEPS>().0.get(index)?;
        Some(
            #[inline(always)]
            |step: usize| steps.get(step)?.first_chunk().copied(),
        )
    }
}

/// Contiguous rows, without packing: columns from `p` on, to row `last`.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a, T> {
    pub(super) operand: &'a Operand<'a, T>,
    pub(super) p: usize,
    pub(super) last: usize,
}

impl<T: Element> Source<T> for Rows<'_, T> {
    #[inline(always)]
    fn rows<const H: usize>(&self, i: usize, kc: usize) -> Option<impl Left<T, H>> {
        self.lines(i, kc)
    }
}

impl<'a, T> Rows<'a, T> {
    /// Rows from `i` on, the last one again where there are fewer.
    #[inline(always)]
    pub(super) fn lines<const H: usize>(&self, i: usize, kc: usize) -> Option<[&'a [T]; H]> {
        let mut rows: [&[T]; H] = [&[]; H];
        if i + H <= self.last + 1 {
            // From row to row: fewer instructions than to find each.
            let stride = self.operand.width_stride;
            let mut rest = self.operand.data.get(i * stride + self.p..)?;
            for (r, row) in rows.iter_mut().enumerate() {
                *row = rest.get(..kc)?;
                if r + 1 < H {
                    rest = rest.get(stride..)?;
                }
            }
            return Some(rows);
        }
        // Loops that may end early are unrolled up to 8 rounds, no further.
        let (fours, rest) = rows.as_chunks_mut::<4>();
        for (f, rows) in fours.iter_mut().enumerate() {
            for (r, row) in rows.iter_mut().enumerate() {
                *row = self.row(i + 4 * f + r, kc)?;
            }
        }
        for (r, row) in rest.iter_mut().enumerate() {
            *row = self.row(i + H / 4 * 4 + r, kc)?;
        }
        Some(rows)
    }

    /// Row `i`, or the last one where there are fewer.
    #[inline(always)]
    fn row(&self, i: usize, kc: usize) -> Option<&'a [T]> {
        let first = i.min(self.last) * self.operand.width_stride + self.p;
        self.operand.data.get(first..)?.get(..kc)
    }
}

impl<T: Element, const H: usize> Left<T, H> for [&[T]; H] {
    #[inline(always)]
    fn cut(&self, steps: usize) -> Option<Self> {
        let mut rows = *self;
        let (fours, rest) = rows.as_chunks_mut::<4>();
        for rows in fours {
            for row in rows {
                *row = row.get(..steps)?;
            }
        }
        for row in rest {
            *row = row.get(..steps)?;
        }
        Some(rows)
    }

    #[inline(always)]
    fn column(&self, p: usize) -> Option<[T; H]> {
        let mut column = [T::default(); H];
        // Rows are equally long, which the compiler sees: one check is left of all.
        let (fours, rest) = column.as_chunks_mut::<4>();
        let (four_rows, rest_rows) = self.as_chunks::<4>();
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

    #[inline(always)]
    fn columns<const STEPS: usize>(&self, index: usize) -> Option<impl Fn(usize) -> Option<[T; H]>> {
        let mut lines: [&[T; STEPS]; H] = [self.first()?.as_chunks().0.get(index)?; H];
        for (line, row) in lines.iter_mut().zip(self) {
            *line = row.as_chunks().0.get(index)?;
        }
        Some(
            #[inline(always)]
            move |step: usize| {
                let mut column = [T::default(); H];
                for (to, line) in column.iter_mut().zip(lines) {
                    *to = *line.get(step)?;
                }
                Some(column)
            },
        )
    }
}

/// Rows that lie next to each other, column after column, without packing: columns `stride` elements apart.
#[derive(Clone, Copy)]
pub(super) struct Columns<'a, T> {
    pub(super) data: &'a [T],
    pub(super) stride: usize,
}

impl<T: Element> Source<T> for Columns<'_, T> {
    // The slice may end with the last row of the last column.
    const EXACT: bool = true;

    #[inline(always)]
    fn rows<const H: usize>(&self, i: usize, _: usize) -> Option<impl Left<T, H>> {
        Some(Self { data: self.data.get(i..)?, stride: self.stride })
    }
}

impl<T: Element, const H: usize> Left<T, H> for Columns<'_, T> {
    #[inline(always)]
    fn cut(&self, _: usize) -> Option<Self> {
        Some(*self)
    }

    #[inline(always)]
    fn column(&self, p: usize) -> Option<[T; H]> {
        self.data.get(p * self.stride..)?.first_chunk().copied()
    }

    #[inline(always)]
    fn columns<const STEPS: usize>(&self, index: usize) -> Option<impl Fn(usize) -> Option<[T; H]>> {
        // Nothing but this one comparison depends on where the columns are: the compiler looks at the others once.
        let len = self.stride.checked_mul(STEPS - 1)?.checked_add(H)?;
        let steps = self.data.get(index * STEPS * self.stride..)?.get(..len)?;
        let mut columns: [&[T; H]; STEPS] = [steps.first_chunk()?; STEPS];
        for (step, column) in columns.iter_mut().enumerate() {
            *column = steps.get(step * self.stride..)?.first_chunk()?;
        }
        Some(
            #[inline(always)]
            move |step: usize| columns.get(step).copied().copied(),
        )
    }
}
