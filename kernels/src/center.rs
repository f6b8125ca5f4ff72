//! Centring of a data set by its [statistics](crate::mean_and_std): the mean image, or one mean a channel.
//!
//! Fit on the training split, apply to every split.

use crate::error::expect_len;
use crate::once::compiled_once;
use crate::simd::apply::{Outputs, cut, cut_mut, empty, load_blocks, load_tails, split};
use crate::simd::channel_rows::ChannelRows;
use crate::simd::columns::map_columns;
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
    T::center(level, channels, x, mean);
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
    T::center_and_scale(level, channels, x, mean, scale);
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
    T::center_bytes(level, channels, pixels, mean, scale, y);
    Ok(())
}

compiled_once! {
    /// Centring.
    trait Center {
        /// See [`center_in_place`].
        fn center(level: Level, channels: Channels, x: &mut [Self], mean: &[Self]) {
            dispatch!(level, simd => center_kernel(
                simd,
                channels,
                x,
                [mean],
                #[inline(always)]
                |[mean], [], x| x - mean,
            ));
        }

        /// See [`center_and_scale_in_place`].
        fn center_and_scale(
            level: Level,
            channels: Channels,
            x: &mut [Self],
            mean: &[Self],
            scale: &[Self],
        ) {
            dispatch!(level, simd => center_kernel(
                simd,
                channels,
                x,
                [mean, scale],
                #[inline(always)]
                |[mean, scale], [], x| (x - mean) * scale,
            ));
        }

        /// See [`center_u8`].
        fn center_bytes(
            level: Level,
            channels: Channels,
            pixels: &[u8],
            mean: &[Self],
            scale: &[Self],
            y: &mut [Self],
        ) {
            dispatch!(level, simd => center_bytes_kernel(simd, channels, pixels, mean, scale, y));
        }
    }
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
    } else {
        let rows = ChannelRows::of::<T>(channels.outer(), channels.channels());
        let mut buffers = None;
        map_columns(simd, rows.columns, [], x, rows.spread(params, &mut buffers), f);
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
        let rows = ChannelRows::of::<T>(channels.outer(), channels.channels());
        let mut buffers = None;
        let [mean, scale] = rows.spread([mean, scale], &mut buffers);
        // Two rows read the parameters once.
        let pitch = rows.columns.pitch.max(1);
        let pair = pitch.saturating_mul(2);
        let whole = y.len() - y.len() % pair;
        let (Some((pairs, rest)), Some((y, last))) =
            (pixels.split_at_checked(whole), y.split_at_mut_checked(whole))
        else {
            return;
        };
        for (pixels, y) in pairs.chunks_exact(pair).zip(y.chunks_exact_mut(pair)) {
            if let (Some((pixels, pixels1)), Some((y, y1))) =
                (pixels.split_at_checked(pitch), y.split_at_mut_checked(pitch))
            {
                center_rows(simd, [pixels, pixels1], [mean, scale], [y, y1]);
            }
        }
        for (pixels, y) in rest.chunks(pitch).zip(last.chunks_mut(pitch)) {
            center_rows(simd, [pixels], [mean, scale], [y]);
        }
        return;
    }
    let planes = pixels.chunks_exact(channels.inner().max(1));
    for (i, (pixels, y)) in planes.zip(y.chunks_exact_mut(channels.inner().max(1))).enumerate() {
        let channel = i % channels.channels().max(1);
        let [mean, scale] = splat_at(simd, [mean, scale], channel);
        let ((pixels, rest), (body, tail)) = (T::blocks_of_bytes(pixels), T::blocks_mut(y));
        for (pixels, y) in pixels.iter().zip(body) {
            ((of_bytes::<T, S>(simd, pixels) - mean) * scale).store(y);
        }
        if !tail.is_empty() {
            ((of_bytes::<T, S>(simd, &few_bytes::<T>(rest)) - mean) * scale).store_partial(tail);
        }
    }
}

/// `y = (pixel - mean) * scale` of `G` rows of one length, from `[mean, scale]`.
#[inline(always)]
fn center_rows<T: Element, S: Simd, const G: usize>(
    simd: S,
    pixels: [&[u8]; G],
    params: [&[T]; 2],
    y: [&mut [T]; G],
) {
    let width = y.first().map_or(0, |y| y.len());
    // A short row has fewer columns than there are parameters.
    let mut params = split(params.map(
        #[inline(always)]
        |p| p.get(..width).unwrap_or_default(),
    ));
    let blocks = width / T::LANES;
    let (mut bytes, mut parts): (_, Outputs<'_, T, G>) =
        ([(&[][..], &[][..]); G], [const { (empty(), empty()) }; G]);
    for ((bytes, part), (pixels, y)) in bytes.iter_mut().zip(&mut parts).zip(pixels.into_iter().zip(y)) {
        (*bytes, *part) = (T::blocks_of_bytes(pixels), T::blocks_mut(y));
    }
    // Cut to one length that the optimiser knows, the loop needs no bounds checks.
    if !cut(&mut params, blocks) || !cut(&mut bytes, blocks) || !cut_mut(&mut parts, blocks) {
        return;
    }
    for i in 0..blocks {
        let Some([mean, scale]) = load_blocks::<T, S, 2>(simd, &params, i) else { return };
        for ((pixels, _), (y, _)) in bytes.iter().zip(&mut parts) {
            let (Some(pixels), Some(y)) = (pixels.get(i), y.get_mut(i)) else { return };
            ((of_bytes::<T, S>(simd, pixels) - mean) * scale).store(y);
        }
    }
    if !width.is_multiple_of(T::LANES) {
        let [mean, scale] = load_tails::<T, S, 2>(simd, &params);
        for ((_, pixels), (_, y)) in bytes.into_iter().zip(parts) {
            ((of_bytes::<T, S>(simd, &few_bytes::<T>(pixels)) - mean) * scale).store_partial(y);
        }
    }
}

/// A block of bytes.
#[inline(always)]
fn of_bytes<T: Element, S: Simd>(simd: S, bytes: &T::Bytes) -> T::Lanes<S> {
    let mut block = T::Block::default();
    for (to, from) in block.as_mut().iter_mut().zip(bytes.as_ref()) {
        *to = T::from(*from);
    }
    T::Lanes::<S>::load(simd, &block)
}

/// Less than a block of bytes, and 0.
#[inline(always)]
fn few_bytes<T: Element>(bytes: &[u8]) -> T::Bytes {
    let mut block = T::Bytes::default();
    for (to, from) in block.as_mut().iter_mut().zip(bytes) {
        *to = *from;
    }
    block
}

#[cfg(test)]
mod tests;
