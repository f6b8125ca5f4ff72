//! How the micro-kernel reads B: a packed panel, or rows as they lie.

use core::hint::cold_path;

use crate::Element;
use crate::simd::{Arithmetic, Lanes, Simd};

/// Steps of k at a time, of a panel and where a tile is one block wide.
pub(super) const STEPS: usize = 4;

/// `NB` blocks of columns of B, read row by row. Lanes past B's last column hold anything: what comes of them is dropped.
pub(super) trait Right<T: Element, const NB: usize> {
    /// Whether some rows at a time cost less than one where a block is one register, too.
    const IN_GROUPS: bool = false;
    /// Whether tiles under the same columns have a frame each where a block is several registers: beside what else a loop over them keeps, there
    /// are none for where rows are, and the tile goes to memory, at half the speed.
    const OWN_FRAME: bool = true;

    /// As the tile at row `i` of C reads its `kc` rows.
    #[inline(always)]
    fn for_tile(self, _i: usize, _kc: usize) -> Option<Self>
    where
        Self: Sized,
    {
        Some(self)
    }

    /// The next row, which is the one with the number `p`.
    fn next_row<S: Simd>(&mut self, simd: S, p: usize) -> Option<[T::Lanes<S>; NB]>;
    /// The next `STEPS` rows, which are the `index`th so many, where so many blocks can be read of each: each to be had by its number, once.
    fn next_rows<S: Simd, const STEPS: usize>(
        &mut self,
        simd: S,
        index: usize,
    ) -> Option<impl FnMut(usize) -> Option<[T::Lanes<S>; NB]>>;
}

/// A panel of rows packed one after another. Under it, the first tiles, of `TALL` rows, ask for the rows of B that come into the next panel, a share each:
/// packed out of L3 without that, they take four times as long as a tile.
#[derive(Clone, Copy)]
pub(super) struct Panel<'a, T, B, const WIDTH: usize, const TALL: usize> {
    panel: &'a [[B; WIDTH]],
    next: Next<'a, T>,
}

/// Where to ask for the rows of the next panel.
#[derive(Clone, Copy)]
pub(super) struct Next<'a, T> {
    pub(super) rows: &'a [T],
    /// The element that is asked for.
    pub(super) at: usize,
    pub(super) stride: usize,
}

impl<'a, T: Element, const WIDTH: usize, const TALL: usize> Panel<'a, T, T::Block, WIDTH, TALL> {
    #[inline(always)]
    pub(super) fn new(panel: &'a [[T::Block; WIDTH]], next: Option<Next<'a, T>>) -> Self {
        // Whether there is another is not asked in every step: what is at hand costs nothing.
        let rows = T::elements(panel.as_flattened());
        Self { panel, next: next.unwrap_or(Next { rows, at: 0, stride: 0 }) }
    }
}

impl<T: Element, const WIDTH: usize, const TALL: usize, const NB: usize> Right<T, NB>
    for Panel<'_, T, T::Block, WIDTH, TALL>
{
    const IN_GROUPS: bool = true;
    const OWN_FRAME: bool = false;

    #[inline(always)]
    fn for_tile(self, i: usize, kc: usize) -> Option<Self> {
        let Self { panel, mut next } = self;
        if WIDTH == 1 {
            // The tile before the first one packed the panel. One row is asked for in so many steps, so as many tiles ask for all.
            let share = (i / TALL).wrapping_sub(1);
            if share < STEPS {
                next.at = next.at.wrapping_add((share * (kc / STEPS)).wrapping_mul(next.stride));
            } else {
                (next.at, next.stride) = (0, 0);
            }
        }
        Some(Self { panel: panel.get(..kc)?, next })
    }

    #[inline(always)]
    fn next_row<S: Simd>(&mut self, simd: S, p: usize) -> Option<[T::Lanes<S>; NB]> {
        Some(load_blocks::<T, S, NB>(simd, self.panel.get(p)?.first_chunk()?))
    }

    #[inline(always)]
    fn next_rows<S: Simd, const STEPS: usize>(
        &mut self,
        simd: S,
        index: usize,
    ) -> Option<impl FnMut(usize) -> Option<[T::Lanes<S>; NB]>> {
        let steps = self.panel.as_chunks::<STEPS>().0.get(index)?;
        // Rows of a wide panel are several lines each; what asking would bring there has not been measured.
        if WIDTH == 1 {
            simd.prefetch_to_l2(self.next.rows, self.next.at);
            self.next.at = self.next.at.wrapping_add(self.next.stride);
        }
        Some(
            #[inline(always)]
            move |step: usize| Some(load_blocks::<T, S, NB>(simd, steps.get(step)?.first_chunk()?)),
        )
    }
}

/// Contiguous rows, without packing: `width` elements of each, `stride` elements apart.
///
/// What follows a row's last column in the slice is read too: it costs less than masking it.
#[derive(Clone, Copy)]
pub(super) struct Strided<'a, T> {
    rest: &'a [T],
    stride: usize,
    width: usize,
}

impl<'a, T> Strided<'a, T> {
    /// Rows from the start of `data` on.
    #[inline(always)]
    pub(super) fn new(data: &'a [T], stride: usize, width: usize) -> Self {
        Self { rest: data, stride, width }
    }

    /// The next `STEPS` rows, where so many blocks can be read of each.
    #[inline(always)]
    fn next_blocks<const NB: usize, const STEPS: usize>(&mut self) -> Option<[&'a [T::Block; NB]; STEPS]>
    where
        T: Element,
    {
        // Nothing but this one comparison depends on where the rows are: the compiler looks at the others once.
        let len = self.stride.checked_mul(STEPS - 1)?.checked_add(NB * T::LANES)?;
        let steps = self.rest.get(..len)?;
        let mut rows = [T::blocks(steps).0.first_chunk()?; STEPS];
        for (step, row) in rows.iter_mut().enumerate() {
            let first = step * self.stride;
            *row = T::blocks(steps.get(first..first + NB * T::LANES)?).0.first_chunk()?;
        }
        self.advance(STEPS * self.stride);
        Some(rows)
    }

    /// Behind the last row there may be less than a stride.
    #[inline(always)]
    fn advance(&mut self, len: usize) {
        if let Some(rest) = self.rest.get(len..) {
            self.rest = rest;
        } else {
            cold_path();
            self.rest = &[];
        }
    }
}

impl<T: Element, const NB: usize> Right<T, NB> for Strided<'_, T> {
    #[inline(always)]
    fn next_row<S: Simd>(&mut self, simd: S, _: usize) -> Option<[T::Lanes<S>; NB]> {
        let lanes = match self.rest.get(..NB * T::LANES) {
            Some(row) => load_blocks::<T, S, NB>(simd, T::blocks(row).0.first_chunk()?),
            None => row_of_blocks::<T, S, NB>(simd, self.rest.get(..self.width.min(NB * T::LANES))?),
        };
        self.advance(self.stride);
        Some(lanes)
    }

    #[inline(always)]
    fn next_rows<S: Simd, const STEPS: usize>(
        &mut self,
        simd: S,
        _: usize,
    ) -> Option<impl FnMut(usize) -> Option<[T::Lanes<S>; NB]>> {
        let rows = self.next_blocks::<NB, STEPS>()?;
        Some(
            #[inline(always)]
            move |step: usize| Some(load_blocks::<T, S, NB>(simd, rows.get(step)?)),
        )
    }
}

/// Rows from those which are read to those which are asked for, as no prefetcher of the CPU sees where they lie. Of rows 2048 bytes apart,
/// twice as many would push each other out of L1 before their turn.
const AHEAD: usize = 8;

/// Asks for the block of columns that ends `len` elements into the row `AHEAD` rows on from `step`.
///
/// By its last element: where rows begin anywhere, a block lies in two lines, and the first of them came with the block before.
#[inline(always)]
fn ask_ahead<T, S: Simd>(simd: S, rows: &[T], stride: usize, step: usize, len: usize) {
    simd.prefetch(rows, stride.wrapping_mul(AHEAD + step).wrapping_add(len - 1));
}

/// Rows as they lie, each asked for ahead of its turn.
#[derive(Clone, Copy)]
pub(super) struct Fetching<'a, T>(pub(super) Strided<'a, T>);

impl<T: Element, const NB: usize> Right<T, NB> for Fetching<'_, T> {
    #[inline(always)]
    fn next_row<S: Simd>(&mut self, simd: S, p: usize) -> Option<[T::Lanes<S>; NB]> {
        self.0.next_row(simd, p)
    }

    #[inline(always)]
    fn next_rows<S: Simd, const STEPS: usize>(
        &mut self,
        simd: S,
        _: usize,
    ) -> Option<impl FnMut(usize) -> Option<[T::Lanes<S>; NB]>> {
        let (from, stride) = (self.0.rest, self.0.stride);
        let rows = self.0.next_blocks::<NB, STEPS>()?;
        Some(
            #[inline(always)]
            move |step: usize| {
                for block in 1..=NB {
                    ask_ahead(simd, from, stride, step, block * T::LANES);
                }
                Some(load_blocks::<T, S, NB>(simd, rows.get(step)?))
            },
        )
    }
}

/// Rows as they lie, which are packed into a panel on the way: the first tile of a panel takes hardly longer for it.
pub(super) struct Packing<'a, 'p, T, B, const WIDTH: usize> {
    pub(super) rows: Strided<'a, T>,
    pub(super) panel: &'p mut [[B; WIDTH]],
}

impl<T: Element, const WIDTH: usize, const NB: usize> Right<T, NB> for Packing<'_, '_, T, T::Block, WIDTH> {
    #[inline(always)]
    fn next_row<S: Simd>(&mut self, simd: S, p: usize) -> Option<[T::Lanes<S>; NB]> {
        let lanes = self.rows.next_row(simd, p)?;
        let (row, rest) = core::mem::take(&mut self.panel).split_first_mut()?;
        for (lanes, block) in lanes.iter().zip(row) {
            lanes.store(block);
        }
        self.panel = rest;
        Some(lanes)
    }

    #[inline(always)]
    fn next_rows<S: Simd, const STEPS: usize>(
        &mut self,
        simd: S,
        _: usize,
    ) -> Option<impl FnMut(usize) -> Option<[T::Lanes<S>; NB]>> {
        let (from, stride) = (self.rows.rest, self.rows.stride);
        let rows = self.rows.next_blocks::<NB, STEPS>()?;
        let (steps, rest) = core::mem::take(&mut self.panel).split_first_chunk_mut::<STEPS>()?;
        self.panel = rest;
        Some(
            // Each row when its turn comes: all at once have no registers.
            #[inline(always)]
            move |step: usize| {
                ask_ahead(simd, from, stride, step, T::LANES);
                let lanes = load_blocks::<T, S, NB>(simd, rows.get(step)?);
                for (lanes, block) in lanes.iter().zip(steps.get_mut(step)?) {
                    lanes.store(block);
                }
                Some(lanes)
            },
        )
    }
}

#[inline(always)]
pub(super) fn load_blocks<T: Element, S: Simd, const NB: usize>(
    simd: S,
    row: &[T::Block; NB],
) -> [T::Lanes<S>; NB] {
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
