//! Against the oracles of `reference::center` and `reference::batch_norm`, on every level; chunks against the whole.

use proptest::collection::vec;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

use slicewise_kernels::reference::batch_norm::{all_moments, channel_of};
use slicewise_kernels::reference::center as oracle;
use slicewise_kernels::reference::strategies::{channels, special_slice};
use slicewise_kernels::reference::{Placed, assert_close, assert_same_bits, levels};
use slicewise_kernels::*;

/// `n` elements that nobody may read.
fn dirty<T: Element>(n: usize, offset: usize) -> Placed<T> {
    Placed::new(&vec![T::from_f64(f64::NAN); n], offset)
}

/// The statistics at an offset.
fn statistics<T: Element>(channels: Channels, x: &[T], level: Level, offset: usize) -> [Vec<T>; 2] {
    let (mut mean, mut std) = (dirty(channels.channels(), offset), dirty(channels.channels(), offset));
    mean_and_std(level, channels, Placed::new(x, offset).get(), mean.get_mut(), std.get_mut()).unwrap();
    [mean.get().to_vec(), std.get().to_vec()]
}

/// The statistics of bytes, in a slice that begins `offset` bytes further.
fn statistics_of_bytes<T: Element>(
    channels: Channels,
    pixels: &[u8],
    level: Level,
    offset: usize,
) -> [Vec<T>; 2] {
    let (mut mean, mut std) = (dirty(channels.channels(), offset), dirty(channels.channels(), offset));
    let skipped: Vec<u8> = vec![0; offset].into_iter().chain(pixels.iter().copied()).collect();
    mean_and_std_u8(level, channels, &skipped[offset..], mean.get_mut(), std.get_mut()).unwrap();
    [mean.get().to_vec(), std.get().to_vec()]
}

/// Rows of each chunk, over and over, until the data ends; a 0 is an empty chunk.
fn chunks<'a, T>(channels: Channels, x: &'a [T], rows: &'a [usize]) -> impl Iterator<Item = &'a [T]> {
    let row = channels.channels() * channels.inner();
    let mut rest = x;
    rows.iter().cycle().map_while(move |rows| {
        let (chunk, others) = rest.split_at(rest.len().min(rows * row));
        let ended = core::mem::replace(&mut rest, others).is_empty();
        (!ended).then_some(chunk)
    })
}

/// The statistics in chunks, each at an offset of its own.
fn chunked<T: Element>(
    channels: Channels,
    x: &[T],
    rows: &[usize],
    level: Level,
    offset: usize,
) -> [Vec<T>; 2] {
    let mut state = dirty::<f64>(statistics_len(channels), offset);
    let mut statistics = Statistics::new(channels, state.get_mut()).unwrap();
    let (mut mean, mut std) = (dirty(channels.channels(), offset), dirty(channels.channels(), offset));
    for (i, chunk) in chunks(channels, x, rows).enumerate() {
        statistics.add(level, Placed::new(chunk, (i + offset) % 17).get()).unwrap();
        if i == 1 {
            // What is asked for on the way leaves no trace.
            let _ = statistics.mean_and_std(level, mean.get_mut(), std.get_mut());
        }
    }
    assert_eq!(statistics.rows(), channels.outer() as u64);
    statistics.mean_and_std(level, mean.get_mut(), std.get_mut()).unwrap();
    [mean.get().to_vec(), std.get().to_vec()]
}

fn chunked_bytes<T: Element>(channels: Channels, pixels: &[u8], rows: &[usize], level: Level) -> [Vec<T>; 2] {
    let mut state = vec![u64::MAX; statistics_u8_len(channels)];
    let mut statistics = StatisticsU8::new(channels, &mut state).unwrap();
    for chunk in chunks(channels, pixels, rows) {
        statistics.add(level, chunk).unwrap();
    }
    assert_eq!(statistics.rows(), channels.outer() as u64);
    let (mut mean, mut std) = (dirty(channels.channels(), 0), dirty(channels.channels(), 0));
    statistics.mean_and_std(mean.get_mut(), std.get_mut()).unwrap();
    [mean.get().to_vec(), std.get().to_vec()]
}

fn assert_same<T: Element>(actual: &[Vec<T>; 2], expected: &[Vec<T>; 2], what: &str, level: Level) {
    for (actual, expected) in actual.iter().zip(expected) {
        assert_same_bits(actual, expected, what, level);
    }
}

/// The whole against the oracle, at offsets and between levels; chunks against the whole.
fn check<T: Element>(channels: Channels, x: &[T], rows: &[usize]) {
    let [u, v] = [T::EPSILON.to_f64(), f64::EPSILON].map(|epsilon| epsilon / 2.0);
    let mut fused: Option<[Vec<T>; 2]> = None;
    for level in levels() {
        let whole = statistics(channels, x, level, 0);
        let [mean, std] = &whole;
        for (c, exact) in all_moments(channels, x).into_iter().enumerate() {
            let l = (exact.n.min(150.0) + 8.0) * v;
            let spread = exact.variance + (8.0 * v * exact.mean).powi(2);
            let bound = (u + v) * exact.mean.abs() + l * spread.sqrt();
            assert_close(mean[c], exact.mean, bound, "mean", level);
            let squared = std[c].to_f64() * std[c].to_f64();
            let bound = 10.0 * l * spread + 3.0 * u * squared;
            assert!(
                (squared - exact.variance).abs() <= bound,
                "variance {squared:e}, not {:e}",
                exact.variance
            );
        }
        for offset in [1, 7] {
            assert_same(&statistics(channels, x, level, offset), &whole, "elsewhere", level);
            assert_same(&chunked(channels, x, rows, level, offset), &whole, "chunks", level);
        }
        assert_same(&chunked(channels, x, &[1], level, 0), &whole, "single rows", level);
        if level != Level::Portable {
            assert_same(&whole, fused.get_or_insert_with(|| whole.clone()), "another level", level);
        }
    }
}

/// As [`check`].
fn check_bytes<T: Element>(channels: Channels, pixels: &[u8], rows: &[usize]) {
    let u = T::EPSILON.to_f64() / 2.0;
    let mut first: Option<[Vec<T>; 2]> = None;
    for level in levels() {
        let whole = statistics_of_bytes::<T>(channels, pixels, level, 0);
        let [mean, std] = &whole;
        for (c, (mean, std)) in mean.iter().zip(std).enumerate() {
            let (expected_mean, expected_std) = oracle::mean_and_std_u8(channels, pixels, c);
            assert_close(*mean, expected_mean, 1.5 * u * expected_mean, "mean of bytes", level);
            assert_close(*std, expected_std, 3.0 * u * expected_std, "deviation of bytes", level);
        }
        for offset in [1, 7] {
            assert_same(&statistics_of_bytes(channels, pixels, level, offset), &whole, "elsewhere", level);
        }
        assert_same(&chunked_bytes(channels, pixels, rows, level), &whole, "chunks of bytes", level);
        assert_same(&whole, first.get_or_insert_with(|| whole.clone()), "another level", level);
    }
}

/// Rows of chunks: single ones, empty ones, and about the lengths of blocks and of rows that count as one.
fn rows() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![Just(0usize), Just(1), 2usize..9, 30usize..70, 100usize..300], 1..9)
        .prop_filter("a chunk that is not empty", |rows| rows.iter().any(|rows| *rows > 0))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn statistics_are_within_their_bounds_in_chunks_too(
        channels in channels(), drawn in vec(-3.0..5.0f64, 301), mean in prop_oneof![-100.0..100.0f64, Just(1e6)],
        outlier in prop_oneof![Just(0.0), Just(1e5)], rows in rows(),
    ) {
        let mut x: Vec<f64> = drawn.iter().cycle().take(channels.len()).map(|x| x + mean).collect();
        // First values unlike the others.
        x.iter_mut().take(channels.channels()).for_each(|x| *x += outlier);
        check(channels, &x.iter().map(|x| *x as f32).collect::<Vec<_>>(), &rows);
        check(channels, &x, &rows);
    }

    #[test]
    fn bytes_are_within_their_bounds_in_chunks_too(channels in channels(), drawn in vec(any::<u8>(), 301), rows in rows()) {
        let pixels: Vec<u8> = drawn.into_iter().cycle().take(channels.len()).collect();
        check_bytes::<f32>(channels, &pixels, &rows);
        check_bytes::<f64>(channels, &pixels, &rows);
    }

    #[test]
    fn special_values_spoil_their_channel_alone(channels in channels(), x in special_slice::<f32>(301), rows in rows()) {
        let x: Vec<f32> = x.into_iter().cycle().take(channels.len()).collect();
        let mut spoilt = vec![false; channels.channels()];
        for (i, x) in x.iter().enumerate() {
            spoilt[channel_of(channels, i)] |= !x.is_finite();
        }
        for level in levels() {
            let whole = statistics(channels, &x, level, 0);
            assert_same(&chunked(channels, &x, &rows, level, 0), &whole, "chunks", level);
            let [mean, std] = &whole;
            for ((mean, std), spoilt) in mean.iter().zip(std).zip(&spoilt) {
                prop_assert_eq!((mean.is_finite(), std.is_nan()), (!spoilt, *spoilt));
            }
        }
    }
}

/// As long data sets have more blocks than the others here; first values far off, as in the worst of cases.
#[test]
fn many_rows_are_within_their_bounds() {
    for channels in [Channels::last(100_000, 3), Channels::last(20_000, 40), Channels::first(3, 2, 40_000)] {
        let x: Vec<f64> = (0..channels.len()).map(|i| 1e3 + (i * 7919 % 1009) as f64 / 128.0).collect();
        let far: Vec<f64> = x.iter().enumerate().map(|(i, x)| if i < 6 { x - 1e9 } else { *x }).collect();
        for x in [x, far] {
            check(channels, &x, &[977]);
            check(channels, &x.iter().map(|x| *x as f32).collect::<Vec<_>>(), &[977]);
        }
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
fn a_constant_channel_has_no_deviation() {
    for channels in
        [Channels::last(1000, 3), Channels::last(77, 300), Channels::first(7, 3, 5000), Channels::last(1, 5)]
    {
        for constant in [0.1f32, -1e6 / 3.0, 1e-40, 0.0] {
            for level in levels() {
                let [mean, std] = chunked(channels, &vec![constant; channels.len()], &[5], level, 0);
                assert!(
                    mean.iter().all(|x| *x == constant) && std.iter().all(|x| *x == 0.0),
                    "{}",
                    level.name()
                );
                let constant = f64::from(constant) / 3.0;
                let [mean, std] = chunked(channels, &vec![constant; channels.len()], &[5], level, 0);
                assert!(
                    mean.iter().all(|x| *x == constant) && std.iter().all(|x| *x == 0.0),
                    "{}",
                    level.name()
                );
            }
        }
    }
}

#[test]
fn errors_leave_every_output_untouched() {
    let channels = Channels::last(4, 3);
    let (x, pixels) = ([1.0f32; 12], [1u8; 12]);
    let untouched = |outcome: Result<(), ShapeError>, argument, outputs: &[&[f32]]| {
        assert_eq!(outcome.unwrap_err().argument, argument);
        assert!(outputs.iter().all(|y| y.iter().all(|y| *y == 7.0)), "{argument}");
    };
    for level in levels() {
        let (mut mean, mut std) = ([7.0f32; 3], [7.0f32; 3]);
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
        let outcome = mean_and_std_u8(level, channels, &pixels, &mut mean, &mut std[1..]);
        untouched(outcome, "std", &[&mean, &std]);
    }
}

#[test]
fn errors_leave_the_state_untouched() {
    let channels_of = |n, shape: Channels| Channels::first(n, shape.channels(), shape.inner());
    for channels in [Channels::last(9, 3), Channels::last(9, 40), Channels::first(9, 3, 5)] {
        let row = channels.channels() * channels.inner();
        let pixels: Vec<u8> = (0..4 * row).map(|i| (i * 7 % 256) as u8).collect();
        let x: Vec<f64> = pixels.iter().map(|x| f64::from(*x)).collect();
        let count = channels.channels();
        let (mut mean, mut std) = (vec![7.0f64; count], vec![7.0; count]);
        let argument = |outcome: Result<(), ShapeError>| outcome.unwrap_err().argument;

        let mut state = vec![7.0; statistics_len(channels)];
        let short = state.len() - 1;
        assert_eq!(Statistics::new(channels, &mut state[..short]).unwrap_err().argument, "state");
        assert!(state.iter().all(|x| *x == 7.0));
        let mut statistics = Statistics::new(channels, &mut state).unwrap();
        assert_eq!(argument(statistics.mean_and_std(Level::Portable, &mut mean, &mut std)), "rows");
        statistics.add(Level::Portable, &x).unwrap();
        assert_eq!(argument(statistics.add(Level::Portable, &x[1..])), "x");
        assert_eq!(statistics.rows(), 4);
        assert_eq!(argument(statistics.mean_and_std(Level::Portable, &mut mean[1..], &mut std)), "mean");
        assert_eq!(argument(statistics.mean_and_std(Level::Portable, &mut mean, &mut std[1..])), "std");
        assert!(mean.iter().chain(&std).all(|x| *x == 7.0));
        let (mut mean_after, mut std_after) = (mean.clone(), std.clone());
        statistics.mean_and_std(Level::Portable, &mut mean_after, &mut std_after).unwrap();
        let without = self::statistics(channels_of(4, channels), &x, Level::Portable, 0);
        assert_eq!([mean_after, std_after], without);

        let mut state = vec![7; statistics_u8_len(channels)];
        assert_eq!(StatisticsU8::new(channels, &mut state[1..]).unwrap_err().argument, "state");
        assert!(state.iter().all(|x| *x == 7));
        let mut statistics = StatisticsU8::new(channels, &mut state).unwrap();
        assert_eq!(argument(statistics.mean_and_std(&mut mean, &mut std)), "rows");
        statistics.add(Level::Portable, &pixels).unwrap();
        assert_eq!(argument(statistics.add(Level::Portable, &pixels[1..])), "pixels");
        assert_eq!(statistics.rows(), 4);
        assert_eq!(argument(statistics.mean_and_std(&mut mean[1..], &mut std)), "mean");
        assert!(mean.iter().chain(&std).all(|x| *x == 7.0));
        statistics.mean_and_std(&mut mean, &mut std).unwrap();
        let without = statistics_of_bytes(channels_of(4, channels), &pixels, Level::Portable, 0);
        assert_eq!([mean, std], without);
    }
    // Rows without values are no data.
    let mut state = [0.0; 40];
    let mut statistics = Statistics::new(Channels::first(5, 2, 0), &mut state).unwrap();
    statistics.add::<f32>(Level::Portable, &[]).unwrap();
    assert!(statistics.mean_and_std(Level::Portable, &mut [0.0f32; 2], &mut [0.0; 2]).is_err());
    // Nor does any slice hold the state of as many channels as there are numbers.
    assert!(Statistics::new(Channels::last(1, usize::MAX), &mut [0.0; 40]).is_err());
}
