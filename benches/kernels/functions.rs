//! Functions and activations beside their peers, in speed and in error: a peer that is wrong somewhere is no match.
#![allow(unsafe_code, reason = "a peer writes what is not initialised yet")]

use crate::{limit, polynomials, values};
use core::hint::black_box;
use core::mem::MaybeUninit;
use rten_simd::SimdUnaryOp;
use rten_vecmath::{Elu, Erf, Exp, Gelu, LeakyRelu, Sigmoid, Silu, Tanh};
use slicewise::Level;
use slicewise::kernels::{Activation, Function, activate, apply};
use slicewise_benches::Comparison;
use slicewise_kernels::reference::{activation, math, sweep};
use std::sync::Arc;

/// Writes `y[i] = f(x[i])`.
type Map = Arc<dyn Fn(&[f32], &mut [f32]) + Send + Sync>;
/// The exact `f(x)`.
type Exact = Box<dyn Fn(f64) -> f64 + Sync>;

/// A function and who computes it.
struct Row {
    name: String,
    exact: Exact,
    contestants: Vec<(&'static str, Map)>,
}

/// Speeds on slices of `n`.
pub(crate) fn comparisons(n: usize) -> Vec<Comparison> {
    let comparison = |row: Row| {
        let mut comparison = Comparison::new(&row.name, n);
        for (name, map) in row.contestants {
            // From 0 to 2 for functions that do not take others.
            let mut x = values(n);
            if (row.exact)(-1.0).is_nan() {
                x.iter_mut().for_each(|x| *x = x.abs());
            }
            let mut y = vec![0.0; n];
            comparison = comparison.with(name, move || {
                map(black_box(&x), &mut y);
                black_box(&mut y);
            });
        }
        limit(comparison, n, 1, 1)
    };
    rows().into_iter().map(comparison).collect()
}

/// The largest errors found among one in 9,973 `f32`, and where: a line for each function.
pub(crate) fn print_errors(markdown: bool, wanted: &[&String]) {
    const STRIDE: usize = 9_973;
    if markdown {
        println!(
            "\n## Errors\n\nThe largest in units of the last place, and the input, among one in {STRIDE} `f32` of every kind.\n"
        );
        println!("| function | slicewise | peers |\n|---|---|---|");
    } else {
        println!("errors in ULP, among one in {STRIDE} f32");
    }
    for row in rows().iter().filter(|row| wanted.is_empty() || wanted.iter().any(|w| row.name.contains(*w))) {
        let mut cells = row.contestants.iter().map(|(name, map)| {
            let worst = sweep(STRIDE, |_, x, y| map(x, y), &row.exact);
            let worst = worst.first().map(|(_, worst)| *worst).unwrap_or_default();
            let error = match worst.ulp {
                ulp if ulp >= 1e4 => format!("{ulp:.0e}"),
                ulp => format!("{ulp:.2}"),
            };
            (*name, format!("{error} at {:e}", worst.x))
        });
        let ours = cells.next().map(|(_, error)| error).unwrap_or_default();
        let peers: Vec<String> = cells.map(|(name, error)| format!("{name} {error}")).collect();
        match markdown {
            true => println!("| {} | {ours} | {} |", row.name, peers.join(", ")),
            false => println!("{:>36}  slicewise {ours}  {}", row.name, peers.join("  ")),
        }
    }
    if !markdown {
        println!();
    }
}

fn rows() -> Vec<Row> {
    vec![
        of_activation(Activation::Relu).with("loop", looped(|x| x.max(0.0))),
        of_activation(Activation::LeakyRelu { slope: 0.01 })
            .with("loop", looped(|x| if x > 0.0 { x } else { 0.01 * x }))
            .with("rten", rten(LeakyRelu { alpha: 0.01 })),
        of_activation(Activation::Elu { alpha: 1.0 })
            .with("loop", looped(|x| if x > 0.0 { x } else { polynomials::exp(x) - 1.0 }))
            .with("rten", rten(Elu { alpha: 1.0 })),
        of_activation(Activation::Sigmoid)
            .with("loop", looped(polynomials::sigmoid))
            .with("rten", rten(Sigmoid {})),
        of_activation(Activation::Tanh).with("loop", looped(polynomials::tanh)).with("rten", rten(Tanh {})),
        of_activation(Activation::Gelu).with("loop", looped(polynomials::gelu)).with("rten", rten(Gelu {})),
        of_activation(Activation::SigmoidFast)
            .with("loop", looped(polynomials::sigmoid))
            .with("rten", rten(Sigmoid {})),
        of_activation(Activation::TanhFast)
            .with("loop", looped(polynomials::tanh))
            .with("rten", rten(Tanh {})),
        of_activation(Activation::GeluFast)
            .with("loop", looped(polynomials::gelu))
            .with("rten", rten(Gelu {})),
        of_activation(Activation::GeluTanh),
        of_activation(Activation::Silu)
            .with("loop", looped(|x| x * polynomials::sigmoid(x)))
            .with("rten", rten(Silu {})),
        of_activation(Activation::Softplus).with("loop", looped(|x| x.exp().ln_1p())),
        of_function(Function::Exp)
            .with("loop", looped(polynomials::exp))
            .with("rten", rten(Exp {}))
            .with("wide", wide(wide::f32x8::exp)),
        of_function(Function::Exp2).with("loop", looped(f32::exp2)),
        of_function(Function::ExpM1).with("loop", looped(f32::exp_m1)),
        of_function(Function::Ln).with("loop", looped(polynomials::ln)).with("wide", wide(wide::f32x8::ln)),
        of_function(Function::Ln1p).with("loop", looped(f32::ln_1p)),
        of_function(Function::Erf).with("rten", rten(Erf {})),
        of_function(Function::Sqrt).with("loop", looped(f32::sqrt)),
        of_function(Function::Rsqrt).with("loop", looped(|x| 1.0 / x.sqrt())),
    ]
}

impl Row {
    fn with(mut self, name: &'static str, map: Map) -> Self {
        self.contestants.push((name, map));
        self
    }
}

fn of_activation(which: Activation) -> Row {
    let level = Level::detect();
    let name = format!("{which:?}");
    let name = name.split([' ', '{']).next().unwrap_or_default().to_lowercase();
    let row = Row { name, exact: Box::new(move |x| activation::value(which, x)), contestants: Vec::new() };
    row.with("slicewise", Arc::new(move |x, y| activate(level, which, x, y).expect("one length")))
}

fn of_function(which: Function) -> Row {
    let level = Level::detect();
    let exact = Box::new(move |x| math::value(which, x));
    let row = Row { name: which.name().into(), exact, contestants: Vec::new() };
    row.with("slicewise", Arc::new(move |x, y| apply(level, which, x, y).expect("one length")))
}

/// As a plain loop.
fn looped(f: impl Fn(f32) -> f32 + Send + Sync + 'static) -> Map {
    Arc::new(move |x, y| {
        for (y, x) in y.iter_mut().zip(x) {
            *y = f(*x);
        }
    })
}

fn rten(op: impl SimdUnaryOp<f32> + Send + Sync + 'static) -> Map {
    Arc::new(move |x, y| {
        // SAFETY: what is initialised may be taken for what is not: the peer only writes.
        let y = unsafe { core::mem::transmute::<&mut [f32], &mut [MaybeUninit<f32>]>(y) };
        black_box(op.map(x, y));
    })
}

/// Eight at a time; the last few one by one.
fn wide(f: impl Fn(wide::f32x8) -> wide::f32x8 + Send + Sync + 'static) -> Map {
    Arc::new(move |x, y| {
        let ((x, x_tail), (y, y_tail)) = (x.as_chunks(), y.as_chunks_mut());
        for (y, x) in y.iter_mut().zip(x) {
            *y = f((*x).into()).to_array();
        }
        for (y, x) in y_tail.iter_mut().zip(x_tail) {
            *y = f([*x; 8].into()).to_array()[0];
        }
    })
}
