//! Products so small that a call costs as much as its arithmetic: few steps of k, few columns, all by rows.
//!
//! The chains are those of the tiles. What differs is what stands around them: exact rows, found by going through the slices
//! once, and as little as possible to make ready.

use core::hint::cold_path;
use core::mem::take;

use super::Bias;
use super::kernel::{Tile, multiply_add};
use super::narrow::{halves, multiply_add_pairs};
use super::plan::Product;
use super::right::row_of_blocks;
use crate::Element;
use crate::simd::{Arithmetic, Lanes, Simd};

/// Steps of k that are few enough of any number of rows, where C is no wider than a block.
pub(super) const FEW_STEPS: usize = 32;
/// Where a block is several registers: rows that are few; steps and columns that are few enough of them; and steps that are where
/// the columns fill half a block at most.
pub(super) const FEW_ROWS: usize = 48;
pub(super) const MOST: usize = 64;
#[cfg(target_arch = "x86_64")]
pub(super) const MOST_STEPS: usize = 1024;

/// With beta 0, alpha 1 and up to `TALL` rows at a time. Where a block is a register, C is up to two blocks wide; elsewhere
/// it goes block by block.
#[inline(always)]
pub(super) fn multiply<T: Element, S: Simd, const TALL: usize>(simd: S, product: &mut Product<'_, '_, T>) {
    let n = product.b.cols;
    if S::BLOCK_IS_REGISTER {
        if n <= T::LANES {
            all_rows::<T, S, TALL, 1, false>(simd, product, 0, n);
        } else {
            all_rows::<T, S, TALL, 2, false>(simd, product, 0, n);
        }
        return;
    }
    let mut j = 0;
    while j + T::LANES <= n {
        all_rows::<T, S, TALL, 1, true>(simd, product, j, T::LANES);
        j += T::LANES;
    }
    if n - j > T::LANES / 2 {
        all_rows::<T, S, TALL, 1, false>(simd, product, j, n - j);
    } else if n > j {
        pairs_of_rows::<T, S, TALL>(simd, product, j, n - j);
    }
}

/// What is left of the operands of some columns of C, and what all rows share.
struct Strip<'a, 'c, T> {
    /// The next row of A, and all after it.
    a: &'a [T],
    a_stride: usize,
    b: &'a [T],
    b_stride: usize,
    k: usize,
    /// The next row of C, and all after it.
    c: &'c mut [T],
    c_stride: usize,
    j: usize,
    width: usize,
    bias: Option<&'a [T]>,
    relu: bool,
}

impl<'a, 'c, T: Element> Strip<'a, 'c, T> {
    #[inline(always)]
    fn new(product: &'c mut Product<'a, '_, T>, j: usize, width: usize) -> Self {
        let Product { a, b, ref mut c, bias, relu, .. } = *product;
        let bias = match bias {
            Bias::Columns(bias) => bias.get(j..j + width),
            _ => None,
        };
        Self {
            a: a.data,
            a_stride: a.row_stride,
            b: b.data,
            b_stride: b.row_stride,
            k: a.cols,
            c: &mut *c.data,
            c_stride: c.row_stride,
            j,
            width,
            bias,
            relu,
        }
    }

    /// The next `H` rows of A.
    #[inline(always)]
    fn rows<const H: usize>(&mut self) -> Option<[&'a [T]; H]> {
        let mut rows: [&[T]; H] = [&[]; H];
        for row in &mut rows {
            // Not at the stride alone: rows seen to be so far apart would be found anew in each step.
            let (line, below) = self.a.split_at_checked(self.a_stride.min(self.a.len()))?;
            *row = line.get(..self.k)?;
            self.a = below;
        }
        Some(rows)
    }

    /// The columns of the next row of C.
    #[inline(always)]
    fn row_of_c(&mut self) -> Option<&'c mut [T]> {
        let (line, below) = take(&mut self.c).split_at_mut_checked(self.c_stride)?;
        self.c = below;
        line.get_mut(self.j..self.j + self.width)
    }

    /// Hands each step of k to `step`: a column of these rows of A, and what `load` makes of the strip's row of B.
    #[inline(always)]
    fn each_step<V, const H: usize>(
        &self,
        rows: &[&[T]; H],
        load: impl Fn(&[T]) -> Option<V>,
        mut step: impl FnMut(&[T; H], V),
    ) {
        let mut rest = self.b;
        for p in 0..self.k {
            // No way out but up here: with one behind the multiply-adds, the tile would go to memory. And B first, then A.
            let Some((row, below)) = rest.split_at_checked(self.b_stride) else {
                cold_path();
                return;
            };
            rest = below;
            let Some(row) = row.get(self.j..) else {
                cold_path();
                return;
            };
            let Some(b) = load(row) else {
                cold_path();
                return;
            };
            let mut a = [T::default(); H];
            for (a, row) in a.iter_mut().zip(rows) {
                let Some(x) = row.get(p) else {
                    cold_path();
                    return;
                };
                *a = *x;
            }
            step(&a, b);
        }
    }
}

/// Columns of C from `j` on, `NB` blocks wide; with `WHOLE`, all of a block.
#[inline(always)]
fn all_rows<T: Element, S: Simd, const TALL: usize, const NB: usize, const WHOLE: bool>(
    simd: S,
    product: &mut Product<'_, '_, T>,
    j: usize,
    width: usize,
) {
    // A frame for each: it makes ready what its own loops need.
    simd.vectorize(
        #[inline(always)]
        || {
            let mut rows = product.a.rows;
            let strip = &mut Strip::new(product, j, width);
            while rows >= 8 && TALL >= 8 {
                some_rows::<T, S, 8, NB, WHOLE>(simd, strip);
                rows -= 8;
            }
            // Eight are two fours: of two rows, the chains would wait for each other. And masks take registers.
            while rows >= 6 && rows != 8 && TALL == 6 && WHOLE {
                some_rows::<T, S, 6, NB, WHOLE>(simd, strip);
                rows -= 6;
            }
            while rows >= 4 && TALL >= 4 {
                some_rows::<T, S, 4, NB, WHOLE>(simd, strip);
                rows -= 4;
            }
            while rows >= 2 && TALL >= 2 {
                some_rows::<T, S, 2, NB, WHOLE>(simd, strip);
                rows -= 2;
            }
            while rows > 0 {
                some_rows::<T, S, 1, NB, WHOLE>(simd, strip);
                rows -= 1;
            }
        },
    );
}

/// The next `H` rows.
#[inline(always)]
fn some_rows<T: Element, S: Simd, const H: usize, const NB: usize, const WHOLE: bool>(
    simd: S,
    strip: &mut Strip<'_, '_, T>,
) {
    let Some(rows) = strip.rows::<H>() else {
        cold_path();
        return;
    };
    let width = strip.width;
    let mut acc = [[T::Lanes::<S>::splat(simd, T::default()); NB]; H];
    if let Some(bias) = strip.bias {
        let bias = if WHOLE {
            [T::Lanes::<S>::load(simd, T::blocks(bias).0.first().unwrap_or(&T::Block::default())); NB]
        } else {
            row_of_blocks::<T, S, NB>(simd, bias)
        };
        for row in &mut acc {
            for (v, bias) in row.iter_mut().zip(bias) {
                *v = *v + bias;
            }
        }
    }
    strip.each_step(
        &rows,
        #[inline(always)]
        |row| {
            Some(if WHOLE {
                [T::Lanes::<S>::load(simd, T::blocks(row.get(..T::LANES)?).0.first()?); NB]
            } else if NB == 1 {
                [T::Lanes::<S>::load_partial(simd, row.get(..width)?); NB]
            } else {
                row_of_blocks::<T, S, NB>(simd, row.get(..width)?)
            })
        },
        #[inline(always)]
        |a, b| multiply_add::<T, S, H, NB>(simd, a, b, &mut acc),
    );
    let zero = T::Lanes::<S>::splat(simd, T::default());
    if strip.relu {
        for v in acc.as_flattened_mut() {
            *v = zero.max(*v);
        }
    }
    if WHOLE {
        for row in &acc {
            let ([v, ..], Some(c)) = (row.as_slice(), strip.row_of_c()) else {
                cold_path();
                return;
            };
            let Some(block) = T::blocks_mut(c).0.first_mut() else {
                cold_path();
                return;
            };
            v.store(block);
        }
    } else if S::BLOCK_IS_REGISTER && NB == 1 && width <= T::LANES / 4 {
        store::<T, S, H, NB, 4>(&acc, strip);
    } else if S::BLOCK_IS_REGISTER && NB == 1 && width <= T::LANES / 2 {
        store::<T, S, H, NB, 2>(&acc, strip);
    } else {
        store::<T, S, H, NB, 1>(&acc, strip);
    }
}

/// Writes the next rows of C, that fill one of `PARTS` parts of a block at most.
#[inline(always)]
fn store<T: Element, S: Simd, const H: usize, const NB: usize, const PARTS: usize>(
    acc: &Tile<T::Lanes<S>, H, NB>,
    strip: &mut Strip<'_, '_, T>,
) {
    for acc in acc {
        let Some(c) = strip.row_of_c() else {
            cold_path();
            return;
        };
        let (whole, tail) = T::blocks_mut(c);
        let full = whole.len();
        for (b, v) in acc.iter().enumerate() {
            match whole.get_mut(b) {
                Some(block) => v.store(block),
                None if b == full => v.store_few::<PARTS>(tail),
                None => {}
            }
        }
    }
}

/// Columns of C from `j` on that fill half a block at most, where that is registers of its own: two rows share a block.
#[inline(always)]
fn pairs_of_rows<T: Element, S: Simd, const TALL: usize>(
    simd: S,
    product: &mut Product<'_, '_, T>,
    j: usize,
    width: usize,
) {
    simd.vectorize(
        #[inline(always)]
        || {
            let mut rows = product.a.rows;
            let strip = &mut Strip::new(product, j, width);
            while rows >= 8 && TALL > 2 {
                some_pairs::<T, S, 8, 4>(simd, strip);
                rows -= 8;
            }
            while rows >= 4 {
                some_pairs::<T, S, 4, 2>(simd, strip);
                rows -= 4;
            }
            while rows >= 2 {
                some_pairs::<T, S, 2, 1>(simd, strip);
                rows -= 2;
            }
            if rows > 0 {
                some_rows::<T, S, 1, 1, false>(simd, strip);
            }
        },
    );
}

/// The next `H` rows, in as many blocks as they fill, two to each.
#[inline(always)]
fn some_pairs<T: Element, S: Simd, const H: usize, const PAIRS: usize>(
    simd: S,
    strip: &mut Strip<'_, '_, T>,
) {
    let Some(rows) = strip.rows::<H>() else {
        cold_path();
        return;
    };
    let width = strip.width;
    let mut acc = [T::Lanes::<S>::splat(simd, T::default()); PAIRS];
    if let Some(bias) = strip.bias {
        let bias = T::Lanes::<S>::load_partial(simd, bias);
        for v in &mut acc {
            *v = *v + halves::<T, S>(bias, bias).0;
        }
    }
    strip.each_step(
        &rows,
        #[inline(always)]
        |row| Some(T::Lanes::<S>::load_partial(simd, row.get(..width)?)),
        #[inline(always)]
        |a, b| multiply_add_pairs::<T, S>(simd, a, b, &mut acc),
    );
    if strip.relu {
        let zero = T::Lanes::<S>::splat(simd, T::default());
        for v in &mut acc {
            *v = zero.max(*v);
        }
    }
    // Not a loop: it would be too long to be unrolled, and the tile would go to memory.
    store_pair::<T, S>(acc.first(), strip);
    store_pair::<T, S>(acc.get(1), strip);
    store_pair::<T, S>(acc.get(2), strip);
    store_pair::<T, S>(acc.get(3), strip);
}

/// Writes the next two rows of C, of a pair that there is.
#[inline(always)]
fn store_pair<T: Element, S: Simd>(pair: Option<&T::Lanes<S>>, strip: &mut Strip<'_, '_, T>) {
    let Some(pair) = pair else { return };
    for row in [*pair, halves::<T, S>(*pair, *pair).1] {
        let Some(c) = strip.row_of_c() else {
            cold_path();
            return;
        };
        row.store_partial(c);
    }
}
