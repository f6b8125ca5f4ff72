//! Against the oracles of `reference::activation`, on every level.

use proptest::prelude::*;
use slicewise_kernels::reference::strategies::{slice, special_slice};
use slicewise_kernels::reference::{
    Placed, activation as oracle, assert_close, assert_same_bits, levels, sweep, ulp_error,
};
use slicewise_kernels::*;
use std::vec::Vec;

/// The error of [`activate`] in ULP: that of the lane function, and of the product with `alpha`.
fn value_bound<T: Element>(activation: Activation, level: Level) -> f64 {
    match activation {
        Activation::Identity | Activation::Relu | Activation::HardTanh => 0.0,
        // Near -3 the sum has few digits of its own.
        Activation::HardSigmoid => 2.0,
        Activation::HardSwish => 3.0,
        Activation::Selu => 2.5,
        Activation::Softplus => 3.0,
        // In f64 the oracle's argument of the exponential, up to 745, is rounded.
        Activation::Gelu | Activation::GeluFast | Activation::GeluTanh if T::LANES == 8 => 3000.0,
        Activation::Gelu if level == Level::Portable => 6.0,
        Activation::Gelu | Activation::Silu => 4.0,
        Activation::GeluTanh => {
            if level == Level::Portable {
                500.0
            } else {
                5.0
            }
        }
        Activation::LeakyRelu { .. } => 0.5,
        Activation::Elu { alpha: 1.0 } => 1.0,
        Activation::Elu { .. } => 2.0,
        Activation::Sigmoid | Activation::Tanh => 3.0,
        Activation::SigmoidFast => 5.0,
        Activation::TanhFast if level == Level::Portable => 8.0,
        Activation::TanhFast => 6.5,
        Activation::GeluFast if level == Level::Portable => 9.0,
        Activation::GeluFast => 7.5,
        _ => panic!("{activation:?} has no bound here"),
    }
}

/// Whether `y` may be anything near `f(x)` in absolute terms: where the fast logistic function of `f32` falls to 0.
fn falls_early<T: Element>(activation: Activation, x: T, y: T) -> bool {
    let x = x.to_f64();
    activation == Activation::SigmoidFast
        && T::LANES == 16
        && x < -87.25
        && (y.to_f64() - oracle::value(activation, x)).abs() <= 6.3e-39
        && (x > -87.98 || y == T::default())
}

/// The error of `f'` from the exact `y` or `x`, in units of EPSILON / 2 of the exact value.
fn derivative_bound<T: Element>(activation: Activation) -> f64 {
    match activation {
        Activation::Identity | Activation::Relu | Activation::LeakyRelu { .. } | Activation::HardTanh => 0.0,
        Activation::HardSigmoid => 1.0,
        Activation::HardSwish => 3.0,
        Activation::Selu => 4.0,
        Activation::Softplus => 3.0,
        // The argument of the exponential is rounded: in f64, up to 745, the oracle's too; in f32 up to 104.
        Activation::Gelu | Activation::GeluFast | Activation::GeluTanh if T::LANES == 8 => 3000.0,
        Activation::GeluTanh => 400.0,
        Activation::Gelu | Activation::GeluFast => 16.0,
        Activation::Silu => 12.0,
        // From the output one rounding; from the input 1 ULP of e^x and the product with `alpha`.
        Activation::Elu { .. } => 3.0,
        // Two roundings, and from the input twice the ULPs of the sigmoid.
        Activation::Sigmoid | Activation::Tanh | Activation::SigmoidFast | Activation::TanhFast => 8.0,
        _ => panic!("{activation:?} has no bound here"),
    }
}

fn check<T: Element>(x: &[T], dy: &[T], offset: usize) {
    for activation in oracle::ALL {
        let mut first = None;
        for level in levels() {
            let mut y = Placed::new(&std::vec![T::from_f64(f64::NAN); x.len()], offset + 3);
            activate(level, activation, Placed::new(x, offset).get(), y.get_mut()).unwrap();
            for (&x, &y) in x.iter().zip(y.get()) {
                let ulp = ulp_error(y, oracle::value(activation, x.to_f64()));
                let name = level.name();
                assert!(
                    ulp <= value_bound::<T>(activation, level) || falls_early(activation, x, y),
                    "{activation:?}({x}) = {y} at {name}: {ulp} ULP"
                );
            }
            let mut in_place = Placed::new(x, offset);
            activate_in_place(level, activation, in_place.get_mut());
            assert_same_bits(in_place.get(), y.get(), "in place", level);

            let mut dx = std::vec![T::from_f64(f64::NAN); x.len()];
            activation_backward_from_input(level, activation, x, dy, &mut dx).unwrap();
            check_gradient(level, activation, x, dy, &dx, oracle::derivative);
            if activation.output_tells_derivative() {
                activation_backward(level, activation, y.get(), dy, &mut dx).unwrap();
                check_gradient(level, activation, y.get(), dy, &dx, oracle::derivative_from_output);
                let mut in_place = Placed::new(dy, offset);
                activation_backward_in_place(level, activation, y.get(), in_place.get_mut()).unwrap();
                assert_same_bits(in_place.get(), &dx, "backward in place", level);
            }
            if level != Level::Portable {
                let (y0, dx0) = first.get_or_insert_with(|| (y.clone(), dx.clone()));
                assert_same_bits(y.get(), y0.get(), "activate", level);
                assert_same_bits(&dx, dx0, "activation_backward", level);
            }
        }
    }
}

fn check_gradient<T: Element>(
    level: Level,
    activation: Activation,
    at: &[T],
    dy: &[T],
    dx: &[T],
    derivative: impl Fn(Activation, f64) -> f64,
) {
    let half_epsilon = T::EPSILON.to_f64() / 2.0;
    let subnormal = if T::LANES == 16 { f64::from(f32::from_bits(1)) } else { f64::from_bits(1) };
    for ((&at, &dy), &dx) in at.iter().zip(dy).zip(dx) {
        let factor = derivative(activation, at.to_f64());
        let expected = factor * dy.to_f64();
        // The product rounds once more. `1 - y * y` without FMA rounds y * y too.
        let mut bound = (derivative_bound::<T>(activation) + 1.0) * half_epsilon * expected.abs()
            + 4.0 * subnormal * (1.0 + dy.to_f64().abs());
        if level == Level::Portable && matches!(activation, Activation::Tanh | Activation::TanhFast) {
            bound += half_epsilon * dy.to_f64().abs();
        }
        // Terms of these cancel, about as large as 1.
        bound += half_epsilon
            * dy.to_f64().abs()
            * match activation {
                Activation::Selu | Activation::HardSwish => 2.0,
                Activation::Gelu | Activation::GeluFast | Activation::GeluTanh | Activation::Silu => 4.0,
                _ => 0.0,
            };
        assert_close(dx, expected, bound, &std::format!("{activation:?} backward at {at}"), level);
    }
}

fn operands<T: Element>() -> impl Strategy<Value = (Vec<T>, Vec<T>, usize)> {
    // Two times what is computed side by side, and some.
    (0usize..150).prop_flat_map(|n| (special_slice::<T>(n), slice::<T>(n), 0usize..16))
}

/// Every part of a slice has the bits of that part of the whole.
fn check_parts<T: Element>(x: &[T], dy: &[T], start: usize) {
    for activation in oracle::ALL {
        for level in levels() {
            let run = |x: &[T], dy: &[T]| {
                let mut y = [x.to_vec(), x.to_vec(), dy.to_vec()];
                let [y, dx, from_input] = &mut y;
                activate_in_place(level, activation, y);
                activation_backward_from_input(level, activation, x, dy, from_input).unwrap();
                if activation.output_tells_derivative() {
                    activation_backward(level, activation, y, dy, dx).unwrap();
                }
                [y.clone(), dx.clone(), from_input.clone()]
            };
            let (whole, part) = (run(x, dy), run(&x[start..], &dy[start..]));
            for (whole, part) in whole.iter().zip(&part) {
                assert_same_bits(part, &whole[start..], "a part", level);
            }
        }
    }
}

proptest! {
    #[test]
    fn bits_do_not_depend_on_the_place_in_a_slice(
        (x, dy, start) in (special_slice::<f32>(150), special_slice::<f32>(150), 0usize..150),
    ) {
        check_parts(&x, &dy, start);
    }

    #[test]
    fn f32_is_within_its_bounds((x, dy, offset) in operands::<f32>()) {
        check(&x, &dy, offset);
    }

    #[test]
    fn f64_is_within_its_bounds((x, dy, offset) in operands::<f64>()) {
        check(&x, &dy, offset);
    }
}

#[test]
fn kinks_zeros_and_limits() {
    let x = [0.0f32, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN];
    for level in levels() {
        let run = |activation| {
            let (mut y, mut dx, mut from_x) = ([7.0; 5], [7.0; 5], [7.0; 5]);
            activate(level, activation, &x, &mut y).unwrap();
            activation_backward(level, activation, &y, &[1.0; 5], &mut dx).unwrap();
            activation_backward_from_input(level, activation, &x, &[1.0; 5], &mut from_x).unwrap();
            assert_same_bits(&dx, &from_x, "from output and input", level);
            (y, dx)
        };
        let infinity = f32::INFINITY;
        let nan = f32::NAN;
        let expected = [
            (Activation::Relu, [0.0, -0.0, infinity, 0.0, nan], [0.0, -0.0, 1.0, 0.0, nan]),
            (
                Activation::LeakyRelu { slope: 0.5 },
                [0.0, -0.0, infinity, -infinity, nan],
                [0.5, 0.5, 1.0, 0.5, nan],
            ),
            (Activation::Elu { alpha: 2.0 }, [0.0, -0.0, infinity, -2.0, nan], [2.0, 2.0, 1.0, 0.0, nan]),
            (Activation::Sigmoid, [0.5, 0.5, 1.0, 0.0, nan], [0.25, 0.25, 0.0, 0.0, nan]),
            (Activation::Tanh, [0.0, -0.0, 1.0, -1.0, nan], [1.0, 1.0, 0.0, 0.0, nan]),
            (Activation::SigmoidFast, [0.5, 0.5, 1.0, 0.0, nan], [0.25, 0.25, 0.0, 0.0, nan]),
            (Activation::TanhFast, [0.0, -0.0, 1.0, -1.0, nan], [1.0, 1.0, 0.0, 0.0, nan]),
        ];
        for (activation, y, dx) in expected {
            let (actual_y, actual_dx) = run(activation);
            let what = std::format!("{activation:?}");
            assert_same_bits(&actual_y, &y, &what, level);
            assert_same_bits(&actual_dx, &dx, &what, level);
        }
    }
}

/// What is `x` times a probability falls to -0, and keeps the sign of a zero.
#[test]
fn negative_tails_end_in_minus_0() {
    let x = [0.0f32, -0.0, f32::INFINITY, f32::NEG_INFINITY, -1e30];
    for level in levels() {
        for activation in [Activation::Gelu, Activation::GeluFast, Activation::GeluTanh, Activation::Silu] {
            let mut y = [7.0; 5];
            activate(level, activation, &x, &mut y).unwrap();
            let what = std::format!("{activation:?}");
            assert_same_bits(&y, &[0.0, -0.0, f32::INFINITY, -0.0, -0.0], &what, level);
        }
    }
}

#[test]
fn lengths_and_parameters_are_checked() {
    let level = Level::Portable;
    let mut out = [7.0f32; 4];
    let wrong = |argument, expected, actual| Err(ShapeError { argument, expected, actual });
    assert_eq!(activate(level, Activation::Relu, &[1.0; 3], &mut out), wrong("y", 3, 4));
    let backward =
        |activation, dy, out: &mut [f32]| activation_backward(level, activation, &[1.0; 3], dy, out);
    assert_eq!(backward(Activation::Tanh, &[1.0; 2], &mut out), wrong("dy", 3, 2));
    assert_eq!(backward(Activation::Tanh, &[1.0; 3], &mut out), wrong("dx", 3, 4));
    let negative = Activation::LeakyRelu { slope: -0.1 };
    assert_eq!(backward(negative, &[1.0; 3], &mut out[..3]), wrong("negative slope", 0, 1));
    let negative = Activation::Elu { alpha: -1.0 };
    assert_eq!(
        activation_backward_in_place(level, negative, &[1.0; 4], &mut out),
        wrong("negative alpha", 0, 1)
    );
    let x = [1.0; 3];
    assert_eq!(activation_backward_from_input(level, negative, &x, &[1.0; 2], &mut out), wrong("dy", 3, 2));
    assert_eq!(activation_backward_from_input(level, negative, &x, &x, &mut out), wrong("dx", 3, 4));
    assert_eq!(out, [7.0; 4]);
}

/// 1.0507 times this is the largest `f32` or less, exactly.
#[test]
fn selu_overflows_where_the_exact_product_does() {
    for level in levels() {
        let mut x = [3.238_622_1e38f32, f32::MAX, f32::INFINITY];
        activate_in_place(level, Activation::Selu, &mut x);
        assert!(
            x[0].is_finite() && x[1] == f32::INFINITY && x[2] == f32::INFINITY,
            "{x:?} at {}",
            level.name()
        );
    }
}

#[test]
#[ignore = "every f32, on every level: ten minutes on two cores"]
fn every_f32_is_within_its_bounds() {
    for activation in oracle::ALL {
        let worst = sweep(
            1,
            |level, x, y| {
                activate(level, activation, x, y).unwrap();
                for (x, y) in x.iter().zip(y) {
                    if falls_early(activation, *x, *y) {
                        *y = oracle::value(activation, (*x).into()) as f32;
                    }
                }
            },
            |x| oracle::value(activation, x),
        );
        for (level, worst) in worst {
            let bound = value_bound::<f32>(activation, level);
            assert!(worst.ulp <= bound, "{activation:?} at {}: {worst:?}", level.name());
        }
    }
}
