//! GELU, in its form with the normal distribution: `x Phi(x)`.
//!
//! With `t = |x|` and `Phi(-t) = e^(-t^2 / 2) R(t)`, all of it in scaled numbers, the negative tail keeps its digits down to the
//! smallest subnormal.

use super::exp::{DOWN, exp_parts};
use super::polynomial;
use crate::simd::Single;

/// `Phi(0)' = 1 / sqrt(2 pi)`
const DENSITY: f32 = 0.398_942_3;

/// `x Phi(x) = max(x, 0) - t Phi(-t)`; at minus infinity -0.
#[inline(always)]
pub(crate) fn gelu<L: Single>(simd: L::Simd, x: L) -> L {
    let sign = L::splat(simd, -0.0);
    let t = beyond(simd, x);
    let (u, scale) = exp_half_square(simd, t);
    let r = ratio(simd, t);
    // Minus 0 less nothing is minus 0.
    (r.mul_add(u, r) * scale * t).neg_mul_add(L::splat(simd, DOWN), sign.max(x))
}

/// `Phi(x) + x Phi'(x)`, which is `e^(-t^2 / 2) (R(t) - t Phi'(0))` where x is negative, and 1 less that where it is not.
#[inline(always)]
pub(crate) fn gelu_derivative<L: Single>(simd: L::Simd, x: L) -> L {
    let t = beyond(simd, x);
    let (u, scale) = exp_half_square(simd, t);
    let d = t.neg_mul_add(L::splat(simd, DENSITY), ratio(simd, t));
    let low = d.mul_add(u, d) * scale * L::splat(simd, DOWN);
    L::select(x.lt(L::splat(simd, 0.0)), low, L::splat(simd, 1.0) - low)
}

/// `|x|`, or 15, from where on the tail is 0.
#[inline(always)]
fn beyond<L: Single>(simd: L::Simd, x: L) -> L {
    L::splat(simd, 15.0).min(x.magnitude(simd))
}

/// `e^(-t^2 / 2)`, as [`exp_parts`]: the square in two parts, the first of which is exact, for an error of its last place would be
/// one of 50 in the result's.
#[inline(always)]
fn exp_half_square<L: Single>(simd: L::Simd, t: L) -> (L, L) {
    let half = L::splat(simd, -0.5);
    let high = t.and_bits(L::splat(simd, f32::from_bits(0xffff_f000)));
    let low = (t + high) * (t - high);
    exp_parts(simd, half * high * high, Some(half * low))
}

/// `R(t) = e^(t^2 / 2) Phi(-t)` in [0, 15], which falls like `1 / t`: `w P(w)` with `w = 3 / (3 + t)`, to 0.35 ULP. (Mills' ratio; the
/// variable is that of Shepherd and Laframboise, Chebyshev approximation of (1 + 2x) exp(x^2) erfc x, 1981.)
#[inline(always)]
fn ratio<L: Single>(simd: L::Simd, t: L) -> L {
    let three = L::splat(simd, 3.0);
    let sum = three + t;
    let w = three / sum;
    // What rounding the sum and the quotient took from w, for P would make twice as much of it. 1 / sum is w / 3.
    let lost = three.min(t) - (sum - three.max(t));
    let missing = lost.neg_mul_add(w, sum.neg_mul_add(w, three)) * (w * L::splat(simd, 1.0 / 3.0));
    let x = (w - L::splat(simd, 0.5625)) + missing;
    // Even and odd terms apart, which is less waiting; the first two last, for their roundings count.
    let square = x * x;
    let even = polynomial(simd, square, [0.328_836_74, -0.077_329_64, 0.037_301_11, -0.022_408_599]);
    let odd = polynomial(simd, square, [0.109_308_675, -0.062_817_29, 0.030_539_392, -0.009_057_105_5]);
    let p = odd.mul_add(x, even).mul_add(x, L::splat(simd, 0.379_307_87));
    let p = p.mul_add(x, L::splat(simd, 0.265_477_93));
    w.mul_add(p, missing * p)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{check_bounds, map_lanes_at};
    use super::*;
    use crate::reference::math;

    #[test]
    fn errors_are_within_bounds() {
        check_bounds("gelu", 997, 4.0, 6.0, |level, x, y| map_lanes_at!(level, gelu, x, y), math::gelu);
    }
}
