//! Principal components and whitening (CS231n, "Data Preprocessing"): the covariance of the training rows, the projection of rows
//! onto a basis, and the factors that whiten. The eigenvectors between the two are the caller's: any library of linear
//! algebra has them.
//!
//! ```
//! use slicewise::Level;
//! use slicewise::preprocess::{
//!     WHITENING_EPSILON, add_covariance, covariance_scratch_len, project, project_scratch_len, whitening,
//! };
//!
//! const SCRATCH: usize = covariance_scratch_len(2, 2) + project_scratch_len(2, 2, 1);
//! let (level, mut scratch) = (Level::detect(), [0.0f64; SCRATCH]);
//! let x = [3.0, 4.0, -3.0, -4.0]; // two rows of two features, centred
//! let mut covariance = [0.0; 4];
//! add_covariance(level, 2, 2, &x, &mut covariance, &mut scratch)?;
//! assert_eq!(covariance, [9.0, 12.0, 12.0, 16.0]);
//!
//! // Its eigenvector of the eigenvalue 25 is (0.6, 0.8).
//! let (basis, mut y, mut factors) = ([0.6, 0.8], [0.0; 2], [0.0]);
//! project(level, 2, &x, &basis, None, &mut y, &mut scratch)?;
//! assert_eq!(y, [5.0, -5.0]);
//! whitening(&[25.0], WHITENING_EPSILON, &mut factors)?;
//! project(level, 2, &x, &basis, Some(&factors), &mut y, &mut scratch)?;
//! assert!((y[0] - 1.0f64).abs() < 1e-6);
//! # Ok::<(), slicewise::Error>(())
//! ```

use crate::Error;
use crate::error::expect_len;
use crate::kernels::{Element, Level, MatMut, MatRef, ShapeError, gemm, gemm_scratch_len, multiply_in_place};

/// What is added to each eigenvalue before its square root divides: components that are next to nothing are not blown up to the
/// size of the others (CS231n).
pub const WHITENING_EPSILON: f64 = 1e-5;

/// Scratch of [`add_covariance`] for up to `rows` rows at a time.
///
/// ```
/// use slicewise::preprocess::covariance_scratch_len;
///
/// const SCRATCH: usize = covariance_scratch_len(64, 256);
/// ```
#[must_use]
pub const fn covariance_scratch_len(features: usize, rows: usize) -> usize {
    gemm_scratch_len(features, features, rows)
}

/// `covariance += X^T X / n`, with X: `(rows, features)` some of the `n` centred rows there are, and `covariance: (features,
/// features)`, 0 before the first of them. The bits do not depend on how the rows are divided among calls.
///
/// ```
/// use slicewise::Level;
/// use slicewise::preprocess::{add_covariance, covariance_scratch_len};
///
/// let (mut covariance, mut scratch) = ([0.0f32], [0.0; covariance_scratch_len(1, 2)]);
/// for rows in [&[2.0f32, -2.0][..], &[0.0, 0.0]] {
///     add_covariance(Level::detect(), 1, 4, rows, &mut covariance, &mut scratch)?;
/// }
/// assert_eq!(covariance, [2.0]);
/// # Ok::<(), slicewise::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] where `x` is no whole rows or more than `n`, `covariance` is not square in the features, or `scratch` is
/// shorter than [`covariance_scratch_len`]; `covariance` is then untouched.
#[expect(clippy::cast_precision_loss, reason = "a number of rows, rounded")]
pub fn add_covariance<T: Element>(
    level: Level,
    features: usize,
    n: usize,
    x: &[T],
    covariance: &mut [T],
    scratch: &mut [T],
) -> Result<(), Error> {
    let rows = x.len().checked_div(features).unwrap_or(0);
    expect_len("x", rows * features, x.len())?;
    if rows > n {
        return Err(
            ShapeError { argument: "x", expected: n.saturating_mul(features), actual: x.len() }.into()
        );
    }
    expect_len("covariance", features.saturating_mul(features), covariance.len())?;
    let x = MatRef::row_major(x, rows, features);
    let share = T::from_f64(1.0 / n as f64);
    gemm(level, share, x.t(), x, T::from(1), MatMut::row_major(covariance, features, features), scratch)?;
    Ok(())
}

/// Scratch of [`project`] for up to `rows` rows at a time.
///
/// ```
/// use slicewise::preprocess::project_scratch_len;
///
/// const SCRATCH: usize = project_scratch_len(256, 64, 20);
/// ```
#[must_use]
pub const fn project_scratch_len(rows: usize, features: usize, components: usize) -> usize {
    gemm_scratch_len(rows, components, features)
}

/// `Y = X B^T`, each component times its factor where there are any: the rows X: `(rows, features)`, centred, in the basis
/// B: `(components, features)` of orthonormal rows, Y: `(rows, components)`. A row's bits do not depend on the others.
///
/// ```
/// use slicewise::Level;
/// use slicewise::preprocess::{project, project_scratch_len};
///
/// let (mut y, mut scratch) = ([0.0f32; 2], [0.0; project_scratch_len(1, 2, 2)]);
/// project(Level::detect(), 2, &[3.0, 4.0], &[0.0, 1.0, 1.0, 0.0], None, &mut y, &mut scratch)?;
/// assert_eq!(y, [4.0, 3.0]);
/// # Ok::<(), slicewise::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] where the slices are no whole rows of one number, `factors` is not one a component, or `scratch` is shorter
/// than [`project_scratch_len`]; `y` is then untouched.
pub fn project<T: Element>(
    level: Level,
    features: usize,
    x: &[T],
    basis: &[T],
    factors: Option<&[T]>,
    y: &mut [T],
    scratch: &mut [T],
) -> Result<(), Error> {
    let rows = x.len().checked_div(features).unwrap_or(0);
    let components = basis.len().checked_div(features).unwrap_or(0);
    expect_len("x", rows * features, x.len())?;
    expect_len("basis", components * features, basis.len())?;
    expect_len("y", rows.saturating_mul(components), y.len())?;
    if let Some(factors) = factors {
        expect_len("factors", components, factors.len())?;
    }
    let (x, basis) = (MatRef::row_major(x, rows, features), MatRef::row_major(basis, components, features));
    gemm(level, T::from(1), x, basis.t(), T::default(), MatMut::row_major(y, rows, components), scratch)?;
    if let Some(factors) = factors {
        for row in y.chunks_exact_mut(components.max(1)) {
            multiply_in_place(level, factors, row)?;
        }
    }
    Ok(())
}

/// The factors that whiten: `1 / sqrt(s + epsilon)` for each eigenvalue `s` of the covariance, which counts as 0 where rounding
/// has left it below.
///
/// ```
/// use slicewise::preprocess::whitening;
///
/// let mut factors = [0.0; 3];
/// whitening(&[3.0, 0.0, -1e-9], 1.0, &mut factors)?;
/// assert_eq!(factors, [0.5, 1.0, 1.0]);
/// # Ok::<(), slicewise::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] where `factors` is not one an eigenvalue.
pub fn whitening(eigenvalues: &[f64], epsilon: f64, factors: &mut [f64]) -> Result<(), Error> {
    expect_len("factors", eigenvalues.len(), factors.len())?;
    for (factor, s) in factors.iter_mut().zip(eigenvalues) {
        *factor = 1.0 / Element::sqrt(s.max(0.0) + epsilon);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec;
    use std::vec::Vec;

    /// Rows with some structure.
    fn rows(n: usize, features: usize) -> Vec<f64> {
        (0..n * features).map(|i| ((i * 7919 % 1009) as f64 - 504.0) / 100.0).collect()
    }

    #[test]
    fn a_covariance_is_its_formula_however_the_rows_come() {
        let (n, features) = (37, 5);
        let x = rows(n, features);
        let mut scratch = vec![0.0; covariance_scratch_len(features, n)];
        for level in Level::available() {
            let mut whole = vec![0.0; features * features];
            add_covariance(level, features, n, &x, &mut whole, &mut scratch).unwrap();
            for (at, c) in whole.iter().enumerate() {
                let (i, j) = (at / features, at % features);
                let expected: f64 = x.chunks(features).map(|row| row[i] * row[j]).sum::<f64>() / n as f64;
                assert!((c - expected).abs() < 1e-12, "{i}, {j}: {c} {expected}");
            }
            let mut parts = vec![0.0; features * features];
            for part in x.chunks(11 * features) {
                add_covariance(level, features, n, part, &mut parts, &mut scratch).unwrap();
            }
            assert_eq!(parts, whole, "{}", level.name());
        }
    }

    #[test]
    fn a_projection_is_its_formula() {
        let (n, features, components) = (9, 6, 4);
        let (x, basis) = (rows(n, features), rows(components, features));
        let factors = [0.5, 1.0, 2.0, 4.0];
        let mut scratch = vec![0.0; project_scratch_len(n, features, components)];
        for level in Level::available() {
            let (mut y, mut z) = (vec![0.0; n * components], vec![0.0; n * components]);
            project(level, features, &x, &basis, None, &mut y, &mut scratch).unwrap();
            project(level, features, &x, &basis, Some(&factors), &mut z, &mut scratch).unwrap();
            for (at, y) in y.iter().enumerate() {
                let (row, component) = (at / components, at % components);
                let (x, b) = (&x[row * features..][..features], &basis[component * features..][..features]);
                let expected: f64 = x.iter().zip(b).map(|(x, b)| x * b).sum();
                assert!((y - expected).abs() < 1e-12);
                assert_eq!(z[at], y * factors[component]);
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error_and_changes_nothing() {
        let (level, mut scratch) = (Level::Portable, [0.0f32; 4096]);
        let mut c = [7.0f32; 4];
        assert!(add_covariance(level, 2, 1, &[1.0; 3], &mut c, &mut scratch).is_err());
        assert!(add_covariance(level, 2, 1, &[1.0; 4], &mut c, &mut scratch).is_err());
        assert!(add_covariance(level, 2, 2, &[1.0; 4], &mut c[..3], &mut scratch).is_err());
        assert!(add_covariance(level, 2, 2, &[1.0; 4], &mut c, &mut []).is_err());
        let one = [1.0f32];
        assert!(project(level, 2, &[1.0; 3], &[1.0; 4], None, &mut c, &mut scratch).is_err());
        assert!(project(level, 2, &[1.0; 4], &[1.0; 3], None, &mut c, &mut scratch).is_err());
        assert!(project(level, 2, &[1.0; 4], &[1.0; 4], Some(&one), &mut c, &mut scratch).is_err());
        assert!(project(level, 2, &[1.0; 4], &[1.0; 4], None, &mut c[..3], &mut scratch).is_err());
        assert_eq!(c, [7.0; 4]);
        assert!(whitening(&[1.0], 0.0, &mut []).is_err());
    }
}
