//! Exponentials of rows of logits, and their sums.

use crate::Element;
use crate::math::smooth;
use crate::scores::{add_lanes, row_max};
use crate::simd::rows::Row;
use crate::simd::short_rows::{Group, ShortRows, empty};
use crate::simd::{Arithmetic, Simd};

/// `y[k] = e^(z[k] - max)`; the maximum and the sum.
#[inline(always)]
pub(crate) fn exponentials<T: Element, S: Simd>(simd: S, row: &Row<T, S>, z: &[T], y: &mut [T]) -> (T, T) {
    let max = row_max(simd, row, z);
    let lanes = T::Lanes::<S>::splat(simd, max);
    let [sum] = row.map_fold(
        z,
        y,
        [T::Lanes::<S>::splat(simd, T::default())],
        #[inline(always)]
        |[sum], z| {
            let e = (z - lanes).smooth::<smooth::ExpNegative>(simd);
            ([sum + e], e)
        },
    );
    (max, add_lanes::<T, S>(simd, sum))
}

/// The maximum of a row, and `sum_k e^(z[k] - max)`: those of [`exponentials`].
#[inline(always)]
pub(crate) fn sum_of_exponentials<T: Element, S: Simd>(simd: S, row: &Row<T, S>, z: &[T]) -> (T, T) {
    let max = row_max(simd, row, z);
    let lanes = T::Lanes::<S>::splat(simd, max);
    let sum = row.fold(
        z,
        T::Lanes::<S>::splat(simd, T::default()),
        #[inline(always)]
        |sum, z| sum + (z - lanes).smooth::<smooth::ExpNegative>(simd),
    );
    (max, add_lanes::<T, S>(simd, sum))
}

/// `y[k] = factor * y[k] - less`
#[inline(always)]
pub(crate) fn scale<T: Element, S: Simd>(simd: S, row: &Row<T, S>, factor: T, less: T, y: &mut [T]) {
    let [factor, less] = [factor, less].map(|x| T::Lanes::<S>::splat(simd, x));
    row.map_in_place(
        y,
        #[inline(always)]
        |y| y * factor - less,
    );
}

/// Groups of rows at a time, so that one's sums are taken while others' exponentials are.
pub(crate) const GROUPS: usize = 2;

/// A few groups of short rows on their way.
pub(crate) struct Short<T: Element, S: Simd> {
    pub(crate) rows: ShortRows<T, S>,
    /// `e^(z - max)`
    e: [Group<T>; GROUPS],
    /// A row's factor, at each of its elements.
    factors: Group<T>,
    pub(crate) max: [T::Lanes<S>; GROUPS],
    pub(crate) sums: [T::Lanes<S>; GROUPS],
}

impl<T: Element, S: Simd> Short<T, S> {
    #[inline(always)]
    pub(crate) fn new(simd: S, rows: ShortRows<T, S>) -> Self {
        let zero = T::Lanes::<S>::splat(simd, T::default());
        Self { rows, e: [empty(); GROUPS], factors: empty(), max: [zero; GROUPS], sums: [zero; GROUPS] }
    }

    /// Takes the groups at the beginning of `z`; how many.
    #[inline(always)]
    pub(crate) fn exponentials(&mut self, simd: S, z: &[T]) -> usize {
        let Self { rows, e, max, sums, .. } = self;
        let size = rows.elements();
        let count = (z.len() / size).min(GROUPS);
        for (i, (e, max)) in e.iter_mut().zip(&mut *max).take(count).enumerate() {
            let z = z.get(i * size..).unwrap_or_default();
            *max = rows.max(rows.padded(z, e));
            rows.spread(*max, e);
        }
        for (e, z) in e.iter_mut().zip(z.chunks_exact(size)).take(count) {
            for (e, z) in rows.blocks_mut(e).iter_mut().zip(rows.blocks(z)) {
                let gap = T::Lanes::<S>::load(simd, z) - T::Lanes::<S>::load(simd, e);
                gap.smooth::<smooth::ExpNegative>(simd).store(e);
            }
        }
        for (e, sum) in e.iter().zip(sums).take(count) {
            *sum = rows.sum(e);
        }
        count
    }

    /// `y = e / sum * weight - less` for `count` groups.
    #[inline(always)]
    pub(crate) fn scale(&mut self, simd: S, weight: T, less: T, count: usize, y: &mut [T]) {
        let [one, weight, less] = [T::from(1), weight, less].map(|x| T::Lanes::<S>::splat(simd, x));
        let Self { rows, e, factors, sums, .. } = self;
        for ((y, e), sum) in y.chunks_exact_mut(rows.elements()).zip(e).zip(sums).take(count) {
            rows.spread(one / *sum * weight, factors);
            for ((y, e), factor) in
                rows.blocks_mut(y).iter_mut().zip(rows.blocks(e)).zip(rows.blocks(factors))
            {
                (T::Lanes::<S>::load(simd, e) * T::Lanes::<S>::load(simd, factor) - less).store(y);
            }
        }
    }

    /// `sum_k share * (max - z[k])` of each row of a group. Leaves `factors` as it may be, and the first group's exponentials are lost.
    #[inline(always)]
    pub(crate) fn gaps(&mut self, simd: S, z: &[T], max: T::Lanes<S>, share: T) -> T::Lanes<S> {
        let share = T::Lanes::<S>::splat(simd, share);
        let Self { rows, e: [gaps, ..], factors, .. } = self;
        rows.spread(max, factors);
        for ((gap, z), max) in rows.blocks_mut(gaps).iter_mut().zip(rows.blocks(z)).zip(rows.blocks(factors))
        {
            ((T::Lanes::<S>::load(simd, max) - T::Lanes::<S>::load(simd, z)) * share).store(gap);
        }
        rows.sum(gaps)
    }

    /// `y = (z - max) - ln sum` for `count` groups.
    #[inline(always)]
    pub(crate) fn logarithms(&mut self, simd: S, z: &[T], count: usize, y: &mut [T]) {
        let Self { rows, e, factors, max, sums } = self;
        let groups = z.chunks_exact(rows.elements()).zip(y.chunks_exact_mut(rows.elements()));
        for (((z, y), e), (max, sum)) in groups.zip(e).zip(max.iter().zip(sums)).take(count) {
            rows.spread(*max, e);
            rows.spread((*sum).smooth::<smooth::Ln>(simd), factors);
            let spread = rows.blocks(e).iter().zip(rows.blocks(factors));
            for ((y, z), (max, ln)) in rows.blocks_mut(y).iter_mut().zip(rows.blocks(z)).zip(spread) {
                let gap = T::Lanes::<S>::load(simd, z) - T::Lanes::<S>::load(simd, max);
                (gap - T::Lanes::<S>::load(simd, ln)).store(y);
            }
        }
    }
}
