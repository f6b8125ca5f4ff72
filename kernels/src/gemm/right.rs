//! How the micro-kernel reads B: a packed panel, or rows as they lie.

use crate::Element;
use crate::simd::{Lanes, Simd};

/// `NB` blocks of columns of B, read row by row.
pub(super) trait Right<T: Element, const NB: usize> {
    /// The next row; lanes past B's last column are 0.
    fn next_row<S: Simd>(&mut self, simd: S) -> Option<[T::Lanes<S>; NB]>;
}

/// A panel of rows packed one after another.
#[derive(Clone, Copy)]
pub(super) struct Panel<'a, B, const WIDTH: usize>(pub(super) &'a [[B; WIDTH]]);

impl<T: Element, const WIDTH: usize, const NB: usize> Right<T, NB> for Panel<'_, T::Block, WIDTH> {
    #[inline(always)]
    fn next_row<S: Simd>(&mut self, simd: S) -> Option<[T::Lanes<S>; NB]> {
        let (row, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(load_blocks::<T, S, NB>(simd, row.first_chunk()?))
    }
}

/// `NB` whole blocks of rows with contiguous elements, without packing.
#[derive(Clone, Copy)]
pub(super) struct Whole<'a, T> {
    rest: &'a [T],
    stride: usize,
}

impl<'a, T> Whole<'a, T> {
    /// Rows `stride` elements apart, from the start of `data` on.
    #[inline(always)]
    pub(super) fn new(data: &'a [T], stride: usize) -> Self {
        Self { rest: data, stride }
    }
}

impl<T: Element, const NB: usize> Right<T, NB> for Whole<'_, T> {
    #[inline(always)]
    fn next_row<S: Simd>(&mut self, simd: S) -> Option<[T::Lanes<S>; NB]> {
        let row = T::blocks(self.rest.get(..NB * T::LANES)?).0.first_chunk()?;
        self.rest = self.rest.get(self.stride..).unwrap_or_default();
        Some(load_blocks::<T, S, NB>(simd, row))
    }
}

/// As [`Whole`], of rows that end inside the last of `NB` blocks.
#[derive(Clone, Copy)]
pub(super) struct Part<'a, T> {
    rest: &'a [T],
    stride: usize,
    width: usize,
}

impl<'a, T> Part<'a, T> {
    /// Rows of `width` elements, `stride` elements apart.
    #[inline(always)]
    pub(super) fn new(data: &'a [T], stride: usize, width: usize) -> Self {
        Self { rest: data, stride, width }
    }
}

impl<T: Element, const NB: usize> Right<T, NB> for Part<'_, T> {
    #[inline(always)]
    fn next_row<S: Simd>(&mut self, simd: S) -> Option<[T::Lanes<S>; NB]> {
        let lanes = row_of_blocks::<T, S, NB>(simd, self.rest.get(..self.width)?);
        self.rest = self.rest.get(self.stride..).unwrap_or_default();
        Some(lanes)
    }
}

#[inline(always)]
fn load_blocks<T: Element, S: Simd, const NB: usize>(simd: S, row: &[T::Block; NB]) -> [T::Lanes<S>; NB] {
    let mut lanes = [T::Lanes::<S>::splat(simd, T::default()); NB];
    for (lanes, block) in lanes.iter_mut().zip(row) {
        *lanes = T::Lanes::<S>::load(simd, block);
    }
    lanes
}

/// A row that ends inside the last of `NB` blocks; lanes past its end are 0.
#[inline(always)]
pub(super) fn row_of_blocks<T: Element, S: Simd, const NB: usize>(simd: S, row: &[T]) -> [T::Lanes<S>; NB] {
    let (blocks, tail) = T::blocks(row);
    let mut lanes = [T::Lanes::<S>::splat(simd, T::default()); NB];
    for (i, lanes) in lanes.iter_mut().enumerate() {
        *lanes = match blocks.get(i) {
            Some(block) => T::Lanes::<S>::load(simd, block),
            None if i == blocks.len() => T::Lanes::<S>::load_partial(simd, tail),
            None => *lanes,
        };
    }
    lanes
}
