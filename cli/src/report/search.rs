//! The part of the page on a search.

use super::numbers::{percent, thousands};
use super::page::Page;
use crate::error::Outcome;
use crate::events::{Study, Trial};

/// The best trials.
pub(super) fn draw(page: &mut Page, studies: &[Study]) -> Outcome<()> {
    for study in studies {
        let best = best(study);
        let accuracy = best.and_then(|trial| trial.val_acc).map_or_else(|| "–".into(), percent);
        let lead = format!("{} trials, best validation accuracy {accuracy}", thousands(study.trials.len()));
        page.part(&study.name, &lead);
    }
    Ok(())
}

/// The trial of the highest validation accuracy, the first of equals.
fn best(study: &Study) -> Option<&Trial> {
    study
        .trials
        .iter()
        .filter(|trial| trial.val_acc.is_some())
        .reduce(|best, trial| if trial.val_acc > best.val_acc { trial } else { best })
}
