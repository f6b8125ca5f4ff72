//! Rows no longer than a block: as many at once as a block has lanes.
//!
//! A row at a time, ten classes fill ten of sixteen lanes, and their sum takes four shuffles that wait for each other. Here what
//! is done to each element goes over the rows as they lie, without gaps, and sums of all rows are taken at once, a row a lane.
//! Each row has the bits that [`Row`](super::rows::Row) would give it.

use super::{Arithmetic, Lanes, Simd};
use crate::Element;

/// A group's elements, and room for reading a block at the beginning of its last row.
pub(crate) type Group<T> = [T; 17 * 16];

/// A group of zeros.
#[inline(always)]
pub(crate) fn empty<T: Element>() -> Group<T> {
    [T::default(); 17 * 16]
}

/// A group: as many rows as a block has lanes, one after the other.
pub(crate) struct ShortRows<T: Element, S: Simd> {
    simd: S,
    len: usize,
    inside: <T::Lanes<S> as Arithmetic>::Mask,
}

impl<T: Element, S: Simd> ShortRows<T, S> {
    /// Groups of rows of `len` elements; nothing where those are longer than a block, or `elements` are too few for a group.
    #[inline(always)]
    pub(crate) fn new(simd: S, len: usize, elements: usize) -> Option<Self> {
        if len == 0 || len > T::LANES || elements < len * T::LANES {
            return None;
        }
        Some(Self { simd, len, inside: T::Lanes::<S>::first(simd, len) })
    }

    /// Elements of a row, at least one.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.len.max(1)
    }

    /// Elements of a group, at least one.
    #[inline(always)]
    pub(crate) fn elements(&self) -> usize {
        (self.len * T::LANES).max(1)
    }

    /// `f` over the elements of each row, by the tree of [`Lanes::fold_lanes`]: lane `i` has row `i`'s. `neutral` is so in `f`.
    #[inline(always)]
    fn fold(
        &self,
        x: &[T],
        neutral: T::Lanes<S>,
        f: impl Fn(T::Lanes<S>, T::Lanes<S>) -> T::Lanes<S>,
    ) -> T::Lanes<S> {
        fold_rows::<T, S>(
            #[inline(always)]
            |i| match x.get(i * self.len..).and_then(first_block::<T>) {
                Some(block) => {
                    T::Lanes::<S>::select(self.inside, T::Lanes::<S>::load(self.simd, block), neutral)
                }
                None => neutral,
            },
            f,
        )
    }

    /// The sum of each row.
    #[inline(always)]
    pub(crate) fn sum(&self, x: &[T]) -> T::Lanes<S> {
        self.fold(
            x,
            T::Lanes::<S>::splat(self.simd, T::default()),
            #[inline(always)]
            |a, b| a + b,
        )
    }

    /// The largest of each row; NaNs may be passed over.
    #[inline(always)]
    pub(crate) fn max(&self, x: &[T]) -> T::Lanes<S> {
        self.fold(
            x,
            T::Lanes::<S>::splat(self.simd, -T::INFINITY),
            #[inline(always)]
            |a, b| a.max(b),
        )
    }

    /// The group at the beginning of `x`, where [`fold`](ShortRows::fold) may read it: in `x`, unless that ends too soon.
    #[inline(always)]
    pub(crate) fn padded<'a>(&self, x: &'a [T], room: &'a mut Group<T>) -> &'a [T] {
        if x.len() >= self.elements() + T::LANES {
            return x;
        }
        for (to, from) in self.blocks_mut(room).iter_mut().zip(self.blocks(x)) {
            *to = *from;
        }
        room
    }

    /// Gives every element of row `i` the value of lane `i`.
    #[inline(always)]
    pub(crate) fn spread(&self, values: T::Lanes<S>, y: &mut Group<T>) {
        // In order: what is written past a row's end, the next row covers.
        for (i, value) in values.to_block(self.simd).as_ref().iter().enumerate() {
            let Some(row) = y.get_mut(i * self.len..) else { return };
            if let Some(block) = T::blocks_mut(row).0.first_mut() {
                T::Lanes::<S>::splat(self.simd, *value).store(block);
            }
        }
    }

    /// Lane `i`: the element of row `i` that `places` names.
    #[inline(always)]
    pub(crate) fn pick(&self, x: &[T], places: &[u32]) -> T::Lanes<S> {
        let mut block = T::Block::default();
        for ((row, place), to) in x.chunks_exact(self.len()).zip(places).zip(block.as_mut()) {
            *to = usize::try_from(*place).ok().and_then(|place| row.get(place)).copied().unwrap_or_default();
        }
        T::Lanes::<S>::load(self.simd, &block)
    }

    /// The group's blocks: whole ones, as many as a row has elements.
    #[inline(always)]
    pub(crate) fn blocks<'a>(&self, x: &'a [T]) -> &'a [T::Block] {
        let (blocks, _) = T::blocks(x);
        blocks.get(..self.len).unwrap_or(blocks)
    }

    /// [`blocks`](ShortRows::blocks), to be written.
    #[inline(always)]
    pub(crate) fn blocks_mut<'a>(&self, y: &'a mut [T]) -> &'a mut [T::Block] {
        let (blocks, _) = T::blocks_mut(y);
        let len = self.len.min(blocks.len());
        blocks.get_mut(..len).unwrap_or_default()
    }
}

#[inline(always)]
fn first_block<T: Element>(x: &[T]) -> Option<&T::Block> {
    T::blocks(x).0.first()
}

/// [`Lanes::fold_lanes`] of as many rows as there are lanes: lane `i` of the result is row `i`'s.
#[inline(always)]
pub(crate) fn fold_rows<T: Element, S: Simd>(
    row: impl Fn(usize) -> T::Lanes<S>,
    f: impl Fn(T::Lanes<S>, T::Lanes<S>) -> T::Lanes<S>,
) -> T::Lanes<S> {
    if T::LANES == 16 {
        let a = two(four::<T, S>(0, &row, &f), four::<T, S>(1, &row, &f), &f);
        let b = two(four::<T, S>(2, &row, &f), four::<T, S>(3, &row, &f), &f);
        one(a, b, &f)
    } else {
        one(four::<T, S>(0, &row, &f), four::<T, S>(1, &row, &f), &f)
    }
}

/// Rows `first`, and every quarter of the lanes further: a quarter of a block each.
#[inline(always)]
fn four<T: Element, S: Simd>(
    first: usize,
    row: &impl Fn(usize) -> T::Lanes<S>,
    f: &impl Fn(T::Lanes<S>, T::Lanes<S>) -> T::Lanes<S>,
) -> T::Lanes<S> {
    let quarter = T::LANES / 4;
    let (a, b) = (row(first), row(first + quarter));
    let (c, d) = (row(first + 2 * quarter), row(first + 3 * quarter));
    let ((a, b), (c, d)) = if T::LANES == 16 {
        (a.halves::<8>(b), c.halves::<8>(d))
    } else {
        (a.halves::<4>(b), c.halves::<4>(d))
    };
    let (a, b) = (f(a, b), f(c, d));
    let (a, b) = if T::LANES == 16 { a.halves::<4>(b) } else { a.halves::<2>(b) };
    f(a, b)
}

/// Two lanes of each row are left.
#[inline(always)]
fn two<L: Lanes>(a: L, b: L, f: &impl Fn(L, L) -> L) -> L {
    let (a, b) = a.halves::<2>(b);
    f(a, b)
}

/// One lane of each row is left.
#[inline(always)]
fn one<L: Lanes>(a: L, b: L, f: &impl Fn(L, L) -> L) -> L {
    let (a, b) = a.halves::<1>(b);
    f(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::levels;
    use crate::simd::{Level, dispatch};
    use std::vec::Vec;

    /// Differences, whose bits tell the tree.
    fn check<T: Element, S: Simd>(simd: S, level: Level) {
        for len in 1..=T::LANES {
            let rows = ShortRows::<T, S>::new(simd, len, len * T::LANES).unwrap();
            let mut x: Group<T> = [T::from(9); 17 * 16];
            for (i, x) in x.iter_mut().take(rows.elements()).enumerate() {
                *x = T::from(1) / T::from((i * 37 % 101 + 1) as u8);
            }
            let zero = T::Lanes::<S>::splat(simd, T::default());
            let folded = rows.fold(&x, zero, |a, b| a - b);
            let mut spread: Group<T> = [T::from(3); 17 * 16];
            rows.spread(folded, &mut spread);
            for (i, folded) in folded.to_block(simd).as_ref().iter().enumerate() {
                let row = i * len..(i + 1) * len;
                let alone = T::Lanes::<S>::load_partial(simd, &x[row.clone()]).fold_lanes(simd, |a, b| a - b);
                let what = std::format!("row {i} of {len} at {}", level.name());
                assert!(*folded == alone, "{what}: {folded} is not {alone}");
                assert!(spread[row].iter().all(|y| y == folded), "{what}: spread");
            }
            let places: Vec<u32> = (0..T::LANES).map(|i| (i * 5 % len) as u32).collect();
            for (i, picked) in rows.pick(&x, &places).to_block(simd).as_ref().iter().enumerate() {
                assert!(*picked == x[i * len + i * 5 % len], "pick of row {i} of {len} at {}", level.name());
            }
            assert_eq!(rows.blocks(&x).len() * T::LANES, rows.elements());
        }
        assert!(ShortRows::<T, S>::new(simd, 0, 100).is_none());
        assert!(ShortRows::<T, S>::new(simd, 2, 2 * T::LANES - 1).is_none());
        assert!(ShortRows::<T, S>::new(simd, T::LANES + 1, 1000).is_none());
    }

    #[test]
    fn each_lane_has_what_its_row_alone_would() {
        for level in levels() {
            dispatch!(level, simd => check::<f32, _>(simd, level));
            dispatch!(level, simd => check::<f64, _>(simd, level));
        }
    }
}
