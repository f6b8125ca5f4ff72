//! Packing: a block of an operand copied into panels, in the order the micro-kernel reads them.

use crate::Element;

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

/// Bytes of neighbouring lines that are read before the next step of k: enough for the prefetcher to see a stream.
const STREAM: usize = 512;

/// Packs a region into `slivers` slivers of each step of k, as many lines as `P` has elements: `place` finds the one of a
/// step and an index in `packed`. Lines past the region's last are `zero`.
#[inline(always)]
pub(super) fn pack<T: Element, Q, P: Copy + AsMut<[T]> + for<'a> TryFrom<&'a [T]>>(
    operand: &Operand<'_, T>,
    region: Region,
    slivers: usize,
    mut zero: P,
    packed: &mut [Q],
    place: impl Fn(&mut [Q], usize, usize) -> Option<&mut P>,
) {
    let Region { p, kc, line, lines } = region;
    let Operand { data, k_stride, width_stride } = *operand;
    let data = data.get(p * k_stride + line * width_stride..).unwrap_or_default();
    let width = zero.as_mut().len();
    if width_stride == 1 {
        let group = (STREAM / size_of::<P>()).max(1);
        for first in (0..slivers).step_by(group) {
            let count = group.min(slivers - first);
            let valid = lines.saturating_sub(first * width).min(count * width);
            for step in 0..kc {
                let from = step * k_stride + first * width;
                let mut rest = data.get(from..from + valid).unwrap_or_default();
                for index in first..first + count {
                    let (line, after) = rest.split_at_checked(width).unwrap_or((rest, &[]));
                    rest = after;
                    if let Some(sliver) = place(packed, step, index) {
                        *sliver = P::try_from(line).unwrap_or_else(
                            #[inline(always)]
                            |_| padded(zero, line),
                        );
                    }
                }
            }
        }
        return;
    }
    for index in 0..slivers {
        // The stride of a single line may be any; products of it that wrap are not used.
        let data = data.get((index * width).wrapping_mul(width_stride)..).unwrap_or_default();
        let valid = lines.saturating_sub(index * width).min(width);
        let mut l = 0;
        if k_stride == 1 {
            while l + 4 <= valid {
                turn::<T, Q, P, 4>(data, width_stride, kc, index, l, packed, &place);
                l += 4;
            }
            while l + 2 <= valid {
                turn::<T, Q, P, 2>(data, width_stride, kc, index, l, packed, &place);
                l += 2;
            }
        }
        for l in l..width {
            for step in 0..kc {
                let x =
                    data.get((step * k_stride).wrapping_add(l.wrapping_mul(width_stride))).copied().filter(
                        #[inline(always)]
                        |_| l < valid,
                    );
                if let Some(sliver) = place(packed, step, index)
                    && let Some(to) = sliver.as_mut().get_mut(l)
                {
                    *to = x.unwrap_or_default();
                }
            }
        }
    }
}

/// Steps of k that are turned at a time.
const TURN: usize = 4;

/// Packs `G` lines from `l` on that run along k: `TURN x G` elements go through registers, which turn them faster than
/// memory does.
#[inline(always)]
fn turn<T: Element, Q, P: AsMut<[T]>, const G: usize>(
    data: &[T],
    width_stride: usize,
    kc: usize,
    index: usize,
    l: usize,
    packed: &mut [Q],
    place: &impl Fn(&mut [Q], usize, usize) -> Option<&mut P>,
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
        for (step, turned) in turned.iter().enumerate() {
            put(place(packed, first * TURN + step, index), l, turned);
        }
    }
    for step in kc / TURN * TURN..kc {
        let mut turned = [T::default(); G];
        for (to, (_, rest)) in turned.iter_mut().zip(&lines) {
            *to = rest.get(step % TURN).copied().unwrap_or_default();
        }
        put(place(packed, step, index), l, &turned);
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

/// A sliver of lines at the edge.
#[inline(always)]
fn padded<T: Element, P: AsMut<[T]>>(mut zero: P, line: &[T]) -> P {
    for (to, x) in zero.as_mut().iter_mut().zip(line) {
        *to = *x;
    }
    zero
}
