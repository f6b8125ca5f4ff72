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
const SHAPES: [[usize; 3]; 3] = [[64, 500, 1], [256, 1024, 1], [64, 16, 256]];

pub(crate) fn comparisons(n: usize) -> Vec<Comparison> {
    let features = [n / FEATURES, FEATURES, 1];
    let planes = [4, PLANES, n / (4 * PLANES)];
    let mut all = vec![
        forward("batch norm (N, D)", features),
        forward("batch norm (N, C, HW)", planes),
        evaluate(n, features),
        backward("batch norm backward (N, D)", features),
        backward("batch norm backward (N, C, HW)", planes),
        statistics(n),
        statistics_of_bytes(n),
        center(n),
        center_bytes(n),
        rows(n),
    ];
    // Layers of real networks: a dense one, a wide one, images.
    for shape in SHAPES
        .into_iter()
        .filter(|shape| n <= shape.iter().product() && shape.iter().product::<usize>() <= 2 * n)
    {
        let [outer, count, inner] = shape;
        let shape_name =
            if inner == 1 { format!("{outer}x{count}") } else { format!("{outer}x{count}x{inner}") };
        all.push(forward(&format!("batch norm {shape_name}"), shape));
        all.push(backward(&format!("batch norm backward {shape_name}"), shape));
    }
    for features in [64, 500, 1024] {
        all.push(layer(n, features));
        all.push(layer_backward(n, features));
    }
    all
}

/// Loops as one would write them for the compiler to vectorise. Data is (N, C, HW), rows where HW is 1: what is summed goes down the
/// rows, or into sixteen sums side by side along a plane.
mod loops {
    const SIDE: usize = 16;

    /// `[sum a, sum b]` of each channel, `[a, b] = f(channel, x[i], dy[i])`.
    fn sums(
        [_, count, inner]: [usize; 3],
        [x, dy]: [&[f32]; 2],
        totals: &mut [Vec<f32>; 2],
        f: impl Fn(usize, f32, f32) -> [f32; 2],
    ) {
        let [first, second] = totals;
        first.fill(0.0);
        second.fill(0.0);
        if inner == 1 {
            for (x, dy) in x.chunks_exact(count).zip(dy.chunks_exact(count)) {
                let sums = first.iter_mut().zip(&mut *second);
                for (c, ((x, dy), (a, b))) in x.iter().zip(dy).zip(sums).enumerate() {
                    let terms = f(c, *x, *dy);
                    *a += terms[0];
                    *b += terms[1];
                }
            }
            return;
        }
        for (plane, (x, dy)) in x.chunks_exact(inner).zip(dy.chunks_exact(inner)).enumerate() {
            let c = plane % count;
            let (mut a, mut b) = ([0.0f32; SIDE], [0.0f32; SIDE]);
            for (x, dy) in x.chunks_exact(SIDE).zip(dy.chunks_exact(SIDE)) {
                for i in 0..SIDE {
                    let terms = f(c, x[i], dy[i]);
                    a[i] += terms[0];
                    b[i] += terms[1];
                }
            }
            first[c] += a.iter().sum::<f32>();
            second[c] += b.iter().sum::<f32>();
        }
    }

    /// `y[i] = f(channel, x[i], dy[i])`
    fn map(
        [_, count, inner]: [usize; 3],
        [x, dy]: [&[f32]; 2],
        y: &mut [f32],
        f: impl Fn(usize, f32, f32) -> f32,
    ) {
        if inner == 1 {
            let rows = x.chunks_exact(count).zip(dy.chunks_exact(count));
            for (y, (x, dy)) in y.chunks_exact_mut(count).zip(rows) {
                for (c, (y, (x, dy))) in y.iter_mut().zip(x.iter().zip(dy)).enumerate() {
                    *y = f(c, *x, *dy);
                }
            }
            return;
        }
        let planes = x.chunks_exact(inner).zip(dy.chunks_exact(inner));
        for (plane, (y, (x, dy))) in y.chunks_exact_mut(inner).zip(planes).enumerate() {
            for (y, (x, dy)) in y.iter_mut().zip(x.iter().zip(dy)) {
                *y = f(plane % count, *x, *dy);
            }
        }
    }

    /// One reading for both moments, about the first value of each channel.
    pub(super) fn forward(shape: [usize; 3], x: &[f32], y: &mut [f32], totals: &mut [Vec<f32>; 2]) {
        let [outer, count, inner] = shape;
        let per_channel = (outer * inner) as f32;
        let pivots: Vec<f32> = (0..count).map(|c| x[c * inner]).collect();
        let pivots = &pivots[..count];
        sums(shape, [x, x], totals, |c, x, _| [x - pivots[c], (x - pivots[c]) * (x - pivots[c])]);
        let [mean, scale] = totals;
        for ((mean, scale), pivot) in mean.iter_mut().zip(&mut *scale).zip(pivots) {
            let offset = *mean / per_channel;
            *scale = 1.0 / (*scale / per_channel - offset * offset + 1e-5).sqrt();
            *mean = pivot + offset;
        }
        let (mean, scale) = (&mean[..count], &scale[..count]);
        map(shape, [x, x], y, |c, x, _| (x - mean[c]) * scale[c]);
    }

    /// From `[mean, inv_std]`; what is the same down a column is computed once.
    pub(super) fn backward(
        shape: [usize; 3],
        x: [&[f32]; 2],
        [mean, inv_std, gamma]: [&[f32]; 3],
        dx: &mut [f32],
        totals: &mut [Vec<f32>; 2],
    ) {
        let [outer, count, inner] = shape;
        let per_n = 1.0 / (outer * inner) as f32;
        let (mean, inv_std, gamma) = (&mean[..count], &inv_std[..count], &gamma[..count]);
        sums(shape, x, totals, |c, x, dy| [dy, dy * (x - mean[c])]);
        let [offset, slope] = totals;
        for ((offset, slope), inv_std) in offset.iter_mut().zip(&mut *slope).zip(inv_std) {
            *offset *= per_n;
            *slope *= inv_std * inv_std * per_n;
        }
        let scale: Vec<f32> = inv_std.iter().zip(gamma).map(|(a, b)| a * b).collect();
        let (offset, slope, scale) = (&offset[..count], &slope[..count], &scale[..count]);
        map(shape, x, dx, |c, x, dy| scale[c] * (dy - offset[c] - (x - mean[c]) * slope[c]));
    }
}

fn forward(name: &str, shape: [usize; 3]) -> Comparison {
    let n = shape.iter().product();
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
    let (x, mut y, mut totals) = (values(n), vec![0.0f32; n], [vec![0.0f32; count], vec![0.0; count]]);
    let row = row.with("loop", move || {
        loops::forward(shape, black_box(&x), &mut y, &mut totals);
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

fn backward(name: &str, shape: [usize; 3]) -> Comparison {
    let n = shape.iter().product();
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
    let (ones, zeros) = (vec![1.0f32; count], vec![0.0f32; count]);
    let mut totals = [vec![0.0f32; count], vec![0.0; count]];
    let row = row.with("loop", move || {
        loops::backward(shape, [black_box(&x), &dy], [&zeros, &ones, &ones], &mut dx, &mut totals);
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
