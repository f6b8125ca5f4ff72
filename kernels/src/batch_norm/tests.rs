//! Against the oracles of `reference::batch_norm`, on every level.

mod cases;
mod fused;

use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

use slicewise_kernels::reference::batch_norm as oracle;
use slicewise_kernels::reference::strategies::channels;
use slicewise_kernels::reference::{Placed, assert_close, assert_same_bits, levels};
use slicewise_kernels::*;

/// Everything that a forward pass and a backward pass read.
#[derive(Clone, Debug)]
struct Case<T> {
    channels: Channels,
    x: Vec<T>,
    dy: Vec<T>,
    gamma: Vec<T>,
    beta: Vec<T>,
}

/// What they write.
#[derive(Clone, Debug)]
struct Forward<T> {
    mean: Vec<T>,
    inv_std: Vec<T>,
    variance: Vec<T>,
    y: Vec<T>,
}

/// Channels of different mean and spread, some constant, some with a few values far from the others.
fn case<T: Element>() -> impl Strategy<Value = Case<T>> {
    (channels(), any::<u64>()).prop_map(|(channels, seed)| case_of(channels, seed))
}

fn case_of<T: Element>(channels: Channels, seed: u64) -> Case<T> {
    let mut random = Random(seed);
    let kinds: Vec<(f64, f64, f64)> = (0..channels.channels())
        .map(|_| {
            let mean = [0.0, 1.0, -30.0, 1e4][random.below(4)];
            let spread = [1.0, 0.1, 100.0, 1.0, 1e-3, 0.0][random.below(6)];
            let outlier = [0.0, 0.0, 0.0, 1e3][random.below(4)];
            (mean, spread, outlier)
        })
        .collect();
    let x = (0..channels.len())
        .map(|i| {
            let (mean, spread, outlier) = kinds[oracle::channel_of(channels, i)];
            let far = if random.below(50) == 0 { outlier } else { 0.0 };
            T::from_f64(mean + spread * (random.normal() + far))
        })
        .collect();
    let mut normal = |n| (0..n).map(|_| T::from_f64(random.normal())).collect::<Vec<T>>();
    Case {
        channels,
        x,
        dy: normal(channels.len()),
        gamma: normal(channels.channels()),
        beta: normal(channels.channels()),
    }
}

/// SplitMix64, which is enough for test data.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    /// About normal: the sum of four uniform numbers, mean 0, variance 1.
    fn normal(&mut self) -> f64 {
        (0..4).map(|_| (self.next() >> 11) as f64 * (-52f64).exp2() - 1.0).sum::<f64>() * 0.75f64.sqrt()
    }
}

/// The biased variance comes back as the running one: momentum 1.
const KEEP_BATCH: BatchNorm =
    BatchNorm { epsilon: 1e-5, momentum: Momentum::Fixed(1.0), running_variance: RunningVariance::Biased };

/// The forward pass, every slice `offset` elements past a cache line.
fn forward<T: Element>(level: Level, case: &Case<T>, offset: usize) -> Forward<T> {
    let c = case.channels.channels();
    let dirty = |n| Placed::new(&vec![T::from_f64(f64::NAN); n], offset);
    let zeros = || Placed::new(&vec![T::default(); c], offset);
    let (mut mean, mut inv_std, mut y) = (dirty(c), dirty(c), dirty(case.x.len()));
    let (mut running_mean, mut running_variance) = (zeros(), zeros());
    batch_norm_forward(
        level,
        &KEEP_BATCH,
        0,
        case.channels,
        Placed::new(&case.x, offset).get(),
        Affine { gamma: Placed::new(&case.gamma, offset).get(), beta: Placed::new(&case.beta, offset).get() },
        RunningMut { mean: running_mean.get_mut(), variance: running_variance.get_mut() },
        SavedMut { mean: mean.get_mut(), inv_std: inv_std.get_mut() },
        y.get_mut(),
    )
    .unwrap();
    assert_same_bits(running_mean.get(), mean.get(), "running mean at momentum 1", level);
    Forward {
        mean: mean.get().to_vec(),
        inv_std: inv_std.get().to_vec(),
        variance: running_variance.get().to_vec(),
        y: y.get().to_vec(),
    }
}

/// `[dx, dgamma, dbeta]`.
fn backward<T: Element>(level: Level, case: &Case<T>, saved: &Forward<T>, offset: usize) -> [Vec<T>; 3] {
    let c = case.channels.channels();
    let dirty = |n| Placed::new(&vec![T::from_f64(f64::NAN); n], offset);
    let (mut dx, mut dgamma, mut dbeta) = (dirty(case.x.len()), dirty(c), dirty(c));
    batch_norm_backward(
        level,
        case.channels,
        Placed::new(&case.x, offset).get(),
        Placed::new(&case.gamma, offset).get(),
        Saved {
            mean: Placed::new(&saved.mean, offset).get(),
            inv_std: Placed::new(&saved.inv_std, offset).get(),
        },
        Placed::new(&case.dy, offset).get(),
        dx.get_mut(),
        AffineGradient { gamma: dgamma.get_mut(), beta: dbeta.get_mut() },
    )
    .unwrap();
    [dx.get().to_vec(), dgamma.get().to_vec(), dbeta.get().to_vec()]
}

fn f64s<T: Element>(x: &[T]) -> Vec<f64> {
    x.iter().map(|x| x.to_f64()).collect()
}

/// The most roundings that a value goes through on its way into a sum of `n`.
fn roundings(n: f64) -> f64 {
    n.min(150.0) + 8.0
}

fn check_forward<T: Element>(case: &Case<T>, level: Level) {
    let u = T::EPSILON.to_f64() / 2.0;
    let Forward { mean, inv_std, variance, y } = forward(level, case, 0);
    for (c, exact) in oracle::all_moments(case.channels, &case.x).into_iter().enumerate() {
        let l = roundings(exact.n) * u;
        let spread = exact.variance + (8.0 * u * exact.mean).powi(2);
        let bound = u * exact.mean.abs() + l * (5.0 * spread).sqrt();
        assert_close(mean[c], exact.mean, bound, "mean", level);
        let bound = 14.0 * l * spread;
        assert_close(variance[c], exact.variance, bound, "variance", level);
        let exact_inv_std = 1.0 / (exact.variance + KEEP_BATCH.epsilon).sqrt();
        let relative = 0.5 * bound / (exact.variance + KEEP_BATCH.epsilon) + 4.0 * u;
        assert_close(inv_std[c], exact_inv_std, relative * exact_inv_std, "inv_std", level);
    }
    let exact =
        oracle::normalise(case.channels, &case.x, &f64s(&mean), &f64s(&inv_std), &case.gamma, &case.beta);
    for (y, exact) in y.iter().zip(exact) {
        assert_close(*y, exact.value, 5.0 * u * exact.magnitude, "y", level);
    }
}

fn check_backward<T: Element>(case: &Case<T>, level: Level) {
    let u = T::EPSILON.to_f64() / 2.0;
    let saved = forward(level, case, 0);
    let exact = oracle::backward(case.channels, &case.x, &case.gamma, &saved.mean, &saved.inv_std, &case.dy);
    let l = roundings(case.channels.per_channel() as f64) * u;
    let [dx, dgamma, dbeta] = backward(level, case, &saved, 0);
    for (actual, exact, what) in
        [(&dx, &exact.dx, "dx"), (&dgamma, &exact.dgamma, "dgamma"), (&dbeta, &exact.dbeta, "dbeta")]
    {
        for (actual, exact) in actual.iter().zip(exact) {
            assert_close(*actual, exact.value, l * exact.magnitude, what, level);
        }
    }
}

fn check<T: Element>(case: &Case<T>) {
    let mut fused: Option<(Forward<T>, [Vec<T>; 3])> = None;
    for level in levels() {
        check_forward(case, level);
        check_backward(case, level);
        let first = forward(level, case, 0);
        let gradients = backward(level, case, &first, 0);
        for offset in [1, 7] {
            assert_same_forward(&forward(level, case, offset), &first, level);
            for (actual, expected) in backward(level, case, &first, offset).iter().zip(&gradients) {
                assert_same_bits(actual, expected, "gradients elsewhere", level);
            }
        }
        if level != Level::Portable {
            let (expected, expected_gradients) = fused.get_or_insert((first.clone(), gradients.clone()));
            assert_same_forward(&first, expected, level);
            for (actual, expected) in gradients.iter().zip(expected_gradients) {
                assert_same_bits(actual, expected, "gradients", level);
            }
        }
    }
}

#[track_caller]
fn assert_same_forward<T: Element>(actual: &Forward<T>, expected: &Forward<T>, level: Level) {
    assert_same_bits(&actual.mean, &expected.mean, "mean", level);
    assert_same_bits(&actual.inv_std, &expected.inv_std, "inv_std", level);
    assert_same_bits(&actual.variance, &expected.variance, "variance", level);
    assert_same_bits(&actual.y, &expected.y, "y", level);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn passes_are_within_their_bounds_f32(case in case::<f32>()) {
        check(&case);
    }

    #[test]
    fn passes_are_within_their_bounds_f64(case in case::<f64>()) {
        check(&case);
    }

    #[test]
    fn evaluation_is_within_its_bound(case in case::<f32>()) {
        check_evaluation(&case);
    }

    #[test]
    fn evaluation_is_within_its_bound_f64(case in case::<f64>()) {
        check_evaluation(&case);
    }
}

fn check_evaluation<T: Element>(case: &Case<T>) {
    let (channels, u) = (case.channels, T::EPSILON.to_f64() / 2.0);
    let variance: Vec<T> = case.gamma.iter().map(|g| *g * *g).collect();
    let running = Running { mean: &case.beta, variance: &variance };
    // gamma and beta change places, so that their lengths are right and their values are not the statistics'.
    let affine = Affine { gamma: &case.beta, beta: &case.gamma };
    let inv_std: Vec<f64> = variance.iter().map(|v| 1.0 / (v.to_f64() + 1e-5).sqrt()).collect();
    let exact =
        oracle::normalise(channels, &case.x, &f64s(running.mean), &inv_std, affine.gamma, affine.beta);
    let mut fused: Option<Vec<T>> = None;
    for level in levels() {
        let mut y = vec![T::from_f64(f64::NAN); case.x.len()];
        batch_norm_evaluate(level, 1e-5, channels, &case.x, affine, running, &mut y).unwrap();
        for (y, exact) in y.iter().zip(&exact) {
            assert_close(*y, exact.value, 8.0 * u * exact.magnitude, "y", level);
        }
        let mut x = Placed::new(&case.x, 3);
        batch_norm_evaluate_in_place(level, 1e-5, channels, x.get_mut(), affine, running).unwrap();
        assert_same_bits(x.get(), &y, "in place, elsewhere", level);
        if level != Level::Portable {
            assert_same_bits(&y, fused.get_or_insert(y.clone()), "levels", level);
        }
        // Each row, or image, by itself.
        let (outer, row) = (channels.outer(), channels.len() / channels.outer());
        let one = Channels::first(1, channels.channels(), channels.inner());
        for i in [0, outer / 2, outer - 1] {
            let mut alone = vec![T::default(); row];
            let x = &case.x[i * row..(i + 1) * row];
            batch_norm_evaluate(level, 1e-5, one, x, affine, running, &mut alone).unwrap();
            assert_same_bits(&alone, &y[i * row..(i + 1) * row], "a row by itself", level);
        }
    }
}

#[test]
fn backward_in_place_has_the_same_bits() {
    for channels in [Channels::last(70, 37), Channels::last(300, 6), Channels::first(5, 3, 77)] {
        let case = case_of::<f32>(channels, 7);
        for level in levels() {
            let saved = forward(level, &case, 0);
            let [dx, dgamma, dbeta] = backward(level, &case, &saved, 0);
            let mut dy = case.dy.clone();
            let c = channels.channels();
            let (mut gamma, mut beta) = (vec![0.0; c], vec![0.0; c]);
            batch_norm_backward_in_place(
                level,
                channels,
                &case.x,
                &case.gamma,
                Saved { mean: &saved.mean, inv_std: &saved.inv_std },
                &mut dy,
                AffineGradient { gamma: &mut gamma, beta: &mut beta },
            )
            .unwrap();
            assert_same_bits(&dy, &dx, "dx", level);
            assert_same_bits(&gamma, &dgamma, "dgamma", level);
            assert_same_bits(&beta, &dbeta, "dbeta", level);
        }
    }
}

/// Draws from one generator: nothing is far from anything else.
fn case_of_normal(channels: Channels) -> Case<f64> {
    let mut random = Random(11);
    let mut normal = |n: usize| (0..n).map(|_| random.normal()).collect::<Vec<f64>>();
    let c = channels.channels();
    Case {
        channels,
        x: normal(channels.len()),
        dy: normal(channels.len()),
        gamma: normal(c),
        beta: normal(c),
    }
}

/// The backward pass is the derivative of the forward pass: against centred differences of `sum dy * y`.
#[test]
fn backward_agrees_with_centred_differences() {
    for channels in [Channels::last(7, 5), Channels::last(130, 2), Channels::first(3, 2, 19)] {
        let case = case_of_normal(channels);
        for level in levels() {
            let saved = forward(level, &case, 0);
            let analytic = backward(level, &case, &saved, 0);
            agrees_with_differences(&case, &analytic, |case| {
                reference::reduce::dot(&forward(level, case, 0).y, &case.dy).value
            });
        }
    }
}

/// `[dx, dgamma, dbeta]` against centred differences of `loss`.
#[track_caller]
fn agrees_with_differences(case: &Case<f64>, analytic: &[Vec<f64>; 3], loss: impl Fn(&Case<f64>) -> f64) {
    let h = 1e-5;
    // The error of the difference itself: about EPSILON * |loss| / h and h^2 times the third derivative.
    for (which, analytic) in analytic.iter().enumerate() {
        let scale = analytic.iter().fold(0.0f64, |m, g| m.max(g.abs()));
        for (i, analytic) in analytic.iter().enumerate() {
            let at = |delta: f64| {
                let mut moved = case.clone();
                let target = &mut [&mut moved.x, &mut moved.gamma, &mut moved.beta][which][i];
                *target += delta;
                let step = *target;
                (loss(&moved), step)
            };
            let ((plus, above), (minus, below)) = (at(h), at(-h));
            let numeric = (plus - minus) / (above - below);
            let error = (numeric - analytic).abs() / scale;
            assert!(
                error < 1e-7,
                "{:?}, {which}, {i}: {analytic} against {numeric}: {error:e}",
                case.channels
            );
        }
    }
}
