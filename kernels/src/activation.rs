//! Activations and their derivatives, element by element.

mod curves;
mod lanes;

use crate::error::expect_len;
use crate::{Element, Level, ShapeError};
pub(crate) use curves::relu_derivative;
pub(crate) use lanes::Activate;

/// An elementwise nonlinearity `y = f(x)`.
///
/// The parameters are `f64`, so that one value serves networks of either type; kernels round them to the nearest
/// `T`. At a kink at 0 each function has the derivative from the left, as PyTorch does: 0, `slope`, `alpha`.
///
/// ```
/// use slicewise_kernels::{Activation, Level, activate};
///
/// const HIDDEN: Activation = Activation::LeakyRelu { slope: 0.25 };
/// let mut y = [0.0f32; 3];
/// activate(Level::detect(), HIDDEN, &[-2.0, 0.0, 3.0], &mut y)?;
/// assert_eq!(y, [-0.5, 0.0, 3.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Activation {
    /// `x`.
    Identity,
    /// `max(x, 0)`; -0 stays -0. Derivative `x > 0`. (Nair and Hinton 2010.)
    Relu,
    /// `x` where positive, else `slope * x`. (Maas, Hannun and Ng 2013; He et al. 2015.)
    LeakyRelu {
        /// The derivative where `x` is not positive.
        slope: f64,
    },
    /// `x` where positive, else `alpha * (e^x - 1)`. (Clevert, Unterthiner and Hochreiter 2016.)
    Elu {
        /// Minus the limit towards minus infinity.
        alpha: f64,
    },
    /// `1.0507 x` where positive, else `1.0507 * 1.67326 * (e^x - 1)`: the ELU that keeps mean 0 and variance 1. (Klambauer et al.
    /// 2017.)
    Selu,
    /// The logistic function `1 / (1 + e^-x)`, right in its whole negative tail.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// [`Sigmoid`](Self::Sigmoid) without a division: 1.6 times as fast on AVX-512, 1.4 times on AVX2, no faster
    /// elsewhere. Within 4 ULP for `f32` (5 at the portable level) from -87.25 up, never above 1; below, where the results are nearly
    /// subnormal, it falls to 0 early, with an error of at most 6.3e-39, and is 0 from -87.98 down. For `f64` it is the accurate one. The
    /// derivatives are those of the accurate one.
    SigmoidFast,
    /// [`Tanh`](Self::Tanh) without a division: twice as fast on AVX-512 and AVX2, 1.5 times elsewhere. Within 6.5 ULP for `f32` (8 at the portable
    /// level), odd to the last bit, never beyond 1, and 1 from 8.04 up. For `f64` it is the accurate one. The derivatives are those of the
    /// accurate one.
    TanhFast,
    /// `ln(1 + e^x)`. (Dugas et al. 2001.)
    Softplus,
    /// `x Phi(x)`, with the normal distribution `Phi(x) = (1 + erf(x / sqrt 2)) / 2`, right in its whole negative tail; -0 at minus
    /// infinity. The output does not tell the derivative. (Hendrycks and Gimpel 2016.)
    Gelu,
    /// [`Gelu`](Self::Gelu) without a division: 1.7 times as fast on AVX-512, 1.5 times on AVX2, 1.4 times
    /// elsewhere. Within 7.5 ULP for `f32` (9 at the portable level), in the whole negative tail too; -0 at minus infinity. For `f64` it is
    /// the accurate one. The output does not tell the derivative, which is that of the accurate one.
    GeluFast,
    /// `x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2`, the approximation of [`Gelu`](Self::Gelu) that its authors give. The
    /// output does not tell the derivative.
    GeluTanh,
    /// `x / (1 + e^-x)`, also called swish, right in its whole negative tail; -0 at minus infinity. The output does not tell the
    /// derivative. (Elfwing, Uchibe and Doya 2018.)
    Silu,
    /// `x / 6 + 1 / 2`, not below 0 or above 1. Derivative 0 at both kinks. (Courbariaux et al. 2015; the slope is that of Howard et
    /// al. 2019.)
    HardSigmoid,
    /// `x`, not below -1 or above 1. Derivative 0 at both kinks. (Collobert 2004.)
    HardTanh,
    /// `x` times [`HardSigmoid`](Self::HardSigmoid). Derivative 0 at -3 and 1 at 3. The output does not tell the derivative. (Howard
    /// et al. 2019.)
    HardSwish,
}

impl Activation {
    /// With [`SELU_ALPHA`](Self::SELU_ALPHA), what keeps mean 0 and variance 1. (Klambauer et al. 2017, equation 14.)
    pub const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
    /// The alpha of SELU's ELU.
    pub const SELU_ALPHA: f64 = 1.673_263_242_354_377_3;

    /// Whether the output tells the derivative, so that it alone need be kept: not that of GELU, SiLU and hard swish, and not with a
    /// negative `slope` or `alpha`.
    ///
    /// ```
    /// use slicewise_kernels::Activation;
    ///
    /// assert!(Activation::Tanh.output_tells_derivative() && !Activation::Gelu.output_tells_derivative());
    /// ```
    #[must_use]
    pub const fn output_tells_derivative(self) -> bool {
        match self {
            Self::LeakyRelu { slope } => slope >= 0.0 || slope.is_nan(),
            Self::Elu { alpha } => alpha >= 0.0 || alpha.is_nan(),
            Self::Gelu | Self::GeluFast | Self::GeluTanh | Self::Silu | Self::HardSwish => false,
            _ => true,
        }
    }

    /// An error where the output does not tell the derivative.
    pub(crate) fn expect_derivative_from_output(self) -> Result<(), ShapeError> {
        let without = match self {
            Self::LeakyRelu { .. } => "negative slope",
            Self::Elu { .. } => "negative alpha",
            _ => "outputs that do not tell the derivative",
        };
        expect_len(without, 0, usize::from(!self.output_tells_derivative()))
    }
}

/// `y[i] = f(x[i])`.
///
/// ```
/// use slicewise_kernels::{Activation, Level, activate};
///
/// let mut y = [0.0f32; 3];
/// activate(Level::detect(), Activation::LeakyRelu { slope: 0.5 }, &[-2.0, 0.0, 3.0], &mut y)?;
/// assert_eq!(y, [-1.0, 0.0, 3.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless `y` is as long as `x`.
pub fn activate<T: Element>(
    level: Level,
    activation: Activation,
    x: &[T],
    y: &mut [T],
) -> Result<(), ShapeError> {
    expect_len("y", x.len(), y.len())?;
    if activation == Activation::Identity {
        y.clone_from_slice(x);
    } else {
        T::activate(level, activation, Some(x), y);
    }
    Ok(())
}

/// `y[i] = f(y[i])`: the bits of [`activate`].
///
/// ```
/// use slicewise_kernels::{Activation, Level, activate_in_place};
///
/// let mut y = [-1.0f64, 2.0];
/// activate_in_place(Level::detect(), Activation::Relu, &mut y);
/// assert_eq!(y, [0.0, 2.0]);
/// ```
pub fn activate_in_place<T: Element>(level: Level, activation: Activation, y: &mut [T]) {
    if activation != Activation::Identity {
        T::activate(level, activation, None, y);
    }
}

/// The gradient with respect to the input, from the **output** `y = f(x)`: `dx[i] = dy[i] * f'(x[i])`.
///
/// The output is what a network keeps. It tells the derivative of every activation but GELU, SiLU and hard swish, and those
/// with a negative `slope` or `alpha`; they go through [`activation_backward_from_input`].
///
/// ```
/// use slicewise_kernels::{Activation, Level, activation_backward};
///
/// let (y, dy) = ([0.5f32, 0.25], [4.0, 16.0]);
/// let mut dx = [0.0; 2];
/// activation_backward(Level::detect(), Activation::Sigmoid, &y, &dy, &mut dx)?;
/// assert_eq!(dx, [1.0, 3.0]); // dy * y * (1 - y)
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless `dy` and `dx` are as long as `y`, and where the output does not tell the derivative.
pub fn activation_backward<T: Element>(
    level: Level,
    activation: Activation,
    y: &[T],
    dy: &[T],
    dx: &mut [T],
) -> Result<(), ShapeError> {
    activation.expect_derivative_from_output()?;
    expect_len("dy", y.len(), dy.len())?;
    expect_len("dx", y.len(), dx.len())?;
    T::backward(level, activation, y, Some(dy), dx);
    Ok(())
}

/// [`activation_backward`] where `dy` becomes `dx`: the same bits.
///
/// ```
/// use slicewise_kernels::{Activation, Level, activation_backward_in_place};
///
/// let (y, mut dy) = ([0.0f32, 3.0], [5.0, 5.0]);
/// activation_backward_in_place(Level::detect(), Activation::Relu, &y, &mut dy)?;
/// assert_eq!(dy, [0.0, 5.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless `dy` is as long as `y`, and where the output does not tell the derivative.
pub fn activation_backward_in_place<T: Element>(
    level: Level,
    activation: Activation,
    y: &[T],
    dy: &mut [T],
) -> Result<(), ShapeError> {
    activation.expect_derivative_from_output()?;
    expect_len("dy", y.len(), dy.len())?;
    T::backward(level, activation, y, None, dy);
    Ok(())
}

/// The gradient from the **input** `x`: `dx[i] = dy[i] * f'(x[i])`, for every activation, `slope` and `alpha`.
///
/// Slower than [`activation_backward`] for the exponential ones, and accurate relative to the derivative where the
/// output has already rounded to its limit.
///
/// ```
/// use slicewise_kernels::{Activation, Level, activation_backward_from_input};
///
/// // A negative slope: the output does not tell which side the input was on.
/// let (x, dy, mut dx) = ([-1.0f32, 1.0], [5.0, 5.0], [0.0; 2]);
/// activation_backward_from_input(Level::detect(), Activation::LeakyRelu { slope: -2.0 }, &x, &dy, &mut dx)?;
/// assert_eq!(dx, [-10.0, 5.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless `dy` and `dx` are as long as `x`.
pub fn activation_backward_from_input<T: Element>(
    level: Level,
    activation: Activation,
    x: &[T],
    dy: &[T],
    dx: &mut [T],
) -> Result<(), ShapeError> {
    expect_len("dy", x.len(), dy.len())?;
    expect_len("dx", x.len(), dx.len())?;
    T::backward_from_input(level, activation, x, dy, dx);
    Ok(())
}

#[cfg(test)]
mod tests;
