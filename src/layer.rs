//! [`Layer`]: what a network is made of.

use crate::Error;
use crate::kernels::{Activation, BatchNorm};

/// One layer. A network is a slice of them, from the input to the logits; a `const` one can size a `static` arena.
///
/// ```
/// use slicewise::{Layer, arena_len};
///
/// const NET: &[Layer] = &[
///     Layer::dense(784, 256),
///     Layer::batch_norm(256),
///     Layer::relu(),
///     Layer::dropout(0.2),
///     Layer::dense(256, 10),
/// ];
/// static ARENA: [f32; arena_len(NET, 1)] = [0.0; arena_len(NET, 1)];
/// # let _ = &ARENA;
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layer {
    /// `Y = X W + b`, W: `(inputs, outputs)` row-major.
    Dense {
        /// Values in.
        inputs: usize,
        /// Values out.
        outputs: usize,
    },
    /// Normalises each feature over the batch, then scales and shifts it by what it learned (Ioffe and Szegedy 2015).
    /// Stands between a dense layer and its activation. Evaluates with running statistics.
    BatchNorm {
        /// Values in and out.
        features: usize,
        /// Epsilon and the running statistics' momentum.
        config: BatchNorm,
    },
    /// A function of each value.
    Activation(Activation),
    /// The largest of `pieces` values (Goodfellow et al. 2013): of `pieces * units` values in, piece after piece,
    /// `units` come out.
    Maxout {
        /// Values for each one that comes out.
        pieces: usize,
    },
    /// In training sets each value to 0 with this probability and scales up the others (inverted dropout, Srivastava et
    /// al. 2014); otherwise does nothing.
    Dropout {
        /// In [0, 1).
        probability: f64,
    },
}

impl Layer {
    /// `inputs` values to `outputs`.
    #[must_use]
    pub const fn dense(inputs: usize, outputs: usize) -> Self {
        Self::Dense { inputs, outputs }
    }

    /// Batch norm with [`BatchNorm::DEFAULT`].
    #[must_use]
    pub const fn batch_norm(features: usize) -> Self {
        Self::BatchNorm { features, config: BatchNorm::DEFAULT }
    }

    /// `max(x, 0)`.
    #[must_use]
    pub const fn relu() -> Self {
        Self::Activation(Activation::Relu)
    }

    /// `x` where positive, otherwise `slope * x`.
    #[must_use]
    pub const fn leaky_relu(slope: f64) -> Self {
        Self::Activation(Activation::LeakyRelu { slope })
    }

    /// `x` where positive, otherwise `alpha * (e^x - 1)`.
    #[must_use]
    pub const fn elu(alpha: f64) -> Self {
        Self::Activation(Activation::Elu { alpha })
    }

    /// `1 / (1 + e^-x)`.
    #[must_use]
    pub const fn sigmoid() -> Self {
        Self::Activation(Activation::Sigmoid)
    }

    /// The hyperbolic tangent.
    #[must_use]
    pub const fn tanh() -> Self {
        Self::Activation(Activation::Tanh)
    }

    /// `x Phi(x)`, `Phi` the normal distribution.
    #[must_use]
    pub const fn gelu() -> Self {
        Self::Activation(Activation::Gelu)
    }

    /// `x / (1 + e^-x)`.
    #[must_use]
    pub const fn silu() -> Self {
        Self::Activation(Activation::Silu)
    }

    /// The largest of `pieces` values.
    #[must_use]
    pub const fn maxout(pieces: usize) -> Self {
        Self::Maxout { pieces }
    }

    /// Drops values in training.
    #[must_use]
    pub const fn dropout(probability: f64) -> Self {
        Self::Dropout { probability }
    }

    /// The width that comes out where `width` goes in; 0 where that cannot be.
    pub(crate) const fn width_out(&self, width: usize) -> usize {
        match self {
            Self::Dense { outputs, .. } => *outputs,
            Self::Maxout { pieces } => match width.checked_div(*pieces) {
                Some(units) => units,
                None => 0,
            },
            Self::BatchNorm { .. } | Self::Activation(_) | Self::Dropout { .. } => width,
        }
    }

    /// The width that went in where `width` comes out.
    pub(crate) const fn width_in(&self, width: usize) -> usize {
        match self {
            Self::Dense { inputs, .. } => *inputs,
            Self::Maxout { pieces } => width.saturating_mul(*pieces),
            Self::BatchNorm { .. } | Self::Activation(_) | Self::Dropout { .. } => width,
        }
    }

    /// Whether the backward pass reads what came out of this layer (its input is another's output, or it needs
    /// neither). Then the next layer must not overwrite it.
    pub(crate) const fn keeps_output(&self) -> bool {
        matches!(self, Self::Activation(_) | Self::Maxout { .. })
    }

    /// Whether the layer can stand at `index`, where `width` values come to it.
    pub(crate) fn check(&self, index: usize, width: usize) -> Result<(), Error> {
        let takes = match self {
            Self::Dense { inputs, .. } => *inputs,
            Self::BatchNorm { features, .. } => *features,
            _ => width,
        };
        if takes != width {
            return Err(Error::Layer { index, expected: width, actual: takes });
        }
        let wanted = match self {
            Self::Dense { inputs: 0, .. }
            | Self::Dense { outputs: 0, .. }
            | Self::BatchNorm { features: 0, .. } => "sizes must be positive",
            Self::BatchNorm { config, .. } if !(config.epsilon > 0.0 && config.epsilon.is_finite()) => {
                "epsilon must be positive"
            }
            Self::Maxout { pieces } if *pieces < 2 || width.checked_rem(*pieces) != Some(0) => {
                "maxout needs two pieces or more, a divisor of what comes to it"
            }
            Self::Dropout { probability } if !(*probability >= 0.0 && *probability < 1.0) => {
                "the probability of dropout must lie in [0, 1)"
            }
            Self::Activation(Activation::LeakyRelu { slope }) if !(*slope > 0.0 && slope.is_finite()) => {
                "the slope of leaky ReLU must be positive: its sign must come through"
            }
            Self::Activation(Activation::Elu { alpha }) if !(*alpha > 0.0 && alpha.is_finite()) => {
                "the alpha of ELU must be positive: the sign must come through"
            }
            _ => return Ok(()),
        };
        Err(Error::Parameter { index, wanted })
    }
}

/// The values of a row that go into the network; 0 where the first layer does not know.
pub(crate) const fn width_of(net: &[Layer]) -> usize {
    match net {
        [Layer::Dense { inputs, .. }, ..] => *inputs,
        [Layer::BatchNorm { features, .. }, ..] => *features,
        _ => 0,
    }
}
