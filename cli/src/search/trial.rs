//! One trial: a network trained with one set of hyper-parameters, on one thread.

use super::material::Material;
use crate::error::{Failure, Outcome};
use crate::evaluate::Evaluator;
use crate::fit::{Fit, Trained};
use crate::network::{self, Memory};
use crate::options::Options;
use crate::pool::ONE;
use crate::train;
use slicewise::{Evaluation, Level, arena_len};

/// What came of a trial.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Outcomes {
    /// Validation accuracy after each epoch; the folds' mean.
    pub(crate) accuracies: Vec<f64>,
    /// How its loss exploded, if it did.
    pub(crate) diverged: Option<String>,
}

/// Trains for so many epochs, on each fold in turn. None where someone asked to stop.
///
/// The result depends on its arguments alone: not on the threads that run other trials, nor on what this one ran before.
pub(crate) fn run(
    materials: &[Material],
    options: &Options,
    level: Level,
    epochs: u32,
    proceed: &(dyn Fn() -> bool + Sync),
) -> Outcome<Option<Outcomes>> {
    let mut sums: Vec<f64> = vec![0.0; epochs as usize];
    let mut diverged = None;
    for material in materials {
        let mut done = 0;
        // Beyond the epoch in which an earlier fold diverged there is no mean.
        let wanted = sums.len() as u32;
        let finished = with_fit(material, options, level, |fit| {
            while done < wanted {
                if !proceed() {
                    return Ok(false);
                }
                match fit.epoch(done + 1)? {
                    Trained::Epoch(measured) => sums[done as usize] += measured.val_acc,
                    Trained::Interrupted => return Ok(false),
                    Trained::Diverged(what) => {
                        diverged.get_or_insert(what);
                        break;
                    }
                }
                done += 1;
            }
            Ok(true)
        })?;
        if !finished {
            return Ok(None);
        }
        sums.truncate(done as usize);
    }
    let accuracies = sums.into_iter().map(|sum| sum / materials.len() as f64).collect();
    Ok(Some(Outcomes { accuracies, diverged }))
}

/// Trains as a trial did, and looks at the test rows once, with the weights of the best epoch, as `slicewise train` does; and
/// which that was. None where someone asked to stop.
pub(crate) fn test(
    material: &Material,
    options: &Options,
    level: Level,
    epochs: u32,
) -> Outcome<Option<(Evaluation, u32)>> {
    with_fit(material, options, level, |fit| {
        for epoch in 1..=epochs {
            match fit.epoch(epoch)? {
                Trained::Epoch(_) => {}
                Trained::Interrupted => return Ok(None),
                Trained::Diverged(what) => {
                    return Err(Failure::failed(format!("the best trial, trained again: {what}")));
                }
            }
        }
        let epoch = fit.best.measured().map_or(epochs, |best| best.epoch);
        Ok(Some((fit.test()?, epoch)))
    })
}

fn with_fit<R>(
    material: &Material,
    options: &Options,
    level: Level,
    work: impl FnOnce(&mut Fit<'_>) -> Outcome<R>,
) -> Outcome<R> {
    let Material { parts, preprocess } = material;
    let layers = network::layers(&network::describe(options, parts.train.width, parts.classes));
    let rows = options.batch.min(parts.train.labels.len());
    if rows == 1 && network::normalises(&layers) {
        return Err(Failure::unusable("batch norm needs --batch 2 or more; or choose --norm none"));
    }
    let mut memory = Memory::new(arena_len(&layers, rows))?;
    let net = train::bind(&layers, rows, level, &ONE, memory.slice(), options)?;
    let evaluator = Evaluator { layers: &layers, level, threads: 1 };
    let mut fit = Fit::on(net, evaluator, options, parts.clone(), preprocess, rows);
    fit.quiet = true;
    work(&mut fit)
}
