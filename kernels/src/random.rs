//! Random fills: uniform and normal values, dropout masks.
//!
//! Any generator with `rand_core`'s `Rng` will do. The values depend on it alone: not on the level, not on the
//! machine, and a fill takes a number of words that its length fixes, whatever they are. A longer fill begins with the
//! values of a shorter one.

mod normal;

use rand_core::Rng;

use crate::{Element, Level, ValueError};

pub(crate) use normal::Normal;

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
/// By the transform of Box & Muller (1958), `sqrt(-2 ln u)` times the cosine and the sine of a random angle. The level decides the speed alone:
/// the bits are the same on each.
///
/// `f32`: `u` and the angle from 32 bits each of one `u64`, 32 values from 16 of them, the cosines before the sines; a rest of fewer values takes
/// a `u64` each, at most 16. The transform's relative error is at most 3.6e-7, however small the value; the product with the standard deviation
/// and the sum with the mean, both rounded to `f32` first, are rounded once more each. No value lies further from the mean than 6.76 standard
/// deviations (beyond which the normal distribution has 1.4e-11 of its mass).
///
/// `f64`: from 53 and 64 bits of two `u64` for a pair of values, the last one of an odd fill alone, to 1e-15; up to 8.6 standard deviations
/// (1e-17). A tenth as fast.
///
/// ```
/// use rand_pcg::{Pcg64, rand_core::SeedableRng};
/// use slicewise_kernels::{Level, fill_normal};
///
/// let (fan_in, mut w) = (50, [0.0f32; 1000]);
/// let he = (2.0 / fan_in as f64).sqrt(); // He et al. 2015
/// fill_normal(Level::detect(), &mut Pcg64::seed_from_u64(1), 0.0, he, &mut w)?;
/// assert!(w.iter().all(|w| w.abs() < 1.0));
/// # Ok::<(), slicewise_kernels::ValueError>(())
/// ```
///
/// # Errors
/// [`ValueError`] unless `mean` and `standard_deviation` are finite as `T` and the latter is not negative.
pub fn fill_normal<T: Element>(
    level: Level,
    rng: &mut impl Rng,
    mean: f64,
    standard_deviation: f64,
    y: &mut [T],
) -> Result<(), ValueError> {
    if !T::from_f64(mean).is_finite() {
        return Err(ValueError { argument: "mean", value: mean });
    }
    if !(standard_deviation >= 0.0 && T::from_f64(standard_deviation).is_finite()) {
        return Err(ValueError { argument: "standard_deviation", value: standard_deviation });
    }
    T::fill_normal(level, rng, mean, standard_deviation, y);
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
    let values = [T::default(), scale];
    for pair in y.chunks_mut(2) {
        let word = rng.next_u64();
        for (y, half) in pair.iter_mut().zip([word & 0xffff_ffff, word >> 32]) {
            // 1 where it is less, by what the difference borrows: of a comparison the compiler makes a branch, foretold wrongly as often as not.
            let kept = half.wrapping_sub(threshold) >> 63;
            *y = values.get(usize::try_from(kept).unwrap_or_default()).copied().unwrap_or_default();
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

#[cfg(test)]
mod tests {
    use std::vec;

    use rand_pcg::Pcg64;
    use rand_pcg::rand_core::{Rng, SeedableRng};
    use slicewise_kernels::*;

    fn rng() -> Pcg64 {
        Pcg64::seed_from_u64(231)
    }

    /// How many of `n` trials of probability `p` there may be: six standard deviations about what is to be expected.
    fn likely(n: usize, p: f64) -> core::ops::RangeInclusive<f64> {
        let (mean, deviation) = (n as f64 * p, (n as f64 * p * (1.0 - p)).sqrt());
        mean - 6.0 * deviation..=mean + 6.0 * deviation
    }

    fn masks_follow_their_words<T: Element>() {
        for keep in [1e-12, 1e-3, 0.25, 0.5, 0.8, 1.0] {
            let mut mask = vec![T::from_f64(7.0); 10_001];
            fill_dropout_mask(&mut rng(), keep, &mut mask).unwrap();
            let (mut words, threshold) = (rng(), (keep * 2f64.powi(32)).round());
            for (i, pair) in mask.chunks(2).enumerate() {
                let word = words.next_u64();
                for (y, half) in pair.iter().zip([word & u64::from(u32::MAX), word >> 32]) {
                    let expected = if (half as f64) < threshold { 1.0 / keep } else { 0.0 };
                    assert_eq!(*y, T::from_f64(expected), "pair {i}, kept with probability {keep}");
                }
            }
            let kept = mask.iter().filter(|y| **y != T::default()).count();
            assert!(likely(mask.len(), keep).contains(&(kept as f64)), "{kept} with probability {keep}");

            let mut shorter = vec![T::default(); 7];
            fill_dropout_mask(&mut rng(), keep, &mut shorter).unwrap();
            assert_eq!(mask[..7], shorter[..]);
        }
    }

    #[test]
    fn masks_keep_what_their_words_say() {
        masks_follow_their_words::<f32>();
        masks_follow_their_words::<f64>();
    }

    fn values_are_uniform<T: Element>() {
        let (n, low, high) = (20_000, -1.5, 2.5);
        let mut y = vec![T::default(); n];
        fill_uniform(&mut rng(), low, high, &mut y).unwrap();
        for tenth in 0..10 {
            let from = low + 0.4 * f64::from(tenth);
            let inside = |y: &&T| (from..from + 0.4).contains(&y.to_f64());
            let count = y.iter().filter(inside).count();
            assert!(likely(n, 0.1).contains(&(count as f64)), "{count} from {from} on");
        }
        assert!(y.iter().all(|y| (low..high).contains(&y.to_f64())));

        let mut shorter = vec![T::default(); 7];
        fill_uniform(&mut rng(), low, high, &mut shorter).unwrap();
        assert_eq!(y[..7], shorter[..]);
        fill_uniform(&mut rng(), low, low, &mut shorter).unwrap();
        assert_eq!(shorter, [T::from_f64(low); 7]);
    }

    #[test]
    fn uniform_values_fill_their_range_evenly() {
        values_are_uniform::<f32>();
        values_are_uniform::<f64>();
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
            (1e39, 1.0, "mean"),
            (0.0, nan, "standard_deviation"),
            (0.0, -1.0, "standard_deviation"),
            (0.0, inf, "standard_deviation"),
            (0.0, 1e39, "standard_deviation"),
        ] {
            let error = fill_normal(Level::Portable, &mut rng(), mean, deviation, &mut y).unwrap_err();
            assert_eq!(error.argument, argument);
        }
        for keep in [nan, 0.0, -0.5, 1.0 + f64::EPSILON] {
            assert_eq!(fill_dropout_mask(&mut rng(), keep, &mut y).unwrap_err().argument, "keep_probability");
        }
        assert_eq!(y, [7.0; 3]);
    }
}
