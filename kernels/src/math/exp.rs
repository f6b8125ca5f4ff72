//! `e^x`, `2^x` and `e^x - 1`.
//!
//! `x = n ln 2 + r`, `|r| <= ln 2 / 2`, with `n` from the rounding of a large sum and `r` by Cody and Waite's two
//! subtractions; `e^r` by a polynomial; `2^n` by its exponent bits. (Muller, Elementary Functions, 3rd ed., ch. 11.)

use super::polynomial;
use crate::simd::Single;

const LOG2_E: f32 = core::f32::consts::LOG2_E;
/// `ln 2` in two parts; the first has 9 zeros at its end, so that `n * LN2_HI` is exact.
const LN2_HI: f32 = 0.693_145_75;
const LN2_LO: f32 = 1.428_606_8e-6;
/// `1.5 * 2^23`: added to a small number, its last bits are that number, rounded to the nearest integer.
const ROUND: f32 = 12_582_912.0;

/// `e^x`.
#[inline(always)]
pub(crate) fn exp<L: Single>(simd: L::Simd, x: L) -> L {
    // e^-104 is below half the smallest subnormal, e^89 overflows; beyond, the exponent would wrap.
    let x = L::splat(simd, 89.0).min(L::splat(simd, -104.0).max(x));
    let (z, r) = reduce(simd, x, L::POWER);
    // 1 + r in two parts, without a loss: what rounding e^r - 1 would take is a quarter of the last place.
    let one = L::splat(simd, 1.0);
    let sum = one + r;
    let low = (one - sum) + r;
    (sum + exp_m1_less(simd, r, low)).scale_by_power(simd, z)
}

/// `e^x` for `x <= 0`.
#[inline(always)]
pub(crate) fn exp_negative<L: Single>(simd: L::Simd, x: L) -> L {
    let (u, scale) = exp_parts(simd, L::splat(simd, -104.0).max(x), None);
    u.mul_add(scale, scale) * L::splat(simd, DOWN)
}

/// What [`exp_parts`] scales up by, for 2^-150 is no `f32`: the last factor, so that a subnormal result is rounded once.
pub(super) const DOWN: f32 = f32::from_bits((127 - 64) << 23);

/// `e^r - 1` and `2^(n + 64)`, with `x + low = n ln 2 + r`: for `x` in [-130, 0] and a `low` that is small beside it.
#[inline(always)]
pub(super) fn exp_parts<L: Single>(simd: L::Simd, x: L, low: Option<L>) -> (L, L) {
    let bias = L::splat(simd, ROUND + 127.0 + 64.0);
    // Not `map_or`: core's adaptors cannot be forced in line.
    let sum = if let Some(low) = low { x + low } else { x };
    let z = sum.mul_add(L::splat(simd, LOG2_E), bias);
    let r = reduced(simd, x, z - bias);
    let r = if let Some(low) = low { r + low } else { r };
    (exp_m1_reduced(simd, r), z.shl_bits::<23>())
}

/// `2^x`.
#[inline(always)]
pub(crate) fn exp2<L: Single>(simd: L::Simd, x: L) -> L {
    let c = |c| L::splat(simd, c);
    // 2^-151 is below half the smallest subnormal, 2^128 overflows; beyond, the exponent would wrap.
    let x = c(128.5).min(c(-151.0).max(x));
    let bias = c(L::POWER);
    let z = x + bias;
    let r = x - (z - bias);
    // Least maximum error of 2^r - 1 for this degree: 0.05 ULP of 2^r.
    let p = polynomial(
        simd,
        r,
        [
            core::f32::consts::LN_2,
            0.240_226_5,
            0.055_503_596,
            0.009_618_063,
            0.001_339_098_4,
            0.000_154_628_83,
        ],
    );
    r.mul_add(p, c(1.0)).scale_by_power(simd, z)
}

/// `e^r - 1` for `|r| <= ln 2 / 2`, to 0.052 ULP of `e^r`: the least maximum error for this degree.
#[inline(always)]
fn exp_m1_reduced<L: Single>(simd: L::Simd, r: L) -> L {
    exp_m1_less(simd, r, r)
}

/// `e^r - 1 - r`, and `plus`.
#[inline(always)]
fn exp_m1_less<L: Single>(simd: L::Simd, r: L, plus: L) -> L {
    let c = |c| L::splat(simd, c);
    let r2 = r * r;
    let low = r.mul_add(c(0.166_665_21), c(0.499_999_94));
    let high = r2.mul_add(c(0.001_382_073_4), r.mul_add(c(0.008_368_677), c(0.041_668_266)));
    r2.mul_add(high.mul_add(r2, low), plus)
}

/// `e^x - 1` for `x <= 0`.
#[inline(always)]
pub(crate) fn exp_m1_negative<L: Single>(simd: L::Simd, x: L) -> L {
    // e^-18 is below a quarter of the last place of 1.
    let (u, scale) = exp_m1_parts(simd, L::splat(simd, -18.0).max(x), 127.0);
    // 2^n (e^r - 1) + (2^n - 1)
    u.mul_add(scale, scale - L::splat(simd, 1.0))
}

/// `e^x - 1`.
#[inline(always)]
pub(crate) fn exp_m1<L: Single>(simd: L::Simd, x: L) -> L {
    let c = |c| L::splat(simd, c);
    let (u, half) = exp_m1_parts(simd, c(89.0).min(c(-18.0).max(x)), 126.0);
    // Half of it, for 2^128 is no `f32`.
    let y = u.mul_add(half, half - c(0.5));
    // The smallest numbers are their own results; half of one may be none.
    L::select(x.max(-x).lt(c(1.0 / 33_554_432.0)), x, y + y)
}

/// `e^r - 1`, accurate near 0, and `2^(n + bias - 127)`.
#[inline(always)]
fn exp_m1_parts<L: Single>(simd: L::Simd, x: L, bias: f32) -> (L, L) {
    let (z, r) = reduce(simd, x, ROUND + bias);
    // Least maximum error of e^r - 1 for this degree: 0.007 ULP.
    let q = polynomial(
        simd,
        r,
        [0.5, 0.166_666_66, 0.041_666_493, 0.008_333_545, 0.001_393_233_1, 0.000_197_625_72],
    );
    ((r * r).mul_add(q, r), z.shl_bits::<23>())
}

/// `n + bias`, and `x - n ln 2`.
#[inline(always)]
fn reduce<L: Single>(simd: L::Simd, x: L, bias: f32) -> (L, L) {
    let bias = L::splat(simd, bias);
    let z = x.mul_add(L::splat(simd, LOG2_E), bias);
    (z, reduced(simd, x, z - bias))
}

/// `x - n ln 2`
#[inline(always)]
fn reduced<L: Single>(simd: L::Simd, x: L, n: L) -> L {
    let r = n.neg_mul_add(L::splat(simd, LN2_HI), x);
    n.neg_mul_add(L::splat(simd, LN2_LO), r)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check_bounds, map_lanes_at};
    use super::*;

    fn check(stride: usize) {
        check_bounds("exp", stride, 1.0, 1.1, |level, x, y| map_lanes_at!(level, exp, x, y), libm::exp);
        check_bounds("exp2", stride, 1.1, 1.2, |level, x, y| map_lanes_at!(level, exp2, x, y), libm::exp2);
        check_bounds(
            "exp_m1",
            stride,
            1.5,
            1.5,
            |level, x, y| map_lanes_at!(level, exp_m1, x, y),
            libm::expm1,
        );
        check_bounds(
            "exp_m1_negative",
            stride,
            1.0,
            1.1,
            |level, x, y| map_lanes_at!(level, negative, x, y),
            |x| if x > 0.0 { 0.0 } else { libm::expm1(x) },
        );
        #[inline(always)]
        fn negative<L: Single>(simd: L::Simd, x: L) -> L {
            exp_m1_negative(simd, L::splat(simd, 0.0).min(x))
        }
    }

    #[test]
    fn errors_are_within_bounds() {
        check(997);
    }
}
