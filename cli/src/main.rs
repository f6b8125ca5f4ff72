//! The program `slicewise`: trains, evaluates and predicts on real data.
#![allow(clippy::std_instead_of_core, reason = "a program has std: one place to import from")]

mod activations;
mod allocations;
mod apply;
mod args;
mod bench;
mod best;
mod console;
mod data;
mod doctor;
mod error;
mod evaluate;
mod events;
mod files;
mod fit;
mod init_report;
mod inputs;
mod interrupt;
mod live;
mod metrics;
mod model;
mod network;
mod options;
mod pca;
mod pool;
mod report;
mod run;
mod search;
mod tensors;
mod test_set;
mod train;

use args::Command;
use error::Outcome;
use std::process::ExitCode;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("slicewise: {failure}");
            failure.status().into()
        }
    }
}

fn run() -> Outcome<()> {
    match args::parse()?.command {
        Command::Train(arguments) => train::train(&arguments),
        Command::InitReport(arguments) => init_report::init_report(&arguments),
        Command::Search(arguments) => search::search(&arguments),
        Command::Bench(arguments) => bench::bench(&arguments),
        Command::Eval(arguments) => apply::eval(&arguments),
        Command::Predict(arguments) => apply::predict(&arguments),
        Command::Report(arguments) => report::report(&arguments),
        Command::Doctor(arguments) => doctor::doctor(&arguments),
    }
}
