//! The naive `f64` oracles of every kernel, and what tests of kernels need beside them: the levels to run on,
//! error bounds, comparisons by bits, proptest strategies.
//!
//! Behind the feature `reference`. Written for reading, not for speed; these use the heap.

pub mod activation;
pub mod batch_norm;
pub mod center;
pub mod clip;
pub mod gemm;
pub mod hinge;
pub mod layer_norm;
pub mod math;
pub mod maxout;
pub mod optimizer;
pub mod prelu;
pub mod random;
pub mod reduce;
pub mod softmax;
pub mod strategies;
mod sweep;
mod tracked;

pub use sweep::{Worst, sweep};
pub use tracked::Tracked;

use std::vec::Vec;

use crate::{Element, Level};

/// The levels to test on: all that this CPU has, the best first.
///
/// # Panics
/// Where the environment variable `SLICEWISE_REQUIRE_LEVEL` names a level that this CPU lacks, or one that is
/// not the best: a level that a job is there to test must not be skipped in silence.
pub fn levels() -> impl Iterator<Item = Level> {
    if let Ok(required) = std::env::var("SLICEWISE_REQUIRE_LEVEL") {
        let best = Level::detect().name();
        assert_eq!(
            best, required,
            "this job is there to test {required}, but the CPU's best level is {best}"
        );
    }
    Level::available()
}

/// Asserts `|actual - expected| <= bound`; NaN and the infinities must agree exactly, but for sums that
/// overflow only in `T`, whose `expected` lies beyond the largest `T`.
///
/// # Panics
/// Where it does not hold.
#[track_caller]
pub fn assert_close<T: Element>(actual: T, expected: f64, bound: f64, what: &str, level: Level) {
    let error = (actual.to_f64() - expected).abs();
    let agree = error <= bound
        || (actual.to_f64().is_nan() && expected.is_nan())
        || actual.to_f64() == T::from_f64(expected).to_f64();
    assert!(agree, "{what} at {}: {actual} is not within {bound:e} of {expected:e}", level.name());
}

/// Asserts that two slices hold the same bits (NaNs of any payload are the same).
///
/// # Panics
/// Where they do not.
#[track_caller]
pub fn assert_same_bits<T: Element>(actual: &[T], expected: &[T], what: &str, level: Level) {
    assert_eq!(actual.len(), expected.len(), "{what} at {}", level.name());
    for (i, (a, e)) in actual.iter().zip(expected).enumerate() {
        let (a, e) = (a.to_f64(), e.to_f64());
        assert!(
            a.to_bits() == e.to_bits() || (a.is_nan() && e.is_nan()),
            "{what} at {}: element {i} is {a:e}, not {e:e}",
            level.name()
        );
    }
}

/// The distance between `actual` and the exact `expected`, in units of the last place of `expected` as a `T`
/// (at least the spacing of subnormals). 0 where both are NaN or the same infinity; infinite where only one is.
#[must_use]
pub fn ulp_error<T: Element>(actual: T, expected: f64) -> f64 {
    let a = actual.to_f64();
    if (a.is_nan() && expected.is_nan()) || a == expected {
        return 0.0;
    }
    // Fraction bits and the exponent of the smallest subnormal: f32 or f64.
    let (fraction, smallest) = if T::LANES == 16 { (23, -149) } else { (52, -1074) };
    let largest = libm::exp2(if T::LANES == 16 { 128.0 } else { 1024.0 });
    if !a.is_finite()
        && expected.abs() >= largest * (1.0 - T::EPSILON.to_f64() / 4.0)
        && a.signum() == expected.signum()
    {
        return 0.0;
    }
    if !a.is_finite() || !expected.is_finite() {
        return f64::INFINITY;
    }
    let exponent = if expected == 0.0 { smallest } else { libm::ilogb(expected) };
    let ulp = libm::exp2(f64::from((exponent - fraction).max(smallest)));
    (a - expected).abs() / ulp
}

/// A copy of `x` whose first element lies `offset` elements past a 64-byte boundary, for tests that a result does
/// not depend on alignment. Borrow it with [`Placed::get`].
#[derive(Clone, Debug)]
pub struct Placed<T> {
    data: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Element> Placed<T> {
    /// Copies `x`.
    #[must_use]
    pub fn new(x: &[T], offset: usize) -> Self {
        let mut data = std::vec![T::default(); x.len() + offset + T::LANES];
        let start = data.as_ptr().align_offset(64) + offset;
        data[start..start + x.len()].copy_from_slice(x);
        Self { data, start, len: x.len() }
    }

    /// The copy.
    #[must_use]
    pub fn get(&self) -> &[T] {
        &self.data[self.start..self.start + self.len]
    }

    /// The copy, to write.
    pub fn get_mut(&mut self) -> &mut [T] {
        &mut self.data[self.start..self.start + self.len]
    }
}
