//! The error function.

use super::exp::exp_negative;
use super::polynomial;
use crate::simd::Single;

/// Where `erf` is near 1 rather than near `x`.
const FAR: f32 = 0.92;

/// `erf(x)`, odd to the last bit: `x + x P(x^2)` near 0, `1 - e^-Q(|x|)` beyond, with polynomials of least maximum error, 0.02
/// ULP each. (After Cody, Rational Chebyshev approximations for the error function, 1969, which splits it likewise.)
#[inline(always)]
pub(crate) fn erf<L: Single>(simd: L::Simd, x: L) -> L {
    let c = |c| L::splat(simd, c);
    let sign = c(-0.0);
    let t = x.magnitude(simd);
    let p = polynomial(
        simd,
        t * t,
        [
            0.128_379_17,
            -0.376_126_32,
            0.112_836_87,
            -0.026_859_129,
            0.005_200_286,
            -0.000_813_146_76,
            0.000_083_097_744,
        ],
    );
    let near = t.mul_add(p, t);
    // Beyond 4 it is 1.
    let q = polynomial(
        simd,
        c(4.0).min(t),
        [
            0.000_207_015_42,
            1.127_627_4,
            0.637_265_8,
            0.103_856_325,
            -0.022_189_748,
            0.003_033_683,
            -0.000_194_945_47,
        ],
    );
    let far = c(1.0) - exp_negative(simd, -q);
    L::select(t.lt(c(FAR)), near, far).or_bits(x.and_bits(sign))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check_bounds, map_lanes_at};
    use super::*;

    #[test]
    fn errors_are_within_bounds() {
        check_bounds("erf", 997, 1.5, 1.5, |level, x, y| map_lanes_at!(level, erf, x, y), libm::erf);
    }
}
