//! `slicewise init-report`: what first weights do to the values and gradients of a deep network (CS231n, "Weight initialisation").
//!
//! Standard normal rows go through layers of one width, and a standard normal gradient at the last layer's outputs comes
//! back. Beside each measured spread stands that of an infinitely wide network.

mod experiment;
mod show;
mod verdict;

use crate::args::MachineArgs;
use crate::console::Console;
use crate::error::{Failure, Outcome};
use crate::evaluate::threads;
use crate::events::InitLayer;
use crate::files;
use crate::network;
use crate::options::{Activation, Init, Norm, name_of};
use crate::report::{self, thousands};
use clap::Args;
use experiment::{Case, Experiment};
use std::path::{Path, PathBuf};

/// The measurements' file in a directory.
pub(crate) const FILE: &str = "init.jsonl";

#[derive(Debug, Args)]
#[command(
    after_help = "With no options: ten ReLU layers with He's weights and no batch norm, which keep their spread. \
CS231n's figures:\n  slicewise init-report --activation tanh --compare normal:0.01,normal:1,xavier\n  \
slicewise init-report --compare xavier,he\n  \
slicewise init-report --norm batch --compare normal:0.01,normal:1,he"
)]
pub(crate) struct InitReportArgs {
    /// Hidden layers
    #[arg(long, value_name = "COUNT", default_value_t = 10, help_heading = "Network",
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    layers: u32,
    /// Units of each layer, and features of a row
    #[arg(long, value_name = "UNITS", default_value_t = 500, help_heading = "Network",
          value_parser = clap::value_parser!(u32).range(1..=65_536))]
    width: u32,
    /// Nonlinearity: relu, leaky-relu, elu, selu, gelu, gelu-fast, gelu-tanh, silu, sigmoid, sigmoid-fast, tanh, tanh-fast, softplus, hard-sigmoid, hard-tanh, hard-swish, identity or maxout
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        default_value = "relu",
        value_name = "NAME",
        help_heading = "Network"
    )]
    activation: Activation,
    /// Normalisation before each nonlinearity
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        default_value = "none",
        value_name = "batch|none",
        help_heading = "Network"
    )]
    norm: Norm,
    /// First weights: auto (by the nonlinearity), he, xavier, glorot-uniform, lecun, normal:S or zeros
    #[arg(long, default_value = "auto", value_name = "NAME", help_heading = "Network")]
    init: Init,
    /// Several first weights side by side, like normal:0.01,xavier,he
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "NAME,…",
        help_heading = "Network",
        conflicts_with = "init"
    )]
    compare: Vec<Init>,

    /// Standard normal rows that go through
    #[arg(long, value_name = "ROWS", default_value_t = 1000, help_heading = "Experiment",
          value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    samples: u32,
    /// Networks of each kind; what is printed is their mean
    #[arg(long, value_name = "COUNT", default_value_t = 1, help_heading = "Experiment",
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    seeds: u32,
    /// Where the first network's weights and rows come from; the next one's from the next number
    #[arg(long, value_name = "NUMBER", default_value_t = 1, help_heading = "Experiment")]
    seed: u64,

    /// Keep the measurements in init.jsonl here, and draw them in report.html
    #[arg(long, value_name = "DIR", help_heading = "Run")]
    out: Option<PathBuf>,
    #[command(flatten)]
    machine: MachineArgs,
}

/// Measures each kind of first weights, and says what will become of a network that starts so.
pub(crate) fn init_report(arguments: &InitReportArgs) -> Outcome<()> {
    let console = Console::new(arguments.machine.json);
    let experiment = Experiment {
        samples: arguments.samples as usize,
        seed: arguments.seed,
        seeds: arguments.seeds as usize,
        level: network::level(arguments.machine.level)?,
        threads: threads(arguments.machine.threads),
    };
    if let Some(directory) = &arguments.out
        && directory.exists()
        && !directory.is_dir()
    {
        return Err(Failure::unusable("is no directory: --out needs one").at(directory.display()));
    }
    let single = std::slice::from_ref(&arguments.init);
    let inits = if arguments.compare.is_empty() { single } else { &arguments.compare };
    let mut measured = Vec::new();
    for init in inits {
        let case = case(arguments, *init);
        let layers = experiment.run(&case)?;
        if arguments.machine.json {
            layers.iter().try_for_each(|layer| console.result(layer, String::new))?;
        }
        measured.push((case, layers));
    }
    if let Some(directory) = &arguments.out {
        save(directory, measured.iter().flat_map(|(_, layers)| layers))?;
    }
    console.say(|| {
        let mut text = heading(arguments);
        match &measured[..] {
            [(case, layers)] => text += &show::table(console, case, layers),
            several => text += &show::side_by_side(console, several),
        }
        for (case, layers) in &measured {
            let advice = verdict::advice(case, layers);
            let of = if measured.len() > 1 { format!("{}: ", case.init_name()) } else { String::new() };
            text += &show::wrapped(&format!("{of}{advice}"));
        }
        if let Some(directory) = &arguments.out {
            text += &format!("\nsaved in {}; see {}", directory.display(), report::FILE);
        }
        text
    })
}

fn case(arguments: &InitReportArgs, init: Init) -> Case {
    Case::new(arguments.layers as usize, arguments.width as usize, arguments.activation, arguments.norm, init)
}

fn save<'a>(directory: &Path, layers: impl Iterator<Item = &'a InitLayer>) -> Outcome<()> {
    files::make_directory(directory)?;
    let lines: String = layers.map(files::json_line).collect::<Outcome<_>>()?;
    files::write_atomically(&directory.join(FILE), lines.as_bytes())?;
    report::rebuild(directory)
}

fn heading(arguments: &InitReportArgs) -> String {
    let InitReportArgs { layers, width, samples, seeds, seed, .. } = arguments;
    let norm = if arguments.norm == Norm::Batch { "batch norm, " } else { "" };
    let many = |count: u32, what: &str| {
        format!("{} {what}{}", thousands(count as usize), if count == 1 { "" } else { "s" })
    };
    let drawn = if *seeds > 1 { format!("mean of {seeds} seeds") } else { format!("seed {seed}") };
    format!(
        "{} of {}, {norm}{}; {} standard normal rows, {drawn}\n\n",
        many(*layers, "layer"),
        many(*width, "unit"),
        name_of(&arguments.activation),
        thousands(*samples as usize),
    )
}
