//! The values of the options, and a run's options when everything left out has been filled in.

use crate::data::Source;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Everything that decides what a run computes: stored in its checkpoint, printed in its report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Options {
    /// Where the data comes from.
    pub(crate) data: Source,
    /// The label column of a CSV, by name.
    pub(crate) label: Option<String>,
    /// What is subtracted from the inputs.
    pub(crate) center: Center,
    /// What the centred inputs are multiplied by.
    pub(crate) scale: Scale,
    /// How many principal components are kept; all features as they are where there is none.
    #[serde(default)]
    pub(crate) pca: Option<usize>,
    /// Whether each principal component is divided by its standard deviation.
    #[serde(default)]
    pub(crate) whiten: bool,
    /// Width of each hidden layer; none for a linear classifier.
    pub(crate) hidden: Widths,
    /// The nonlinearity of the hidden layers.
    pub(crate) activation: Activation,
    /// What stands between a dense layer and its nonlinearity.
    pub(crate) norm: Norm,
    /// How weights start.
    pub(crate) init: Init,
    /// Probability that a hidden unit is dropped in a training step.
    pub(crate) dropout: f64,
    /// The update rule.
    pub(crate) optimizer: Optimizer,
    /// Learning rate of the first epoch.
    pub(crate) lr: f64,
    /// Share of the last update that goes on (momentum and nesterov only).
    pub(crate) momentum: f64,
    /// How the learning rate falls.
    #[serde(default)]
    pub(crate) schedule: Schedule,
    /// The schedule's factor or decay; 1 where it has none.
    pub(crate) lr_decay: f64,
    /// Epochs from one fall to the next, for the schedule `step`.
    #[serde(default = "default_decay_every")]
    pub(crate) decay_every: u32,
    /// Epochs over which the learning rate rises at the beginning.
    #[serde(default)]
    pub(crate) warm_up: u32,
    /// The lambda of the penalty `0.5 lambda sum W^2`.
    pub(crate) reg: f64,
    /// Passes over the training set.
    pub(crate) epochs: u32,
    /// Epochs without a better validation accuracy after which training stops; never where there is none.
    #[serde(default)]
    pub(crate) patience: Option<u32>,
    /// Rows in a step.
    pub(crate) batch: usize,
    /// Where the weights, the order of the rows and the dropped units come from.
    pub(crate) seed: u64,
}

/// Nonlinearities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Activation {
    /// max(0, x)
    Relu,
    /// x where x > 0, otherwise 0.01 x
    LeakyRelu,
    /// x where x > 0, otherwise exp(x) - 1
    Elu,
    /// 1 / (1 + exp(-x))
    Sigmoid,
    /// tanh(x)
    Tanh,
    /// 1 / (1 + exp(-x)) without a division, within 5 units of the last place
    SigmoidFast,
    /// tanh(x) without a division, within 8 units of the last place
    TanhFast,
    /// x Phi(x) without a division, within 9 units of the last place
    GeluFast,
    /// 1.0507 x where x > 0, otherwise 1.7581 (exp(x) - 1)
    Selu,
    /// x Phi(x), Phi the normal distribution
    Gelu,
    /// x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2
    GeluTanh,
    /// x / (1 + exp(-x))
    Silu,
    /// ln(1 + exp(x))
    Softplus,
    /// x / 6 + 1 / 2 between 0 and 1
    HardSigmoid,
    /// x between -1 and 1
    HardTanh,
    /// x times hard-sigmoid(x)
    HardSwish,
    /// x
    Identity,
    /// The larger of two linear pieces
    Maxout,
}

/// What stands between a dense layer and its nonlinearity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Norm {
    /// Batch normalisation
    Batch,
    /// Nothing
    None,
}

/// Update rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Optimizer {
    /// Plain gradient steps
    Sgd,
    /// Gradient steps with a velocity
    Momentum,
    /// The velocity looks ahead
    Nesterov,
    /// Moments of the gradient, bias-corrected
    Adam,
    /// Adam with the weights' decay apart from the gradient
    Adamw,
    /// A running mean of squared gradients
    Rmsprop,
    /// The sum of squared gradients
    Adagrad,
}

impl Optimizer {
    /// A learning rate that works for most small networks.
    pub(crate) fn default_lr(self) -> f64 {
        match self {
            Self::Sgd => 0.1,
            Self::Momentum | Self::Nesterov => 0.05,
            Self::Adam | Self::Adamw | Self::Rmsprop => 0.002,
            Self::Adagrad => 0.02,
        }
    }

    /// Whether it keeps a velocity, to which `--momentum` applies.
    pub(crate) fn has_momentum(self) -> bool {
        matches!(self, Self::Momentum | Self::Nesterov)
    }
}

/// How the learning rate falls from epoch to epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Schedule {
    /// Not at all
    Constant,
    /// By a factor every few epochs
    Step,
    /// By a factor every epoch: what every run did before there was a choice
    #[default]
    Exponential,
    /// 1 / (1 + decay t)
    Inverse,
    /// Half a cosine, down to 0 after the last epoch
    Cosine,
}

impl Schedule {
    /// The usual factor or decay; none where the schedule takes none.
    pub(crate) fn default_decay(self) -> Option<f64> {
        match self {
            Self::Constant | Self::Cosine => None,
            Self::Step | Self::Inverse => Some(0.5),
            Self::Exponential => Some(0.8),
        }
    }
}

/// CS231n's rule of thumb for steps: half every five epochs.
pub(crate) fn default_decay_every() -> u32 {
    5
}

/// What is subtracted from the inputs, fitted on the training set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Center {
    /// The mean of each feature: the mean image
    Image,
    /// One mean for each colour channel
    Channel,
    /// Nothing
    None,
}

/// The instructions that kernels use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LevelChoice {
    /// The best that this CPU has
    Auto,
    /// AVX-512
    Avx512,
    /// AVX2 with FMA
    Avx2,
    /// What every CPU has
    Portable,
}

/// What the centred inputs are multiplied by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scale {
    /// One over the standard deviation, of each feature or channel as the centre.
    Std,
    /// 1.
    None,
    /// A number.
    Factor(f64),
}

impl FromStr for Scale {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write std, none or a number above 0, like 0.5 or 1/255".to_string();
        let factor = match text {
            "std" => return Ok(Self::Std),
            "none" => return Ok(Self::None),
            _ => match text.split_once('/') {
                Some((over, under)) => {
                    over.parse::<f64>().ok().zip(under.parse::<f64>().ok()).map(|(over, under)| over / under)
                }
                None => text.parse().ok(),
            },
        };
        match factor {
            Some(factor) if fits_f32(factor) && factor > 0.0 => Ok(Self::Factor(factor)),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Std => f.write_str("std"),
            Self::None => f.write_str("none"),
            // The usual factors of pictures are fractions, and read better so.
            Self::Factor(factor) => match (2..=256).find(|&under| 1.0 / f64::from(under) == *factor) {
                Some(under) => write!(f, "1/{under}"),
                None => write!(f, "{factor}"),
            },
        }
    }
}

/// How weights start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Init {
    /// He before ReLU and its kin, otherwise Xavier.
    Auto,
    /// Gaussian, standard deviation `sqrt(2 / fan_in)`.
    He,
    /// Gaussian, standard deviation `sqrt(1 / fan_in)`.
    Xavier,
    /// Uniform within `sqrt(6 / (fan_in + fan_out))`.
    GlorotUniform,
    /// The variance `1 / fan_in` of LeCun.
    Lecun,
    /// Gaussian with this standard deviation.
    Normal(f64),
    /// All zero: shows why symmetry has to be broken.
    Zeros,
}

impl FromStr for Init {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "auto" => Self::Auto,
            "he" => Self::He,
            "xavier" => Self::Xavier,
            "glorot-uniform" => Self::GlorotUniform,
            "lecun" => Self::Lecun,
            "zeros" => Self::Zeros,
            _ => match text.strip_prefix("normal:").map(positive) {
                Some(Ok(deviation)) => Self::Normal(deviation),
                Some(Err(_)) => return Err("write normal:S with a standard deviation above 0".into()),
                None => {
                    return Err("choose auto, he, xavier, glorot-uniform, lecun, normal:S or zeros".into());
                }
            },
        })
    }
}

impl fmt::Display for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::He => "he",
            Self::Xavier => "xavier",
            Self::GlorotUniform => "glorot-uniform",
            Self::Lecun => "lecun",
            Self::Zeros => "zeros",
            Self::Normal(deviation) => return write!(f, "normal:{deviation}"),
        })
    }
}

/// Widths of the hidden layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Widths(pub(crate) Vec<usize>);

impl Widths {
    pub(crate) const WIDEST: usize = 65_536;
    const MOST: usize = 100;
}

impl FromStr for Widths {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(Vec::new()));
        }
        let widths: Option<Vec<usize>> = text
            .split(',')
            .map(|width| width.trim().parse().ok().filter(|width| (1..=Self::WIDEST).contains(width)))
            .collect();
        match widths {
            Some(widths) if widths.len() <= Self::MOST => Ok(Self(widths)),
            _ => Err(format!(
                "write widths like 256,128 (1 to {} each, {} layers at most) or none",
                Self::WIDEST,
                Self::MOST
            )),
        }
    }
}

impl fmt::Display for Widths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        let widths: Vec<String> = self.0.iter().map(usize::to_string).collect();
        f.write_str(&widths.join(","))
    }
}

/// A finite number above 0.
pub(crate) fn positive(text: &str) -> Result<f64, String> {
    number(text, "a number above 0", |value| value > 0.0)
}

/// A finite number, 0 or above.
pub(crate) fn not_negative(text: &str) -> Result<f64, String> {
    number(text, "a number, 0 or above", |value| value >= 0.0)
}

/// A number from 0 to below 1.
pub(crate) fn below_one(text: &str) -> Result<f64, String> {
    number(text, "a number from 0 to below 1", |value| (0.0..1.0).contains(&value))
}

/// A number above 0, up to 1.
pub(crate) fn up_to_one(text: &str) -> Result<f64, String> {
    number(text, "a number above 0, up to 1", |value| value > 0.0 && value <= 1.0)
}

fn number(text: &str, wanted: &str, accept: fn(f64) -> bool) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if fits_f32(value) && accept(value) => Ok(value),
        _ => Err(format!("write {wanted}")),
    }
}

/// What fits an f64 alone would be infinite, or zero, in the f32 of the network.
fn fits_f32(value: f64) -> bool {
    (value as f32).is_finite() && (value == 0.0 || value as f32 != 0.0)
}

/// The name of a choice as it is written on the command line.
pub(crate) fn name_of(choice: &impl ValueEnum) -> String {
    choice.to_possible_value().map_or_else(String::new, |value| value.get_name().to_string())
}

/// Values that are stored as they are written on the command line.
macro_rules! stored_as_text {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
stored_as_text!(Scale, Init, Widths, Source);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_what_they_write() {
        for text in ["std", "none", "0.5", "1/255", "1/16", "3.25"] {
            let scale: Scale = text.parse().unwrap();
            assert_eq!(scale.to_string().parse::<Scale>().unwrap(), scale);
        }
        assert_eq!("1/255".parse::<Scale>().unwrap().to_string(), "1/255");
        for text in ["auto", "he", "xavier", "glorot-uniform", "lecun", "normal:0.01", "zeros"] {
            assert_eq!(text.parse::<Init>().unwrap().to_string(), text);
        }
        for text in ["none", "256,128", "1"] {
            assert_eq!(text.parse::<Widths>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn wrong_values_are_refused() {
        for text in ["", "0", "-1", "nan", "inf", "1/0", "x", "1e300", "1/"] {
            assert!(positive(text).is_err(), "{text}");
            assert!(text.parse::<Scale>().is_err(), "{text}");
        }
        for text in ["normal:", "normal:0", "normal:nan", "kaiming"] {
            assert!(text.parse::<Init>().is_err(), "{text}");
        }
        for text in ["", "0", "256,", "65537", "1;2", "-3"] {
            assert!(text.parse::<Widths>().is_err(), "{text}");
        }
        assert!(below_one("1").is_err() && below_one("0").is_ok());
        assert!(up_to_one("0").is_err() && up_to_one("1").is_ok() && up_to_one("1.1").is_err());
        assert!(positive("1e-60").is_err() && not_negative("0").is_ok());
    }
}
