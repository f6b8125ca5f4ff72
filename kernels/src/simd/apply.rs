//! Maps and folds over slices: the only place that knows about tails.
//!
//! A tail is one register with the missing lanes masked, in the arithmetic of the body, so that an element's
//! bits do not depend on where it stands.

use super::{Arithmetic, Lanes, Simd};
use crate::Element;

/// `y[..] = f(x[..], y[..])`, element by element, over `IN` inputs and `OUT` outputs of one length, which the
/// caller has checked.
///
/// In the tail, `f` sees 0 in the missing lanes, and what it returns there is dropped.
#[inline(always)]
#[expect(clippy::redundant_closure, reason = "a call through a reference is not always inlined")]
pub(crate) fn map<T: Element, S: Simd, const IN: usize, const OUT: usize>(
    simd: S,
    x: [&[T]; IN],
    y: [&mut [T]; OUT],
    mut f: impl FnMut([T::Lanes<S>; IN], [T::Lanes<S>; OUT]) -> [T::Lanes<S>; OUT],
) {
    let Some((x, mut y, blocks)) = split_alike(x, y) else { return };
    each_block(
        simd,
        &x,
        &mut y,
        0..blocks,
        #[inline(always)]
        |xs, ys| f(xs, ys),
    );
    tail(
        simd,
        &x,
        &mut y,
        #[inline(always)]
        |xs, ys, _| f(xs, ys),
    );
}

/// [`map`] with `SUMS` sums beside it: `f` adds an element's terms to the sums it is given, which start at 0.
///
/// [`CHUNK`] blocks at a time are summed in the lanes, the chunks in `f64`, in an order that the length alone
/// fixes. Terms of one sign come to a relative error of at most `(CHUNK + 2) * EPSILON / 2` for `f32`, at any
/// length: 1.6e-5.
#[inline(always)]
pub(crate) fn map_sum<T: Element, S: Simd, const IN: usize, const OUT: usize, const SUMS: usize>(
    simd: S,
    x: [&[T]; IN],
    y: [&mut [T]; OUT],
    mut f: impl FnMut(
        [T::Lanes<S>; IN],
        [T::Lanes<S>; OUT],
        [T::Lanes<S>; SUMS],
    ) -> ([T::Lanes<S>; OUT], [T::Lanes<S>; SUMS]),
) -> [f64; SUMS] {
    let zero = T::Lanes::<S>::splat(simd, T::default());
    let mut totals = [Total::new(simd); SUMS];
    let mut sums = [zero; SUMS];
    let Some((x, mut y, blocks)) = split_alike(x, y) else { return [0.0; SUMS] };
    let mut start = 0;
    while start < blocks {
        let end = blocks.min(start + CHUNK);
        each_block(
            simd,
            &x,
            &mut y,
            start..end,
            #[inline(always)]
            |xs, ys| {
                let (ys, next) = f(xs, ys, sums);
                sums = next;
                ys
            },
        );
        if end - start == CHUNK {
            for (total, sum) in totals.iter_mut().zip(&mut sums) {
                total.add::<T>(simd, core::mem::replace(sum, zero));
            }
        }
        start = end;
    }
    tail(
        simd,
        &x,
        &mut y,
        #[inline(always)]
        |xs, ys, lanes| {
            let (ys, next) = f(xs, ys, sums);
            for (sum, next) in sums.iter_mut().zip(next) {
                *sum = T::Lanes::<S>::select(T::Lanes::<S>::first(simd, lanes), next, *sum);
            }
            ys
        },
    );
    let mut results = [0.0; SUMS];
    for ((result, total), sum) in results.iter_mut().zip(&mut totals).zip(&sums) {
        total.add::<T>(simd, *sum);
        *result = total.value(simd);
    }
    results
}

/// A slice as whole blocks and a tail.
pub(crate) type Parts<'a, T> = (&'a [<T as Element>::Block], &'a [T]);
pub(crate) type PartsMut<'a, T> = (&'a mut [<T as Element>::Block], &'a mut [T]);
type Inputs<'a, T, const N: usize> = [Parts<'a, T>; N];
pub(crate) type Outputs<'a, T, const N: usize> = [PartsMut<'a, T>; N];

/// Inputs and outputs as blocks and tails, and how many blocks: one length that the optimiser knows, so that a loop over them needs no
/// bounds checks. Nothing where the slices are not equally long.
#[inline(always)]
fn split_alike<'a, T: Element, const IN: usize, const OUT: usize>(
    x: [&'a [T]; IN],
    y: [&'a mut [T]; OUT],
) -> Option<(Inputs<'a, T, IN>, Outputs<'a, T, OUT>, usize)> {
    let mut x = split(x);
    // Loops: `map` of an array may be left out of line, and is much code for the compiler.
    let mut parts: Outputs<'a, T, OUT> = [const { (empty(), empty()) }; OUT];
    let mut blocks = 0;
    for (part, y) in parts.iter_mut().zip(y) {
        *part = T::blocks_mut(y);
        blocks = part.0.len();
    }
    if !cut(&mut x, blocks) {
        return None;
    }
    if !cut_mut(&mut parts, blocks) {
        return None;
    }
    Some((x, parts, blocks))
}

pub(crate) const fn empty<'a, A>() -> &'a mut [A] {
    &mut []
}

/// Slices of nothing.
#[inline(always)]
pub(super) fn none<'a, T, const N: usize>() -> [&'a mut [T]; N] {
    [(); N].map(
        #[inline(always)]
        |()| empty(),
    )
}

/// `y[i] = f(x[i], y[i])` for the blocks of `range`.
#[inline(always)]
fn each_block<T: Element, S: Simd, const IN: usize, const OUT: usize>(
    simd: S,
    x: &Inputs<'_, T, IN>,
    y: &mut Outputs<'_, T, OUT>,
    range: core::ops::Range<usize>,
    mut f: impl FnMut([T::Lanes<S>; IN], [T::Lanes<S>; OUT]) -> [T::Lanes<S>; OUT],
) {
    let zero = T::Lanes::<S>::splat(simd, T::default());
    for i in range {
        let (mut xs, mut ys) = ([zero; IN], [zero; OUT]);
        // The lengths are one: a single check leaves the loop.
        for (v, (body, _)) in xs.iter_mut().zip(x) {
            let Some(block) = body.get(i) else { return };
            *v = T::Lanes::<S>::load(simd, block);
        }
        for (v, (body, _)) in ys.iter_mut().zip(&*y) {
            let Some(block) = body.get(i) else { return };
            *v = T::Lanes::<S>::load(simd, block);
        }
        let ys = f(xs, ys);
        for (v, (body, _)) in ys.iter().zip(&mut *y) {
            let Some(block) = body.get_mut(i) else { return };
            v.store(block);
        }
    }
}

/// `y = f(x, y, lanes)` for the tails, if there are any: of `lanes` elements.
#[inline(always)]
fn tail<T: Element, S: Simd, const IN: usize, const OUT: usize>(
    simd: S,
    x: &Inputs<'_, T, IN>,
    y: &mut Outputs<'_, T, OUT>,
    mut f: impl FnMut([T::Lanes<S>; IN], [T::Lanes<S>; OUT], usize) -> [T::Lanes<S>; OUT],
) {
    let Some((_, first)) = y.first() else { return };
    let lanes = first.len();
    if lanes > 0 {
        let xs = load_tails::<T, S, IN>(simd, x);
        let mut ys = [T::Lanes::<S>::splat(simd, T::default()); OUT];
        for (v, (_, tail)) in ys.iter_mut().zip(&*y) {
            *v = T::Lanes::<S>::load_partial(simd, tail);
        }
        let ys = f(xs, ys, lanes);
        for (v, (_, tail)) in ys.iter().zip(y) {
            v.store_partial(tail);
        }
    }
}

/// Blocks that are summed in the lanes before they go into an `f64`.
pub(crate) const CHUNK: usize = 256;

/// A sum in each lane, in `f64`: the second eight are those of `f32` alone.
#[derive(Clone, Copy)]
struct Total<S: Simd>([S::F64; 2]);

impl<S: Simd> Total<S> {
    #[inline(always)]
    fn new(simd: S) -> Self {
        Self([S::F64::splat(simd, 0.0); 2])
    }

    #[inline(always)]
    fn add<T: Element>(&mut self, simd: S, x: T::Lanes<S>) {
        let block = x.to_block(simd);
        let (eights, _) = block.as_ref().as_chunks::<8>();
        for (total, eight) in self.0.iter_mut().zip(eights) {
            *total = *total + T::widen(simd, eight);
        }
    }

    /// The sum of the lanes, by the tree of [`Lanes::fold_lanes`].
    #[inline(always)]
    fn value(self, simd: S) -> f64 {
        let [low, high] = self.0;
        (low + high).fold_lanes(
            simd,
            #[inline(always)]
            |a, b| a + b,
        )
    }
}

/// Folds `N` slices of one length: `acc = step(acc, x)` a block, `K` values side by side, each into four accumulators that
/// `merge` joins. The order is fixed by the length alone. `init` must be neutral in `merge`; fold the lanes that come back
/// with [`Lanes::fold_lanes`].
#[inline(always)]
pub(crate) fn fold<T: Element, S: Simd, const N: usize, const K: usize>(
    simd: S,
    x: [&[T]; N],
    init: T::Lanes<S>,
    step: impl Fn([T::Lanes<S>; K], [T::Lanes<S>; N]) -> [T::Lanes<S>; K],
    merge: impl Fn(T::Lanes<S>, T::Lanes<S>) -> T::Lanes<S>,
) -> [T::Lanes<S>; K] {
    // Four accumulators hide the latency of an addition; block `i` goes to accumulator `i % 4`.
    let mut acc = [[init; K]; 4];
    let mut x = split(x);
    let blocks = x.first().map_or(0, |(body, _)| body.len());
    if !cut(&mut x, blocks) {
        return [init; K];
    }
    let mut quads = x.map(
        #[inline(always)]
        |(body, _)| body.as_chunks::<4>(),
    );
    let count = quads.first().map_or(0, |(quads, _)| quads.len());
    if !cut(&mut quads, count) {
        return [init; K];
    }
    for i in 0..count {
        for (j, acc) in acc.iter_mut().enumerate() {
            let mut xs = [init; N];
            for (v, (quads, _)) in xs.iter_mut().zip(&quads) {
                let Some(block) = quads.get(i).and_then(|quad| quad.get(j)) else { return [init; K] };
                *v = T::Lanes::<S>::load(simd, block);
            }
            *acc = step(*acc, xs);
        }
    }
    // What is left over goes on from the first accumulator: whole blocks, then the tail.
    let rest = blocks % 4;
    let lanes = x.first().map_or(0, |(_, tail)| tail.len());
    for (i, acc) in acc.iter_mut().enumerate() {
        if i < rest {
            let Some(xs) = load_blocks::<T, S, N>(simd, &x, 4 * count + i) else { return [init; K] };
            *acc = step(*acc, xs);
        } else if i == rest && lanes > 0 {
            let stepped = step(*acc, load_tails::<T, S, N>(simd, &x));
            for (acc, stepped) in acc.iter_mut().zip(stepped) {
                *acc = T::Lanes::<S>::select(T::Lanes::<S>::first(simd, lanes), stepped, *acc);
            }
        }
    }
    let [mut a, b, c, d] = acc;
    for ((a, b), (c, d)) in a.iter_mut().zip(b).zip(c.into_iter().zip(d)) {
        *a = merge(merge(*a, b), merge(c, d));
    }
    a
}

/// `K` sums over `N` slices of one length: [`CHUNK`] blocks at a time by [`fold`], the chunks' lanes in `f64`.
///
/// The order is fixed by the length alone. The error is at most `(CHUNK / 4 + 4) * EPSILON / 2 * sum |term|` for
/// `f32`, at any length: 4.1e-6 of the sum of magnitudes; `f64` adds `EPSILON / 2` a chunk.
#[inline(always)]
#[expect(clippy::redundant_closure, reason = "a call through a reference is not always inlined")]
pub(crate) fn fold_sums<T: Element, S: Simd, const N: usize, const K: usize>(
    simd: S,
    mut x: [&[T]; N],
    step: impl Fn([T::Lanes<S>; K], [T::Lanes<S>; N]) -> [T::Lanes<S>; K],
) -> [f64; K] {
    let zero = T::Lanes::<S>::splat(simd, T::default());
    let mut totals = [Total::new(simd); K];
    while x.first().is_some_and(|x| !x.is_empty()) {
        let sums = fold(
            simd,
            take_chunk(&mut x),
            zero,
            #[inline(always)]
            |sums, x| step(sums, x),
            #[inline(always)]
            |a, b| a + b,
        );
        for (total, sum) in totals.iter_mut().zip(sums) {
            total.add::<T>(simd, sum);
        }
    }
    let mut sums = [0.0; K];
    for (sum, total) in sums.iter_mut().zip(totals) {
        *sum = total.value(simd);
    }
    sums
}

/// [`fold_sums`] of one sum.
#[inline(always)]
pub(crate) fn fold_sum<T: Element, S: Simd, const N: usize>(
    simd: S,
    x: [&[T]; N],
    step: impl Fn(T::Lanes<S>, [T::Lanes<S>; N]) -> T::Lanes<S>,
) -> f64 {
    let [sum] = fold_sums(
        simd,
        x,
        #[inline(always)]
        |[sum], x| [step(sum, x)],
    );
    sum
}

/// Cuts [`CHUNK`] blocks, or what there is, off the front of each slice.
#[inline(always)]
pub(crate) fn take_chunk<'a, T: Element, const N: usize>(x: &mut [&'a [T]; N]) -> [&'a [T]; N] {
    let mut chunk: [&[T]; N] = [&[]; N];
    for (chunk, x) in chunk.iter_mut().zip(x) {
        (*chunk, *x) = x.split_at_checked(CHUNK * T::LANES).unwrap_or((x, &[]));
    }
    chunk
}

/// Each slice as whole blocks and a tail.
#[inline(always)]
pub(crate) fn split<T: Element, const N: usize>(x: [&[T]; N]) -> [(&[T::Block], &[T]); N] {
    // A loop: `map` of an array may be left out of line.
    let mut parts: [(&[T::Block], &[T]); N] = [(&[], &[]); N];
    for (part, x) in parts.iter_mut().zip(x) {
        *part = T::blocks(x);
    }
    parts
}

/// Cuts every body to its first `n` elements; `false` where one is shorter.
#[inline(always)]
pub(crate) fn cut<A, B, const N: usize>(x: &mut [(&[A], B); N], n: usize) -> bool {
    for (body, _) in x {
        let Some(first) = body.get(..n) else { return false };
        *body = first;
    }
    true
}

/// As [`cut`].
#[inline(always)]
pub(crate) fn cut_mut<A, B, const N: usize>(x: &mut [(&mut [A], B); N], n: usize) -> bool {
    for (body, _) in x {
        let Some(first) = core::mem::take(body).get_mut(..n) else { return false };
        *body = first;
    }
    true
}

/// Block `i` of each slice. Nothing past an end: of slices of one length a single check leaves the loop.
#[inline(always)]
pub(crate) fn load_blocks<T: Element, S: Simd, const N: usize>(
    simd: S,
    x: &[(&[T::Block], &[T]); N],
    i: usize,
) -> Option<[T::Lanes<S>; N]> {
    let mut xs = [T::Lanes::<S>::splat(simd, T::default()); N];
    for (v, (body, _)) in xs.iter_mut().zip(x) {
        *v = T::Lanes::<S>::load(simd, body.get(i)?);
    }
    Some(xs)
}

/// The tail of each slice, 0 in the missing lanes.
#[inline(always)]
pub(crate) fn load_tails<T: Element, S: Simd, const N: usize>(
    simd: S,
    x: &[(&[T::Block], &[T]); N],
) -> [T::Lanes<S>; N] {
    let mut xs = [T::Lanes::<S>::splat(simd, T::default()); N];
    for (v, (_, tail)) in xs.iter_mut().zip(x) {
        *v = T::Lanes::<S>::load_partial(simd, tail);
    }
    xs
}
