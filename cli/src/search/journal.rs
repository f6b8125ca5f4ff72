//! A search's journal: Optuna's JSONL journal (`optuna.storages.journal.JournalFileBackend`), which Optuna opens, plots and
//! goes on with. One operation a line; `op_code` 0 creates a study, 2 sets an attribute of it, 4 creates a trial, 5 sets a
//! parameter, 7 an intermediate value, 8 an attribute of a trial, 6 its state and values.
//!
//! A trial's lines are written in one go when it has ended, or, under halving, when it has reached a rung: a block. A
//! process that is killed loses the trials it was running, and may leave a block cut short, which is cut off when the search
//! goes on. So a journal ends the same whether its search was interrupted or not, but for the times in it.

mod read;
mod write;

use super::space::Values;
use crate::events::TrialState;
use std::collections::BTreeMap;

pub(crate) use read::read;
pub(crate) use write::{Block, Ending, Journal};

/// Who wrote a line: Optuna names a process and a thread. One name for all, so that journals can be compared.
const WORKER: &str = "slicewise";
/// The study's attribute with what the search is.
const DEFINITION: &str = "slicewise";
/// The study's attribute with the process's share of the trials.
const SHARD: &str = "shard";
/// A trial's attributes: its number in the search, its round, the epochs it has done, why it was stopped.
const NUMBER: &str = "number";
const ROUND: &str = "round";
const EPOCHS: &str = "epochs";
const REASON: &str = "reason";

/// A trial as the journal tells it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Record {
    /// Its number in the search, which is not Optuna's where trials ended in another order; none for other programs' trials.
    pub(crate) number: Option<u64>,
    /// From 1; 0 for other programs' trials.
    pub(crate) round: u32,
    pub(crate) values: Values,
    /// Validation accuracy after each epoch, from 1.
    pub(crate) accuracies: BTreeMap<u64, f64>,
    pub(crate) state: TrialState,
    /// The value that is to be large.
    pub(crate) value: Option<f64>,
    /// Why it was stopped.
    pub(crate) reason: Option<String>,
    /// Optuna's id: its place among all trials of the file.
    id: usize,
    /// Ranges it was drawn from: low, high, whether in log space.
    ranges: BTreeMap<String, (f64, f64, bool)>,
}

/// A journal that was read.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Contents {
    /// The study's name.
    pub(crate) name: String,
    /// What the search is, if this is a search's journal.
    pub(crate) definition: Option<serde_json::Value>,
    /// The process's share of the trials.
    pub(crate) shard: Option<String>,
    pub(crate) trials: Vec<Record>,
    /// The study's id.
    study: usize,
    /// Trials of all studies.
    created: usize,
    /// Bytes up to the end of the last whole block, and of all.
    whole: usize,
    bytes: usize,
}
