//! Sums and maps over planes: (N, C, H, W) data, where the values of one channel of one image lie side by side.
//!
//! Lanes run along a plane.

use super::apply::{cut, load_blocks, load_tails, split};
use super::column_sums::{CHAIN, add_exactly, sum_block};
use super::columns::{load_last, store_last};
use super::{Arithmetic, Lanes, Simd};
use crate::{Channels, Element};

/// The plane of `channel` in `image`; empty past the end.
#[inline(always)]
pub(crate) fn plane<T>(shape: Channels, x: &[T], image: usize, channel: usize) -> &[T] {
    let start = image.saturating_mul(shape.channels()).saturating_add(channel).saturating_mul(shape.inner());
    let x = x.get(start..).unwrap_or_default();
    x.get(..shape.inner()).unwrap_or_default()
}

/// As [`plane`].
#[inline(always)]
pub(crate) fn plane_mut<T>(shape: Channels, x: &mut [T], image: usize, channel: usize) -> &mut [T] {
    let start = image.saturating_mul(shape.channels()).saturating_add(channel).saturating_mul(shape.inner());
    let x = x.get_mut(start..).unwrap_or_default();
    x.get_mut(..shape.inner()).unwrap_or_default()
}

/// Channels whose planes are taken at a time, so that the memory read lies in one piece.
pub(crate) const TILE: usize = 16;

/// `y = f(params, x, y)`, element by element, on the planes of the channels from `first` on: `params` has one value a
/// channel.
#[inline(always)]
pub(crate) fn map_planes<T: Element, S: Simd, const N: usize, const P: usize>(
    simd: S,
    shape: Channels,
    first: usize,
    x: [&[T]; N],
    y: &mut [T],
    params: [&[T]; P],
    f: impl Fn([T::Lanes<S>; P], [T::Lanes<S>; N], T::Lanes<S>) -> T::Lanes<S>,
) {
    let count = params.first().map_or(0, |p| p.len());
    for image in 0..shape.outer() {
        for i in 0..count {
            let lanes = splat_at(simd, params, i);
            map_plane(
                simd,
                x.map(
                    #[inline(always)]
                    |x| plane(shape, x, image, first + i),
                ),
                plane_mut(shape, y, image, first + i),
                #[inline(always)]
                |x, y| f(lanes, x, y),
            );
        }
    }
}

/// `y = f(x, y)`, element by element. The last elements go in a block of their own, as in
/// [`map_columns`](super::columns::map_columns).
#[inline(always)]
fn map_plane<T: Element, S: Simd, const N: usize>(
    simd: S,
    x: [&[T]; N],
    y: &mut [T],
    f: impl Fn([T::Lanes<S>; N], T::Lanes<S>) -> T::Lanes<S>,
) {
    let mut last = [T::Lanes::<S>::splat(simd, T::default()); N];
    for (last, x) in last.iter_mut().zip(x) {
        *last = load_last::<T, S>(simd, x);
    }
    let old = load_last::<T, S>(simd, y);
    let (body, tail) = T::blocks_mut(y);
    let tail = tail.len();
    let mut x = split(x);
    if !cut(&mut x, body.len()) {
        return;
    }
    for (i, block) in body.iter_mut().enumerate() {
        let Some(x) = load_blocks::<T, S, N>(simd, &x, i) else { return };
        let old = T::Lanes::<S>::load(simd, block);
        f(x, old).store(block);
    }
    if tail > 0 {
        store_last::<T, S>(f(last, old), y);
    }
}

/// Each parameter's value at a channel, in every lane.
#[inline(always)]
pub(crate) fn splat_at<T: Element, S: Simd, const P: usize>(
    simd: S,
    params: [&[T]; P],
    channel: usize,
) -> [T::Lanes<S>; P] {
    let mut lanes = [T::Lanes::<S>::splat(simd, T::default()); P];
    for (to, from) in lanes.iter_mut().zip(params) {
        *to = T::Lanes::<S>::splat(simd, from.get(channel).copied().unwrap_or_default());
    }
    lanes
}

/// For each of at most [`TILE`] channels from `first` on, `[sum a, sum a * b]` over its planes,
/// `(a, b) = terms(x, params)`: `params` has one value a channel.
///
/// In a fixed order: blocks of a plane by fours, each a tree, the blocks left over one by one, in a chain over the
/// planes; every 64 links or more of it join a compensated sum, so that the error does not grow with the number of
/// planes. Lanes in a tree at last. A value goes through at most 140 roundings, a product through 141.
#[inline(always)]
pub(crate) fn sum_planes<T: Element, S: Simd, const N: usize, const P: usize>(
    simd: S,
    shape: Channels,
    first: usize,
    x: [&[T]; N],
    params: [&[T]; P],
    [sums, products]: [&mut [T]; 2],
    terms: impl Fn([T::Lanes<S>; N], [T::Lanes<S>; P]) -> [T::Lanes<S>; 2],
) {
    let zero = T::Lanes::<S>::splat(simd, T::default());
    let count = sums.len();
    let mut chains = [[zero; 2]; TILE];
    let (mut totals, mut low) = ([[zero; 2]; TILE], [[zero; 2]; TILE]);
    // The same for every channel, as their planes are of one length.
    let mut links = 0;
    for image in 0..shape.outer() {
        let before = links;
        let tile = chains.iter_mut().zip(totals.iter_mut().zip(&mut low)).take(count);
        for (i, (chain, (total, low))) in tile.enumerate() {
            links = before;
            let params = splat_at(simd, params, i);
            let mut rest = x;
            for x in &mut rest {
                *x = plane(shape, x, image, first + i);
            }
            // Where a plane is long, a piece at a time.
            while rest.first().is_some_and(|x| !x.is_empty()) {
                let mut piece = rest;
                for (piece, rest) in piece.iter_mut().zip(&mut rest) {
                    let at = (SUM_BLOCKS * CHAIN * T::LANES).min(rest.len());
                    (*piece, *rest) = rest.split_at_checked(at).unwrap_or_default();
                }
                links += sum_piece(simd, piece, params, chain, &terms);
                if links >= CHAIN {
                    for ((total, low), chain) in total.iter_mut().zip(low.iter_mut()).zip(chain.iter_mut()) {
                        [*total, *low] = add_exactly::<T, S>(*chain, [*total, *low]);
                        *chain = zero;
                    }
                    links = 0;
                }
            }
        }
    }
    let lanes = chains.into_iter().zip(totals.into_iter().zip(low));
    for ((chain, (total, low)), (sum, product)) in lanes.zip(sums.iter_mut().zip(products)) {
        for (((chain, total), low), out) in chain.into_iter().zip(total).zip(low).zip([sum, product]) {
            let [total, low] = add_exactly::<T, S>(chain, [total, low]);
            *out = (total + low).fold_lanes(
                simd,
                #[inline(always)]
                |a, b| a + b,
            );
        }
    }
}

/// Blocks of a plane that are summed at a time.
const SUM_BLOCKS: usize = 4;

/// Adds a plane, or a piece of one, to the chains; the number of links it added.
#[inline(always)]
fn sum_piece<T: Element, S: Simd, const N: usize, const P: usize>(
    simd: S,
    x: [&[T]; N],
    params: [T::Lanes<S>; P],
    [sum, product]: &mut [T::Lanes<S>; 2],
    terms: &impl Fn([T::Lanes<S>; N], [T::Lanes<S>; P]) -> [T::Lanes<S>; 2],
) -> usize {
    let mut x = split(x);
    let blocks = x.first().map_or(0, |(body, _)| body.len());
    // Cut to one length that the optimiser knows, the loop needs no bounds checks.
    if !cut(&mut x, blocks) {
        return 0;
    }
    let mut fours = x.map(
        #[inline(always)]
        |(body, _)| body.as_chunks::<SUM_BLOCKS>(),
    );
    let count = fours.first().map_or(0, |(fours, _)| fours.len());
    if !cut(&mut fours, count) {
        return 0;
    }
    let zero = T::Lanes::<S>::splat(simd, T::default());
    for i in 0..count {
        let mut xs = [[zero; N]; SUM_BLOCKS];
        for (n, (fours, _)) in fours.iter().enumerate() {
            if let Some(four) = fours.get(i) {
                for (xs, block) in xs.iter_mut().zip(four) {
                    if let Some(x) = xs.get_mut(n) {
                        *x = T::Lanes::<S>::load(simd, block);
                    }
                }
            }
        }
        let [s, p] = sum_block::<T, S, N, P, SUM_BLOCKS>(simd, xs, params, terms);
        (*sum, *product) = (*sum + s, *product + p);
    }
    for i in SUM_BLOCKS * count..blocks {
        let Some(xs) = load_blocks::<T, S, N>(simd, &x, i) else { return 0 };
        let [a, b] = terms(xs, params);
        (*sum, *product) = (*sum + a, a.mul_add(b, *product));
    }
    let lanes = x.first().map_or(0, |(_, tail)| tail.len());
    if lanes > 0 {
        let [a, b] = terms(load_tails::<T, S, N>(simd, &x), params);
        let a = T::Lanes::<S>::select(T::Lanes::<S>::first(simd, lanes), a, zero);
        (*sum, *product) = (*sum + a, a.mul_add(b, *product));
    }
    count + (blocks - SUM_BLOCKS * count) + usize::from(lanes > 0)
}
