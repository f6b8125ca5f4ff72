//! How batch norm keeps its running statistics.

/// How running statistics are kept, and what is added to a variance before its square root.
///
/// Libraries differ in what they mean by momentum, and in the variance they keep:
///
/// | library | here |
/// |---|---|
/// | PyTorch, `momentum=0.1` | `BatchNorm::DEFAULT` |
/// | PyTorch, `momentum=None` | `momentum: Momentum::Cumulative` |
/// | CS231n, `momentum=0.9` | [`BatchNorm::CS231N`], running variance starting at 0 |
/// | Keras, `momentum=0.99` | `momentum: Momentum::Fixed(0.01)`, `running_variance: RunningVariance::Biased` |
///
/// Running means start at 0; running variances at 1, in CS231n at 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm {
    /// Added to the variance, so that a constant channel does not divide by 0. Positive.
    pub epsilon: f64,
    /// The weight of a batch in the running statistics.
    pub momentum: Momentum,
    /// Which variance the running one is the average of.
    pub running_variance: RunningVariance,
}

/// The weight of a batch in the running statistics: `running = (1 - momentum) * running + momentum * batch`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Momentum {
    /// The same for every batch, between 0 and 1. Libraries that multiply the *old* value by their momentum (CS231n,
    /// Keras) call `1 - momentum` what is `momentum` here.
    Fixed(f64),
    /// `1 / (batches_seen + 1)`: the running statistics are the plain average over the batches so far.
    Cumulative,
}

impl Momentum {
    /// The weight of the batch that comes after `batches_seen` others.
    #[must_use]
    pub fn weight(self, batches_seen: u64) -> f64 {
        match self {
            Self::Fixed(momentum) => momentum,
            #[expect(clippy::cast_precision_loss, reason = "a weight, rounded")]
            Self::Cumulative => 1.0 / (batches_seen as f64 + 1.0),
        }
    }
}

/// Which variance the running one is the average of. The batch itself is always normalised with the biased one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunningVariance {
    /// `sum (x - mean)^2 / (n - 1)` (PyTorch).
    Unbiased,
    /// `sum (x - mean)^2 / n` (CS231n, Keras).
    Biased,
}

impl BatchNorm {
    /// epsilon 1e-5, momentum 0.1, unbiased running variance: PyTorch's defaults.
    pub const DEFAULT: Self =
        Self { epsilon: 1e-5, momentum: Momentum::Fixed(0.1), running_variance: RunningVariance::Unbiased };

    /// CS231n's: epsilon 1e-5, its momentum of 0.9 counted our way, biased running variance (start it at 0).
    pub const CS231N: Self =
        Self { epsilon: 1e-5, momentum: Momentum::Fixed(0.1), running_variance: RunningVariance::Biased };
}

impl Default for BatchNorm {
    fn default() -> Self {
        Self::DEFAULT
    }
}
