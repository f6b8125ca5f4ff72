//! The forward pass of training, with what the backward pass needs kept, and what inference shares with it.

use rand_pcg::Pcg64;

use super::Network;
use super::place::{Place, span, span_mut};
use crate::arena::{Arena, in_place, line};
use crate::kernels::{
    Activation, Affine, Channels, Element, Epilogue, Level, MatMut, MatRef, Parallel, RunningMut, SavedMut,
    activate_in_place_on, activate_on, batch_norm_forward_on, fill_dropout_mask, gemm_with_epilogue_on,
    maxout, multiply,
};
use crate::{Error, Layer};

impl<T: Element, P: Parallel> Network<'_, T, P> {
    /// Fills the activations from `inputs: (rows, features)`.
    pub(super) fn forward_training(&mut self, inputs: &[T], rows: usize) -> Result<(), Error> {
        let (level, batch, pool) = (self.level, self.batch, &self.pool);
        let Arena { parameters, running, saved, activations, masks, scratch, .. } = &mut self.arena;
        let mut place = Place::start(self.layers);
        let mut previous = None;
        for (index, layer) in self.layers.iter().enumerate() {
            let (width, out) = (place.width, layer.width_out(place.width));
            let (before, after) = activations.split_at_mut_checked(place.activations).unwrap_or_default();
            let at = place.input(batch);
            if in_place(layer, previous) {
                if let Layer::Activation(activation) = layer
                    && !applied(previous)
                {
                    activate_in_place_on(pool, level, *activation, span_mut(before, at, rows * width)?)?;
                }
            } else {
                let x = if index == 0 { inputs } else { span(before, at, rows * width)? };
                let y = span_mut(after, 0, rows * out)?;
                match layer {
                    Layer::Dense { .. } => {
                        dense(
                            pool,
                            level,
                            rows,
                            width,
                            out,
                            parameters.get(place.parameters..).unwrap_or_default(),
                            activation_of(
                                self.layers.get(index + 1).filter(|next| in_place(next, Some(layer))),
                            ),
                            x,
                            y,
                            scratch,
                        )?;
                    }
                    Layer::BatchNorm { config, .. } => {
                        let parameters = pair(parameters, place.parameters, width)?;
                        let (mean, variance) = pair_mut(running, place.running, width)?;
                        let (saved_mean, inv_std) = pair_mut(saved, place.saved, width)?;
                        batch_norm_forward_on(
                            pool,
                            level,
                            config,
                            self.steps,
                            Channels::last(rows, width),
                            x,
                            Affine { gamma: parameters.0, beta: parameters.1 },
                            RunningMut { mean, variance },
                            SavedMut { mean: saved_mean, inv_std },
                            y,
                        )?;
                    }
                    Layer::Activation(activation) => activate_on(pool, level, *activation, x, y)?,
                    Layer::Maxout { pieces } => maxout(level, *pieces, out, x, y)?,
                    Layer::Dropout { probability } => {
                        let mask = span_mut(masks, place.masks, rows * out)?;
                        let mut rng = dropout_rng(self.seed, self.steps, index);
                        fill_dropout_mask(&mut rng, 1.0 - probability, mask)?;
                        multiply(level, x, mask, y)?;
                    }
                }
            }
            place = place.after(layer, previous, batch);
            previous = Some(layer);
        }
        Ok(())
    }
}

/// What a dense layer applies to its output itself: the layer after it, where that is an activation.
pub(super) fn activation_of(next: Option<&Layer>) -> Activation {
    match next {
        Some(Layer::Activation(activation)) => *activation,
        _ => Activation::Identity,
    }
}

/// Whether the layer before an activation has applied it.
pub(super) fn applied(previous: Option<&Layer>) -> bool {
    matches!(previous, Some(Layer::Dense { .. }))
}

/// `Y = f(X W + b)`, with W and then b at the start of `parameters`.
pub(super) fn dense<T: Element>(
    pool: &impl Parallel,
    level: Level,
    rows: usize,
    inputs: usize,
    outputs: usize,
    parameters: &[T],
    activation: Activation,
    x: &[T],
    y: &mut [T],
    scratch: &mut [T],
) -> Result<(), Error> {
    let weight = span(parameters, 0, inputs * outputs)?;
    let bias = span(parameters, line(inputs * outputs), outputs)?;
    let (x, w) = (MatRef::row_major(x, rows, inputs), MatRef::row_major(weight, inputs, outputs));
    let (y, epilogue) = (MatMut::row_major(y, rows, outputs), Epilogue { bias: Some(bias), activation });
    gemm_with_epilogue_on(pool, level, T::from(1), x, w, T::default(), y, epilogue, scratch)?;
    Ok(())
}

/// Two tensors of `len` elements, one after the other.
pub(super) fn pair<T>(region: &[T], at: usize, len: usize) -> Result<(&[T], &[T]), Error> {
    Ok((span(region, at, len)?, span(region, at + line(len), len)?))
}

/// As [`pair`], to write.
pub(super) fn pair_mut<T>(region: &mut [T], at: usize, len: usize) -> Result<(&mut [T], &mut [T]), Error> {
    let region = span_mut(region, at, line(len) + len)?;
    let (first, second) = region.split_at_mut_checked(line(len)).unwrap_or_default();
    Ok((span_mut(first, 0, len)?, second))
}

/// A step's own generator for a layer: nothing is carried from step to step.
fn dropout_rng(seed: u64, steps: u64, layer: usize) -> Pcg64 {
    Pcg64::new(u128::from(seed) << 64 | u128::from(steps), layer as u128)
}
