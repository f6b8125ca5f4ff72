//! SIMD kernels for neural networks, on slices the caller owns: no heap, no lock, no panic, no `std`.
//!
//! For programs that must not stall, and for libraries that want to build on kernels instead of writing them. Each function
//! takes the [`Level`] to run on, checks every length before it writes anything, and returns a [`ShapeError`] that names the
//! argument where one does not fit. What it needs beside its operands the caller lends it.
//!
//! Threads are the caller's too: functions that end in `_on` divide their work over a pool, which is anything that can run two closures
//! ([`Parallel`]).
//!
//! A result depends on the inputs alone: not on the threads, on where a slice starts, on how many other rows there are, or on
//! which of the levels with fused multiply-add ran.
//!
//! ```
//! use slicewise_kernels::{Activation, Level, MatMut, MatRef, activate_in_place, gemm, gemm_scratch_len, repeat_row};
//!
//! // y = max(0, x W + b) for two rows of three features.
//! const SCRATCH: usize = gemm_scratch_len(2, 2, 3);
//! let level = Level::detect();
//! let (x, w, b) = ([1.0f32, 2.0, 3.0, -1.0, -2.0, -3.0], [1.0, 0.0, 0.0, 1.0, 1.0, 1.0], [0.5, -0.5]);
//! let (mut y, mut scratch) = ([0.0; 4], [0.0; SCRATCH]);
//! repeat_row(level, &b, &mut y)?;
//! let (x, w) = (MatRef::row_major(&x, 2, 3), MatRef::row_major(&w, 3, 2));
//! gemm(level, 1.0, x, w, 1.0, MatMut::row_major(&mut y, 2, 2), &mut scratch)?;
//! activate_in_place(level, Activation::Relu, &mut y);
//! assert_eq!(y, [4.5, 4.5, 0.0, 0.0]);
//! # Ok::<(), slicewise_kernels::ShapeError>(())
//! ```
//!
//! Kernels are generic over [`Element`], and compiled once, here, for `f32` and for `f64`: debug builds of what calls them want `opt-level = 3`
//! for this package and what it depends on (`[profile.dev.package."*"]`).
//!
//! With the feature `rayon`, `rayon::ThreadPool` is such a pool; it needs `std`.
//! With the feature `reference`, the module `reference` has the naive `f64` oracle of every kernel, and what property tests of kernels need.
#![no_std]

#[cfg(any(test, feature = "reference"))]
extern crate std;

mod activation;
mod batch_norm;
mod center;
mod channels;
mod clip;
mod cross_entropy;
mod element;
mod error;
mod function;
mod gemm;
mod hinge;
mod layer_norm;
mod limit;
mod math;
mod maxout;
mod moments;
mod once;
mod optimizer;
mod parallel;
mod prelu;
mod random;
mod reduce;
#[cfg(any(test, feature = "reference"))]
pub mod reference;
mod rows;
mod scalar;
mod scores;
mod simd;
mod softmax;
mod squared_error;
mod statistics;

pub use activation::{
    Activation, activate, activate_in_place, activation_backward, activation_backward_from_input,
    activation_backward_in_place,
};
pub use batch_norm::{
    Affine, AffineGradient, BatchNorm, Momentum, Running, RunningMut, RunningVariance, Saved, SavedMut,
    batch_norm_activation_backward, batch_norm_activation_backward_in_place, batch_norm_activation_forward,
    batch_norm_backward, batch_norm_backward_in_place, batch_norm_evaluate, batch_norm_evaluate_backward,
    batch_norm_evaluate_backward_in_place, batch_norm_evaluate_in_place, batch_norm_fold, batch_norm_forward,
};
pub use center::{center_and_scale_in_place, center_in_place, center_u8};
pub use channels::Channels;
pub use clip::clip_by_norm;
pub use cross_entropy::{Targets, cross_entropy, cross_entropy_loss};
pub use element::Element;
pub use error::{ShapeError, ValueError};
pub use function::{Function, apply, apply_in_place};
pub use gemm::{
    Epilogue, MatMut, MatRef, PackedB, gemm, gemm_packed, gemm_packed_scratch_len, gemm_scratch_len,
    gemm_with_epilogue, packed_b_len,
};
pub use hinge::hinge;
pub use layer_norm::{
    layer_norm_backward, layer_norm_backward_in_place, layer_norm_evaluate, layer_norm_evaluate_in_place,
    layer_norm_forward,
};
pub use limit::{copy_scaled, multiply_adds, read_through};
pub use maxout::{maxout, maxout_backward};
pub use optimizer::{Optimizer, Step, UpdateNorms, optimizer_step};
pub use parallel::{
    Parallel, Serial, activate_in_place_on, activate_on, activation_backward_from_input_on,
    activation_backward_in_place_on, activation_backward_on, batch_norm_backward_in_place_on,
    batch_norm_backward_on, batch_norm_forward_on, gemm_on, gemm_on_scratch_len, gemm_with_epilogue_on,
    optimizer_step_on,
};
pub use prelu::{prelu, prelu_backward};
pub use random::{fill_dropout_mask, fill_normal, fill_uniform};
pub use reduce::{
    argmax, dot, histogram, l2_penalty, max, mean, min, norm, sum, sum_abs, sum_of_squares, variance,
};
pub use rows::{multiply, multiply_in_place, repeat_row, sum_rows};
pub use scores::BatchLoss;
pub use simd::Level;
pub use softmax::{log_softmax, softmax};
pub use squared_error::squared_error;
pub use statistics::{
    Statistics, StatisticsU8, mean_and_std, mean_and_std_u8, statistics_len, statistics_u8_len,
};
