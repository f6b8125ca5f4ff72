//! Writes a search's journal.

use super::{Contents, DEFINITION, EPOCHS, NUMBER, REASON, ROUND, SHARD, WORKER};
use crate::error::{Failure, Outcome};
use crate::events::TrialState;
use crate::files::{self, json_line};
use crate::search::space::{Space, Values};
use serde_json::{Map, Value, json};
use slicewise::search::Range;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A journal that this process writes to, and no other search.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    len: u64,
    study: usize,
    created: usize,
    ids: BTreeMap<u64, usize>,
}

/// What is new about a trial.
#[derive(Debug)]
pub(crate) struct Block<'a> {
    pub(crate) number: u64,
    pub(crate) round: u32,
    /// The ranges it was drawn from.
    pub(crate) space: &'a Space,
    pub(crate) values: &'a Values,
    pub(crate) started: SystemTime,
    /// Validation accuracies since the last block, and the epochs before them.
    pub(crate) accuracies: &'a [f64],
    pub(crate) before: u32,
    pub(crate) ending: Option<Ending<'a>>,
}

/// How a trial ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ending<'a> {
    pub(crate) state: TrialState,
    pub(crate) value: Option<f64>,
    pub(crate) reason: Option<&'a str>,
}

impl Journal {
    /// Begins a journal, or goes on with one, from which what was left by a killed process is cut off; with what it holds.
    pub(crate) fn open(
        path: &Path,
        name: &str,
        definition: &Value,
        shard: Option<&str>,
    ) -> Outcome<(Self, Contents)> {
        // Nothing is changed before it is known to be this search's.
        if path.exists() {
            Contents::read(path)?.check(definition, shard).map_err(|failure| failure.at(path.display()))?;
        } else {
            let mut lines = String::new();
            let directions = json!({"study_name": name, "directions": [2]});
            lines += &line(0, directions)?;
            lines += &line(2, json!({"study_id": 0, "user_attr": {DEFINITION: definition}}))?;
            if let Some(shard) = shard {
                lines += &line(2, json!({"study_id": 0, "user_attr": {SHARD: shard}}))?;
            }
            files::write_atomically(path, lines.as_bytes())?;
        }
        let failed = |error: std::io::Error| files::unwritable(path, &error);
        let file = OpenOptions::new().append(true).read(true).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = "another process is searching with this journal: wait for it, or name another";
                return Err(Failure::unusable(message).at(path.display()));
            }
            // Not every file system can lock: then whoever starts two searches has to know.
            Err(TryLockError::Error(_)) => {}
        }
        let mut contents = Contents::read(path)?;
        if contents.whole < contents.bytes {
            file.set_len(contents.whole as u64).map_err(failed)?;
            // The block that was cut off had created a trial.
            contents = Contents::read(path)?;
        }
        let ids = contents.own().into_iter().map(|(number, record)| (number, record.id)).collect();
        let Contents { study, created, whole, .. } = contents;
        Ok((Self { path: path.into(), file, len: whole as u64, study, created, ids }, contents))
    }

    /// Says that the search is another one now: it has more trials.
    pub(crate) fn redefine(&mut self, definition: &Value) -> Outcome<()> {
        let study = self.study;
        self.write(&line(2, json!({"study_id": study, "user_attr": {DEFINITION: definition}}))?)
    }

    /// Writes what is new about a trial, and waits until it is on the disk.
    pub(crate) fn append(&mut self, block: &Block<'_>) -> Outcome<()> {
        let mut lines = String::new();
        let begun = self.ids.get(&block.number).copied();
        let trial = begun.unwrap_or(self.created);
        let attribute = |name: &str, value: Value| {
            let attribute = Map::from_iter([(name.to_string(), value)]);
            line(8, json!({"trial_id": trial, "user_attr": attribute}))
        };
        if begun.is_none() {
            lines += &line(4, json!({"study_id": self.study, "datetime_start": time(block.started)}))?;
            for parameter in &block.space.0 {
                let value = block.values.get(&parameter.name);
                let distribution = distribution(parameter.range);
                let object = json!({
                    "trial_id": trial, "param_name": parameter.name, "param_value_internal": value,
                    "distribution": distribution,
                });
                lines += &line(5, object)?;
            }
            lines += &attribute(NUMBER, block.number.into())?;
            lines += &attribute(ROUND, block.round.into())?;
        }
        for (epoch, accuracy) in (block.before + 1..).zip(block.accuracies) {
            lines += &line(7, json!({"trial_id": trial, "step": epoch, "intermediate_value": accuracy}))?;
        }
        if let Some(reason) = block.ending.and_then(|ending| ending.reason) {
            lines += &attribute(REASON, reason.into())?;
        }
        if begun.is_none() || !block.accuracies.is_empty() {
            let epochs = block.before as usize + block.accuracies.len();
            lines += &attribute(EPOCHS, epochs.into())?;
        }
        if let Some(Ending { state, value, .. }) = block.ending {
            let values = value.map(|value| [value]);
            let state = if state == TrialState::Complete { 1 } else { 2 };
            let now = time(SystemTime::now());
            let object =
                json!({"trial_id": trial, "state": state, "values": values, "datetime_complete": now});
            lines += &line(6, object)?;
        }
        self.write(&lines)?;
        if begun.is_none() {
            self.ids.insert(block.number, trial);
            self.created += 1;
        }
        Ok(())
    }

    fn write(&mut self, lines: &str) -> Outcome<()> {
        let failed = |error: std::io::Error| files::unwritable(&self.path, &error);
        if self.file.metadata().map_err(failed)?.len() != self.len {
            let message = "another program has written to it: start the search again, and it goes on";
            return Err(Failure::failed(message).at(self.path.display()));
        }
        self.file.write_all(lines.as_bytes()).and_then(|()| self.file.sync_data()).map_err(failed)?;
        self.len += lines.len() as u64;
        Ok(())
    }
}

fn line(op: u32, mut fields: Value) -> Outcome<String> {
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("op_code".into(), op.into());
        fields.insert("worker_id".into(), WORKER.into());
    }
    json_line(&fields)
}

/// Optuna's `FloatDistribution` or `IntDistribution`, which its journal holds as JSON in a string.
fn distribution(range: Range) -> String {
    let (low, high, log) = (range.low(), range.high(), range.is_log());
    let distribution = if range.is_integer() {
        let attributes = json!({"log": log, "step": 1, "low": low as u64, "high": high as u64});
        json!({"name": "IntDistribution", "attributes": attributes})
    } else {
        let attributes = json!({"step": null, "low": low, "high": high, "log": log});
        json!({"name": "FloatDistribution", "attributes": attributes})
    };
    distribution.to_string()
}

/// As Python's `datetime.fromisoformat` reads it, before 3.11 too.
fn time(time: SystemTime) -> String {
    humantime::format_rfc3339_micros(time).to_string().replace('Z', "+00:00")
}
