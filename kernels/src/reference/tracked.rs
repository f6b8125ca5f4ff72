//! Running error analysis: numbers that know how wrong their rounded computation may be.

use core::ops::{Add, Div, Mul, Sub};

use crate::Element;

/// A value in `f64` and a bound on the error of the same computation in `T` (Wilkinson; Higham, Accuracy and
/// Stability of Numerical Algorithms, 3.3).
///
/// A formula written with these is an oracle and its error bound in one. Each operation adds half a unit in
/// the last place of its result to what its operands bring, so that fused operations stay within the bound too.
///
/// ```
/// use slicewise_kernels::reference::Tracked;
///
/// let third = Tracked::new::<f32>(1.0) / Tracked::new::<f32>(3.0);
/// assert!((f64::from(1.0f32 / 3.0) - third.value).abs() <= third.error);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tracked {
    /// The value.
    pub value: f64,
    /// How far the result in `T` may be from it.
    pub error: f64,
    /// Half of `T::EPSILON`, and half the smallest subnormal.
    unit: f64,
    tiny: f64,
}

impl Tracked {
    /// A number that a `T` holds exactly.
    #[must_use]
    pub fn new<T: Element>(value: f64) -> Self {
        let tiny = if T::LANES == 16 { libm::exp2(-150.0) } else { f64::from_bits(1) };
        Self { value, error: 0.0, unit: T::EPSILON.to_f64() / 2.0, tiny }
    }

    /// A number that is rounded to `T`: a hyper-parameter.
    #[must_use]
    pub fn rounded<T: Element>(value: f64) -> Self {
        Self::new::<T>(value).with(value, 0.0)
    }

    /// The same number as a `T`.
    #[must_use]
    pub fn round_to<T: Element>(self) -> Self {
        Self::new::<T>(self.value).with(self.value, self.error)
    }

    /// The square root.
    #[must_use]
    pub fn sqrt(self) -> Self {
        let value = libm::sqrt(self.value);
        // |sqrt(x) - sqrt(y)| is at most |x - y| / sqrt(x) and at most sqrt(|x - y|).
        let inherited = if self.error < self.value { self.error / value } else { libm::sqrt(self.error) };
        self.with(value, inherited)
    }

    /// A result: the error of the operands, and its own rounding.
    fn with(self, value: f64, inherited: f64) -> Self {
        // The rounding is of the computed value, which the error may make larger; f64 itself rounds as well.
        let magnitude = value.abs() + inherited;
        let error = inherited + 2.0 * self.unit * magnitude + self.tiny;
        Self { value, error, ..self }
    }
}

impl Add for Tracked {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.with(self.value + other.value, self.error + other.error)
    }
}

impl Sub for Tracked {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.with(self.value - other.value, self.error + other.error)
    }
}

impl Mul for Tracked {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let inherited =
            self.value.abs() * other.error + other.value.abs() * self.error + self.error * other.error;
        self.with(self.value * other.value, inherited)
    }
}

impl Div for Tracked {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let value = self.value / other.value;
        let least = other.value.abs() - other.error;
        let inherited =
            if least > 0.0 { (self.error + value.abs() * other.error) / least } else { f64::INFINITY };
        self.with(value, inherited)
    }
}
