//! Centring of a data set by its [statistics](crate::mean_and_std): the mean image, or one mean a channel.
//!
//! Fit on the training split, apply to every split.

use crate::error::expect_len;
use crate::moments::Narrow;
use crate::simd::columns::{Columns, WIDTH, map_columns};
use crate::simd::planes::{map_planes, splat_at};
use crate::simd::{Arithmetic, Lanes, Simd, dispatch};
use crate::{Channels, Element, Level, ShapeError};

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

#[cfg(test)]
mod tests;
