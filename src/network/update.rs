//! The update of one layer's parameters.

use super::Update;
use super::place::{span, span_mut};
use super::tensors::parameters;
use crate::arena::{NORMS, line};
use crate::kernels::{Element, Level, Optimizer, Parallel, Step, optimizer_step_on};
use crate::{Error, Layer};

/// Applies step `t` of `update` to the parameters of `layer`, the network's `index`-th, which lie from `at`, as does the optimizer's
/// state; `gradients` begins with their gradients. Keeps the norms. Returns `sum W^2` of the weights before it.
pub(super) fn update_layer<T: Element>(
    pool: &impl Parallel,
    level: Level,
    update: &Update,
    t: u64,
    (index, layer, mut at): (usize, &Layer, usize),
    weights: &mut [T],
    gradients: &[T],
    [first, second]: &mut [&mut [T]; 2],
    norms: &mut [T],
) -> Result<f64, Error> {
    let slots = update.optimizer.state_slots();
    let mut norms = span_mut(norms, index * NORMS, NORMS)?.iter_mut();
    let (mut squares, mut gradient) = (0.0, 0);
    for (len, is_weight) in parameters(layer) {
        let mut step = Step {
            optimizer: update.optimizer,
            learning_rate: update.learning_rate,
            regularisation: if is_weight { update.regularisation } else { 0.0 },
            t,
        };
        if let Optimizer::AdamW { weight_decay, .. } = &mut step.optimizer
            && !is_weight
        {
            *weight_decay = 0.0;
        }
        let measured = optimizer_step_on(
            pool,
            level,
            &step,
            span_mut(weights, at, len)?,
            span(gradients, gradient, len)?,
            span_mut(first, at, if slots > 0 { len } else { 0 })?,
            span_mut(second, at, if slots > 1 { len } else { 0 })?,
        )?;
        if is_weight {
            squares += measured.weights;
        }
        // The squares first: a zip that ends on them takes no norm too many.
        for (square, to) in [measured.update, measured.weights].into_iter().zip(norms.by_ref()) {
            *to = T::from_f64(square);
        }
        at += line(len);
        gradient += line(len);
    }
    Ok(squares)
}
