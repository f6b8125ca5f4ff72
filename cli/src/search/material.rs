//! The rows that trials learn from and are measured on, preprocessed once and shared by all threads.

use super::plan::Plan;
use crate::data::{Splits, Table};
use crate::error::{Failure, Outcome};
use crate::fit::Parts;
use crate::inputs::Preprocess;
use slicewise::Level;
use slicewise::batches::shuffle;

/// Rows, and what they were preprocessed by, which was fitted on those to learn from.
#[derive(Debug)]
pub(crate) struct Material {
    pub(crate) parts: Parts,
    pub(crate) preprocess: Preprocess,
}

/// Keeps the first `rows` of a fixed shuffle of the training rows: the same for every search.
pub(crate) fn cut(splits: &mut Splits, rows: Option<u32>) -> Outcome<()> {
    let Some(rows) = rows.map(|rows| rows as usize) else { return Ok(()) };
    let there = splits.train.len();
    if rows > there {
        let message = format!("--subset {rows}: there are {there} training rows");
        return Err(Failure::unusable(message));
    }
    let kept: Vec<usize> = shuffled(there).into_iter().take(rows).collect();
    splits.train = splits.train.select(&kept);
    Ok(())
}

impl Material {
    /// What trials are measured with: the training and validation rows, or one pair for each fold of the training rows.
    pub(crate) fn for_trials(level: Level, splits: &Splits, plan: &Plan) -> Outcome<Vec<Self>> {
        let Some(folds) = plan.folds else { return Ok(vec![Self::whole(level, splits, plan)?]) };
        let rows = splits.train.len();
        if rows < 2 * folds as usize {
            let message = format!("--folds {folds}: {rows} training rows are too few");
            return Err(Failure::unusable(message));
        }
        let folds = stratified(&splits.train, folds as usize);
        let one = |held: usize| {
            let others: Vec<usize> = folds
                .iter()
                .enumerate()
                .filter(|(fold, _)| *fold != held)
                .flat_map(|(_, rows)| rows)
                .copied()
                .collect();
            let validation = splits.train.select(&folds[held]);
            // Nothing looks at a fold's test rows.
            let test = validation.select(&[0]);
            Self::whole(
                level,
                &Splits { train: splits.train.select(&others), validation, test, ..splits.clone() },
                plan,
            )
        };
        (0..folds.len()).map(one).collect()
    }

    /// The three parts as they are.
    pub(crate) fn whole(level: Level, splits: &Splits, plan: &Plan) -> Outcome<Self> {
        let preprocess = Preprocess::fit(level, &splits.train, &plan.options)?;
        Ok(Self { parts: Parts::new(level, splits, &preprocess)?, preprocess })
    }
}

/// Every row in one fold, and every class with its share in each, give or take one row.
fn stratified(table: &Table, folds: usize) -> Vec<Vec<usize>> {
    let mut rows = shuffled(table.len());
    rows.sort_by_key(|row| table.labels[*row]);
    (0..folds).map(|fold| rows.iter().skip(fold).step_by(folds).copied().collect()).collect()
}

fn shuffled(rows: usize) -> Vec<usize> {
    let mut order = vec![0; rows];
    // Any seed would do, as long as it never changes.
    shuffle(231, 0, &mut order);
    order.into_iter().map(|row| row as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Source;

    #[test]
    fn every_row_is_in_one_fold_and_every_class_has_its_share() {
        let train = Source::Digits.load(None).unwrap().train;
        let folds = stratified(&train, 5);
        let mut all = folds.concat();
        all.sort_unstable();
        assert_eq!(all, (0..train.len()).collect::<Vec<_>>());
        for class in 0..10 {
            let of_class = |rows: &[usize]| rows.iter().filter(|row| train.labels[**row] == class).count();
            let counts: Vec<usize> = folds.iter().map(|rows| of_class(rows)).collect();
            let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
            assert!(most - least <= 1, "class {class}: {counts:?}");
        }
    }

    #[test]
    fn a_smaller_subset_is_the_beginning_of_a_larger_one() {
        let whole = Source::Digits.load(None).unwrap();
        let subset = |rows| {
            let mut splits = whole.clone();
            cut(&mut splits, Some(rows)).unwrap();
            splits
        };
        let (small, large) = (subset(50), subset(100));
        assert_eq!(small.train.labels, large.train.labels[..50]);
        assert_eq!((large.train.len(), &large.validation), (100, &whole.validation));
        assert!(cut(&mut whole.clone(), Some(1198)).unwrap_err().to_string().contains("there are 1197"));
    }
}
