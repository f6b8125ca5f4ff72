//! What a report is made of: the files of a directory.

use crate::error::{Failure, Outcome};
use crate::events::{Check, InitLayer, KernelRate, Machine, Study};
use crate::files;
use crate::metrics::{self, Log};
use crate::model::{MODEL, Model};
use crate::search;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};

use crate::bench::FILE as BENCH;
use crate::doctor::FILE as DOCTOR;
use crate::init_report::FILE as INIT;

/// Everything that there is to draw; a part without its file is empty.
#[derive(Debug, Default)]
pub(crate) struct Material {
    pub(crate) run: Option<Log>,
    pub(crate) model: Option<Model>,
    pub(crate) checks: Vec<Check>,
    pub(crate) init: Vec<InitLayer>,
    pub(crate) studies: Vec<Study>,
    pub(crate) machine: Option<Machine>,
    pub(crate) kernels: Vec<KernelRate>,
}

impl Material {
    /// Reads what is in the directory.
    pub(crate) fn of(directory: &Path) -> Outcome<Self> {
        if !directory.is_dir() {
            let message = "is no directory: name the one that --out named";
            return Err(Failure::unusable(message).at(directory.display()));
        }
        let metrics = directory.join(metrics::FILE);
        let run = if metrics.exists() { Some(metrics::read(&metrics)?) } else { None };
        let material = Self { run, ..Self::beside_run(directory)? };
        if material.run.is_none() && material.is_empty() {
            let message = format!(
                "holds nothing to report: {}, {DOCTOR}, {INIT}, {BENCH} or {} was expected",
                metrics::FILE,
                search::FILE
            );
            return Err(Failure::unusable(message).at(directory.display()));
        }
        Ok(material)
    }

    /// Reads what is in the directory but for the run's measurements.
    pub(crate) fn beside_run(directory: &Path) -> Outcome<Self> {
        let (model, journal) = (directory.join(MODEL), directory.join(search::FILE));
        Ok(Self {
            run: None,
            model: if model.exists() { Some(Model::read(&model)?) } else { None },
            checks: events(&directory.join(DOCTOR), "check")?,
            init: events(&directory.join(INIT), "layer")?,
            studies: if journal.exists() { vec![search::journal::read(&[&journal])?] } else { Vec::new() },
            machine: events(&directory.join(BENCH), "machine")?.pop(),
            kernels: events(&directory.join(BENCH), "kernel")?,
        })
    }

    /// The searches that journals tell of: shards of one are merged, others stand side by side.
    pub(crate) fn of_journals(journals: &[PathBuf]) -> Outcome<Self> {
        let mut searches: Vec<Vec<&Path>> = Vec::new();
        for journal in journals {
            // A damaged one is told as such, not as one of another search.
            search::journal::read(&[journal])?;
            let with = |search: &&mut Vec<&Path>| {
                search::journal::read(&[&search[..], &[journal.as_path()]].concat()).is_ok()
            };
            match searches.iter_mut().find(with) {
                Some(search) => search.push(journal),
                None => searches.push(vec![journal]),
            }
        }
        let studies = searches.iter().map(|search| search::journal::read(search)).collect::<Outcome<_>>()?;
        Ok(Self { studies, ..Self::default() })
    }

    /// Whether there is nothing beside a run.
    fn is_empty(&self) -> bool {
        self.checks.is_empty() && self.init.is_empty() && self.studies.is_empty() && self.machine.is_none()
    }
}

/// The events of one kind in a file of JSON lines; none without the file. A last line that was cut off is passed over.
fn events<T: DeserializeOwned>(path: &Path, kind: &str) -> Outcome<Vec<T>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let bytes = files::read(path)?;
    let mut found = Vec::new();
    let mut lines = bytes.split(|&byte| byte == b'\n').zip(1..).peekable();
    while let Some((line, number)) = lines.next() {
        let wrong = |error| Failure::unusable(format!("line {number}: {error}")).at(path.display());
        match serde_json::from_slice::<serde_json::Value>(line) {
            Ok(value) if value["event"] != kind => {}
            Ok(value) => found.push(serde_json::from_value(value).map_err(wrong)?),
            Err(_) if lines.peek().is_none() => {}
            Err(error) => return Err(wrong(error)),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Verdict;
    use crate::files::json_line;
    use std::fs;

    fn check() -> Check {
        Check {
            name: "gradient".into(),
            expected: "below 1e-7".into(),
            measured: "3.1e-9".into(),
            verdict: Verdict::Pass,
            advice: String::new(),
            figure: None,
        }
    }

    #[test]
    fn a_directory_gives_what_it_holds() {
        let directory = tempfile::tempdir().unwrap();
        let failure = Material::of(directory.path()).unwrap_err();
        assert!(failure.to_string().contains("holds nothing to report"), "{failure}");
        let line = json_line(&check()).unwrap();
        let path = directory.path().join(DOCTOR);
        // An event of another kind, and a last line that was cut off.
        fs::write(&path, format!("{{\"event\":\"start\"}}\n{line}{}", &line[..20])).unwrap();
        let material = Material::of(directory.path()).unwrap();
        assert_eq!(material.checks, [check()]);
        assert!(material.run.is_none() && material.init.is_empty());
    }

    #[test]
    fn damage_is_told_with_its_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(DOCTOR);
        let line = json_line(&check()).unwrap();
        for damaged in [format!("{}\n{line}", &line[..20]), line.replace("pass", "good")] {
            fs::write(&path, format!("{line}{damaged}")).unwrap();
            let failure = Material::of(directory.path()).unwrap_err();
            assert!(failure.to_string().contains("doctor.jsonl: line 2: "), "{failure}");
            assert_eq!(failure.status(), crate::error::UNUSABLE);
        }
    }
}
