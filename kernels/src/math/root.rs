//! `1 / sqrt(x)`.

use crate::simd::Single;

/// `1 / sqrt(x)`, correctly rounded where multiply-adds are fused: infinite at both zeros, with their signs; NaN below.
///
/// A Newton step from the quotient, with what its square misses of `1 / x` in full. (Muller, Elementary Functions, 3rd ed., ch. 5.)
#[inline(always)]
pub(crate) fn rsqrt<L: Single>(simd: L::Simd, x: L) -> L {
    let (zero, one) = (L::splat(simd, 0.0), L::splat(simd, 1.0));
    let y = one / x.sqrt();
    let product = x * y;
    let low = x.mul_add(y, -product);
    let missing = low.neg_mul_add(y, product.neg_mul_add(y, one));
    // And the next term of the series: without it 1 / sqrt(2.1552868) goes to the wrong side.
    let missing = (L::splat(simd, 0.75) * missing).mul_add(missing, missing);
    let better = (L::splat(simd, 0.5) * y).mul_add(missing, y);
    L::select(zero.lt(x) & x.lt(L::splat(simd, f32::INFINITY)), better, y)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check_bounds, map_lanes_at};
    use super::*;

    #[test]
    fn errors_are_within_bounds() {
        let exact = |x: f64| 1.0 / libm::sqrt(x);
        check_bounds("rsqrt", 997, 0.5, 1.5, |level, x, y| map_lanes_at!(level, rsqrt, x, y), exact);
    }
    /// Two binades have every significand there is, with either parity of the exponent.
    #[test]
    fn it_is_correctly_rounded() {
        use crate::reference::{levels, ulp_error};
        let x: std::vec::Vec<f32> = (1.0f32.to_bits()..4.0f32.to_bits()).map(f32::from_bits).collect();
        let mut y = std::vec![0.0; x.len()];
        for level in levels().filter(|level| *level != crate::Level::Portable) {
            crate::apply(level, crate::Function::Rsqrt, &x, &mut y).unwrap();
            for (x, y) in x.iter().zip(&y) {
                let ulp = ulp_error(*y, 1.0 / libm::sqrt(f64::from(*x)));
                assert!(ulp <= 0.5, "rsqrt({x:e}) = {y:e} at {}: {ulp} ULP", level.name());
            }
        }
    }
}
