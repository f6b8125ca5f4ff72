//! Against the oracles of `reference::batch_norm`, on every level.

use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::reference::batch_norm as oracle;
use crate::reference::strategies::channels;
use crate::reference::{Placed, assert_close, assert_same_bits, levels};

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

/// The backward pass is the derivative of the forward pass: against centred differences of `sum dy * y`.
#[test]
fn backward_agrees_with_centred_differences() {
    for channels in [Channels::last(7, 5), Channels::last(130, 2), Channels::first(3, 2, 19)] {
        let mut random = Random(11);
        let mut normal = |n: usize| (0..n).map(|_| random.normal()).collect::<Vec<f64>>();
        let c = channels.channels();
        let mut case = Case {
            channels,
            x: normal(channels.len()),
            dy: normal(channels.len()),
            gamma: normal(c),
            beta: normal(c),
        };
        for level in levels() {
            let saved = forward(level, &case, 0);
            let analytic = backward(level, &case, &saved, 0);
            let loss = |case: &Case<f64>| {
                let y = forward(level, case, 0).y;
                crate::reference::reduce::dot(&y, &case.dy).value
            };
            let h = 1e-5;
            // The error of the difference itself: about EPSILON * |loss| / h and h^2 times the third derivative.
            for (which, analytic) in analytic.iter().enumerate() {
                let scale = analytic.iter().fold(0.0f64, |m, g| m.max(g.abs()));
                for (i, analytic) in analytic.iter().enumerate() {
                    let mut at = |delta: f64| {
                        let target = match which {
                            0 => &mut case.x,
                            1 => &mut case.gamma,
                            _ => &mut case.beta,
                        };
                        let old = target[i];
                        target[i] = old + delta;
                        let step = target[i];
                        let loss = loss(&case);
                        let target = match which {
                            0 => &mut case.x,
                            1 => &mut case.gamma,
                            _ => &mut case.beta,
                        };
                        target[i] = old;
                        (loss, step)
                    };
                    let ((plus, above), (minus, below)) = (at(h), at(-h));
                    let numeric = (plus - minus) / (above - below);
                    let error = (numeric - analytic).abs() / scale;
                    assert!(
                        error < 1e-7,
                        "{channels:?}, {which}, {i}: {analytic} against {numeric}: {error:e}"
                    );
                }
            }
        }
    }
}

/// A thousand times the spread away from 0, `f32` sums of squares would lose every digit of the variance.
#[test]
fn a_large_mean_costs_no_digits() {
    for channels in [Channels::last(1000, 40), Channels::last(4000, 3), Channels::first(40, 3, 100)] {
        let mut random = Random(3);
        let mut case = case_of::<f32>(channels, 1);
        for x in &mut case.x {
            *x = (1e4 + random.normal()) as f32;
        }
        for level in levels() {
            let actual = forward(level, &case, 0);
            for (c, exact) in oracle::all_moments(channels, &case.x).iter().enumerate() {
                let error = f64::from(actual.variance[c]) / exact.variance - 1.0;
                assert!(error.abs() < 4e-6, "{channels:?} at {}: {error:e}", level.name());
                let error = (f64::from(actual.mean[c]) - exact.mean).abs();
                assert!(error < 6e-4, "{channels:?} at {}: mean off by {error:e}", level.name());
            }
        }
    }
}

/// Where the values that the pivot is guessed from are unlike the others, the sums are taken again.
#[test]
fn a_poor_guess_of_the_mean_costs_no_digits() {
    let rows = 4096;
    let mut random = Random(5);
    let channels = Channels::last(rows, 300);
    let mut case = case_of::<f32>(channels, 1);
    for (i, x) in case.x.iter_mut().enumerate() {
        let (row, column) = (i / 300, i % 300);
        let sampled = row % (rows / 8) == 0;
        *x = if sampled && column % 3 == 0 { 1e3 } else { random.normal() as f32 };
    }
    let spoiled = case.clone();
    for (i, x) in case.x.iter_mut().enumerate() {
        if i % 3 == 0 {
            *x = random.normal() as f32;
        }
    }
    for level in levels() {
        let actual = forward(level, &spoiled, 0);
        for (c, exact) in oracle::all_moments(channels, &spoiled.x).iter().enumerate() {
            let error = f64::from(actual.variance[c]) / exact.variance - 1.0;
            assert!(error.abs() < 2e-6, "channel {c} at {}: {error:e}", level.name());
        }
        // The other channels keep their bits.
        let healthy = forward(level, &case, 0);
        for c in (0..300).filter(|c| c % 3 != 0) {
            let what = "channel beside a spoiled one";
            assert_same_bits(&[actual.mean[c]], &[healthy.mean[c]], what, level);
            assert_same_bits(&[actual.variance[c]], &[healthy.variance[c]], what, level);
        }
    }
}

#[test]
fn nan_and_infinity_stay_in_their_channel() {
    for channels in [Channels::last(40, 37), Channels::last(300, 5), Channels::first(9, 5, 30)] {
        let healthy = case_of::<f32>(channels, 9);
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut case = healthy.clone();
            let hit = channels.len() / 2;
            case.x[hit] = bad;
            let hit = oracle::channel_of(channels, hit);
            for level in levels() {
                let (actual, expected) = (forward(level, &case, 0), forward(level, &healthy, 0));
                for (i, (actual, expected)) in actual.y.iter().zip(&expected.y).enumerate() {
                    if oracle::channel_of(channels, i) == hit {
                        assert!(actual.is_nan());
                    } else {
                        assert_eq!(actual.to_bits(), expected.to_bits());
                    }
                }
                assert!(actual.mean[hit].is_nan() && actual.inv_std[hit].is_nan());
            }
        }
    }
}

#[test]
fn a_constant_channel_gives_beta() {
    for n in [2, 3, 7, 8, 64, 1000] {
        for channels in [Channels::last(n, 3), Channels::last(n, 40), Channels::first(n, 3, 25)] {
            let mut case = case_of::<f32>(channels, 2);
            case.x.fill(0.1);
            for level in levels() {
                let actual = forward(level, &case, 0);
                for (c, beta) in case.beta.iter().enumerate() {
                    assert_eq!((actual.mean[c], actual.variance[c]), (0.1, 0.0), "{channels:?}");
                    let y = oracle::channel(channels, &actual.y, c);
                    assert!(y.iter().all(|y| *y == f64::from(*beta)), "{channels:?} at {}", level.name());
                }
            }
        }
    }
}

/// Three batches of one channel, 4 values each: the running statistics by hand.
#[test]
fn running_statistics_follow_each_convention() {
    let batches = [[1.0f64, 2.0, 3.0, 6.0], [0.0, 4.0, 4.0, 8.0], [-1.0, -1.0, 1.0, 1.0]];
    let moments = [(3.0, 3.5), (4.0, 8.0), (0.0, 1.0)];
    let run = |config: &BatchNorm, mean: f64, variance: f64| {
        let (mut mean, mut variance) = ([mean], [variance]);
        for (seen, x) in (0..).zip(&batches) {
            batch_norm_forward(
                Level::detect(),
                config,
                seen,
                Channels::last(4, 1),
                x,
                Affine { gamma: &[1.0], beta: &[0.0] },
                RunningMut { mean: &mut mean, variance: &mut variance },
                SavedMut { mean: &mut [0.0], inv_std: &mut [0.0] },
                &mut [0.0; 4],
            )
            .unwrap();
        }
        (mean[0], variance[0])
    };
    let close = |(a, b): (f64, f64), (c, d): (f64, f64)| (a - c).abs() < 1e-15 && (b - d).abs() < 1e-14;
    // PyTorch: momentum 0.1, unbiased.
    let (mut mean, mut variance) = (0.0, 1.0);
    for (m, v) in moments {
        mean = 0.9 * mean + 0.1 * m;
        variance = 0.9 * variance + 0.1 * v * 4.0 / 3.0;
    }
    assert!(close(run(&BatchNorm::default(), 0.0, 1.0), (mean, variance)));
    // CS231n: momentum 0.9 on the old value, biased, from 0.
    let (mut mean, mut variance) = (0.0, 0.0);
    for (m, v) in moments {
        mean = 0.9 * mean + (1.0 - 0.9) * m;
        variance = 0.9 * variance + (1.0 - 0.9) * v;
    }
    assert!(close(run(&BatchNorm::CS231N, 0.0, 0.0), (mean, variance)));
    // Cumulative: the plain average, whatever the start.
    let cumulative = BatchNorm { momentum: Momentum::Cumulative, ..BatchNorm::DEFAULT };
    assert!(close(run(&cumulative, 77.0, 77.0), (7.0 / 3.0, 12.5 / 3.0 * 4.0 / 3.0)));
}

#[test]
fn folding_gives_what_evaluation_gives() {
    for (inputs, outputs) in [(3, 5), (40, 300), (0, 4), (20, 16)] {
        let mut random = Random(13);
        let mut normal = |n: usize| (0..n).map(|_| random.normal()).collect::<Vec<f64>>();
        let (x, weight, bias) = (normal(inputs), normal(inputs * outputs), normal(outputs));
        let (gamma, beta, mean) = (normal(outputs), normal(outputs), normal(outputs));
        let variance: Vec<f64> = normal(outputs).iter().map(|v| v * v).collect();
        let dense = |weight: &[f64], bias: &[f64]| -> Vec<f64> {
            (0..outputs)
                .map(|j| bias[j] + (0..inputs).map(|i| x[i] * weight[i * outputs + j]).sum::<f64>())
                .collect()
        };
        let affine = Affine { gamma: &gamma, beta: &beta };
        let running = Running { mean: &mean, variance: &variance };
        for level in levels() {
            let before = dense(&weight, &bias);
            let mut expected = vec![0.0; outputs];
            let row = Channels::last(1, outputs);
            batch_norm_evaluate(level, 1e-3, row, &before, affine, running, &mut expected).unwrap();
            let (mut weight, mut bias) = (weight.clone(), bias.clone());
            batch_norm_fold(level, 1e-3, affine, running, &mut weight, &mut bias).unwrap();
            for (actual, expected) in dense(&weight, &bias).iter().zip(&expected) {
                assert!((actual - expected).abs() < 1e-12 * (1.0 + expected.abs()) * 30.0);
            }
        }
    }
}

#[test]
fn errors_leave_every_output_untouched() {
    let level = Level::detect();
    let channels = Channels::last(4, 3);
    let (x, ones) = ([1.0f32; 12], [1.0f32; 3]);
    // Each argument in turn is one too short.
    for short in 0..8 {
        let len = |i: usize, n: usize| if i == short { n - 1 } else { n };
        let (mut y, mut c) = ([7.0f32; 12], [[7.0f32; 3]; 4]);
        let [a, b, d, e] = &mut c;
        let affine = Affine { gamma: &ones[..len(1, 3)], beta: &ones[..len(2, 3)] };
        let error = batch_norm_forward(
            level,
            &BatchNorm::DEFAULT,
            0,
            channels,
            &x[..len(0, 12)],
            affine,
            RunningMut { mean: &mut a[..len(3, 3)], variance: &mut b[..len(4, 3)] },
            SavedMut { mean: &mut d[..len(5, 3)], inv_std: &mut e[..len(6, 3)] },
            &mut y[..len(7, 12)],
        )
        .unwrap_err();
        let names = [
            "x",
            "affine.gamma",
            "affine.beta",
            "running.mean",
            "running.variance",
            "saved.mean",
            "saved.inv_std",
            "y",
        ];
        assert_eq!(error.argument, names[short]);
        assert!(y == [7.0; 12] && c == [[7.0; 3]; 4]);

        let names =
            ["x", "gamma", "dy", "dx", "saved.mean", "saved.inv_std", "gradient.gamma", "gradient.beta"];
        let [a, b, ..] = &mut c;
        let error = batch_norm_backward(
            level,
            channels,
            &x[..len(0, 12)],
            &ones[..len(1, 3)],
            Saved { mean: &ones[..len(4, 3)], inv_std: &ones[..len(5, 3)] },
            &x[..len(2, 12)],
            &mut y[..len(3, 12)],
            AffineGradient { gamma: &mut a[..len(6, 3)], beta: &mut b[..len(7, 3)] },
        )
        .unwrap_err();
        assert_eq!(error.argument, names[short]);
        assert!(y == [7.0; 12] && c == [[7.0; 3]; 4]);

        let running = Running { mean: &ones[..len(3, 3)], variance: &ones[..len(4, 3)] };
        if [0, 1, 2, 3, 4, 7].contains(&short) {
            let result = batch_norm_evaluate(
                level,
                1e-5,
                channels,
                &x[..len(0, 12)],
                affine,
                running,
                &mut y[..len(7, 12)],
            );
            assert!(result.is_err() && y == [7.0; 12]);
        }
        if [1, 2, 3, 4, 7].contains(&short) {
            let result = batch_norm_fold(level, 1e-5, affine, running, &mut y[..len(7, 12)], &mut c[0]);
            assert!(result.is_err() && y == [7.0; 12] && c[0] == [7.0; 3]);
        }
    }
}

/// A batch of one has no variance: an error that says so, not NaN.
#[test]
fn a_batch_of_one_is_an_error() {
    let level = Level::detect();
    let (x, ones) = ([1.0f64; 3], [1.0f64; 3]);
    let (mut y, mut c) = ([7.0; 3], [[7.0; 3]; 4]);
    for (channels, actual) in
        [(Channels::last(1, 3), 1), (Channels::first(1, 3, 1), 1), (Channels::last(0, 3), 0)]
    {
        let [a, b, d, e] = &mut c;
        let error = batch_norm_forward(
            level,
            &BatchNorm::DEFAULT,
            0,
            channels,
            &x,
            Affine { gamma: &ones, beta: &ones },
            RunningMut { mean: a, variance: b },
            SavedMut { mean: d, inv_std: e },
            &mut y,
        )
        .unwrap_err();
        assert_eq!(error, ShapeError { argument: "channels.per_channel()", expected: 2, actual });
        assert!(y == [7.0; 3] && c == [[7.0; 3]; 4]);
    }
    // Evaluation takes any batch, none at all too.
    let affine = Affine { gamma: &ones, beta: &ones };
    let running = Running { mean: &ones, variance: &ones };
    batch_norm_evaluate(level, 0.0, Channels::last(1, 3), &x, affine, running, &mut y).unwrap();
    assert_eq!(y, ones);
    batch_norm_evaluate(level, 0.0, Channels::last(0, 3), &[], affine, running, &mut []).unwrap();
}
