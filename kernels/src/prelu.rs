//! The rectifier whose slope below 0 is learned.

use crate::error::expect_len;
use crate::once::compiled_once;
use crate::simd::channel_rows::ChannelRows;
use crate::simd::columns::map_columns;
use crate::simd::planes::{TILE, map_planes, sum_planes};
use crate::simd::{Arithmetic, Simd, dispatch};
use crate::{Channels, Element, Level, ShapeError};

/// `y = x` above 0, else `slope[c] * x`: PReLU, with a slope for each channel that training learns (He et al., Delving Deep into
/// Rectifiers, 2015, who start at 0.25).
///
/// `x`, `y`: as `channels` says; `slopes`: one a channel. One slope for everything is `Channels::first(1, 1, x.len())`. One product is rounded.
/// NaN in, NaN out.
///
/// ```
/// use slicewise_kernels::{Channels, Level, prelu};
///
/// let mut y = [0.0f32; 4];
/// prelu(Level::detect(), Channels::last(2, 2), &[-2.0, -2.0, 3.0, 0.0], &[0.25, 0.5], &mut y)?;
/// assert_eq!(y, [-0.5, -1.0, 3.0, 0.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless every length fits `channels`.
pub fn prelu<T: Element>(
    level: Level,
    channels: Channels,
    x: &[T],
    slopes: &[T],
    y: &mut [T],
) -> Result<(), ShapeError> {
    expect_len("x", channels.len(), x.len())?;
    expect_len("slopes", channels.channels(), slopes.len())?;
    expect_len("y", x.len(), y.len())?;
    T::prelu(level, channels, x, slopes, y);
    Ok(())
}

/// The gradients of a loss by `x` and the slopes, from its gradient `dy` by `y`: above 0 `dx = dy`, else `dx = slope[c] * dy`; and
/// `dslope[c] = sum min(x, 0) * dy`.
///
/// `x`: [`prelu`]'s input; `x`, `dy`, `dx`: as `channels` says; `slopes`, `dslopes`: one a channel. At 0 the slope is that below. Sums are in an
/// order that the shape fixes, off by at most `140 EPSILON / 2` of the sum of magnitudes, whatever its length. NaN in, NaN out.
///
/// ```
/// use slicewise_kernels::{Channels, Level, prelu_backward};
///
/// let (x, dy, mut dx, mut dslopes) = ([-2.0f64, 1.0], [1.0, 1.0], [0.0; 2], [0.0]);
/// prelu_backward(Level::detect(), Channels::last(2, 1), &x, &[0.25], &dy, &mut dx, &mut dslopes)?;
/// assert_eq!((dx, dslopes), ([0.25, 1.0], [-2.0]));
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless every length fits `channels`.
pub fn prelu_backward<T: Element>(
    level: Level,
    channels: Channels,
    x: &[T],
    slopes: &[T],
    dy: &[T],
    dx: &mut [T],
    dslopes: &mut [T],
) -> Result<(), ShapeError> {
    expect_len("x", channels.len(), x.len())?;
    expect_len("slopes", channels.channels(), slopes.len())?;
    expect_len("dy", x.len(), dy.len())?;
    expect_len("dx", x.len(), dx.len())?;
    expect_len("dslopes", slopes.len(), dslopes.len())?;
    T::prelu_gradients(level, channels, [x, dy], slopes, dx, dslopes);
    Ok(())
}

compiled_once! {
    /// PReLU.
    trait Prelu {
        /// See [`prelu`].
        fn prelu(level: Level, channels: Channels, x: &[Self], slopes: &[Self], y: &mut [Self]) {
            dispatch!(level, simd => forward_kernel(simd, channels, x, slopes, y));
        }

        /// See [`prelu_backward`].
        fn prelu_gradients(
            level: Level,
            channels: Channels,
            x: [&[Self]; 2],
            slopes: &[Self],
            dx: &mut [Self],
            dslopes: &mut [Self],
        ) {
            dispatch!(level, simd => backward_kernel(simd, channels, x, slopes, dx, dslopes));
        }
    }
}

#[inline(always)]
fn forward_kernel<T: Element, S: Simd>(simd: S, channels: Channels, x: &[T], slopes: &[T], y: &mut [T]) {
    map_channels(
        simd,
        channels,
        [x],
        slopes,
        y,
        #[inline(always)]
        |zero, slope, [x]| T::Lanes::<S>::select(zero.lt(x), x, slope * x),
    );
}

#[inline(always)]
fn backward_kernel<T: Element, S: Simd>(
    simd: S,
    channels: Channels,
    x: [&[T]; 2],
    slopes: &[T],
    dx: &mut [T],
    dslopes: &mut [T],
) {
    sum_channels(simd, channels, x, dslopes);
    map_channels(
        simd,
        channels,
        x,
        slopes,
        dx,
        #[inline(always)]
        |zero, slope, [x, dy]| {
            // A NaN is its own slope.
            let low = T::Lanes::<S>::select(x.le(zero), slope, x);
            T::Lanes::<S>::select(zero.lt(x), dy, low * dy)
        },
    );
}

/// `y = f(0, slope, x)`, each channel with its slope.
#[inline(always)]
fn map_channels<T: Element, S: Simd, const N: usize>(
    simd: S,
    channels: Channels,
    x: [&[T]; N],
    slopes: &[T],
    y: &mut [T],
    f: impl Fn(T::Lanes<S>, T::Lanes<S>, [T::Lanes<S>; N]) -> T::Lanes<S>,
) {
    let zero = T::Lanes::<S>::splat(simd, T::default());
    if channels.inner() > 1 {
        for (i, slopes) in slopes.chunks(TILE).enumerate() {
            map_planes(
                simd,
                channels,
                i * TILE,
                x,
                y,
                [slopes],
                #[inline(always)]
                |[slope], x, _| f(zero, slope, x),
            );
        }
        return;
    }
    let rows = ChannelRows::of::<T>(channels.outer(), channels.channels());
    let mut buffers = None;
    map_columns(
        simd,
        rows.columns,
        x,
        y,
        rows.spread([slopes], &mut buffers),
        #[inline(always)]
        |[slope], x, _| f(zero, slope, x),
    );
}

/// `min(x, 0)` and `dy`. What is above 0 meets no gradient, which may be infinite.
#[inline(always)]
fn terms<T: Element, S: Simd>(simd: S, [x, dy]: [T::Lanes<S>; 2]) -> [T::Lanes<S>; 2] {
    let zero = T::Lanes::<S>::splat(simd, T::default());
    [zero.min(x), T::Lanes::<S>::select(x.lt(zero), dy, zero)]
}

/// `dslopes[c] = sum min(x, 0) * dy`
#[inline(always)]
fn sum_channels<T: Element, S: Simd>(simd: S, channels: Channels, x: [&[T]; 2], dslopes: &mut [T]) {
    if channels.inner() > 1 {
        // The sums of x are of no use here.
        let mut sums = [T::default(); TILE];
        for (i, dslopes) in dslopes.chunks_mut(TILE).enumerate() {
            let sums = sums.get_mut(..dslopes.len()).unwrap_or_default();
            sum_planes(
                simd,
                channels,
                i * TILE,
                x,
                [],
                [sums, dslopes],
                #[inline(always)]
                |x, []| terms::<T, S>(simd, x),
            );
        }
        return;
    }
    ChannelRows::of::<T>(channels.outer(), channels.channels()).sum(
        simd,
        x,
        [],
        [dslopes],
        #[inline(always)]
        |x, []| terms::<T, S>(simd, x),
    );
}

#[cfg(test)]
mod tests;
