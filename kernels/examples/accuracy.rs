//! The error of every function and activation over all `f32`, as the table of `docs/accuracy.md`.
//!
//! `cargo run --release -p slicewise-kernels --features reference --example accuracy > docs/accuracy.md` takes 17 minutes on two
//! cores; with `-- STRIDE` it looks at every STRIDEth number only, with `-- STRIDE NAME` at the functions of that name.

use slicewise_kernels::reference::{activation, levels, math, sweep};
use slicewise_kernels::{Activation, Function, Level, activate, apply};

/// Writes `y[i] = f(x[i])` at a level.
type Compute<'a> = &'a (dyn Fn(Level, &[f32], &mut [f32]) + Sync);

fn main() {
    let mut arguments = std::env::args().skip(1);
    let stride = arguments.next().map_or(1, |stride| stride.parse().expect("a stride"));
    let wanted = arguments.next();
    let (given, which) = match stride {
        1 => (String::new(), "every".into()),
        _ => (format!(" -- {stride}"), format!("one in {stride}")),
    };
    println!("# Accuracy\n");
    println!(
        "The largest error of each function in units of the last place of the exact result (at least the spacing of subnormals), and the input it \
         was found at, over {which} `f32`: both signs, all exponents, subnormals, infinities and NaNs. `avx2` and `avx512` give the same bits; the \
         portable level does not fuse multiply-adds.\n"
    );
    println!(
        "Made by `cargo run --release -p slicewise-kernels --features reference --example accuracy{given} > docs/accuracy.md`.\n"
    );
    let names: Vec<&str> = levels().map(Level::name).collect();
    let head = || println!("| function | {} |\n|---|{}", names.join(" | "), "---:|".repeat(names.len()));
    head();
    let row = |name: &str, f: Compute<'_>, exact: &(dyn Fn(f64) -> f64 + Sync)| {
        if wanted.as_ref().is_none_or(|wanted| wanted == name) {
            let cells = sweep(stride, f, exact)
                .into_iter()
                .map(|(_, worst)| format!(" {:.3} at {:e} |", worst.ulp, worst.x));
            println!("| {name} |{}", cells.collect::<String>());
        }
    };
    for function in Function::ALL {
        let f = |level, x: &[f32], y: &mut [f32]| apply(level, function, x, y).expect("one length");
        row(function.name(), &f, &|x| math::value(function, x));
    }
    // The others are single operations.
    for which in [
        Activation::Elu { alpha: 1.0 },
        Activation::Selu,
        Activation::Softplus,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Silu,
        Activation::HardSigmoid,
        Activation::HardSwish,
    ] {
        let name = format!("{which:?}");
        let f = |level, x: &[f32], y: &mut [f32]| activate(level, which, x, y).expect("one length");
        row(name.split(' ').next().unwrap_or_default(), &f, &|x| activation::value(which, x));
    }
    println!("\n## The fast tier\n");
    println!(
        "`SigmoidFast` over the `f32` from {LOWEST} up: below, where the results are nearly subnormal, it falls to 0 early, and its error is at most 6.3e-39. \
         No result of `TanhFast` and `SigmoidFast` is beyond 1.\n"
    );
    head();
    for which in [Activation::TanhFast, Activation::SigmoidFast, Activation::GeluFast] {
        let lowest = if which == Activation::SigmoidFast { LOWEST } else { f32::MIN };
        let f = |level, x: &[f32], y: &mut [f32]| {
            activate(level, which, x, y).expect("one length");
            for (x, y) in x.iter().zip(y) {
                if f32::NEG_INFINITY < *x && *x < lowest {
                    *y = activation::value(which, f64::from(*x)) as f32;
                }
            }
        };
        row(&format!("{which:?}"), &f, &|x| activation::value(which, x));
    }
    println!("\n## Beside PyTorch\n");
    println!(
        "`kernels/tests/pytorch` has a table of what PyTorch computes in float64: these functions, softmax and the losses, batch norm with its running \
         statistics, layer norm, their gradients, the optimizers. A test holds the kernels to it at every level, in `f32` and `f64`, each result \
         within a bound that stands beside it."
    );
}

/// From here up the bound of `SigmoidFast` holds.
const LOWEST: f32 = -87.25;
