//! Against `reference::prelu`, on every level.

use proptest::prelude::*;
use slicewise_kernels::reference::batch_norm::channel_of;
use slicewise_kernels::reference::prelu as oracle;
use slicewise_kernels::reference::strategies::{channels, special_slice, value};
use slicewise_kernels::reference::{Placed, assert_close, assert_same_bits, levels};
use slicewise_kernels::*;
use std::vec::Vec;

/// Channels, input, slopes, gradient, offset.
type Case<T> = (Channels, Vec<T>, Vec<T>, Vec<T>, usize);

fn check<T: Element>((channels, x, slopes, dy, offset): &Case<T>) {
    let mut first = None;
    for level in levels() {
        let [placed, placed_dy] = [x, dy].map(|x| Placed::new(x, *offset));
        let nan = std::vec![T::from_f64(f64::NAN); x.len()];
        let (mut y, mut dx) = (Placed::new(&nan, offset + 1), Placed::new(&nan, offset + 3));
        let mut dslopes = std::vec![T::from_f64(f64::NAN); slopes.len()];
        prelu(level, *channels, placed.get(), slopes, y.get_mut()).unwrap();
        prelu_backward(level, *channels, placed.get(), slopes, placed_dy.get(), dx.get_mut(), &mut dslopes)
            .unwrap();
        // One product: every level rounds alike.
        let expected: Vec<T> = x
            .iter()
            .enumerate()
            .map(|(i, x)| oracle::forward(*x, slopes[channel_of(*channels, i)]))
            .collect();
        assert_same_bits(y.get(), &expected, "prelu", level);
        let terms = x.iter().zip(dy).enumerate();
        let expected: Vec<T> =
            terms.map(|(i, (x, dy))| oracle::backward(*x, slopes[channel_of(*channels, i)], *dy)).collect();
        assert_same_bits(dx.get(), &expected, "dx", level);
        for (c, actual) in dslopes.iter().enumerate() {
            let sum = oracle::slope_gradient(*channels, x, dy, c);
            let tiny = f64::from(f32::MIN_POSITIVE) * f64::from(u8::from(T::LANES == 16));
            // Where the largest values meet, partial sums overflow in their own ways.
            if T::from_f64(2.0 * sum.magnitude).is_finite() || sum.magnitude.is_nan() {
                let bound = 140.0 * T::EPSILON.to_f64() / 2.0 * sum.magnitude + tiny;
                assert_close(*actual, sum.value, bound, "dslope", level);
            }
        }
        if level != Level::Portable {
            let first = first.get_or_insert_with(|| dslopes.clone());
            assert_same_bits(&dslopes, first, "dslopes", level);
        }
    }
}

fn case<T: Element>() -> impl Strategy<Value = Case<T>> {
    channels().prop_flat_map(|channels| {
        let slopes = proptest::collection::vec(value::<T>(), channels.channels());
        let usual = proptest::collection::vec((-4.0..4.0f64).prop_map(T::from_f64), channels.len());
        let x = prop_oneof![usual, special_slice::<T>(channels.len())];
        (Just(channels), x, slopes, special_slice::<T>(channels.len()), 0usize..16)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn f32_is_the_formula(case in case::<f32>()) {
        check(&case);
    }

    #[test]
    fn f64_is_the_formula(case in case::<f64>()) {
        check(&case);
    }
}

/// Centred differences of `sum y * dy`.
#[test]
fn the_gradients_are_the_losses() {
    let channels = Channels::first(3, 2, 5);
    let mut x: Vec<f64> = (0..30).map(|i| f64::from(i * 7 % 11) - 5.3).collect();
    let dy: Vec<f64> = (0..30).map(|i| f64::from(i * 5 % 7) - 3.0).collect();
    let (mut slopes, h) = (std::vec![0.25, -0.5], 1e-5);
    for level in levels() {
        let (mut dx, mut dslopes) = (std::vec![0.0; 30], std::vec![0.0; 2]);
        prelu_backward(level, channels, &x, &slopes, &dy, &mut dx, &mut dslopes).unwrap();
        let loss = |x: &[f64], slopes: &[f64]| {
            let mut y = std::vec![0.0; 30];
            prelu(level, channels, x, slopes, &mut y).unwrap();
            y.iter().zip(&dy).map(|(y, dy)| y * dy).sum::<f64>()
        };
        for (i, dx) in dx.iter().enumerate() {
            let at = x[i];
            let mut moved = |to| {
                x[i] = to;
                loss(&x, &slopes)
            };
            let slope = (moved(at + h) - moved(at - h)) / (2.0 * h);
            x[i] = at;
            assert!((slope - dx).abs() < 1e-8, "dx[{i}] at {}", level.name());
        }
        for (c, dslope) in dslopes.iter().enumerate() {
            let at = slopes[c];
            let mut moved = |to| {
                slopes[c] = to;
                loss(&x, &slopes)
            };
            let slope = (moved(at + h) - moved(at - h)) / (2.0 * h);
            slopes[c] = at;
            assert!((slope - dslope).abs() < 1e-6, "dslope[{c}] at {}", level.name());
        }
    }
}

#[test]
fn lengths_are_checked() {
    let (level, channels) = (Level::Portable, Channels::last(2, 2));
    let (x, slopes, mut y, mut d) = ([1.0f32; 4], [0.5; 2], [7.0; 4], [7.0; 2]);
    let wrong = |argument, expected, actual| ShapeError { argument, expected, actual };
    assert_eq!(prelu(level, channels, &x[..3], &slopes, &mut y).unwrap_err(), wrong("x", 4, 3));
    assert_eq!(prelu(level, channels, &x, &slopes[..1], &mut y).unwrap_err(), wrong("slopes", 2, 1));
    assert_eq!(prelu(level, channels, &x, &slopes, &mut y[..3]).unwrap_err(), wrong("y", 4, 3));
    let mut error = |x: &[f32], slopes: &[f32], dy: &[f32], dx: usize, dslopes: usize| {
        prelu_backward(level, channels, x, slopes, dy, &mut y[..dx], &mut d[..dslopes]).unwrap_err()
    };
    assert_eq!(error(&x[..3], &slopes, &x, 4, 2), wrong("x", 4, 3));
    assert_eq!(error(&x, &slopes[..1], &x, 4, 2), wrong("slopes", 2, 1));
    assert_eq!(error(&x, &slopes, &x[..3], 4, 2), wrong("dy", 4, 3));
    assert_eq!(error(&x, &slopes, &x, 3, 2), wrong("dx", 4, 3));
    assert_eq!(error(&x, &slopes, &x, 4, 1), wrong("dslopes", 2, 1));
    assert_eq!((y, d), ([7.0; 4], [7.0; 2]));
}
