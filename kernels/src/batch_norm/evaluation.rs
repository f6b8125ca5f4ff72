//! The kernels of evaluation: statistics that are known before.

use super::backward::{sum_plane_gradients, sum_row_gradients};
use super::forward::{SCALES, Scales, evaluate, part_of};
use super::{Affine, AffineGradient, Running};
use crate::simd::apply::map;
use crate::simd::channel_rows::ChannelRows;
use crate::simd::columns::{Columns, map_columns};
use crate::simd::planes::{TILE, map_planes};
use crate::simd::{Arithmetic, Simd};
use crate::{Channels, Element};

/// `y = (x - mean) * scale + beta`; `x` is `y` where there is none.
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
    let params = [running.variance, running.mean, affine.beta];
    map_scaled(
        simd,
        epsilon,
        channels,
        x,
        affine.gamma,
        params,
        y,
        #[inline(always)]
        |[scale, mean, beta], x| evaluate::<T, S>([mean, scale, beta], x),
    );
}

/// `dgamma`, `dbeta` and `dx = dy * scale`; `dy` is `dx` where there is none.
#[inline(always)]
pub(super) fn evaluate_backward_kernel<T: Element, S: Simd>(
    simd: S,
    epsilon: T,
    channels: Channels,
    x: &[T],
    gamma: &[T],
    running: Running<'_, T>,
    dy: Option<&[T]>,
    dx: &mut [T],
    gradient: AffineGradient<'_, T>,
) {
    let (dgamma, dbeta) = (gradient.gamma, gradient.beta);
    let operands = [x, dy.unwrap_or(dx)];
    // Only the mean is read.
    let params = [running.mean; 4];
    let sums = [&mut *dbeta, &mut *dgamma];
    if channels.inner() > 1 {
        let gradients = dbeta.chunks_mut(TILE).zip(dgamma.chunks_mut(TILE));
        for (i, (mean, (dbeta, dgamma))) in running.mean.chunks(TILE).zip(gradients).enumerate() {
            let sums = [dbeta, dgamma];
            sum_plane_gradients::<T, S, false>(simd, channels, i * TILE, operands, [mean; 4], sums);
        }
    } else {
        let rows = ChannelRows::of::<T>(channels.outer(), channels.channels());
        sum_row_gradients::<T, S, false>(simd, rows, operands, params, sums);
    }
    let lanes = T::Lanes::<S>::splat(simd, epsilon);
    map(
        simd,
        [running.variance],
        [dgamma],
        #[inline(always)]
        |[variance], [dgamma]| [dgamma / (variance + lanes).sqrt()],
    );
    map_scaled(
        simd,
        epsilon,
        channels,
        dy,
        gamma,
        [running.variance],
        dx,
        #[inline(always)]
        |[scale], dy| dy * scale,
    );
}

/// `y = f(params, x)`, where the first parameter, the variance, has become `scale = gamma / sqrt(variance + epsilon)`; `x` is `y` where
/// there is none.
#[inline(always)]
fn map_scaled<T: Element, S: Simd, const P: usize>(
    simd: S,
    epsilon: T,
    channels: Channels,
    x: Option<&[T]>,
    gamma: &[T],
    params: [&[T]; P],
    y: &mut [T],
    f: impl Fn([T::Lanes<S>; P], T::Lanes<S>) -> T::Lanes<S>,
) {
    let mut scales = Scales::new();
    let rows = ChannelRows::of::<T>(channels.outer(), channels.channels());
    let mut buffers = None;
    for (i, gamma) in gamma.chunks(SCALES).enumerate() {
        let first = i * SCALES;
        let mut params = part_of(params, first);
        let scale = scales.room(gamma.len());
        if let Some(variance) = params.first_mut() {
            evaluation_scale(simd, epsilon, [gamma, variance], scale);
            *variance = scale;
        }
        if channels.inner() > 1 {
            match x {
                Some(x) => map_planes(
                    simd,
                    channels,
                    first,
                    [x],
                    y,
                    params,
                    #[inline(always)]
                    |params, [x], _| f(params, x),
                ),
                None => map_planes(
                    simd,
                    channels,
                    first,
                    [],
                    y,
                    params,
                    #[inline(always)]
                    |params, [], x| f(params, x),
                ),
            }
            continue;
        }
        let (columns, params) = (rows.columns.part(first, SCALES), rows.spread(params, &mut buffers));
        match x {
            Some(x) => map_columns(
                simd,
                columns,
                [x],
                y,
                params,
                #[inline(always)]
                |params, [x], _| f(params, x),
            ),
            None => map_columns(
                simd,
                columns,
                [],
                y,
                params,
                #[inline(always)]
                |params, [], x| f(params, x),
            ),
        }
    }
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
    let mut scales = Scales::new();
    let affine = affine.gamma.chunks(SCALES).zip(affine.beta.chunks(SCALES));
    let running = running.mean.chunks(SCALES).zip(running.variance.chunks(SCALES));
    let all = affine.zip(running).zip(bias.chunks_mut(SCALES));
    for (i, (((gamma, beta), (mean, variance)), bias)) in all.enumerate() {
        let scale = scales.room(bias.len());
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
