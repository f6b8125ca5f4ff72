//! Batch normalisation: training forward and backward, evaluation, folding into a dense layer; with an activation after it
//! (`fused`), and with statistics that are held (`frozen`).
//!
//! For each channel, over its `n` values in the batch (Ioffe and Szegedy, "Batch Normalization: Accelerating Deep
//! Network Training by Reducing Internal Covariate Shift", 2015):
//!
//! ```text
//! mean     = sum x / n
//! variance = sum (x - mean)^2 / n                 biased
//! inv_std  = 1 / sqrt(variance + epsilon)
//! y        = gamma * (x - mean) * inv_std + beta
//! ```

use crate::error::{expect_at_least, expect_len};
use crate::{Activation, Channels, Element, Level, ShapeError};

mod backward;
mod config;
mod evaluation;
mod forward;
mod frozen;
mod fused;
mod kernels;

pub use config::{BatchNorm, Momentum, RunningVariance};
pub(crate) use forward::{Batch, Finish, normalise};
pub use frozen::{batch_norm_evaluate_backward, batch_norm_evaluate_backward_in_place};
pub use fused::{
    batch_norm_activation_backward, batch_norm_activation_backward_in_place, batch_norm_activation_forward,
};
pub(crate) use kernels::NormaliseBatch;

/// The learned scale and shift, one of each a channel.
#[derive(Clone, Copy, Debug)]
pub struct Affine<'a, T> {
    /// The scale: 1 at first.
    pub gamma: &'a [T],
    /// The shift: 0 at first.
    pub beta: &'a [T],
}

/// The gradients of [`Affine`].
#[derive(Debug)]
pub struct AffineGradient<'a, T> {
    /// `sum dy * (x - mean) * inv_std`.
    pub gamma: &'a mut [T],
    /// `sum dy`.
    pub beta: &'a mut [T],
}

/// The running statistics, one of each a channel, to evaluate with.
#[derive(Clone, Copy, Debug)]
pub struct Running<'a, T> {
    /// The running mean.
    pub mean: &'a [T],
    /// The running variance.
    pub variance: &'a [T],
}

/// The running statistics, to update.
#[derive(Debug)]
pub struct RunningMut<'a, T> {
    /// The running mean: 0 at first.
    pub mean: &'a mut [T],
    /// The running variance: 1 at first (0 in CS231n).
    pub variance: &'a mut [T],
}

/// The batch's statistics, kept from the forward pass for the backward one.
#[derive(Clone, Copy, Debug)]
pub struct Saved<'a, T> {
    /// The batch's mean.
    pub mean: &'a [T],
    /// `1 / sqrt(variance + epsilon)`.
    pub inv_std: &'a [T],
}

/// The batch's statistics, to fill in.
#[derive(Debug)]
pub struct SavedMut<'a, T> {
    /// The batch's mean.
    pub mean: &'a mut [T],
    /// `1 / sqrt(variance + epsilon)`.
    pub inv_std: &'a mut [T],
}

/// Normalises a batch by its own statistics: `y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`, a channel at
/// a time.
///
/// `x`, `y`: `channels`; all else: one value a channel. Overwrites `saved` and `y`, updates `running`
/// by the batch's weight [`config.momentum.weight(batches_seen)`](Momentum::weight); `batches_seen` counts the batches
/// before this one, and matters for [`Momentum::Cumulative`] alone.
///
/// ```
/// use slicewise_kernels::{Affine, BatchNorm, Channels, Level, RunningMut, SavedMut, batch_norm_forward};
///
/// let x = [1.0f32, 10.0, 3.0, 30.0]; // 2 rows of 2 features
/// let (mut running_mean, mut running_variance) = ([0.0; 2], [1.0; 2]);
/// let (mut mean, mut inv_std, mut y) = ([0.0; 2], [0.0; 2], [0.0; 4]);
/// batch_norm_forward(
///     Level::detect(),
///     &BatchNorm::DEFAULT,
///     0,
///     Channels::last(2, 2),
///     &x,
///     Affine { gamma: &[1.0, 2.0], beta: &[0.0, 0.5] },
///     RunningMut { mean: &mut running_mean, variance: &mut running_variance },
///     SavedMut { mean: &mut mean, inv_std: &mut inv_std },
///     &mut y,
/// )?;
/// assert_eq!(mean, [2.0, 20.0]);
/// assert!(y.iter().zip([-1.0, -1.5, 1.0, 2.5]).all(|(y, z)| (y - z).abs() < 1e-4));
/// assert!((running_mean[1] - 2.0).abs() < 1e-6 && (running_variance[0] - 1.1).abs() < 1e-6);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless every length fits, and where a channel has fewer than two values: a batch of one has no
/// variance to divide by.
pub fn batch_norm_forward<T: Element>(
    level: Level,
    config: &BatchNorm,
    batches_seen: u64,
    channels: Channels,
    x: &[T],
    affine: Affine<'_, T>,
    running: RunningMut<'_, T>,
    saved: SavedMut<'_, T>,
    y: &mut [T],
) -> Result<(), ShapeError> {
    let activation = Activation::Identity;
    batch_norm_activation_forward(
        level,
        config,
        batches_seen,
        channels,
        x,
        affine,
        running,
        activation,
        saved,
        y,
    )
}

/// Normalises by the running statistics: `y = gamma * (x - running_mean) / sqrt(running_variance + epsilon) + beta`.
///
/// An affine map of each value by itself: its bits do not depend on the rest of the batch. Layouts as in
/// [`batch_norm_forward`].
///
/// ```
/// use slicewise_kernels::{Affine, Channels, Level, Running, batch_norm_evaluate};
///
/// let (affine, running) = (Affine { gamma: &[2.0], beta: &[1.0] }, Running { mean: &[3.0], variance: &[4.0] });
/// let mut y = [0.0f32; 2];
/// batch_norm_evaluate(Level::detect(), 0.0, Channels::last(2, 1), &[3.0, 5.0], affine, running, &mut y)?;
/// assert_eq!(y, [1.0, 3.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless every length fits.
pub fn batch_norm_evaluate<T: Element>(
    level: Level,
    epsilon: f64,
    channels: Channels,
    x: &[T],
    affine: Affine<'_, T>,
    running: Running<'_, T>,
    y: &mut [T],
) -> Result<(), ShapeError> {
    expect_len("x", channels.len(), x.len())?;
    expect_evaluation(channels, affine, running)?;
    expect_len("y", channels.len(), y.len())?;
    T::frozen_batch_norm(level, epsilon, channels, Some(x), affine, running, y);
    Ok(())
}

/// [`batch_norm_evaluate`] that overwrites its input, with the same bits.
///
/// ```
/// use slicewise_kernels::{Affine, Channels, Level, Running, batch_norm_evaluate_in_place};
///
/// let (affine, running) = (Affine { gamma: &[2.0], beta: &[1.0] }, Running { mean: &[3.0], variance: &[4.0] });
/// let mut x = [3.0f32, 5.0];
/// batch_norm_evaluate_in_place(Level::detect(), 0.0, Channels::last(2, 1), &mut x, affine, running)?;
/// assert_eq!(x, [1.0, 3.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless every length fits.
pub fn batch_norm_evaluate_in_place<T: Element>(
    level: Level,
    epsilon: f64,
    channels: Channels,
    x: &mut [T],
    affine: Affine<'_, T>,
    running: Running<'_, T>,
) -> Result<(), ShapeError> {
    expect_len("x", channels.len(), x.len())?;
    expect_evaluation(channels, affine, running)?;
    T::frozen_batch_norm(level, epsilon, channels, None, affine, running, x);
    Ok(())
}

/// The gradients of a loss by `x`, `gamma` and `beta`, from its gradient `dy` by `y`, through the batch's statistics.
///
/// With `z = (x - mean) * inv_std`, `n` values a channel:
///
/// ```text
/// dbeta  = sum dy
/// dgamma = sum dy * z
/// dx     = gamma * inv_std * (dy - dbeta / n - z * dgamma / n)
/// ```
///
/// `x` and `saved` are those of the forward pass. Overwrites `dx` and `gradient`.
///
/// # Errors
/// [`ShapeError`] unless every length fits, and where a channel has fewer than two values.
pub fn batch_norm_backward<T: Element>(
    level: Level,
    channels: Channels,
    x: &[T],
    gamma: &[T],
    saved: Saved<'_, T>,
    dy: &[T],
    dx: &mut [T],
    gradient: AffineGradient<'_, T>,
) -> Result<(), ShapeError> {
    let n = expect_backward(channels, x, gamma, saved, dy.len(), &gradient)?;
    expect_len("dx", channels.len(), dx.len())?;
    let affine = Affine { gamma, beta: gamma };
    T::batch_norm_gradients(
        level,
        channels,
        n,
        x,
        affine,
        Activation::Identity,
        saved,
        Some(dy),
        dx,
        gradient,
    );
    Ok(())
}

/// [`batch_norm_backward`] that turns `dy` into `dx` where it stands, with the same bits.
///
/// ```
/// use slicewise_kernels::{AffineGradient, Channels, Level, Saved, batch_norm_backward_in_place};
///
/// let (x, mut dy, mut dgamma, mut dbeta) = ([-1.0f32, 1.0], [1.0, 2.0], [0.0], [0.0]);
/// let saved = Saved { mean: &[0.0], inv_std: &[1.0] };
/// let gradient = AffineGradient { gamma: &mut dgamma, beta: &mut dbeta };
/// batch_norm_backward_in_place(Level::detect(), Channels::last(2, 1), &x, &[1.0], saved, &mut dy, gradient)?;
/// // Two values in a batch are always -1 and 1: no input changes that.
/// assert_eq!((dy, dgamma, dbeta), ([0.0, 0.0], [1.0], [3.0]));
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless every length fits, and where a channel has fewer than two values.
pub fn batch_norm_backward_in_place<T: Element>(
    level: Level,
    channels: Channels,
    x: &[T],
    gamma: &[T],
    saved: Saved<'_, T>,
    dy: &mut [T],
    gradient: AffineGradient<'_, T>,
) -> Result<(), ShapeError> {
    let n = expect_backward(channels, x, gamma, saved, dy.len(), &gradient)?;
    let affine = Affine { gamma, beta: gamma };
    T::batch_norm_gradients(level, channels, n, x, affine, Activation::Identity, saved, None, dy, gradient);
    Ok(())
}

/// Writes the evaluation of a batch normalisation into the dense layer before it, so that
/// `x * weight + bias` gives what the two gave together.
///
/// ```text
/// scale        = gamma / sqrt(running_variance + epsilon)
/// weight[i][j] = weight[i][j] * scale[j]
/// bias[j]      = (bias[j] - running_mean[j]) * scale[j] + beta[j]
/// ```
///
/// `weight`: (inputs, outputs) row-major, any number of inputs; `bias` and all else: (outputs).
///
/// # Errors
/// [`ShapeError`] unless `weight` holds whole rows of as many values as `bias`, and every other length is that one.
pub fn batch_norm_fold<T: Element>(
    level: Level,
    epsilon: f64,
    affine: Affine<'_, T>,
    running: Running<'_, T>,
    weight: &mut [T],
    bias: &mut [T],
) -> Result<(), ShapeError> {
    let outputs = bias.len();
    let inputs = weight.len().checked_div(outputs).unwrap_or(0);
    let channels = Channels::last(inputs, outputs);
    expect_len("weight", channels.len(), weight.len())?;
    expect_evaluation(channels, affine, running)?;
    T::fold_batch_norm(level, epsilon, affine, running, weight, bias);
    Ok(())
}

/// The number of values in each channel, where a variance can be taken of them.
fn two_or_more(channels: Channels) -> Result<f64, ShapeError> {
    let n = channels.per_channel();
    expect_at_least("channels.per_channel()", 2, n)?;
    #[expect(clippy::cast_precision_loss, reason = "a divisor, rounded")]
    Ok(n as f64)
}

/// The number of values in each channel, where all lengths fit.
pub(crate) fn expect_forward<T>(
    channels: Channels,
    x: &[T],
    affine: Affine<'_, T>,
    running: &RunningMut<'_, T>,
    saved: &SavedMut<'_, T>,
    y: &[T],
) -> Result<f64, ShapeError> {
    let per_channel = two_or_more(channels)?;
    expect_len("x", channels.len(), x.len())?;
    expect_affine(channels, affine)?;
    expect_len("running.mean", channels.channels(), running.mean.len())?;
    expect_len("running.variance", channels.channels(), running.variance.len())?;
    expect_len("saved.mean", channels.channels(), saved.mean.len())?;
    expect_len("saved.inv_std", channels.channels(), saved.inv_std.len())?;
    expect_len("y", channels.len(), y.len())?;
    Ok(per_channel)
}

fn expect_affine<T>(channels: Channels, affine: Affine<'_, T>) -> Result<(), ShapeError> {
    expect_len("affine.gamma", channels.channels(), affine.gamma.len())?;
    expect_len("affine.beta", channels.channels(), affine.beta.len())
}

fn expect_evaluation<T>(
    channels: Channels,
    affine: Affine<'_, T>,
    running: Running<'_, T>,
) -> Result<(), ShapeError> {
    expect_affine(channels, affine)?;
    expect_len("running.mean", channels.channels(), running.mean.len())?;
    expect_len("running.variance", channels.channels(), running.variance.len())
}

pub(crate) fn expect_backward<T>(
    channels: Channels,
    x: &[T],
    gamma: &[T],
    saved: Saved<'_, T>,
    dy: usize,
    gradient: &AffineGradient<'_, T>,
) -> Result<T, ShapeError>
where
    T: Element,
{
    let n = two_or_more(channels)?;
    expect_len("x", channels.len(), x.len())?;
    expect_len("gamma", channels.channels(), gamma.len())?;
    expect_len("saved.mean", channels.channels(), saved.mean.len())?;
    expect_len("saved.inv_std", channels.channels(), saved.inv_std.len())?;
    expect_len("dy", channels.len(), dy)?;
    expect_gradient(channels, gradient)?;
    Ok(T::from_f64(n))
}

fn expect_gradient<T>(channels: Channels, gradient: &AffineGradient<'_, T>) -> Result<(), ShapeError> {
    expect_len("gradient.gamma", channels.channels(), gradient.gamma.len())?;
    expect_len("gradient.beta", channels.channels(), gradient.beta.len())
}

#[cfg(test)]
mod tests;
