//! Derivatives of activations, activations with weights, softmax, losses and the optimizers.

use crate::{limit, polynomials, values};
use core::hint::black_box;
use core::mem::MaybeUninit;
use rten_simd::SimdOp;
use rten_vecmath::Softmax;
use slicewise::Level;
use slicewise::kernels::{
    Activation, Channels, Optimizer, Step, Targets, activation_backward, cross_entropy, hinge, maxout,
    maxout_backward, optimizer_step, prelu, prelu_backward, softmax, squared_error,
};
use slicewise_benches::Comparison;

pub(crate) fn comparisons(n: usize) -> Vec<Comparison> {
    let mut rows = vec![
        backward(n, Activation::Relu, |y, dy| if y > 0.0 { dy } else { 0.0 }),
        backward(n, Activation::Tanh, |y, dy| (1.0 - y * y) * dy),
        prelu_row(n),
        prelu_backward_row(n),
        maxout_row(n),
        maxout_backward_row(n),
    ];
    rows.extend(optimizers(n));
    if (1 << 18..1 << 20).contains(&n) {
        // A layer of a million weights.
        rows.extend(optimizers(1 << 20));
    }
    for classes in [10, 100, 1000] {
        rows.push(softmax_rows(n, classes));
        rows.push(loss_rows(n, classes));
        rows.push(hinge_rows(n, classes));
    }
    rows.push(squared_error_row(n));
    rows
}

fn backward(n: usize, activation: Activation, slope: impl Fn(f32, f32) -> f32 + 'static) -> Comparison {
    let (y, dy, mut dx) = (values(n), values(n), vec![0.0; n]);
    let level = Level::detect();
    let row =
        Comparison::new(&format!("{activation:?} backward").to_lowercase(), n).with("slicewise", move || {
            activation_backward(level, activation, &y, &dy, &mut dx).expect("one length");
        });
    let (y, dy, mut dx) = (values(n), values(n), vec![0.0; n]);
    let row = row.with("loop", move || {
        for ((dx, y), dy) in dx.iter_mut().zip(black_box(&y)).zip(&dy) {
            *dx = slope(*y, *dy);
        }
        black_box(&mut dx);
    });
    limit(row, n, 2, 1)
}

/// 256 channels, each with its slope.
fn prelu_row(n: usize) -> Comparison {
    const CHANNELS: usize = 256;
    let (channels, level) = (Channels::last(n / CHANNELS, CHANNELS), Level::detect());
    let (x, slopes, mut y) = (values(n), values(CHANNELS), vec![0.0; n]);
    let row = Comparison::new("prelu", n)
        .with("slicewise", move || prelu(level, channels, &x, &slopes, &mut y).expect("it fits"));
    let (x, slopes, mut y) = (values(n), values(CHANNELS), vec![0.0f32; n]);
    let row = row.with("loop", move || {
        for (y, x) in y.chunks_exact_mut(CHANNELS).zip(black_box(&x).chunks_exact(CHANNELS)) {
            for ((y, x), slope) in y.iter_mut().zip(x).zip(&slopes) {
                *y = if *x > 0.0 { *x } else { slope * x };
            }
        }
        black_box(&mut y);
    });
    limit(row, n, 1, 1)
}

/// 256 channels, each with its slope.
fn prelu_backward_row(n: usize) -> Comparison {
    const CHANNELS: usize = 256;
    let (channels, level) = (Channels::last(n / CHANNELS, CHANNELS), Level::detect());
    let (x, dy, slopes) = (values(n), values(n), values(CHANNELS));
    let (mut dx, mut dslopes) = (vec![0.0; n], vec![0.0; CHANNELS]);
    let row = Comparison::new("prelu backward", n).with("slicewise", move || {
        prelu_backward(level, channels, &x, &slopes, &dy, &mut dx, &mut dslopes).expect("it fits");
    });
    let (x, dy, slopes) = (values(n), values(n), values(CHANNELS));
    let (mut dx, mut dslopes) = (vec![0.0f32; n], vec![0.0f32; CHANNELS]);
    let row = row.with("loop", move || {
        dslopes.fill(0.0);
        let rows = black_box(&x).chunks_exact(CHANNELS).zip(dy.chunks_exact(CHANNELS));
        for ((x, dy), dx) in rows.zip(dx.chunks_exact_mut(CHANNELS)) {
            let each = slopes.iter().zip(&mut dslopes);
            for (((x, dy), dx), (slope, dslope)) in x.iter().zip(dy).zip(dx).zip(each) {
                *dx = if *x > 0.0 { *dy } else { slope * dy };
                *dslope += x.min(0.0) * dy;
            }
        }
        black_box(&mut dx);
    });
    limit(row, n, 2, 1)
}

/// Two pieces; elements are those read.
fn maxout_row(n: usize) -> Comparison {
    let (units, level) = (64, Level::detect());
    let (x, mut y) = (values(n), vec![0.0; n / 2]);
    let row = Comparison::new("maxout of 2", n)
        .with("slicewise", move || maxout(level, 2, units, &x, &mut y).expect("it fits"));
    let (x, mut y) = (values(n), vec![0.0f32; n / 2]);
    let row = row.with("loop", move || {
        for (y, x) in y.chunks_exact_mut(units).zip(black_box(&x).chunks_exact(2 * units)) {
            let (first, second) = x.split_at(units);
            for ((y, a), b) in y.iter_mut().zip(first).zip(second) {
                *y = a.max(*b);
            }
        }
        black_box(&mut y);
    });
    limit(row, n / 2, 2, 1)
}

fn maxout_backward_row(n: usize) -> Comparison {
    let (units, level) = (64, Level::detect());
    let (x, mut y, dy, mut dx) = (values(n), vec![0.0; n / 2], values(n / 2), vec![0.0; n]);
    maxout(level, 2, units, &x, &mut y).expect("it fits");
    let (x2, y2, dy2, mut dx2) = (x.clone(), y.clone(), dy.clone(), dx.clone());
    let row = Comparison::new("maxout backward", n).with("slicewise", move || {
        maxout_backward(level, 2, units, &x, &y, &dy, &mut dx).expect("it fits");
    });
    let row = row.with("loop", move || {
        let rows = y2.chunks_exact(units).zip(dy2.chunks_exact(units));
        for ((dx, x), (y, dy)) in
            dx2.chunks_exact_mut(2 * units).zip(black_box(&x2).chunks_exact(2 * units)).zip(rows)
        {
            for i in 0..units {
                let first = x[i] == y[i];
                dx[i] = if first { dy[i] } else { 0.0 };
                dx[units + i] = if first { 0.0 } else { dy[i] };
            }
        }
        black_box(&mut dx2);
    });
    limit(row, n / 2, 4, 2)
}

fn optimizers(n: usize) -> [Comparison; 3] {
    [
        optimizer(n, "sgd", Optimizer::Sgd, |w, g, _, _| *w -= 0.01 * g),
        optimizer(n, "momentum", Optimizer::momentum(), |w, g, v, _| {
            *v = 0.9 * *v + g;
            *w -= 0.01 * *v;
        }),
        optimizer(n, "adam", Optimizer::adam(), |w, g, m, v| {
            *m = 0.9 * *m + 0.1 * g;
            *v = 0.999 * *v + 0.001 * g * g;
            *w -= 0.01 * *m / (v.sqrt() + 1e-8);
        }),
    ]
}

fn optimizer(
    n: usize,
    name: &str,
    optimizer: Optimizer,
    update: impl Fn(&mut f32, f32, &mut f32, &mut f32) + 'static,
) -> Comparison {
    let step = Step { optimizer, learning_rate: 0.01, regularisation: 0.0, t: 10 };
    let slots = optimizer.state_slots();
    let state = |slot: usize| vec![0.0f32; if slots > slot { n } else { 0 }];
    let (mut w, gradient, mut first, mut second) = (values(n), vec![1e-3f32; n], state(0), state(1));
    let level = Level::detect();
    let row = Comparison::new(name, n).with("slicewise", move || {
        optimizer_step(level, &step, &mut w, &gradient, &mut first, &mut second).expect("one length");
    });
    let (mut w, gradient, mut first, mut second) =
        (values(n), vec![1e-3f32; n], vec![0.0f32; n], vec![0.0f32; n]);
    // With the norms of the step, as ours.
    let row = row.with("loop", move || {
        let (mut squares, mut updates) = (0.0, 0.0);
        for (((w, g), m), v) in w.iter_mut().zip(black_box(&gradient)).zip(&mut first).zip(&mut second) {
            let before = *w;
            update(w, *g, m, v);
            squares += before * before;
            updates += (*w - before) * (*w - before);
        }
        black_box((&mut w, squares, updates));
    });
    limit(row, n, 2 + slots, 1 + slots)
}

fn softmax_rows(n: usize, classes: usize) -> Comparison {
    let n = n / classes * classes;
    let (x, mut y) = (values(n), vec![0.0; n]);
    let level = Level::detect();
    let row = Comparison::new(&format!("softmax of {classes}"), n)
        .with("slicewise", move || softmax(level, classes, &x, &mut y).expect("whole rows"));
    let (x, mut y) = (values(n), vec![0.0f32; n]);
    let row = row.with("loop", move || {
        for (y, x) in y.chunks_exact_mut(classes).zip(black_box(&x).chunks_exact(classes)) {
            let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mut sum = 0.0;
            for (y, x) in y.iter_mut().zip(x) {
                *y = polynomials::exp(x - largest);
                sum += *y;
            }
            for y in y {
                *y /= sum;
            }
        }
        black_box(&mut y);
    });
    let (x, mut y) = (values(n), vec![MaybeUninit::new(0.0); n]);
    let row = row.with("rten", move || {
        for (y, x) in y.chunks_exact_mut(classes).zip(x.chunks_exact(classes)) {
            black_box(Softmax::new(x, y).dispatch());
        }
    });
    limit(row, n, 1, 1)
}

fn loss_rows(n: usize, classes: usize) -> Comparison {
    let n = n / classes * classes;
    let labels: Vec<u32> = (0..n / classes).map(|i| (i % classes) as u32).collect();
    let (x, mut dx, level) = (values(n), vec![0.0; n], Level::detect());
    let of_loop = labels.clone();
    let row = Comparison::new(&format!("cross-entropy of {classes}"), n).with("slicewise", move || {
        if !labels.is_empty() {
            black_box(
                cross_entropy(level, classes, &x, Targets::Labels(&labels), &mut dx).expect("whole rows"),
            );
        }
    });
    let (x, mut dx) = (values(n), vec![0.0f32; n]);
    let row = row.with("loop", move || {
        let (mut loss, scale) = (0.0, 1.0 / of_loop.len() as f32);
        for ((dx, x), label) in
            dx.chunks_exact_mut(classes).zip(black_box(&x).chunks_exact(classes)).zip(&of_loop)
        {
            let largest = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let mut sum = 0.0;
            for (dx, x) in dx.iter_mut().zip(x) {
                *dx = (x - largest).exp();
                sum += *dx;
            }
            loss += largest + sum.ln() - x[*label as usize];
            for dx in &mut *dx {
                *dx *= scale / sum;
            }
            dx[*label as usize] -= scale;
        }
        black_box((&mut dx, loss));
    });
    limit(row, n, 1, 1)
}

fn hinge_rows(n: usize, classes: usize) -> Comparison {
    let n = n / classes * classes;
    let labels: Vec<u32> = (0..n / classes).map(|i| (i % classes) as u32).collect();
    let (x, mut dx, level) = (values(n), vec![0.0; n], Level::detect());
    let of_loop = labels.clone();
    let row = Comparison::new(&format!("hinge of {classes}"), n).with("slicewise", move || {
        if !labels.is_empty() {
            black_box(hinge(level, classes, 1.0, &x, &labels, &mut dx).expect("whole rows"));
        }
    });
    let (x, mut dx) = (values(n), vec![0.0f32; n]);
    let row = row.with("loop", move || {
        let (mut loss, scale) = (0.0, 1.0 / of_loop.len() as f32);
        for ((dx, x), label) in
            dx.chunks_exact_mut(classes).zip(black_box(&x).chunks_exact(classes)).zip(&of_loop)
        {
            let (label, mut inside) = (*label as usize, 0.0);
            let threshold = x[label] - 1.0;
            for (dx, x) in dx.iter_mut().zip(x) {
                let over = f32::max(0.0, x - threshold);
                loss += over;
                *dx = if over > 0.0 { scale } else { 0.0 };
                inside += if over > 0.0 { 1.0 } else { 0.0 };
            }
            loss -= x[label] - threshold;
            dx[label] = (1.0 - inside) * scale;
        }
        black_box((loss, &mut dx));
    });
    limit(row, n, 1, 1)
}

fn squared_error_row(n: usize) -> Comparison {
    let (y, t, mut dy, level) = (values(n), vec![0.5; n], vec![0.0; n], Level::detect());
    let row = Comparison::new("squared error", n).with("slicewise", move || {
        black_box(squared_error(level, &y, &t, &mut dy).expect("one length"));
    });
    let (y, t, mut dy) = (values(n), vec![0.5f32; n], vec![0.0f32; n]);
    let row = row.with("loop", move || {
        let (mut loss, factor) = (0.0, 2.0 / n as f32);
        for ((dy, y), t) in dy.iter_mut().zip(black_box(&y)).zip(&t) {
            let error = y - t;
            loss += error * error;
            *dy = factor * error;
        }
        black_box((loss, &mut dy));
    });
    limit(row, n, 2, 1)
}
