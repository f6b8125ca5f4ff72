//! The error of every function and activation over all `f32`, as the table of `docs/accuracy.md`.
//!
//! `cargo run --release -p slicewise-kernels --features reference --example accuracy > docs/accuracy.md` takes about an hour on two
//! cores; with `-- STRIDE` it looks at every STRIDEth number only, with `-- STRIDE NAME` at the functions of that name.

use core::ops::Range;
use slicewise_kernels::reference::{activation, levels, math, ulp_error};
use slicewise_kernels::{Activation, Function, Level, activate, apply};

/// The numbers that a thread computes at a time.
const CHUNK: usize = 4096;

#[derive(Clone, Copy)]
enum Subject {
    Function(Function),
    Activation(Activation),
}

impl Subject {
    fn all() -> Vec<Self> {
        let activations = [
            Activation::Elu { alpha: 1.0 },
            Activation::Selu,
            Activation::Softplus,
            Activation::Gelu,
            Activation::GeluTanh,
            Activation::Silu,
            Activation::HardSigmoid,
            Activation::HardSwish,
        ];
        Function::ALL.map(Self::Function).into_iter().chain(activations.map(Self::Activation)).collect()
    }

    fn name(self) -> String {
        match self {
            Self::Function(function) => function.name().into(),
            Self::Activation(Activation::Elu { .. }) => "Elu".into(),
            Self::Activation(activation) => format!("{activation:?}"),
        }
    }

    fn compute(self, level: Level, x: &[f32], y: &mut [f32]) {
        match self {
            Self::Function(function) => apply(level, function, x, y),
            Self::Activation(activation) => activate(level, activation, x, y),
        }
        .expect("one length");
    }

    fn exact(self, x: f64) -> f64 {
        match self {
            Self::Function(function) => math::value(function, x),
            Self::Activation(which) => activation::value(which, x),
        }
    }
}

/// The largest error, and where.
#[derive(Clone, Copy, Default)]
struct Worst {
    ulp: f64,
    x: f32,
}

impl Worst {
    fn or(self, other: Self) -> Self {
        if other.ulp > self.ulp { other } else { self }
    }
}

/// The worst of each level over every `stride`th bit pattern of a range.
fn sweep(subject: Subject, bits: Range<u64>, stride: usize) -> Vec<Worst> {
    let levels: Vec<Level> = levels().collect();
    let mut worst = vec![Worst::default(); levels.len()];
    let mut inputs = bits.step_by(stride).map(|bits| f32::from_bits(bits as u32)).peekable();
    let (mut x, mut y, mut exact) = (Vec::new(), vec![0.0; CHUNK], Vec::new());
    while inputs.peek().is_some() {
        x.clear();
        x.extend(inputs.by_ref().take(CHUNK));
        exact.clear();
        exact.extend(x.iter().map(|x| subject.exact(f64::from(*x))));
        for (level, worst) in levels.iter().zip(&mut worst) {
            let y = &mut y[..x.len()];
            subject.compute(*level, &x, y);
            for ((x, y), exact) in x.iter().zip(&*y).zip(&exact) {
                *worst = worst.or(Worst { ulp: ulp_error(*y, *exact), x: *x });
            }
        }
    }
    worst
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let stride = arguments.next().map_or(1, |stride| stride.parse().expect("a stride"));
    let wanted = arguments.next();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    println!("# Accuracy\n");
    println!(
        "The largest error of each function in units of the last place of the exact result (at least the spacing of subnormals), and the input it \
         was found at, over {} `f32`: both signs, all exponents, subnormals, infinities and NaNs. `avx2` and `avx512` give the same bits; the \
         portable level does not fuse multiply-adds.\n",
        if stride == 1 { "every".into() } else { format!("one in {stride}") }
    );
    let given = if stride == 1 { String::new() } else { format!(" -- {stride}") };
    println!(
        "Made by `cargo run --release -p slicewise-kernels --features reference --example accuracy{given} > docs/accuracy.md`.\n"
    );
    let names: Vec<&str> = levels().map(Level::name).collect();
    println!("| function | {} |\n|---|{}", names.join(" | "), "---:|".repeat(names.len()));
    for subject in Subject::all() {
        if wanted.as_ref().is_some_and(|wanted| *wanted != subject.name()) {
            continue;
        }
        let share = (1u64 << 32).div_ceil(threads as u64).next_multiple_of(stride as u64);
        let parts: Vec<Vec<Worst>> = std::thread::scope(|scope| {
            let parts: Vec<_> = (0..threads as u64)
                .map(|t| (t * share).min(1 << 32)..((t + 1) * share).min(1 << 32))
                .map(|bits| scope.spawn(move || sweep(subject, bits, stride)))
                .collect();
            parts.into_iter().map(|part| part.join().expect("a sweep")).collect()
        });
        let cells: Vec<String> = (0..names.len())
            .map(|level| {
                let worst = parts.iter().map(|part| part[level]).fold(Worst::default(), Worst::or);
                format!("{:.3} at {:e}", worst.ulp, worst.x)
            })
            .collect();
        println!("| {} | {} |", subject.name(), cells.join(" | "));
    }
}
