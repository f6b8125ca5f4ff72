//! The kernels of batch normalisation. Channels-last data goes panel by panel, planes channel by channel.

use super::parts::{column_gradients, column_statistics, map_gradients, map_normalised};
use super::{Affine, AffineGradient, BatchNorm, Running, RunningMut, RunningVariance, Saved, SavedMut};
use crate::moments::{Narrow, narrow_moments, plane_moments};
use crate::simd::apply::map;
use crate::simd::columns::{Columns, WIDTH, map_columns, sum_columns};
use crate::simd::planes::{TILE, map_planes, sum_planes};
use crate::simd::{Lanes, Simd};
use crate::{Channels, Element};

/// What finishes a batch's statistics.
pub(crate) struct Batch<T> {
    pub(super) n: T,
    epsilon: T,
    /// The weight of the running statistics, and of the batch.
    keep: T,
    weight: T,
    /// The running variance's ratio to the biased one.
    bias: T,
}

impl<T: Element> Batch<T> {
    pub(crate) fn new(config: &BatchNorm, weight: f64, n: f64) -> Self {
        let bias = match config.running_variance {
            RunningVariance::Unbiased => n / (n - 1.0),
            RunningVariance::Biased => 1.0,
        };
        Self {
            n: T::from_f64(n),
            epsilon: T::from_f64(config.epsilon),
            keep: T::from_f64(1.0 - weight),
            weight: T::from_f64(weight),
            bias: T::from_f64(bias),
        }
    }

    /// Turns variances into `inv_std`, and brings the running statistics up to date.
    #[inline(always)]
    pub(super) fn finish<S: Simd>(&self, simd: S, mean: &[T], variance: &mut [T], running: [&mut [T]; 2]) {
        let one = T::Lanes::<S>::splat(simd, T::from(1));
        let epsilon = T::Lanes::<S>::splat(simd, self.epsilon);
        let keep = T::Lanes::<S>::splat(simd, self.keep);
        let weight = T::Lanes::<S>::splat(simd, self.weight);
        let bias = T::Lanes::<S>::splat(simd, self.bias);
        let [running_mean, running_variance] = running;
        map(
            simd,
            [mean],
            [variance, running_mean, running_variance],
            #[inline(always)]
            |[mean], [variance, running_mean, running_variance]| {
                [
                    one / (variance + epsilon).sqrt(),
                    mean.mul_add(weight, running_mean * keep),
                    (variance * bias).mul_add(weight, running_variance * keep),
                ]
            },
        );
    }
}

/// `(x - mean) * (inv_std * gamma) + beta`.
#[inline(always)]
pub(crate) fn normalise<T: Element, S: Simd>(
    [mean, inv_std, gamma, beta]: [T::Lanes<S>; 4],
    x: T::Lanes<S>,
) -> T::Lanes<S> {
    (x - mean).mul_add(inv_std * gamma, beta)
}

#[inline(always)]
pub(super) fn forward_kernel<T: Element, S: Simd>(
    simd: S,
    batch: &Batch<T>,
    channels: Channels,
    x: &[T],
    affine: Affine<'_, T>,
    running: RunningMut<'_, T>,
    saved: SavedMut<'_, T>,
    y: &mut [T],
) {
    let (mean, inv_std) = (saved.mean, saved.inv_std);
    let (outer, count) = (channels.outer(), channels.channels());
    if channels.inner() > 1 {
        let statistics = mean.chunks_mut(TILE).zip(inv_std.chunks_mut(TILE));
        let running = running.mean.chunks_mut(TILE).zip(running.variance.chunks_mut(TILE));
        let affine = affine.gamma.chunks(TILE).zip(affine.beta.chunks(TILE));
        for (i, (((mean, inv_std), (running_mean, running_variance)), (gamma, beta))) in
            statistics.zip(running).zip(affine).enumerate()
        {
            plane_moments(simd, channels, i * TILE, x, batch.n, [&mut *mean, &mut *inv_std]);
            batch.finish(simd, mean, inv_std, [running_mean, running_variance]);
            map_planes(
                simd,
                channels,
                i * TILE,
                [x],
                y,
                [mean, inv_std, gamma, beta],
                #[inline(always)]
                |params, [x], _| normalise::<T, S>(params, x),
            );
        }
        return;
    }
    let mut buffers;
    let mut columns = Columns::all(count);
    let params: [&[T]; 4];
    if let Some(narrow) = Narrow::of::<T>(outer, count) {
        narrow_moments(simd, narrow, x, batch.n, [&mut *mean, &mut *inv_std]);
        batch.finish(simd, mean, inv_std, [running.mean, running.variance]);
        buffers = [[T::default(); WIDTH]; 4];
        for (to, from) in buffers.iter_mut().zip([&*mean, inv_std, affine.gamma, affine.beta]) {
            narrow.spread(from, to);
        }
        columns = narrow.columns;
        params = buffers.each_ref().map(|b| &b[..]);
    } else {
        // The pivots lie in the first row of y until it is written.
        let pivot = y.get_mut(..count).unwrap_or_default();
        let running = [running.mean, running.variance];
        column_statistics(simd, batch, columns, x, running, [&mut *mean, &mut *inv_std], pivot);
        params = [mean, inv_std, affine.gamma, affine.beta];
    }
    map_normalised(simd, columns, x, y, params);
}

/// Columns whose scales an evaluation computes at a time.
const SCALES: usize = 1024;

#[inline(always)]
pub(super) fn evaluate_kernel<T: Element, S: Simd>(
    simd: S,
    epsilon: T,
    channels: Channels,
    x: Option<&[T]>,
    affine: Affine<'_, T>,
    running: Running<'_, T>,
    y: &mut [T],
) {
    let mut scales = [T::default(); SCALES];
    let narrow =
        if channels.inner() == 1 { Narrow::of::<T>(channels.outer(), channels.channels()) } else { None };
    let mut buffers;
    let affine = affine.gamma.chunks(SCALES).zip(affine.beta.chunks(SCALES));
    let running = running.mean.chunks(SCALES).zip(running.variance.chunks(SCALES));
    for (i, ((gamma, beta), (mean, variance))) in affine.zip(running).enumerate() {
        let Some(scale) = scales.get_mut(..mean.len()) else { return };
        evaluation_scale(simd, epsilon, [gamma, variance], scale);
        let mut params = [mean, scale, beta];
        if channels.inner() > 1 {
            match x {
                Some(x) => map_planes(
                    simd,
                    channels,
                    i * SCALES,
                    [x],
                    y,
                    params,
                    #[inline(always)]
                    |params, [x], _| evaluate::<T, S>(params, x),
                ),
                None => map_planes(
                    simd,
                    channels,
                    i * SCALES,
                    [],
                    y,
                    params,
                    #[inline(always)]
                    |params, [], x| evaluate::<T, S>(params, x),
                ),
            }
            continue;
        }
        let mut columns = Columns::all(channels.channels()).part(i * SCALES, SCALES);
        if let Some(narrow) = narrow {
            buffers = [[T::default(); WIDTH]; 3];
            for (to, from) in buffers.iter_mut().zip(params) {
                narrow.spread(from, to);
            }
            columns = narrow.columns;
            params = buffers.each_ref().map(|b| &b[..]);
        }
        match x {
            Some(x) => map_columns(
                simd,
                columns,
                [x],
                y,
                params,
                #[inline(always)]
                |params, [x], _| evaluate::<T, S>(params, x),
            ),
            None => map_columns(
                simd,
                columns,
                [],
                y,
                params,
                #[inline(always)]
                |params, [], x| evaluate::<T, S>(params, x),
            ),
        }
    }
}

/// `(x - mean) * scale + beta`.
#[inline(always)]
fn evaluate<T: Element, S: Simd>([mean, scale, beta]: [T::Lanes<S>; 3], x: T::Lanes<S>) -> T::Lanes<S> {
    (x - mean).mul_add(scale, beta)
}

/// `gamma / sqrt(variance + epsilon)`.
#[inline(always)]
fn evaluation_scale<T: Element, S: Simd>(simd: S, epsilon: T, x: [&[T]; 2], scale: &mut [T]) {
    let epsilon = T::Lanes::<S>::splat(simd, epsilon);
    map(
        simd,
        x,
        [scale],
        #[inline(always)]
        |[gamma, variance], _| [gamma / (variance + epsilon).sqrt()],
    );
}

/// What the gradient is summed of: `dy` and `dy * (x - mean)`.
#[inline(always)]
pub(super) fn gradient_terms<T: Element, S: Simd>(
    [x, dy]: [T::Lanes<S>; 2],
    mean: T::Lanes<S>,
) -> [T::Lanes<S>; 2] {
    [dy, x - mean]
}

/// `dx`, with `1 / n`.
#[inline(always)]
pub(super) fn gradient<T: Element, S: Simd>(
    per_n: T::Lanes<S>,
    [mean, inv_std, gamma, dgamma, dbeta]: [T::Lanes<S>; 5],
    x: T::Lanes<S>,
    dy: T::Lanes<S>,
) -> T::Lanes<S> {
    let slope = dgamma * inv_std * per_n;
    (gamma * inv_std) * (x - mean).neg_mul_add(slope, dbeta.neg_mul_add(per_n, dy))
}

/// From the sum of `dy * (x - mean)` to that of `dy * z`.
#[inline(always)]
pub(super) fn finish_gamma<T: Element, S: Simd>(simd: S, inv_std: &[T], dgamma: &mut [T]) {
    map(
        simd,
        [inv_std],
        [dgamma],
        #[inline(always)]
        |[inv_std], [dgamma]| [dgamma * inv_std],
    );
}

#[inline(always)]
pub(super) fn backward_kernel<T: Element, S: Simd>(
    simd: S,
    channels: Channels,
    n: T,
    x: &[T],
    gamma: &[T],
    saved: Saved<'_, T>,
    dy: Option<&[T]>,
    dx: &mut [T],
    gradients: AffineGradient<'_, T>,
) {
    let per_n = T::Lanes::<S>::splat(simd, T::from(1) / n);
    let (dgamma, dbeta) = (gradients.gamma, gradients.beta);
    let (outer, count) = (channels.outer(), channels.channels());
    if channels.inner() > 1 {
        let statistics = saved.mean.chunks(TILE).zip(saved.inv_std.chunks(TILE)).zip(gamma.chunks(TILE));
        let gradients = dgamma.chunks_mut(TILE).zip(dbeta.chunks_mut(TILE));
        for (i, (((mean, inv_std), gamma), (dgamma, dbeta))) in statistics.zip(gradients).enumerate() {
            let first = i * TILE;
            let sums = [&mut *dbeta, &mut *dgamma];
            sum_planes(simd, channels, first, [x, dy.unwrap_or(dx)], mean, sums, gradient_terms::<T, S>);
            finish_gamma(simd, inv_std, dgamma);
            let params = [mean, inv_std, gamma, dgamma, dbeta];
            match dy {
                Some(dy) => map_planes(
                    simd,
                    channels,
                    first,
                    [x, dy],
                    dx,
                    params,
                    #[inline(always)]
                    |params, [x, dy], _| gradient::<T, S>(per_n, params, x, dy),
                ),
                None => map_planes(
                    simd,
                    channels,
                    first,
                    [x],
                    dx,
                    params,
                    #[inline(always)]
                    |params, [x], dy| gradient::<T, S>(per_n, params, x, dy),
                ),
            }
        }
        return;
    }
    let mut buffers;
    let mut columns = Columns::all(count);
    let params: [&[T]; 5];
    if let Some(narrow) = Narrow::of::<T>(outer, count) {
        columns = narrow.columns;
        buffers = [[T::default(); WIDTH]; 5];
        let [means, sums, products, ..] = buffers.each_mut().map(
            #[inline(always)]
            |b| b.get_mut(..columns.width).unwrap_or_default(),
        );
        narrow.spread(saved.mean, means);
        sum_columns(
            simd,
            columns,
            [x, dy.unwrap_or(dx)],
            means,
            [&mut *sums, &mut *products],
            gradient_terms::<T, S>,
        );
        narrow.join(simd, sums);
        narrow.join(simd, products);
        for (to, from) in [(&mut *dbeta, sums), (&mut *dgamma, products)] {
            for (to, from) in to.iter_mut().zip(from) {
                *to = *from;
            }
        }
        finish_gamma(simd, saved.inv_std, dgamma);
        for (to, from) in buffers.iter_mut().zip([saved.mean, saved.inv_std, gamma, &*dgamma, &*dbeta]) {
            narrow.spread(from, to);
        }
        params = buffers.each_ref().map(|b| &b[..]);
    } else {
        let gradients = AffineGradient { gamma: &mut *dgamma, beta: &mut *dbeta };
        column_gradients(simd, columns, [x, dy.unwrap_or(dx)], saved, gradients);
        params = [saved.mean, saved.inv_std, gamma, dgamma, dbeta];
    }
    map_gradients(simd, columns, n, x, dy, dx, params);
}

#[inline(always)]
pub(super) fn fold_kernel<T: Element, S: Simd>(
    simd: S,
    epsilon: T,
    affine: Affine<'_, T>,
    running: Running<'_, T>,
    weight: &mut [T],
    bias: &mut [T],
) {
    let outputs = Columns::all(bias.len());
    let mut scales = [T::default(); SCALES];
    let affine = affine.gamma.chunks(SCALES).zip(affine.beta.chunks(SCALES));
    let running = running.mean.chunks(SCALES).zip(running.variance.chunks(SCALES));
    let all = affine.zip(running).zip(bias.chunks_mut(SCALES));
    for (i, (((gamma, beta), (mean, variance)), bias)) in all.enumerate() {
        let Some(scale) = scales.get_mut(..bias.len()) else { return };
        evaluation_scale(simd, epsilon, [gamma, variance], scale);
        map(
            simd,
            [mean, scale, beta],
            [bias],
            #[inline(always)]
            |[mean, scale, beta], [bias]| [evaluate::<T, S>([mean, scale, beta], bias)],
        );
        map_columns(
            simd,
            outputs.part(i * SCALES, SCALES),
            [],
            weight,
            [scale],
            #[inline(always)]
            |[scale], [], weight| weight * scale,
        );
    }
}
