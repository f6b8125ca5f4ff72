//! [`Network`]: layers bound to an arena.

mod backward;
mod forward;
mod inference;
mod place;
mod saved;
mod tensors;
mod update;

use crate::arena::Arena;
use crate::error::expect_len;
use crate::init::{Init, initialise};
use crate::kernels::{
    Element, Level, Optimizer, Parallel, Serial, ShapeError, Targets, cross_entropy, cross_entropy_loss,
};
use crate::layer::width_of;
use crate::{Error, Layer};
use place::{Place, span, span_mut};
use rand_core::Rng;
use update::update_layer;

pub use inference::Evaluation;
pub use saved::{Saved, saved_len};
pub use tensors::Role;

/// A network in an arena. After [`bind`](Network::bind) nothing is allocated, and no call fails but for its own arguments.
///
/// Every result is the same bits on every run: a row's prediction does not depend on the batch it is in, and a step's
/// randomness (dropout) follows from the seed and the number of steps before it alone. So are they on any
/// number of threads: `P` is the pool that it is [bound on](Network::bind_on).
pub struct Network<'a, T, P = Serial> {
    layers: &'a [Layer],
    batch: usize,
    level: Level,
    pool: P,
    training: bool,
    arena: Arena<'a, T>,
    steps: u64,
    seed: u64,
    /// Whether all layers' gradients are in the arena: a step keeps none.
    holds_gradients: bool,
}

/// How [`Network::step`] changes the parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Update {
    /// The rule.
    pub optimizer: Optimizer,
    /// The learning rate.
    pub learning_rate: f64,
    /// `reg` of the penalty `0.5 * reg * sum W^2` on dense layers' weights; biases, gammas and betas go free.
    pub regularisation: f64,
}

/// What a step was like, before its update.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// The loss: the mean cross-entropy of the batch, plus the penalty.
    pub loss: f64,
    /// The penalty `0.5 * reg * sum W^2`.
    pub penalty: f64,
    /// The rows whose largest logit was their label's.
    pub correct: usize,
    /// The rows of the batch.
    pub rows: usize,
}

impl<'a, T: Element> Network<'a, T> {
    /// Lays out `layers` in `arena`, of [`arena_len`](crate::arena_len) elements or more, to train on batches of up to
    /// `batch` rows. All parameters are 0 until [`initialise`](Network::initialise) or [`tensor_mut`](Network::tensor_mut).
    ///
    /// # Errors
    /// Where a layer does not fit the one before it, has impossible numbers, or the arena is too short.
    pub fn bind(layers: &'a [Layer], batch: usize, level: Level, arena: &'a mut [T]) -> Result<Self, Error> {
        Self::bind_as(true, layers, batch, level, Serial, arena)
    }

    /// Lays out `layers` in `arena`, of [`inference_arena_len`](crate::inference_arena_len) elements or more, to
    /// evaluate and predict only.
    ///
    /// # Errors
    /// As [`bind`](Network::bind).
    pub fn bind_inference(
        layers: &'a [Layer],
        batch: usize,
        level: Level,
        arena: &'a mut [T],
    ) -> Result<Self, Error> {
        Self::bind_as(false, layers, batch, level, Serial, arena)
    }
}

impl<'a, T: Element, P: Parallel> Network<'a, T, P> {
    /// As [`bind`](Network::bind), on the threads of a pool, in an arena of [`arena_len_on`](crate::arena_len_on) elements or more.
    ///
    /// Every result has the bits that it has without a pool. Work is divided where that pays: small layers gain nothing, and lose
    /// nothing.
    ///
    /// ```
    /// use slicewise::{Layer, Level, Network, Parallel, arena_len_on};
    ///
    /// /// A pool on the threads of the standard library; one that keeps its threads is faster.
    /// struct Scoped;
    ///
    /// impl Parallel for Scoped {
    ///     fn threads(&self) -> usize {
    ///         2
    ///     }
    ///
    ///     fn join(&self, a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
    ///         std::thread::scope(|scope| {
    ///             scope.spawn(a);
    ///             b();
    ///         });
    ///     }
    /// }
    ///
    /// let net = [Layer::dense(300, 200), Layer::relu(), Layer::dense(200, 4)];
    /// let mut arena = vec![0.0f32; arena_len_on(&net, 64, 2)];
    /// let mut net = Network::bind_on(&net, 64, Level::detect(), Scoped, &mut arena)?;
    /// let report = net.loss(&[1.0; 64 * 300], &[3; 64])?;
    /// assert!((report.loss - 4f64.ln()).abs() < 1e-6);
    /// # Ok::<(), slicewise::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`bind`](Network::bind).
    pub fn bind_on(
        layers: &'a [Layer],
        batch: usize,
        level: Level,
        pool: P,
        arena: &'a mut [T],
    ) -> Result<Self, Error> {
        Self::bind_as(true, layers, batch, level, pool, arena)
    }

    /// As [`bind_inference`](Network::bind_inference), on the threads of a pool, in an arena of
    /// [`inference_arena_len_on`](crate::inference_arena_len_on) elements or more.
    ///
    /// # Errors
    /// As [`bind`](Network::bind).
    pub fn bind_inference_on(
        layers: &'a [Layer],
        batch: usize,
        level: Level,
        pool: P,
        arena: &'a mut [T],
    ) -> Result<Self, Error> {
        Self::bind_as(false, layers, batch, level, pool, arena)
    }

    fn bind_as(
        training: bool,
        layers: &'a [Layer],
        batch: usize,
        level: Level,
        pool: P,
        arena: &'a mut [T],
    ) -> Result<Self, Error> {
        let mut width = width_of(layers);
        if width == 0 {
            return Err(Error::NoWidth);
        }
        if batch == 0 {
            return Err(ShapeError { argument: "batch", expected: 1, actual: 0 }.into());
        }
        for (index, layer) in layers.iter().enumerate() {
            layer.check(index, width)?;
            width = layer.width_out(width);
        }
        let arena = Arena::carve(layers, batch, pool.threads(), training, arena)?;
        let mut network =
            Self { layers, batch, level, pool, training, arena, steps: 0, seed: 0, holds_gradients: true };
        network.clear();
        Ok(network)
    }

    /// All parameters, their gradients and the optimizer's state 0.
    fn clear(&mut self) {
        self.steps = 0;
        self.holds_gradients = true;
        let arena = &mut self.arena;
        let [first, second] = &mut arena.state;
        for region in
            [&mut arena.parameters, &mut arena.gradients, &mut arena.running, first, second, &mut arena.norms]
        {
            region.fill(T::default());
        }
    }

    /// Draws the weights; biases 0, gammas 1, betas 0, running statistics as new, optimizer state 0, no steps done.
    ///
    /// # Errors
    /// [`Error::Value`] where [`Init::Normal`] has a negative or infinite standard deviation, or NaN.
    pub fn initialise(&mut self, init: Init, rng: &mut impl Rng) -> Result<(), Error> {
        self.clear();
        initialise(self, init, rng)
    }

    /// Seeds dropout (0 before).
    pub fn set_seed(&mut self, seed: u64) {
        self.seed = seed;
    }

    /// One step of training on a batch, `inputs: (rows, features)`, `labels: (rows)`: forward, loss, backward, update. The bits are those
    /// of [`gradients`](Network::gradients) and [`update`](Network::update), but no gradients are kept.
    ///
    /// # Errors
    /// [`Error::Shape`] where there are no rows or more than the batch, a label is no class, or a batch of one meets batch
    /// norm; [`Error::InferenceOnly`]. Nothing is then learned.
    pub fn step(&mut self, inputs: &[T], labels: &[u32], update: &Update) -> Result<StepReport, Error> {
        let mut report = self.forward_to_loss(inputs, labels)?;
        self.steps += 1;
        // Layer by layer: its weights and gradient are still in the nearer caches.
        report.penalty = self.backward(
            inputs,
            report.rows,
            Some(update),
            #[inline(always)]
            |_, _| {},
        )?;
        report.loss += report.penalty;
        Ok(report)
    }

    /// The forward and the backward pass of a step, without the update (running statistics are updated):
    /// [`gradient`](Network::gradient) then reads the gradients of the mean cross-entropy, and [`update`](Network::update) applies them.
    /// Between the two they may be changed, clipped for instance:
    ///
    /// ```
    /// use rand_pcg::Pcg64;
    /// use slicewise::kernels::clip_by_norm;
    /// use slicewise::{Init, Layer, Level, Network, Optimizer, Update, arena_len};
    ///
    /// const NET: &[Layer] = &[Layer::dense(2, 4), Layer::tanh(), Layer::dense(4, 3)];
    /// let mut arena = [0.0f32; arena_len(NET, 1)];
    /// let mut net = Network::bind(NET, 1, Level::detect(), &mut arena)?;
    /// net.initialise(Init::Auto, &mut Pcg64::new(1, 1))?;
    /// let update = Update { optimizer: Optimizer::Sgd, learning_rate: 0.1, regularisation: 0.0 };
    ///
    /// net.gradients(&[3.0, -4.0], &[2])?;
    /// let norm = clip_by_norm(net.level(), 0.5, net.all_gradients_mut())?;
    /// if norm.is_finite() {
    ///     net.update(&update)?;
    /// }
    /// # assert!(norm > 0.5 && clip_by_norm(net.level(), f64::INFINITY, net.all_gradients_mut())? < 0.500_001);
    /// # Ok::<(), slicewise::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`step`](Network::step).
    pub fn gradients(&mut self, inputs: &[T], labels: &[u32]) -> Result<StepReport, Error> {
        let report = self.forward_to_loss(inputs, labels)?;
        self.backward(
            inputs,
            report.rows,
            None,
            #[inline(always)]
            |_, _| {},
        )?;
        Ok(report)
    }

    /// The forward pass, the loss, and its gradient by the logits in the first buffer.
    fn forward_to_loss(&mut self, inputs: &[T], labels: &[u32]) -> Result<StepReport, Error> {
        if !self.training {
            return Err(Error::InferenceOnly);
        }
        let rows = self.check_batch(inputs, labels)?;
        self.forward_training(inputs, rows)?;
        let classes = self.classes();
        let end = Place::end(self.layers, self.batch);
        let logits = span(self.arena.activations, end.input(self.batch), rows * classes)?;
        let [dlogits, _] = &mut self.arena.buffers;
        let loss = cross_entropy(
            self.level,
            classes,
            logits,
            Targets::Labels(labels),
            span_mut(dlogits, 0, rows * classes)?,
        )?;
        Ok(StepReport { loss: loss.loss, penalty: 0.0, correct: loss.correct, rows })
    }

    /// The forward pass of a step alone, `inputs: (rows, features)`: batch statistics (running ones are updated) and dropout. Returns
    /// the last layer's outputs, `(rows, classes)`; [`outputs`](Network::outputs) reads the other layers', and
    /// [`backward_from`](Network::backward_from) goes on with a loss of one's own.
    ///
    /// # Errors
    /// [`Error::Shape`] where there are no rows or more than the batch, they are not whole, or one alone meets batch norm;
    /// [`Error::InferenceOnly`]. Nothing is then written.
    pub fn forward(&mut self, inputs: &[T]) -> Result<&[T], Error> {
        if !self.training {
            return Err(Error::InferenceOnly);
        }
        let rows = inputs.len().checked_div(self.features()).unwrap_or(0);
        expect_len("inputs", rows * self.features(), inputs.len())?;
        self.check_rows("rows", rows)?;
        self.forward_training(inputs, rows)?;
        let end = Place::end(self.layers, self.batch);
        span(self.arena.activations, end.input(self.batch), rows * self.classes())
    }

    /// The backward pass alone, from `dy: (rows, classes)`, the gradient of any loss by the last layer's outputs, after
    /// [`forward`](Network::forward) (or [`gradients`](Network::gradients)) on the same `inputs`. Overwrites the parameters'
    /// gradients, which [`update`](Network::update) applies.
    ///
    /// `observe(layer, dy)` is shown the gradient by each layer's outputs, `(rows, width)`, from the last layer to the first.
    ///
    /// ```
    /// use rand_pcg::Pcg64;
    /// use slicewise::kernels::squared_error;
    /// use slicewise::{Init, Layer, Level, Network, arena_len};
    ///
    /// const NET: &[Layer] = &[Layer::dense(1, 4), Layer::tanh(), Layer::dense(4, 1)];
    /// let mut arena = [0.0f32; arena_len(NET, 2)];
    /// let mut net = Network::bind(NET, 2, Level::detect(), &mut arena)?;
    /// net.initialise(Init::Auto, &mut Pcg64::new(1, 1))?;
    ///
    /// // A regression.
    /// let (inputs, targets) = ([0.5, -0.5], [1.0, 2.0]);
    /// let (level, mut dy) = (net.level(), [0.0; 2]);
    /// let loss = squared_error(level, net.forward(&inputs)?, &targets, &mut dy)?;
    /// assert!(loss > 0.0);
    /// let mut widths = [0; 3];
    /// net.backward_from(&inputs, &dy, |layer, dy| widths[layer] = dy.len() / 2)?;
    /// assert_eq!(widths, [4, 4, 1]);
    /// # Ok::<(), slicewise::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`forward`](Network::forward), and where `dy` has not as many rows.
    #[inline]
    pub fn backward_from(
        &mut self,
        inputs: &[T],
        dy: &[T],
        observe: impl FnMut(usize, &[T]),
    ) -> Result<(), Error> {
        if !self.training {
            return Err(Error::InferenceOnly);
        }
        let rows = inputs.len().checked_div(self.features()).unwrap_or(0);
        expect_len("inputs", rows * self.features(), inputs.len())?;
        expect_len("dy", rows * self.classes(), dy.len())?;
        self.check_rows("rows", rows)?;
        let [first, _] = &mut self.arena.buffers;
        for (to, dy) in span_mut(first, 0, dy.len())?.iter_mut().zip(dy) {
            *to = *dy;
        }
        self.backward(inputs, rows, None, observe)?;
        Ok(())
    }

    /// The loss of a batch as a step sees it, with the batch's own statistics and dropout, without the backward pass (running
    /// statistics are updated): the gradients at hand stay.
    ///
    /// ```
    /// use slicewise::{Layer, Level, Network, arena_len};
    ///
    /// const NET: &[Layer] = &[Layer::dense(2, 4)];
    /// let mut arena = [0.0f64; arena_len(NET, 1)];
    /// let mut net = Network::bind(NET, 1, Level::detect(), &mut arena)?;
    /// let report = net.loss(&[1.0, 2.0], &[3])?; // all weights are 0: every class is as likely
    /// assert!((report.loss - 4f64.ln()).abs() < 1e-15);
    /// # Ok::<(), slicewise::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`step`](Network::step).
    pub fn loss(&mut self, inputs: &[T], labels: &[u32]) -> Result<StepReport, Error> {
        if !self.training {
            return Err(Error::InferenceOnly);
        }
        let rows = self.check_batch(inputs, labels)?;
        self.forward_training(inputs, rows)?;
        let classes = self.classes();
        let end = Place::end(self.layers, self.batch);
        let logits = span(self.arena.activations, end.input(self.batch), rows * classes)?;
        let loss = cross_entropy_loss(self.level, classes, logits, Targets::Labels(labels))?;
        Ok(StepReport { loss: loss.loss, penalty: 0.0, correct: loss.correct, rows })
    }

    /// Applies the update to the gradients at hand; returns the penalty before it.
    ///
    /// # Errors
    /// [`Error::NoGradients`] after a [`step`](Network::step), which keeps none; [`Error::InferenceOnly`].
    pub fn update(&mut self, update: &Update) -> Result<f64, Error> {
        if !self.training {
            return Err(Error::InferenceOnly);
        }
        if !self.holds_gradients {
            return Err(Error::NoGradients);
        }
        self.steps += 1;
        let (level, batch, pool, t) = (self.level, self.batch, &self.pool, self.steps);
        let Arena { parameters, gradients, state, norms, .. } = &mut self.arena;
        let mut squares = 0.0;
        let mut place = Place::end(self.layers, batch);
        // The order of a step's backward pass: the sum has its bits.
        for (index, layer) in self.layers.iter().enumerate().rev() {
            let previous = index.checked_sub(1).and_then(|index| self.layers.get(index));
            place = place.before(layer, previous, batch);
            squares += update_layer(
                pool,
                level,
                update,
                t,
                (index, layer, place.parameters),
                parameters,
                gradients.get(place.parameters..).unwrap_or_default(),
                state,
                norms,
            )?;
        }
        Ok(0.5 * update.regularisation * squares)
    }

    /// Values of an input row.
    #[must_use]
    pub fn features(&self) -> usize {
        width_of(self.layers)
    }

    /// Logits of an output row.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.layers.iter().fold(self.features(), |width, layer| layer.width_out(width))
    }

    /// The layers.
    #[must_use]
    pub fn layers(&self) -> &'a [Layer] {
        self.layers
    }

    /// The level it runs on.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// The pool it runs on.
    #[must_use]
    pub fn pool(&self) -> &P {
        &self.pool
    }

    /// The rows that it is bound for.
    #[must_use]
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Updates done since [`initialise`](Network::initialise).
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Says how many updates led to the state at hand, when a training run goes on from a checkpoint.
    pub fn set_steps(&mut self, steps: u64) {
        self.steps = steps;
    }

    fn check_batch(&self, inputs: &[T], labels: &[u32]) -> Result<usize, Error> {
        let rows = labels.len();
        expect_len("inputs", rows.saturating_mul(self.features()), inputs.len())?;
        self.check_labels(labels)?;
        self.check_rows("labels", rows)?;
        Ok(rows)
    }

    /// Whether so many rows can be a step's.
    fn check_rows(&self, argument: &'static str, rows: usize) -> Result<(), Error> {
        if rows == 0 {
            return Err(ShapeError { argument, expected: 1, actual: 0 }.into());
        }
        if rows > self.batch {
            return Err(ShapeError { argument, expected: self.batch, actual: rows }.into());
        }
        let normalises = self.layers.iter().any(|layer| matches!(layer, Layer::BatchNorm { .. }));
        if normalises && rows < 2 {
            return Err(ShapeError { argument: "rows for batch norm", expected: 2, actual: rows }.into());
        }
        Ok(())
    }

    fn check_labels(&self, labels: &[u32]) -> Result<(), Error> {
        if labels.is_empty() {
            return Err(ShapeError { argument: "labels", expected: 1, actual: 0 }.into());
        }
        let classes = self.classes();
        match labels.iter().find(|label| **label as usize >= classes) {
            Some(label) => Err(ShapeError {
                argument: "label",
                expected: classes.saturating_sub(1),
                actual: *label as usize,
            }
            .into()),
            None => Ok(()),
        }
    }
}
