//! The options of `slicewise search`.

use super::space::{Extent, Extents, penalty, probability, rate, widths};
use crate::args::{DataArgs, MachineArgs, RuleArgs, UnitArgs};
use crate::error::{Failure, Outcome};
use crate::options::{Activation, Init, Norm};
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::str::FromStr;

#[derive(Debug, Clone, Args)]
#[command(mut_arg("threads", |arg| arg.help("Trials side by side [default: one for each core]")))]
pub(crate) struct SearchArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Train on the first ROWS of a fixed shuffle of the training rows [default: all of them]
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(2..), help_heading = "Data")]
    pub(crate) subset: Option<u32>,
    /// Measure each trial by cross-validation over so many parts of the training rows, not on the validation rows
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(2..=100), help_heading = "Data")]
    pub(crate) folds: Option<u32>,

    /// Widths of the hidden layers, each a number or a range: 64..512 for one layer, 256,32..128 for two, or none
    /// [default: 256,128]
    #[arg(long, value_name = "LO..HI", value_parser = widths, help_heading = "Search space")]
    pub(crate) hidden: Option<Extents>,
    /// Learning rate, a number or a range in log space [default: from a hundredth of train's default to ten times it]
    #[arg(long, value_name = "LO..HI", value_parser = rate, allow_negative_numbers = true, help_heading = "Search space")]
    pub(crate) lr: Option<Extent>,
    /// Lambda of the penalty 0.5 lambda sum W^2, a number or a range in log space [default: 1e-6..0.1]
    #[arg(long, value_name = "LO..HI", value_parser = penalty, allow_negative_numbers = true, help_heading = "Search space")]
    pub(crate) reg: Option<Extent>,
    /// Probability that a hidden unit is dropped, a number or a range [default: 0]
    #[arg(long, value_name = "LO..HI", value_parser = probability, allow_negative_numbers = true, help_heading = "Search space")]
    pub(crate) dropout: Option<Extent>,

    /// Trials of each round, coarse first: 60,20 for 60 over the whole ranges and 20 over what the best of them have in
    /// common [default: 24]
    #[arg(long, value_name = "COUNTS", help_heading = "Search")]
    pub(crate) trials: Option<Counts>,
    /// Rounds; each one beyond those of --trials has a third of the trials before it [default: 2, or as many as
    /// --trials has]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=20), help_heading = "Search")]
    pub(crate) rounds: Option<u32>,
    /// Epochs of a trial in each round; a round beyond these has twice the epochs before it [default: 5]
    #[arg(long, value_name = "COUNTS", help_heading = "Search")]
    pub(crate) epochs: Option<Counts>,
    /// How values are chosen: random, or grid, which has as many points as fit into the trials
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        default_value = "random",
        value_name = "random|grid",
        help_heading = "Search"
    )]
    pub(crate) strategy: Strategy,
    /// Successive halving: all trials train for a few epochs, the best 1/ETA of them for ETA times as many, and so on
    /// [default without a value: 3]
    #[arg(long, value_name = "ETA", num_args = 0..=1, default_missing_value = "3", value_parser = clap::value_parser!(u32).range(2..=100), help_heading = "Search")]
    pub(crate) halving: Option<u32>,
    /// Run every COUNT-th trial only, beginning with INDEX (from 0): other processes run the others, each with a
    /// journal of its own
    #[arg(long, value_name = "INDEX/COUNT", help_heading = "Search")]
    pub(crate) shard: Option<Shard>,
    /// Another shard's journal: its trials count for the next round, and for the best
    #[arg(long = "with", value_name = "FILE", requires = "shard", help_heading = "Search")]
    pub(crate) others: Vec<PathBuf>,

    /// Nonlinearity: relu, leaky-relu, elu, selu, gelu, gelu-fast, gelu-tanh, silu, sigmoid, sigmoid-fast, tanh, tanh-fast, softplus, hard-sigmoid, hard-tanh, hard-swish, identity or maxout [default: relu]
    #[arg(long, value_enum, hide_possible_values = true, value_name = "NAME", help_heading = "Network")]
    pub(crate) activation: Option<Activation>,
    /// Normalisation before each nonlinearity [default: batch]
    #[arg(
        long,
        value_enum,
        hide_possible_values = true,
        value_name = "batch|none",
        help_heading = "Network"
    )]
    pub(crate) norm: Option<Norm>,
    /// First weights: auto (by the nonlinearity), he, xavier, glorot-uniform, lecun, normal:S or zeros
    /// [default: auto]
    #[arg(long, value_name = "NAME", help_heading = "Network")]
    pub(crate) init: Option<Init>,
    #[command(flatten)]
    pub(crate) rule: RuleArgs,

    /// Keep the journal here, as journal.log, with a report; a search that was interrupted goes on
    #[arg(long, value_name = "DIR", help_heading = "Run")]
    pub(crate) out: Option<PathBuf>,
    /// Keep the journal in this file, in Optuna's format; a search that was interrupted goes on
    #[arg(long, value_name = "FILE", help_heading = "Run", conflicts_with = "out")]
    pub(crate) journal: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) machine: MachineArgs,
}

/// Where the values of trials come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Strategy {
    /// Drawn
    Random,
    /// Evenly spaced
    Grid,
}

/// A number for each round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counts(pub(crate) Vec<u32>);

impl FromStr for Counts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let counts: Option<Vec<u32>> = text
            .split(',')
            .map(|count| count.trim().parse().ok().filter(|count| (1..=1_000_000).contains(count)))
            .collect();
        let counts = counts.filter(|counts| counts.len() <= 20);
        counts
            .map(Self)
            .ok_or_else(|| "write counts like 60 or 60,20 (1 to 1000000, 20 rounds at most)".into())
    }
}

impl Counts {
    /// One count for each of `rounds`; those that are missing follow from the one before.
    pub(crate) fn extended(&self, rounds: usize, next: impl Fn(u32) -> u32) -> Vec<u32> {
        let mut counts = self.0.clone();
        while let (true, Some(last)) = (counts.len() < rounds, counts.last()) {
            counts.push(next(*last));
        }
        counts.truncate(rounds);
        counts
    }
}

/// Which trials a process runs: those whose number leaves `index` when it is divided by `count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    pub(crate) index: u64,
    pub(crate) count: u64,
}

impl Shard {
    /// The one process that runs all.
    pub(crate) const WHOLE: Self = Self { index: 0, count: 1 };

    pub(crate) fn runs(self, number: u64) -> bool {
        number % self.count == self.index
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        match parts {
            Some((index, count)) if index < count => Ok(Self { index, count }),
            _ => Err("write INDEX/COUNT with an INDEX from 0 to below COUNT, like 0/2 and 1/2".into()),
        }
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl SearchArgs {
    /// What the hidden layers are; dropout and widths belong to the search.
    pub(crate) fn units(&self) -> UnitArgs {
        UnitArgs { activation: self.activation, norm: self.norm, init: self.init, dropout: None }
    }

    /// The trials and the epochs of each round.
    pub(crate) fn rounds(&self) -> Outcome<(Vec<u32>, Vec<u32>)> {
        let trials = self.trials.clone().unwrap_or(Counts(vec![24]));
        let named = self.trials.as_ref().map_or(2, |trials| trials.0.len());
        let rounds = self.rounds.map_or(named, |rounds| rounds as usize);
        if trials.0.len() > rounds {
            let message = format!("--trials names {} rounds, --rounds {rounds}", trials.0.len());
            return Err(Failure::unusable(message));
        }
        let epochs = self.epochs.clone().unwrap_or(Counts(vec![5]));
        if epochs.0.len() > rounds {
            let message = format!("--epochs names {} rounds, but there are {rounds}", epochs.0.len());
            return Err(Failure::unusable(message));
        }
        let third = |count: u32| count.div_ceil(3);
        let twice = |count: u32| count.saturating_mul(2).min(1_000_000);
        Ok((trials.extended(rounds, third), epochs.extended(rounds, twice)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_that_are_not_named_follow_from_those_before() {
        let counts = |text: &str| text.parse::<Counts>().unwrap();
        assert_eq!(counts("60").extended(3, |count| count.div_ceil(3)), [60, 20, 7]);
        assert_eq!(counts("60,20").extended(2, |_| unreachable!()), [60, 20]);
        for text in ["", "0", "60,", "a", "1000001", "-1"] {
            assert!(text.parse::<Counts>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_trial_has_one_shard() {
        let shards: Vec<Shard> = ["0/3", "1/3", "2/3"].map(|text| text.parse().unwrap()).into();
        for number in 0..20 {
            assert_eq!(shards.iter().filter(|shard| shard.runs(number)).count(), 1);
        }
        for text in ["", "1", "3/3", "0/0", "-1/2", "a/b", "1/2/3"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
