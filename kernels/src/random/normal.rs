//! Normal values by the transform of Box & Muller: for `f32` in lanes, for `f64` by `libm`.
//!
//! Nothing in the lanes is fused: each sum, product, quotient and root is rounded once, and so is the same on every level.

use rand_core::Rng;

use super::unit_f64;
use crate::Level;
use crate::simd::{Arithmetic, Lanes, Simd, dispatch};

/// Normal values of one type.
#[allow(unreachable_pub, reason = "sealed: it stands in the bounds of a public trait")]
pub trait Normal: Sized {
    /// `y[i] = mean + standard_deviation * z[i]`.
    fn fill_normal(level: Level, rng: &mut impl Rng, mean: f64, standard_deviation: f64, y: &mut [Self]);
}

/// Pairs of values side by side in two blocks of `f32`, a word each.
const PAIRS: usize = 16;
/// Words that are drawn before they are transformed: the transform is no part of a generator's loop, and is compiled once.
const WORDS: usize = 8 * PAIRS;

impl Normal for f32 {
    fn fill_normal(level: Level, rng: &mut impl Rng, mean: f64, standard_deviation: f64, y: &mut [Self]) {
        let mut words = [0; WORDS];
        for y in y.chunks_mut(2 * WORDS) {
            let (whole, rest) = (y.len() / (2 * PAIRS), y.len() % (2 * PAIRS));
            for word in words.iter_mut().take(whole * PAIRS + rest.min(PAIRS)) {
                *word = rng.next_u64();
            }
            transform(level, &words, mean as f32, standard_deviation as f32, y);
        }
    }
}

impl Normal for f64 {
    fn fill_normal(_: Level, rng: &mut impl Rng, mean: f64, standard_deviation: f64, y: &mut [Self]) {
        for pair in y.chunks_mut(2) {
            for (y, z) in pair.iter_mut().zip(pair_f64(rng.next_u64(), rng.next_u64())) {
                *y = mean + standard_deviation * z;
            }
        }
    }
}

/// `y` of the words: 32 values from each 16, the cosines of all before the sines of all.
fn transform(level: Level, words: &[u64; WORDS], mean: f32, standard_deviation: f32, y: &mut [f32]) {
    dispatch!(level, simd => kernel(simd, words, mean, standard_deviation, y));
}

#[inline(always)]
fn kernel<S: Simd>(simd: S, words: &[u64; WORDS], mean: f32, standard_deviation: f32, y: &mut [f32]) {
    let (mean, deviation) = (S::F32::splat(simd, mean), S::F32::splat(simd, standard_deviation));
    let (whole, rest) = y.as_chunks_mut::<{ 2 * PAIRS }>();
    let mut words = words.as_chunks::<PAIRS>().0.iter();
    for (y, words) in whole.iter_mut().zip(&mut words) {
        let z = pairs(simd, words);
        for (y, z) in y.as_chunks_mut().0.iter_mut().zip(&z) {
            (mean + deviation * *z).store(y);
        }
    }
    if let (false, Some(words)) = (rest.is_empty(), words.next()) {
        let z = pairs(simd, words);
        for (y, z) in rest.chunks_mut(PAIRS).zip(&z) {
            (mean + deviation * *z).store_partial(y);
        }
    }
}

/// Two independent standard normal values of each word: `sqrt(-2 ln u)` times the cosine and the sine of an angle.
///
/// The upper half `k` of a word gives `u = (k + 1/2) / 2^32`, the lower one `a` the angle, `(a + 1/2) / 2^32` of a turn; so no value is 0,
/// and none is beyond `sqrt(66 ln 2)`, 6.76.
#[inline(always)]
fn pairs<S: Simd>(simd: S, words: &[u64; PAIRS]) -> [S::F32; 2] {
    const EIGHTH: u32 = 1 << 29;
    let (mut k, mut rest, mut turn) = ([0.0; PAIRS], [0.0; PAIRS], [0.0; PAIRS]);
    for (((k, rest), turn), word) in k.iter_mut().zip(&mut rest).zip(&mut turn).zip(words) {
        let a = *word as u32;
        *k = ((*word >> 32) as u32).cast_signed() as f32;
        // The angle to the nearest quarter turn, in 2^-34 of a turn.
        *rest = (a << 2 | 2).cast_signed() as f32;
        // The number of that quarter in the two upper bits.
        *turn = f32::from_bits(a.wrapping_add(EIGHTH));
    }
    let load = |x| S::F32::load(simd, x);
    let radius = radius(simd, load(&k));
    let [cos, sin] = cos_sin(simd, load(&rest), load(&turn));
    [radius * cos, radius * sin]
}

/// `sqrt(-2 ln u)` for `u = (k + 1/2) / 2^32`, of `k` as a signed number, rounded.
///
/// `p` is the distance of `u` to the nearer of 0 and 1, which keeps its digits at both ends. `u` is `1 - p`, or `p = m 2^-e` with `m` in
/// `[1/2, 1)`: so it is `2^-e (1 - g)` with an exact `g` in `(0, 1/2]`, and in `-ln u = e ln 2 - ln(1 - g)` nothing cancels.
#[inline(always)]
fn radius<L: Lanes<Scalar = f32>>(simd: L::Simd, k: L) -> L {
    let c = |c| L::splat(simd, c);
    let (zero, half, one, two) = (c(0.0), c(0.5), c(1.0), c(2.0));
    let k = k + half;
    let upper = k.lt(zero);
    let p = k.and_bits(c(f32::from_bits(0x7fff_ffff))) * c(1.0 / 4_294_967_296.0);
    let m = p.and_bits(c(f32::from_bits(0x007f_ffff))).or_bits(half);
    let g = L::select(upper, p, one - m);
    // 2^23 + the biased exponent is a `f32`.
    let e = c(8_388_608.0 + 126.0) - p.shr_bits::<23>().or_bits(c(8_388_608.0));
    let e = L::select(upper, zero, e);
    // -ln(1 - g) = 2 atanh(s), s = g / (2 - g), as g and a correction.
    let s = g / (two - g);
    let s2 = s * s;
    // Least maximum error for this degree: 0.07 of half an ULP.
    let r = s2 * horner(simd, s2, [0.666_664_2, 0.400_215_27, 0.280_018_06, 0.280_119_87]);
    let half_square = half * g * g;
    let minus_ln = e * c(core::f32::consts::LN_2) + (g + (half_square + s * (half_square + r)));
    (minus_ln + minus_ln).sqrt()
}

/// Cosine and sine of an angle: `rest` in units of 2^-34 of a turn from the nearest quarter, whose number is in the upper bits of `turn`.
#[inline(always)]
fn cos_sin<L: Lanes<Scalar = f32>>(simd: L::Simd, rest: L, turn: L) -> [L; 2] {
    let c = |c| L::splat(simd, c);
    let (sign, one) = (c(-0.0), c(1.0));
    // The angle is pi / 2 times this. sin = FRAC_PI_2 x and a correction that has the rest of pi / 2 too.
    let x = rest * c(1.0 / 4_294_967_296.0);
    let x2 = x * x;
    // Least maximum errors for these degrees: 0.05 and 0.001 of half an ULP.
    let low = horner(simd, x2, [-4.879_8e-8, -0.645_963_5, 0.079_680_03, -0.004_601_658]);
    let sin = x * c(core::f32::consts::FRAC_PI_2) + x * low;
    let cos = one - x2 * horner(simd, x2, [1.233_700_5, -0.253_669_23, 0.020_860_165, -0.000_903_766_54]);
    // Quarters 1 and 3 swap the two, 1 and 2 turn the cosine's sign, 2 and 3 the sine's.
    let odd = turn.shl_bits::<1>().and_bits(sign).or_bits(one).lt(c(0.0));
    let (cos, sin) = (L::select(odd, sin, cos), L::select(odd, cos, sin));
    let next = turn.add_bits(c(f32::from_bits(1 << 30)));
    [cos.xor_bits(next.and_bits(sign)), sin.xor_bits(turn.and_bits(sign))]
}

/// `c[0] + c[1] x + c[2] x^2 + ..` by Horner's rule, each step rounded twice.
#[inline(always)]
fn horner<L: Lanes<Scalar = f32>, const N: usize>(simd: L::Simd, x: L, c: [f32; N]) -> L {
    let mut terms = c.iter().rev();
    let mut sum = L::splat(simd, terms.next().copied().unwrap_or_default());
    for c in terms {
        sum = sum * x + L::splat(simd, *c);
    }
    sum
}

/// Two independent standard normal values.
#[inline(always)]
fn pair_f64(first: u64, second: u64) -> [f64; 2] {
    // 1 - u lies in (0, 1], so that the logarithm is finite.
    let radius = libm::sqrt(-2.0 * libm::log(1.0 - unit_f64(first)));
    let [sin, cos] = sin_cos_turn(second);
    [radius * cos, radius * sin]
}

/// Sine and cosine of a uniformly random angle: of `word / 2^64` of a turn, to 2e-16.
#[inline(always)]
fn sin_cos_turn(word: u64) -> [f64; 2] {
    // The angle to the nearest quarter turn, as a signed fraction of 2^64 of a turn within an eighth of it.
    let quarter = word.wrapping_add(1 << 61) >> 62;
    let rest = word.wrapping_sub(quarter << 62).cast_signed();
    let x = rest as f64 * (core::f64::consts::TAU / 18_446_744_073_709_551_616.0);
    // Taylor's series; the first term left out is below 1e-16 at pi / 4.
    let x2 = x * x;
    let mut sin = 1.0;
    for k in [7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0] {
        sin = 1.0 - x2 / (2.0 * k * (2.0 * k + 1.0)) * sin;
    }
    sin *= x;
    let mut cos = 1.0;
    for k in [8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0] {
        cos = 1.0 - x2 / (2.0 * k * (2.0 * k - 1.0)) * cos;
    }
    match quarter {
        0 => [sin, cos],
        1 => [cos, -sin],
        2 => [-sin, -cos],
        _ => [-cos, sin],
    }
}

#[cfg(test)]
mod tests;
