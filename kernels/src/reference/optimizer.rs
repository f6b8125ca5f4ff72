//! Oracle of [`optimizer_step`](crate::optimizer_step): the papers' formulas, element by element.

use super::Tracked;
use crate::{Element, Optimizer, Step};

/// A weight and its state after a step, and the `d` of `W -= lr * d`.
#[derive(Clone, Copy, Debug)]
pub struct Stepped {
    /// `W`.
    pub weight: Tracked,
    /// The first slot.
    pub first: Tracked,
    /// The second slot.
    pub second: Tracked,
    /// The direction.
    pub direction: Tracked,
}

/// One step of one weight, in `f64`, with bounds on the error of the same step in `T`.
#[must_use]
pub fn step<T: Element>(step: &Step, weight: T, gradient: T, first: T, second: T) -> Stepped {
    let exact = |x: T| Tracked::new::<T>(x.to_f64());
    let rounded = Tracked::rounded::<T>;
    let (w, m, v) = (exact(weight), exact(first), exact(second));
    let g = exact(gradient) + rounded(step.regularisation) * w;
    let (first, second, direction) = match step.optimizer {
        Optimizer::Sgd => (m, v, g),
        Optimizer::Momentum { momentum } => {
            let velocity = rounded(momentum) * m + g;
            (velocity, v, velocity)
        }
        Optimizer::Nesterov { momentum } => {
            let velocity = rounded(momentum) * m + g;
            (velocity, v, g + rounded(momentum) * velocity)
        }
        Optimizer::Adam { beta1, beta2, epsilon } | Optimizer::AdamW { beta1, beta2, epsilon, .. } => {
            // beta * m + (1 - beta) * g, with one rounded beta.
            let m = m + rounded(1.0 - beta1) * (g - m);
            let v = rounded(beta2) * v + rounded(1.0 - beta2) * g * g;
            let t = step.t as f64;
            // In f64, whatever T is.
            let bias = |beta| Tracked::new::<f64>(1.0) - Tracked::rounded::<f64>(libm::pow(beta, t));
            let m_hat = m / bias(beta1).round_to::<T>();
            let v_hat = v / bias(beta2).round_to::<T>();
            let adam = m_hat / (v_hat.sqrt() + rounded(epsilon));
            let decay = match step.optimizer {
                Optimizer::AdamW { weight_decay, .. } => weight_decay,
                _ => 0.0,
            };
            (m, v, adam + rounded(decay) * w)
        }
        Optimizer::RmsProp { decay, epsilon } => {
            let mean = rounded(decay) * m + rounded(1.0 - decay) * g * g;
            (mean, v, g / (mean.sqrt() + rounded(epsilon)))
        }
        Optimizer::Adagrad { epsilon } => {
            let sum = m + g * g;
            (sum, v, g / (sum.sqrt() + rounded(epsilon)))
        }
    };
    Stepped { weight: w - rounded(step.learning_rate) * direction, first, second, direction }
}
