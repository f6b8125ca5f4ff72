//! The backward pass: from the last outputs' gradient in the first buffer to every parameter's.

use super::forward::{pair, pair_mut};
use super::place::{Place, span, span_mut};
use super::update::update_layer;
use super::{Network, Update};
use crate::arena::{Arena, in_place, line};
use crate::kernels::{
    AffineGradient, Channels, Element, MatMut, MatRef, Parallel, Saved, activation_backward_from_input_on,
    activation_backward_in_place_on, batch_norm_backward_in_place_on, gemm_on, maxout_backward,
    multiply_in_place, sum_rows,
};
use crate::{Error, Layer};

impl<T: Element, P: Parallel> Network<'_, T, P> {
    /// Overwrites the gradients, or applies `update` to each layer as soon as nothing needs its old weights; returns the penalty
    /// before it. With an update, each layer's gradients lie where the last one's did, so that there is less to fit the caches. The
    /// two buffers hold dY and dX in turn; `observe` sees each layer's dY, and compiles away where it does nothing.
    #[inline]
    pub(super) fn backward(
        &mut self,
        inputs: &[T],
        rows: usize,
        update: Option<&Update>,
        mut observe: impl FnMut(usize, &[T]),
    ) -> Result<f64, Error> {
        let (level, batch, pool, t) = (self.level, self.batch, &self.pool, self.steps);
        let (one, zero) = (T::from(1), T::default());
        let Arena {
            parameters,
            gradients,
            state,
            norms,
            saved,
            activations,
            masks,
            scratch,
            buffers: [first, second],
            ..
        } = &mut self.arena;
        if update.is_none() && !self.holds_gradients {
            // Zeros in between.
            gradients.fill(zero);
        }
        self.holds_gradients = update.is_none();
        let (mut dy, mut dx): (&mut [T], &mut [T]) = (first, second);
        let mut place = Place::end(self.layers, batch);
        let mut squares = 0.0;
        for (index, layer) in self.layers.iter().enumerate().rev() {
            let previous = index.checked_sub(1).and_then(|index| self.layers.get(index));
            let out = place.width;
            observe(index, dy.get(..rows * out).unwrap_or_default());
            place = place.before(layer, previous, batch);
            let width = place.width;
            let gradient = if update.is_some() { 0 } else { place.parameters };
            let x = match index {
                0 => inputs,
                _ => span(activations, place.input(batch), rows * width)?,
            };
            match layer {
                Layer::Dense { .. } => {
                    let (x, dy_rows) = (MatRef::row_major(x, rows, width), span(dy, 0, rows * out)?);
                    let dy_matrix = MatRef::row_major(dy_rows, rows, out);
                    let dw = span_mut(gradients, gradient, width * out)?;
                    gemm_on(
                        pool,
                        level,
                        one,
                        x.t(),
                        dy_matrix,
                        zero,
                        MatMut::row_major(dw, width, out),
                        scratch,
                    )?;
                    sum_rows(level, dy_rows, span_mut(gradients, gradient + line(width * out), out)?)?;
                    // Nobody asks for the gradient of the inputs.
                    if index > 0 {
                        let w =
                            MatRef::row_major(span(parameters, place.parameters, width * out)?, width, out);
                        let dx_matrix = MatMut::row_major(span_mut(dx, 0, rows * width)?, rows, width);
                        gemm_on(pool, level, one, dy_matrix, w.t(), zero, dx_matrix, scratch)?;
                        core::mem::swap(&mut dy, &mut dx);
                    }
                }
                Layer::BatchNorm { .. } => {
                    let gamma = span(parameters, place.parameters, width)?;
                    let (mean, inv_std) = pair(saved, place.saved, width)?;
                    let (dgamma, dbeta) = pair_mut(gradients, gradient, width)?;
                    batch_norm_backward_in_place_on(
                        pool,
                        level,
                        Channels::last(rows, width),
                        x,
                        gamma,
                        Saved { mean, inv_std },
                        span_mut(dy, 0, rows * width)?,
                        AffineGradient { gamma: dgamma, beta: dbeta },
                    )?;
                }
                Layer::Activation(activation) if !activation.output_tells_derivative() => {
                    let dx_rows = span_mut(dx, 0, rows * width)?;
                    let dy_rows = span(dy, 0, rows * width)?;
                    activation_backward_from_input_on(pool, level, *activation, x, dy_rows, dx_rows)?;
                    core::mem::swap(&mut dy, &mut dx);
                }
                Layer::Activation(activation) => {
                    let y = if in_place(layer, previous) {
                        x
                    } else {
                        span(activations, place.activations, rows * width)?
                    };
                    let dy = span_mut(dy, 0, rows * width)?;
                    activation_backward_in_place_on(pool, level, *activation, y, dy)?;
                }
                Layer::Maxout { pieces } => {
                    let y = span(activations, place.activations, rows * out)?;
                    let dx_rows = span_mut(dx, 0, rows * width)?;
                    maxout_backward(level, *pieces, out, x, y, span(dy, 0, rows * out)?, dx_rows)?;
                    core::mem::swap(&mut dy, &mut dx);
                }
                Layer::Dropout { .. } => {
                    let mask = span(masks, place.masks, rows * width)?;
                    multiply_in_place(level, mask, span_mut(dy, 0, rows * width)?)?;
                }
            }
            if let Some(update) = update {
                let layer = (index, layer, place.parameters);
                squares += update_layer(pool, level, update, t, layer, parameters, gradients, state, norms)?;
            }
        }
        Ok(update.map_or(0.0, |update| 0.5 * update.regularisation * squares))
    }
}
