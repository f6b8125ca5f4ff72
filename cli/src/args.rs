//! The command line.

use crate::data::Source;
use crate::error::{Failure, Outcome};
use crate::options::{
    Activation, Center, Init, LevelChoice, Norm, Optimizer, Options, Scale, Widths, below_one, not_negative,
    positive, up_to_one,
};
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Train and run batch-normalised networks: no allocation in a step, the same bits everywhere.
#[derive(Debug, Parser)]
#[command(name = "slicewise", version, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train a network; with no options, on the handwritten digits that the program carries
    Train(Box<TrainArgs>),
    /// Loss, accuracy and confusion of a saved model
    Eval(EvalArgs),
    /// Classes and probabilities that a saved model gives to each row
    Predict(PredictArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// Data set: digits, spiral, idx:DIR (MNIST's files), cifar10:DIR (binary version) or csv:FILE
    /// [default: digits]
    #[arg(long, value_name = "SOURCE", help_heading = "Data")]
    pub(crate) data: Option<Source>,
    /// Column of the labels in csv:FILE [default: the last]
    #[arg(long, value_name = "NAME", help_heading = "Data")]
    label: Option<String>,
    /// Mean to subtract from the inputs [default: channel for pictures in colour, otherwise image]
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        value_name = "image|channel|none",
        help_heading = "Data"
    )]
    center: Option<Center>,
    /// Factor of the inputs: std divides by the standard deviation [default: pictures to a range of 1,
    /// otherwise std]
    #[arg(long, value_name = "std|none|FACTOR", help_heading = "Data")]
    scale: Option<Scale>,

    /// Widths of the hidden layers, or none [default: 256,128]
    #[arg(long, value_name = "WIDTHS", help_heading = "Network")]
    hidden: Option<Widths>,
    /// Nonlinearity: relu, leaky-relu, elu, sigmoid, tanh, identity or maxout [default: relu]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "NAME", help_heading = "Network")]
    activation: Option<Activation>,
    /// Normalisation before each nonlinearity [default: batch]
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        value_name = "batch|none",
        help_heading = "Network"
    )]
    norm: Option<Norm>,
    /// First weights: auto (by the nonlinearity), he, xavier, glorot-uniform, lecun, normal:S or zeros
    /// [default: auto]
    #[arg(long, value_name = "NAME", help_heading = "Network")]
    init: Option<Init>,
    /// Probability that a hidden unit is dropped [default: 0]
    #[arg(long, value_name = "P", value_parser = below_one, allow_negative_numbers = true, help_heading = "Network")]
    dropout: Option<f64>,

    /// Update rule: sgd, momentum, nesterov, adam, adamw, rmsprop or adagrad [default: momentum]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "NAME", help_heading = "Training")]
    optimizer: Option<Optimizer>,
    /// Learning rate [default: 0.05 for momentum and nesterov, 0.1 for sgd, 0.02 for adagrad, otherwise 0.002]
    #[arg(long, value_name = "RATE", value_parser = positive, allow_negative_numbers = true, help_heading = "Training")]
    lr: Option<f64>,
    /// Share of the last update that goes on, for momentum and nesterov [default: 0.9]
    #[arg(long, value_name = "SHARE", value_parser = below_one, allow_negative_numbers = true, help_heading = "Training")]
    momentum: Option<f64>,
    /// Factor of the learning rate from one epoch to the next: 0.8 suits 10 to 20 epochs [default: 0.8]
    #[arg(long, value_name = "FACTOR", value_parser = up_to_one, allow_negative_numbers = true, help_heading = "Training")]
    lr_decay: Option<f64>,
    /// Lambda of the penalty 0.5 lambda sum W^2 [default: 0.0001]
    #[arg(long, value_name = "LAMBDA", value_parser = not_negative, allow_negative_numbers = true, help_heading = "Training")]
    reg: Option<f64>,
    /// Passes over the training set [default: 20]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1_000_000), help_heading = "Training")]
    pub(crate) epochs: Option<u32>,
    /// Rows in a step [default: 32 below 10,000 training rows, otherwise 128]
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..=1_000_000), help_heading = "Training")]
    batch: Option<u32>,
    /// Where weights, the rows' order and dropped units come from [default: 1]
    #[arg(long, value_name = "NUMBER", help_heading = "Training")]
    seed: Option<u64>,

    /// Save the model, the measurements, a report and a checkpoint here after every epoch
    #[arg(long, value_name = "DIR", help_heading = "Run")]
    pub(crate) out: Option<PathBuf>,
    /// Go on with the run that was saved here, to the same bits as without the break; its options hold, and
    /// --epochs may name more
    #[arg(long, value_name = "DIR", help_heading = "Run", conflicts_with_all = [
        "out", "label", "center", "scale", "hidden", "activation", "norm", "init", "dropout", "optimizer", "lr",
        "momentum", "lr_decay", "reg", "batch", "seed",
    ])]
    pub(crate) resume: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
}

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// A model.safetensors, or the directory of a run
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) rows: RowsArgs,
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    /// A model.safetensors, or the directory of a run
    #[arg(value_name = "MODEL")]
    pub(crate) model: PathBuf,
    #[command(flatten)]
    pub(crate) rows: RowsArgs,
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
}

/// Which rows a saved model is used on.
#[derive(Debug, Args)]
pub(crate) struct RowsArgs {
    /// Data set, as for train [default: the one the model was trained on]
    #[arg(long, value_name = "SOURCE", help_heading = "Data")]
    pub(crate) data: Option<Source>,
    /// Column of the labels in csv:FILE [default: the last]
    #[arg(long, value_name = "NAME", help_heading = "Data")]
    pub(crate) label: Option<String>,
    /// Rows of the data set: train, validation, test or all [default: test; all for predictions from csv:FILE]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "PART", help_heading = "Data")]
    pub(crate) split: Option<Part>,
}

/// A part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Rows to learn from
    Train,
    /// Rows to choose options by
    Validation,
    /// Rows to look at once
    Test,
    /// All of them
    All,
}

/// How the work is done, which does not change what comes out.
#[derive(Debug, Args)]
pub(crate) struct MachineArgs {
    /// Threads that evaluate; training steps run on one [default: one for each core]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1024), help_heading = "Run")]
    pub(crate) threads: Option<u32>,
    /// Instructions: auto, avx512, avx2 or portable
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        default_value = "auto",
        value_name = "NAME",
        help_heading = "Run"
    )]
    pub(crate) level: LevelChoice,
    /// Print one JSON object a line on standard output, and nothing else there
    #[arg(long, help_heading = "Run")]
    pub(crate) json: bool,
}

/// Reads the command line. Help and version are printed here and end the program.
pub(crate) fn parse() -> Outcome<Arguments> {
    Arguments::try_parse().map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => error.exit(),
        _ => Failure::unusable(one_line(&error.render().to_string())),
    })
}

impl TrainArgs {
    /// The run's options, with the defaults for what was left out. `training_rows` is the size of the training set
    /// and `channels` its pictures' colours.
    pub(crate) fn options(&self, training_rows: usize, channels: usize) -> Outcome<Options> {
        let data = self.data();
        let optimizer = self.optimizer.unwrap_or(Optimizer::Momentum);
        if self.momentum.is_some() && !optimizer.has_momentum() {
            return Err(Failure::unusable("--momentum goes with --optimizer momentum or nesterov only"));
        }
        let default_scale = data.unit().map_or(Scale::Std, Scale::Factor);
        Ok(Options {
            label: self.label.clone(),
            center: self.center.unwrap_or(if channels > 1 { Center::Channel } else { Center::Image }),
            scale: self.scale.unwrap_or(default_scale),
            hidden: self.hidden.clone().unwrap_or(Widths(vec![256, 128])),
            activation: self.activation.unwrap_or(Activation::Relu),
            norm: self.norm.unwrap_or(Norm::Batch),
            init: self.init.unwrap_or(Init::Auto),
            dropout: self.dropout.unwrap_or(0.0),
            optimizer,
            lr: self.lr.unwrap_or(optimizer.default_lr()),
            momentum: if optimizer.has_momentum() { self.momentum.unwrap_or(0.9) } else { 0.0 },
            lr_decay: self.lr_decay.unwrap_or(0.8),
            reg: self.reg.unwrap_or(1e-4),
            epochs: self.epochs.unwrap_or(20),
            batch: self.batch.map_or(if training_rows < 10_000 { 32 } else { 128 }, |batch| batch as usize),
            seed: self.seed.unwrap_or(1),
            data,
        })
    }

    /// The data set that is asked for.
    pub(crate) fn data(&self) -> Source {
        self.data.clone().unwrap_or(Source::Digits)
    }

    /// The label column that is asked for.
    pub(crate) fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }
}

/// The parser's message without its usage and its hint at the help, in one line.
fn one_line(rendered: &str) -> String {
    let mut parts: Vec<&str> = rendered
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .filter(|line| !line.is_empty())
        .collect();
    if let Some(first) = parts.first_mut() {
        *first = first.strip_prefix("error: ").unwrap_or(first).trim_end_matches(':');
    }
    format!("{} (see --help)", parts.join("; "))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn train(line: &str) -> Result<Box<TrainArgs>, String> {
        match Arguments::try_parse_from(["slicewise", "train"].into_iter().chain(line.split_whitespace())) {
            Ok(Arguments { command: Command::Train(arguments) }) => Ok(arguments),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(one_line(&error.render().to_string())),
        }
    }

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn everything_has_a_default() {
        let options = train("").unwrap().options(1197, 1).unwrap();
        assert_eq!(options.data, Source::Digits);
        assert_eq!(options.scale.to_string(), "1/16");
        assert_eq!((options.batch, options.center), (32, Center::Image));
        let options = train("--data cifar10:x").unwrap().options(45_000, 3).unwrap();
        assert_eq!((options.batch, options.center), (128, Center::Channel));
        assert_eq!(options.scale.to_string(), "1/255");
        let options = train("--data spiral --optimizer adam").unwrap().options(300, 1).unwrap();
        assert_eq!((options.scale, options.lr, options.momentum), (Scale::Std, 0.002, 0.0));
    }

    #[test]
    fn every_option_is_read() {
        let line = "--data csv:a.csv --label y --center none --scale 1/4 --hidden 256,128 --activation leaky-relu \
             --norm none --init normal:0.01 --dropout 0.5 --optimizer nesterov --lr 1e-2 --momentum 0.8 \
             --lr-decay 0.9 --reg 0 --epochs 3 --batch 7 --seed 18446744073709551615 --out d --threads 2 \
             --level portable --json";
        let arguments = train(line).unwrap();
        assert_eq!((arguments.machine.threads, arguments.machine.json), (Some(2), true));
        let options = arguments.options(100, 1).unwrap();
        assert_eq!(
            options,
            Options {
                data: Source::Csv("a.csv".into()),
                label: Some("y".into()),
                center: Center::None,
                scale: Scale::Factor(0.25),
                hidden: Widths(vec![256, 128]),
                activation: Activation::LeakyRelu,
                norm: Norm::None,
                init: Init::Normal(0.01),
                dropout: 0.5,
                optimizer: Optimizer::Nesterov,
                lr: 0.01,
                momentum: 0.8,
                lr_decay: 0.9,
                reg: 0.0,
                epochs: 3,
                batch: 7,
                seed: u64::MAX,
            }
        );
        let stored = serde_json::to_string(&options).unwrap();
        assert_eq!(serde_json::from_str::<Options>(&stored).unwrap(), options);
    }

    #[test]
    fn a_mistake_is_told_in_one_line() {
        for (line, expected) in [
            ("--lr 0", "invalid value '0' for '--lr <RATE>': write a number above 0 (see --help)"),
            ("--lr -1", "invalid value '-1' for '--lr <RATE>': write a number above 0 (see --help)"),
            (
                "--dropout 1",
                "invalid value '1' for '--dropout <P>': write a number from 0 to below 1 (see --help)",
            ),
            ("--data mnist", "invalid value 'mnist' for '--data <SOURCE>': choose digits, spiral"),
            ("--epoch 3", "unexpected argument '--epoch' found; tip: a similar argument exists: '--epochs'"),
            ("--activation gelu", "invalid value 'gelu' for '--activation <NAME>'; [possible values: relu"),
            ("--resume a --lr 1", "the argument '--resume <DIR>' cannot be used with '--lr <RATE>'"),
            ("--resume a --out b", "the argument '--resume <DIR>' cannot be used with '--out <DIR>'"),
            ("--epochs 0", "invalid value '0' for '--epochs <COUNT>'"),
            ("--lr", "a value is required for '--lr <RATE>' but none was supplied"),
        ] {
            let message = train(line).unwrap_err();
            assert!(message.starts_with(expected), "{line}: {message}");
        }
        let failure = train("--optimizer adam --momentum 0.5").unwrap().options(1, 1).unwrap_err();
        assert!(failure.to_string().starts_with("--momentum goes with"), "{failure}");
    }

    #[test]
    fn a_resumed_run_may_be_longer_and_its_data_elsewhere() {
        let arguments = train("--resume a --epochs 40 --data csv:b --threads 1 --level avx2 --json").unwrap();
        assert_eq!(arguments.epochs, Some(40));
    }
}
