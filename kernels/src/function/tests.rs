//! Against the oracles of `reference::math`, on every level.

use proptest::prelude::*;
use slicewise_kernels::reference::strategies::special_slice;
use slicewise_kernels::reference::{Placed, assert_same_bits, levels, math as oracle, sweep, ulp_error};
use slicewise_kernels::*;

/// The error in ULP that the documentation states, and that of the level that rounds products.
fn bound<T: Element>(function: Function, level: Level) -> f64 {
    let portable = level == Level::Portable;
    match function {
        Function::Sqrt => 0.5,
        // Lane by lane what the oracle computes; `scalar.rs` has tests of its own.
        _ if T::LANES == 8 => 0.0,
        Function::Rsqrt => {
            if portable {
                1.0
            } else {
                0.5
            }
        }
        Function::Exp => 1.0,
        Function::Exp2 => {
            if portable {
                1.2
            } else {
                1.1
            }
        }
        Function::ExpM1 => 1.5,
        Function::Ln => 0.9,
        Function::Ln1p => 1.4,
        Function::Tanh => {
            if portable {
                1.5
            } else {
                1.3
            }
        }
        Function::Sigmoid | Function::Erf => 1.5,
        _ => panic!("{function:?} has no bound here"),
    }
}

fn check<T: Element>(x: &[T], offset: usize) {
    for function in Function::ALL {
        let mut first: Option<Placed<T>> = None;
        for level in levels() {
            let mut y = Placed::new(&std::vec![T::from_f64(f64::NAN); x.len()], offset + 3);
            apply(level, function, Placed::new(x, offset).get(), y.get_mut()).unwrap();
            for (&x, &y) in x.iter().zip(y.get()) {
                let ulp = ulp_error(y, oracle::value(function, x.to_f64()));
                let name = level.name();
                assert!(ulp <= bound::<T>(function, level), "{function:?}({x}) = {y} at {name}: {ulp} ULP");
            }
            let mut in_place = Placed::new(x, offset);
            apply_in_place(level, function, in_place.get_mut());
            assert_same_bits(in_place.get(), y.get(), "in place", level);
            if level != Level::Portable {
                assert_same_bits(y.get(), first.get_or_insert_with(|| y.clone()).get(), "apply", level);
            }
        }
    }
}

/// Every part of a slice has the bits of that part of the whole.
fn check_parts<T: Element>(x: &[T], start: usize) {
    for function in Function::ALL {
        for level in levels() {
            let (mut whole, mut part) = (x.to_vec(), x[start..].to_vec());
            apply_in_place(level, function, &mut whole);
            apply_in_place(level, function, &mut part);
            assert_same_bits(&part, &whole[start..], "a part", level);
        }
    }
}

proptest! {
    #[test]
    fn bits_do_not_depend_on_the_place_in_a_slice(
        (x, y, start) in (special_slice::<f32>(150), special_slice::<f64>(20), 0usize..150),
    ) {
        check_parts(&x, start);
        check_parts(&y, start % 20);
    }

    #[test]
    fn f32_is_within_its_bounds((x, offset) in (0usize..150).prop_flat_map(|n| (special_slice::<f32>(n), 0usize..16))) {
        check(&x, offset);
    }

    #[test]
    fn f64_is_within_its_bounds((x, offset) in (0usize..150).prop_flat_map(|n| (special_slice::<f64>(n), 0usize..16))) {
        check(&x, offset);
    }
}

#[test]
fn zeros_and_limits() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
    let x = [0.0f32, -0.0, inf, -inf, nan, -1.0, f32::from_bits(1)];
    let tiny = f32::from_bits(1);
    let expected: [(Function, [f32; 5]); 10] = [
        (Function::Exp, [1.0, 1.0, inf, 0.0, nan]),
        (Function::Exp2, [1.0, 1.0, inf, 0.0, nan]),
        (Function::ExpM1, [0.0, -0.0, inf, -1.0, nan]),
        (Function::Ln, [-inf, -inf, inf, nan, nan]),
        (Function::Ln1p, [0.0, -0.0, inf, nan, nan]),
        (Function::Tanh, [0.0, -0.0, 1.0, -1.0, nan]),
        (Function::Sigmoid, [0.5, 0.5, 1.0, 0.0, nan]),
        (Function::Erf, [0.0, -0.0, 1.0, -1.0, nan]),
        (Function::Sqrt, [0.0, -0.0, inf, nan, nan]),
        (Function::Rsqrt, [inf, -inf, 0.0, nan, nan]),
    ];
    for level in levels() {
        for (function, expected) in expected {
            let mut y = [7.0f32; 7];
            apply(level, function, &x, &mut y).unwrap();
            assert_same_bits(&y[..5], &expected, function.name(), level);
            match function {
                Function::Ln1p => assert_eq!((y[5], y[6]), (-inf, tiny)),
                Function::ExpM1 | Function::Tanh => assert_eq!(y[6], tiny),
                Function::Sqrt | Function::Rsqrt => assert!(y[5].is_nan()),
                _ => {}
            }
        }
    }
}

#[test]
fn lengths_are_checked() {
    let mut y = [7.0f32; 4];
    let wrong = Err(ShapeError { argument: "y", expected: 3, actual: 4 });
    assert_eq!(apply(Level::Portable, Function::Exp, &[1.0; 3], &mut y), wrong);
    assert_eq!(y, [7.0; 4]);
}

#[test]
#[ignore = "every f32, on every level: ten minutes on two cores"]
fn every_f32_is_within_its_bounds() {
    for function in Function::ALL {
        let worst =
            sweep(1, |level, x, y| apply(level, function, x, y).unwrap(), |x| oracle::value(function, x));
        for (level, worst) in worst {
            assert!(
                worst.ulp <= bound::<f32>(function, level),
                "{function:?} at {}: {worst:?}",
                level.name()
            );
        }
    }
}
