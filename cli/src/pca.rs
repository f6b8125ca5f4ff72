//! Principal components: the eigenvectors of the training rows' covariance, the largest eigenvalue first.

use crate::error::{Failure, Outcome};
use crate::inputs::Centred;
use nalgebra::{DMatrix, SymmetricEigen};
use slicewise::preprocess::{add_covariance, covariance_scratch_len};

/// Rows that go into the covariance at a time.
const CHUNK: usize = 512;

/// Directions and how far the rows spread along each.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Principal {
    /// `(components, features)`, orthonormal rows.
    pub(crate) basis: Vec<f64>,
    /// The variance along each.
    pub(crate) variances: Vec<f64>,
}

/// The first `components` directions of centred rows.
pub(crate) fn principal(rows: &Centred<'_>, components: usize) -> Outcome<Principal> {
    let features = rows.features();
    let mut covariance = vec![0.0f64; features * features];
    let mut scratch = vec![0.0; covariance_scratch_len(features, CHUNK)];
    let mut chunk = Vec::new();
    rows.for_each(CHUNK, |x| {
        // In f64: whitening divides by the small eigenvalues, which a sum in f32 would bury.
        chunk.clear();
        chunk.extend(x.iter().copied().map(f64::from));
        add_covariance(rows.level, features, rows.len(), &chunk, &mut covariance, &mut scratch)
            .map_err(|error| Failure::failed(format!("covariance: {error}")))
    })?;
    if covariance.iter().any(|value| !value.is_finite()) {
        let message = "the covariance of the features is not finite: scale the data down";
        return Err(Failure::unusable(message));
    }
    eigenvectors(covariance, features, components)
}

fn eigenvectors(covariance: Vec<f64>, features: usize, components: usize) -> Outcome<Principal> {
    let matrix = DMatrix::from_vec(features, features, covariance);
    // 30 sweeps an eigenvalue are far more than the algorithm takes.
    let eigen = SymmetricEigen::try_new(matrix, f64::EPSILON, 30 * features)
        .ok_or_else(|| Failure::failed("principal components: the eigenvalues did not converge"))?;
    let mut order: Vec<usize> = (0..features).collect();
    order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
    order.truncate(components);
    let mut basis = Vec::with_capacity(components * features);
    for &index in &order {
        let vector = eigen.eigenvectors.column(index);
        // Either sign is an eigenvector: the one whose largest element is positive.
        let sign = vector[vector.iamax()].signum();
        basis.extend(vector.iter().map(|value| value * sign));
    }
    let variances = order.iter().map(|&index| eigen.eigenvalues[index].max(0.0)).collect();
    Ok(Principal { basis, variances })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvectors_come_in_order_with_a_fixed_sign() {
        // R diag(9, 4, 1) R^T with a rotation R about the third axis.
        let (c, s) = (0.8, 0.6);
        let matrix = vec![
            9.0 * c * c + 4.0 * s * s,
            5.0 * c * s,
            0.0,
            5.0 * c * s,
            9.0 * s * s + 4.0 * c * c,
            0.0,
            0.0,
            0.0,
            1.0,
        ];
        let all = eigenvectors(matrix.clone(), 3, 3).unwrap();
        let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12);
        assert!(near(&all.variances, &[9.0, 4.0, 1.0]), "{all:?}");
        assert!(near(&all.basis, &[0.8, 0.6, 0.0, -0.6, 0.8, 0.0, 0.0, 0.0, 1.0]), "{all:?}");
        let two = eigenvectors(matrix, 3, 2).unwrap();
        assert_eq!((two.variances.as_slice(), two.basis.as_slice()), (&all.variances[..2], &all.basis[..6]));
    }
}
