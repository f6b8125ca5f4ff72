//! How weights start.

use rand_core::Rng;

use crate::kernels::{
    Activation, Element, Level, Parallel, RunningVariance, ValueError, fill_normal, fill_uniform,
};
use crate::network::{Network, Role};
use crate::{Error, Layer};

/// The distribution that [`Network::initialise`] draws a dense layer's weights from. Biases start at 0.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum Init {
    /// What suits the nonlinearity that follows: [`He`](Init::He) before ReLU, leaky ReLU, ELU and maxout,
    /// [`Xavier`](Init::Xavier) otherwise.
    #[default]
    Auto,
    /// All 0. Every unit then computes the same and learns the same: symmetry is never broken.
    Zeros,
    /// Normal with this standard deviation.
    Normal(f64),
    /// Normal with standard deviation `1 / sqrt(inputs)` (Glorot and Bengio 2010, as CS231n has it).
    Xavier,
    /// Uniform in `±sqrt(6 / (inputs + outputs))` (Glorot and Bengio 2010).
    GlorotUniform,
    /// Normal with standard deviation `sqrt(2 / inputs)` (He et al. 2015).
    He,
    /// Uniform in `±sqrt(3 / inputs)`, whose standard deviation is `1 / sqrt(inputs)` (LeCun et al. 1998).
    LeCun,
}

impl Init {
    /// The standard deviation of a weight of a dense layer with so many inputs and outputs; [`Auto`](Init::Auto) is
    /// [`Xavier`](Init::Xavier) where nothing is known of what follows.
    ///
    /// ```
    /// use slicewise::Init;
    ///
    /// assert_eq!(Init::He.std(50, 10), Ok(0.2));
    /// assert!(Init::Normal(-1.0).std(50, 10).is_err());
    /// ```
    ///
    /// # Errors
    /// [`Error::Value`] where [`Normal`](Init::Normal) has a negative or infinite standard deviation, or NaN.
    pub fn std(self, inputs: usize, outputs: usize) -> Result<f64, Error> {
        match distribution(self, inputs, outputs) {
            Distribution::Normal(std) if std >= 0.0 && std.is_finite() => Ok(std),
            Distribution::Normal(value) => Err(ValueError { argument: "standard_deviation", value }.into()),
            Distribution::Uniform(limit) => Ok(limit / Element::sqrt(3.0f64)),
        }
    }

    /// What [`Auto`](Init::Auto) stands for where these layers follow the dense one; any other is itself.
    ///
    /// ```
    /// use slicewise::{Init, Layer};
    ///
    /// assert_eq!(Init::Auto.before(&[Layer::batch_norm(8), Layer::relu()]), Init::He);
    /// assert_eq!(Init::Zeros.before(&[Layer::relu()]), Init::Zeros);
    /// ```
    #[must_use]
    pub fn before(self, following: &[Layer]) -> Self {
        if self == Self::Auto { suited(following) } else { self }
    }
}

/// Draws every layer's parameters in order from one generator.
pub(crate) fn initialise<T: Element>(
    network: &mut Network<'_, T, impl Parallel>,
    init: Init,
    rng: &mut impl Rng,
) -> Result<(), Error> {
    let (layers, level) = (network.layers(), network.level());
    for (index, layer) in layers.iter().enumerate() {
        match layer {
            Layer::Dense { inputs, outputs } => {
                let init = init.before(layers.get(index + 1..).unwrap_or_default());
                if let Some(weight) = network.tensor_mut(index, Role::Weight) {
                    draw(level, init, *inputs, *outputs, rng, weight)?;
                }
            }
            Layer::BatchNorm { config, .. } => {
                let variance = match config.running_variance {
                    RunningVariance::Unbiased => 1,
                    RunningVariance::Biased => 0,
                };
                for (role, value) in [(Role::Gamma, 1), (Role::RunningVariance, variance)] {
                    if let Some(tensor) = network.tensor_mut(index, role) {
                        tensor.fill(T::from(value));
                    }
                }
            }
            Layer::Activation(_) | Layer::Maxout { .. } | Layer::Dropout { .. } => {}
        }
    }
    Ok(())
}

/// What suits the first nonlinearity among the layers that follow.
fn suited(following: &[Layer]) -> Init {
    for layer in following {
        match layer {
            Layer::BatchNorm { .. } | Layer::Dropout { .. } => {}
            Layer::Activation(
                Activation::Relu
                | Activation::LeakyRelu { .. }
                | Activation::Elu { .. }
                | Activation::Gelu
                | Activation::GeluFast
                | Activation::GeluTanh
                | Activation::Silu
                | Activation::HardSwish,
            )
            | Layer::Maxout { .. } => return Init::He,
            Layer::Activation(_) | Layer::Dense { .. } => return Init::Xavier,
        }
    }
    Init::Xavier
}

/// What weights are drawn from.
enum Distribution {
    /// Mean 0 and this standard deviation.
    Normal(f64),
    /// Between minus and plus this.
    Uniform(f64),
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
fn distribution(init: Init, inputs: usize, outputs: usize) -> Distribution {
    let (inputs, outputs) = (inputs as f64, outputs as f64);
    match init {
        Init::Zeros => Distribution::Normal(0.0),
        Init::Normal(std) => Distribution::Normal(std),
        Init::Auto | Init::Xavier => Distribution::Normal(Element::sqrt(1.0 / inputs)),
        Init::He => Distribution::Normal(Element::sqrt(2.0 / inputs)),
        Init::GlorotUniform => Distribution::Uniform(Element::sqrt(6.0 / (inputs + outputs))),
        Init::LeCun => Distribution::Uniform(Element::sqrt(3.0 / inputs)),
    }
}

fn draw<T: Element>(
    level: Level,
    init: Init,
    inputs: usize,
    outputs: usize,
    rng: &mut impl Rng,
    weight: &mut [T],
) -> Result<(), Error> {
    match distribution(init, inputs, outputs) {
        Distribution::Normal(std) => fill_normal(level, rng, 0.0, std, weight)?,
        Distribution::Uniform(limit) => fill_uniform(rng, -limit, limit, weight)?,
    }
    Ok(())
}
