//! Random fills: uniform and normal values, dropout masks.
//!
//! Any generator with `rand_core`'s `Rng` will do. The values depend on it alone: not on the level, not on the
//! machine, and a fill takes a number of words that its length fixes, whatever they are.

use rand_core::Rng;

use crate::{Element, ValueError};

/// `y[i]` uniform in `[low, high)`; all `low` where the two are equal.
///
/// The bounds are rounded to `T` first. An `f32` has 24 random bits from one `u32` of the generator, an `f64` 53 from
/// one `u64`.
///
/// ```
/// use rand_pcg::{Pcg64, rand_core::SeedableRng};
/// use slicewise_kernels::fill_uniform;
///
/// let mut y = [0.0f32; 100];
/// fill_uniform(&mut Pcg64::seed_from_u64(1), -0.1, 0.1, &mut y)?;
/// assert!(y.iter().all(|y| (-0.1..0.1).contains(y)));
/// # Ok::<(), slicewise_kernels::ValueError>(())
/// ```
///
/// # Errors
/// [`ValueError`] unless `low <= high`, both and their distance finite as `T`.
pub fn fill_uniform<T: Element>(
    rng: &mut impl Rng,
    low: f64,
    high: f64,
    y: &mut [T],
) -> Result<(), ValueError> {
    let (from, to) = (T::from_f64(low), T::from_f64(high));
    let width = to - from;
    if !from.is_finite() {
        return Err(ValueError { argument: "low", value: low });
    }
    // NaN, the infinities and a distance beyond the largest T end here too.
    if !(from <= to && width.is_finite()) {
        return Err(ValueError { argument: "high", value: high });
    }
    for y in y {
        let x = from + T::from_f64(unit::<T>(rng)) * width;
        // The sum may round up to `high`: rarer than one value in 2^24.
        *y = if x < to { x } else { from };
    }
    Ok(())
}

/// `y[i]` normal (Gaussian) with that mean and standard deviation.
///
/// By the transform of Box & Muller (1958) in `f64`, rounded to `T` once: two values from two `u64`, the last one of
/// an odd fill alone. No value lies further from the mean than 8.6 standard deviations (beyond which the normal
/// distribution has 1e-17 of its mass).
///
/// ```
/// use rand_pcg::{Pcg64, rand_core::SeedableRng};
/// use slicewise_kernels::fill_normal;
///
/// let (fan_in, mut w) = (50, [0.0f32; 1000]);
/// fill_normal(&mut Pcg64::seed_from_u64(1), 0.0, (2.0 / fan_in as f64).sqrt(), &mut w)?; // He et al. 2015
/// assert!(w.iter().all(|w| w.abs() < 1.0));
/// # Ok::<(), slicewise_kernels::ValueError>(())
/// ```
///
/// # Errors
/// [`ValueError`] unless `mean` and `standard_deviation` are finite and the latter is not negative.
pub fn fill_normal<T: Element>(
    rng: &mut impl Rng,
    mean: f64,
    standard_deviation: f64,
    y: &mut [T],
) -> Result<(), ValueError> {
    if !mean.is_finite() {
        return Err(ValueError { argument: "mean", value: mean });
    }
    if !(standard_deviation >= 0.0 && standard_deviation.is_finite()) {
        return Err(ValueError { argument: "standard_deviation", value: standard_deviation });
    }
    for pair in y.chunks_mut(2) {
        for (y, z) in pair.iter_mut().zip(normal_pair(rng)) {
            *y = T::from_f64(mean + standard_deviation * z);
        }
    }
    Ok(())
}

/// A mask for inverted dropout: `y[i]` is `1 / keep_probability` with that probability, else 0 (Srivastava et al.
/// 2014; CS231n). Multiply activations, and their gradients, by it; evaluation needs no mask then.
///
/// The probability is rounded to a multiple of `2^-32`. Two elements come from one `u64` of the generator.
///
/// ```
/// use rand_pcg::{Pcg64, rand_core::SeedableRng};
/// use slicewise_kernels::fill_dropout_mask;
///
/// let mut mask = [0.0f32; 100];
/// fill_dropout_mask(&mut Pcg64::seed_from_u64(1), 0.5, &mut mask)?;
/// assert!(mask.iter().all(|&y| y == 0.0 || y == 2.0));
/// # Ok::<(), slicewise_kernels::ValueError>(())
/// ```
///
/// # Errors
/// [`ValueError`] unless `0 < keep_probability <= 1`.
pub fn fill_dropout_mask<T: Element>(
    rng: &mut impl Rng,
    keep_probability: f64,
    y: &mut [T],
) -> Result<(), ValueError> {
    if !(keep_probability > 0.0 && keep_probability <= 1.0) {
        return Err(ValueError { argument: "keep_probability", value: keep_probability });
    }
    let scale = T::from_f64(1.0 / keep_probability);
    // Between 0 and 2^32.
    let threshold = libm::rint(keep_probability * 4_294_967_296.0) as u64;
    for pair in y.chunks_mut(2) {
        let word = rng.next_u64();
        for (y, half) in pair.iter_mut().zip([word & 0xffff_ffff, word >> 32]) {
            *y = if half < threshold { scale } else { T::default() };
        }
    }
    Ok(())
}

/// Uniform in [0, 1), with as many bits as a `T` in [0.5, 1) has.
#[inline(always)]
fn unit<T: Element>(rng: &mut impl Rng) -> f64 {
    const TWO_TO_MINUS_24: f64 = 1.0 / 16_777_216.0;
    if T::LANES == 16 { f64::from(rng.next_u32() >> 8) * TWO_TO_MINUS_24 } else { unit_f64(rng.next_u64()) }
}

/// Uniform in [0, 1): the upper 53 bits of a word.
#[inline(always)]
fn unit_f64(word: u64) -> f64 {
    const TWO_TO_MINUS_53: f64 = 1.0 / 9_007_199_254_740_992.0;
    (word >> 11) as f64 * TWO_TO_MINUS_53
}

/// Two independent standard normal values.
#[inline(always)]
fn normal_pair(rng: &mut impl Rng) -> [f64; 2] {
    // 1 - u lies in (0, 1], so that the logarithm is finite.
    let radius = libm::sqrt(-2.0 * libm::log(1.0 - unit_f64(rng.next_u64())));
    let [sin, cos] = sin_cos_turn(rng.next_u64());
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
mod tests {
    use super::*;
    use rand_pcg::{Pcg64, rand_core::SeedableRng};

    fn rng() -> Pcg64 {
        Pcg64::seed_from_u64(231)
    }

    #[test]
    fn sine_and_cosine_are_accurate_all_round() {
        let step = (1u64 << 48) + 12_345;
        for word in (0..1 << 16).map(|i: u64| i.wrapping_mul(step)) {
            let [sin, cos] = sin_cos_turn(word);
            let angle = word as f64 / 18_446_744_073_709_551_616.0 * core::f64::consts::TAU;
            assert!((sin - libm::sin(angle)).abs() < 2e-15 && (cos - libm::cos(angle)).abs() < 2e-15);
            assert!((sin * sin + cos * cos - 1.0).abs() < 5e-16);
        }
    }

    #[test]
    fn ranges_are_checked_and_nothing_is_written() {
        let mut y = [7.0f32; 3];
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        for (low, high, argument) in [
            (nan, 1.0, "low"),
            (-inf, 1.0, "low"),
            (0.0, nan, "high"),
            (0.0, inf, "high"),
            (1.0, 0.0, "high"),
            (-3e38, 3e38, "high"),
            (0.0, 1e39, "high"),
        ] {
            assert_eq!(fill_uniform(&mut rng(), low, high, &mut y).unwrap_err().argument, argument);
        }
        for (mean, deviation, argument) in [
            (nan, 1.0, "mean"),
            (inf, 1.0, "mean"),
            (0.0, nan, "standard_deviation"),
            (0.0, -1.0, "standard_deviation"),
            (0.0, inf, "standard_deviation"),
        ] {
            assert_eq!(fill_normal(&mut rng(), mean, deviation, &mut y).unwrap_err().argument, argument);
        }
        for keep in [nan, 0.0, -0.5, 1.0 + f64::EPSILON] {
            assert_eq!(fill_dropout_mask(&mut rng(), keep, &mut y).unwrap_err().argument, "keep_probability");
        }
        assert_eq!(y, [7.0; 3]);
    }
}
