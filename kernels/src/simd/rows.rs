//! Rows of one length, one after the other in a slice, for kernels that need a row at once.
//!
//! The methods take a slice from a row's first element *to the end of the last row*: where another row follows, a
//! row's last block is read and written whole, over the beginning of that row. Masked stores are slow; this leaves one
//! a matrix. So rows must be written in increasing order, each of them completely.

use super::{Arithmetic, Lanes, Simd};
use crate::Element;

/// A row as whole blocks and a last, partial one.
pub(crate) struct Row<T: Element, S: Simd> {
    simd: S,
    blocks: usize,
    lanes: usize,
    last: <T::Lanes<S> as Arithmetic>::Mask,
}

impl<T: Element, S: Simd> Row<T, S> {
    #[inline(always)]
    pub(crate) fn new(simd: S, len: usize) -> Self {
        let lanes = len % T::LANES;
        Self { simd, blocks: len / T::LANES, lanes, last: T::Lanes::<S>::first(simd, lanes) }
    }

    /// `acc = f(acc, x)`, a block of the row after the other. Fold the lanes that come back with
    /// [`Lanes::fold_lanes`].
    #[inline(always)]
    pub(crate) fn fold(
        &self,
        x: &[T],
        init: T::Lanes<S>,
        f: impl Fn(T::Lanes<S>, T::Lanes<S>) -> T::Lanes<S>,
    ) -> T::Lanes<S> {
        let (body, tail) = self.split(x);
        let mut acc = init;
        for block in body {
            acc = f(acc, T::Lanes::<S>::load(self.simd, block));
        }
        if self.lanes > 0 {
            acc = T::Lanes::<S>::select(self.last, f(acc, self.load_last(tail)), acc);
        }
        acc
    }

    /// `(acc, y) = f(acc, x)`, a block of the row after the other: the `acc` of [`fold`](Row::fold), bit for bit, `N` at a time.
    #[inline(always)]
    pub(crate) fn map_fold<const N: usize>(
        &self,
        x: &[T],
        y: &mut [T],
        init: [T::Lanes<S>; N],
        f: impl Fn([T::Lanes<S>; N], T::Lanes<S>) -> ([T::Lanes<S>; N], T::Lanes<S>),
    ) -> [T::Lanes<S>; N] {
        let (x_body, x_tail) = self.split(x);
        let (y_body, y_tail) = self.split_mut(y);
        let mut acc = init;
        for (x, y) in x_body.iter().zip(y_body) {
            let (next, value) = f(acc, T::Lanes::<S>::load(self.simd, x));
            value.store(y);
            acc = next;
        }
        if self.lanes > 0 {
            let (next, value) = f(acc, self.load_last(x_tail));
            self.store_last(value, y_tail);
            for (acc, next) in acc.iter_mut().zip(next) {
                *acc = T::Lanes::<S>::select(self.last, next, *acc);
            }
        }
        acc
    }

    /// `y = f(x)`
    #[inline(always)]
    pub(crate) fn map(&self, x: &[T], y: &mut [T], f: impl Fn(T::Lanes<S>) -> T::Lanes<S>) {
        let [] = self.map_fold(
            x,
            y,
            [],
            #[inline(always)]
            |[], x| ([], f(x)),
        );
    }

    /// `acc = f(acc, x, y)`: [`fold`](Row::fold) of two rows.
    #[inline(always)]
    pub(crate) fn fold_two(
        &self,
        x: &[T],
        y: &[T],
        init: T::Lanes<S>,
        f: impl Fn(T::Lanes<S>, T::Lanes<S>, T::Lanes<S>) -> T::Lanes<S>,
    ) -> T::Lanes<S> {
        let ((x_body, x_tail), (y_body, y_tail)) = (self.split(x), self.split(y));
        let mut acc = init;
        for (x, y) in x_body.iter().zip(y_body) {
            acc = f(acc, T::Lanes::<S>::load(self.simd, x), T::Lanes::<S>::load(self.simd, y));
        }
        if self.lanes > 0 {
            let last = f(acc, self.load_last(x_tail), self.load_last(y_tail));
            acc = T::Lanes::<S>::select(self.last, last, acc);
        }
        acc
    }

    /// `y = f(x, y)`
    #[inline(always)]
    pub(crate) fn map_two(&self, x: &[T], y: &mut [T], f: impl Fn(T::Lanes<S>, T::Lanes<S>) -> T::Lanes<S>) {
        let (x_body, x_tail) = self.split(x);
        let (y_body, y_tail) = self.split_mut(y);
        for (x, y) in x_body.iter().zip(y_body) {
            f(T::Lanes::<S>::load(self.simd, x), T::Lanes::<S>::load(self.simd, y)).store(y);
        }
        if self.lanes > 0 {
            let value = f(self.load_last(x_tail), self.load_last(y_tail));
            self.store_last(value, y_tail);
        }
    }

    /// `y = f(y)`
    #[inline(always)]
    pub(crate) fn map_in_place(&self, y: &mut [T], f: impl Fn(T::Lanes<S>) -> T::Lanes<S>) {
        let (body, tail) = self.split_mut(y);
        for block in body {
            f(T::Lanes::<S>::load(self.simd, block)).store(block);
        }
        if self.lanes > 0 {
            let value = f(self.load_last(tail));
            self.store_last(value, tail);
        }
    }

    /// The row's whole blocks, and all that comes after them.
    #[inline(always)]
    fn split<'a>(&self, x: &'a [T]) -> (&'a [T::Block], &'a [T]) {
        let (body, tail) = x.split_at_checked(self.blocks * T::LANES).unwrap_or((x, &[]));
        (T::blocks(body).0, tail)
    }

    #[inline(always)]
    fn split_mut<'a>(&self, y: &'a mut [T]) -> (&'a mut [T::Block], &'a mut [T]) {
        match y.split_at_mut_checked(self.blocks * T::LANES) {
            Some((body, tail)) => (T::blocks_mut(body).0, tail),
            None => (&mut [], &mut []),
        }
    }

    #[inline(always)]
    fn load_last(&self, x: &[T]) -> T::Lanes<S> {
        match T::blocks(x).0.first() {
            Some(block) => T::Lanes::<S>::load(self.simd, block),
            None => T::Lanes::<S>::load_partial(self.simd, x.get(..self.lanes).unwrap_or(x)),
        }
    }

    #[inline(always)]
    fn store_last(&self, value: T::Lanes<S>, y: &mut [T]) {
        if let Some(block) = T::blocks_mut(y).0.first_mut() {
            value.store(block);
        } else if let Some(y) = y.get_mut(..self.lanes) {
            value.store_partial(y);
        }
    }
}
