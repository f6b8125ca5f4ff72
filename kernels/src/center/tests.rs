//! Against the oracle of `reference::center`, on every level.

use proptest::collection::vec;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

use slicewise_kernels::reference::batch_norm::channel_of;
use slicewise_kernels::reference::center as oracle;
use slicewise_kernels::reference::strategies::{channels, slice, special_slice};
use slicewise_kernels::reference::{Placed, assert_close, assert_same_bits, levels};
use slicewise_kernels::*;

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
/// and scaled, bytes centred and scaled.
fn run<T: Element>(case: &Case<T>, level: Level, offset: usize) -> [Vec<T>; 3] {
    let Case { channels, x, pixels, mean, scale } = case;
    let (mean, scale) = (Placed::new(mean, offset), Placed::new(scale, offset));
    let (mut centred, mut scaled) = (Placed::new(x, offset), Placed::new(x, offset));
    center_in_place(level, *channels, centred.get_mut(), mean.get()).unwrap();
    center_and_scale_in_place(level, *channels, scaled.get_mut(), mean.get(), scale.get()).unwrap();
    let mut bytes = dirty(x.len(), offset);
    let skipped: Vec<u8> = vec![0; offset].into_iter().chain(pixels.iter().copied()).collect();
    center_u8(level, *channels, &skipped[offset..], mean.get(), scale.get(), bytes.get_mut()).unwrap();
    [centred, scaled, bytes].map(|result| result.get().to_vec())
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
    let mut first: Option<[Vec<T>; 3]> = None;
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
}

#[test]
fn errors_leave_every_output_untouched() {
    let channels = Channels::last(4, 3);
    let (pixels, each) = ([1u8; 12], [1.0f32; 3]);
    let untouched = |outcome: Result<(), ShapeError>, argument, outputs: &[&[f32]]| {
        assert_eq!(outcome.unwrap_err().argument, argument);
        assert!(outputs.iter().all(|y| y.iter().all(|y| *y == 7.0)), "{argument}");
    };
    for level in levels() {
        let mut y = [7.0f32; 12];
        let (short, long) = (&each[..2], [1.0f32; 4]);
        untouched(center_in_place(level, channels, &mut y[1..], &each), "x", &[&y]);
        untouched(center_in_place(level, channels, &mut y, short), "mean", &[&y]);
        untouched(center_and_scale_in_place(level, channels, &mut y, &each, &long), "scale", &[&y]);
        untouched(center_u8(level, channels, &pixels[1..], &each, &each, &mut y), "pixels", &[&y]);
        untouched(center_u8(level, channels, &pixels, short, &each, &mut y), "mean", &[&y]);
        untouched(center_u8(level, channels, &pixels, &each, &long, &mut y), "scale", &[&y]);
        untouched(center_u8(level, channels, &pixels, &each, &each, &mut y[1..]), "y", &[&y]);
    }
}
