//! The kernel of training's backward pass, in the same parts as the forward one.

use super::forward::{SCALES, Scales, evaluate, normalise, part_of};
use super::{Affine, AffineGradient, Saved};
use crate::activation::relu_derivative;
use crate::simd::apply::map;
use crate::simd::channel_rows::ChannelRows;
use crate::simd::columns::{Columns, map_columns};
use crate::simd::planes::{TILE, map_planes, plane, plane_mut, splat_at, sum_planes};
use crate::simd::{Arithmetic, Simd};
use crate::{Activation, Channels, Element, Level};

/// What of `dy` reaches the normalised value, `(x - mean) * scale + beta`: all of it, or what a ReLU after it lets through.
#[inline(always)]
fn passed<T: Element, S: Simd, const RELU: bool>(
    simd: S,
    [mean, scale, beta]: [T::Lanes<S>; 3],
    x: T::Lanes<S>,
    dy: T::Lanes<S>,
) -> T::Lanes<S> {
    if !RELU {
        return dy;
    }
    let (zero, one) = (T::Lanes::<S>::splat(simd, T::default()), T::Lanes::<S>::splat(simd, T::from(1)));
    dy * relu_derivative(zero, one, evaluate::<T, S>([mean, scale, beta], x))
}

/// What the gradient is summed of: `dy` and `dy * (x - mean)`.
#[inline(always)]
fn gradient_terms<T: Element, S: Simd, const RELU: bool>(
    simd: S,
    params: [T::Lanes<S>; 4],
    [x, dy]: [T::Lanes<S>; 2],
) -> [T::Lanes<S>; 2] {
    let [mean, inv_std, gamma, beta] = params;
    [passed::<T, S, RELU>(simd, [mean, inv_std * gamma, beta], x, dy), x - mean]
}

/// `dx`, with `1 / n`, from `[mean, scale, beta, slope, dbeta]`: `scale = gamma * inv_std`, `slope = dgamma * inv_std / n`.
#[inline(always)]
fn gradient<T: Element, S: Simd, const RELU: bool>(
    simd: S,
    per_n: T::Lanes<S>,
    [mean, scale, beta, slope, dbeta]: [T::Lanes<S>; 5],
    x: T::Lanes<S>,
    dy: T::Lanes<S>,
) -> T::Lanes<S> {
    let dy = passed::<T, S, RELU>(simd, [mean, scale, beta], x, dy);
    scale * (x - mean).neg_mul_add(slope, dbeta.neg_mul_add(per_n, dy))
}

/// `[sum dy, sum dy * (x - mean)]` of at most [`TILE`] channels of planes, from `first` on, from `[x, dy]` and
/// `[mean, inv_std, gamma, beta]`, of which only a ReLU needs all.
#[inline(always)]
pub(super) fn sum_plane_gradients<T: Element, S: Simd, const RELU: bool>(
    simd: S,
    channels: Channels,
    first: usize,
    x: [&[T]; 2],
    params: [&[T]; 4],
    sums: [&mut [T]; 2],
) {
    sum_planes(
        simd,
        channels,
        first,
        x,
        params,
        sums,
        #[inline(always)]
        |x, params| gradient_terms::<T, S, RELU>(simd, params, x),
    );
}

/// [`sum_plane_gradients`] of rows, or of some columns.
#[inline(always)]
pub(super) fn sum_row_gradients<T: Element, S: Simd, const RELU: bool>(
    simd: S,
    rows: ChannelRows,
    x: [&[T]; 2],
    params: [&[T]; 4],
    sums: [&mut [T]; 2],
) {
    rows.sum(
        simd,
        x,
        params,
        sums,
        #[inline(always)]
        |x, params| gradient_terms::<T, S, RELU>(simd, params, x),
    );
}

/// From the sum of `dy * (x - mean)` to that of `dy * z`.
#[inline(always)]
fn finish_gamma<T: Element, S: Simd>(simd: S, inv_std: &[T], dgamma: &mut [T]) {
    map(
        simd,
        [inv_std],
        [dgamma],
        #[inline(always)]
        |[inv_std], [dgamma]| [dgamma * inv_std],
    );
}

/// `dgamma` and `dbeta` of rows, or of some columns, from `[x, dy]`.
#[inline(always)]
pub(crate) fn row_gradients<T: Element, S: Simd, const RELU: bool>(
    simd: S,
    rows: ChannelRows,
    x: [&[T]; 2],
    affine: Affine<'_, T>,
    saved: Saved<'_, T>,
    gradients: AffineGradient<'_, T>,
) {
    let AffineGradient { gamma, beta } = gradients;
    let params = [saved.mean, saved.inv_std, affine.gamma, affine.beta];
    sum_row_gradients::<T, S, RELU>(simd, rows, x, params, [beta, &mut *gamma]);
    finish_gamma(simd, saved.inv_std, gamma);
}

/// `dx`, which holds `dy` where there is none, from `[mean, inv_std, gamma, beta, dgamma, dbeta]`.
#[inline(always)]
pub(crate) fn map_gradients<T: Element, S: Simd, const RELU: bool>(
    simd: S,
    columns: Columns,
    n: T,
    x: &[T],
    dy: Option<&[T]>,
    dx: &mut [T],
    params: [&[T]; 6],
) {
    let inverse = T::from(1) / n;
    let per_n = T::Lanes::<S>::splat(simd, inverse);
    let (mut scales, mut slopes) = (Scales::new(), Scales::new());
    for first in (0..columns.width).step_by(SCALES) {
        let [mean, inv_std, gamma, beta, dgamma, dbeta] = part_of(params, first);
        let params = [
            mean,
            scales.products(simd, [gamma, inv_std], T::from(1)),
            beta,
            slopes.products(simd, [dgamma, inv_std], inverse),
            dbeta,
        ];
        let columns = columns.part(first, SCALES);
        match dy {
            Some(dy) => map_columns(
                simd,
                columns,
                [x, dy],
                dx,
                params,
                #[inline(always)]
                |params, [x, dy], _| gradient::<T, S, RELU>(simd, per_n, params, x, dy),
            ),
            None => map_columns(
                simd,
                columns,
                [x],
                dx,
                params,
                #[inline(always)]
                |params, [x], dy| gradient::<T, S, RELU>(simd, per_n, params, x, dy),
            ),
        }
    }
}

/// [`map_gradients`] of at most [`TILE`] channels of planes, from `first` on.
#[inline(always)]
fn map_plane_gradients<T: Element, S: Simd, const RELU: bool>(
    simd: S,
    channels: Channels,
    first: usize,
    n: T,
    x: &[T],
    dy: Option<&[T]>,
    dx: &mut [T],
    params: [&[T]; 6],
) {
    let inverse = T::from(1) / n;
    let per_n = T::Lanes::<S>::splat(simd, inverse);
    let [mean, inv_std, gamma, beta, dgamma, dbeta] = params;
    let (mut scale, mut slope) = ([T::default(); TILE], [T::default(); TILE]);
    for (((scale, slope), (gamma, dgamma)), inv_std) in
        scale.iter_mut().zip(&mut slope).zip(gamma.iter().zip(dgamma)).zip(inv_std)
    {
        (*scale, *slope) = (*gamma * *inv_std, *dgamma * *inv_std * inverse);
    }
    let count = mean.len();
    let (Some(scale), Some(slope)) = (scale.get(..count), slope.get(..count)) else { return };
    let params = [mean, scale, beta, slope, dbeta];
    match dy {
        Some(dy) => map_planes(
            simd,
            channels,
            first,
            [x, dy],
            dx,
            params,
            #[inline(always)]
            |params, [x, dy], _| gradient::<T, S, RELU>(simd, per_n, params, x, dy),
        ),
        None => map_planes(
            simd,
            channels,
            first,
            [x],
            dx,
            params,
            #[inline(always)]
            |params, [x], dy| gradient::<T, S, RELU>(simd, per_n, params, x, dy),
        ),
    }
}

/// The derivative of the normalisation, and of a ReLU after it. Without one, `affine.beta` is not read: its length is all that counts.
#[inline(always)]
pub(super) fn backward_kernel<T: Element, S: Simd, const RELU: bool>(
    simd: S,
    channels: Channels,
    n: T,
    x: &[T],
    affine: Affine<'_, T>,
    saved: Saved<'_, T>,
    dy: Option<&[T]>,
    dx: &mut [T],
    gradients: AffineGradient<'_, T>,
) {
    let (dgamma, dbeta) = (gradients.gamma, gradients.beta);
    let Affine { gamma, beta } = affine;
    if channels.inner() > 1 {
        let statistics = saved.mean.chunks(TILE).zip(saved.inv_std.chunks(TILE));
        let affine = gamma.chunks(TILE).zip(beta.chunks(TILE));
        let gradients = dgamma.chunks_mut(TILE).zip(dbeta.chunks_mut(TILE));
        for (i, (((mean, inv_std), (gamma, beta)), (dgamma, dbeta))) in
            statistics.zip(affine).zip(gradients).enumerate()
        {
            let (first, params) = (i * TILE, [mean, inv_std, gamma, beta]);
            let (operands, sums) = ([x, dy.unwrap_or(dx)], [&mut *dbeta, &mut *dgamma]);
            sum_plane_gradients::<T, S, RELU>(simd, channels, first, operands, params, sums);
            finish_gamma(simd, inv_std, dgamma);
            let params = [mean, inv_std, gamma, beta, dgamma, dbeta];
            map_plane_gradients::<T, S, RELU>(simd, channels, first, n, x, dy, dx, params);
        }
        return;
    }
    let rows = ChannelRows::of::<T>(channels.outer(), channels.channels());
    let gradients = AffineGradient { gamma: &mut *dgamma, beta: &mut *dbeta };
    row_gradients::<T, S, RELU>(simd, rows, [x, dy.unwrap_or(dx)], affine, saved, gradients);
    let mut buffers = None;
    let params = rows.spread([saved.mean, saved.inv_std, gamma, beta, dgamma, dbeta], &mut buffers);
    map_gradients::<T, S, RELU>(simd, rows.columns, n, x, dy, dx, params);
}

/// Elements whose derivatives are computed at a time.
const PIECE: usize = 512;

/// `dx = dy f'(z)` with the normalised values `z`, from `dy`, or from `dx` where there is none: what is left is [`backward_kernel`] in
/// place.
#[inline(always)]
pub(super) fn activation_kernel<T: Element, S: Simd>(
    simd: S,
    level: Level,
    activation: Activation,
    channels: Channels,
    x: &[T],
    affine: Affine<'_, T>,
    saved: Saved<'_, T>,
    dy: Option<&[T]>,
    dx: &mut [T],
) {
    let params = [saved.mean, saved.inv_std, affine.gamma, affine.beta];
    let mut z = [T::default(); PIECE];
    let pass = Pass { level, activation };
    if channels.inner() > 1 {
        for image in 0..channels.outer() {
            for channel in 0..channels.channels() {
                let params = splat_at(simd, params, channel);
                let x = plane(channels, x, image, channel);
                let dy = if let Some(dy) = dy { plane(channels, dy, image, channel) } else { &[] };
                let dx = plane_mut(channels, dx, image, channel);
                for (i, (x, dx)) in x.chunks(PIECE).zip(dx.chunks_mut(PIECE)).enumerate() {
                    let z = z.get_mut(..x.len()).unwrap_or_default();
                    map(
                        simd,
                        [x],
                        [&mut *z],
                        #[inline(always)]
                        |[x], _| [normalise::<T, S>(params, x)],
                    );
                    pass.back(z, dy.chunks(PIECE).nth(i), dx);
                }
            }
        }
        return;
    }
    let rows = ChannelRows::of::<T>(channels.outer(), channels.channels());
    let mut buffers = None;
    let (columns, params) = (rows.columns, rows.spread(params, &mut buffers));
    let pitch = columns.pitch.max(1);
    for (row, (x, dx)) in x.chunks(pitch).zip(dx.chunks_mut(pitch)).enumerate() {
        let dy = if let Some(dy) = dy { columns.row(dy, row.saturating_mul(pitch)) } else { &[] };
        for (i, (x, dx)) in x.chunks(PIECE).zip(dx.chunks_mut(PIECE)).enumerate() {
            let mut operands = [x, &[], &[], &[], &[]];
            for (to, from) in operands.iter_mut().skip(1).zip(params) {
                let from = from.get(i * PIECE..).unwrap_or_default();
                *to = from.get(..x.len()).unwrap_or_default();
            }
            let z = z.get_mut(..x.len()).unwrap_or_default();
            map(
                simd,
                operands,
                [&mut *z],
                #[inline(always)]
                |[x, mean, inv_std, gamma, beta], _| [normalise::<T, S>([mean, inv_std, gamma, beta], x)],
            );
            pass.back(z, dy.chunks(PIECE).nth(i), dx);
        }
    }
}

/// The activation whose derivative is passed.
#[derive(Clone, Copy)]
struct Pass {
    level: Level,
    activation: Activation,
}

impl Pass {
    /// `dx = dy f'(z)`, with what `dx` holds for `dy` where there is none.
    fn back<T: Element>(self, z: &[T], dy: Option<&[T]>, dx: &mut [T]) {
        let mut old = [T::default(); PIECE];
        let dy = if let Some(dy) = dy {
            dy
        } else {
            let Some(old) = old.get_mut(..dx.len()) else { return };
            old.copy_from_slice(dx);
            old
        };
        T::backward_from_input(self.level, self.activation, z, dy, dx);
    }
}
