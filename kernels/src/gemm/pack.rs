//! Packing: a block of an operand copied into panels, in the order the micro-kernel reads them.

use super::min;
use super::squares::Squares;
use crate::Element;
use crate::simd::{Arithmetic, Simd};

/// A or B, seen by what the micro-kernel runs along: k, and the width of a panel (rows of A, columns of B).
pub(super) struct Operand<'a, T> {
    pub(super) data: &'a [T],
    pub(super) k_stride: usize,
    pub(super) width_stride: usize,
}

/// Where a block of an operand starts, and how far it goes: lines are rows of A or columns of B.
#[derive(Clone, Copy)]
pub(super) struct Region {
    pub(super) p: usize,
    pub(super) kc: usize,
    pub(super) line: usize,
    pub(super) lines: usize,
}

/// Bytes of neighbouring lines that are read before the next steps of k: enough for the prefetcher to see a stream.
const STREAM: usize = 1024;
/// Steps of k that are read together; as many further on are asked for, as no prefetcher of the CPU sees where they lie.
const STEPS: usize = 4;

/// Packs a region into panels of `NB` slivers, each of as many lines as `P` has elements: panel by panel, each step by step.
/// `whole` is as many elements as the slivers of a panel; lines past the region's last are `zero`.
#[inline(always)]
pub(super) fn pack<T: Element, S: Simd, P: Copy + AsMut<[T]>, const NB: usize>(
    simd: S,
    operand: &Operand<'_, T>,
    region: Region,
    mut zero: P,
    packed: &mut [[P; NB]],
    whole: impl Fn(&[T]) -> Option<&[P; NB]>,
) {
    let Region { p, kc, line, lines } = region;
    let Operand { data, k_stride, width_stride } = *operand;
    let data = data.get(p * k_stride + line * width_stride..).unwrap_or_default();
    let width = zero.as_mut().len();
    let panels = lines.div_ceil(NB * width);
    if width_stride == 1 {
        let group = (STREAM / size_of::<[P; NB]>()).max(1);
        for first in (0..panels).step_by(group) {
            for step in (0..kc).step_by(STEPS) {
                for panel in first..panels.min(first + group) {
                    let Some(slivers) = packed.get_mut(panel * kc + step..) else { return };
                    let line = panel * NB * width;
                    let whole_panel = line + NB * width <= lines;
                    let mut rest = data.get(step * k_stride + line..).unwrap_or_default();
                    for slivers in slivers.iter_mut().take(STEPS.min(kc - step)) {
                        // From place to place: what passes by way of a value passes through the stack.
                        match whole(rest) {
                            Some(row) if whole_panel => *slivers = *row,
                            _ => pad(zero, rest.get(..lines - line).unwrap_or(rest), slivers),
                        }
                        // By its last element: the first came with the panel before, where rows begin anywhere.
                        simd.prefetch(rest, k_stride.wrapping_mul(STEPS).wrapping_add(NB * width - 1));
                        rest = rest.get(k_stride..).unwrap_or_default();
                    }
                }
            }
        }
        return;
    }
    for index in 0..panels * NB {
        // The stride of a single line may be any; products of it that wrap are not used.
        let data = data.get((index * width).wrapping_mul(width_stride)..).unwrap_or_default();
        let valid = lines.saturating_sub(index * width).min(width);
        let mut l = 0;
        if k_stride == 1 {
            while l + 4 <= valid {
                turn::<T, S, P, NB, 4>(simd, data, width_stride, kc, index, l, packed);
                l += 4;
            }
            while l + 2 <= valid {
                turn::<T, S, P, NB, 2>(simd, data, width_stride, kc, index, l, packed);
                l += 2;
            }
        }
        for l in l..width {
            for step in 0..kc {
                // Of a loop that asks for memory the compiler makes no gathers and scatters.
                simd.prefetch(data, 0);
                let x =
                    data.get((step * k_stride).wrapping_add(l.wrapping_mul(width_stride))).copied().filter(
                        #[inline(always)]
                        |_| l < valid,
                    );
                if let Some(sliver) = sliver(packed, kc, step, index)
                    && let Some(to) = sliver.as_mut().get_mut(l)
                {
                    *to = x.unwrap_or_default();
                }
            }
        }
    }
}

/// As [`pack`], of columns of B that run along k, a single panel: squares are turned in registers. What lies past the last column may
/// be anything.
#[inline(always)]
pub(super) fn pack_columns<T: Element, S: Simd, const NB: usize>(
    simd: S,
    operand: &Operand<'_, T>,
    region: Region,
    packed: &mut [[T::Block; NB]],
) {
    let Region { p, kc, line, lines } = region;
    for index in 0..min(lines.div_ceil(T::LANES), NB) {
        let first = index * T::LANES;
        let data = operand.data.get((line + first) * operand.width_stride + p..).unwrap_or_default();
        let squares = Squares { data, stride: operand.width_stride, last: lines - first - 1 };
        let (whole, rest) = (kc / T::LANES, kc % T::LANES);
        for q in 0..whole {
            let Some(rows) = packed.get_mut(q * T::LANES..) else { return };
            let put = put_sliver::<T, S, NB>(rows, index);
            let turned = if first + T::LANES <= lines {
                squares.turn::<S, true>(simd, q, put)
            } else {
                squares.turn::<S, false>(simd, q, put)
            };
            if turned.is_none() {
                return;
            }
        }
        if rest > 0 {
            let Some(rows) = packed.get_mut(whole * T::LANES..) else { return };
            squares.turn_rest(simd, whole, rest, put_sliver::<T, S, NB>(rows, index));
        }
    }
}

/// Writes sliver `index` of one of these steps.
#[inline(always)]
fn put_sliver<T: Element, S: Simd, const NB: usize>(
    rows: &mut [[T::Block; NB]],
    index: usize,
) -> impl FnMut(usize, T::Lanes<S>) {
    #[inline(always)]
    move |step, lanes| {
        if let Some(block) = rows.get_mut(step).and_then(
            #[inline(always)]
            |row| row.get_mut(index),
        ) {
            lanes.store(block);
        }
    }
}

/// Sliver `index` of a step.
#[inline(always)]
fn sliver<P, const NB: usize>(
    packed: &mut [[P; NB]],
    kc: usize,
    step: usize,
    index: usize,
) -> Option<&mut P> {
    packed.get_mut(index / NB * kc + step)?.get_mut(index % NB)
}

/// The slivers of a panel at the edge.
#[inline(always)]
fn pad<T: Element, P: Copy + AsMut<[T]>, const NB: usize>(zero: P, mut line: &[T], slivers: &mut [P; NB]) {
    for sliver in slivers {
        *sliver = zero;
        for (to, x) in sliver.as_mut().iter_mut().zip(line) {
            *to = *x;
        }
        line = line.get(sliver.as_mut().len()..).unwrap_or_default();
    }
}

/// Steps of k that are turned at a time.
const TURN: usize = 4;
/// As many turns further on what is written is asked for.
const AHEAD: usize = 4;

/// Packs `G` lines from `l` on that run along k: `TURN x G` elements go through registers, which turn them faster than
/// memory does.
#[inline(always)]
fn turn<T: Element, S: Simd, P: AsMut<[T]>, const NB: usize, const G: usize>(
    simd: S,
    data: &[T],
    width_stride: usize,
    kc: usize,
    index: usize,
    l: usize,
    packed: &mut [[P; NB]],
) {
    let mut lines: [(&[[T; TURN]], &[T]); G] = [(&[], &[]); G];
    for (i, line) in lines.iter_mut().enumerate() {
        let from = (l + i) * width_stride;
        *line = data.get(from..from + kc).unwrap_or_default().as_chunks();
    }
    for first in 0..kc / TURN {
        let mut turned = [[T::default(); G]; TURN];
        for (i, (steps, _)) in lines.iter().enumerate() {
            let Some(steps) = steps.get(first) else { return };
            for (turned, x) in turned.iter_mut().zip(steps) {
                if let Some(to) = turned.get_mut(i) {
                    *to = *x;
                }
            }
        }
        // What is written next; and, as above, against scatters.
        if let Some(ahead) = packed.get(index / NB * kc + (first + AHEAD) * TURN..) {
            simd.prefetch(ahead, 0);
        }
        for (step, turned) in turned.iter().enumerate() {
            put(sliver(packed, kc, first * TURN + step, index), l, turned);
        }
    }
    for step in kc / TURN * TURN..kc {
        // Against scatters alone.
        simd.prefetch(data, 0);
        let mut turned = [T::default(); G];
        for (to, (_, rest)) in turned.iter_mut().zip(&lines) {
            *to = rest.get(step % TURN).copied().unwrap_or_default();
        }
        put(sliver(packed, kc, step, index), l, &turned);
    }
}

/// Writes `G` lines of a sliver, from `l` on.
#[inline(always)]
fn put<T: Copy, P: AsMut<[T]>, const G: usize>(sliver: Option<&mut P>, l: usize, turned: &[T; G]) {
    if let Some(sliver) = sliver
        && let Some(to) = sliver.as_mut().get_mut(l..)
        && let Some(to) = to.first_chunk_mut()
    {
        *to = *turned;
    }
}
