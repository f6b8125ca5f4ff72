//! The fast tier: `tanh`, the logistic function and GELU within 4 to 7.5 ULP, without a division: the divider takes 16 cycles for 16 `f32`, where
//! the seven operations of [`reciprocal`] take 3.5.

use super::exp::DOWN;
use super::polynomial;
use crate::simd::Single;

/// [`reciprocal`]'s `magic` that keeps `|e|` below 0.0506, the least there is.
const MAGIC: u32 = 0x7ef3_11c7;

/// `r`, `e` and `s` with `1 / d = r (1 + e) (1 + s)`, to 0.3 ULP and the roundings: for `d` from 1 to where `1 / d` is subnormal.
///
/// `magic`, less the bits of `d`, are those of an `r` near `1 / d`. With `e = 1 - d r`, `1 / d = r / (1 - e)`, of which
/// `r (1 + e) (1 + e^2 + e^4)` are the first six terms: the same bits everywhere, which no CPU's own estimate is. (Blinn,
/// Floating-point tricks, 1997.)
#[inline(always)]
fn reciprocal<L: Single>(simd: L::Simd, d: L, magic: u32) -> [L; 3] {
    let r = L::splat(simd, f32::from_bits(magic)).sub_bits(d);
    let e = r.neg_mul_add(d, L::splat(simd, 1.0));
    let square = e * e;
    [r, e, square.mul_add(square, square)]
}

/// Where [`tanh`]'s quotient first rounds to 1, fused or not: `1 - tanh` is 3.5 ULP there, and beyond it the result is 1.
const TOP: f32 = 8.036_061;

/// `tanh(x)`, odd to the last bit and never beyond 1: `(x + x^3 P(x^2)) / Q(x^2)`, of least maximum error, 0.3 ULP. The last bits of the
/// coefficients are those with the least error after all roundings.
#[inline(always)]
pub(crate) fn tanh<L: Single>(simd: L::Simd, x: L) -> L {
    let x = L::splat(simd, TOP).min(L::splat(simd, -TOP).max(x));
    let square = x * x;
    let p = polynomial(simd, square, [0.134_078_3, 0.003_527_472, 2.113_736_3e-5, 1.409_773_3e-8]);
    let q = polynomial(simd, square, [1.0, 0.467_411_52, 0.025_998_134, 0.000_333_791_02, 8.078_076e-7]);
    let [r, e, s] = reciprocal(simd, q, 0x7ef3_8db9);
    let y = p.mul_add(x * square, x) * r.mul_add(e, r);
    y.mul_add(s, y)
}

/// The bits of `1 + e^-LOW`: then [`reciprocal`] is 0, and with these bits it is 1 of 1.
const MAGIC_OF_LOW: u32 = 0x7ef2_0676;
/// Where the logistic function becomes 0, fused or not.
const LOW: f32 = -87.973_56;

/// `1 / (1 + e^-x)`, never beyond 1. Below -87.25, where the results are nearly subnormal, it falls to 0 early: at -87.97.
#[inline(always)]
pub(crate) fn sigmoid<L: Single>(simd: L::Simd, x: L) -> L {
    let c = |c| L::splat(simd, c);
    // Beyond 18 it is 1.
    let x = c(18.0).min(c(LOW).max(x));
    // -x = n ln 2 - r, as in `exp`; e^-r to 0.8 ULP.
    let bias = c(12_582_912.0 + 127.0);
    let z = x.mul_add(c(-core::f32::consts::LOG2_E), bias);
    let n = z - bias;
    let r = n.mul_add(c(1.428_606_8e-6), n.mul_add(c(0.693_145_75), x));
    let p =
        polynomial(simd, r, [1.0, -0.999_999_7, 0.499_991_48, -0.166_676_52, 0.041_898_176, -0.008_289_36]);
    let [r, e, s] = reciprocal(simd, p.mul_add(z.shl_bits::<23>(), c(1.0)), MAGIC_OF_LOW);
    let y = r.mul_add(e, r);
    y.mul_add(s, y)
}

/// `x Phi(x) = max(x, 0) - t e^(-t^2 / 2) R(t)`, `t = |x|`, as the accurate one, its digits kept down to the smallest subnormal; at minus
/// infinity -0.
#[inline(always)]
pub(crate) fn gelu<L: Single>(simd: L::Simd, x: L) -> L {
    let c = |c| L::splat(simd, c);
    let sign = c(-0.0);
    // From 14.4 on the tail is 0.
    let t = c(14.4).min(x.magnitude(simd));
    let square = t * t;
    // t R(t) = (t / 2 + t^2 P(t)) / Q(t) in [0, 14.4], to 0.2 ULP. All terms are positive: their sums lose nothing.
    let p = polynomial(simd, t, [0.433_905_1, 0.179_817_6, 0.039_433_733, 0.003_924_712]);
    let q = polynomial(simd, t, [1.0, 1.665_694_6, 1.188_666_7, 0.460_408_18, 0.098_852_925, 0.009_837_659]);
    let [r, e, s] = reciprocal(simd, q, MAGIC);
    let rough = square.mul_add(p, c(0.5) * t) * r;
    let tail = rough.mul_add(e.mul_add(s, s) + e, rough);
    // t^2 = r - 2 n ln 2, as in `exp`; the square in two parts, the first of which is exact, for an error of its last place would be one of
    // 100 in the result's.
    let high = t.and_bits(c(f32::from_bits(0xffff_f000)));
    let low = (t + high) * (t - high);
    let bias = c(12_582_912.0 + 127.0 + 64.0);
    let z = square.mul_add(c(-0.5 * core::f32::consts::LOG2_E), bias);
    let n = z - bias;
    let r = n.mul_add(c(1.386_291_5), high * high) + low;
    let r = n.mul_add(c(2.857_213_6e-6), r);
    // e^(-r / 2), to 0.03 ULP.
    let e = polynomial(
        simd,
        r,
        [1.0, -0.5, 0.124_999_985, -0.020_833_151, 0.002_604_266_6, -0.000_261_521_17, 0.000_021_594_897],
    );
    // Minus 0 less nothing is minus 0.
    (tail * (e * z.shl_bits::<23>())).neg_mul_add(c(DOWN), sign.max(x))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check_bounds, map_lanes_at};
    use super::*;
    use crate::reference::math;
    use std::vec::Vec;

    #[test]
    fn errors_are_within_bounds() {
        check_bounds("tanh", 997, 6.5, 8.0, |level, x, y| map_lanes_at!(level, tanh, x, y), libm::tanh);
        // The inputs below -87.25 are taken at -87.25.
        #[inline(always)]
        fn above<L: Single>(simd: L::Simd, x: L) -> L {
            sigmoid(simd, L::splat(simd, -87.25).max(x))
        }
        check_bounds(
            "sigmoid",
            997,
            4.0,
            5.0,
            |level, x, y| map_lanes_at!(level, above, x, y),
            |x| if x < -87.25 { math::sigmoid(-87.25) } else { math::sigmoid(x) },
        );
    }

    #[test]
    fn gelu_is_within_its_bounds() {
        check_bounds("gelu", 997, 7.5, 9.0, |level, x, y| map_lanes_at!(level, gelu, x, y), math::gelu);
    }

    /// Every `f32` where the results come near 1: `1 - y^2` and `1 - y` must not be negative.
    #[test]
    fn neither_is_beyond_1() {
        for (from, to) in [(7.5f32, 9.0f32), (13.0, 19.0)] {
            let x: Vec<f32> = (from.to_bits()..to.to_bits()).map(f32::from_bits).collect();
            let mut y = std::vec![0.0; x.len()];
            for level in crate::Level::available() {
                map_lanes_at!(level, tanh, &x, &mut y);
                assert!(y.iter().all(|y| (0.999..=1.0).contains(y)), "tanh at {}", level.name());
                map_lanes_at!(level, sigmoid, &x, &mut y);
                assert!(y.iter().all(|y| (0.999..=1.0).contains(y)), "sigmoid at {}", level.name());
            }
        }
    }
}
