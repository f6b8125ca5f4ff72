//! Reductions and random fills.

use crate::{limit, values};
use core::hint::black_box;
use rand_distr::{Distribution, StandardNormal, StandardUniform};
use rand_pcg::Pcg64;
use rten_simd::SimdOp;
use rten_vecmath::{MaxNum, MinMax, Sum, SumAbs, SumSquare};
use slicewise::Level;
use slicewise::kernels::{
    argmax, clip_by_norm, dot, fill_dropout_mask, fill_normal, fill_uniform, histogram, max, mean, min, norm,
    sum, sum_abs, sum_of_squares, variance,
};
use slicewise_benches::Comparison;

pub(crate) fn comparisons(n: usize) -> Vec<Comparison> {
    vec![
        reduction(n, "sum", sum, |x| x.iter().sum()).with("rten", rten(n, |x| Sum::new(x).dispatch())),
        reduction(n, "sum of magnitudes", sum_abs, |x| x.iter().map(|x| x.abs()).sum())
            .with("rten", rten(n, |x| SumAbs::new(x).dispatch())),
        reduction(n, "sum of squares", sum_of_squares, |x| x.iter().map(|x| x * x).sum())
            .with("rten", rten(n, |x| SumSquare::new(x).dispatch())),
        reduction(n, "norm", norm, |x| x.iter().map(|x| x * x).sum::<f32>().sqrt()),
        reduction(n, "mean", mean, |x| x.iter().sum::<f32>() / x.len() as f32),
        reduction(n, "variance", variance, |x| {
            let mean = x.iter().sum::<f32>() / x.len() as f32;
            x.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / x.len() as f32
        }),
        reduction(n, "max", max, |x| x.iter().copied().fold(f32::NEG_INFINITY, f32::max))
            .with("rten", rten(n, |x| MaxNum::new(x).dispatch())),
        reduction(n, "min", min, |x| x.iter().copied().fold(f32::INFINITY, f32::min))
            .with("rten (min and max)", rten(n, |x| MinMax::new(x).dispatch().0)),
        reduction(
            n,
            "argmax",
            |level, x| argmax(level, x).unwrap_or_default() as f32,
            |x| {
                let mut best = 0;
                for (i, value) in x.iter().enumerate() {
                    if *value > x[best] {
                        best = i;
                    }
                }
                best as f32
            },
        ),
        product(n),
        clip(n),
        buckets(n),
        uniform(n),
        normal(n),
        mask(n),
    ]
}

fn rten(n: usize, f: impl Fn(&[f32]) -> f32) -> impl FnMut() {
    let x = values(n);
    move || {
        black_box(f(black_box(&x)));
    }
}

fn reduction(
    n: usize,
    name: &str,
    ours: impl Fn(Level, &[f32]) -> f32 + 'static,
    plain: impl Fn(&[f32]) -> f32 + 'static,
) -> Comparison {
    let level = Level::detect();
    let row = Comparison::new(name, n)
        .with("slicewise", rten(n, move |x| ours(level, x)))
        .with("loop", rten(n, plain));
    limit(row, n, 1, 0)
}

fn product(n: usize) -> Comparison {
    let (x, y, level) = (values(n), values(n), Level::detect());
    let row = Comparison::new("dot", n).with("slicewise", move || {
        black_box(dot(level, black_box(&x), &y).expect("one length"));
    });
    let (x, y) = (values(n), values(n));
    let row = row.with("loop", move || {
        black_box(black_box(&x).iter().zip(&y).map(|(x, y)| x * y).sum::<f32>());
    });
    limit(row, n, 2, 0)
}

fn clip(n: usize) -> Comparison {
    // Always a little shorter than the time before, so that there is something to clip.
    let (mut x, mut max_norm, level) = (values(n), 1.0, Level::detect());
    let row = Comparison::new("clip by norm", n).with("slicewise", move || {
        max_norm = clip_by_norm(level, max_norm, black_box(&mut x)).expect("a norm") * (1.0 - 1e-6);
    });
    let (mut x, mut max_norm) = (values(n), 1.0);
    let row = row.with("loop", move || {
        let norm = black_box(&x).iter().map(|x| x * x).sum::<f32>().sqrt();
        if norm > max_norm {
            let factor = max_norm / norm;
            x.iter_mut().for_each(|x| *x *= factor);
        }
        max_norm = norm * (1.0 - 1e-6);
        black_box(&mut x);
    });
    limit(row, n, 2, 1)
}

fn buckets(n: usize) -> Comparison {
    let (x, mut counts) = (values(n), [0u64; 50]);
    let row = Comparison::new("histogram", n).with("slicewise", move || {
        black_box(histogram(black_box(&x), -4.0, 4.0, &mut counts));
    });
    let (x, mut counts) = (values(n), [0u64; 50]);
    row.with("loop", move || {
        for x in black_box(&x) {
            if let Some(count) = counts.get_mut(((x + 4.0) * 6.25) as usize) {
                *count += 1;
            }
        }
        black_box(&mut counts);
    })
}

fn uniform(n: usize) -> Comparison {
    let (mut rng, mut y) = (Pcg64::new(1, 1), vec![0.0f32; n]);
    let row = Comparison::new("uniform", n)
        .with("slicewise", move || fill_uniform(&mut rng, 0.0, 1.0, &mut y).expect("a range"));
    row.with("rand_distr", drawn::<StandardUniform>(n, StandardUniform))
}

fn normal(n: usize) -> Comparison {
    let (mut rng, mut y) = (Pcg64::new(1, 1), vec![0.0f32; n]);
    let row = Comparison::new("normal", n).with("slicewise", move || {
        fill_normal(Level::detect(), &mut rng, 0.0, 1.0, &mut y).expect("a distribution")
    });
    row.with("rand_distr", drawn::<StandardNormal>(n, StandardNormal))
}

fn mask(n: usize) -> Comparison {
    let (mut rng, mut y) = (Pcg64::new(1, 1), vec![0.0f32; n]);
    let row = Comparison::new("dropout mask", n)
        .with("slicewise", move || fill_dropout_mask(&mut rng, 0.5, &mut y).expect("a probability"));
    row.with("rand_distr (uniform)", drawn::<StandardUniform>(n, StandardUniform))
}

fn drawn<D: Distribution<f32>>(n: usize, distribution: D) -> impl FnMut() {
    let (mut rng, mut y) = (Pcg64::new(1, 1), vec![0.0f32; n]);
    move || {
        for y in &mut y {
            *y = distribution.sample(&mut rng);
        }
        black_box(&mut y);
    }
}
