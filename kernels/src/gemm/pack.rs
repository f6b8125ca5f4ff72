//! Packing: a block of an operand copied into panels, in the order the micro-kernel reads them.

use crate::Element;

/// A or B, seen by what the micro-kernel runs along: k, and the width of a panel (rows of A, columns of B).
pub(super) struct Operand<'a, T> {
    pub(super) data: &'a [T],
    pub(super) k_stride: usize,
    pub(super) width_stride: usize,
}

/// Packs a panel: lines (rows of A, columns of B) from `line`, of which `valid` exist, and as many steps of k from `p` as
/// the panel is long. `sliver` finds the place of one step's lines in it. Lines that do not exist are 0.
#[inline(always)]
pub(super) fn pack<T: Element, Q, P: AsMut<[T]> + for<'a> TryFrom<&'a [T]>>(
    operand: &Operand<'_, T>,
    p: usize,
    line: usize,
    valid: usize,
    panel: &mut [Q],
    sliver: impl Fn(&mut Q) -> Option<&mut P>,
) {
    let Operand { data, k_stride, width_stride } = *operand;
    let first = p * k_stride + line * width_stride;
    let width = panel.first_mut().and_then(&sliver).map_or(0, |sliver| sliver.as_mut().len());
    let valid = valid.min(width);
    if width_stride == 1 {
        // Slivers lie in the operand as they are.
        for (at, sliver) in panel.iter_mut().filter_map(sliver).enumerate() {
            let from = first + at * k_stride;
            let line = data.get(from..from + valid).unwrap_or_default();
            match P::try_from(line) {
                Ok(whole) => *sliver = whole,
                Err(_) => {
                    let padded = line.iter().copied().chain(core::iter::repeat(T::default()));
                    for (to, x) in sliver.as_mut().iter_mut().zip(padded) {
                        *to = x;
                    }
                }
            }
        }
    } else {
        // One line after another, each a column of the panel.
        for l in 0..width {
            let from = first + l * width_stride;
            let steps = panel.iter_mut().filter_map(
                #[inline(always)]
                |step| sliver(step).and_then(|sliver| sliver.as_mut().get_mut(l)),
            );
            if l >= valid {
                steps.for_each(|to| *to = T::default());
            } else if k_stride == 1 {
                let line = data.get(from..).unwrap_or_default();
                for (to, x) in steps.zip(line) {
                    *to = *x;
                }
            } else {
                for (at, to) in steps.enumerate() {
                    *to = data.get(from + at * k_stride).copied().unwrap_or_default();
                }
            }
        }
    }
}
