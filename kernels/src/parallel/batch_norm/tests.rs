//! The bits of batch norm on one thread, for any number of threads, in any order.

use super::pieces;
use crate::parallel::tests::{Own, Scoped, ordered};
use proptest::prelude::*;
use slicewise_kernels::reference::strategies::{channels, slice};
use slicewise_kernels::reference::{assert_same_bits, levels};
use slicewise_kernels::*;
use std::vec::Vec;

/// Everything that a forward and both backward passes write.
fn run<T: Element>(pool: &impl Parallel, level: Level, shape: Channels, values: &[T]) -> Vec<Vec<T>> {
    let fill =
        |len: usize, from: usize| -> Vec<T> { values.iter().cycle().skip(from).take(len).copied().collect() };
    let (d, len) = (shape.channels(), shape.len());
    let (x, dy, gamma, beta) = (fill(len, 0), fill(len, 3), fill(d, 7), fill(d, 11));
    let (mut running_mean, mut running_variance) = (fill(d, 13), fill(d, 17));
    let [mut mean, mut inv_std, mut dgamma, mut dbeta, mut dgamma2, mut dbeta2] =
        [(); 6].map(|()| std::vec![T::from_f64(f64::NAN); d]);
    let (mut y, mut dx, mut in_place) =
        (std::vec![T::from_f64(f64::NAN); len], std::vec![T::from(7); len], dy.clone());
    let config = BatchNorm {
        momentum: Momentum::Fixed(0.3),
        running_variance: RunningVariance::Unbiased,
        ..BatchNorm::DEFAULT
    };
    let affine = Affine { gamma: &gamma, beta: &beta };
    let running = RunningMut { mean: &mut running_mean, variance: &mut running_variance };
    let saved = SavedMut { mean: &mut mean, inv_std: &mut inv_std };
    batch_norm_forward_on(pool, level, &config, 0, shape, &x, affine, running, saved, &mut y).unwrap();
    let saved = Saved { mean: &mean, inv_std: &inv_std };
    let gradient = AffineGradient { gamma: &mut dgamma, beta: &mut dbeta };
    batch_norm_backward_on(pool, level, shape, &x, &gamma, saved, &dy, &mut dx, gradient).unwrap();
    let gradient = AffineGradient { gamma: &mut dgamma2, beta: &mut dbeta2 };
    batch_norm_backward_in_place_on(pool, level, shape, &x, &gamma, saved, &mut in_place, gradient).unwrap();
    std::vec![running_mean, running_variance, y, dx, in_place, dgamma, dbeta, dgamma2, dbeta2, mean, inv_std]
}

fn check<T: Element>(shape: Channels, values: &[T]) {
    for level in levels() {
        let alone = run(&Serial, level, shape, values);
        let mut runs: Vec<_> = ordered().iter().map(|pool| run(pool, level, shape, values)).collect();
        runs.push(run(&Scoped(3), level, shape, values));
        for run in runs {
            for (actual, expected) in run.iter().zip(&alone) {
                assert_same_bits(actual, expected, "parts", level);
            }
        }
    }
}

/// Rows that are divided, most of the time; some in more than one chain of sums.
fn shapes() -> impl Strategy<Value = Channels> {
    prop_oneof![
        2 => (40usize..200, 1200usize..3600).prop_map(|(n, d)| Channels::last(n, d)),
        2 => (400usize..2000, 120usize..400).prop_map(|(n, d)| Channels::last(n, d)),
        1 => channels(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn any_number_of_threads_gives_the_same_bits(shape in shapes(), values in slice::<f32>(997), doubles in slice::<f64>(997)) {
        check(shape, &values);
        check(shape, &doubles);
    }
}

#[test]
fn errors_leave_outputs_untouched() {
    let (shape, level, pool) = (Channels::last(2000, 100), Level::detect(), Scoped(2));
    assert!(pieces::<f32>(&Own(pool), crate::Channels::last(2000, 100)) > 1);
    let (x, d) = (std::vec![1.0f32; shape.len()], std::vec![1.0f32; shape.channels()]);
    let [mut a, mut b, mut c] = [(); 3].map(|()| std::vec![7.0f32; 100]);
    let (mut short, mut y) = (std::vec![7.0f32; 99], std::vec![7.0f32; 200_000]);
    let affine = Affine { gamma: &d, beta: &d };
    let running = RunningMut { mean: &mut a, variance: &mut b };
    let saved = SavedMut { mean: &mut c, inv_std: &mut short };
    let config = BatchNorm::DEFAULT;
    let error = batch_norm_forward_on(&pool, level, &config, 0, shape, &x, affine, running, saved, &mut y);
    assert_eq!(error.unwrap_err().argument, "saved.inv_std");
    let saved = Saved { mean: &d, inv_std: &d };
    let gradient = AffineGradient { gamma: &mut a, beta: &mut short };
    let error = batch_norm_backward_in_place_on(&pool, level, shape, &x, &d, saved, &mut y, gradient);
    assert_eq!(error.unwrap_err().argument, "gradient.beta");
    let gradient = AffineGradient { gamma: &mut a, beta: &mut b };
    let error = batch_norm_backward_on(&pool, level, shape, &x, &d, saved, &x, &mut y[1..], gradient);
    assert_eq!(error.unwrap_err().argument, "dx");
    assert!([a, b, c, short, y].iter().flatten().all(|x| *x == 7.0));
}
