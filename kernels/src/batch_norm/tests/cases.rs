//! Cases made by hand: what is hard for sums, conventions, folding, errors.

use super::*;

/// A thousand times the spread away from 0, `f32` sums of squares would lose every digit of the variance.
#[test]
fn a_large_mean_costs_no_digits() {
    let rows = [(1000, 40), (1200, 16), (4000, 3), (300, 270)].map(|(n, d)| Channels::last(n, d));
    for channels in rows.into_iter().chain([Channels::first(40, 3, 100)]) {
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
    let (rows, width) = (4096, 75);
    let mut random = Random(5);
    let channels = Channels::last(rows, width);
    let mut case = case_of::<f32>(channels, 1);
    for (i, x) in case.x.iter_mut().enumerate() {
        let (row, column) = (i / width, i % width);
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
        for c in (0..width).filter(|c| c % 3 != 0) {
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
