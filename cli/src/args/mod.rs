//! The command line.

mod groups;

use crate::bench::BenchArgs;
use crate::data::Source;
use crate::doctor::DoctorArgs;
use crate::error::{Failure, Outcome};
use crate::init_report::InitReportArgs;
use crate::options::Options;
use crate::report::ReportArgs;
use crate::search::SearchArgs;
use clap::error::ErrorKind;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

pub(crate) use groups::{DataArgs, MachineArgs, RateArgs, RuleArgs, UnitArgs, WidthArgs, options};

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
    /// Check a network and its training before it is trained: gradients, first loss, learning rate and more
    Doctor(Box<DoctorArgs>),
    /// Search for hyper-parameters, from coarse to fine
    Search(Box<SearchArgs>),
    /// What first weights do to ten layers: the spread of values and gradients, beside the theory
    InitReport(InitReportArgs),
    /// Loss, accuracy and confusion of a saved model
    Eval(EvalArgs),
    /// Classes and probabilities that a saved model gives to each row
    Predict(PredictArgs),
    /// Measure the kernels on this CPU, beside its own limits
    Bench(BenchArgs),
    /// Write a report anew from the files that the other commands left
    Report(ReportArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(flatten)]
    pub(crate) widths: WidthArgs,
    #[command(flatten)]
    pub(crate) units: UnitArgs,
    #[command(flatten)]
    pub(crate) rates: RateArgs,
    #[command(flatten)]
    pub(crate) rule: RuleArgs,
    /// Passes over the training set [default: 20]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=1_000_000), help_heading = "Training")]
    pub(crate) epochs: Option<u32>,
    /// Stop after so many epochs without a better validation accuracy [default: never]
    #[arg(long, value_name = "EPOCHS", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Training")]
    pub(crate) patience: Option<u32>,

    /// Save the model (the weights of the best epoch so far), the measurements, a report and a checkpoint here after every
    /// epoch
    #[arg(long, value_name = "DIR", help_heading = "Run")]
    pub(crate) out: Option<PathBuf>,
    /// Go on with the run that was saved here, to the same bits as without the break; its options hold, and
    /// --epochs and --patience may name more
    #[arg(long, value_name = "DIR", help_heading = "Run", conflicts_with_all = [
        "out", "label", "center", "scale", "pca", "whiten", "hidden", "activation", "norm", "init", "dropout",
        "optimizer", "lr", "momentum", "schedule", "lr_decay", "decay_every", "warm_up", "reg", "batch", "seed",
    ])]
    pub(crate) resume: Option<PathBuf>,
    /// A line for each epoch, also on a terminal, where a picture of the training is redrawn otherwise
    #[arg(long, help_heading = "Run")]
    pub(crate) plain: bool,
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
        let Self { data, widths, units, rates, rule, epochs, .. } = self;
        let options = options(data, widths, units, rates, rule, *epochs, training_rows, channels)?;
        Ok(Options { patience: self.patience, ..options })
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
    use crate::options::{Activation, Center, Init, Norm, Optimizer, Scale, Schedule, Widths};

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
        let line = "--data csv:a.csv --label y --center image --scale 1/4 --pca 9 --whiten --hidden 256,128 --activation leaky-relu \
             --norm none --init normal:0.01 --dropout 0.5 --optimizer nesterov --lr 1e-2 --momentum 0.8 \
             --schedule step --lr-decay 0.9 --decay-every 2 --warm-up 1 --patience 4 --reg 0 --epochs 3 --batch 7 --seed 18446744073709551615 --out d --threads 2 \
             --level portable --json";
        let arguments = train(line).unwrap();
        assert_eq!((arguments.machine.threads, arguments.machine.json), (Some(2), true));
        let options = arguments.options(100, 1).unwrap();
        assert_eq!(
            options,
            Options {
                data: Source::Csv("a.csv".into()),
                label: Some("y".into()),
                center: Center::Image,
                scale: Scale::Factor(0.25),
                pca: Some(9),
                whiten: true,
                hidden: Widths(vec![256, 128]),
                activation: Activation::LeakyRelu,
                norm: Norm::None,
                init: Init::Normal(0.01),
                dropout: 0.5,
                optimizer: Optimizer::Nesterov,
                lr: 0.01,
                momentum: 0.8,
                schedule: Schedule::Step,
                lr_decay: 0.9,
                decay_every: 2,
                warm_up: 1,
                reg: 0.0,
                epochs: 3,
                patience: Some(4),
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
            ("--activation mish", "invalid value 'mish' for '--activation <NAME>'; [possible values: relu"),
            ("--resume a --lr 1", "the argument '--resume <DIR>' cannot be used with '--lr <RATE>'"),
            ("--resume a --out b", "the argument '--resume <DIR>' cannot be used with '--out <DIR>'"),
            ("--epochs 0", "invalid value '0' for '--epochs <COUNT>'"),
            ("--lr", "a value is required for '--lr <RATE>' but none was supplied"),
        ] {
            let message = train(line).unwrap_err();
            assert!(message.starts_with(expected), "{line}: {message}");
        }
        for (line, expected) in [
            ("--optimizer adam --momentum 0.5", "--momentum goes with"),
            ("--schedule cosine --lr-decay 0.5", "--lr-decay goes with"),
            ("--decay-every 3", "--decay-every goes with"),
            ("--warm-up 3 --epochs 2", "--warm-up 3 is longer than"),
            ("--pca 3 --center none", "--pca and --whiten need --center image"),
            ("--whiten --center channel", "--pca and --whiten need --center image"),
        ] {
            let failure = train(line).unwrap().options(1, 1).unwrap_err();
            assert!(failure.to_string().starts_with(expected), "{line}: {failure}");
        }
    }

    #[test]
    fn a_schedule_has_its_own_decay() {
        for (line, schedule, decay) in [
            ("", Schedule::Exponential, 0.8),
            ("--schedule step", Schedule::Step, 0.5),
            ("--schedule inverse --lr-decay 0.1", Schedule::Inverse, 0.1),
            ("--schedule cosine", Schedule::Cosine, 1.0),
        ] {
            let options = train(line).unwrap().options(100, 1).unwrap();
            assert_eq!((options.schedule, options.lr_decay), (schedule, decay), "{line}");
        }
    }

    /// What a checkpoint of the time before these options holds.
    #[test]
    fn older_options_are_read() {
        let options = train("").unwrap().options(100, 1).unwrap();
        let mut older = serde_json::to_value(&options).unwrap();
        for name in ["schedule", "decay_every", "warm_up", "patience", "pca", "whiten"] {
            assert!(older.as_object_mut().unwrap().remove(name).is_some(), "{name}");
        }
        assert_eq!(serde_json::from_value::<Options>(older).unwrap(), options);
    }

    #[test]
    fn a_resumed_run_may_be_longer_and_its_data_elsewhere() {
        let arguments = train("--resume a --epochs 40 --data csv:b --threads 1 --level avx2 --json").unwrap();
        assert_eq!(arguments.epochs, Some(40));
    }
}
