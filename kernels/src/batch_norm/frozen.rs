//! Batch normalisation with statistics that are held while its neighbours learn, as in fine-tuning.

use super::{AffineGradient, Running, expect_gradient};
use crate::error::expect_len;
use crate::{Channels, Element, Level, ShapeError};

/// The gradients of a loss by `x`, `gamma` and `beta` where the forward pass was an evaluation
/// ([`batch_norm_evaluate`](crate::batch_norm_evaluate)), whose statistics do not depend on the batch:
///
/// ```text
/// inv_std = 1 / sqrt(running_variance + epsilon)
/// dbeta   = sum dy
/// dgamma  = sum dy * (x - running_mean) * inv_std
/// dx      = dy * gamma * inv_std
/// ```
///
/// `x`, `dy`, `dx`: `channels`; all else: one value a channel. Overwrites `dx` and `gradient`. PyTorch's `batch_norm` in `eval` mode.
///
/// # Errors
/// [`ShapeError`] unless every length fits.
pub fn batch_norm_evaluate_backward<T: Element>(
    level: Level,
    epsilon: f64,
    channels: Channels,
    x: &[T],
    gamma: &[T],
    running: Running<'_, T>,
    dy: &[T],
    dx: &mut [T],
    gradient: AffineGradient<'_, T>,
) -> Result<(), ShapeError> {
    expect(channels, x, gamma, running, dy.len(), &gradient)?;
    expect_len("dx", channels.len(), dx.len())?;
    T::frozen_batch_norm_gradients(level, epsilon, channels, x, gamma, running, Some(dy), dx, gradient);
    Ok(())
}

/// [`batch_norm_evaluate_backward`] that turns `dy` into `dx` where it stands, with the same bits.
///
/// ```
/// use slicewise_kernels::{AffineGradient, Channels, Level, Running, batch_norm_evaluate_backward_in_place};
///
/// let (x, mut dy, mut dgamma, mut dbeta) = ([3.0f32, 5.0], [1.0, 2.0], [0.0], [0.0]);
/// let running = Running { mean: &[3.0], variance: &[4.0] };
/// let gradient = AffineGradient { gamma: &mut dgamma, beta: &mut dbeta };
/// let (level, shape) = (Level::detect(), Channels::last(2, 1));
/// batch_norm_evaluate_backward_in_place(level, 0.0, shape, &x, &[6.0], running, &mut dy, gradient)?;
/// assert_eq!((dy, dgamma, dbeta), ([3.0, 6.0], [2.0], [3.0]));
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless every length fits.
pub fn batch_norm_evaluate_backward_in_place<T: Element>(
    level: Level,
    epsilon: f64,
    channels: Channels,
    x: &[T],
    gamma: &[T],
    running: Running<'_, T>,
    dy: &mut [T],
    gradient: AffineGradient<'_, T>,
) -> Result<(), ShapeError> {
    expect(channels, x, gamma, running, dy.len(), &gradient)?;
    T::frozen_batch_norm_gradients(level, epsilon, channels, x, gamma, running, None, dy, gradient);
    Ok(())
}

fn expect<T>(
    channels: Channels,
    x: &[T],
    gamma: &[T],
    running: Running<'_, T>,
    dy: usize,
    gradient: &AffineGradient<'_, T>,
) -> Result<(), ShapeError> {
    expect_len("x", channels.len(), x.len())?;
    expect_len("gamma", channels.channels(), gamma.len())?;
    expect_len("running.mean", channels.channels(), running.mean.len())?;
    expect_len("running.variance", channels.channels(), running.variance.len())?;
    expect_len("dy", channels.len(), dy)?;
    expect_gradient(channels, gradient)
}
