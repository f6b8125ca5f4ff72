//! Preprocessing: fitted on the training split, stored with the model, applied to whatever the network sees.
//!
//! Centring and scaling come to one mean and one factor a feature, whatever the choice: `y = (x - mean) * scale`. For images
//! the default is to centre only (CS231n, "Data Preprocessing"). What is centred can be projected onto its principal components,
//! and whitened: [`add_covariance`], [`project`], [`whitening`].
//!
//! ```
//! use slicewise::preprocess::{Center, Images, Scale, Values, apply, fit};
//! use slicewise::Level;
//!
//! let pixels = [0u8, 10, 20, 30]; // two images of one channel and 1 x 2 pixels
//! let images = Images { n: 2, channels: 1, spatial: 2 };
//! let (mut mean, mut scale) = ([0.0f32; 2], [0.0; 2]);
//! fit(Level::detect(), images, Values::U8(&pixels), Center::Feature, Scale::Factor(0.1), &mut mean, &mut scale)?;
//! assert_eq!(mean, [10.0, 20.0]);
//! let mut x = [0.0; 2];
//! apply(Level::detect(), Values::U8(&pixels[..2]), &mean, &scale, &mut x)?;
//! assert_eq!(x, [-1.0, -1.0]);
//! # Ok::<(), slicewise::Error>(())
//! ```

mod components;

use crate::Error;
use crate::error::expect_len;
use crate::kernels::{
    Channels, Element, Level, center_and_scale_in_place, center_u8, mean_and_std, mean_and_std_u8,
};

pub use components::{
    WHITENING_EPSILON, add_covariance, covariance_scratch_len, project, project_scratch_len, whitening,
};

/// The shape of a data set: `n` images of `channels` planes of `spatial` values. Rows of features are images of one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Images {
    /// The images.
    pub n: usize,
    /// The planes of an image.
    pub channels: usize,
    /// The values of a plane: height times width.
    pub spatial: usize,
}

/// What is subtracted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Center {
    /// Nothing.
    None,
    /// Each feature's mean: the mean image.
    #[default]
    Feature,
    /// Each channel's mean.
    Channel,
}

/// What the centred values are multiplied by.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum Scale {
    /// 1.
    #[default]
    None,
    /// `1 / std` of each feature, or of each channel where that is what is centred; 1 where the standard deviation is 0.
    Std,
    /// A number, such as `1.0 / 255.0`.
    Factor(f64),
}

/// Values as they come: bytes, or real numbers.
#[derive(Clone, Copy, Debug)]
pub enum Values<'a, T> {
    /// Bytes, each worth its value.
    U8(&'a [u8]),
    /// Numbers.
    Real(&'a [T]),
}

/// Fits `mean` and `scale`, one of each a feature, on the training split.
///
/// # Errors
/// [`Error::Shape`] where the values are not as many as the shape says, there are none, or `mean` or `scale` does not have
/// one element a feature.
pub fn fit<T: Element>(
    level: Level,
    images: Images,
    values: Values<'_, T>,
    center: Center,
    factor: Scale,
    mean: &mut [T],
    scale: &mut [T],
) -> Result<(), Error> {
    let features = images.channels.saturating_mul(images.spatial);
    expect_len("mean", features, mean.len())?;
    expect_len("scale", features, scale.len())?;
    let (channels, spread) = match center {
        Center::Channel => (Channels::first(images.n, images.channels, images.spatial), images.spatial),
        Center::None | Center::Feature => (Channels::last(images.n, features), 1),
    };
    let one_each = channels.channels();
    let (means, stds) =
        (mean.get_mut(..one_each).unwrap_or_default(), scale.get_mut(..one_each).unwrap_or_default());
    match values {
        Values::U8(pixels) => mean_and_std_u8(level, channels, pixels, means, stds)?,
        Values::Real(x) => mean_and_std(level, channels, x, means, stds)?,
    }
    for scale in stds {
        *scale = match factor {
            Scale::None => T::from(1),
            Scale::Std if *scale == T::default() => T::from(1),
            Scale::Std => T::from(1) / *scale,
            Scale::Factor(factor) => T::from_f64(factor),
        };
    }
    spread_out(mean, one_each, spread);
    spread_out(scale, one_each, spread);
    if center == Center::None {
        mean.fill(T::default());
    }
    Ok(())
}

/// `y = (x - mean) * scale` for whole rows, one mean and one factor a feature.
///
/// # Errors
/// [`Error::Shape`] where the lengths do not fit; `y` is then untouched.
pub fn apply<T: Element>(
    level: Level,
    values: Values<'_, T>,
    mean: &[T],
    scale: &[T],
    y: &mut [T],
) -> Result<(), Error> {
    let rows = y.len().checked_div(mean.len()).unwrap_or(0);
    let channels = Channels::last(rows, mean.len());
    expect_len("y", channels.len(), y.len())?;
    match values {
        Values::U8(pixels) => center_u8(level, channels, pixels, mean, scale, y)?,
        Values::Real(x) => {
            expect_len("x", y.len(), x.len())?;
            expect_len("scale", mean.len(), scale.len())?;
            for (y, x) in y.iter_mut().zip(x) {
                *y = *x;
            }
            center_and_scale_in_place(level, channels, y, mean, scale)?;
        }
    }
    Ok(())
}

/// From the first `count` elements, each to `spread` elements of its own, in place.
fn spread_out<T: Copy>(x: &mut [T], count: usize, spread: usize) {
    if spread == 1 {
        return;
    }
    // From the last: what is still to be read lies before what is written.
    for c in (0..count).rev() {
        let Some(value) = x.get(c).copied() else { return };
        if let Some(to) = x.get_mut(c * spread..(c + 1) * spread) {
            to.fill(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_share_their_mean_and_a_constant_one_is_not_scaled() {
        let pixels = [1u8, 3, 7, 7, 5, 7, 7, 7]; // two images of two channels of two pixels
        let images = Images { n: 2, channels: 2, spatial: 2 };
        let (mut mean, mut scale) = ([9.0f64; 4], [9.0; 4]);
        fit(Level::Portable, images, Values::U8(&pixels), Center::Channel, Scale::Std, &mut mean, &mut scale)
            .unwrap();
        assert_eq!(mean, [4.0, 4.0, 7.0, 7.0]);
        let std = 5.0f64.sqrt();
        assert_eq!(scale, [1.0 / std, 1.0 / std, 1.0, 1.0]);
        let real = pixels.map(f64::from);
        let (mut real_mean, mut real_scale) = ([0.0; 4], [0.0; 4]);
        let values = Values::Real(&real);
        fit(Level::Portable, images, values, Center::Channel, Scale::Std, &mut real_mean, &mut real_scale)
            .unwrap();
        assert_eq!((real_mean, real_scale), (mean, scale));
    }

    #[test]
    fn nothing_is_subtracted_where_nothing_is_asked_for() {
        let (mut mean, mut scale) = ([9.0f32; 2], [9.0; 2]);
        let images = Images { n: 1, channels: 1, spatial: 2 };
        let values = Values::Real(&[4.0, 5.0]);
        fit(Level::Portable, images, values, Center::None, Scale::Factor(2.0), &mut mean, &mut scale)
            .unwrap();
        let mut y = [0.0; 2];
        apply(Level::Portable, values, &mean, &scale, &mut y).unwrap();
        assert_eq!(y, [8.0, 10.0]);
        assert!(apply(Level::Portable, values, &mean, &scale, &mut y[..1]).is_err());
    }
}
