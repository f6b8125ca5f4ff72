//! Oracles of the activations.

use crate::Activation;
use crate::reference::math::sigmoid;

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
        Activation::Sigmoid => sigmoid(x),
        Activation::Tanh => libm::tanh(x),
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
        Activation::Sigmoid => sigmoid(x) * sigmoid(-x),
        Activation::Tanh => 4.0 * sigmoid(2.0 * x) * sigmoid(-2.0 * x),
    }
}

/// `f'(x)` from `y = f(x)`, for `slope` and `alpha` not negative.
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
        Activation::Sigmoid => y * (1.0 - y),
        Activation::Tanh => (1.0 - y) * (1.0 + y),
    }
}
