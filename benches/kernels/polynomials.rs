//! Functions as one would write them for a loop that the compiler vectorises: no branches, polynomials of usual degrees.

/// `e^x`, within 1 ULP or so where the result is normal.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // The sum's last bits are n and the exponent's bias.
    const ROUND: f32 = 12_582_912.0 + 127.0;
    let x = x.clamp(-87.3, 88.7);
    let z = x.mul_add(core::f32::consts::LOG2_E, ROUND);
    let n = z - ROUND;
    let r = n.mul_add(-1.428_606_8e-6, n.mul_add(-0.693_145_75, x));
    let tail = [8.333_452e-3, 4.166_579_4e-2, 0.166_666_65, 0.5]
        .iter()
        .fold(1.398_2e-3, |p: f32, c| p.mul_add(r, *c));
    let y = (r * r).mul_add(tail, r) + 1.0;
    y * f32::from_bits(z.to_bits() << 23)
}

/// `ln x` of normal positive numbers.
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    let shifted = x.to_bits().wrapping_sub(0x3f35_04f3);
    let e = (shifted.cast_signed() >> 23) as f32;
    let f = f32::from_bits((shifted & 0x007f_ffff).wrapping_add(0x3f35_04f3)) - 1.0;
    let terms = [
        -0.115_146_1,
        0.116_769_99,
        -0.124_201_41,
        0.142_493_23,
        -0.166_680_58,
        0.200_007_15,
        -0.249_999_94,
        0.333_333_3,
    ];
    let p = terms.iter().fold(7.037_684e-2, |p: f32, c| p.mul_add(f, *c));
    let square = f * f;
    e.mul_add(core::f32::consts::LN_2, (square * f).mul_add(p, (-0.5f32).mul_add(square, f)))
}

/// Loses the digits of small numbers.
#[inline(always)]
pub(crate) fn tanh(x: f32) -> f32 {
    1.0 - 2.0 / (exp(2.0 * x) + 1.0)
}

/// Loses results that are subnormal.
#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// By Abramowitz and Stegun's 7.1.26: 1.5e-7 absolute; loses the negative tail.
#[inline(always)]
pub(crate) fn gelu(x: f32) -> f32 {
    let z = (x * core::f32::consts::FRAC_1_SQRT_2).abs();
    let t = 1.0 / 0.327_591_1f32.mul_add(z, 1.0);
    let p = [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6]
        .iter()
        .fold(1.061_405_4, |p: f32, c| p.mul_add(t, *c));
    let erf = (1.0 - p * t * exp(-z * z)).copysign(x);
    0.5 * x * (1.0 + erf)
}
