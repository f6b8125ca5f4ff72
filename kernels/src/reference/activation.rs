//! Oracles of the activations.

use crate::Activation;
use crate::reference::math::{self, sigmoid};

const SELU_SCALE: f64 = 1.050_700_987_355_480_5;
const SELU_ALPHA: f64 = 1.673_263_242_354_377_3;

/// Every activation, those with a parameter with several: what tests of activations go through.
pub const ALL: [Activation; 19] = [
    Activation::Identity,
    Activation::Relu,
    Activation::LeakyRelu { slope: 0.125 },
    Activation::LeakyRelu { slope: -0.5 },
    Activation::Elu { alpha: 1.0 },
    Activation::Elu { alpha: 1.75 },
    Activation::Selu,
    Activation::Sigmoid,
    Activation::Tanh,
    Activation::SigmoidFast,
    Activation::TanhFast,
    Activation::GeluFast,
    Activation::Softplus,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Silu,
    Activation::HardSigmoid,
    Activation::HardTanh,
    Activation::HardSwish,
];

/// `f(x)`
#[must_use]
pub fn value(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Identity => x,
        Activation::Relu => {
            if x < 0.0 {
                0.0
            } else {
                x
            }
        }
        Activation::LeakyRelu { slope } => {
            if x > 0.0 {
                x
            } else {
                slope * x
            }
        }
        Activation::Elu { alpha } => {
            if x > 0.0 {
                x
            } else {
                alpha * libm::expm1(x)
            }
        }
        Activation::Sigmoid | Activation::SigmoidFast => sigmoid(x),
        Activation::Tanh | Activation::TanhFast => libm::tanh(x),
        Activation::Selu => SELU_SCALE * value(Activation::Elu { alpha: SELU_ALPHA }, x),
        Activation::Softplus => math::softplus(x),
        Activation::Gelu | Activation::GeluFast => math::gelu(x),
        Activation::GeluTanh => math::gelu_tanh(x),
        Activation::Silu => math::silu(x),
        _ if x.is_nan() => x,
        Activation::HardSigmoid => ((x + 3.0) / 6.0).clamp(0.0, 1.0),
        Activation::HardTanh => x.clamp(-1.0, 1.0),
        Activation::HardSwish => {
            if x <= -3.0 {
                -0.0
            } else {
                x * value(Activation::HardSigmoid, x)
            }
        }
    }
}

/// `f'(x)`; at 0 the derivative from the left.
#[must_use]
pub fn derivative(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Identity => 1.0,
        _ if x.is_nan() => x,
        Activation::Relu => f64::from(u8::from(x > 0.0)),
        Activation::LeakyRelu { slope } => {
            if x > 0.0 {
                1.0
            } else {
                slope
            }
        }
        Activation::Elu { alpha } => {
            if x > 0.0 {
                1.0
            } else {
                alpha * libm::exp(x)
            }
        }
        Activation::Sigmoid | Activation::SigmoidFast => sigmoid(x) * sigmoid(-x),
        Activation::Tanh | Activation::TanhFast => 4.0 * sigmoid(2.0 * x) * sigmoid(-2.0 * x),
        Activation::Selu => SELU_SCALE * derivative(Activation::Elu { alpha: SELU_ALPHA }, x),
        Activation::Softplus => sigmoid(x),
        Activation::Gelu | Activation::GeluFast => math::gelu_derivative(x),
        Activation::GeluTanh => math::gelu_tanh_derivative(x),
        Activation::Silu => math::silu_derivative(x),
        Activation::HardSigmoid => f64::from(u8::from(x.abs() < 3.0)) / 6.0,
        Activation::HardTanh => f64::from(u8::from(x.abs() < 1.0)),
        Activation::HardSwish => {
            if x.abs() < 3.0 {
                x / 3.0 + 0.5
            } else {
                f64::from(u8::from(x > 0.0))
            }
        }
    }
}

/// `f'(x)` from `y = f(x)`, for `slope` and `alpha` not negative.
///
/// # Panics
/// Where the output does not tell the derivative.
#[must_use]
pub fn derivative_from_output(activation: Activation, y: f64) -> f64 {
    match activation {
        Activation::Identity | Activation::Relu | Activation::LeakyRelu { .. } => derivative(activation, y),
        Activation::Elu { alpha } => {
            if y > 0.0 {
                1.0
            } else {
                y + alpha
            }
        }
        Activation::Sigmoid | Activation::SigmoidFast => y * (1.0 - y),
        Activation::Tanh | Activation::TanhFast => (1.0 - y) * (1.0 + y),
        Activation::Selu => {
            if y > 0.0 {
                SELU_SCALE
            } else {
                y + SELU_SCALE * SELU_ALPHA
            }
        }
        Activation::Softplus => -libm::expm1(-y),
        _ if y.is_nan() => y,
        Activation::HardSigmoid => f64::from(u8::from(y > 0.0 && y < 1.0)) / 6.0,
        Activation::HardTanh => derivative(activation, y),
        Activation::Gelu
        | Activation::GeluFast
        | Activation::GeluTanh
        | Activation::Silu
        | Activation::HardSwish => {
            panic!("the output of {activation:?} does not tell the derivative")
        }
    }
}
