//! Batch normalisation and the activation after it as one: nothing is kept of the values between them.

use super::forward::{Batch, Finish};
use super::{
    Affine, AffineGradient, BatchNorm, RunningMut, Saved, SavedMut, expect_affine, expect_backward,
    expect_forward,
};
use crate::error::expect_len;
use crate::{Activation, Channels, Element, Level, ShapeError};

/// Normalises a batch and applies an activation: `y = f(gamma * (x - mean) / sqrt(variance + epsilon) + beta)`.
///
/// The bits are those of [`batch_norm_forward`](crate::batch_norm_forward) and [`activate_in_place`](crate::activate_in_place) after it, and
/// so are the arguments. ReLU costs nothing, for it is applied in registers; the others go over pieces of `y` that are still in cache.
///
/// ```
/// use slicewise_kernels::{Activation, Affine, BatchNorm, Channels, Level, RunningMut, SavedMut};
/// use slicewise_kernels::batch_norm_activation_forward;
///
/// let x = [1.0f32, 10.0, 3.0, 30.0]; // 2 rows of 2 features
/// let (mut running_mean, mut running_variance) = ([0.0; 2], [1.0; 2]);
/// let (mut mean, mut inv_std, mut y) = ([0.0; 2], [0.0; 2], [0.0; 4]);
/// batch_norm_activation_forward(
///     Level::detect(),
///     &BatchNorm::DEFAULT,
///     0,
///     Channels::last(2, 2),
///     &x,
///     Affine { gamma: &[1.0, 2.0], beta: &[0.0, 0.5] },
///     RunningMut { mean: &mut running_mean, variance: &mut running_variance },
///     Activation::Relu,
///     SavedMut { mean: &mut mean, inv_std: &mut inv_std },
///     &mut y,
/// )?;
/// assert!(y.iter().zip([0.0, 0.0, 1.0, 2.5]).all(|(y, z)| (y - z).abs() < 1e-4));
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// As [`batch_norm_forward`](crate::batch_norm_forward).
pub fn batch_norm_activation_forward<T: Element>(
    level: Level,
    config: &BatchNorm,
    batches_seen: u64,
    channels: Channels,
    x: &[T],
    affine: Affine<'_, T>,
    running: RunningMut<'_, T>,
    activation: Activation,
    saved: SavedMut<'_, T>,
    y: &mut [T],
) -> Result<(), ShapeError> {
    let per_channel = expect_forward(channels, x, affine, &running, &saved, y)?;
    let batch = &Batch::new(config, config.momentum.weight(batches_seen), per_channel);
    let finish = &Finish::new(level, activation);
    T::batch_norm(level, batch, channels, x, affine, running, saved, y, finish);
    Ok(())
}

/// The gradients of a loss by `x`, `gamma` and `beta`, from its gradient `dy` by the activation's output: those of
/// [`batch_norm_backward`](crate::batch_norm_backward) from `dz`, where
///
/// ```text
/// z  = gamma * (x - mean) * inv_std + beta
/// dz = dy * f'(z)
/// ```
///
/// `x`, `affine` and `saved` are those of the forward pass, whose output is not needed: `z` is computed again. The bits are those of
/// [`activation_backward_from_input`](crate::activation_backward_from_input) and
/// [`batch_norm_backward`](crate::batch_norm_backward) after it; with ReLU nothing but `dx` is written to memory. Overwrites `dx` and
/// `gradient`.
///
/// # Errors
/// As [`batch_norm_backward`](crate::batch_norm_backward), and unless `affine.beta` has one value a channel.
pub fn batch_norm_activation_backward<T: Element>(
    level: Level,
    channels: Channels,
    x: &[T],
    affine: Affine<'_, T>,
    activation: Activation,
    saved: Saved<'_, T>,
    dy: &[T],
    dx: &mut [T],
    gradient: AffineGradient<'_, T>,
) -> Result<(), ShapeError> {
    let n = expect_fused(channels, x, affine, saved, dy.len(), &gradient)?;
    expect_len("dx", channels.len(), dx.len())?;
    T::batch_norm_gradients(level, channels, n, x, affine, activation, saved, Some(dy), dx, gradient);
    Ok(())
}

/// [`batch_norm_activation_backward`] that turns `dy` into `dx` where it stands, with the same bits.
///
/// ```
/// use slicewise_kernels::{Activation, Affine, AffineGradient, Channels, Level, Saved};
/// use slicewise_kernels::batch_norm_activation_backward_in_place;
///
/// let (x, mut dy, mut dgamma, mut dbeta) = ([-1.0f32, 1.0], [1.0, 2.0], [0.0], [0.0]);
/// let (affine, saved) = (Affine { gamma: &[1.0], beta: &[0.0] }, Saved { mean: &[0.0], inv_std: &[1.0] });
/// let gradient = AffineGradient { gamma: &mut dgamma, beta: &mut dbeta };
/// let (level, relu) = (Level::detect(), Activation::Relu);
/// batch_norm_activation_backward_in_place(level, Channels::last(2, 1), &x, affine, relu, saved, &mut dy, gradient)?;
/// assert_eq!((dgamma, dbeta), ([2.0], [2.0])); // of the second value alone
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// As [`batch_norm_activation_backward`].
pub fn batch_norm_activation_backward_in_place<T: Element>(
    level: Level,
    channels: Channels,
    x: &[T],
    affine: Affine<'_, T>,
    activation: Activation,
    saved: Saved<'_, T>,
    dy: &mut [T],
    gradient: AffineGradient<'_, T>,
) -> Result<(), ShapeError> {
    let n = expect_fused(channels, x, affine, saved, dy.len(), &gradient)?;
    T::batch_norm_gradients(level, channels, n, x, affine, activation, saved, None, dy, gradient);
    Ok(())
}

fn expect_fused<T: Element>(
    channels: Channels,
    x: &[T],
    affine: Affine<'_, T>,
    saved: Saved<'_, T>,
    dy: usize,
    gradient: &AffineGradient<'_, T>,
) -> Result<T, ShapeError> {
    let n = expect_backward(channels, x, affine.gamma, saved, dy, gradient)?;
    expect_affine(channels, affine)?;
    Ok(n)
}
