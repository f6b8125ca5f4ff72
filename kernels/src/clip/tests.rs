//! Against `reference::clip`, on every level.

use proptest::prelude::*;
use slicewise_kernels::reference::strategies::{special_slice, value};
use slicewise_kernels::reference::{Placed, assert_close, assert_same_bits, clip as oracle, levels};
use slicewise_kernels::*;
use std::vec::Vec;

fn check<T: Element>(max_norm: f64, gradient: &[T], offset: usize) {
    let (u, tiny) = (T::EPSILON.to_f64() / 2.0, if T::LANES == 16 { 1.5e-45 } else { 5e-324 });
    let exact = oracle::norm(gradient);
    // As documented; `f64` adds a rounding for each chunk, and the oracle's.
    let norm_bound = if T::LANES == 16 { 36.0 * u } else { 45.0 * u } * exact;
    let mut fused = None;
    for level in levels() {
        let mut clipped = Placed::new(gradient, offset);
        let norm = clip_by_norm(level, max_norm, clipped.get_mut()).unwrap();
        assert_close(norm, exact, norm_bound, "norm", level);
        // From the norm that came back, so that the bound is that of the product alone.
        for (actual, expected) in clipped.get().iter().zip(oracle::clip(max_norm, norm, gradient)) {
            let bound = 2.01 * u * expected.abs() + 8.0 * tiny;
            assert_close(*actual, expected, bound, "clipped", level);
        }
        if !(norm > max_norm && norm.is_finite()) {
            assert_same_bits(clipped.get(), gradient, "left alone", level);
        }
        if level != Level::Portable {
            let (norm0, clipped0) = fused.get_or_insert_with(|| (norm, clipped.clone()));
            assert_same_bits(&[norm], &[*norm0], "norm", level);
            assert_same_bits(clipped.get(), clipped0.get(), "clipped", level);
        }
    }
}

fn operands<T: Element>() -> impl Strategy<Value = (f64, Vec<T>, usize)> {
    let max_norm = prop_oneof![
        3 => value::<T>().prop_map(|x| x.to_f64().abs()),
        1 => prop_oneof![Just(0.0), Just(f64::INFINITY), Just(1e-300), Just(1e-44), Just(1e35)],
    ];
    let gradient = prop_oneof![
        4 => (0usize..100).prop_flat_map(|n| proptest::collection::vec(value::<T>(), n)),
        1 => (4000usize..9000).prop_flat_map(|n| proptest::collection::vec(value::<T>(), n)),
        2 => (0usize..100).prop_flat_map(special_slice::<T>),
    ];
    (max_norm, gradient, 0usize..16)
}

proptest! {
    #[test]
    fn f32_is_within_its_bounds((max_norm, gradient, offset) in operands::<f32>()) {
        check(max_norm, &gradient, offset);
    }

    #[test]
    fn f64_is_within_its_bounds((max_norm, gradient, offset) in operands::<f64>()) {
        check(max_norm, &gradient, offset);
    }
}

/// Gradients from the smallest to the largest, clipped to norms from the smallest to the largest.
#[test]
fn neither_end_of_the_range_is_lost() {
    for n in [1, 5, 100] {
        for scale in [1e-45f32, 1e-38, 1e-20, 1.0, 1e20, 1e37] {
            for max_norm in [1e-45, 1e-42, 1e-30, 1e-10, 1.0, 1e30] {
                check(max_norm, &std::vec![scale; n], 0);
            }
        }
        for scale in [5e-324f64, 1e-310, 1e-200, 1.0, 1e200, 1e307] {
            for max_norm in [5e-324, 1e-310, 1e-200, 1.0, 1e200] {
                check(max_norm, &std::vec![scale; n], 0);
            }
        }
    }
}

#[test]
fn the_norm_afterwards_is_the_limit() {
    let gradient: Vec<f32> = (0..100_003).map(|i| (i % 211) as f32 - 100.0).collect();
    for level in levels() {
        let mut clipped = gradient.clone();
        let before = clip_by_norm(level, 5.0, &mut clipped).unwrap();
        assert!((before / oracle::norm(&gradient) - 1.0).abs() < 2.2e-6, "{before} at {}", level.name());
        let after = oracle::norm(&clipped);
        assert!((after / 5.0 - 1.0).abs() < 2.4e-6, "{after} at {}", level.name());
    }
}

#[test]
fn what_is_not_finite_is_left_alone() {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    for level in levels() {
        for n in [1, 16, 17, 100, 5000] {
            for place in [0, n - 1] {
                for (value, norm) in [(nan, f64::NAN), (inf, f64::INFINITY), (-inf, f64::INFINITY)] {
                    let mut gradient = std::vec![2.0f32; n];
                    gradient[place] = value;
                    let before = gradient.clone();
                    let found = clip_by_norm(level, 1.0, &mut gradient).unwrap();
                    assert_same_bits(&[found], &[norm], "norm", level);
                    assert_same_bits(&gradient, &before, "left alone", level);
                }
            }
        }
        assert!(clip_by_norm(level, 1.0, &mut [nan, inf]).unwrap().is_nan());
        let mut beyond = [f64::MAX; 4];
        assert_eq!(clip_by_norm(level, 1.0, &mut beyond), Ok(f64::INFINITY));
        assert_eq!(beyond, [f64::MAX; 4]);
        assert_eq!(clip_by_norm::<f32>(level, 0.0, &mut []), Ok(0.0));
    }
}

#[test]
fn the_limit_is_checked() {
    let mut gradient = [3.0f64, 4.0];
    for max_norm in [-1e-300, f64::NEG_INFINITY, f64::NAN] {
        let error = clip_by_norm(Level::Portable, max_norm, &mut gradient).unwrap_err();
        assert_eq!((error.argument, error.value.to_bits()), ("max_norm", max_norm.to_bits()));
    }
    assert_eq!(gradient, [3.0, 4.0]);
}
