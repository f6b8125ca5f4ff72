//! Against the oracles of `reference::reduce`, on every level.

use proptest::prelude::*;
use slicewise_kernels::reference::reduce as oracle;
use slicewise_kernels::reference::strategies::{slice, special_slice};
use slicewise_kernels::reference::{Placed, assert_close, assert_same_bits, levels};
use slicewise_kernels::*;
use std::vec::Vec;

/// What underflow may cost each term: half the smallest subnormal `f32`, or `f64` (generously).
fn tiny<T: Element>() -> f64 {
    if T::LANES == 16 { f64::from(f32::from_bits(1)) } else { 1e-320 }
}

/// The stated bound of the sums, for products (one rounding more where they are not fused, one of the result).
fn bound<T: Element>(n: usize, magnitude: f64) -> f64 {
    let roundings = 70.0 + n as f64 / 2048.0;
    roundings * T::EPSILON.to_f64() / 2.0 * magnitude + n as f64 * tiny::<T>()
}

/// On every level: within `bound` of `expected`, the same bits on the FMA levels and from any place in memory.
fn check<T: Element>(what: &str, x: &[T], expected: f64, bound: f64, f: impl Fn(Level, &[T]) -> T) {
    let mut first = None;
    for level in levels() {
        let actual = f(level, x);
        assert_close(actual, expected, bound, what, level);
        for offset in [1, 7, T::LANES - 1] {
            assert_same_bits(&[f(level, Placed::new(x, offset).get())], &[actual], what, level);
        }
        if level != Level::Portable {
            assert_same_bits(&[actual], &[*first.get_or_insert(actual)], what, level);
        }
    }
}

fn check_all<T: Element>(x: &[T], y: &[T]) {
    let n = x.len();
    let product = oracle::dot(x, y);
    check("dot", x, product.value, bound::<T>(n, product.magnitude), |level, x| dot(level, x, y).unwrap());
    let sum_of = oracle::sum(x);
    check("sum", x, sum_of.value, bound::<T>(n, sum_of.magnitude), sum);
    check("sum_abs", x, sum_of.magnitude, bound::<T>(n, sum_of.magnitude), sum_abs);
    let squares = oracle::dot(x, x).value;
    check("sum_of_squares", x, squares, bound::<T>(n, squares), sum_of_squares);
    let penalty = |level, x: &[T]| T::from_f64(l2_penalty(level, 0.25, x));
    check("l2_penalty", x, 0.125 * squares, bound::<T>(n, 0.125 * squares), penalty);
    // Half the relative error of the squares; the scaled way has two roundings more for each term.
    let exact = libm::sqrt(squares);
    check("norm", x, exact, 40.0 * T::EPSILON.to_f64() * exact + tiny::<T>(), norm);
    if n > 0 {
        let count = n as f64;
        check("mean", x, sum_of.value / count, bound::<T>(n, sum_of.magnitude) / count, mean);
        // The squares' bound, and that of the square of what the mean may be wrong by.
        let exact = oracle::variance(x);
        let mean_bound = bound::<T>(n, sum_of.magnitude) / count;
        let variance_bound = 80.0 * T::EPSILON.to_f64() * (exact + mean_bound * mean_bound) + tiny::<T>();
        check("variance", x, exact, variance_bound, variance);
    }
}

fn check_extremes<T: Element>(x: &[T]) {
    let (largest, place) = oracle::max(x);
    let negative: Vec<T> = x.iter().map(|&x| -x).collect();
    check("max", x, largest, 0.0, max);
    check("min", &negative, -largest, 0.0, min);
    for level in levels() {
        assert_eq!(argmax(level, x), place, "{x:?}");
    }
}

proptest! {
    #[test]
    fn f32_is_within_its_bound((x, y) in (0usize..300).prop_flat_map(|n| (slice::<f32>(n), slice::<f32>(n)))) {
        check_all(&x, &y);
    }

    #[test]
    fn f64_is_within_its_bound((x, y) in (0usize..150).prop_flat_map(|n| (slice::<f32>(n), slice::<f32>(n)))) {
        // Of a range whose squares do not overflow.
        let of = |x: Vec<f32>| -> Vec<f64> { x.into_iter().map(f64::from).collect() };
        check_all(&of(x), &of(y));
    }

    #[test]
    fn extremes_are_exact(x in (0usize..300).prop_flat_map(slice::<f32>), y in (0usize..150).prop_flat_map(special_slice::<f64>)) {
        check_extremes(&x);
        check_extremes(&y);
    }

    /// Values on a grid that `f64` holds exactly, so that edges are met exactly as well.
    #[test]
    fn histogram_agrees_with_its_edges(
        x in proptest::collection::vec((-40i32..40).prop_map(|x| x as f32 / 8.0), 0..200),
        low in -4i32..2, width in 0u32..5, bins in 0usize..9,
    ) {
        let (low, high) = (f64::from(low), f64::from(low) + f64::from(width));
        // Powers of two, whose edges are exact.
        let bins = if bins == 0 { 0 } else { 1 << (bins % 4) };
        let mut counts = std::vec![0; bins];
        let outside = histogram(&x, low, high, &mut counts);
        counts.push(outside);
        let mut expected = oracle::histogram(&x, low, high, bins);
        if width == 0 && bins > 0 {
            let inside = x.iter().filter(|&&x| f64::from(x) == low).count() as u64;
            expected.fill(0);
            (expected[0], expected[bins]) = (inside, x.len() as u64 - inside);
        }
        prop_assert_eq!(counts, expected);
    }
}

#[test]
fn long_sums_keep_the_bound() {
    for n in [4095usize, 4096, 4097, 8192 + 17, 1_000_003] {
        let x: Vec<f32> = (0..n).map(|i| 1.0 + (i * 7919 % 1000) as f32 * 1e-3).collect();
        check_all(&x, &x);
        let x: Vec<f64> = x.into_iter().map(f64::from).collect();
        check_all(&x, &x);
    }
}

#[test]
fn a_large_mean_does_not_hurt_the_variance() {
    let x: Vec<f32> = (0..10_000).map(|i| 4096.0 + (i % 16) as f32 / 64.0).collect();
    let exact = oracle::variance(&x);
    for level in levels() {
        assert_close(variance(level, &x), exact, 1e-5 * exact, "variance", level);
        assert_eq!(variance(level, &[0.1f32; 9999]), 0.0);
    }
}

#[test]
fn special_values_come_through() {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    for level in levels() {
        for n in [1, 15, 16, 17, 64, 100, 5000] {
            for place in [0, n / 2, n - 1] {
                let with = |value: f32| {
                    let mut x = std::vec![1.0f32; n];
                    x[place] = value;
                    x
                };
                for f in [sum, sum_abs, sum_of_squares, norm, mean, variance, max, min] {
                    assert!(f(level, &with(nan)).is_nan());
                }
                assert_eq!(argmax(level, &with(nan)), Some(place));
                assert_eq!(argmax(level, &with(inf)), Some(place));
                assert_eq!((max(level, &with(inf)), min(level, &with(-inf))), (inf, -inf));
                for f in [sum, sum_abs, sum_of_squares, norm, mean] {
                    assert_eq!(f(level, &with(inf)), inf);
                }
            }
        }
        assert_eq!([sum::<f32>, sum_abs, sum_of_squares, norm].map(|f| f(level, &[])), [0.0; 4]);
        assert_eq!((max::<f32>(level, &[]), min::<f32>(level, &[])), (-inf, inf));
        assert!(mean::<f32>(level, &[]).is_nan() && variance::<f32>(level, &[]).is_nan());
        assert_eq!(argmax::<f32>(level, &[]), None);
        assert_eq!(argmax(level, &[-inf; 40]), Some(0));
        assert_eq!(argmax(level, &[-0.0f32, 0.0]), Some(0));
    }
}

#[test]
fn norm_neither_overflows_nor_underflows() {
    for level in levels() {
        for scale in [f32::from_bits(1), 1e-42, 1e-30, 1e-20, 1.0, 1e20, 1e37] {
            let exact = f64::from(scale) * 10.0;
            assert_close(norm(level, &[scale; 100]), exact, 1e-6 * exact, "norm", level);
        }
        assert_close(norm(level, &[1e-200f64; 100]), 1e-199, 1e-213, "norm", level);
        assert_close(norm(level, &[1e200f64; 100]), 1e201, 1e187, "norm", level);
        assert_eq!(norm(level, &[f32::MAX; 4]), f32::INFINITY);
    }
}

#[test]
fn lengths_are_checked() {
    let error = dot(Level::Portable, &[1.0f32; 3], &[1.0; 4]).unwrap_err();
    assert_eq!(error, ShapeError { argument: "y", expected: 3, actual: 4 });
}
