//! Inference: running statistics, no dropout, nothing kept; what flows goes between two buffers.

use super::Network;
use super::forward::{activation_of, applied, dense, pair};
use super::place::{Place, span, span_mut};
use crate::Layer;
use crate::arena::Arena;
use crate::error::{Error, expect_len};
use crate::kernels::{
    Affine, Channels, Element, Parallel, Running, ShapeError, Targets, activate_in_place_on,
    batch_norm_evaluate, batch_norm_evaluate_in_place, cross_entropy_loss, maxout, softmax,
};

/// How a network does on rows it does not learn from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// The mean cross-entropy, without the penalty.
    pub loss: f64,
    /// The rows whose largest logit is their label's.
    pub correct: usize,
    /// The rows.
    pub rows: usize,
}

impl Evaluation {
    /// The share of rows that are right, in [0, 1].
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share, rounded")]
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.rows as f64
    }
}

impl<T: Element, P: Parallel> Network<'_, T, P> {
    /// The loss and accuracy on any number of rows, with running statistics and without dropout. The bits do not depend on
    /// the batch the network is bound for.
    ///
    /// # Errors
    /// [`Error::Shape`] where there are no rows, `inputs` is not as many, or a label is no class.
    pub fn evaluate(&mut self, inputs: &[T], labels: &[u32]) -> Result<Evaluation, Error> {
        let (level, width, classes) = (self.level, self.features(), self.classes());
        expect_len("inputs", labels.len().saturating_mul(width), inputs.len())?;
        self.check_labels(labels)?;
        let (mut sum, mut correct) = (0.0, 0);
        for (inputs, labels) in
            inputs.chunks(self.batch.saturating_mul(width).max(1)).zip(labels.chunks(self.batch.max(1)))
        {
            let logits = forward_inference(self, inputs, labels.len())?;
            // Row by row, so that the sum does not depend on where a batch ends.
            for (logits, label) in logits.chunks_exact(classes.max(1)).zip(labels) {
                let row = cross_entropy_loss(
                    level,
                    classes,
                    logits,
                    Targets::Labels(core::slice::from_ref(label)),
                )?;
                sum += row.loss;
                correct += row.correct;
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "a mean, rounded")]
        Ok(Evaluation { loss: sum / labels.len() as f64, correct, rows: labels.len() })
    }

    /// The classes' probabilities of any number of rows: the softmax of what [`infer`](Network::infer) returns.
    /// `inputs: (rows, features)`, `probabilities: (rows, classes)`.
    ///
    /// # Errors
    /// [`Error::Shape`] where the slices do not fit each other.
    pub fn predict(&mut self, inputs: &[T], probabilities: &mut [T]) -> Result<(), Error> {
        let (level, classes) = (self.level, self.classes());
        self.infer_with(
            "probabilities",
            inputs,
            probabilities,
            #[inline(always)]
            |logits, probabilities| softmax(level, classes, logits, probabilities),
        )
    }

    /// The last layer's outputs of any number of rows, with running statistics and without dropout: logits, or the values of a
    /// regression. `inputs: (rows, features)`, `outputs: (rows, classes)`.
    ///
    /// ```
    /// use slicewise::{Layer, Level, Network, Role, inference_arena_len};
    ///
    /// const NET: &[Layer] = &[Layer::dense(2, 1)];
    /// let mut arena = [0.0f32; inference_arena_len(NET, 1)];
    /// let mut net = Network::bind_inference(NET, 1, Level::detect(), &mut arena)?;
    /// net.tensor_mut(0, Role::Weight).unwrap().copy_from_slice(&[1.0, 10.0]);
    /// net.tensor_mut(0, Role::Bias).unwrap().copy_from_slice(&[0.5]);
    ///
    /// let mut outputs = [0.0; 2];
    /// net.infer(&[1.0, 2.0, 3.0, 4.0], &mut outputs)?;
    /// assert_eq!(outputs, [21.5, 43.5]);
    /// # Ok::<(), slicewise::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Shape`] where the slices do not fit each other.
    pub fn infer(&mut self, inputs: &[T], outputs: &mut [T]) -> Result<(), Error> {
        self.infer_with(
            "outputs",
            inputs,
            outputs,
            #[inline(always)]
            |last, outputs| {
                for (to, x) in outputs.iter_mut().zip(last) {
                    *to = *x;
                }
                Ok(())
            },
        )
    }

    /// Hands the last layer's outputs to `write`, batch by batch, with as many of `outputs`, which an error calls `argument`.
    #[inline(always)]
    fn infer_with(
        &mut self,
        argument: &'static str,
        inputs: &[T],
        outputs: &mut [T],
        write: impl Fn(&[T], &mut [T]) -> Result<(), ShapeError>,
    ) -> Result<(), Error> {
        let (width, classes) = (self.features().max(1), self.classes().max(1));
        let rows = inputs.len().checked_div(width).unwrap_or(0);
        expect_len("inputs", rows * width, inputs.len())?;
        expect_len(argument, rows * classes, outputs.len())?;
        let (mut inputs, mut outputs, mut left) = (inputs, outputs, rows);
        while left > 0 {
            let rows = left.min(self.batch);
            let (Some((x, inputs_left)), Some((y, outputs_left))) =
                (inputs.split_at_checked(rows * width), outputs.split_at_mut_checked(rows * classes))
            else {
                break;
            };
            write(forward_inference(self, x, rows)?, y)?;
            (inputs, outputs) = (inputs_left, outputs_left);
            left -= rows;
        }
        Ok(())
    }
}

/// The logits `(rows, classes)` of `inputs: (rows, features)`, at most a batch of them.
fn forward_inference<'n, T: Element, P: Parallel>(
    network: &'n mut Network<'_, T, P>,
    inputs: &[T],
    rows: usize,
) -> Result<&'n [T], Error> {
    let (level, pool) = (network.level, &network.pool);
    let Arena { parameters, running, buffers: [x_buffer, y_buffer], scratch, .. } = &mut network.arena;
    let (mut from, mut to): (&mut [T], &mut [T]) = (x_buffer, y_buffer);
    let mut place = Place::start(network.layers);
    let mut previous = None;
    for (index, layer) in network.layers.iter().enumerate() {
        let (width, out) = (place.width, layer.width_out(place.width));
        match layer {
            Layer::Dense { .. } => {
                let x = if index == 0 { inputs } else { span(from, 0, rows * width)? };
                let y = span_mut(to, 0, rows * out)?;
                dense(
                    pool,
                    level,
                    rows,
                    width,
                    out,
                    parameters.get(place.parameters..).unwrap_or_default(),
                    activation_of(network.layers.get(index + 1)),
                    x,
                    y,
                    scratch,
                )?;
                core::mem::swap(&mut from, &mut to);
            }
            Layer::BatchNorm { config, .. } => {
                let (gamma, beta) = pair(parameters, place.parameters, width)?;
                let (mean, variance) = pair(running, place.running, width)?;
                let (affine, running) = (Affine { gamma, beta }, Running { mean, variance });
                let channels = Channels::last(rows, width);
                let y = span_mut(from, 0, rows * width)?;
                if index == 0 {
                    batch_norm_evaluate(level, config.epsilon, channels, inputs, affine, running, y)?;
                } else {
                    batch_norm_evaluate_in_place(level, config.epsilon, channels, y, affine, running)?;
                }
            }
            Layer::Activation(_) if applied(previous) => {}
            Layer::Activation(activation) => {
                activate_in_place_on(pool, level, *activation, span_mut(from, 0, rows * width)?)?;
            }
            Layer::Maxout { pieces } => {
                maxout(level, *pieces, out, span(from, 0, rows * width)?, span_mut(to, 0, rows * out)?)?;
                core::mem::swap(&mut from, &mut to);
            }
            Layer::Dropout { .. } => {}
        }
        place = place.after_learned(layer);
        previous = Some(layer);
    }
    span(from, 0, rows * place.width)
}
