//! What a run measures: the objects that `--json` prints, and their file `metrics.jsonl`.

use crate::data::{Shape, Splits};
use crate::error::{Failure, Outcome};
use crate::events::Activations;
use crate::files::{self, json_line};
use crate::options::Options;
use crate::test_set::TestSet;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The name of the file in a run's directory.
pub(crate) const FILE: &str = "metrics.jsonl";

/// One JSON object, one line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(crate) enum Event {
    /// Training begins.
    Start(Box<Start>),
    /// An epoch is over.
    Epoch(Epoch),
    /// Training is over.
    Done(Done),
    /// What the trained model makes of the test set.
    Test(Box<TestSet>),
    /// A saved model was measured.
    Eval(Eval),
    /// One row was predicted.
    Predict(Predict),
}

/// What a run is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Start {
    /// Trainable numbers.
    pub(crate) params: usize,
    /// The whole memory of the training.
    pub(crate) arena_bytes: usize,
    /// The instructions in use.
    pub(crate) level: String,
    /// The layers in one line.
    pub(crate) network: String,
    /// The names of the weight matrices among the tensors.
    pub(crate) matrices: Vec<String>,
    /// The data set.
    pub(crate) data: DataSummary,
    /// All options, with their defaults filled in.
    pub(crate) options: Options,
    /// The program's version.
    pub(crate) version: String,
}

/// A data set in figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DataSummary {
    /// What it is called.
    pub(crate) name: String,
    /// What a row is.
    pub(crate) shape: Shape,
    /// Number of classes.
    pub(crate) classes: usize,
    /// Rows to learn from.
    pub(crate) train: usize,
    /// Rows to choose options by.
    pub(crate) validation: usize,
    /// Rows to look at once.
    pub(crate) test: usize,
}

impl From<&Splits> for DataSummary {
    fn from(splits: &Splits) -> Self {
        Self {
            name: splits.name.clone(),
            shape: splits.train.shape,
            classes: splits.classes.len(),
            train: splits.train.len(),
            validation: splits.validation.len(),
            test: splits.test.len(),
        }
    }
}

/// One pass over the training set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Epoch {
    /// From 1.
    pub(crate) epoch: u32,
    /// Mean over the steps of the epoch, each with the weights of its moment, penalty included.
    #[serde(with = "or_null")]
    pub(crate) train_loss: f64,
    /// Cross-entropy after the epoch.
    #[serde(with = "or_null")]
    pub(crate) val_loss: f64,
    /// Share of right answers in the epoch's steps.
    pub(crate) train_acc: f64,
    /// Share of right answers after the epoch.
    pub(crate) val_acc: f64,
    /// `train_acc - val_acc`: large where the network overfits.
    #[serde(default)]
    pub(crate) gap: f64,
    /// Learning rate of the epoch's last step.
    pub(crate) lr: f64,
    /// `||update|| / ||weights||` of each tensor in the epoch's last step.
    #[serde(with = "as_map")]
    pub(crate) update_ratio: Vec<(String, f64)>,
    /// What came out of each nonlinearity in the epoch's last whole batch.
    #[serde(default)]
    pub(crate) activations: Vec<Activations>,
    /// Training rows in a second, validation not counted.
    pub(crate) samples_per_s: f64,
    /// The whole epoch's time.
    pub(crate) seconds: f64,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Done {
    /// The epoch whose weights were kept, and tested: that of the best validation accuracy.
    #[serde(default)]
    pub(crate) best_epoch: u32,
    /// Whether `--patience` ended the run before its last epoch.
    #[serde(default)]
    pub(crate) stopped_early: bool,
    /// Cross-entropy on the test set.
    #[serde(with = "or_null")]
    pub(crate) test_loss: f64,
    /// Share of right answers on the test set.
    pub(crate) test_acc: f64,
    /// Time of this process from the first step.
    pub(crate) seconds: f64,
    /// Counted around every training step.
    pub(crate) heap_allocations_in_steps: u64,
}

/// A saved model on data with labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Eval {
    /// Cross-entropy.
    #[serde(with = "or_null")]
    pub(crate) loss: f64,
    /// Share of right answers.
    pub(crate) acc: f64,
    /// Rows it was measured on.
    pub(crate) rows: usize,
    /// `confusion[true class][predicted class]`, in rows.
    pub(crate) confusion: Vec<Vec<usize>>,
    /// Names of the classes.
    pub(crate) classes: Vec<String>,
}

/// What a saved model says of one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Predict {
    /// The row, from 0.
    pub(crate) index: usize,
    /// The likeliest class's name.
    pub(crate) class: String,
    /// One for each class.
    pub(crate) probabilities: Vec<f32>,
}

/// What `metrics.jsonl` tells of a run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Log {
    pub(crate) start: Start,
    pub(crate) epochs: Vec<Epoch>,
    pub(crate) done: Option<Done>,
    /// The test set in detail, once training is over.
    pub(crate) test: Option<TestSet>,
}

/// Reads a run's `metrics.jsonl`. A last line that was cut off is passed over: its run was killed there.
pub(crate) fn read(path: &Path) -> Outcome<Log> {
    let lines = read_lines(path)?;
    let mut events = lines.into_iter().map(|(event, _)| event);
    let Some(Event::Start(start)) = events.next() else {
        return Err(Failure::unusable("does not begin with a run's start event").at(path.display()));
    };
    let mut log = Log { start: *start, epochs: Vec::new(), done: None, test: None };
    for event in events {
        match event {
            Event::Epoch(epoch) => log.epochs.push(epoch),
            Event::Done(done) => log.done = Some(done),
            Event::Test(test) => log.test = Some(*test),
            _ => {}
        }
    }
    Ok(log)
}

/// A run's `metrics.jsonl`, open at its end.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// Begins a run's file.
    pub(crate) fn create(directory: &Path, start: &Start) -> Outcome<Self> {
        let path = directory.join(FILE);
        files::write_atomically(&path, json_line(&Event::Start(Box::new(start.clone())))?.as_bytes())?;
        Self::open(path)
    }

    /// Goes on with the file of a run whose checkpoint covers `epochs`: what came after it is cut off, and will
    /// be measured again. A file that is lost or useless begins anew.
    pub(crate) fn resume(directory: &Path, start: &Start, epochs: u32) -> Outcome<Self> {
        let path = directory.join(FILE);
        let Ok(lines) = read_lines(&path) else { return Self::create(directory, start) };
        let mut kept = json_line(&Event::Start(Box::new(start.clone())))?;
        let covered = |event: &Event| matches!(event, Event::Epoch(epoch) if epoch.epoch <= epochs);
        lines.iter().filter(|(event, _)| covered(event)).for_each(|(_, line)| {
            kept.push_str(line);
            kept.push('\n');
        });
        files::write_atomically(&path, kept.as_bytes())?;
        Self::open(path)
    }

    /// Adds one line, flushed to the disk.
    pub(crate) fn append(&mut self, event: &Event) -> Outcome<()> {
        let line = json_line(event)?;
        self.file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.sync_data())
            .map_err(|error| files::unwritable(&self.path, &error))
    }

    fn open(path: PathBuf) -> Outcome<Self> {
        let file =
            OpenOptions::new().append(true).open(&path).map_err(|error| files::unwritable(&path, &error))?;
        Ok(Self { path, file })
    }
}

/// The events and their lines.
fn read_lines(path: &Path) -> Outcome<Vec<(Event, String)>> {
    let bytes = files::read(path)?;
    let mut events = Vec::new();
    let mut lines = bytes.split(|&byte| byte == b'\n').zip(1..).peekable();
    while let Some((line, number)) = lines.next() {
        match serde_json::from_slice(line) {
            Ok(event) => events.push((event, String::from_utf8_lossy(line).into_owned())),
            Err(_) if lines.peek().is_none() => {}
            Err(error) => {
                return Err(Failure::unusable(format!("line {number}: {error}")).at(path.display()));
            }
        }
    }
    Ok(events)
}

/// Pairs as a JSON object, in their own order.
mod as_map {
    use serde::de::{Deserializer, MapAccess, Visitor};
    use serde::ser::Serializer;
    use std::fmt;

    pub(super) fn serialize<S: Serializer>(
        pairs: &[(String, f64)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(pairs.iter().map(|(name, value)| (name, value)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(String, f64)>, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Vec<(String, f64)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of numbers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(pairs)
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}

/// JSON has no infinity and no NaN: they are written as null, and null is read as NaN.
mod or_null {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(*value)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::events::Histogram;
    use std::fs;

    /// A made-up run, for the tests of whatever shows one.
    pub(crate) fn example(epochs: u32) -> Log {
        let arguments = crate::args::tests::train("").unwrap();
        let splits = crate::data::Source::Spiral.load(None).unwrap();
        let start = Start {
            params: 17_482,
            arena_bytes: 400_000,
            level: "avx2".into(),
            network: "64-128-64-10, batch norm, relu".into(),
            matrices: ["layers.0.weight", "layers.3.weight", "layers.6.weight"].map(String::from).to_vec(),
            data: (&splits).into(),
            options: arguments.options(1197, 1).unwrap(),
            version: "0.1.0".into(),
        };
        Log {
            start,
            epochs: (1..=epochs).map(example_epoch).collect(),
            done: Some(Done {
                best_epoch: epochs,
                stopped_early: false,
                test_loss: 0.07,
                test_acc: 0.98,
                seconds: 1.5,
                heap_allocations_in_steps: 0,
            }),
            test: None,
        }
    }

    fn example_epoch(epoch: u32) -> Epoch {
        let progress = f64::from(epoch);
        // Deterministic wobble, so that curves look like curves.
        let wobble = |seed: f64| ((progress * 12.9898 + seed * 78.233).sin() * 43758.547).fract();
        let ratio = |tensor: &str, size: f64| {
            (tensor.to_string(), size * (1.0 + 0.2 * wobble(size)) * 0.95f64.powf(progress))
        };
        // Tanh that saturates more from epoch to epoch.
        let counts = [4.0 * progress, 10.0, 60.0, 10.0, 4.0 * progress].map(|count| count as u64).to_vec();
        let activations = vec![Activations {
            layer: "layers.2".into(),
            mean: 0.02 * wobble(6.0),
            std: 0.6,
            zero_fraction: 0.0,
            saturated_fraction: 0.1,
            dead_fraction: 0.0,
            histogram: Histogram { low: -1.0, high: 1.0, counts },
        }];
        Epoch {
            epoch,
            activations,
            gap: 0.025 - 0.05 * (-progress / 3.0).exp(),
            train_loss: 1.9 * (-progress / 3.0).exp() + 0.02 + 0.004 * wobble(1.0),
            val_loss: 1.7 * (-progress / 3.0).exp() + 0.09 + 0.01 * wobble(2.0),
            train_acc: 1.0 - 0.4 * (-progress / 3.0).exp() - 0.002 * wobble(3.0).abs(),
            val_acc: 0.975 - 0.35 * (-progress / 3.0).exp() - 0.01 * wobble(4.0),
            lr: 0.05 * 0.95f64.powf(progress - 1.0),
            update_ratio: vec![
                ratio("layers.0.weight", 4e-3),
                ratio("layers.1.weight", 9e-4),
                ratio("layers.1.bias", 3e-2),
                ratio("layers.3.weight", 2.5e-3),
                ratio("layers.4.weight", 7e-4),
                ratio("layers.4.bias", 2e-2),
                ratio("layers.6.weight", 1.4e-3),
                ratio("layers.6.bias", 1e-2),
            ],
            samples_per_s: 250_000.0 + 10_000.0 * wobble(5.0),
            seconds: 0.05,
        }
    }

    #[test]
    fn events_have_the_promised_names() {
        let log = example(1);
        let value =
            |event: Event| serde_json::from_str::<serde_json::Value>(&json_line(&event).unwrap()).unwrap();
        let start = value(Event::Start(Box::new(log.start)));
        assert_eq!((start["event"].as_str(), start["params"].as_u64()), (Some("start"), Some(17_482)));
        assert!(start["arena_bytes"].is_u64() && start["level"] == "avx2");
        let epoch = value(Event::Epoch(log.epochs[0].clone()));
        for key in ["train_loss", "val_loss", "train_acc", "val_acc", "lr", "samples_per_s", "seconds"] {
            assert!(epoch[key].is_f64(), "{key}");
        }
        assert_eq!((epoch["event"].as_str(), epoch["epoch"].as_u64()), (Some("epoch"), Some(1)));
        assert!(epoch["update_ratio"]["layers.0.weight"].is_f64());
        assert!(epoch["activations"][0]["histogram"]["counts"].is_array());
        let done = value(Event::Done(log.done.unwrap()));
        assert_eq!(done["event"], "done");
        assert_eq!((&done["heap_allocations_in_steps"], &done["best_epoch"]), (&0.into(), &1.into()));
        let predict =
            value(Event::Predict(Predict { index: 0, class: "3".into(), probabilities: vec![0.25, 0.75] }));
        assert_eq!(
            predict,
            serde_json::json!({"event": "predict", "index": 0, "class": "3", "probabilities": [0.25, 0.75]})
        );
    }

    fn write(directory: &Path, epochs: u32) -> Log {
        let log = example(epochs);
        let mut journal = Journal::create(directory, &log.start).unwrap();
        for epoch in &log.epochs {
            journal.append(&Event::Epoch(epoch.clone())).unwrap();
        }
        journal.append(&Event::Done(log.done.clone().unwrap())).unwrap();
        log
    }

    #[test]
    fn a_file_comes_back_to_the_last_bit() {
        let directory = tempfile::tempdir().unwrap();
        let log = write(directory.path(), 30);
        assert_eq!(read(&directory.path().join(FILE)).unwrap(), log);
    }

    #[test]
    fn a_file_from_before_the_activations_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let log = write(directory.path(), 2);
        let path = directory.path().join(FILE);
        let mut older = String::new();
        for line in fs::read_to_string(&path).unwrap().lines() {
            let mut event: serde_json::Value = serde_json::from_str(line).unwrap();
            for name in ["activations", "gap", "best_epoch", "stopped_early"] {
                event.as_object_mut().unwrap().remove(name);
            }
            older += &format!("{event}\n");
        }
        fs::write(&path, older).unwrap();
        let read = read(&path).unwrap();
        assert_eq!((read.epochs.len(), read.epochs[1].val_acc), (2, log.epochs[1].val_acc));
        assert_eq!((read.epochs[0].activations.len(), read.done.unwrap().best_epoch), (0, 0));
    }

    #[test]
    fn what_is_not_finite_is_null() {
        let mut epoch = example_epoch(1);
        epoch.val_loss = f64::INFINITY;
        let line = json_line(&Event::Epoch(epoch)).unwrap();
        assert!(line.contains("\"val_loss\":null"), "{line}");
        let Event::Epoch(epoch) = serde_json::from_str(&line).unwrap() else { panic!("{line}") };
        assert!(epoch.val_loss.is_nan());
    }

    #[test]
    fn a_resumed_file_ends_where_the_checkpoint_does() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        let log = write(directory.path(), 5);
        let whole = fs::read(&path).unwrap();
        // Killed in the middle of a line, and after it.
        for end in [whole.len() - 10, whole.len()] {
            fs::write(&path, &whole[..end]).unwrap();
            let mut journal = Journal::resume(directory.path(), &log.start, 3).unwrap();
            let kept = read(&path).unwrap();
            assert_eq!((kept.epochs.len(), kept.done), (3, None));
            for epoch in &log.epochs[3..] {
                journal.append(&Event::Epoch(epoch.clone())).unwrap();
            }
            journal.append(&Event::Done(log.done.clone().unwrap())).unwrap();
            assert_eq!(fs::read(&path).unwrap(), whole);
        }
        fs::remove_file(&path).unwrap();
        Journal::resume(directory.path(), &log.start, 3).unwrap();
        assert_eq!(read(&path).unwrap().epochs, []);
    }

    #[test]
    fn a_damaged_file_is_told_with_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        write(directory.path(), 2);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen("\"epoch\":1", "\"epoch\":x", 1)).unwrap();
        let message = read(&path).unwrap_err().to_string();
        assert!(message.contains("metrics.jsonl: line 2: "), "{message}");
        fs::write(&path, text.lines().nth(1).unwrap()).unwrap();
        assert!(read(&path).unwrap_err().to_string().ends_with("does not begin with a run's start event"));
    }
}
