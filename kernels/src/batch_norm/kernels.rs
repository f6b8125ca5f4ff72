//! The kernels of batch norm, on one thread and in bands for several.

use super::backward::{activation_kernel, backward_kernel, map_gradients, row_gradients};
use super::evaluation::{evaluate_backward_kernel, evaluate_kernel, fold_kernel};
use super::forward::{Batch, Finish, forward_kernel, map_normalised, row_statistics};
use super::{Affine, AffineGradient, Running, RunningMut, Saved, SavedMut};
use crate::once::compiled_once;
use crate::simd::channel_rows::ChannelRows;
use crate::simd::columns::Columns;
use crate::simd::dispatch;
use crate::{Activation, Channels, Element, Level};

compiled_once! {
    /// Batch norm, in place where there is no `x`, or no `dy`.
    trait NormaliseBatch {
        /// See [`batch_norm_activation_forward`](super::batch_norm_activation_forward).
        fn batch_norm(
            level: Level,
            batch: &Batch<Self>,
            channels: Channels,
            x: &[Self],
            affine: Affine<'_, Self>,
            running: RunningMut<'_, Self>,
            saved: SavedMut<'_, Self>,
            y: &mut [Self],
            finish: &Finish<Self>,
        ) {
            dispatch!(level, simd => forward_kernel(simd, batch, channels, x, affine, running, saved, y, finish));
        }

        /// See [`batch_norm_activation_backward`](super::batch_norm_activation_backward), whose `n` is the number of values in each channel.
        fn batch_norm_gradients(
            level: Level,
            channels: Channels,
            n: Self,
            x: &[Self],
            affine: Affine<'_, Self>,
            activation: Activation,
            saved: Saved<'_, Self>,
            dy: Option<&[Self]>,
            dx: &mut [Self],
            gradient: AffineGradient<'_, Self>,
        ) {
            if activation == Activation::Relu {
                dispatch!(level, simd => backward_kernel::<_, _, true>(simd, channels, n, x, affine, saved, dy, dx, gradient));
                return;
            }
            let mut dy = dy;
            if activation != Activation::Identity {
                dispatch!(level, simd => activation_kernel(simd, level, activation, channels, x, affine, saved, dy, dx));
                dy = None;
            }
            dispatch!(level, simd => backward_kernel::<_, _, false>(simd, channels, n, x, affine, saved, dy, dx, gradient));
        }

        /// See [`batch_norm_evaluate`](super::batch_norm_evaluate).
        fn frozen_batch_norm(
            level: Level,
            epsilon: f64,
            channels: Channels,
            x: Option<&[Self]>,
            affine: Affine<'_, Self>,
            running: Running<'_, Self>,
            y: &mut [Self],
        ) {
            let epsilon = Self::from_f64(epsilon);
            dispatch!(level, simd => evaluate_kernel(simd, epsilon, channels, x, affine, running, y));
        }

        /// See [`batch_norm_evaluate_backward`](super::batch_norm_evaluate_backward).
        fn frozen_batch_norm_gradients(
            level: Level,
            epsilon: f64,
            channels: Channels,
            x: &[Self],
            gamma: &[Self],
            running: Running<'_, Self>,
            dy: Option<&[Self]>,
            dx: &mut [Self],
            gradient: AffineGradient<'_, Self>,
        ) {
            let epsilon = Self::from_f64(epsilon);
            dispatch!(level, simd => evaluate_backward_kernel(simd, epsilon, channels, x, gamma, running, dy, dx, gradient));
        }

        /// See [`batch_norm_fold`](super::batch_norm_fold).
        fn fold_batch_norm(
            level: Level,
            epsilon: f64,
            affine: Affine<'_, Self>,
            running: Running<'_, Self>,
            weight: &mut [Self],
            bias: &mut [Self],
        ) {
            let epsilon = Self::from_f64(epsilon);
            dispatch!(level, simd => fold_kernel(simd, epsilon, affine, running, weight, bias));
        }

        /// The statistics of some columns; `running` and `saved` are those of these columns.
        fn statistics_of_columns(
            level: Level,
            batch: &Batch<Self>,
            columns: Columns,
            x: &[Self],
            running: [&mut [Self]; 2],
            saved: [&mut [Self]; 2],
            pivot: &mut [Self],
        ) {
            let rows = ChannelRows::wide(columns);
            dispatch!(level, simd => row_statistics(simd, batch, rows, x, running, saved, pivot));
        }

        /// `y` of whole rows, from `[mean, inv_std, gamma, beta]`.
        fn normalise_rows(
            level: Level,
            columns: Columns,
            x: &[Self],
            y: &mut [Self],
            params: [&[Self]; 4],
            finish: &Finish<Self>,
        ) {
            dispatch!(level, simd => map_normalised(simd, columns, x, y, params, finish));
        }

        /// `dgamma` and `dbeta` of some columns, from `[x, dy]`; all else is that of these columns.
        fn affine_gradients_of_columns(
            level: Level,
            columns: Columns,
            x: [&[Self]; 2],
            affine: Affine<'_, Self>,
            saved: Saved<'_, Self>,
            gradient: AffineGradient<'_, Self>,
        ) {
            let rows = ChannelRows::wide(columns);
            dispatch!(level, simd => row_gradients::<_, _, false>(simd, rows, x, affine, saved, gradient));
        }

        /// `dx` of whole rows, from `[mean, inv_std, gamma, beta, dgamma, dbeta]`.
        fn gradients_of_rows(
            level: Level,
            columns: Columns,
            n: Self,
            x: &[Self],
            dy: Option<&[Self]>,
            dx: &mut [Self],
            params: [&[Self]; 6],
        ) {
            dispatch!(level, simd => map_gradients::<_, _, false>(simd, columns, n, x, dy, dx, params));
        }
    }
}
