//! Kernels where the host flushes subnormals: audio programs set FTZ and DAZ, which make subnormal results and inputs 0.
#![allow(unsafe_code, reason = "the control register has no safe interface")]

use core::arch::asm;
use core::hint::black_box;
use std::vec::Vec;

use slicewise_kernels::reference::{activation as oracle, levels};
use slicewise_kernels::{
    Activation, Affine, BatchLoss, BatchNorm, Channels, Function, Level, MatMut, MatRef, Optimizer,
    RunningMut, SavedMut, Step, Targets, activate, apply, batch_norm_forward, cross_entropy, gemm,
    gemm_scratch_len, hinge, log_softmax, max, norm, optimizer_step, softmax, sum, variance,
};

/// Runs `f` with subnormal results and inputs taken as 0.
#[inline(never)]
fn flushing<R>(f: impl FnOnce() -> R) -> R {
    const FTZ_AND_DAZ: u32 = 0x8040;
    let mut before = 0u32;
    // SAFETY: reads the control register into a variable.
    unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut before) };
    let flushed = before | FTZ_AND_DAZ;
    // SAFETY: sets two flags, which are put back below; what runs between is a call that is not inlined.
    unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const flushed) };
    let result = black_box(f());
    // SAFETY: as it was.
    unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const before) };
    result
}

/// One `f32` in a few ten thousand, of all signs and exponents, and what lies about the powers of two.
fn inputs() -> Vec<f32> {
    let strided = (0..=u32::MAX).step_by(40_009);
    let near = (0..=255u32).flat_map(|e| [e << 23, (e << 23) + 1, ((e << 23) + 0x007f_ffff)]);
    strided.chain(near.clone()).chain(near.map(|bits| bits | 1 << 31)).map(f32::from_bits).collect()
}

/// As DAZ reads it.
fn read(x: f32) -> f32 {
    if x.is_subnormal() { 0f32.copysign(x) } else { x }
}

/// `f` flushed is `f` of the inputs as they are read, to 4 ULP and to what is flushed: `least` times the least normal number.
fn check(name: &str, level: Level, least: f64, f: impl Fn(&[f32], &mut [f32])) {
    let x = inputs();
    let inputs_read: Vec<f32> = x.iter().map(|x| read(*x)).collect();
    let (mut expected, mut actual) = (x.clone(), x.clone());
    f(&inputs_read, &mut expected);
    flushing(|| f(&x, &mut actual));
    for ((x, expected), actual) in x.iter().zip(expected).zip(actual) {
        let error = (f64::from(actual) - f64::from(expected)).abs();
        let bound =
            f64::from(4.0 * f32::EPSILON) * f64::from(expected.abs()) + least * f64::from(f32::MIN_POSITIVE);
        assert!(
            error <= bound || actual.to_bits() == expected.to_bits() || actual.is_nan() && expected.is_nan(),
            "{name} at {} of {x:e}: {actual:e} flushed, {expected:e} else",
            level.name()
        );
    }
}

#[test]
fn subnormals_are_flushed() {
    let tiny = black_box(f32::from_bits(0x0040_0000));
    assert_eq!(flushing(|| black_box(tiny) * black_box(1.0)), 0.0);
    assert_eq!(flushing(|| black_box(f32::MIN_POSITIVE) * black_box(0.5)), 0.0);
    assert!(black_box(tiny) * black_box(1.0) > 0.0);
}

#[test]
fn functions_are_right_with_subnormals_flushed() {
    for level in levels() {
        for function in Function::ALL {
            check(function.name(), level, 1.0, |x, y| apply(level, function, x, y).unwrap());
        }
        for activation in oracle::ALL {
            // The fast tier's first guess of a reciprocal is up to a 20th too small: what it gives may be flushed where the result would not.
            let fast =
                matches!(activation, Activation::SigmoidFast | Activation::TanhFast | Activation::GeluFast);
            let least = if fast { 1.06 } else { 1.0 };
            check(&std::format!("{activation:?}"), level, least, |x, y| {
                activate(level, activation, x, y).unwrap()
            });
        }
    }
}

/// Rows, and classes or features.
const SHAPE: (usize, usize) = (40, 12);

/// What a kernel comes to, in one list.
type Kernel<'a> = (&'a str, &'a dyn Fn(Level, &[f32]) -> Vec<f32>);

fn of_rows(f: impl Fn(&mut [f32])) -> Vec<f32> {
    let mut y = std::vec![7.0; SHAPE.0 * SHAPE.1];
    f(&mut y);
    y
}

fn loss(batch: BatchLoss, mut gradient: Vec<f32>) -> Vec<f32> {
    gradient.push(batch.loss as f32);
    gradient
}

/// Sums, products, losses, normalisation, an optimizer's step.
fn kernels(check: impl Fn(Kernel<'_>)) {
    let (rows, cols) = SHAPE;
    let labels: Vec<u32> = (0..cols as u32).cycle().take(rows).collect();
    check(("softmax", &|level, x| of_rows(|y| softmax(level, cols, x, y).unwrap())));
    check(("log_softmax", &|level, x| of_rows(|y| log_softmax(level, cols, x, y).unwrap())));
    check(("cross_entropy", &|level, x| {
        let mut d = std::vec![0.0; x.len()];
        loss(cross_entropy(level, cols, x, Targets::Labels(&labels), &mut d).unwrap(), d)
    }));
    check(("hinge", &|level, x| {
        let mut d = std::vec![0.0; x.len()];
        loss(hinge(level, cols, 1.0, x, &labels, &mut d).unwrap(), d)
    }));
    check(("reductions", &|level, x| {
        std::vec![sum(level, x), norm(level, x), max(level, x), variance(level, x)]
    }));
    check(("gemm", &|level, x| {
        let (mut c, mut scratch) =
            (std::vec![0.0; rows * rows], std::vec![0.0; gemm_scratch_len(rows, rows, cols)]);
        let (a, b) = (MatRef::row_major(x, rows, cols), MatRef::row_major(x, rows, cols).t());
        gemm(level, 1.0, a, b, 0.0, MatMut::row_major(&mut c, rows, rows), &mut scratch).unwrap();
        c
    }));
    check(("batch_norm", &|level, x| {
        let (ones, zeros) = (std::vec![1.0; cols], std::vec![0.0; cols]);
        of_rows(|y| {
            let running = RunningMut { mean: &mut zeros.clone(), variance: &mut ones.clone() };
            let saved = SavedMut { mean: &mut zeros.clone(), inv_std: &mut zeros.clone() };
            let affine = Affine { gamma: &ones, beta: &zeros };
            let channels = Channels::last(rows, cols);
            batch_norm_forward(level, &BatchNorm::DEFAULT, 0, channels, x, affine, running, saved, y)
                .unwrap();
        })
    }));
    check(("adam", &|level, x| {
        let step = Step { optimizer: Optimizer::adam(), learning_rate: 0.1, regularisation: 1e-4, t: 1 };
        let (mut m, mut v) = (std::vec![0.0; x.len()], std::vec![0.0; x.len()]);
        let mut w: Vec<f32> = x.iter().rev().copied().collect();
        optimizer_step(level, &step, &mut w, x, &mut m, &mut v).unwrap();
        w
    }));
}

#[test]
fn kernels_are_right_with_subnormals_flushed() {
    // Every fifth value subnormal, the others of moderate size.
    let x: Vec<f32> =
        (0..SHAPE.0 * SHAPE.1)
            .map(|i| {
                if i % 5 == 0 {
                    f32::from_bits(i as u32 * 977 + 1)
                } else {
                    (i * 37 % 101) as f32 / 25.0 - 2.0
                }
            })
            .collect();
    let inputs_read: Vec<f32> = x.iter().map(|x| read(*x)).collect();
    for level in levels() {
        kernels(|(name, kernel)| {
            let (expected, actual) = (kernel(level, &inputs_read), flushing(|| kernel(level, &x)));
            for (actual, expected) in actual.iter().zip(expected) {
                let bound = 1e-5 * expected.abs().max(1e-3);
                let what = std::format!("{name} at {}", level.name());
                assert!((actual - expected).abs() <= bound, "{what}: {actual:e} flushed, {expected:e} else");
            }
        });
    }
}
