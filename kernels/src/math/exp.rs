//! `e^x` and `e^x - 1`.
//!
//! `x = n ln 2 + r`, `|r| <= ln 2 / 2`, with `n` from the rounding of a large sum and `r` by Cody and Waite's two
//! subtractions; `e^r` by a polynomial; `2^n` by its exponent bits. (Muller, Elementary Functions, 3rd ed., ch. 11.)

use super::polynomial;
use crate::simd::Lanes;

const LOG2_E: f32 = core::f32::consts::LOG2_E;
/// `ln 2` in two parts; the first has 9 zeros at its end, so that `n * LN2_HI` is exact.
const LN2_HI: f32 = 0.693_145_75;
const LN2_LO: f32 = 1.428_606_8e-6;
/// `1.5 * 2^23`: added to a small number, its last bits are that number, rounded to the nearest integer.
const ROUND: f32 = 12_582_912.0;

/// `e^x`.
#[inline(always)]
pub(crate) fn exp<L: Lanes<Scalar = f32>>(simd: L::Simd, x: L) -> L {
    // e^-104 is below half the smallest subnormal, e^89 overflows; beyond, the exponent would wrap.
    let x = L::splat(simd, 89.0).min(L::splat(simd, -104.0).max(x));
    // The low bits of `z` are n + 254, of `half` floor(n / 2) + 127, of `z - half` ceil(n / 2) + 127: exponents.
    let (z, u) = exp_reduced(simd, x, 254.0);
    let half = z.shr_bits::<1>();
    let scale = half.shl_bits::<23>();
    // In two steps, since 2^-150 is no `f32`, and 2^128 none either.
    u.mul_add(scale, scale) * z.sub_bits(half).shl_bits::<23>()
}

/// `e^x` for `x <= 0`.
#[inline(always)]
pub(crate) fn exp_negative<L: Lanes<Scalar = f32>>(simd: L::Simd, x: L) -> L {
    let x = L::splat(simd, -104.0).max(x);
    // In two steps, 2^(n + 64) and 2^-64, since 2^-150 is no `f32`.
    let (z, u) = exp_reduced(simd, x, 127.0 + 64.0);
    let scale = z.shl_bits::<23>();
    u.mul_add(scale, scale) * L::splat(simd, f32::from_bits((127 - 64) << 23))
}

/// `n + bias` in the low bits of the first, `e^r - 1` as the second.
#[inline(always)]
fn exp_reduced<L: Lanes<Scalar = f32>>(simd: L::Simd, x: L, bias: f32) -> (L, L) {
    let bias = L::splat(simd, ROUND + bias);
    let z = x.mul_add(L::splat(simd, LOG2_E), bias);
    let r = reduce(simd, x, z - bias);
    // Least maximum error of e^r for this degree: 0.052 ULP.
    let c = |c| L::splat(simd, c);
    let r2 = r * r;
    let low = r.mul_add(c(0.166_665_21), c(0.499_999_94));
    let high = r2.mul_add(c(0.001_382_073_4), r.mul_add(c(0.008_368_677), c(0.041_668_266)));
    (z, r2.mul_add(high.mul_add(r2, low), r))
}

/// `e^x - 1` for `x <= 0`.
#[inline(always)]
pub(crate) fn exp_m1_negative<L: Lanes<Scalar = f32>>(simd: L::Simd, x: L) -> L {
    // e^-18 is below a quarter of the last place of 1.
    let x = L::splat(simd, -18.0).max(x);
    let bias = L::splat(simd, ROUND + 127.0);
    let z = x.mul_add(L::splat(simd, LOG2_E), bias);
    let r = reduce(simd, x, z - bias);
    // Least maximum error of e^r - 1 for this degree: 0.007 ULP.
    let q = polynomial(
        simd,
        r,
        [0.5, 0.166_666_66, 0.041_666_493, 0.008_333_545, 0.001_393_233_1, 0.000_197_625_72],
    );
    let u = (r * r).mul_add(q, r);
    // 2^n (e^r - 1) + (2^n - 1)
    let scale = z.shl_bits::<23>();
    u.mul_add(scale, scale - L::splat(simd, 1.0))
}

/// `x - n ln 2`
#[inline(always)]
fn reduce<L: Lanes<Scalar = f32>>(simd: L::Simd, x: L, n: L) -> L {
    let r = n.neg_mul_add(L::splat(simd, LN2_HI), x);
    n.neg_mul_add(L::splat(simd, LN2_LO), r)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check_bounds, map_lanes_at};
    use super::*;

    fn check(stride: usize) {
        check_bounds("exp", stride, 1.0, 1.1, |level, x, y| map_lanes_at!(level, exp, x, y), libm::exp);
        check_bounds(
            "exp_m1_negative",
            stride,
            1.0,
            1.1,
            |level, x, y| map_lanes_at!(level, negative, x, y),
            |x| if x > 0.0 { 0.0 } else { libm::expm1(x) },
        );
        #[inline(always)]
        fn negative<L: Lanes<Scalar = f32>>(simd: L::Simd, x: L) -> L {
            exp_m1_negative(simd, L::splat(simd, 0.0).min(x))
        }
    }

    #[test]
    fn errors_are_within_bounds() {
        check(997);
    }
}
