//! Rows of channels: where channels are few, several rows count as one, so that lanes are full.

use super::Simd;
use super::apply::{map, none};
use super::column_sums::sum_columns;
use super::columns::Columns;
use crate::Element;

/// The most columns of rows that count as one.
const NARROW: usize = 128;

/// Channels-last data: its columns, and how many of them belong to one channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ChannelRows {
    /// Those of several rows, and at most [`NARROW`], where channels are few.
    pub(crate) columns: Columns,
    channels: usize,
    parts: usize,
}

impl ChannelRows {
    #[inline(always)]
    pub(crate) fn of<T: Element>(rows: usize, channels: usize) -> Self {
        if channels >= 4 * T::LANES {
            return Self::wide(Columns::all(channels));
        }
        // The least number of rows that make whole blocks.
        let whole = T::LANES >> channels.trailing_zeros().min(T::LANES.trailing_zeros());
        // One block is fastest, else as many as there may be.
        let block = channels.saturating_mul(whole) == T::LANES;
        let most = if block { whole } else { NARROW.checked_div(channels).unwrap_or(0) }.min(rows / 8);
        let parts = (most - most % whole.max(1)).max(1);
        Self { columns: Columns::all(parts * channels), channels, parts }
    }

    /// A column a channel.
    #[inline(always)]
    pub(crate) fn wide(columns: Columns) -> Self {
        Self { columns, channels: columns.width, parts: 1 }
    }

    /// Whether several rows count as one.
    #[inline(always)]
    pub(crate) fn are_narrow(self) -> bool {
        self.parts > 1
    }

    /// Rows that count as one.
    #[inline(always)]
    pub(crate) fn parts(self) -> usize {
        self.parts
    }

    /// One value a column, from one a channel.
    #[inline(always)]
    pub(crate) fn spread<'a, T: Element, const P: usize>(
        self,
        params: [&'a [T]; P],
        buffers: &'a mut Option<[[T; NARROW]; P]>,
    ) -> [&'a [T]; P] {
        if !self.are_narrow() {
            return params;
        }
        let buffers = buffers.insert([[T::default(); NARROW]; P]);
        let mut spread = [&[][..]; P];
        for ((columns, x), spread) in buffers.iter_mut().zip(params).zip(&mut spread) {
            for part in columns.chunks_exact_mut(self.channels.max(1)).take(self.parts) {
                for (to, from) in part.iter_mut().zip(x) {
                    *to = *from;
                }
            }
            *spread = columns;
        }
        spread
    }

    /// Adds up each channel's columns, in their order; the sums are the first columns.
    #[inline(always)]
    pub(crate) fn join<T: Element, S: Simd>(self, simd: S, columns: &mut [T]) {
        let Some((first, rest)) = columns.split_at_mut_checked(self.channels) else { return };
        for part in rest.chunks_exact(self.channels.max(1)).take(self.parts - 1) {
            map(
                simd,
                [part],
                [&mut *first],
                #[inline(always)]
                |[x], [y]| [x + y],
            );
        }
    }

    /// [`sum_columns`], with one value a channel in `params` and `sums`.
    #[inline(always)]
    pub(crate) fn sum<T: Element, S: Simd, const N: usize, const P: usize, const K: usize>(
        self,
        simd: S,
        x: [&[T]; N],
        params: [&[T]; P],
        sums: [&mut [T]; K],
        terms: impl Fn([T::Lanes<S>; N], [T::Lanes<S>; P]) -> [T::Lanes<S>; 2],
    ) {
        let (mut spread, mut buffers) = (None, None);
        let params = self.spread(params, &mut spread);
        let [mut columns, channels] = self.totals(sums, &mut buffers);
        let mut lent = none::<T, K>();
        for (lent, columns) in lent.iter_mut().zip(&mut columns) {
            *lent = columns;
        }
        sum_columns(simd, self.columns, x, params, lent, terms);
        self.finish(simd, [columns, channels]);
    }

    /// Where one value a column goes, and then one a channel: to `channels` at once where these are the same.
    #[inline(always)]
    pub(crate) fn totals<'a, T: Element, const K: usize>(
        self,
        channels: [&'a mut [T]; K],
        buffers: &'a mut Option<[[T; NARROW]; K]>,
    ) -> [[&'a mut [T]; K]; 2] {
        let mut columns = none();
        if !self.are_narrow() {
            return [channels, columns];
        }
        for (columns, buffer) in columns.iter_mut().zip(buffers.insert([[T::default(); NARROW]; K])) {
            *columns = buffer.get_mut(..self.columns.width).unwrap_or_default();
        }
        [columns, channels]
    }

    /// Joins what stands in [`totals`](Self::totals).
    #[inline(always)]
    pub(crate) fn finish<T: Element, S: Simd, const K: usize>(
        self,
        simd: S,
        [columns, channels]: [[&mut [T]; K]; 2],
    ) {
        for (columns, channels) in columns.into_iter().zip(channels) {
            if self.are_narrow() {
                self.join(simd, columns);
            }
            for (to, from) in channels.iter_mut().zip(columns) {
                *to = *from;
            }
        }
    }
}
