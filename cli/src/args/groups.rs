//! Options that several commands share, in groups.

use crate::data::Source;
use crate::error::{Failure, Outcome};
use crate::options::{
    Activation, Center, Init, LevelChoice, Norm, Optimizer, Options, Scale, Schedule, Widths, below_one,
    default_decay_every, not_negative, positive, up_to_one,
};
use clap::Args;

/// Which data, and what is done to it before the network sees it.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Data")]
pub(crate) struct DataArgs {
    /// Data set: digits, spiral, idx:DIR (MNIST's files), cifar10:DIR (binary version), csv:FILE or npz:FILE
    /// (NumPy's arrays x and y) [default: digits]
    #[arg(long, value_name = "SOURCE")]
    pub(crate) data: Option<Source>,
    /// Column of the labels in csv:FILE [default: the last]
    #[arg(long, value_name = "NAME")]
    pub(crate) label: Option<String>,
    /// Mean to subtract from the inputs [default: channel for pictures in colour, otherwise image]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "image|channel|none")]
    pub(crate) center: Option<Center>,
    /// Factor of the inputs: std divides by the standard deviation [default: pictures to a range of 1,
    /// otherwise std]
    #[arg(long, value_name = "std|none|FACTOR")]
    pub(crate) scale: Option<Scale>,
    /// Keep the first K principal components of the centred and scaled inputs [default: all features as they are]
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) pca: Option<u32>,
    /// Divide each principal component by its standard deviation
    #[arg(long)]
    pub(crate) whiten: bool,
}

impl DataArgs {
    /// The data set that is asked for.
    pub(crate) fn source(&self) -> Source {
        self.data.clone().unwrap_or(Source::Digits)
    }
}

/// The widths of the hidden layers.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct WidthArgs {
    /// Widths of the hidden layers, or none [default: 256,128]
    #[arg(long, value_name = "WIDTHS")]
    pub(crate) hidden: Option<Widths>,
}

/// What the hidden layers are, whatever their widths.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct UnitArgs {
    /// Nonlinearity: relu, leaky-relu, elu, selu, gelu, gelu-fast, gelu-tanh, silu, sigmoid, sigmoid-fast, tanh, tanh-fast, softplus, hard-sigmoid, hard-tanh, hard-swish, identity or maxout [default: relu]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "NAME")]
    pub(crate) activation: Option<Activation>,
    /// Normalisation before each nonlinearity [default: batch]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "batch|none")]
    pub(crate) norm: Option<Norm>,
    /// First weights: auto (by the nonlinearity), he, xavier, glorot-uniform, lecun, normal:S or zeros
    /// [default: auto]
    #[arg(long, value_name = "NAME")]
    pub(crate) init: Option<Init>,
    /// Probability that a hidden unit is dropped [default: 0]
    #[arg(long, value_name = "P", value_parser = below_one, allow_negative_numbers = true)]
    pub(crate) dropout: Option<f64>,
}

/// What a search looks for and everything else is told: the learning rate and the regularisation.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Training")]
pub(crate) struct RateArgs {
    /// Learning rate [default: 0.05 for momentum and nesterov, 0.1 for sgd, 0.02 for adagrad, otherwise 0.002]
    #[arg(long, value_name = "RATE", value_parser = positive, allow_negative_numbers = true)]
    pub(crate) lr: Option<f64>,
    /// Lambda of the penalty 0.5 lambda sum W^2 [default: 0.0001]
    #[arg(long, value_name = "LAMBDA", value_parser = not_negative, allow_negative_numbers = true)]
    pub(crate) reg: Option<f64>,
}

/// How a network is trained, whatever its learning rate.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Training")]
pub(crate) struct RuleArgs {
    /// Update rule: sgd, momentum, nesterov, adam, adamw, rmsprop or adagrad [default: momentum]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "NAME")]
    pub(crate) optimizer: Option<Optimizer>,
    /// Share of the last update that goes on, for momentum and nesterov [default: 0.9]
    #[arg(long, value_name = "SHARE", value_parser = below_one, allow_negative_numbers = true)]
    pub(crate) momentum: Option<f64>,
    /// How the learning rate falls: constant, step, exponential, inverse (1 / (1 + decay t)) or cosine
    /// [default: exponential]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "NAME")]
    pub(crate) schedule: Option<Schedule>,
    /// Factor of the learning rate from one epoch to the next (exponential) or every few epochs (step), or the decay of
    /// inverse [default: 0.8 for exponential, which suits 10 to 20 epochs, otherwise 0.5]
    #[arg(long, value_name = "FACTOR", value_parser = up_to_one, allow_negative_numbers = true)]
    pub(crate) lr_decay: Option<f64>,
    /// Epochs from one fall of the learning rate to the next, for step [default: 5]
    #[arg(long, value_name = "EPOCHS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) decay_every: Option<u32>,
    /// Let the learning rate rise from step to step over so many epochs at the beginning; its fall begins then
    /// [default: 0]
    #[arg(long, value_name = "EPOCHS")]
    pub(crate) warm_up: Option<u32>,
    /// Rows in a step [default: 32 below 10,000 training rows, otherwise 128]
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) batch: Option<u32>,
    /// Where weights, the rows' order and dropped units come from [default: 1]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
}

/// How the work is done, which does not change what comes out.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Run")]
pub(crate) struct MachineArgs {
    /// Threads; small layers stay on one [default: one for each core]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,
    /// Instructions: auto, avx512, avx2 or portable
    #[arg(long, value_enum, hide_possible_values = true, default_value = "auto", value_name = "NAME")]
    pub(crate) level: LevelChoice,
    /// Print one JSON object a line on standard output, and nothing else there
    #[arg(long)]
    pub(crate) json: bool,
}

/// A run's options, with the defaults for what was left out. `training_rows` is the size of the training set and
/// `channels` its pictures' colours.
pub(crate) fn options(
    data: &DataArgs,
    widths: &WidthArgs,
    units: &UnitArgs,
    rates: &RateArgs,
    rule: &RuleArgs,
    epochs: Option<u32>,
    training_rows: usize,
    channels: usize,
) -> Outcome<Options> {
    let source = data.source();
    let optimizer = rule.optimizer.unwrap_or(Optimizer::Momentum);
    if rule.momentum.is_some() && !optimizer.has_momentum() {
        return Err(Failure::unusable("--momentum goes with --optimizer momentum or nesterov only"));
    }
    let schedule = rule.schedule.unwrap_or_default();
    if rule.lr_decay.is_some() && schedule.default_decay().is_none() {
        return Err(Failure::unusable("--lr-decay goes with --schedule exponential, step or inverse only"));
    }
    if rule.decay_every.is_some() && schedule != Schedule::Step {
        return Err(Failure::unusable("--decay-every goes with --schedule step only"));
    }
    let epochs = epochs.unwrap_or(20);
    let warm_up = rule.warm_up.unwrap_or(0);
    if warm_up > epochs {
        return Err(Failure::unusable(format!(
            "--warm-up {warm_up} is longer than the {epochs} epochs of the whole training"
        )));
    }
    // Principal components are those of a covariance: every feature's mean has to be 0.
    let projects = data.pca.is_some() || data.whiten;
    if projects && data.center.is_some_and(|center| center != Center::Image) {
        return Err(Failure::unusable("--pca and --whiten need --center image, which is their default"));
    }
    let default_center = if channels > 1 && !projects { Center::Channel } else { Center::Image };
    let default_scale = source.unit().map_or(Scale::Std, Scale::Factor);
    Ok(Options {
        label: data.label.clone(),
        center: data.center.unwrap_or(default_center),
        scale: data.scale.unwrap_or(default_scale),
        pca: data.pca.map(|components| components as usize),
        whiten: data.whiten,
        hidden: widths.hidden.clone().unwrap_or(Widths(vec![256, 128])),
        activation: units.activation.unwrap_or(Activation::Relu),
        norm: units.norm.unwrap_or(Norm::Batch),
        init: units.init.unwrap_or(Init::Auto),
        dropout: units.dropout.unwrap_or(0.0),
        optimizer,
        lr: rates.lr.unwrap_or(optimizer.default_lr()),
        momentum: if optimizer.has_momentum() { rule.momentum.unwrap_or(0.9) } else { 0.0 },
        schedule,
        lr_decay: rule.lr_decay.or(schedule.default_decay()).unwrap_or(1.0),
        decay_every: rule.decay_every.unwrap_or(default_decay_every()),
        warm_up,
        reg: rates.reg.unwrap_or(1e-4),
        epochs,
        patience: None,
        batch: rule.batch.map_or(if training_rows < 10_000 { 32 } else { 128 }, |batch| batch as usize),
        seed: rule.seed.unwrap_or(1),
        data: source,
    })
}
