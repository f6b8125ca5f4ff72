//! Rows: the bias of a dense layer and its gradient, and products element by element.

use crate::error::expect_len;
use crate::once::compiled_once;
use crate::simd::apply::map;
use crate::simd::{Simd, dispatch};
use crate::{Element, Level, ShapeError};

/// Writes `row` into every row of `y`: `y[i][j] = row[j]`, `y: (n, d)` row-major, `row: (d)`.
///
/// A dense layer's bias: [`gemm`](crate::gemm) with `beta = 1` then adds the product.
///
/// ```
/// use slicewise_kernels::{Level, repeat_row};
///
/// let mut y = [0.0f32; 4];
/// repeat_row(Level::detect(), &[1.0, 2.0], &mut y)?;
/// assert_eq!(y, [1.0, 2.0, 1.0, 2.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless `y` is a whole number of rows.
pub fn repeat_row<T: Element>(level: Level, row: &[T], y: &mut [T]) -> Result<(), ShapeError> {
    expect_rows("y", row.len(), y.len())?;
    T::repeat_row(level, row, y);
    Ok(())
}

/// Sums the rows: `sum[j] = x[0][j] + x[1][j] + ...` in that order, `x: (n, d)` row-major, `sum: (d)`, overwritten.
///
/// The gradient of a bias. Each sum is a chain of n additions, with an error of at most `gamma(n - 1) * sum |x|`.
///
/// ```
/// use slicewise_kernels::{Level, sum_rows};
///
/// let mut sum = [f64::NAN; 2];
/// sum_rows(Level::detect(), &[1.0, 2.0, 10.0, 20.0], &mut sum)?;
/// assert_eq!(sum, [11.0, 22.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless `x` is a whole number of rows.
pub fn sum_rows<T: Element>(level: Level, x: &[T], sum: &mut [T]) -> Result<(), ShapeError> {
    expect_rows("x", sum.len(), x.len())?;
    T::sum_rows(level, x, sum);
    Ok(())
}

/// `y[i] = x[i] * mask[i]`: dropout, forward.
///
/// ```
/// use slicewise_kernels::{Level, multiply};
///
/// let mut y = [0.0f32; 3];
/// multiply(Level::detect(), &[1.0, 2.0, 3.0], &[0.0, 2.0, 2.0], &mut y)?;
/// assert_eq!(y, [0.0, 4.0, 6.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless all are as long as `x`.
pub fn multiply<T: Element>(level: Level, x: &[T], mask: &[T], y: &mut [T]) -> Result<(), ShapeError> {
    expect_len("mask", x.len(), mask.len())?;
    expect_len("y", x.len(), y.len())?;
    T::masked(level, x, mask, y);
    Ok(())
}

/// `y[i] = y[i] * mask[i]`: dropout, backward.
///
/// ```
/// use slicewise_kernels::{Level, multiply_in_place};
///
/// let mut y = [1.0f32, 2.0, 3.0];
/// multiply_in_place(Level::detect(), &[0.0, 2.0, 2.0], &mut y)?;
/// assert_eq!(y, [0.0, 4.0, 6.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless `mask` is as long as `y`.
pub fn multiply_in_place<T: Element>(level: Level, mask: &[T], y: &mut [T]) -> Result<(), ShapeError> {
    expect_len("mask", y.len(), mask.len())?;
    T::masked_in_place(level, mask, y);
    Ok(())
}

compiled_once! {
    /// What goes row by row, or element by element.
    trait MapRows {
        /// See [`repeat_row`].
        fn repeat_row(level: Level, row: &[Self], y: &mut [Self]) {
            dispatch!(level, simd => repeat_row_kernel(simd, row, y));
        }

        /// See [`sum_rows`].
        fn sum_rows(level: Level, x: &[Self], sum: &mut [Self]) {
            dispatch!(level, simd => sum_rows_kernel(simd, x, sum));
        }

        /// See [`multiply`].
        fn masked(level: Level, x: &[Self], mask: &[Self], y: &mut [Self]) {
            dispatch!(level, simd => map(simd, [x, mask], [y], #[inline(always)] |[x, mask], _| [x * mask]));
        }

        /// See [`multiply_in_place`].
        fn masked_in_place(level: Level, mask: &[Self], y: &mut [Self]) {
            dispatch!(level, simd => map(simd, [mask], [y], #[inline(always)] |[mask], [y]| [y * mask]));
        }
    }
}

#[inline(always)]
fn repeat_row_kernel<T: Element, S: Simd>(simd: S, row: &[T], y: &mut [T]) {
    for y in y.chunks_exact_mut(row.len().max(1)) {
        map(
            simd,
            [row],
            [y],
            #[inline(always)]
            |[x], _| [x],
        );
    }
}

#[inline(always)]
fn sum_rows_kernel<T: Element, S: Simd>(simd: S, x: &[T], sum: &mut [T]) {
    sum.fill(T::default());
    for x in x.chunks_exact(sum.len().max(1)) {
        map(
            simd,
            [x],
            [&mut *sum],
            #[inline(always)]
            |[x], [sum]| [sum + x],
        );
    }
}

/// `Ok` where `len` is a multiple of `width`.
pub(crate) fn expect_rows(argument: &'static str, width: usize, len: usize) -> Result<(), ShapeError> {
    let whole = len.checked_div(width).unwrap_or(0).saturating_mul(width);
    expect_len(argument, whole, len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use slicewise_kernels::reference::strategies::{slice, special_slice};
    use slicewise_kernels::reference::{Placed, assert_close, assert_same_bits, levels};
    use slicewise_kernels::*;

    proptest! {
        #[test]
        fn rows_are_repeated_and_summed(
            (n, row, x) in (0usize..9, 1usize..70).prop_flat_map(|(n, d)| (Just(n), special_slice::<f32>(d), slice::<f32>(n * d))),
            offset in 0usize..17,
        ) {
            let d = row.len();
            for level in levels() {
                let (row_at, x_at) = (Placed::new(&row, offset), Placed::new(&x, offset / 2));
                let mut y = Placed::new(&std::vec![7.0; n * d], offset / 3);
                repeat_row(level, row_at.get(), y.get_mut()).unwrap();
                for y in y.get().chunks(d) {
                    assert_same_bits(y, &row, "repeat_row", level);
                }
                let mut sum = Placed::new(&std::vec![f32::NAN; d], offset);
                sum_rows(level, x_at.get(), sum.get_mut()).unwrap();
                for (j, sum) in sum.get().iter().enumerate() {
                    let column = || x.iter().skip(j).step_by(d);
                    let chain = column().fold(0.0f32, |acc, x| acc + x);
                    assert_same_bits(&[*sum], &[chain], "sum_rows", level);
                    let exact: f64 = column().map(|x| f64::from(*x)).sum();
                    let magnitude: f64 = column().map(|x| f64::from(x.abs())).sum();
                    assert_close(*sum, exact, n as f64 * f64::from(f32::EPSILON) * magnitude, "sum_rows", level);
                }
            }
        }

        #[test]
        fn products_are_exact((x, mask) in (0usize..70).prop_flat_map(|n| (special_slice::<f64>(n), special_slice::<f64>(n)))) {
            let expected: std::vec::Vec<f64> = x.iter().zip(&mask).map(|(x, m)| x * m).collect();
            for level in levels() {
                let mut y = std::vec![7.0; x.len()];
                multiply(level, &x, &mask, &mut y).unwrap();
                assert_same_bits(&y, &expected, "multiply", level);
                y.copy_from_slice(&x);
                multiply_in_place(level, &mask, &mut y).unwrap();
                assert_same_bits(&y, &expected, "multiply_in_place", level);
            }
        }
    }

    #[test]
    fn errors_leave_outputs_untouched() {
        let mut y = [7.0f32; 5];
        let expected = ShapeError { argument: "y", expected: 4, actual: 5 };
        assert_eq!(repeat_row(Level::Portable, &[1.0; 2], &mut y), Err(expected));
        assert!(repeat_row(Level::Portable, &[], &mut y).is_err());
        assert_eq!(sum_rows(Level::Portable, &[1.0; 9], &mut y).unwrap_err().expected, 5);
        assert!(multiply(Level::Portable, &[1.0; 5], &[1.0; 4], &mut y).is_err());
        assert!(multiply_in_place(Level::Portable, &[1.0; 4], &mut y).is_err());
        assert_eq!(y, [7.0; 5]);
    }
}
