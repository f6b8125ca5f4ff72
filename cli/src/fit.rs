//! Training: the epochs of a run.

use crate::best::Best;
use crate::console::Progress;
use crate::data::Splits;
use crate::error::{Failure, Outcome};
use crate::evaluate::Evaluator;
use crate::events::Activations;
use crate::inputs::{Inputs, Preprocess};
use crate::interrupt;
use crate::live::Live;
use crate::metrics::Epoch;
use crate::network;
use crate::options::{self, Options};
use crate::pool::Net;
use crate::{activations, allocations};
use slicewise::batches::{gather, shuffle};
use slicewise::schedule::{Schedule, warm_up};
use slicewise::search::EXPLODED;
use slicewise::{Error, Evaluation, Level, StepReport, Update};
use std::sync::Arc;
use std::time::Instant;

/// A network in training.
pub(crate) struct Fit<'a> {
    pub(crate) net: Net<'a>,
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
    /// The best epoch so far.
    pub(crate) best: Best,
    /// Where progress is shown, instead of a bar for each epoch.
    pub(crate) live: Option<Live>,
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
        net: Net<'a>,
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
        net: Net<'a>,
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
            best: Best::default(),
            live: None,
            first_loss: 0.0,
            allocations: 0,
            steps: 0,
            quiet: false,
        }
    }

    /// Trains for one epoch (from 1) and validates.
    ///
    /// The order of the rows follows from the seed and the epoch's number, dropped units from the seed and the step's:
    /// a run that goes on from a checkpoint takes the same steps, at the same learning rates. A last batch of one row, which batch norm cannot
    /// normalise, is left out; another row is left out in the next epoch.
    pub(crate) fn epoch(&mut self, epoch: u32) -> Outcome<Trained> {
        let begun = Instant::now();
        let mut order = std::mem::take(&mut self.order);
        shuffle(self.options.seed, u64::from(epoch), &mut order);
        let stepped = self.steps(epoch, &order);
        self.order = order;
        let (sums, lr, activations) = match stepped? {
            Stepped::Done { sums, lr, activations } => (sums, lr, activations),
            Stepped::Interrupted => return Ok(Trained::Interrupted),
            Stepped::Diverged(what) => return Ok(Trained::Diverged(what)),
        };
        let samples_per_s = sums.rows as f64 / begun.elapsed().as_secs_f64();
        let validation = self.evaluate(&self.validation)?;
        let train_acc = sums.correct as f64 / sums.rows as f64;
        let measured = Epoch {
            epoch,
            train_loss: sums.loss(),
            val_loss: validation.loss,
            train_acc,
            val_acc: validation.accuracy(),
            gap: train_acc - validation.accuracy(),
            lr,
            update_ratio: network::update_ratios(&self.net),
            activations,
            samples_per_s,
            seconds: begun.elapsed().as_secs_f64(),
        };
        self.best.offer(&measured, &self.net);
        if let Some(live) = &mut self.live {
            live.epoch(&measured);
        }
        Ok(Trained::Epoch(measured))
    }

    /// Whether the best epoch lies so far back that `--patience` is at its end.
    pub(crate) fn is_stuck(&self, epoch: u32) -> bool {
        let best = self.best.measured().map_or(0, |best| best.epoch);
        self.options.patience.is_some_and(|patience| epoch >= best.saturating_add(patience))
    }

    /// Loss and accuracy on the test rows, with the weights of the best epoch.
    pub(crate) fn test(&self) -> Outcome<Evaluation> {
        match self.best.weights() {
            Some(weights) => self.evaluator.evaluate(&|net| weights.restore(net), &self.test),
            None => self.evaluate(&self.test),
        }
    }

    fn evaluate(&self, rows: &Inputs) -> Outcome<Evaluation> {
        self.evaluator.evaluate(&|net| network::copy(&self.net, net), rows)
    }

    /// The learning rate of an epoch's steps, without the warm-up: constant in an epoch.
    fn learning_rate(&self, epoch: u32) -> f64 {
        let Options { schedule, lr, lr_decay, decay_every, warm_up, epochs, .. } = *self.options;
        let schedule = match schedule {
            options::Schedule::Constant => Schedule::Constant,
            options::Schedule::Step => Schedule::Step { factor: lr_decay, every: decay_every.into() },
            options::Schedule::Exponential => Schedule::Exponential { factor: lr_decay },
            options::Schedule::Inverse => Schedule::Inverse { decay: lr_decay },
            options::Schedule::Cosine => Schedule::Cosine,
        };
        let (done, all) = ((epoch - 1).saturating_sub(warm_up), epochs.saturating_sub(warm_up));
        lr * schedule.factor(done.into(), all.into())
    }

    fn steps(&mut self, epoch: u32, order: &[u32]) -> Outcome<Stepped> {
        let mut update = Update {
            optimizer: network::optimizer(self.options),
            learning_rate: 0.0,
            regularisation: self.options.reg,
        };
        let lr = self.learning_rate(epoch);
        let last_whole = order.len() / self.rows;
        let mut seen = Vec::new();
        let normalises = network::normalises(self.net.layers());
        let is_enough = |rows: usize| rows > usize::from(normalises);
        let steps = order.len() / self.rows + usize::from(is_enough(order.len() % self.rows));
        let rising = u64::from(self.options.warm_up) * steps as u64;
        let mut progress = (!self.quiet).then(|| Progress::new(format!("epoch {epoch:>3}"), order.len()));
        if let Some(live) = &mut self.live {
            live.begin(epoch);
        }
        let (mut sums, mut recent) = (Sums::default(), Sums::default());
        for (rows, number) in order.chunks(self.rows).zip(1..) {
            if !is_enough(rows.len()) {
                continue;
            }
            update.learning_rate = lr * warm_up(self.net.steps(), rising);
            let (allocations, report) = allocations::count(|| self.step(rows, &update));
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
            if number == last_whole {
                // What the step has left in the arena: no further pass through the network.
                seen = activations::measure(&self.net, self.rows)?;
            }
            if let Some(live) = &mut self.live {
                live.step(sums.rows, order.len());
            } else if let Some(progress) = &mut progress {
                progress.set(sums.rows, || format!("loss {:.4}", sums.loss()));
            }
        }
        match self.exploded(recent.loss()) {
            Some(what) if recent.rows > 0 => Ok(Stepped::Diverged(what)),
            _ => Ok(Stepped::Done { sums, lr: update.learning_rate, activations: seen }),
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
    Done {
        sums: Sums,
        /// The last step's learning rate.
        lr: f64,
        activations: Vec<Activations>,
    },
    Interrupted,
    Diverged(String),
}

/// Rows whose mean loss tells whether training diverges: a few unlucky ones do not.
const WINDOW: usize = 1024;
