//! The rounds of a search: which trials are to be run, on several threads, and what follows from them.

use super::args::Shard;
use super::journal::{Block, Contents, Ending, Journal};
use super::material::Material;
use super::output::Output;
use super::plan::Plan;
use super::space::{Space, Values};
use super::trial::{self, Outcomes};
use crate::error::{Failure, Outcome};
use crate::events::{Trial, TrialState};
use slicewise::Level;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, SystemTime};

/// A search that runs.
pub(crate) struct Rounds<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) level: Level,
    pub(crate) materials: &'a [Material],
    pub(crate) threads: usize,
    pub(crate) shard: Shard,
    pub(crate) output: &'a Output<'a>,
    pub(crate) journal: Option<Journal>,
    /// What is known of the trials, by number.
    pub(crate) trials: BTreeMap<u64, Known>,
}

/// What is known of a trial.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Known {
    pub(crate) values: Values,
    pub(crate) round: u32,
    /// Validation accuracies of its epochs so far.
    pub(crate) accuracies: Vec<f64>,
    /// Why it was stopped, where it was.
    pub(crate) reason: Option<String>,
    /// How it ended, where it did.
    pub(crate) state: TrialState,
}

/// The trial to choose.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Best {
    pub(crate) number: u64,
    pub(crate) trial: Trial,
    pub(crate) values: Values,
    /// The epochs that it was planned for.
    pub(crate) of_epochs: u32,
}

/// How a search ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// All rounds are over.
    Best(Best),
    /// Other shards' trials are needed.
    Waiting,
}

/// What the journals say of the search's trials. A trial that several tell of is taken from the first.
pub(crate) fn known(journals: &[Contents]) -> BTreeMap<u64, Known> {
    let mut trials = BTreeMap::new();
    for contents in journals {
        for (number, record) in contents.own() {
            trials.entry(number).or_insert_with(|| Known {
                values: record.values.clone(),
                round: record.round,
                accuracies: record.accuracies.values().copied().collect(),
                reason: record.reason.clone(),
                state: record.state,
            });
        }
    }
    trials
}

/// A round: its trials, and where they come from.
struct Round<'a> {
    /// From 1.
    number: u32,
    space: &'a Space,
    values: BTreeMap<u64, Values>,
    /// The epochs that its schedule is for.
    epochs: u32,
}

impl Rounds<'_> {
    /// Runs what is left to run.
    pub(crate) fn run(&mut self) -> Outcome<Ended> {
        let mut space = self.plan.space.clone();
        let mut first = 0;
        let mut best: Option<Best> = None;
        for index in 0..self.plan.trials.len() {
            let asked = self.plan.trials[index] as usize;
            let count = space.trials(self.plan.strategy, asked);
            let (strategy, seed) = (self.plan.strategy, self.plan.options.seed);
            let values =
                |i: usize| (first + i as u64, space.values(strategy, seed, first + i as u64, i, asked));
            let round = Round {
                number: index as u32 + 1,
                space: &space,
                values: (0..count).map(values).collect(),
                epochs: self.plan.epochs[index],
            };
            self.check(&round)?;
            let Some(ranked) = self.round(&round, index)? else { return Ok(Ended::Waiting) };
            let Some(winner) = ranked.first() else {
                return Err(Failure::failed(format!(
                    "all {count} trials of round {} diverged: look for smaller values of --lr",
                    round.number
                )));
            };
            // The best eighth shows where to look next; three at least, for one or two may be luck.
            let leading = ranked.len().min(3.max(count.div_ceil(8)));
            let leaders: Vec<&Values> =
                ranked[..leading].iter().filter_map(|number| round.values.get(number)).collect();
            let (next, edges) = space.refine(&leaders);
            let of_round = self.best(*winner, round.epochs);
            self.output.round(round.number, &of_round, &space, &next, &edges)?;
            if best.as_ref().is_none_or(|best| best.trial.val_acc < of_round.trial.val_acc) {
                best = Some(of_round);
            }
            first += count as u64;
            space = next;
        }
        best.map(Ended::Best).ok_or_else(|| Failure::failed("the search has no trials"))
    }

    /// Runs a round; its trials that went to their end, the best first. None where other shards' are missing.
    fn round(&mut self, round: &Round<'_>, index: usize) -> Outcome<Option<Vec<u64>>> {
        let halving = self.plan.rungs(index, round.values.len())?;
        let mut running: Vec<u64> = round.values.keys().copied().collect();
        for rung in 0..halving.rungs() {
            let wanted = halving.rung(rung);
            let left = running.split_off(running.len().min(wanted.trials));
            for number in left {
                let reason = format!("{} others did better by then", wanted.trials);
                self.close(round, number, TrialState::Pruned, Some(reason))?;
            }
            let last = rung + 1 == halving.rungs();
            self.rung(round, &running, wanted.epochs, last)?;
            let missing = running.iter().filter(|number| !self.reached(**number, wanted.epochs)).count();
            if missing > 0 {
                self.output.waiting(round.number, missing, running.len())?;
                return Ok(None);
            }
            running.retain(|number| self.trials.get(number).is_some_and(|trial| trial.reason.is_none()));
            running.sort_by(|a, b| self.score(*b).total_cmp(&self.score(*a)).then(a.cmp(b)));
        }
        Ok(Some(running))
    }

    /// Brings trials to so many epochs, those of this shard that are not there yet.
    fn rung(&mut self, round: &Round<'_>, numbers: &[u64], epochs: u32, last: bool) -> Outcome<()> {
        let mut numbers = numbers.to_vec();
        numbers.sort_unstable();
        for number in &numbers {
            // Its block was cut short before its last line.
            if self.reached(*number, epochs) {
                let diverged = self.trials.get(number).and_then(|trial| trial.reason.clone());
                if diverged.is_some() {
                    self.close(round, *number, TrialState::Pruned, diverged)?;
                } else if last {
                    self.close(round, *number, TrialState::Complete, None)?;
                }
            }
        }
        let wanted = |number: &u64| self.shard.runs(*number) && !self.reached(*number, epochs);
        let jobs: Vec<u64> = numbers.into_iter().filter(wanted).collect();
        if jobs.is_empty() {
            return Ok(());
        }
        let (plan, materials, level) = (self.plan, self.materials, self.level);
        let (next, begun, stop) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
        let proceed = || {
            begun.fetch_add(1, Ordering::Relaxed);
            !stop.load(Ordering::Relaxed)
        };
        let work = |sender: mpsc::Sender<(u64, SystemTime, Outcome<Option<Outcomes>>)>| {
            while let Some(number) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let started = SystemTime::now();
                let options = round.space.options(&plan.options, &round.values[number], round.epochs);
                let outcomes = trial::run(materials, &options, level, epochs, &proceed);
                if stop.load(Ordering::Relaxed) || sender.send((*number, started, outcomes)).is_err() {
                    return;
                }
            }
        };
        let total = jobs.len() * epochs as usize * materials.len();
        let label = format!("round {}", round.number);
        thread::scope(|scope| {
            let (sender, receiver) = mpsc::channel();
            let work = &work;
            for _ in 0..self.threads.min(jobs.len()) {
                let sender = sender.clone();
                scope.spawn(move || work(sender));
            }
            drop(sender);
            let mut progress = self.output.progress(&label, total);
            loop {
                let handled = match receiver.recv_timeout(Duration::from_millis(100)) {
                    Err(RecvTimeoutError::Disconnected) => return Ok(()),
                    Err(RecvTimeoutError::Timeout) => {
                        progress.set(begun.load(Ordering::Relaxed), String::new);
                        continue;
                    }
                    Ok((number, started, outcomes)) => {
                        progress = self.output.progress(&label, total);
                        outcomes.and_then(|outcomes| match outcomes {
                            Some(outcomes) => self.ended(round, number, started, outcomes, last),
                            None => Err(self.output.interrupted(&format!("in round {}", round.number))),
                        })
                    }
                };
                if handled.is_err() {
                    stop.store(true, Ordering::Relaxed);
                    return handled;
                }
            }
        })
    }

    /// Notes what came of a trial, in the journal first.
    fn ended(
        &mut self,
        round: &Round<'_>,
        number: u64,
        started: SystemTime,
        outcomes: Outcomes,
        last: bool,
    ) -> Outcome<()> {
        let Outcomes { accuracies, diverged } = outcomes;
        let values = &round.values[&number];
        let before = self.trials.get(&number).map_or(0, |trial| trial.accuracies.len());
        let state = match (&diverged, last) {
            (Some(_), _) => TrialState::Pruned,
            (None, true) => TrialState::Complete,
            (None, false) => TrialState::Running,
        };
        let ending = (state != TrialState::Running).then_some(Ending {
            state,
            value: largest(&accuracies),
            reason: diverged.as_deref(),
        });
        if let Some(journal) = &mut self.journal {
            let new = accuracies.get(before..).unwrap_or_default();
            let (space, round) = (round.space, round.number);
            let before = before as u32;
            journal.append(&Block {
                number,
                round,
                space,
                values,
                started,
                accuracies: new,
                before,
                ending,
            })?;
        }
        let trial =
            Known { values: values.clone(), round: round.number, accuracies, reason: diverged, state };
        self.trials.insert(number, trial);
        self.tell(number)
    }

    /// Ends a trial of this shard that has not ended.
    fn close(
        &mut self,
        round: &Round<'_>,
        number: u64,
        state: TrialState,
        reason: Option<String>,
    ) -> Outcome<()> {
        let Some(trial) = self.trials.get_mut(&number) else { return Ok(()) };
        if trial.state != TrialState::Running || !self.shard.runs(number) {
            return Ok(());
        }
        let value = largest(&trial.accuracies);
        // A trial that had diverged has its reason in the journal already.
        let new_reason = if trial.reason.is_none() { reason.as_deref() } else { None };
        if let Some(journal) = &mut self.journal {
            journal.append(&Block {
                number,
                round: round.number,
                space: round.space,
                values: &round.values[&number],
                started: SystemTime::now(),
                accuracies: &[],
                before: trial.accuracies.len() as u32,
                ending: Some(Ending { state, value, reason: new_reason }),
            })?;
        }
        trial.state = state;
        trial.reason = reason;
        self.tell(number)
    }

    fn tell(&self, number: u64) -> Outcome<()> {
        match self.trials.get(&number) {
            Some(known) if known.state != TrialState::Running => {
                self.output.trial(&known.trial(number), known.reason.as_deref())
            }
            _ => Ok(()),
        }
    }

    /// Whether the journals' trials are those of this round: bit for bit, since each is drawn again here.
    fn check(&self, round: &Round<'_>) -> Outcome<()> {
        for (number, values) in &round.values {
            if self.trials.get(number).is_some_and(|known| known.values != *values) {
                return Err(Failure::unusable(format!(
                    "trial {number} in the journal has other values than this search draws: was it changed?"
                )));
            }
        }
        Ok(())
    }

    fn reached(&self, number: u64, epochs: u32) -> bool {
        self.trials
            .get(&number)
            .is_some_and(|trial| trial.accuracies.len() >= epochs as usize || trial.reason.is_some())
    }

    fn score(&self, number: u64) -> f64 {
        self.trials.get(&number).and_then(|trial| largest(&trial.accuracies)).unwrap_or(0.0)
    }

    fn best(&self, number: u64, of_epochs: u32) -> Best {
        let known = &self.trials[&number];
        Best { number, trial: known.trial(number), values: known.values.clone(), of_epochs }
    }
}

impl Known {
    fn trial(&self, number: u64) -> Trial {
        Trial {
            number: number as usize,
            round: self.round,
            parameters: self.values.clone(),
            val_acc: largest(&self.accuracies),
            state: self.state,
            epochs: self.accuracies.len() as u32,
        }
    }
}

fn largest(accuracies: &[f64]) -> Option<f64> {
    accuracies.iter().copied().reduce(f64::max)
}
