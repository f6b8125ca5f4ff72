//! Batch norm and layer norm, their derivatives, and the centring of data sets.

use crate::{limit, values};
use core::hint::black_box;
use slicewise::Level;
use slicewise::kernels::{
    Affine, AffineGradient, BatchNorm, Channels, Running, RunningMut, Saved, SavedMut, batch_norm_backward,
    batch_norm_evaluate, batch_norm_forward, center_in_place, center_u8, layer_norm_backward,
    layer_norm_forward, mean_and_std, mean_and_std_u8, repeat_row, sum_rows,
};
use slicewise_benches::Comparison;

/// Channels of dense features, and of images.
const FEATURES: usize = 256;
const PLANES: usize = 16;

pub(crate) fn comparisons(n: usize) -> Vec<Comparison> {
    let features = [n / FEATURES, FEATURES, 1];
    let planes = [4, PLANES, n / (4 * PLANES)];
    let mut all = vec![
        forward(n, "batch norm (N, D)", features),
        forward(n, "batch norm (N, C, HW)", planes),
        evaluate(n, features),
        backward(n, "batch norm backward (N, D)", features),
        backward(n, "batch norm backward (N, C, HW)", planes),
        statistics(n),
        statistics_of_bytes(n),
        center(n),
        center_bytes(n),
        rows(n),
    ];
    for features in [64, 500, 1024] {
        all.push(layer(n, features));
        all.push(layer_backward(n, features));
    }
    all
}

/// Each channel's values and parameters, one loop a pass, as one would write it: `f(channel, elements)`.
fn each_channel(
    [outer, count, inner]: [usize; 3],
    mut f: impl FnMut(usize, &mut dyn Iterator<Item = usize>),
) {
    for c in 0..count {
        f(c, &mut (0..outer).flat_map(|o| (0..inner).map(move |i| (o * count + c) * inner + i)));
    }
}

fn forward(n: usize, name: &str, shape: [usize; 3]) -> Comparison {
    let (count, channels) = (shape[1], Channels::first(shape[0], shape[1], shape[2]));
    let (x, mut y, level) = (values(n), vec![0.0; n], Level::detect());
    let (gamma, beta) = (vec![1.0; count], vec![0.0; count]);
    let (mut mean, mut variance) = (vec![0.0; count], vec![1.0; count]);
    let (mut saved_mean, mut inv_std) = (vec![0.0; count], vec![0.0; count]);
    let row = Comparison::new(name, n).with("slicewise", move || {
        let running = RunningMut { mean: &mut mean, variance: &mut variance };
        let saved = SavedMut { mean: &mut saved_mean, inv_std: &mut inv_std };
        let affine = Affine { gamma: &gamma, beta: &beta };
        batch_norm_forward(level, &BatchNorm::DEFAULT, 0, channels, &x, affine, running, saved, &mut y)
            .expect("it fits");
    });
    let (x, mut y) = (values(n), vec![0.0f32; n]);
    let per_channel = (n / count) as f32;
    let row = row.with("loop", move || {
        let x = black_box(&x);
        let mut moments = vec![(0.0f32, 0.0f32); count];
        each_channel(shape, |c, elements| moments[c].0 = elements.map(|i| x[i]).sum::<f32>() / per_channel);
        each_channel(shape, |c, elements| {
            let mean = moments[c].0;
            moments[c].1 = elements.map(|i| (x[i] - mean) * (x[i] - mean)).sum::<f32>() / per_channel;
        });
        each_channel(shape, |c, elements| {
            let (mean, variance) = moments[c];
            let inv_std = 1.0 / (variance + 1e-5).sqrt();
            elements.for_each(|i| y[i] = (x[i] - mean) * inv_std);
        });
        black_box(&mut y);
    });
    limit(row, n, 1, 1)
}

fn evaluate(n: usize, shape: [usize; 3]) -> Comparison {
    let (count, channels) = (shape[1], Channels::first(shape[0], shape[1], shape[2]));
    let (x, mut y, level) = (values(n), vec![0.0; n], Level::detect());
    let (ones, zeros) = (vec![1.0; count], vec![0.0; count]);
    let row = Comparison::new("batch norm evaluation (N, D)", n).with("slicewise", move || {
        let (affine, running) =
            (Affine { gamma: &ones, beta: &zeros }, Running { mean: &zeros, variance: &ones });
        batch_norm_evaluate(level, 1e-5, channels, &x, affine, running, &mut y).expect("it fits");
    });
    let (x, mut y) = (values(n), vec![0.0f32; n]);
    let (scale, shift) = (vec![1.0f32; count], vec![0.0f32; count]);
    let row = row.with("loop", move || {
        for (y, x) in y.chunks_exact_mut(count).zip(black_box(&x).chunks_exact(count)) {
            for (((y, x), scale), shift) in y.iter_mut().zip(x).zip(&scale).zip(&shift) {
                *y = x * scale + shift;
            }
        }
        black_box(&mut y);
    });
    limit(row, n, 1, 1)
}

fn backward(n: usize, name: &str, shape: [usize; 3]) -> Comparison {
    let (count, channels) = (shape[1], Channels::first(shape[0], shape[1], shape[2]));
    let (x, dy, mut dx, level) = (values(n), values(n), vec![0.0; n], Level::detect());
    let (ones, zeros) = (vec![1.0; count], vec![0.0; count]);
    let (mut dgamma, mut dbeta) = (vec![0.0; count], vec![0.0; count]);
    let row = Comparison::new(name, n).with("slicewise", move || {
        let saved = Saved { mean: &zeros, inv_std: &ones };
        let gradient = AffineGradient { gamma: &mut dgamma, beta: &mut dbeta };
        batch_norm_backward(level, channels, &x, &ones, saved, &dy, &mut dx, gradient).expect("it fits");
    });
    let (x, dy, mut dx) = (values(n), values(n), vec![0.0f32; n]);
    let per_n = count as f32 / n as f32;
    let row = row.with("loop", move || {
        let (x, dy) = (black_box(&x), &dy);
        let mut sums = vec![(0.0f32, 0.0f32); count];
        each_channel(shape, |c, elements| {
            for i in elements {
                sums[c].0 += dy[i];
                sums[c].1 += dy[i] * x[i];
            }
        });
        each_channel(shape, |c, elements| {
            let (dbeta, dgamma) = sums[c];
            elements.for_each(|i| dx[i] = dy[i] - per_n * (dbeta + x[i] * dgamma));
        });
        black_box(&mut dx);
    });
    limit(row, n, 2, 1)
}

fn statistics(n: usize) -> Comparison {
    let channels = Channels::last(n / FEATURES, FEATURES);
    let (x, level) = (values(n), Level::detect());
    let (mut mean, mut std) = (vec![0.0; FEATURES], vec![0.0; FEATURES]);
    let row = Comparison::new("mean and deviation (N, D)", n)
        .with("slicewise", move || mean_and_std(level, channels, &x, &mut mean, &mut std).expect("it fits"));
    let (x, mut sums) = (values(n), vec![(0.0f64, 0.0f64); FEATURES]);
    let row = row.with("loop", move || {
        for x in black_box(&x).chunks_exact(FEATURES) {
            for ((sum, squares), x) in sums.iter_mut().zip(x) {
                *sum += f64::from(*x);
                *squares += f64::from(*x) * f64::from(*x);
            }
        }
        black_box(&mut sums);
    });
    limit(row, n, 1, 0)
}

fn statistics_of_bytes(n: usize) -> Comparison {
    let channels = Channels::last(n / FEATURES, FEATURES);
    let pixels: Vec<u8> = (0..n).map(|i| (i * 7919 % 251) as u8).collect();
    let (mut mean, mut std, level) = (vec![0.0f32; FEATURES], vec![0.0f32; FEATURES], Level::detect());
    let of_loop = pixels.clone();
    let row = Comparison::new("mean and deviation of bytes (N, D)", n).with("slicewise", move || {
        mean_and_std_u8(level, channels, &pixels, &mut mean, &mut std).expect("it fits");
    });
    let mut sums = vec![(0u64, 0u64); FEATURES];
    row.with("loop", move || {
        for x in black_box(&of_loop).chunks_exact(FEATURES) {
            for ((sum, squares), x) in sums.iter_mut().zip(x) {
                *sum += u64::from(*x);
                *squares += u64::from(*x) * u64::from(*x);
            }
        }
        black_box(&mut sums);
    })
}

fn center(n: usize) -> Comparison {
    let channels = Channels::last(n / FEATURES, FEATURES);
    let (mut x, mean, level) = (values(n), vec![0.0; FEATURES], Level::detect());
    let row = Comparison::new("centring (N, D)", n)
        .with("slicewise", move || center_in_place(level, channels, &mut x, &mean).expect("it fits"));
    let (mut x, mean) = (values(n), vec![0.0f32; FEATURES]);
    let row = row.with("loop", move || {
        for x in x.chunks_exact_mut(FEATURES) {
            for (x, mean) in x.iter_mut().zip(&mean) {
                *x -= mean;
            }
        }
        black_box(&mut x);
    });
    limit(row, n, 1, 1)
}

fn center_bytes(n: usize) -> Comparison {
    let channels = Channels::last(n / FEATURES, FEATURES);
    let pixels: Vec<u8> = (0..n).map(|i| (i * 7919 % 251) as u8).collect();
    let (mean, scale, mut y, level) =
        (vec![127.0f32; FEATURES], vec![1.0 / 255.0; FEATURES], vec![0.0; n], Level::detect());
    let (pixels2, mean2, scale2, mut y2) = (pixels.clone(), mean.clone(), scale.clone(), y.clone());
    Comparison::new("centring of bytes (N, D)", n)
        .with("slicewise", move || {
            center_u8(level, channels, &pixels, &mean, &scale, &mut y).expect("it fits");
        })
        .with("loop", move || {
            for (y, x) in y2.chunks_exact_mut(FEATURES).zip(black_box(&pixels2).chunks_exact(FEATURES)) {
                for (((y, x), mean), scale) in y.iter_mut().zip(x).zip(&mean2).zip(&scale2) {
                    *y = (f32::from(*x) - mean) * scale;
                }
            }
            black_box(&mut y2);
        })
}

/// What a bias costs: copied into every row, and its gradient summed.
fn rows(n: usize) -> Comparison {
    let (row, mut y, mut sums, level) =
        (values(FEATURES), vec![0.0; n], vec![0.0; FEATURES], Level::detect());
    let comparison = Comparison::new("repeat a row, sum the rows", n).with("slicewise", move || {
        repeat_row(level, &row, &mut y).expect("whole rows");
        sum_rows(level, &y, &mut sums).expect("whole rows");
    });
    let (row, mut y, mut sums) = (values(FEATURES), vec![0.0f32; n], vec![0.0f32; FEATURES]);
    let comparison = comparison.with("loop", move || {
        sums.fill(0.0);
        for y in y.chunks_exact_mut(FEATURES) {
            y.copy_from_slice(black_box(&row));
        }
        for y in black_box(&mut y).chunks_exact(FEATURES) {
            for (sum, y) in sums.iter_mut().zip(y) {
                *sum += y;
            }
        }
        black_box(&mut sums);
    });
    limit(comparison, n, 2, 1)
}

fn layer(n: usize, d: usize) -> Comparison {
    let (n, rows) = (n / d * d, n / d);
    let (x, mut y, level) = (values(n), vec![0.0; n], Level::detect());
    let (gamma, beta) = (vec![1.5; d], vec![0.5; d]);
    let (mut means, mut inv_stds) = (vec![0.0; rows], vec![0.0; rows]);
    let row = Comparison::new(&format!("layer norm of {d}"), n).with("slicewise", move || {
        let affine = Affine { gamma: &gamma, beta: &beta };
        let saved = SavedMut { mean: &mut means, inv_std: &mut inv_stds };
        layer_norm_forward(level, 1e-5, d, &x, affine, saved, &mut y).expect("it fits");
    });
    let (x, mut y, gamma, beta) = (values(n), vec![0.0f32; n], vec![1.5f32; d], vec![0.5f32; d]);
    let mut statistics = vec![(0.0f32, 0.0f32); rows];
    let row = row.with("loop", move || {
        let both = black_box(&x).chunks_exact(d).zip(y.chunks_exact_mut(d));
        for ((x, y), statistics) in both.zip(&mut statistics) {
            let mean = x.iter().sum::<f32>() / d as f32;
            let variance = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / d as f32;
            let inv_std = 1.0 / (variance + 1e-5).sqrt();
            *statistics = (mean, inv_std);
            for (((y, x), gamma), beta) in y.iter_mut().zip(x).zip(&gamma).zip(&beta) {
                *y = (x - mean) * inv_std * gamma + beta;
            }
        }
        black_box((&mut y, &mut statistics));
    });
    limit(row, n, 1, 1)
}

fn layer_backward(n: usize, d: usize) -> Comparison {
    let (n, rows) = (n / d * d, n / d);
    let (x, dy, mut dx, level) = (values(n), values(n), vec![0.0; n], Level::detect());
    let (gamma, means, inv_stds) = (vec![1.5; d], vec![0.0; rows], vec![1.0; rows]);
    let (mut dgamma, mut dbeta) = (vec![0.0; d], vec![0.0; d]);
    let row = Comparison::new(&format!("layer norm backward of {d}"), n).with("slicewise", move || {
        let saved = Saved { mean: &means, inv_std: &inv_stds };
        let gradient = AffineGradient { gamma: &mut dgamma, beta: &mut dbeta };
        layer_norm_backward(level, d, &x, &gamma, saved, &dy, &mut dx, gradient).expect("it fits");
    });
    let (x, dy, mut dx, gamma) = (values(n), values(n), vec![0.0f32; n], vec![1.5f32; d]);
    let (statistics, mut sums) = (vec![(0.0f32, 1.0f32); rows], vec![(0.0f32, 0.0f32); d]);
    let row = row.with("loop", move || {
        sums.fill((0.0, 0.0));
        let operands = black_box(&x).chunks_exact(d).zip(dy.chunks_exact(d)).zip(dx.chunks_exact_mut(d));
        for (((x, dy), dx), (mean, inv_std)) in operands.zip(&statistics) {
            let (mut sum, mut product) = (0.0, 0.0);
            for ((x, dy), gamma) in x.iter().zip(dy).zip(&gamma) {
                sum += gamma * dy;
                product += gamma * dy * (x - mean) * inv_std;
            }
            let (of_g, of_gz) = (sum / d as f32, product / d as f32);
            for ((((x, dy), dx), gamma), sums) in x.iter().zip(dy).zip(dx).zip(&gamma).zip(&mut sums) {
                let z = (x - mean) * inv_std;
                *dx = inv_std * (gamma * dy - of_g - z * of_gz);
                *sums = (sums.0 + dy * z, sums.1 + dy);
            }
        }
        black_box((&mut dx, &mut sums));
    });
    limit(row, n, 2, 1)
}
