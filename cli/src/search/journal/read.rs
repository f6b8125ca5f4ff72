//! Reads journals: a search's own, Optuna's, or one that both have written to.

use super::{Contents, DEFINITION, EPOCHS, NUMBER, REASON, ROUND, Record, SHARD, WORKER};
use crate::error::{Failure, Outcome};
use crate::events::{Study, Trial, TrialState};
use crate::files;
use crate::search::plan::difference;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// Merges the journals of a search's shards, or reads the one of a whole search.
pub(crate) fn read(paths: &[&Path]) -> Outcome<Study> {
    let mut merged: Option<Contents> = None;
    for path in paths {
        let contents = Contents::read(path)?;
        let Some(all) = &mut merged else {
            merged = Some(contents);
            continue;
        };
        let differing = match (&all.definition, &contents.definition) {
            (Some(ours), Some(theirs)) => difference(ours, theirs).is_some(),
            _ => true,
        };
        if differing {
            return Err(Failure::unusable("is a journal of another search").at(path.display()));
        }
        all.trials.extend(contents.trials);
    }
    let contents = merged.ok_or_else(|| Failure::unusable("no journal is named"))?;
    Ok(study(contents))
}

impl Contents {
    /// Reads a journal. A last line that was cut off is passed over: its writer was killed there.
    pub(crate) fn read(path: &Path) -> Outcome<Self> {
        Self::parse(&files::read(path)?).map_err(|message| Failure::unusable(message).at(path.display()))
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let mut parser = Parser::default();
        let mut end = 0;
        for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            end += line.len();
            if !line.ends_with(b"\n") {
                break;
            }
            let object = object(line).ok_or_else(|| {
                format!("line {} is no JSON object: delete it, and what follows", index + 1)
            })?;
            if parser.apply(&object) {
                parser.whole = end;
            }
        }
        parser.finish().map(|contents| Contents { bytes: bytes.len(), ..contents })
    }

    /// Whether this is the journal of a search, or of a shard of it.
    pub(crate) fn check(&self, definition: &Value, shard: Option<&str>) -> Outcome<()> {
        self.check_definition(definition)?;
        if self.shard.as_deref() != shard {
            let name =
                |shard: Option<&str>| shard.map_or("the whole search".into(), |s| format!("shard {s}"));
            let (theirs, ours) = (name(self.shard.as_deref()), name(shard));
            return Err(Failure::unusable(format!(
                "is the journal of {theirs}, not of {ours}: name another file"
            )));
        }
        Ok(())
    }

    /// Whether this is the journal of a search, or of any shard of it.
    pub(crate) fn check_definition(&self, definition: &Value) -> Outcome<()> {
        let Some(theirs) = &self.definition else {
            return Err(Failure::unusable("is no search's journal: name another file"));
        };
        match difference(definition, theirs) {
            None => Ok(()),
            Some(difference) => {
                let message = format!("is another search's journal: {difference}; name another file");
                Err(Failure::unusable(message))
            }
        }
    }

    /// The search's own trials, by number; a number that comes twice counts where more is known.
    pub(crate) fn own(&self) -> BTreeMap<u64, &Record> {
        let mut own: BTreeMap<u64, &Record> = BTreeMap::new();
        for record in &self.trials {
            if let Some(number) = record.number
                && own.get(&number).is_none_or(|other| other.knows() < record.knows())
            {
                own.insert(number, record);
            }
        }
        own
    }
}

impl Record {
    fn knows(&self) -> (bool, usize) {
        (self.state != TrialState::Running, self.accuracies.len())
    }
}

/// A line as a JSON object. Python writes NaN and infinities, which JSON lacks.
fn object(line: &[u8]) -> Option<Value> {
    let parsed = serde_json::from_slice(line).or_else(|error| {
        let text = String::from_utf8_lossy(line);
        let plain = text.replace("-Infinity", "null").replace("Infinity", "null").replace("NaN", "null");
        serde_json::from_str(&plain).map_err(|_| error)
    });
    parsed.ok().filter(Value::is_object)
}

#[derive(Default)]
struct Parser {
    /// Name and attributes of each study, and whether it still is one.
    studies: Vec<(String, BTreeMap<String, Value>, bool)>,
    /// Each trial, its study, and whether a search wrote all of one of its blocks.
    trials: Vec<(usize, Record, bool)>,
    whole: usize,
}

impl Parser {
    /// Carries out an operation; true where a block ends with it. What makes no sense is passed over, as Optuna does.
    fn apply(&mut self, line: &Value) -> bool {
        let own = line["worker_id"] == WORKER;
        let op = line["op_code"].as_u64();
        let study = index(&line["study_id"]);
        match op {
            Some(0) => {
                let name = line["study_name"].as_str().unwrap_or_default();
                if !self.studies.iter().any(|(other, _, there)| *there && other == name) {
                    self.studies.push((name.into(), BTreeMap::new(), true));
                }
            }
            Some(1) => {
                if let Some((.., there)) = study.and_then(|id| self.studies.get_mut(id)) {
                    *there = false;
                }
            }
            Some(2) => {
                if let Some((_, attributes, _)) = study.and_then(|id| self.studies.get_mut(id)) {
                    attributes.extend(entries(&line["user_attr"]));
                }
            }
            Some(4) => {
                if let Some(study) =
                    study.filter(|id| self.studies.get(*id).is_some_and(|(.., there)| *there))
                {
                    let record = created(line, self.trials.len());
                    self.trials.push((study, record, false));
                }
            }
            Some(5..=8) => {
                let trial = index(&line["trial_id"]).and_then(|id| self.trials.get_mut(id));
                let Some((_, record, known)) =
                    trial.filter(|(_, trial, _)| matches!(trial.state, TrialState::Running))
                else {
                    return !own;
                };
                *known |= update(record, line) && own;
                // Epochs are the last attribute of a block, and a state ends it.
                let ends = op == Some(6) || !line["user_attr"][EPOCHS].is_null();
                return !own || ends;
            }
            _ => {}
        }
        !own || matches!(op, Some(0..=3))
    }

    fn finish(self) -> Result<Contents, String> {
        let Self { studies, trials, whole } = self;
        let there = |(_, (_, _, there)): &(usize, &(String, _, bool))| *there;
        let mut candidates = studies.iter().enumerate().filter(there);
        let searched = candidates.clone().find(|(_, (_, attributes, _))| attributes.contains_key(DEFINITION));
        let (study, (name, attributes, _)) = searched
            .or_else(|| candidates.next())
            .ok_or("holds no study: is it the journal of a search, or of Optuna?")?;
        let created = trials.len();
        let of_study = trials.into_iter().filter(|(of, ..)| *of == study).map(|(_, mut record, known)| {
            // The number of a block that was cut short counts for nothing: the trial is run again.
            record.number = record.number.filter(|_| known);
            record
        });
        Ok(Contents {
            name: name.clone(),
            definition: attributes.get(DEFINITION).cloned(),
            shard: attributes.get(SHARD).and_then(Value::as_str).map(String::from),
            trials: of_study.collect(),
            study,
            created,
            whole,
            bytes: 0,
        })
    }
}

/// A trial that is created, which Optuna may do with everything at once.
fn created(line: &Value, id: usize) -> Record {
    let mut record = Record {
        number: None,
        round: 0,
        values: entries(&line["params"]).filter_map(|(name, value)| Some((name, value.as_f64()?))).collect(),
        accuracies: BTreeMap::new(),
        state: line["state"].as_u64().map_or(TrialState::Running, state),
        value: line["value"].as_f64().or_else(|| line["values"][0].as_f64()),
        reason: None,
        id,
        ranges: BTreeMap::new(),
    };
    for (name, distribution) in entries(&line["distributions"]) {
        record.ranges.extend(range(&distribution).map(|range| (name, range)));
    }
    for (step, value) in entries(&line["intermediate_values"]) {
        record.accuracies.extend(step.parse().ok().zip(value.as_f64()));
    }
    record
}

/// Sets what a line says of a trial; true where it says how far a search has brought it.
fn update(record: &mut Record, line: &Value) -> bool {
    match line["op_code"].as_u64() {
        Some(5) => {
            let name = line["param_name"].as_str().unwrap_or_default().to_string();
            record.ranges.extend(range(&line["distribution"]).map(|range| (name.clone(), range)));
            record.values.extend(line["param_value_internal"].as_f64().map(|value| (name, value)));
        }
        Some(6) => {
            record.state = line["state"].as_u64().map_or(TrialState::Fail, state);
            record.value = line["values"][0].as_f64().or(record.value);
        }
        Some(7) => record.accuracies.extend(line["step"].as_u64().zip(line["intermediate_value"].as_f64())),
        Some(8) => {
            let attribute = &line["user_attr"];
            record.number = attribute[NUMBER].as_u64().or(record.number);
            record.round = attribute[ROUND].as_u64().map_or(record.round, |round| round as u32);
            record.reason = attribute[REASON].as_str().map(String::from).or(record.reason.take());
            return !attribute[EPOCHS].is_null();
        }
        _ => {}
    }
    false
}

fn index(value: &Value) -> Option<usize> {
    value.as_u64().and_then(|id| id.try_into().ok())
}

fn entries(value: &Value) -> impl Iterator<Item = (String, Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone()))
}

/// Optuna's `TrialState`; a trial that waits has not begun either.
fn state(number: u64) -> TrialState {
    match number {
        0 | 4 => TrialState::Running,
        1 => TrialState::Complete,
        2 => TrialState::Pruned,
        _ => TrialState::Fail,
    }
}

/// What a distribution, which is JSON in a string, spans.
fn range(distribution: &Value) -> Option<(f64, f64, bool)> {
    let parsed: Value = serde_json::from_str(distribution.as_str()?).ok()?;
    let attributes = &parsed["attributes"];
    let (low, high) = (attributes["low"].as_f64()?, attributes["high"].as_f64()?);
    Some((low, high, attributes["log"].as_bool().unwrap_or(false)))
}

/// What the report draws. Other programs' trials follow the search's own.
fn study(contents: Contents) -> Study {
    let strategy = contents.definition.as_ref().and_then(|definition| definition["strategy"].as_str());
    let strategy = strategy.unwrap_or("optuna").to_string();
    let mut ranges: Vec<(String, f64, f64, bool)> = Vec::new();
    for record in contents.trials.iter().filter(|record| record.round <= 1) {
        for (name, (low, high, log)) in &record.ranges {
            if !ranges.iter().any(|(known, ..)| known == name) {
                ranges.push((name.clone(), *low, *high, *log));
            }
        }
    }
    let own = contents.own();
    let mut trials: Vec<Trial> = own.iter().map(|(number, record)| record.trial(*number as usize)).collect();
    let first = own.keys().next_back().map_or(0, |last| *last as usize + 1);
    let foreign = contents.trials.iter().filter(|record| record.number.is_none());
    trials.extend(foreign.enumerate().map(|(i, record)| record.trial(first + i)));
    Study { name: contents.name, strategy, ranges, trials }
}

impl Record {
    /// As it is printed and drawn.
    pub(crate) fn trial(&self, number: usize) -> Trial {
        let best =
            self.accuracies.values().copied().fold(None, |best: Option<f64>, accuracy| {
                Some(best.map_or(accuracy, |best| best.max(accuracy)))
            });
        Trial {
            number,
            round: self.round,
            parameters: self.values.clone(),
            val_acc: self.value.or(best),
            state: self.state,
            epochs: self.accuracies.len() as u32,
        }
    }
}

#[cfg(test)]
mod tests;
