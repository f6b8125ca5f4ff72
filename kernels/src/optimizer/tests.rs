//! Each rule against its oracle, on every level.

use proptest::prelude::*;
use slicewise_kernels::reference::{self, Placed, assert_close, assert_same_bits, levels, strategies::slice};
use slicewise_kernels::*;
use std::vec::Vec;

const ALL: [Optimizer; 7] = [
    Optimizer::Sgd,
    Optimizer::momentum(),
    Optimizer::nesterov(),
    Optimizer::adam(),
    Optimizer::adam_w(),
    Optimizer::rms_prop(),
    Optimizer::adagrad(),
];

/// Weights, gradient and state, the latter as an optimizer may have left it.
#[derive(Clone, Debug)]
struct Case<T> {
    w: Vec<T>,
    g: Vec<T>,
    first: Vec<T>,
    second: Vec<T>,
}

impl<T: Element> Case<T> {
    fn run(&mut self, level: Level, step: &Step) -> UpdateNorms {
        optimizer_step(level, step, &mut self.w, &self.g, &mut self.first, &mut self.second).unwrap()
    }
}

fn case<T: Element>(lengths: core::ops::Range<usize>) -> impl Strategy<Value = Case<T>> {
    lengths
        // Of a range whose squares do not overflow in either type.
        .prop_flat_map(|n| (slice::<f32>(n), slice::<f32>(n), slice::<f32>(n), slice::<f32>(n)))
        .prop_map(|(w, g, first, second)| {
            let of = |x: Vec<f32>| x.into_iter().map(|x| T::from_f64(f64::from(x))).collect();
            let second = second.into_iter().map(f32::abs).collect();
            Case { w: of(w), g: of(g), first: of(first), second: of(second) }
        })
}

fn step() -> impl Strategy<Value = Step> {
    (0..ALL.len(), 1e-4..1.0, prop_oneof![Just(0.0), 1e-4..1.0], prop_oneof![1u64..20, Just(100_000)])
        .prop_map(|(i, learning_rate, regularisation, t)| Step {
            optimizer: ALL[i],
            learning_rate,
            regularisation,
            t,
        })
}

fn check<T: Element>(step: &Step, mut case: Case<T>) {
    if matches!(step.optimizer, Optimizer::RmsProp { .. } | Optimizer::Adagrad { .. }) {
        case.first.copy_from_slice(&case.second);
    }
    let expected: Vec<_> = (0..case.w.len())
        .map(|i| reference::optimizer::step(step, case.w[i], case.g[i], case.first[i], case.second[i]))
        .collect();
    let norm = |x: &dyn Fn(&reference::optimizer::Stepped) -> reference::Tracked| {
        expected.iter().map(x).fold((0.0, 0.0), |(sum, bound), x| {
            (sum + x.value * x.value, bound + 2.0 * x.value.abs() * x.error + x.error * x.error)
        })
    };
    let (squares, direction_bound) = norm(&|e| e.direction);
    let rate = step.learning_rate * step.learning_rate;
    let weight_squares: f64 = case.w.iter().map(|w| w.to_f64() * w.to_f64()).sum();
    let mut first_level = None;
    for level in levels() {
        let mut actual = case.clone();
        let norms = actual.run(level, step);
        for (i, e) in expected.iter().enumerate() {
            assert_close(actual.w[i], e.weight.value, e.weight.error, "weight", level);
            assert_close(actual.first[i], e.first.value, e.first.error, "first", level);
            assert_close(actual.second[i], e.second.value, e.second.error, "second", level);
        }
        // Sums of few blocks: 3 roundings in the lanes; squares of tiny numbers underflow.
        let sum_bound = 8.0 * T::EPSILON.to_f64();
        let tiny = case.w.len() as f64 * f64::from(f32::MIN_POSITIVE);
        let bound = rate * (direction_bound + sum_bound * (squares + direction_bound) + tiny);
        assert_close(norms.update, rate * squares, bound, "update", level);
        assert_close(norms.weights, weight_squares, sum_bound * weight_squares + tiny, "weights", level);
        if level != Level::Portable {
            let (case, first_norms) = first_level.get_or_insert_with(|| (actual.clone(), norms));
            assert_same_bits(&actual.w, &case.w, "weights", level);
            assert_same_bits(&actual.first, &case.first, "first", level);
            assert_same_bits(&actual.second, &case.second, "second", level);
            assert_eq!(norms, *first_norms);
        }
    }
}

proptest! {
    #[test]
    fn f32_is_within_its_bound(step in step(), case in case::<f32>(0..70)) {
        check(&step, case);
    }

    #[test]
    fn f64_is_within_its_bound(step in step(), case in case::<f64>(0..40)) {
        check(&step, case);
    }

    /// An element's bits depend neither on where it stands nor on alignment; the norms not on alignment.
    #[test]
    fn place_does_not_matter(step in step(), case in case::<f32>(1..70), offset in 0usize..16) {
        for level in levels() {
            let mut whole = case.clone();
            let norms = whole.run(level, &step);
            let place = |x: &[f32]| Placed::new(x, offset);
            let (mut w, mut first, mut second) = (place(&case.w), place(&case.first), place(&case.second));
            let placed = optimizer_step(
                level, &step, w.get_mut(), place(&case.g).get(), first.get_mut(), second.get_mut(),
            ).unwrap();
            assert_eq!(placed.update.to_bits(), norms.update.to_bits());
            assert_eq!(placed.weights.to_bits(), norms.weights.to_bits());
            assert_same_bits(w.get(), &whole.w, "weights", level);
            assert_same_bits(first.get(), &whole.first, "first", level);
            assert_same_bits(second.get(), &whole.second, "second", level);
            let cut = offset % case.w.len();
            let mut tail = Case {
                w: case.w[cut..].to_vec(),
                g: case.g[cut..].to_vec(),
                first: case.first[cut..].to_vec(),
                second: case.second[cut..].to_vec(),
            };
            tail.run(level, &step);
            assert_same_bits(&tail.w, &whole.w[cut..], "weights", level);
            assert_same_bits(&tail.first, &whole.first[cut..], "first", level);
            assert_same_bits(&tail.second, &whole.second[cut..], "second", level);
        }
    }
}

#[test]
fn norms_stay_accurate_over_many_chunks() {
    for n in [4096, 4097, 100_003] {
        let w: Vec<f32> = (0..n).map(|i| 0.1 + (i % 7) as f32 * 0.1).collect();
        let g: Vec<f32> = (0..n).map(|i| (i % 11) as f32 * 0.01).collect();
        let exact = |x: &[f32]| x.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
        let step = Step { optimizer: Optimizer::Sgd, learning_rate: 0.5, regularisation: 0.0, t: 1 };
        for level in levels() {
            let norms = optimizer_step(level, &step, &mut w.clone(), &g, &mut [], &mut []).unwrap();
            assert!((norms.weights / exact(&w) - 1.0).abs() < 2e-5, "{n}: {}", norms.weights);
            assert!((norms.update / exact(&g) / 0.25 - 1.0).abs() < 2e-5, "{n}: {}", norms.update);
        }
    }
}

/// CS231n's forms of momentum and Nesterov momentum take the same steps.
#[test]
fn the_lecture_takes_the_same_steps() {
    let (rate, mu) = (0.05, 0.9);
    let gradient = |w: f64| w * w * w - 0.5;
    for nesterov in [false, true] {
        let optimizer = if nesterov { Optimizer::nesterov() } else { Optimizer::momentum() };
        let (mut x, mut u) = (2.0, 0.0);
        let (mut w, mut v) = ([2.0], [0.0]);
        for t in 1..=50 {
            let before = u;
            u = mu * u - rate * gradient(x);
            x += if nesterov { -mu * before + (1.0 + mu) * u } else { u };
            let step = Step { optimizer, learning_rate: rate, regularisation: 0.0, t };
            let g = [gradient(w[0])];
            optimizer_step(Level::detect(), &step, &mut w, &g, &mut v, &mut []).unwrap();
            assert!((w[0] - x).abs() < 1e-12 && (u + rate * v[0]).abs() < 1e-12);
        }
    }
}

#[test]
fn mismatches_leave_everything_untouched() {
    let level = Level::detect();
    let mut step = Step { optimizer: Optimizer::adam(), learning_rate: 1.0, regularisation: 1.0, t: 1 };
    let run = |step: &Step, lengths: [usize; 4]| {
        let [w, g, m, v] = lengths;
        let (mut w, mut m, mut v) = (std::vec![1.0f32; w], std::vec![1.0; m], std::vec![1.0; v]);
        let error = optimizer_step(level, step, &mut w, &std::vec![1.0; g], &mut m, &mut v).unwrap_err();
        assert!(w.iter().chain(&m).chain(&v).all(|&x| x == 1.0));
        error
    };
    let error = |argument, expected, actual| ShapeError { argument, expected, actual };
    assert_eq!(run(&step, [3, 2, 3, 3]), error("gradient", 3, 2));
    assert_eq!(run(&step, [3, 3, 0, 3]), error("first", 3, 0));
    assert_eq!(run(&step, [3, 3, 3, 4]), error("second", 3, 4));
    step.t = 0;
    assert_eq!(run(&step, [3, 3, 3, 3]), error("t", 1, 0));
}

#[test]
fn a_slot_that_is_not_there_is_not_touched() {
    for optimizer in ALL {
        let step = Step { optimizer, learning_rate: 1.0, regularisation: 0.0, t: 1 };
        let (mut w, mut first, mut second) = ([1.0f32; 5], [1.0; 5], [1.0; 5]);
        optimizer_step(Level::detect(), &step, &mut w, &[0.5; 5], &mut first, &mut second).unwrap();
        assert_eq!(first != [1.0; 5], optimizer.state_slots() > 0, "{optimizer:?}");
        assert_eq!(second != [1.0; 5], optimizer.state_slots() > 1, "{optimizer:?}");
    }
}
