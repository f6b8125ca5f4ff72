//! Batch normalisation of rows in two halves, statistics and maps, each of which may be done in parts: statistics some columns at a
//! time, maps some rows.

use super::kernel::{Batch, finish_gamma, gradient, gradient_terms, normalise};
use super::{AffineGradient, Saved};
use crate::Element;
use crate::moments::column_moments;
use crate::simd::columns::{Columns, map_columns, sum_columns};
use crate::simd::{Lanes, Simd};

/// `mean`, `inv_std` and the running statistics of some columns. `pivot` is scratch.
#[inline(always)]
pub(crate) fn column_statistics<T: Element, S: Simd>(
    simd: S,
    batch: &Batch<T>,
    columns: Columns,
    x: &[T],
    running: [&mut [T]; 2],
    [mean, inv_std]: [&mut [T]; 2],
    pivot: &mut [T],
) {
    column_moments(simd, columns, x, batch.n, [&mut *mean, &mut *inv_std], pivot);
    batch.finish(simd, mean, inv_std, running);
}

/// `y`, from `[mean, inv_std, gamma, beta]`.
#[inline(always)]
pub(crate) fn map_normalised<T: Element, S: Simd>(
    simd: S,
    columns: Columns,
    x: &[T],
    y: &mut [T],
    params: [&[T]; 4],
) {
    map_columns(
        simd,
        columns,
        [x],
        y,
        params,
        #[inline(always)]
        |params, [x], _| normalise::<T, S>(params, x),
    );
}

/// `dgamma` and `dbeta` of some columns, from `[x, dy]`.
#[inline(always)]
pub(crate) fn column_gradients<T: Element, S: Simd>(
    simd: S,
    columns: Columns,
    x: [&[T]; 2],
    saved: Saved<'_, T>,
    gradients: AffineGradient<'_, T>,
) {
    let AffineGradient { gamma, beta } = gradients;
    sum_columns(simd, columns, x, saved.mean, [beta, &mut *gamma], gradient_terms::<T, S>);
    finish_gamma(simd, saved.inv_std, gamma);
}

/// `dx`, which holds `dy` where there is none, from `[mean, inv_std, gamma, dgamma, dbeta]`.
#[inline(always)]
pub(crate) fn map_gradients<T: Element, S: Simd>(
    simd: S,
    columns: Columns,
    n: T,
    x: &[T],
    dy: Option<&[T]>,
    dx: &mut [T],
    params: [&[T]; 5],
) {
    let per_n = T::Lanes::<S>::splat(simd, T::from(1) / n);
    match dy {
        Some(dy) => map_columns(
            simd,
            columns,
            [x, dy],
            dx,
            params,
            #[inline(always)]
            |params, [x, dy], _| gradient::<T, S>(per_n, params, x, dy),
        ),
        None => map_columns(
            simd,
            columns,
            [x],
            dx,
            params,
            #[inline(always)]
            |params, [x], dy| gradient::<T, S>(per_n, params, x, dy),
        ),
    }
}
