//! How weights start.

use rand_core::Rng;

use crate::kernels::{Activation, Element, RunningVariance, fill_normal, fill_uniform};
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

/// Draws every layer's parameters in order from one generator.
pub(crate) fn initialise<T: Element>(
    network: &mut Network<'_, T>,
    init: Init,
    rng: &mut impl Rng,
) -> Result<(), Error> {
    let layers = network.layers();
    for (index, layer) in layers.iter().enumerate() {
        match layer {
            Layer::Dense { inputs, outputs } => {
                let init = match init {
                    Init::Auto => suited(layers.get(index + 1..).unwrap_or_default()),
                    init => init,
                };
                if let Some(weight) = network.tensor_mut(index, Role::Weight) {
                    draw(init, *inputs, *outputs, rng, weight)?;
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
            Layer::Activation(Activation::Relu | Activation::LeakyRelu { .. } | Activation::Elu { .. })
            | Layer::Maxout { .. } => return Init::He,
            Layer::Activation(_) | Layer::Dense { .. } => return Init::Xavier,
        }
    }
    Init::Xavier
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
fn draw<T: Element>(
    init: Init,
    inputs: usize,
    outputs: usize,
    rng: &mut impl Rng,
    weight: &mut [T],
) -> Result<(), Error> {
    let (inputs, outputs) = (inputs as f64, outputs as f64);
    let normal = match init {
        Init::Zeros => 0.0,
        Init::Normal(std) => std,
        Init::Auto | Init::Xavier => Element::sqrt(1.0 / inputs),
        Init::He => Element::sqrt(2.0 / inputs),
        Init::GlorotUniform | Init::LeCun => {
            let limit = match init {
                Init::LeCun => Element::sqrt(3.0 / inputs),
                _ => Element::sqrt(6.0 / (inputs + outputs)),
            };
            return Ok(fill_uniform(rng, -limit, limit, weight)?);
        }
    };
    Ok(fill_normal(rng, 0.0, normal, weight)?)
}
