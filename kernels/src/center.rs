//! Statistics of a data set, and centring by them: the mean image, or one mean a channel.
//!
//! Fit on the training split, apply to every split. Per feature (the mean image) with `Channels::last(n, d)` whatever the
//! layout of the images; per channel with the layout of the images.

use crate::error::{expect_at_least, expect_len};
use crate::moments::{Narrow, column_moments, narrow_moments, plane_moments};
use crate::simd::apply::map;
use crate::simd::columns::{Columns, WIDTH, map_columns};
use crate::simd::planes::{TILE, map_planes, plane, splat_at};
use crate::simd::{Lanes, Simd, dispatch};
use crate::{Channels, Element, Level, ShapeError};

/// The mean and the standard deviation of each channel: `std = sqrt(sum (x - mean)^2 / n)`, biased.
///
/// ```
/// use slicewise_kernels::{Channels, Level, mean_and_std};
///
/// let x = [1.0f32, 5.0, 3.0, 5.0]; // 2 rows of 2 features
/// let (mut mean, mut std) = ([0.0; 2], [0.0; 2]);
/// mean_and_std(Level::detect(), Channels::last(2, 2), &x, &mut mean, &mut std)?;
/// assert_eq!((mean, std), ([2.0, 5.0], [1.0, 0.0]));
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless every length fits, and where a channel has no values.
pub fn mean_and_std<T: Element>(
    level: Level,
    channels: Channels,
    x: &[T],
    mean: &mut [T],
    std: &mut [T],
) -> Result<(), ShapeError> {
    expect_statistics(channels, "x", x.len(), mean, std)?;
    dispatch!(level, simd => moments_kernel(simd, channels, x, mean, std));
    Ok(())
}

/// [`mean_and_std`] of bytes, in units of one step of a byte: exact integer sums, each result rounded once or twice.
///
/// ```
/// use slicewise_kernels::{Channels, Level, mean_and_std_u8};
///
/// let pixels = [0u8, 255, 255, 255]; // one image of 2 x 2 pixels
/// let (mut mean, mut std) = ([0.0f64], [0.0]);
/// mean_and_std_u8(Level::detect(), Channels::first(1, 1, 4), &pixels, &mut mean, &mut std)?;
/// assert_eq!(mean, [191.25]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless every length fits, and where a channel has no values.
pub fn mean_and_std_u8<T: Element>(
    level: Level,
    channels: Channels,
    pixels: &[u8],
    mean: &mut [T],
    std: &mut [T],
) -> Result<(), ShapeError> {
    expect_statistics(channels, "pixels", pixels.len(), mean, std)?;
    dispatch!(level, simd => bytes_kernel(simd, channels, pixels, mean, std));
    Ok(())
}

/// `x = x - mean`, by channel.
///
/// ```
/// use slicewise_kernels::{Channels, Level, center_in_place};
///
/// let mut x = [1.0f32, 5.0, 3.0, 5.0];
/// center_in_place(Level::detect(), Channels::last(2, 2), &mut x, &[2.0, 5.0])?;
/// assert_eq!(x, [-1.0, 0.0, 1.0, 0.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless every length fits.
pub fn center_in_place<T: Element>(
    level: Level,
    channels: Channels,
    x: &mut [T],
    mean: &[T],
) -> Result<(), ShapeError> {
    expect_len("x", channels.len(), x.len())?;
    expect_len("mean", channels.channels(), mean.len())?;
    dispatch!(level, simd => center_kernel(
        simd,
        channels,
        x,
        [mean],
        #[inline(always)]
        |[mean], [], x| x - mean,
    ));
    Ok(())
}

/// `x = (x - mean) * scale`, by channel. `scale` multiplies: `1 / std` for unit variance.
///
/// ```
/// use slicewise_kernels::{Channels, Level, center_and_scale_in_place};
///
/// let mut x = [1.0f32, 5.0, 3.0, 5.0];
/// center_and_scale_in_place(Level::detect(), Channels::last(2, 2), &mut x, &[2.0, 5.0], &[10.0, 1.0])?;
/// assert_eq!(x, [-10.0, 0.0, 10.0, 0.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless every length fits.
pub fn center_and_scale_in_place<T: Element>(
    level: Level,
    channels: Channels,
    x: &mut [T],
    mean: &[T],
    scale: &[T],
) -> Result<(), ShapeError> {
    expect_len("x", channels.len(), x.len())?;
    expect_len("mean", channels.channels(), mean.len())?;
    expect_len("scale", channels.channels(), scale.len())?;
    dispatch!(level, simd => center_kernel(
        simd,
        channels,
        x,
        [mean, scale],
        #[inline(always)]
        |[mean, scale], [], x| (x - mean) * scale,
    ));
    Ok(())
}

/// `y = (pixel - mean) * scale`, by channel: bytes to centred values in one pass. `mean` counts in steps of a byte;
/// `scale` multiplies: 1 for centring alone, `1 / 255` for a range of one.
///
/// ```
/// use slicewise_kernels::{Channels, Level, center_u8};
///
/// let mut y = [0.0f32; 4];
/// center_u8(Level::detect(), Channels::first(1, 2, 2), &[0, 255, 10, 20], &[127.5, 10.0], &[2.0, 1.0], &mut y)?;
/// assert_eq!(y, [-255.0, 255.0, 0.0, 10.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless every length fits.
pub fn center_u8<T: Element>(
    level: Level,
    channels: Channels,
    pixels: &[u8],
    mean: &[T],
    scale: &[T],
    y: &mut [T],
) -> Result<(), ShapeError> {
    expect_len("pixels", channels.len(), pixels.len())?;
    expect_len("mean", channels.channels(), mean.len())?;
    expect_len("scale", channels.channels(), scale.len())?;
    expect_len("y", channels.len(), y.len())?;
    dispatch!(level, simd => center_bytes_kernel(simd, channels, pixels, mean, scale, y));
    Ok(())
}

fn expect_statistics<T>(
    channels: Channels,
    argument: &'static str,
    len: usize,
    mean: &[T],
    std: &[T],
) -> Result<(), ShapeError> {
    expect_at_least("channels.per_channel()", 1, channels.per_channel())?;
    expect_len(argument, channels.len(), len)?;
    expect_len("mean", channels.channels(), mean.len())?;
    expect_len("std", channels.channels(), std.len())
}

#[inline(always)]
fn moments_kernel<T: Element, S: Simd>(simd: S, channels: Channels, x: &[T], mean: &mut [T], std: &mut [T]) {
    #[expect(clippy::cast_precision_loss, reason = "a divisor, rounded")]
    let n = T::from_f64(channels.per_channel() as f64);
    if channels.inner() > 1 {
        for (i, (mean, std)) in mean.chunks_mut(TILE).zip(std.chunks_mut(TILE)).enumerate() {
            plane_moments(simd, channels, i * TILE, x, n, [mean, std]);
        }
    } else if let Some(narrow) = Narrow::of::<T>(channels.outer(), channels.channels()) {
        narrow_moments(simd, narrow, x, n, [mean, &mut *std]);
    } else {
        let columns = Columns::all(channels.channels());
        let mut pivot = [T::default(); WIDTH];
        for (i, (mean, std)) in mean.chunks_mut(WIDTH).zip(std.chunks_mut(WIDTH)).enumerate() {
            let Some(pivot) = pivot.get_mut(..mean.len()) else { return };
            column_moments(simd, columns.part(i * WIDTH, WIDTH), x, n, [mean, std], pivot);
        }
    }
    map(
        simd,
        [],
        [std],
        #[inline(always)]
        |[], [variance]| [variance.sqrt()],
    );
}

#[inline(always)]
fn center_kernel<T: Element, S: Simd, const P: usize>(
    simd: S,
    channels: Channels,
    x: &mut [T],
    params: [&[T]; P],
    f: impl Fn([T::Lanes<S>; P], [T::Lanes<S>; 0], T::Lanes<S>) -> T::Lanes<S>,
) {
    if channels.inner() > 1 {
        map_planes(simd, channels, 0, [], x, params, f);
    } else if let Some(narrow) = Narrow::of::<T>(channels.outer(), channels.channels()) {
        let mut buffers = [[T::default(); WIDTH]; P];
        for (to, from) in buffers.iter_mut().zip(params) {
            narrow.spread(from, to);
        }
        map_columns(simd, narrow.columns, [], x, buffers.each_ref().map(|b| &b[..]), f);
    } else {
        map_columns(simd, Columns::all(channels.channels()), [], x, params, f);
    }
}

#[inline(always)]
fn center_bytes_kernel<T: Element, S: Simd>(
    simd: S,
    channels: Channels,
    pixels: &[u8],
    mean: &[T],
    scale: &[T],
    y: &mut [T],
) {
    if channels.inner() == 1 {
        let mut columns = Columns::all(channels.channels());
        let mut buffers;
        let mut params = [mean, scale];
        if let Some(narrow) = Narrow::of::<T>(channels.outer(), channels.channels()) {
            buffers = [[T::default(); WIDTH]; 2];
            for (to, from) in buffers.iter_mut().zip(params) {
                narrow.spread(from, to);
            }
            columns = narrow.columns;
            params = buffers.each_ref().map(|b| &b[..]);
        }
        let [mean, scale] = params;
        let pitch = columns.pitch.max(1);
        for (pixels, y) in pixels.chunks(pitch).zip(y.chunks_mut(pitch)) {
            // The last row may be a short one.
            let (mean, scale) = (mean.get(..y.len()), scale.get(..y.len()));
            let (Some(mean), Some(scale)) = (mean, scale) else { return };
            center_row(simd, pixels, mean, scale, y);
        }
        return;
    }
    let planes = pixels.chunks_exact(channels.inner().max(1));
    for (i, (pixels, y)) in planes.zip(y.chunks_exact_mut(channels.inner().max(1))).enumerate() {
        let channel = i % channels.channels().max(1);
        let [mean, scale] = splat_at(simd, [mean, scale], channel);
        let (mut blocks, (body, tail)) = (pixels.chunks_exact(T::LANES), T::blocks_mut(y));
        for (pixels, y) in (&mut blocks).zip(body) {
            ((of_bytes::<T, S>(simd, pixels) - mean) * scale).store(y);
        }
        if !tail.is_empty() {
            ((of_bytes::<T, S>(simd, blocks.remainder()) - mean) * scale).store_partial(tail);
        }
    }
}

/// `y = (pixel - mean) * scale`, all of one length.
#[inline(always)]
fn center_row<T: Element, S: Simd>(simd: S, pixels: &[u8], mean: &[T], scale: &[T], y: &mut [T]) {
    let mut blocks = pixels.chunks_exact(T::LANES);
    let (mean, mean_tail) = T::blocks(mean);
    let (scale, scale_tail) = T::blocks(scale);
    let (y, tail) = T::blocks_mut(y);
    for (((pixels, y), mean), scale) in (&mut blocks).zip(y).zip(mean).zip(scale) {
        let (mean, scale) = (T::Lanes::<S>::load(simd, mean), T::Lanes::<S>::load(simd, scale));
        ((of_bytes::<T, S>(simd, pixels) - mean) * scale).store(y);
    }
    if !tail.is_empty() {
        let mean = T::Lanes::<S>::load_partial(simd, mean_tail);
        let scale = T::Lanes::<S>::load_partial(simd, scale_tail);
        ((of_bytes::<T, S>(simd, blocks.remainder()) - mean) * scale).store_partial(tail);
    }
}

/// Up to a block of bytes; 0 in the missing lanes.
#[inline(always)]
fn of_bytes<T: Element, S: Simd>(simd: S, bytes: &[u8]) -> T::Lanes<S> {
    let mut block = T::Block::default();
    for (to, from) in block.as_mut().iter_mut().zip(bytes) {
        *to = T::from(*from);
    }
    T::Lanes::<S>::load(simd, &block)
}

/// Columns whose sums are taken at a time.
const BYTE_COLUMNS: usize = 256;
/// The most bytes whose squares a `u32` can add up.
const BYTE_CHAIN: usize = 1 << 16;

#[inline(always)]
fn bytes_kernel<T: Element, S: Simd>(
    simd: S,
    channels: Channels,
    pixels: &[u8],
    mean: &mut [T],
    std: &mut [T],
) {
    let _ = simd;
    let n = channels.per_channel();
    if channels.inner() == 1 {
        // Where channels are few, several rows count as one.
        let count = channels.channels();
        let parts = BYTE_COLUMNS.checked_div(count).unwrap_or(0).max(1);
        let pitch = count.saturating_mul(parts).max(1);
        let statistics = mean.chunks_mut(BYTE_COLUMNS).zip(std.chunks_mut(BYTE_COLUMNS));
        for (panel, (mean, std)) in statistics.enumerate() {
            let first = panel * BYTE_COLUMNS;
            let mut totals = [[0u64; BYTE_COLUMNS]; 2];
            for chunk in pixels.chunks(pitch.saturating_mul(BYTE_CHAIN)) {
                let mut sums = [[0u32; BYTE_COLUMNS]; 2];
                let [sum, square] = &mut sums;
                for row in chunk.chunks(pitch) {
                    let row = row.get(first..).unwrap_or_default();
                    for ((sum, square), x) in sum.iter_mut().zip(&mut *square).zip(row) {
                        let x = u16::from(*x);
                        *sum += u32::from(x);
                        *square += u32::from(x * x);
                    }
                }
                for (total, sum) in totals.as_flattened_mut().iter_mut().zip(sums.as_flattened()) {
                    *total += u64::from(*sum);
                }
            }
            let [sums, squares] = &totals;
            for (c, (mean, std)) in mean.iter_mut().zip(std).enumerate() {
                let part = |x: &[u64]| x.iter().skip(c).step_by(count.max(1)).take(parts).sum::<u64>();
                [*mean, *std] = moments_of_integers(n, part(sums), part(squares));
            }
        }
        return;
    }
    for (channel, (mean, std)) in mean.iter_mut().zip(std).enumerate() {
        let (mut sum, mut square) = (0u64, 0u64);
        for image in 0..channels.outer() {
            for chain in plane(channels, pixels, image, channel).chunks(BYTE_CHAIN) {
                let (mut s, mut q) = (0u32, 0u32);
                for x in chain {
                    s += u32::from(*x);
                    q += u32::from(*x) * u32::from(*x);
                }
                sum += u64::from(s);
                square += u64::from(q);
            }
        }
        [*mean, *std] = moments_of_integers(n, sum, square);
    }
}

/// `[mean, std]` from exact sums: `n^2` times the variance is an integer too.
#[expect(clippy::cast_precision_loss, reason = "where the exact sums are rounded at last")]
fn moments_of_integers<T: Element>(n: usize, sum: u64, square: u64) -> [T; 2] {
    let spread = n as u128 * u128::from(square) - u128::from(sum) * u128::from(sum);
    let std = Element::sqrt(spread as f64) / n as f64;
    [T::from_f64(sum as f64 / n as f64), T::from_f64(std)]
}

#[cfg(test)]
mod tests;
