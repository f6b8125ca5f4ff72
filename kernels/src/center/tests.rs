//! Against the oracles of `reference::center` and `reference::batch_norm`, on every level.

use proptest::collection::vec;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::reference::batch_norm::{all_moments, channel_of};
use crate::reference::center as oracle;
use crate::reference::strategies::{channels, slice, special_slice};
use crate::reference::{Placed, assert_close, assert_same_bits, levels};

/// A data set, as numbers and as bytes, and a mean and a scale for each channel.
#[derive(Clone, Debug)]
struct Case<T> {
    channels: Channels,
    x: Vec<T>,
    pixels: Vec<u8>,
    mean: Vec<T>,
    scale: Vec<T>,
}

fn case<T: Element>() -> impl Strategy<Value = Case<T>> {
    channels().prop_flat_map(|channels| {
        let count = channels.channels();
        // A few hundred drawn values, repeated: shapes are what matters.
        let drawn = (special_slice::<T>(301), vec(any::<u8>(), 301), slice::<T>(count), slice::<T>(count));
        drawn.prop_map(move |(x, pixels, mean, scale)| Case {
            channels,
            x: x.into_iter().cycle().take(channels.len()).collect(),
            pixels: pixels.into_iter().cycle().take(channels.len()).collect(),
            mean,
            scale,
        })
    })
}

/// `n` elements that nobody may read.
fn dirty<T: Element>(n: usize, offset: usize) -> Placed<T> {
    Placed::new(&vec![T::from_f64(f64::NAN); n], offset)
}

/// What each function makes of the case, every slice `offset` elements past a cache line: data centred, data centred
/// and scaled, bytes centred and scaled, and the bytes' mean and deviation.
fn run<T: Element>(case: &Case<T>, level: Level, offset: usize) -> [Vec<T>; 5] {
    let Case { channels, x, pixels, mean, scale } = case;
    let (mean, scale) = (Placed::new(mean, offset), Placed::new(scale, offset));
    let (mut centred, mut scaled) = (Placed::new(x, offset), Placed::new(x, offset));
    center_in_place(level, *channels, centred.get_mut(), mean.get()).unwrap();
    center_and_scale_in_place(level, *channels, scaled.get_mut(), mean.get(), scale.get()).unwrap();
    let mut bytes = dirty(x.len(), offset);
    let skipped: Vec<u8> = vec![0; offset].into_iter().chain(pixels.iter().copied()).collect();
    center_u8(level, *channels, &skipped[offset..], mean.get(), scale.get(), bytes.get_mut()).unwrap();
    let (mut byte_mean, mut byte_std) =
        (dirty(channels.channels(), offset), dirty(channels.channels(), offset));
    mean_and_std_u8(level, *channels, &skipped[offset..], byte_mean.get_mut(), byte_std.get_mut()).unwrap();
    [centred, scaled, bytes, byte_mean, byte_std].map(|result| result.get().to_vec())
}

fn check<T: Element>(case: &Case<T>) {
    let u = T::EPSILON.to_f64() / 2.0;
    let tiny = if T::LANES == 16 { 1e-44 } else { 5e-323 };
    let ones = vec![T::from(1); case.mean.len()];
    let pixels: Vec<f32> = case.pixels.iter().map(|x| f32::from(*x)).collect();
    let pixels: Vec<T> = pixels.iter().map(|x| T::from_f64(f64::from(*x))).collect();
    let centred = oracle::center(case.channels, &case.x, &case.mean, &ones);
    let scaled = oracle::center(case.channels, &case.x, &case.mean, &case.scale);
    let bytes = oracle::center(case.channels, &pixels, &case.mean, &case.scale);
    let mut first: Option<[Vec<T>; 5]> = None;
    for level in levels() {
        let actual = run(case, level, 0);
        for (actual, expected) in actual.iter().zip([&centred, &scaled, &bytes]) {
            for (i, (actual, expected)) in actual.iter().zip(expected).enumerate() {
                // What underflows in the difference is multiplied.
                let c = channel_of(case.channels, i);
                let bound = 3.0 * u * expected.abs() + tiny * (1.0 + case.scale[c].to_f64().abs());
                assert_close(*actual, *expected, bound, "centred", level);
            }
        }
        let [.., byte_mean, byte_std] = &actual;
        for (c, (mean, std)) in byte_mean.iter().zip(byte_std).enumerate() {
            let (expected_mean, expected_std) = oracle::mean_and_std_u8(case.channels, &case.pixels, c);
            assert_close(*mean, expected_mean, 1.5 * u * expected_mean, "mean of bytes", level);
            assert_close(*std, expected_std, 3.0 * u * expected_std, "deviation of bytes", level);
        }
        for offset in [1, 7] {
            for (elsewhere, here) in run(case, level, offset).iter().zip(&actual) {
                assert_same_bits(elsewhere, here, "elsewhere", level);
            }
        }
        // Nothing here multiplies and adds: the levels agree, the portable one too.
        let first = first.get_or_insert_with(|| actual.clone());
        for (actual, first) in actual.iter().zip(&*first) {
            assert_same_bits(actual, first, "another level", level);
        }
    }
}

/// The statistics at an offset.
fn statistics<T: Element>(channels: Channels, x: &[T], level: Level, offset: usize) -> [Vec<T>; 2] {
    let (mut mean, mut std) = (dirty(channels.channels(), offset), dirty(channels.channels(), offset));
    mean_and_std(level, channels, Placed::new(x, offset).get(), mean.get_mut(), std.get_mut()).unwrap();
    [mean.get().to_vec(), std.get().to_vec()]
}

fn check_statistics<T: Element>(channels: Channels, x: &[T]) {
    let u = T::EPSILON.to_f64() / 2.0;
    let mut fused: Option<[Vec<T>; 2]> = None;
    for level in levels() {
        let [mean, std] = statistics(channels, x, level, 0);
        for (c, exact) in all_moments(channels, x).into_iter().enumerate() {
            // The bounds of batch norm's statistics.
            let l = (exact.n.min(150.0) + 8.0) * u;
            let spread = exact.variance + (8.0 * u * exact.mean).powi(2);
            let bound = u * exact.mean.abs() + l * (5.0 * spread).sqrt();
            assert_close(mean[c], exact.mean, bound, "mean", level);
            let squared = T::from_f64(std[c].to_f64() * std[c].to_f64());
            assert_close(squared, exact.variance, 16.0 * l * spread, "variance", level);
        }
        for offset in [1, 7] {
            for (elsewhere, here) in statistics(channels, x, level, offset).iter().zip([&mean, &std]) {
                assert_same_bits(elsewhere, here, "statistics elsewhere", level);
            }
        }
        if level != Level::Portable {
            let [expected_mean, expected_std] = fused.get_or_insert_with(|| [mean.clone(), std.clone()]);
            assert_same_bits(&mean, expected_mean, "mean", level);
            assert_same_bits(&std, expected_std, "deviation", level);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn centring_is_within_its_bound_f32(case in case::<f32>()) {
        check(&case);
    }

    #[test]
    fn centring_is_within_its_bound_f64(case in case::<f64>()) {
        check(&case);
    }

    #[test]
    fn statistics_are_within_their_bounds(channels in channels(), drawn in vec(-3.0..5.0f64, 301), mean in -100.0..100.0f64) {
        let x = drawn.iter().cycle().take(channels.len()).map(|x| x + mean);
        check_statistics(channels, &x.clone().map(|x| x as f32).collect::<Vec<_>>());
        check_statistics(channels, &x.collect::<Vec<_>>());
    }
}

/// Sums of bytes are exact however many there are: 70,000 rows of the largest byte overflow a `u32` of squares.
#[test]
fn many_large_bytes_are_summed_exactly() {
    let pixels = vec![255u8; 70_000 * 3];
    for (channels, n) in [(Channels::last(70_000, 3), 3), (Channels::first(1, 1, 210_000), 1)] {
        for level in levels() {
            let (mut mean, mut std) = (vec![0.0f64; n], vec![0.0; n]);
            mean_and_std_u8(level, channels, &pixels, &mut mean, &mut std).unwrap();
            assert_eq!((mean, std), (vec![255.0; n], vec![0.0; n]), "{}", level.name());
        }
    }
}

#[test]
fn nan_stays_in_its_channel() {
    for channels in [Channels::last(40, 7), Channels::first(5, 7, 8), Channels::last(3, 300)] {
        let poisoned = 3;
        let x: Vec<f32> = (0..channels.len())
            .map(|i| if i == poisoned * channels.inner() { f32::NAN } else { i as f32 })
            .collect();
        for level in levels() {
            let [mean, std] = statistics(channels, &x, level, 0);
            for (c, (mean, std)) in mean.iter().zip(&std).enumerate() {
                assert_eq!((mean.is_nan(), std.is_nan()), (c == poisoned, c == poisoned), "{c}");
            }
        }
    }
}

#[test]
fn errors_leave_every_output_untouched() {
    let channels = Channels::last(4, 3);
    let (x, pixels, each) = ([1.0f32; 12], [1u8; 12], [1.0f32; 3]);
    let untouched = |outcome: Result<(), ShapeError>, argument, outputs: &[&[f32]]| {
        assert_eq!(outcome.unwrap_err().argument, argument);
        assert!(outputs.iter().all(|y| y.iter().all(|y| *y == 7.0)), "{argument}");
    };
    for level in levels() {
        let (mut y, mut mean, mut std) = ([7.0f32; 12], [7.0f32; 3], [7.0f32; 3]);
        let (short, long) = (&each[..2], [1.0f32; 4]);
        let outcome = mean_and_std(level, channels, &x[1..], &mut mean, &mut std);
        untouched(outcome, "x", &[&mean, &std]);
        let outcome = mean_and_std(level, channels, &x, &mut mean[1..], &mut std);
        untouched(outcome, "mean", &[&mean, &std]);
        let outcome = mean_and_std(level, channels, &x, &mut mean, &mut std[1..]);
        untouched(outcome, "std", &[&mean, &std]);
        let outcome = mean_and_std::<f32>(level, Channels::last(0, 3), &[], &mut mean, &mut std);
        untouched(outcome, "channels.per_channel()", &[&mean, &std]);
        let outcome = mean_and_std_u8(level, channels, &pixels[1..], &mut mean, &mut std);
        untouched(outcome, "pixels", &[&mean, &std]);
        untouched(center_in_place(level, channels, &mut y[1..], &each), "x", &[&y]);
        untouched(center_in_place(level, channels, &mut y, short), "mean", &[&y]);
        untouched(center_and_scale_in_place(level, channels, &mut y, &each, &long), "scale", &[&y]);
        untouched(center_u8(level, channels, &pixels[1..], &each, &each, &mut y), "pixels", &[&y]);
        untouched(center_u8(level, channels, &pixels, short, &each, &mut y), "mean", &[&y]);
        untouched(center_u8(level, channels, &pixels, &each, &long, &mut y), "scale", &[&y]);
        untouched(center_u8(level, channels, &pixels, &each, &each, &mut y[1..]), "y", &[&y]);
    }
}
