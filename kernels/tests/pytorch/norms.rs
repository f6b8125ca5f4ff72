//! Batch normalisation with its running statistics, layer normalisation.

use slicewise_kernels::{
    Affine, AffineGradient, BatchNorm, Element, Level, Momentum, Running, RunningMut, Saved, SavedMut,
    batch_norm_backward, batch_norm_evaluate, batch_norm_evaluate_backward, batch_norm_forward,
    layer_norm_backward, layer_norm_evaluate, layer_norm_forward,
};

use crate::layout::Layout;
use crate::table::{Case, epsilon, room, ulp};

/// A layer's running statistics.
struct Statistics<T> {
    name: &'static str,
    config: BatchNorm,
    mean: Vec<T>,
    variance: Vec<T>,
}

/// Three batches in a row, the last one's gradients, and its evaluation by the running statistics, forward and backward.
pub(crate) fn batch<T: Element>(case: &Case, level: Level) {
    let layout = Layout::of(case);
    let (channels, c) = (layout.channels, layout.channels.channels());
    let (gamma, beta) = (case.inputs::<T>("gamma"), case.inputs::<T>("beta"));
    let affine = Affine { gamma: &gamma, beta: &beta };
    let unit = epsilon::<T>();
    // A sum down n rows is a chain as long; along planes it is shorter.
    let chain = channels.per_channel() as f64;
    let defaults = BatchNorm { epsilon: case.value("epsilon"), ..BatchNorm::DEFAULT };
    let mut layers =
        [("fixed", Momentum::Fixed(case.value("momentum"))), ("cumulative", Momentum::Cumulative)].map(
            |(name, momentum)| Statistics {
                name,
                config: BatchNorm { momentum, ..defaults },
                mean: vec![T::default(); c],
                variance: vec![T::from(1); c],
            },
        );
    let (mut mean, mut inv_std, mut y) = (room(c), room(c), room(channels.len()));
    for batch in 0..3u64 {
        let x = case.inputs::<T>(&format!("x{batch}"));
        for Statistics { name, config, mean: running_mean, variance: running_variance } in &mut layers {
            batch_norm_forward(
                level,
                config,
                batch,
                channels,
                &x,
                affine,
                RunningMut { mean: running_mean, variance: running_variance },
                SavedMut { mean: &mut mean, inv_std: &mut inv_std },
                &mut y,
            )
            .unwrap();
            let saved = Saved { mean: &mean, inv_std: &inv_std };
            normalised(case, level, &format!("y{batch}"), &y, affine, |i| layout.channel(i), saved);
            let deviation = |c: usize| 1.0 / inv_std[c].to_f64();
            case.holds(level, &format!("{name}_mean{batch}"), running_mean, |c, fact| {
                unit * (fact.abs() + mean[c].to_f64().abs() + 0.25 * chain * deviation(c))
            });
            // The biased one would be off by 1 / n, at least 0.002 of the running one.
            case.holds(level, &format!("{name}_variance{batch}"), running_variance, |_, fact| {
                unit * fact * (4.0 + 0.25 * chain)
            });
        }
        if batch == 2 {
            let saved = Saved { mean: &mean, inv_std: &inv_std };
            batch_backward(case, level, layout, "", [&x, &gamma], saved, |dx, gradient| {
                let dy = case.inputs::<T>("dy");
                batch_norm_backward(level, channels, &x, &gamma, saved, &dy, dx, gradient).unwrap();
            });
        }
    }
    let x = case.inputs::<T>("x2");
    for Statistics { name, config, mean, variance } in &layers {
        let running = Running { mean, variance };
        batch_norm_evaluate(level, config.epsilon, channels, &x, affine, running, &mut y).unwrap();
        let inv_std: Vec<T> =
            variance.iter().map(|v| T::from_f64(1.0 / (v.to_f64() + config.epsilon).sqrt())).collect();
        let saved = Saved { mean, inv_std: &inv_std };
        normalised(case, level, &format!("{name}_evaluated"), &y, affine, |i| layout.channel(i), saved);
        let prefix = format!("{name}_held_");
        batch_backward(case, level, layout, &prefix, [&x, &gamma], saved, |dx, gradient| {
            let dy = case.inputs::<T>("dy");
            batch_norm_evaluate_backward(
                level,
                config.epsilon,
                channels,
                &x,
                &gamma,
                running,
                &dy,
                dx,
                gradient,
            )
            .unwrap();
        });
    }
}

/// The gradients by the statistics that `backward` goes through: of terms of at most 4, in units of the deviation, or what is beyond that where
/// the statistics are not the batch's own.
fn batch_backward<T: Element>(
    case: &Case,
    level: Level,
    layout: Layout,
    prefix: &str,
    [x, gamma]: [&[T]; 2],
    saved: Saved<'_, T>,
    backward: impl Fn(&mut [T], AffineGradient<'_, T>),
) {
    let (mut dx, mut dgamma, mut dbeta) = (room(x.len()), room(gamma.len()), room(gamma.len()));
    backward(&mut dx, AffineGradient { gamma: &mut dgamma, beta: &mut dbeta });
    let (unit, n) = (epsilon::<T>(), layout.channels.per_channel() as f64);
    let shift = |c: usize| (saved.mean[c] * saved.inv_std[c]).to_f64().abs();
    case.holds(level, &format!("{prefix}dx"), &dx, |i, _| {
        let c = layout.channel(i);
        unit * (gamma[c] * saved.inv_std[c]).to_f64().abs() * (16.0 + shift(c))
    });
    let beyond = |c: usize| {
        let of_channel = x.iter().enumerate().filter(|(i, _)| layout.channel(*i) == c);
        let far = of_channel.map(|(_, x)| ((*x - saved.mean[c]) * saved.inv_std[c]).to_f64().abs());
        far.fold(4.0, f64::max) - 4.0
    };
    case.holds(level, &format!("{prefix}dgamma"), &dgamma, |c, _| unit * n * (2.0 + shift(c) + beyond(c)));
    case.holds(level, &format!("{prefix}dbeta"), &dbeta, |_, _| unit * n);
}

/// `y` by statistics that are off themselves: the mean by half a unit of itself and some of the deviation, the deviation by some of
/// itself.
fn normalised<T: Element>(
    case: &Case,
    level: Level,
    field: &str,
    y: &[T],
    affine: Affine<'_, T>,
    channel: impl Fn(usize) -> usize,
    saved: Saved<'_, T>,
) {
    case.holds(level, field, y, |i, fact| {
        let c = channel(i);
        let [gamma, beta] = [affine.gamma[c], affine.beta[c]].map(|x| x.to_f64().abs());
        let shift = (saved.mean[c] * saved.inv_std[c]).to_f64().abs();
        epsilon::<T>() * (8.0 * (fact.abs() + beta) + gamma * (8.0 + shift))
    });
}

pub(crate) fn layer<T: Element>(case: &Case, level: Level) {
    let (x, dy) = (case.inputs::<T>("x"), case.inputs::<T>("dy"));
    let (gamma, beta) = (case.inputs::<T>("gamma"), case.inputs::<T>("beta"));
    let (features, epsilon_added, unit) = (gamma.len(), case.value("epsilon"), epsilon::<T>());
    let rows = x.len() / features;
    let affine = Affine { gamma: &gamma, beta: &beta };
    let (mut y, mut mean, mut inv_std) = (room(x.len()), room(rows), room(rows));
    let saved = SavedMut { mean: &mut mean, inv_std: &mut inv_std };
    layer_norm_forward(level, epsilon_added, features, &x, affine, saved, &mut y).unwrap();
    // Sums of a row are not longer than 10 roundings.
    case.holds(level, "mean", &mean, |row, fact| 0.5 * ulp::<T>(fact) + 8.0 * unit / inv_std[row].to_f64());
    case.holds(level, "inv_std", &inv_std, |_, fact| 8.0 * unit * fact);
    let shift = |row: usize| (mean[row] * inv_std[row]).to_f64().abs();
    case.holds(level, "y", &y, |i, fact| {
        let (gamma, beta) = (gamma[i % features].to_f64().abs(), beta[i % features].to_f64().abs());
        unit * (8.0 * (fact.abs() + beta) + gamma * (8.0 + shift(i / features)))
    });
    let mut evaluated = room(x.len());
    layer_norm_evaluate(level, epsilon_added, features, &x, affine, &mut evaluated).unwrap();
    assert_eq!(evaluated, y);

    let (mut dx, mut dgamma, mut dbeta) = (room(x.len()), room(features), room(features));
    let saved = Saved { mean: &mean, inv_std: &inv_std };
    let gradient = AffineGradient { gamma: &mut dgamma, beta: &mut dbeta };
    layer_norm_backward(level, features, &x, &gamma, saved, &dy, &mut dx, gradient).unwrap();
    // Three terms of at most 4 cancel, in units of the deviation.
    case.holds(level, "dx", &dx, |i, _| unit * inv_std[i / features].to_f64() * (16.0 + shift(i / features)));
    let shifts: f64 = (0..rows).map(shift).sum();
    case.holds(level, "dgamma", &dgamma, |_, _| unit * (4.0 * rows as f64 + shifts));
    case.holds(level, "dbeta", &dbeta, |_, _| unit * rows as f64);
}
