//! Against `reference::random`, and against the normal distribution.

use super::*;
use crate::reference::random::normal_pair;
use crate::reference::{Placed, assert_same_bits, levels};
use crate::{Element, fill_normal};
use proptest::prelude::*;
use rand_pcg::{Pcg64, rand_core::SeedableRng};
use std::vec::Vec;

fn rng(seed: u64) -> Pcg64 {
    Pcg64::seed_from_u64(seed)
}

fn standard<T: Element>(level: Level, seed: u64, n: usize) -> Vec<T> {
    let mut y = std::vec![T::from_f64(f64::NAN); n];
    fill_normal(level, &mut rng(seed), 0.0, 1.0, &mut y).unwrap();
    y
}

/// Of the relative error. `fill_normal` documents the sum of what radius, sine and a product may be wrong by each; this is just above
/// what is found over [every half of a word](every_radius_and_every_angle_is_within_its_bound).
const BOUND: f64 = 3.2e-7;

/// The largest relative error of the values of these words, at a level; the words that have it.
fn worst(level: Level, words: impl IntoIterator<Item = u64>) -> (f64, u64) {
    let (mut batch, mut y, mut worst) = ([0; WORDS], [0.0; 2 * WORDS], (0.0, 0));
    let mut words = words.into_iter().peekable();
    while words.peek().is_some() {
        for (to, word) in batch.iter_mut().zip(&mut words) {
            *to = word;
        }
        transform(level, &batch, 0.0, 1.0, &mut y);
        for (y, words) in y.chunks(2 * PAIRS).zip(batch.chunks(PAIRS)) {
            for (i, word) in words.iter().enumerate() {
                for (z, exact) in [y[i], y[PAIRS + i]].into_iter().zip(normal_pair(*word)) {
                    let error = (f64::from(z) / exact - 1.0).abs();
                    if error > worst.0 {
                        worst = (error, *word);
                    }
                }
            }
        }
    }
    worst
}

/// Halves of words where something begins or ends, and random ones.
fn halves() -> Vec<u64> {
    let edges = [0, 1u64 << 32].into_iter().chain((3..32).map(|bit| 1 << bit));
    let near = edges.chain([1, 3, 5, 7].map(|eighth| eighth << 29)).chain([3 << 30]);
    near.flat_map(|edge| (0..64).map(move |i| (edge + i).wrapping_sub(32) & 0xffff_ffff)).collect()
}

#[test]
fn f32_is_within_its_bound() {
    let edges = halves();
    let mut rng = rng(1);
    let random: Vec<u64> = (0..300_000).map(|_| rng.next_u64()).collect();
    let pairs = edges.iter().flat_map(|k| edges.iter().map(move |a| k << 32 | a)).step_by(7);
    let words: Vec<u64> = pairs.chain(random).collect();
    for level in levels() {
        let (error, word) = worst(level, words.iter().copied());
        assert!(error <= BOUND, "{error:e} of {word:#x} at {}", level.name());
    }
}

/// Words with every upper and every lower half, once each.
#[test]
#[ignore = "every half of a word: three minutes on two cores"]
fn every_radius_and_every_angle_is_within_its_bound() {
    let words =
        |half: u64| (half << 31..(half + 1) << 31).map(|k| k << 32 | ((k * 0x9e37_79b1) & 0xffff_ffff));
    let level = Level::detect();
    let found = std::thread::scope(|scope| {
        [0, 1].map(|half| scope.spawn(move || worst(level, words(half)))).map(|thread| thread.join().unwrap())
    });
    assert!(found.iter().all(|(error, _)| *error <= BOUND), "error, word: {found:x?}");
}

#[test]
fn the_largest_and_the_smallest_values() {
    let most = libm::sqrt(66.0 * core::f64::consts::LN_2);
    for level in levels() {
        let mut y = [0.0; 2];
        let mut words = [0; WORDS];
        transform(level, &words, 0.0, 1.0, &mut y[..1]);
        assert!((f64::from(y[0]) / most - 1.0).abs() < 1e-7 && y[0] < 6.7638, "{}", y[0]);
        // u and the cosine as near to 1 and to 0 as they come.
        words[0] = 0xffff_ffff << 32 | 1 << 30;
        transform(level, &words, 0.0, 1.0, &mut y[..1]);
        assert!(y[0] < 0.0 && y[0] > -1.2e-14, "{}", y[0]);
    }
}

/// Counts the words that are taken.
struct Counting(Pcg64, usize);

impl rand_core::TryRng for Counting {
    type Error = core::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.1 += 1;
        self.0.try_next_u32()
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.1 += 1;
        self.0.try_next_u64()
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.1 += bytes.len();
        self.0.try_fill_bytes(bytes)
    }
}

/// Same bits on every level, the portable one too, wherever the slice lies and however long it is; words by the length alone.
fn check_bits<T: Element>(words: impl Fn(usize) -> usize, lengths: impl Iterator<Item = usize>) {
    let (mean, deviation) = (0.3, 1.7);
    let mut long = std::vec![T::default(); 3000];
    fill_normal(Level::Portable, &mut rng(7), mean, deviation, &mut long).unwrap();
    for n in lengths {
        for level in levels() {
            for offset in [0, 1, 5] {
                let mut y = Placed::new(&std::vec![T::from_f64(f64::NAN); n], offset);
                let mut rng = Counting(rng(7), 0);
                fill_normal(level, &mut rng, mean, deviation, y.get_mut()).unwrap();
                assert_same_bits(y.get(), &long[..n], "fill_normal", level);
                assert_eq!(rng.1, words(n), "words of {n}");
            }
        }
    }
}

#[test]
fn levels_places_and_lengths_agree_bit_for_bit() {
    let lengths = || (0..70).chain([255, 256, 257, 272, 300, 511, 513, 2999, 3000]);
    check_bits::<f32>(|n| n / 32 * 16 + (n % 32).min(16), lengths());
    check_bits::<f64>(|n| n.div_ceil(2) * 2, lengths());
}

proptest! {
    #[test]
    fn mean_and_deviation_are_applied(seed in any::<u64>(), mean in -10.0..10.0f64, deviation in 0.0..10.0f64, n in 1usize..100) {
        for level in levels() {
            let z = standard::<f32>(level, seed, n);
            let mut y = std::vec![0.0f32; n];
            fill_normal(level, &mut rng(seed), mean, deviation, &mut y).unwrap();
            for (y, z) in y.iter().zip(z) {
                prop_assert_eq!(*y, mean as f32 + deviation as f32 * z);
            }
        }
    }
}

/// `P(Z < z)`.
fn cumulative(z: f64) -> f64 {
    0.5 * libm::erfc(-z * core::f64::consts::FRAC_1_SQRT_2)
}

/// Within 4.5 standard errors, which by chance fails once in 150,000.
#[track_caller]
fn assert_near(actual: f64, expected: f64, standard_error: f64, what: &str) {
    let distance = (actual - expected) / standard_error;
    assert!(distance.abs() < 4.5, "{what}: {actual}, not {expected}: {distance} standard errors");
}

/// Moments, distribution, tails and neighbours of `n` values.
fn check_distribution<T: Element>(n: usize) {
    let z: Vec<f64> = standard::<T>(Level::detect(), 231, n).into_iter().map(|z| z.to_f64()).collect();
    let count = n as f64;
    // E z^k, and the variance E z^2k - (E z^k)^2 of a term.
    for (k, moment, variance) in
        [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0), (6, 15.0, 10_170.0)]
    {
        let mean = z.iter().map(|z| z.powi(k)).sum::<f64>() / count;
        assert_near(mean, moment, (variance / count).sqrt(), &std::format!("moment {k}"));
    }
    for limit in [0.01, 1.0, 2.0, 3.0, 3.5, 4.0, 4.5, 5.0] {
        for (side, sign) in [("above", 1.0), ("below", -1.0)] {
            let expected = count * cumulative(-limit);
            if expected > 4.0 {
                let beyond = z.iter().filter(|z| sign * **z > limit).count() as f64;
                assert_near(beyond, expected, expected.sqrt(), &std::format!("{side} {limit}"));
            }
        }
    }
    // Kolmogorov & Smirnov: beyond 2.2 / sqrt(n) once in 8,000.
    let mut sorted = z.clone();
    sorted.sort_by(f64::total_cmp);
    let distance = sorted.iter().enumerate().map(|(i, z)| (cumulative(*z) - (i as f64 + 0.5) / count).abs());
    let distance = distance.fold(0.0, f64::max) * count.sqrt();
    assert!(distance < 2.2, "distance {distance}");
    // Neighbours, and the two values of a word: neither they nor their squares know of each other.
    for lag in [1, 2, 3, 15, 16, 17, 31, 32, 33, 256] {
        let pairs = || z.iter().zip(&z[lag..]);
        let product = pairs().map(|(x, y)| x * y).sum::<f64>() / count;
        assert_near(product, 0.0, 1.0 / count.sqrt(), &std::format!("lag {lag}"));
        let squares = pairs().map(|(x, y)| (x * x - 1.0) * (y * y - 1.0)).sum::<f64>() / count;
        assert_near(squares, 0.0, 2.0 / count.sqrt(), &std::format!("squares, lag {lag}"));
        // 16 x 16 equally likely cells.
        let mut cells = [[0.0f64; 16]; 16];
        let cell = |z: f64| ((cumulative(z) * 16.0) as usize).min(15);
        pairs().for_each(|(x, y)| cells[cell(*x)][cell(*y)] += 1.0);
        let expected = (count - lag as f64) / 256.0;
        let chi2 = cells.iter().flatten().map(|n| (n - expected) * (n - expected) / expected).sum::<f64>();
        assert_near(chi2, 255.0, 510f64.sqrt(), &std::format!("cells, lag {lag}"));
    }
}

#[test]
fn f32_is_normal() {
    check_distribution::<f32>(1 << 22);
}

#[test]
fn f64_is_normal() {
    check_distribution::<f64>(1 << 18);
}

/// Of 2^26 values: the tails as far out as a few still are expected, 5.5 standard deviations.
#[test]
fn the_tails_of_f32_are_heavy_enough() {
    let (mut rng, mut y) = (rng(5), std::vec![0.0f32; 1 << 20]);
    let mut beyond = [0u32; 4];
    for _ in 0..64 {
        fill_normal(Level::detect(), &mut rng, 0.0, 1.0, &mut y).unwrap();
        let far = y.iter().map(|z| z.abs()).filter(|z| *z > 4.0);
        far.for_each(|z| (0..4).filter(|i| z > 4.0 + 0.5 * *i as f32).for_each(|i| beyond[i] += 1));
    }
    for (i, count) in beyond.into_iter().enumerate() {
        let limit = 4.0 + 0.5 * i as f64;
        let expected = 67_108_864.0 * 2.0 * cumulative(-limit);
        assert_near(f64::from(count), expected, expected.sqrt(), &std::format!("beyond {limit}"));
    }
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
