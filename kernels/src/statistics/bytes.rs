//! Sums of bytes and of their squares, exact.

use crate::simd::planes::plane;
use crate::simd::{Simd, dispatch};
use crate::{Channels, Element, Level};

/// Columns whose sums are taken at a time.
pub(super) const COLUMNS: usize = 256;
/// The most bytes whose squares a `u32` can add up.
const CHAIN: usize = 1 << 16;

/// Adds the values of the channels from `first` on to `[sums, squares]`, one each a channel.
pub(super) fn add(level: Level, shape: Channels, first: usize, pixels: &[u8], sums: [&mut [u64]; 2]) {
    dispatch!(level, simd => add_kernel(simd, shape, first, pixels, sums));
}

#[inline(always)]
fn add_kernel<S: Simd>(_: S, shape: Channels, first: usize, pixels: &[u8], [sums, squares]: [&mut [u64]; 2]) {
    if shape.inner() == 1 {
        let panels = sums.chunks_mut(COLUMNS).zip(squares.chunks_mut(COLUMNS)).enumerate();
        for (i, (sums, squares)) in panels {
            add_columns(shape.channels(), first + i * COLUMNS, pixels, [sums, squares]);
        }
        return;
    }
    for (i, (sum, square)) in sums.iter_mut().zip(squares).enumerate() {
        for image in 0..shape.outer() {
            for chain in plane(shape, pixels, image, first + i).chunks(CHAIN) {
                let (mut s, mut q) = (0u32, 0u32);
                for x in chain {
                    s += u32::from(*x);
                    q += u32::from(*x) * u32::from(*x);
                }
                *sum += u64::from(s);
                *square += u64::from(q);
            }
        }
    }
}

/// Sums that cross cache lines, as they are loaded and stored, take longer.
#[repr(align(64))]
struct Columns([[u32; COLUMNS]; 2]);

/// [`add`] to at most [`COLUMNS`] channels that are last.
#[inline(always)]
fn add_columns(count: usize, first: usize, pixels: &[u8], totals: [&mut [u64]; 2]) {
    // Where channels are few, several rows count as one.
    let parts = COLUMNS.checked_div(count).unwrap_or(0).max(1);
    let pitch = count.saturating_mul(parts).max(1);
    let [sums, squares] = totals;
    for chunk in pixels.chunks(pitch.saturating_mul(CHAIN)) {
        let Columns([sum, square]) = &mut Columns([[0; COLUMNS]; 2]);
        for row in chunk.chunks(pitch) {
            let row = row.get(first..).unwrap_or_default();
            for ((sum, square), x) in sum.iter_mut().zip(&mut *square).zip(row) {
                let x = u16::from(*x);
                *sum += u32::from(x);
                *square += u32::from(x * x);
            }
        }
        for (totals, columns) in [(&mut *sums, &*sum), (&mut *squares, &*square)] {
            for part in columns.chunks(count.max(1)).take(parts) {
                for (total, x) in totals.iter_mut().zip(part) {
                    *total += u64::from(*x);
                }
            }
        }
    }
}

/// `[mean, std]` of `n` bytes, from exact sums: `n^2` times the variance is an integer too.
#[inline(always)]
#[expect(clippy::cast_precision_loss, reason = "where the exact sums are rounded at last")]
pub(super) fn finish<T: Element>(n: u64, sum: u64, square: u64) -> [T; 2] {
    let spread = u128::from(n) * u128::from(square) - u128::from(sum) * u128::from(sum);
    let std = Element::sqrt(spread as f64) / n as f64;
    [T::from_f64(sum as f64 / n as f64), T::from_f64(std)]
}
