//! Oracle of [`gemm`](crate::gemm).

use std::vec::Vec;

use super::reduce::{Sum, dot};
use crate::Element;

/// `alpha A B + beta C` for row-major A: `(m, k)`, B: `(k, n)`, C: `(m, n)`, in `f64`; beside each element the magnitude
/// `|alpha| |A| |B| + |beta| |C|`, to which its rounding error is proportional. C is not read where beta is 0, nor A
/// and B where alpha is.
#[must_use]
pub fn gemm<T: Element>(
    m: usize,
    n: usize,
    k: usize,
    alpha: T,
    a: &[T],
    b: &[T],
    beta: T,
    c: &[T],
) -> Vec<Sum> {
    let (alpha, beta) = (alpha.to_f64(), beta.to_f64());
    let mut result = Vec::with_capacity(m * n);
    for i in 0..m {
        for j in 0..n {
            let column: Vec<T> = (0..k).map(|p| b[p * n + j]).collect();
            let mut sum = Sum { value: 0.0, magnitude: 0.0 };
            if alpha != 0.0 {
                let product = dot(&a[i * k..(i + 1) * k], &column);
                sum = Sum { value: alpha * product.value, magnitude: alpha.abs() * product.magnitude };
            }
            if beta != 0.0 {
                let c = beta * c[i * n + j].to_f64();
                sum = Sum { value: sum.value + c, magnitude: sum.magnitude + c.abs() };
            }
            result.push(sum);
        }
    }
    result
}
