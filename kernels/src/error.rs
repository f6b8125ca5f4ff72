//! The errors of the kernels: a length that does not fit, a number outside its range.

use core::fmt;

/// A slice or a size that does not fit its call. Outputs are untouched where it is returned.
///
/// ```
/// use slicewise_kernels::ShapeError;
///
/// let error = ShapeError { argument: "y", expected: 12, actual: 10 };
/// assert_eq!(error.to_string(), "y: expected 12, got 10");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShapeError {
    /// The argument's name in the call.
    pub argument: &'static str,
    /// The length or size that fits (for scratch: the least one).
    pub expected: usize,
    /// What came.
    pub actual: usize,
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, got {}", self.argument, self.expected, self.actual)
    }
}

impl core::error::Error for ShapeError {}

/// A number outside the range that the function it was given to states. Outputs are untouched where it is
/// returned.
///
/// ```
/// use slicewise_kernels::ValueError;
///
/// let error = ValueError { argument: "keep_probability", value: 1.5 };
/// assert_eq!(error.to_string(), "keep_probability: 1.5 is out of range");
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueError {
    /// The argument's name in the call.
    pub argument: &'static str,
    /// What came.
    pub value: f64,
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} is out of range", self.argument, self.value)
    }
}

impl core::error::Error for ValueError {}

/// `Ok` where `actual` is `expected`.
#[inline]
pub(crate) fn expect_len(argument: &'static str, expected: usize, actual: usize) -> Result<(), ShapeError> {
    if expected == actual { Ok(()) } else { Err(mismatch(argument, expected, actual)) }
}

/// `Ok` where `actual` is `least` or more.
#[inline]
pub(crate) fn expect_at_least(argument: &'static str, least: usize, actual: usize) -> Result<(), ShapeError> {
    if actual >= least { Ok(()) } else { Err(mismatch(argument, least, actual)) }
}

// Inlined, so that the compiler sees which variant comes back: through a call it forgets that an error ends the kernel,
// and with it that the lengths are equal, and keeps the bounds checks.
#[cold]
#[inline(always)]
fn mismatch(argument: &'static str, expected: usize, actual: usize) -> ShapeError {
    ShapeError { argument, expected, actual }
}
