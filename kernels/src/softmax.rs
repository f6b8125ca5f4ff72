//! Softmax and its logarithm.

pub(crate) mod lanes;

use crate::error::{expect_at_least, expect_len};
use crate::math::smooth;
use crate::once::compiled_once;
use crate::simd::rows::Row;
use crate::simd::short_rows::ShortRows;
use crate::simd::{Arithmetic, Simd, dispatch};
use crate::{Element, Level, ShapeError};
use lanes::{GROUPS, Short, exponentials, scale, sum_of_exponentials};

/// `p[i][j] = e^z[i][j] / sum_k e^z[i][k]`, with the largest logit of the row subtracted first.
///
/// `logits`, `probabilities: (n, classes)` row-major. A row with a NaN, with an infinite logit above 0 or with nothing but
/// minus infinities is NaN, as the formula says; among others, minus infinity has probability 0.
///
/// ```
/// use slicewise_kernels::{Level, softmax};
///
/// let mut p = [0.0f32; 2];
/// softmax(Level::detect(), 2, &[1000.0, 1000.0], &mut p)?;
/// assert_eq!(p, [0.5, 0.5]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless `classes` is at least 1, `logits` holds whole rows and `probabilities` is as long.
pub fn softmax<T: Element>(
    level: Level,
    classes: usize,
    logits: &[T],
    probabilities: &mut [T],
) -> Result<(), ShapeError> {
    let rows = expect_rows(classes, logits.len(), ("probabilities", probabilities.len()))?;
    T::softmax(level, classes, rows, logits, probabilities);
    Ok(())
}

/// `y[i][j] = z[i][j] - ln sum_k e^z[i][k]`: the logarithm of [`softmax`], also where that would be 0.
///
/// `logits`, `log_probabilities: (n, classes)` row-major. `(z - max) - ln sum_k e^(z[k] - max)`, both differences rounded: within
/// `2 EPSILON (|z - max| + ln classes + 1)` of the exact value. Rows that are NaN in [`softmax`] are here; among others, minus infinity stays.
///
/// ```
/// use slicewise_kernels::{Level, log_softmax};
///
/// let mut y = [0.0f32; 2];
/// log_softmax(Level::detect(), 2, &[1000.0, 0.0], &mut y)?;
/// assert_eq!(y, [0.0, -1000.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless `classes` is at least 1, `logits` holds whole rows and `log_probabilities` is as long.
pub fn log_softmax<T: Element>(
    level: Level,
    classes: usize,
    logits: &[T],
    log_probabilities: &mut [T],
) -> Result<(), ShapeError> {
    let rows = expect_rows(classes, logits.len(), ("log_probabilities", log_probabilities.len()))?;
    T::log_softmax(level, classes, rows, logits, log_probabilities);
    Ok(())
}

compiled_once! {
    /// Softmax and its logarithm.
    trait Softmax {
        /// See [`softmax`].
        fn softmax(level: Level, classes: usize, rows: usize, logits: &[Self], probabilities: &mut [Self]) {
            dispatch!(level, simd => softmax_kernel(simd, classes, rows, logits, probabilities));
        }

        /// See [`log_softmax`].
        fn log_softmax(level: Level, classes: usize, rows: usize, logits: &[Self], log_probabilities: &mut [Self]) {
            dispatch!(level, simd => log_softmax_kernel(simd, classes, rows, logits, log_probabilities));
        }
    }
}

/// Whole rows of logits, and as many outputs; how many rows.
fn expect_rows(
    classes: usize,
    logits: usize,
    (output, outputs): (&'static str, usize),
) -> Result<usize, ShapeError> {
    expect_at_least("classes", 1, classes)?;
    crate::rows::expect_rows("logits", classes, logits)?;
    expect_len(output, logits, outputs)?;
    Ok(logits.checked_div(classes).unwrap_or_default())
}

#[inline(always)]
fn softmax_kernel<T: Element, S: Simd>(
    simd: S,
    classes: usize,
    rows: usize,
    logits: &[T],
    probabilities: &mut [T],
) {
    let mut done = 0;
    if let Some(rows) = ShortRows::<T, S>::new(simd, classes, logits.len()) {
        let mut short = Short::new(simd, rows);
        for p in probabilities.chunks_mut(GROUPS * short.rows.elements()) {
            let count = short.exponentials(simd, logits.get(done * classes..).unwrap_or_default());
            short.scale(simd, T::from(1), T::default(), count, p);
            done += count * T::LANES;
        }
    }
    let row = Row::<T, S>::new(simd, classes);
    for i in done..rows {
        let start = i * classes;
        let (Some(z), Some(p)) = (logits.get(start..), probabilities.get_mut(start..)) else { return };
        let (_, sum) = exponentials(simd, &row, z, p);
        scale(simd, &row, T::from(1) / sum, T::default(), p);
    }
}

#[inline(always)]
fn log_softmax_kernel<T: Element, S: Simd>(simd: S, classes: usize, rows: usize, logits: &[T], y: &mut [T]) {
    let mut done = 0;
    if let Some(rows) = ShortRows::<T, S>::new(simd, classes, logits.len()) {
        let mut short = Short::new(simd, rows);
        for y in y.chunks_mut(GROUPS * short.rows.elements()) {
            let z = logits.get(done * classes..).unwrap_or_default();
            let count = short.exponentials(simd, z);
            short.logarithms(simd, z, count, y);
            done += count * T::LANES;
        }
    }
    let row = Row::<T, S>::new(simd, classes);
    for i in done..rows {
        let start = i * classes;
        let (Some(z), Some(y)) = (logits.get(start..), y.get_mut(start..)) else { return };
        let (max, sum) = sum_of_exponentials(simd, &row, z);
        let max = T::Lanes::<S>::splat(simd, max);
        let ln = (T::Lanes::<S>::splat(simd, sum)).smooth::<smooth::Ln>(simd);
        row.map(
            z,
            y,
            #[inline(always)]
            |z| (z - max) - ln,
        );
    }
}

#[cfg(test)]
pub(crate) mod tests;
