//! Against the formula in `f64`, on every level.

use crate::simd::apply::CHUNK;
use proptest::prelude::*;
use slicewise_kernels::reference::strategies::slice;
use slicewise_kernels::reference::{Placed, assert_close, assert_same_bits, levels};
use slicewise_kernels::*;
use std::vec::Vec;

fn check<T: Element>(y: &[T], targets: &[T], offset: usize) {
    let n = y.len() as f64;
    let (u, tiny) = (T::EPSILON.to_f64() / 2.0, if T::LANES == 16 { 1e-45 } else { 5e-324 });
    let errors = || y.iter().zip(targets).map(|(y, t)| y.to_f64() - t.to_f64());
    let expected = errors().map(|e| e * e).sum::<f64>();
    // As documented, and what the oracle of f64 rounds.
    let roundings = CHUNK as f64 + 5.0 + if T::LANES == 8 { n } else { 0.0 };
    let bound = 1.01 * roundings * u * expected + n * tiny;
    let dy_roundings = if T::LANES == 8 { 6.0 } else { 3.01 };
    let mut fused = None;
    for level in levels() {
        let (a, b) = (Placed::new(y, offset), Placed::new(targets, offset + 3));
        let mut dy = Placed::new(&std::vec![T::from_f64(f64::NAN); y.len()], offset + 1);
        let loss = squared_error(level, a.get(), b.get(), dy.get_mut()).unwrap();
        assert_close(loss, expected / n, bound / n, "squared_error", level);
        for (dy, error) in dy.get().iter().zip(errors()) {
            let expected = 2.0 / n * error;
            assert_close(*dy, expected, dy_roundings * u * expected.abs() + 2.0 * tiny, "dy", level);
        }
        if level != Level::Portable {
            let (loss0, dy0) = fused.get_or_insert_with(|| (loss, dy.clone()));
            assert_same_bits(&[loss], &[*loss0], "squared_error", level);
            assert_same_bits(dy.get(), dy0.get(), "dy", level);
        }
    }
}

fn operands<T: Element>() -> impl Strategy<Value = (Vec<T>, Vec<T>, usize)> {
    let n = prop_oneof![4 => 1usize..100, 1 => 4000usize..9000];
    n.prop_flat_map(|n| (slice::<T>(n), slice::<T>(n), 0usize..16))
}

proptest! {
    #[test]
    fn f32_is_within_its_bounds((y, targets, offset) in operands::<f32>()) {
        check(&y, &targets, offset);
    }

    #[test]
    fn f64_is_within_its_bounds((y, targets, offset) in operands::<f64>()) {
        check(&y, &targets, offset);
    }
}

#[test]
fn special_values_come_through() {
    for level in levels() {
        for (y, target) in [(f32::NAN, 0.0), (0.0, f32::NAN), (f32::INFINITY, f32::INFINITY)] {
            let mut dy = [7.0; 2];
            let loss = squared_error(level, &[1.0, y], &[1.0, target], &mut dy).unwrap();
            assert!(loss.is_nan() && dy[0] == 0.0 && dy[1].is_nan(), "{loss} {dy:?} at {}", level.name());
        }
        let mut dy = [7.0; 2];
        let loss = squared_error(level, &[f32::NEG_INFINITY, 0.0], &[0.0; 2], &mut dy).unwrap();
        assert_eq!((loss, dy), (f64::INFINITY, [f32::NEG_INFINITY, 0.0]), "{}", level.name());
    }
}

#[test]
fn lengths_are_checked() {
    let (level, y, mut dy) = (Level::Portable, [1.0f64; 3], [7.0; 3]);
    let wrong = |argument, expected, actual| Err(ShapeError { argument, expected, actual });
    assert_eq!(squared_error(level, &y[..0], &y[..0], &mut dy[..0]), wrong("y", 1, 0));
    assert_eq!(squared_error(level, &y, &y[..2], &mut dy), wrong("targets", 3, 2));
    assert_eq!(squared_error(level, &y, &y, &mut dy[..2]), wrong("dy", 3, 2));
    assert_eq!(dy, [7.0; 3]);
}
