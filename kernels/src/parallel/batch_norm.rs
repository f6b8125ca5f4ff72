//! Batch normalisation over a pool, of rows of features: statistics by columns, each summed in row order, maps by rows.
//!
//! Planes, and rows so narrow that several count as one, stay on one thread: their sums run across the whole batch.

use super::{Parallel, bands, cut, cut_mut, fork};
use crate::batch_norm::{Batch, Finish, expect_backward, expect_forward};
use crate::error::expect_len;
use crate::simd::channel_rows::ChannelRows;
use crate::simd::columns::Columns;
use crate::{
    Activation, Affine, AffineGradient, BatchNorm, Channels, Element, Level, RunningMut, Saved, SavedMut,
    ShapeError, batch_norm_backward, batch_norm_backward_in_place, batch_norm_forward,
};

/// The least elements of a piece: some 10 us for each half of the work.
const PIECE: usize = 1 << 16;
/// Bands of columns are multiples of a few cache lines.
const UNIT: usize = 64;

/// How many pieces there may be.
fn pieces<T: Element>(pool: &impl Parallel, channels: Channels) -> usize {
    if channels.inner() > 1 || ChannelRows::of::<T>(channels.outer(), channels.channels()).are_narrow() {
        return 1;
    }
    pool.threads().min(channels.len() / PIECE)
}

/// [`batch_norm_forward`] over a pool, to the same bits, of rows of features that are not few. Below 131,072 values it stays on
/// one thread, as with other layouts.
///
/// ```
/// use slicewise_kernels::{Affine, BatchNorm, Channels, Level, RunningMut, SavedMut, Serial, batch_norm_forward_on};
///
/// let (x, mut y) = ([1.0f32, 10.0, 3.0, 30.0], [0.0; 4]); // 2 rows of 2 features
/// let [mut mean, mut variance, mut batch_mean, mut inv_std] = [[0.0; 2]; 4];
/// let affine = Affine { gamma: &[1.0, 2.0], beta: &[0.0, 0.5] };
/// let running = RunningMut { mean: &mut mean, variance: &mut variance };
/// let saved = SavedMut { mean: &mut batch_mean, inv_std: &mut inv_std };
/// let (level, shape) = (Level::detect(), Channels::last(2, 2));
/// batch_norm_forward_on(&Serial, level, &BatchNorm::CS231N, 0, shape, &x, affine, running, saved, &mut y)?;
/// assert_eq!(batch_mean, [2.0, 20.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// As [`batch_norm_forward`].
pub fn batch_norm_forward_on<T: Element, P: Parallel>(
    pool: &P,
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
    let most = pieces::<T>(pool, channels);
    if most < 2 {
        return batch_norm_forward(level, config, batches_seen, channels, x, affine, running, saved, y);
    }
    let per_channel = expect_forward(channels, x, affine, &running, &saved, y)?;
    let batch = &Batch::new(config, config.momentum.weight(batches_seen), per_channel);
    let (mean, inv_std) = (saved.mean, saved.inv_std);
    // As on one thread, the pivots lie in the first row of y until it is written.
    let (pivot, _) = cut_mut(y, channels.channels());
    let all = [&mut *mean, &mut *inv_std, running.mean, running.variance, pivot];
    columns(
        pool,
        channels,
        most,
        all,
        &|columns, [mean, inv_std, running_mean, running_variance, pivot]| {
            let running = [running_mean, running_variance];
            T::statistics_of_columns(level, batch, columns, x, running, [mean, inv_std], pivot);
        },
    )?;
    let params = [&*mean, inv_std, affine.gamma, affine.beta];
    let finish = &Finish::new(level, Activation::Identity);
    rows(pool, channels, most, [x], y, &|columns, [x], y| {
        T::normalise_rows(level, columns, x, y, params, finish);
    })
}

/// [`batch_norm_backward`] over a pool, to the same bits; see [`batch_norm_forward_on`].
///
/// # Errors
/// As [`batch_norm_backward`].
pub fn batch_norm_backward_on<T: Element, P: Parallel>(
    pool: &P,
    level: Level,
    channels: Channels,
    x: &[T],
    gamma: &[T],
    saved: Saved<'_, T>,
    dy: &[T],
    dx: &mut [T],
    gradient: AffineGradient<'_, T>,
) -> Result<(), ShapeError> {
    let most = pieces::<T>(pool, channels);
    if most < 2 {
        return batch_norm_backward(level, channels, x, gamma, saved, dy, dx, gradient);
    }
    let n = expect_backward(channels, x, gamma, saved, dy.len(), &gradient)?;
    expect_len("dx", channels.len(), dx.len())?;
    let (dgamma, dbeta) = (gradient.gamma, gradient.beta);
    gradients(pool, level, channels, most, [x, dy], gamma, saved, [&mut *dgamma, &mut *dbeta])?;
    let params = [saved.mean, saved.inv_std, gamma, gamma, dgamma, dbeta];
    rows(pool, channels, most, [x, dy], dx, &|columns, [x, dy], dx| {
        T::gradients_of_rows(level, columns, n, x, Some(dy), dx, params);
    })
}

/// [`batch_norm_backward_in_place`] over a pool, to the same bits; see [`batch_norm_forward_on`].
///
/// # Errors
/// As [`batch_norm_backward_in_place`].
pub fn batch_norm_backward_in_place_on<T: Element, P: Parallel>(
    pool: &P,
    level: Level,
    channels: Channels,
    x: &[T],
    gamma: &[T],
    saved: Saved<'_, T>,
    dy: &mut [T],
    gradient: AffineGradient<'_, T>,
) -> Result<(), ShapeError> {
    let most = pieces::<T>(pool, channels);
    if most < 2 {
        return batch_norm_backward_in_place(level, channels, x, gamma, saved, dy, gradient);
    }
    let n = expect_backward(channels, x, gamma, saved, dy.len(), &gradient)?;
    let (dgamma, dbeta) = (gradient.gamma, gradient.beta);
    gradients(pool, level, channels, most, [x, dy], gamma, saved, [&mut *dgamma, &mut *dbeta])?;
    let params = [saved.mean, saved.inv_std, gamma, gamma, dgamma, dbeta];
    rows(pool, channels, most, [x], dy, &|columns, [x], dx| {
        T::gradients_of_rows(level, columns, n, x, None, dx, params);
    })
}

/// `dgamma` and `dbeta`.
fn gradients<T: Element>(
    pool: &impl Parallel,
    level: Level,
    channels: Channels,
    most: usize,
    x: [&[T]; 2],
    gamma: &[T],
    saved: Saved<'_, T>,
    sums: [&mut [T]; 2],
) -> Result<(), ShapeError> {
    columns(pool, channels, most, sums, &|columns, [dgamma, dbeta]| {
        let part = |x| cut(cut(x, columns.first).1, columns.width).0;
        let saved = Saved { mean: part(saved.mean), inv_std: part(saved.inv_std) };
        let affine = Affine { gamma: part(gamma), beta: part(gamma) };
        let gradients = AffineGradient { gamma: dgamma, beta: dbeta };
        T::affine_gradients_of_columns(level, columns, x, affine, saved, gradients);
    })
}

/// Runs `work` on bands of columns and their part of what there is one a column of.
fn columns<T: Element, const N: usize>(
    pool: &impl Parallel,
    channels: Channels,
    most: usize,
    per_column: [&mut [T]; N],
    work: &(impl Fn(Columns, [&mut [T]; N]) + Sync),
) -> Result<(), ShapeError> {
    let (width, count) = bands(channels.channels(), UNIT, most);
    let all = Columns::all(channels.channels());
    fork(
        pool,
        count,
        (all, per_column),
        &|(columns, per_column): (Columns, [&mut [T]; N]), n| {
            let at = n * width;
            let (mut first, mut second) =
                ([(); N].map(|()| Default::default()), [(); N].map(|()| Default::default()));
            for ((x, first), second) in per_column.into_iter().zip(&mut first).zip(&mut second) {
                (*first, *second) = cut_mut(x, at);
            }
            ((columns.part(0, at), first), (columns.part(at, columns.width), second))
        },
        &|(columns, per_column)| {
            work(columns, per_column);
            Ok(())
        },
    )
}

/// Runs `work` on bands of whole rows.
fn rows<T: Element, const N: usize>(
    pool: &impl Parallel,
    channels: Channels,
    most: usize,
    x: [&[T]; N],
    y: &mut [T],
    work: &(impl Fn(Columns, [&[T]; N], &mut [T]) + Sync),
) -> Result<(), ShapeError> {
    let (height, count) = bands(channels.outer(), 2, most);
    let columns = Columns::all(channels.channels());
    fork(
        pool,
        count,
        (x, y),
        &|(x, y): ([&[T]; N], _), n| {
            let at = n * height * columns.pitch;
            let (y, y_rest) = cut_mut(y, at);
            ((x.map(|x| cut(x, at).0), y), (x.map(|x| cut(x, at).1), y_rest))
        },
        &|(x, y): (_, &mut [T])| {
            work(columns, x, y);
            Ok(())
        },
    )
}

#[cfg(test)]
mod tests;
