//! How the micro-kernel reads B: a packed panel, or rows as they lie.

use core::slice;

use super::left::UNROLL;
use crate::Element;
use crate::simd::{Lanes, Simd};

/// `NB` blocks of columns of B, read row by row.
pub(super) trait Right<T: Element, const NB: usize> {
    /// A row that has been found, not yet read.
    type Row: Copy;
    /// The next `UNROLL` rows; `None` where fewer are left.
    fn next_chunk(&mut self) -> Option<[Self::Row; UNROLL]>;
    /// The next of the last rows, fewer than `UNROLL`.
    fn next_last(&mut self) -> Option<Self::Row>;
    /// Reads a row; lanes past B's last column are 0.
    fn load<S: Simd>(simd: S, row: Self::Row) -> [T::Lanes<S>; NB];
}

/// A panel of rows packed one after another.
#[derive(Clone)]
pub(super) struct Panel<'a, T: Element, const NB: usize> {
    chunks: slice::Iter<'a, [[T::Block; NB]; UNROLL]>,
    last: slice::Iter<'a, [T::Block; NB]>,
}

impl<'a, T: Element, const NB: usize> Panel<'a, T, NB> {
    #[inline(always)]
    pub(super) fn new(panel: &'a [[T::Block; NB]]) -> Self {
        let (chunks, last) = panel.as_chunks();
        Self { chunks: chunks.iter(), last: last.iter() }
    }
}

impl<'a, T: Element, const NB: usize> Right<T, NB> for Panel<'a, T, NB> {
    type Row = &'a [T::Block; NB];
    #[inline(always)]
    fn next_chunk(&mut self) -> Option<[Self::Row; UNROLL]> {
        Some(self.chunks.next()?.each_ref())
    }
    #[inline(always)]
    fn next_last(&mut self) -> Option<Self::Row> {
        self.last.next()
    }
    #[inline(always)]
    fn load<S: Simd>(simd: S, row: Self::Row) -> [T::Lanes<S>; NB] {
        load_blocks::<T, S, NB>(simd, row)
    }
}

/// `NB` whole blocks of rows with contiguous elements, without packing.
#[derive(Clone, Copy)]
pub(super) struct Whole<'a, T> {
    rest: &'a [T],
    stride: usize,
    rows: usize,
}

impl<'a, T> Whole<'a, T> {
    /// `rows` rows, `stride` elements apart, from the start of `data` on.
    #[inline(always)]
    pub(super) fn new(data: &'a [T], stride: usize, rows: usize) -> Self {
        Self { rest: data, stride, rows }
    }
}

impl<'a, T: Element, const NB: usize> Right<T, NB> for Whole<'a, T> {
    type Row = &'a [T::Block; NB];
    #[inline(always)]
    fn next_chunk(&mut self) -> Option<[Self::Row; UNROLL]> {
        let mut chunk = [None; UNROLL];
        self.rows = self.rows.checked_sub(UNROLL)?;
        for (r, row) in chunk.iter_mut().enumerate() {
            *row = Some(blocks::<T, NB>(self.rest, r * self.stride)?);
        }
        self.rest = self.rest.get(UNROLL * self.stride..).unwrap_or_default();
        let [a, b, c, d] = chunk;
        Some([a?, b?, c?, d?])
    }
    #[inline(always)]
    fn next_last(&mut self) -> Option<Self::Row> {
        self.rows = self.rows.checked_sub(1)?;
        let row = blocks::<T, NB>(self.rest, 0)?;
        self.rest = self.rest.get(self.stride..).unwrap_or_default();
        Some(row)
    }
    #[inline(always)]
    fn load<S: Simd>(simd: S, row: Self::Row) -> [T::Lanes<S>; NB] {
        load_blocks::<T, S, NB>(simd, row)
    }
}

/// As [`Whole`], of rows that end inside the last of `NB` blocks.
#[derive(Clone, Copy)]
pub(super) struct Part<'a, T> {
    rest: &'a [T],
    stride: usize,
    width: usize,
    rows: usize,
}

impl<'a, T> Part<'a, T> {
    /// `rows` rows of `width` elements, `stride` elements apart.
    #[inline(always)]
    pub(super) fn new(data: &'a [T], stride: usize, rows: usize, width: usize) -> Self {
        Self { rest: data, stride, width, rows }
    }
}

impl<'a, T: Element, const NB: usize> Right<T, NB> for Part<'a, T> {
    type Row = &'a [T];
    #[inline(always)]
    fn next_chunk(&mut self) -> Option<[Self::Row; UNROLL]> {
        let mut chunk: [Self::Row; UNROLL] = [&[]; UNROLL];
        self.rows = self.rows.checked_sub(UNROLL)?;
        for (r, row) in chunk.iter_mut().enumerate() {
            *row = self.rest.get(r * self.stride..)?.get(..self.width)?;
        }
        self.rest = self.rest.get(UNROLL * self.stride..).unwrap_or_default();
        Some(chunk)
    }
    #[inline(always)]
    fn next_last(&mut self) -> Option<Self::Row> {
        self.rows = self.rows.checked_sub(1)?;
        let row = self.rest.get(..self.width)?;
        self.rest = self.rest.get(self.stride..).unwrap_or_default();
        Some(row)
    }
    #[inline(always)]
    fn load<S: Simd>(simd: S, row: Self::Row) -> [T::Lanes<S>; NB] {
        let mut lanes = [T::Lanes::<S>::splat(simd, T::default()); NB];
        let (blocks, tail) = T::blocks(row);
        for (i, lanes) in lanes.iter_mut().enumerate() {
            *lanes = match blocks.get(i) {
                Some(block) => T::Lanes::<S>::load(simd, block),
                None if i == blocks.len() => T::Lanes::<S>::load_partial(simd, tail),
                None => *lanes,
            };
        }
        lanes
    }
}

/// `NB` blocks from `at` on.
#[inline(always)]
fn blocks<T: Element, const NB: usize>(data: &[T], at: usize) -> Option<&[T::Block; NB]> {
    T::blocks(data.get(at..)?.get(..NB * T::LANES)?).0.first_chunk()
}

#[inline(always)]
fn load_blocks<T: Element, S: Simd, const NB: usize>(simd: S, row: &[T::Block; NB]) -> [T::Lanes<S>; NB] {
    let mut lanes = [T::Lanes::<S>::splat(simd, T::default()); NB];
    for (lanes, block) in lanes.iter_mut().zip(row) {
        *lanes = T::Lanes::<S>::load(simd, block);
    }
    lanes
}
