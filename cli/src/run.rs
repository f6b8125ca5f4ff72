//! A run's directory: the model, the checkpoint, the measurements and the report.
//!
//! Every file is replaced in one step, and the checkpoint is there before the first epoch: whenever a run is killed, it
//! can go on from its last checkpoint.

use crate::data::Splits;
use crate::error::{Failure, Outcome};
use crate::files;
use crate::fit::Fit;
use crate::metrics::{self, Done, Epoch, Event, Journal, Log, Start};
use crate::model::{BEST, CHECKPOINT, Description, MODEL, Model, OPTIMIZER_STATE, Training};
use crate::network;
use crate::options::Options;
use crate::report;
use crate::tensors::Tensors;
use crate::test_set::TestSet;
use std::path::{Path, PathBuf};

/// A run that is saved.
#[derive(Debug)]
pub(crate) struct Run {
    directory: PathBuf,
    journal: Journal,
    log: Log,
    checksum: u32,
}

/// A directory that holds a run is not given to another one.
pub(crate) fn check_new(directory: &Path) -> Outcome<()> {
    if directory.exists() && !directory.is_dir() {
        return Err(Failure::unusable("is no directory: --out needs one").at(directory.display()));
    }
    if [MODEL, CHECKPOINT, metrics::FILE].iter().any(|name| directory.join(name).exists()) {
        let message = format!(
            "holds a run already: go on with it by --resume {}, or name another directory",
            directory.display()
        );
        return Err(Failure::unusable(message).at(directory.display()));
    }
    Ok(())
}

impl Run {
    /// Makes the directory, with a checkpoint of the first weights.
    pub(crate) fn create(
        directory: &Path,
        start: &Start,
        fit: &Fit<'_>,
        options: &Options,
        splits: &Splits,
    ) -> Outcome<Self> {
        files::make_directory(directory)?;
        let checksum = splits.checksum();
        checkpoint(fit, options, splits, 0, checksum).write(&directory.join(CHECKPOINT))?;
        let journal = Journal::create(directory, start)?;
        let log = Log { start: start.clone(), epochs: Vec::new(), done: None, test: None };
        Ok(Self { directory: directory.to_path_buf(), journal, log, checksum })
    }

    /// Opens the directory of a run whose checkpoint covers `epochs`.
    pub(crate) fn resume(directory: &Path, start: &Start, epochs: u32, checksum: u32) -> Outcome<Self> {
        let journal = Journal::resume(directory, start, epochs)?;
        let log = metrics::read(&directory.join(metrics::FILE))?;
        Ok(Self { directory: directory.to_path_buf(), journal, log, checksum })
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Saves what an epoch led to. The measurements come first: those of an epoch that the checkpoint does not cover
    /// are dropped when the run goes on, while a lost line would stay lost.
    pub(crate) fn epoch(
        &mut self,
        epoch: &Epoch,
        fit: &Fit<'_>,
        options: &Options,
        splits: &Splits,
    ) -> Outcome<()> {
        self.journal.append(&Event::Epoch(epoch.clone()))?;
        self.log.epochs.push(epoch.clone());
        checkpoint(fit, options, splits, epoch.epoch, self.checksum)
            .write(&self.directory.join(CHECKPOINT))?;
        self.results(fit, options, splits)
    }

    /// Saves how the run ended.
    pub(crate) fn done(
        &mut self,
        done: &Done,
        fit: &Fit<'_>,
        options: &Options,
        splits: &Splits,
    ) -> Outcome<()> {
        self.results(fit, options, splits)?;
        // The model as whoever uses it will read it.
        let model = Model::read(&self.directory)?;
        let test = TestSet::measure(&model, &fit.evaluator, &splits.test)?;
        self.journal.append(&Event::Test(Box::new(test.clone())))?;
        self.journal.append(&Event::Done(done.clone()))?;
        self.log.test = Some(test);
        self.log.done = Some(done.clone());
        report::write(&self.directory, &self.log)
    }

    fn results(&self, fit: &Fit<'_>, options: &Options, splits: &Splits) -> Outcome<()> {
        let weights = match fit.best.weights() {
            Some(best) => best.export(fit.net.layers()),
            None => network::export(&fit.net),
        };
        model(weights, fit, options, splits).write(&self.directory.join(MODEL))?;
        report::write(&self.directory, &self.log)
    }
}

/// A network with these weights as a file to use.
fn model(mut tensors: Tensors, fit: &Fit<'_>, options: &Options, splits: &Splits) -> Model {
    let layers = network::describe(options, fit.preprocess.width(), splits.classes.len());
    let description = Description::new(layers, splits.train.shape, splits.classes.clone(), options);
    fit.preprocess.export(&mut tensors);
    Model { description, tensors }
}

/// The network as a file to go on training from.
fn checkpoint(fit: &Fit<'_>, options: &Options, splits: &Splits, epoch: u32, checksum: u32) -> Model {
    let mut model = model(network::export(&fit.net), fit, options, splits);
    if let Some(best) = fit.best.weights() {
        let named = best.export(fit.net.layers()).into_iter();
        model.tensors.extend(named.map(|(name, tensor)| (format!("{BEST}{name}"), tensor)));
    }
    model.tensors.insert(OPTIMIZER_STATE.into(), network::export_state(&fit.net, options));
    model.description.training = Some(Training {
        options: options.clone(),
        epoch,
        steps: fit.net.steps(),
        first_loss: fit.first_loss,
        checksum,
        level: fit.net.level().name().into(),
        best: fit.best.measured(),
    });
    model
}
