//! Contiguous columns of B, turned into rows in registers: squares as wide as a block.

use core::mem::take;

use super::{MatRef, min};
use crate::Element;
use crate::simd::turn::turn_square;
use crate::simd::{Arithmetic, Lanes, Simd};

/// Columns from some column and some step of k on, `stride` elements apart, to column `last`.
#[derive(Clone, Copy)]
pub(super) struct Squares<'a, T> {
    pub(super) data: &'a [T],
    pub(super) stride: usize,
    pub(super) last: usize,
}

impl<'a, T: Element> Squares<'a, T> {
    /// Hands the rows of square `q` to `put`, by their numbers. Without `WHOLE`, there may be fewer columns; lanes past them hold anything.
    ///
    /// `None` where the columns end before it does.
    #[inline(always)]
    pub(super) fn turn<S: Simd, const WHOLE: bool>(
        &self,
        simd: S,
        q: usize,
        put: impl FnMut(usize, T::Lanes<S>),
    ) -> Option<()> {
        let blocks = self.blocks::<WHOLE>(q)?;
        turn_square::<T, S>(
            simd,
            #[inline(always)]
            |l| match blocks.get(l) {
                Some(block) => T::Lanes::<S>::load(simd, block),
                None => T::Lanes::<S>::splat(simd, T::default()),
            },
            put,
        );
        Some(())
    }

    /// As [`turn`](Squares::turn), of a square of which there are `steps` rows only; what the others hold means nothing.
    #[inline(always)]
    pub(super) fn turn_rest<S: Simd>(
        &self,
        simd: S,
        q: usize,
        steps: usize,
        put: impl FnMut(usize, T::Lanes<S>),
    ) {
        turn_square::<T, S>(
            simd,
            #[inline(always)]
            |l| {
                let from = min(l, self.last) * self.stride + q * T::LANES;
                T::Lanes::<S>::load_partial(simd, self.data.get(from..from + steps).unwrap_or_default())
            },
            put,
        );
    }

    /// Block `q` of each column.
    #[inline(always)]
    fn blocks<const WHOLE: bool>(&self, q: usize) -> Option<[&'a T::Block; 16]> {
        let from = self.data.get(q * T::LANES..)?;
        let last = if WHOLE { T::LANES - 1 } else { self.last };
        // Nothing but this one comparison depends on `q`: the compiler looks at the others once.
        let from = from.get(..self.stride.checked_mul(last)?.checked_add(T::LANES)?)?;
        let mut blocks = [T::blocks(from).0.first()?; 16];
        // Loops that may end early are unrolled up to 8 rounds, no further.
        let (low, high) = blocks.split_at_mut(8);
        for (l, block) in low.iter_mut().enumerate() {
            *block = Self::block(from, min(l, last) * self.stride)?;
        }
        if T::LANES > 8 {
            for (l, block) in high.iter_mut().enumerate() {
                *block = Self::block(from, min(8 + l, last) * self.stride)?;
            }
        }
        Some(blocks)
    }

    #[inline(always)]
    fn block(from: &'a [T], at: usize) -> Option<&'a T::Block> {
        T::blocks(from.get(at..at + T::LANES)?).0.first()
    }
}

/// Rows and steps that are turned at a time where a block is several registers.
const FEW: usize = 4;

/// Copies the rows of A, one after another, times alpha: by squares where its columns are contiguous and a square is few instructions,
/// though it be full of so few rows.
#[inline(always)]
pub(super) fn copy_rows<T: Element, S: Simd>(simd: S, a: &MatRef<'_, T>, alpha: T, rows: &mut [T]) {
    let (m, k) = (a.rows, a.cols);
    let mut turned = 0;
    if S::BLOCK_IS_REGISTER && a.row_stride == 1 {
        let factor = T::Lanes::<S>::splat(simd, alpha);
        for i in (0..m).step_by(T::LANES) {
            let height = min(m - i, T::LANES);
            for p in (0..k).step_by(T::LANES) {
                let steps = min(k - p, T::LANES);
                turn_square::<T, S>(
                    simd,
                    #[inline(always)]
                    |step| {
                        // The last again, for those past it: what comes of it is dropped.
                        let from = i + (p + min(step, steps - 1)) * a.col_stride;
                        let line = a.data.get(from..from + height).unwrap_or_default();
                        T::Lanes::<S>::load_partial(simd, line)
                    },
                    #[inline(always)]
                    |l, lanes| {
                        let from = (i + l) * k + p;
                        if l < height
                            && let Some(to) = rows.get_mut(from..from + steps)
                        {
                            (factor * lanes).store_partial(to);
                        }
                    },
                );
            }
        }
        turned = m;
    }
    if !S::BLOCK_IS_REGISTER && a.row_stride == 1 {
        while turned + FEW <= m {
            copy_columns::<T, FEW>(a, turned, alpha, rows);
            turned += FEW;
        }
        while turned + 2 <= m {
            copy_columns::<T, 2>(a, turned, alpha, rows);
            turned += 2;
        }
    }
    for i in turned..m {
        let row = rows.get_mut(i * k..i * k + k).unwrap_or_default();
        let from = a.data.get(i * a.row_stride..).unwrap_or_default();
        if a.col_stride == 1 {
            for (to, x) in row.iter_mut().zip(from) {
                *to = alpha * *x;
            }
        } else {
            for (p, to) in row.iter_mut().enumerate() {
                *to = alpha * from.get(p * a.col_stride).copied().unwrap_or_default();
            }
        }
    }
}

/// Copies `H` rows of A from row `i` on, whose columns are contiguous: turned as arrays of a constant size.
#[inline(always)]
fn copy_columns<T: Element, const H: usize>(a: &MatRef<'_, T>, i: usize, alpha: T, rows: &mut [T]) {
    let k = a.cols;
    let mut lines: [&mut [T]; H] = [(); H].map(|()| <&mut [T]>::default());
    let mut rest = rows.get_mut(i * k..).unwrap_or_default();
    for line in &mut lines {
        let Some((row, below)) = take(&mut rest).split_at_mut_checked(k) else { return };
        (*line, rest) = (row, below);
    }
    for p in (0..k).step_by(FEW) {
        let steps = min(k - p, FEW);
        let mut square = [[T::default(); H]; FEW];
        for (step, column) in square.iter_mut().enumerate().take(steps) {
            let from = a.data.get(i + (p + step) * a.col_stride..).unwrap_or_default();
            let Some(from) = from.first_chunk::<H>() else { return };
            *column = *from;
        }
        for (h, line) in lines.iter_mut().enumerate() {
            let mut row = [T::default(); FEW];
            for (to, column) in row.iter_mut().zip(&square) {
                *to = alpha * column.get(h).copied().unwrap_or_default();
            }
            match line.get_mut(p..).unwrap_or_default().first_chunk_mut() {
                Some(to) => *to = row,
                None => {
                    for (to, x) in line.iter_mut().skip(p).zip(row) {
                        *to = x;
                    }
                }
            }
        }
    }
}
