//! Channels a panel at a time: how the state lies, and the way of each layout.
//!
//! A panel's state is one piece, so that a single call has the panel's on the stack.

use super::blocks::{Moments, Progress};
use super::columns::{self, PANEL, sets};
use super::planes::{self, Tile};
use crate::once::compiled_once;
use crate::simd::planes::TILE;
use crate::simd::{Simd, dispatch};
use crate::{Channels, Element, Level};

/// Elements of state for each column, for each channel of planes, and for a panel of either.
const COLUMN: usize = 6;
const PLANE: usize = 4 + 2 * 8;
const STATE: usize = COLUMN * PANEL;

/// A panel's state on the stack. Sums that cross cache lines, as they are loaded and stored, take longer.
#[repr(align(64))]
struct Room([f64; STATE]);

/// Elements of state for some of the channels, at most a panel of them where this is not all.
pub(super) const fn panel_len(shape: Channels, count: usize) -> usize {
    if shape.inner() == 1 {
        count.saturating_mul(sets(shape.channels())).saturating_mul(COLUMN)
    } else {
        count.saturating_mul(PLANE)
    }
}

/// The channels of a panel; all fit where several rows count as one.
const fn panel_of(shape: Channels) -> usize {
    if shape.inner() == 1 { PANEL } else { TILE }
}

/// A data set in one call: each panel is one chunk.
pub(super) fn whole<T: Element>(level: Level, shape: Channels, x: &[T], mean: &mut [T], std: &mut [T]) {
    let Room(state) = &mut Room([0.0; STATE]);
    let count = panel_of(shape);
    for (i, (mean, std)) in mean.chunks_mut(count).zip(std.chunks_mut(count)).enumerate() {
        let Some(state) = state.get_mut(..panel_len(shape, mean.len())) else { return };
        state.fill(0.0);
        let progress = T::add_panel(level, shape, i * count, x, Progress::default(), state);
        T::finish_panel(level, shape, progress, state, [mean, std]);
    }
}

/// Adds a chunk; returns how far it came.
pub(super) fn add<T: Element>(
    level: Level,
    chunk: Channels,
    x: &[T],
    before: Progress,
    state: &mut [f64],
) -> Progress {
    let count = panel_of(chunk);
    let mut after = before;
    for (i, panel) in state.chunks_mut(panel_len(chunk, count).max(1)).enumerate() {
        // The same for every panel.
        after = T::add_panel(level, chunk, i * count, x, before, panel);
    }
    after
}

/// The results of what came, from a copy of the state.
pub(super) fn finish<T: Element>(
    level: Level,
    shape: Channels,
    progress: Progress,
    state: &[f64],
    mean: &mut [T],
    std: &mut [T],
) {
    let Room(copy) = &mut Room([0.0; STATE]);
    let count = panel_of(shape);
    let results = mean.chunks_mut(count).zip(std.chunks_mut(count));
    for (panel, (mean, std)) in state.chunks(panel_len(shape, count).max(1)).zip(results) {
        let Some(copy) = copy.get_mut(..panel.len()) else { return };
        for (to, from) in copy.iter_mut().zip(panel) {
            *to = *from;
        }
        T::finish_panel(level, shape, progress, copy, [mean, std]);
    }
}

compiled_once! {
    /// Statistics of the channels of a panel.
    trait Panels {
        /// Adds a chunk to the panel's state.
        fn add_panel(
            level: Level,
            chunk: Channels,
            first: usize,
            x: &[Self],
            before: Progress,
            state: &mut [f64],
        ) -> Progress {
            dispatch!(level, simd => add_kernel(simd, chunk, first, x, before, state))
        }

        /// Means and deviations from the panel's state, which it uses up.
        fn finish_panel(
            level: Level,
            shape: Channels,
            progress: Progress,
            state: &mut [f64],
            results: [&mut [Self]; 2],
        ) {
            dispatch!(level, simd => finish_kernel(simd, shape, progress, state, results));
        }
    }
}

/// Adds a chunk to the channels from `first` on, whose state that is; returns how far it came.
#[inline(always)]
fn add_kernel<T: Element, S: Simd>(
    simd: S,
    chunk: Channels,
    first: usize,
    x: &[T],
    before: Progress,
    state: &mut [f64],
) -> Progress {
    let mut progress = before;
    if chunk.inner() == 1 {
        columns::add(simd, chunk.channels(), first, x, &mut progress, &mut columns_of(state));
    } else {
        planes::add(simd, chunk, first, x, &mut progress, &mut tile_of(state));
    }
    progress.rows += chunk.outer() as u64;
    progress
}

/// The results of a panel, whose state is overwritten.
#[inline(always)]
fn finish_kernel<T: Element, S: Simd>(
    simd: S,
    shape: Channels,
    progress: Progress,
    state: &mut [f64],
    results: [&mut [T]; 2],
) {
    if shape.inner() != 1 {
        planes::finish(simd, progress, &mut tile_of(state), results);
    } else {
        columns::finish(simd, shape.channels(), progress, &mut columns_of(state), results);
    }
}

#[inline(always)]
fn columns_of(state: &mut [f64]) -> Moments<'_> {
    let mut rows = state.chunks_exact_mut((state.len() / COLUMN).max(1));
    [(); COLUMN].map(
        #[inline(always)]
        |()| rows.next().unwrap_or_default(),
    )
}

#[inline(always)]
fn tile_of(state: &mut [f64]) -> Tile<'_> {
    let count = state.len() / PLANE;
    let (moments, sums) = state.split_at_mut_checked(4 * count).unwrap_or_default();
    let mut moments = moments.chunks_exact_mut(count.max(1));
    let (first, second) = sums.as_chunks_mut::<8>().0.split_at_mut_checked(count).unwrap_or_default();
    Tile {
        moments: [(); 4].map(
            #[inline(always)]
            |()| moments.next().unwrap_or_default(),
        ),
        sums: [first, second],
    }
}
