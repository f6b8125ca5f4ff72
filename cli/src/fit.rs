//! Training: the epochs of a run.

use crate::allocations;
use crate::console::Progress;
use crate::data::Splits;
use crate::error::{Failure, Outcome};
use crate::evaluate::Evaluator;
use crate::inputs::{Inputs, Preprocess};
use crate::interrupt;
use crate::metrics::Epoch;
use crate::network;
use crate::options::Options;
use slicewise::batches::{gather, shuffle};
use slicewise::{Error, Evaluation, Level, Network, StepReport, Update};
use std::sync::Arc;
use std::time::Instant;

/// A network in training.
pub(crate) struct Fit<'a> {
    pub(crate) net: Network<'a, f32>,
    pub(crate) evaluator: Evaluator<'a>,
    options: &'a Options,
    pub(crate) preprocess: &'a Preprocess,
    classes: usize,
    train: Arc<Inputs>,
    validation: Arc<Inputs>,
    test: Arc<Inputs>,
    order: Vec<u32>,
    /// A batch's inputs and labels.
    inputs: Vec<f32>,
    labels: Vec<u32>,
    /// Rows in a step.
    rows: usize,
    /// The loss of the very first step; 0 before it.
    pub(crate) first_loss: f64,
    /// Heap allocations of all steps so far.
    pub(crate) allocations: u64,
    /// Steps so far in this process.
    pub(crate) steps: u64,
    /// Whether an epoch shows its progress.
    pub(crate) quiet: bool,
}

/// The rows of a data set as networks read them: fits side by side share them.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) train: Arc<Inputs>,
    pub(crate) validation: Arc<Inputs>,
    pub(crate) test: Arc<Inputs>,
    pub(crate) classes: usize,
}

impl Parts {
    pub(crate) fn new(level: Level, splits: &Splits, preprocess: &Preprocess) -> Outcome<Self> {
        let inputs = |table| preprocess.inputs(level, table).map(Arc::new);
        Ok(Self {
            train: inputs(&splits.train)?,
            validation: inputs(&splits.validation)?,
            test: inputs(&splits.test)?,
            classes: splits.classes.len(),
        })
    }
}

/// How an epoch went.
#[derive(Debug)]
pub(crate) enum Trained {
    /// To its end.
    Epoch(Epoch),
    /// Until someone asked to stop.
    Interrupted,
    /// Until the loss exploded; how, in words.
    Diverged(String),
}

/// Sums over the steps of an epoch, or of a part of one.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    loss: f64,
    correct: usize,
    rows: usize,
}

impl Sums {
    fn add(&mut self, report: &StepReport) {
        self.loss += report.loss * report.rows as f64;
        self.correct += report.correct;
        self.rows += report.rows;
    }

    fn loss(&self) -> f64 {
        self.loss / self.rows as f64
    }
}

impl<'a> Fit<'a> {
    pub(crate) fn new(
        net: Network<'a, f32>,
        evaluator: Evaluator<'a>,
        options: &'a Options,
        splits: &Splits,
        preprocess: &'a Preprocess,
        rows: usize,
    ) -> Outcome<Self> {
        let parts = Parts::new(evaluator.level, splits, preprocess)?;
        Ok(Self::on(net, evaluator, options, parts, preprocess, rows))
    }

    /// On rows that are preprocessed already.
    pub(crate) fn on(
        net: Network<'a, f32>,
        evaluator: Evaluator<'a>,
        options: &'a Options,
        parts: Parts,
        preprocess: &'a Preprocess,
        rows: usize,
    ) -> Self {
        let Parts { train, validation, test, classes } = parts;
        Self {
            net,
            evaluator,
            options,
            preprocess,
            classes,
            order: vec![0; train.labels.len()],
            inputs: vec![0.0; rows * train.width],
            labels: vec![0; rows],
            validation,
            test,
            train,
            rows,
            first_loss: 0.0,
            allocations: 0,
            steps: 0,
            quiet: false,
        }
    }

    /// Trains for one epoch (from 1) and validates.
    ///
    /// The order of the rows follows from the seed and the epoch's number, dropped units from the seed and the step's:
    /// a run that goes on from a checkpoint takes the same steps. A last batch of one row, which batch norm cannot
    /// normalise, is left out; another row is left out in the next epoch.
    pub(crate) fn epoch(&mut self, epoch: u32) -> Outcome<Trained> {
        let begun = Instant::now();
        let lr = self.options.lr * libm::pow(self.options.lr_decay, f64::from(epoch - 1));
        let update = Update {
            optimizer: network::optimizer(self.options),
            learning_rate: lr,
            regularisation: self.options.reg,
        };
        let mut order = std::mem::take(&mut self.order);
        shuffle(self.options.seed, u64::from(epoch), &mut order);
        let sums = self.steps(epoch, &order, &update);
        self.order = order;
        let sums = match sums? {
            Stepped::Done(sums) => sums,
            Stepped::Interrupted => return Ok(Trained::Interrupted),
            Stepped::Diverged(what) => return Ok(Trained::Diverged(what)),
        };
        let samples_per_s = sums.rows as f64 / begun.elapsed().as_secs_f64();
        let validation = self.evaluate(&self.validation)?;
        Ok(Trained::Epoch(Epoch {
            epoch,
            train_loss: sums.loss(),
            val_loss: validation.loss,
            train_acc: sums.correct as f64 / sums.rows as f64,
            val_acc: validation.accuracy(),
            lr,
            update_ratio: network::update_ratios(&self.net),
            samples_per_s,
            seconds: begun.elapsed().as_secs_f64(),
        }))
    }

    /// Loss and accuracy on the test rows.
    pub(crate) fn test(&self) -> Outcome<Evaluation> {
        self.evaluate(&self.test)
    }

    fn evaluate(&self, rows: &Inputs) -> Outcome<Evaluation> {
        self.evaluator.evaluate(&|net| network::copy(&self.net, net), rows)
    }

    fn steps(&mut self, epoch: u32, order: &[u32], update: &Update) -> Outcome<Stepped> {
        let normalises = network::normalises(self.net.layers());
        let mut progress = (!self.quiet).then(|| Progress::new(format!("epoch {epoch:>3}"), order.len()));
        let (mut sums, mut recent) = (Sums::default(), Sums::default());
        for rows in order.chunks(self.rows) {
            if normalises && rows.len() == 1 {
                continue;
            }
            let (allocations, report) = allocations::count(|| self.step(rows, update));
            self.allocations += allocations;
            self.steps += 1;
            let report = report.map_err(|error| Failure::failed(format!("training: {error}")))?;
            if self.net.steps() == 1 {
                self.first_loss = report.loss;
            }
            sums.add(&report);
            recent.add(&report);
            if recent.rows >= WINDOW || !report.loss.is_finite() {
                if let Some(what) = self.exploded(recent.loss()) {
                    return Ok(Stepped::Diverged(what));
                }
                recent = Sums::default();
            }
            if interrupt::asked() {
                return Ok(Stepped::Interrupted);
            }
            if let Some(progress) = &mut progress {
                progress.set(sums.rows, || format!("loss {:.4}", sums.loss()));
            }
        }
        match self.exploded(recent.loss()) {
            Some(what) if recent.rows > 0 => Ok(Stepped::Diverged(what)),
            _ => Ok(Stepped::Done(sums)),
        }
    }

    fn step(&mut self, rows: &[u32], update: &Update) -> Result<StepReport, Error> {
        let width = self.train.width;
        let (inputs, labels) = (&mut self.inputs[..rows.len() * width], &mut self.labels[..rows.len()]);
        gather(&self.train.values, width, rows, inputs)?;
        gather(&self.train.labels, 1, rows, labels)?;
        self.net.step(inputs, labels, update)
    }

    /// A loss that exploded will not come back: there is no point in going on.
    ///
    /// A first step may be lucky, above all with a small batch: it is not held below the loss of guessing, ln C.
    fn exploded(&self, loss: f64) -> Option<String> {
        let guessing = libm::log(self.classes as f64);
        let first = self.first_loss.max(guessing);
        if loss <= EXPLODED * first {
            return None;
        }
        Some(if loss.is_finite() {
            format!("the loss has grown to {loss:.3} from {first:.3}")
        } else {
            "the loss is no longer finite".into()
        })
    }
}

/// What came of an epoch's steps.
enum Stepped {
    Done(Sums),
    Interrupted,
    Diverged(String),
}

/// Rows whose mean loss tells whether training diverges: a few unlucky ones do not.
const WINDOW: usize = 1024;
/// How many times the first loss is too much (CS231n, Babysitting the learning process).
const EXPLODED: f64 = 3.0;
