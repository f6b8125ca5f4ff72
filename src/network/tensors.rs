//! A network's tensors by layer and role: to save, to load, to look at.

use super::Network;
use super::place::{Place, span, span_mut};
use crate::Layer;
use crate::arena::{NORMS, line};
use crate::kernels::{Element, Parallel};

/// What a tensor is to its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A dense layer's W, `(inputs, outputs)` row-major.
    Weight,
    /// A dense layer's b, `(outputs)`.
    Bias,
    /// Batch norm's scale, `(features)`.
    Gamma,
    /// Batch norm's shift, `(features)`.
    Beta,
    /// Batch norm's running mean, `(features)`.
    RunningMean,
    /// Batch norm's running variance, `(features)`.
    RunningVariance,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 6] =
        [Self::Weight, Self::Bias, Self::Gamma, Self::Beta, Self::RunningMean, Self::RunningVariance];

    /// `"weight"`, `"bias"`, `"gamma"`, `"beta"`, `"running_mean"` or `"running_var"`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Weight => "weight",
            Self::Bias => "bias",
            Self::Gamma => "gamma",
            Self::Beta => "beta",
            Self::RunningMean => "running_mean",
            Self::RunningVariance => "running_var",
        }
    }
}

impl<T: Element, P: Parallel> Network<'_, T, P> {
    /// A tensor; `None` where the layer has no such.
    #[must_use]
    pub fn tensor(&self, layer: usize, role: Role) -> Option<&[T]> {
        let (at, len, is_running) = self.locate(layer, role)?;
        let region = if is_running { &*self.arena.running } else { &*self.arena.parameters };
        span(region, at, len).ok()
    }

    /// A tensor, to set.
    pub fn tensor_mut(&mut self, layer: usize, role: Role) -> Option<&mut [T]> {
        let (at, len, is_running) = self.locate(layer, role)?;
        let region = if is_running { &mut *self.arena.running } else { &mut *self.arena.parameters };
        span_mut(region, at, len).ok()
    }

    /// The gradient of the loss by a parameter, after [`gradients`](Network::gradients) or [`backward_from`](Network::backward_from), and
    /// still after [`update`](Network::update). `None` for what is no parameter, and after a [`step`](Network::step), which keeps none.
    #[must_use]
    pub fn gradient(&self, layer: usize, role: Role) -> Option<&[T]> {
        match self.locate(layer, role)? {
            (at, len, false) if self.training && self.holds_gradients => {
                span(self.arena.gradients, at, len).ok()
            }
            _ => None,
        }
    }

    /// The gradients of all parameters in one slice, to change before an [`update`](Network::update): tensor after tensor, with zeros in
    /// between. All 0 after a [`step`](Network::step), which keeps none. Empty where bound for inference.
    pub fn all_gradients_mut(&mut self) -> &mut [T] {
        if !self.holds_gradients {
            self.arena.gradients.fill(T::default());
            self.holds_gradients = true;
        }
        self.arena.gradients
    }

    /// `||update|| / ||W||` of the last step: about 1e-3 where training goes well. `None` for what is no parameter, 0
    /// or infinite for one that is 0.
    #[must_use]
    pub fn update_ratio(&self, layer: usize, role: Role) -> Option<f64> {
        let (.., is_running) = self.locate(layer, role)?;
        let second = usize::from(matches!(role, Role::Bias | Role::Beta));
        let norms = span(self.arena.norms, layer * NORMS, NORMS).ok()?;
        match norms.as_chunks::<2>().0.get(second) {
            Some([update, weights]) if !is_running && self.training => {
                let (update, weights) = (update.to_f64(), weights.to_f64());
                Some(if update == 0.0 { 0.0 } else { Element::sqrt(update / weights) })
            }
            _ => None,
        }
    }

    /// What came out of a layer for the first `rows` rows of the last step, `(rows, width)`; of a batch norm or dense layer whose
    /// activation overwrites it, that activation's output. `None` where there is no such layer, there were not as many
    /// rows, or the network is bound for inference.
    #[must_use]
    pub fn outputs(&self, layer: usize, rows: usize) -> Option<&[T]> {
        if !self.training || rows > self.batch {
            return None;
        }
        let (through, _) = self.layers.split_at_checked(layer.checked_add(1)?)?;
        let place = Place::end(through, self.batch);
        span(self.arena.activations, place.input(self.batch), rows * place.width).ok()
    }

    /// The optimizer's memory, two slots as long as all parameters together, to save with a checkpoint. Empty where bound
    /// for inference.
    #[must_use]
    pub fn optimizer_state(&self) -> [&[T]; 2] {
        let [first, second] = &self.arena.state;
        [first, second]
    }

    /// The optimizer's memory, to set from a checkpoint.
    pub fn optimizer_state_mut(&mut self) -> [&mut [T]; 2] {
        let [first, second] = &mut self.arena.state;
        [first, second]
    }

    /// Where a tensor lies, its length, and whether among the running statistics.
    pub(super) fn locate(&self, layer: usize, role: Role) -> Option<(usize, usize, bool)> {
        let (before, layer) = (self.layers.get(..layer)?, self.layers.get(layer)?);
        let place = match before {
            [] => Place::start(self.layers),
            _ => Place::end(before, self.batch),
        };
        let (parameters, running) = (place.parameters, place.running);
        Some(match (layer, role) {
            (Layer::Dense { inputs, outputs }, Role::Weight) => (parameters, inputs * outputs, false),
            (Layer::Dense { inputs, outputs }, Role::Bias) => {
                (parameters + line(inputs * outputs), *outputs, false)
            }
            (Layer::BatchNorm { features, .. }, Role::Gamma) => (parameters, *features, false),
            (Layer::BatchNorm { features, .. }, Role::Beta) => {
                (parameters + line(*features), *features, false)
            }
            (Layer::BatchNorm { features, .. }, Role::RunningMean) => (running, *features, true),
            (Layer::BatchNorm { features, .. }, Role::RunningVariance) => {
                (running + line(*features), *features, true)
            }
            _ => return None,
        })
    }
}

/// The lengths of a layer's parameter tensors, and whether each is a weight, which regularisation holds down.
pub(super) fn parameters(layer: &Layer) -> impl Iterator<Item = (usize, bool)> {
    let pair = match layer {
        Layer::Dense { inputs, outputs } => [(inputs * outputs, true), (*outputs, false)],
        Layer::BatchNorm { features, .. } => [(*features, false); 2],
        _ => [(0, false); 2],
    };
    pair.into_iter()
}
