//! What a search is: everything that decides which trials there are and what they give.

use super::args::{SearchArgs, Strategy};
use super::space::Space;
use crate::error::{Failure, Outcome};
use crate::options::Options;
use serde_json::{Value, json};
use slicewise::Level;
use slicewise::search::Halving;

/// A search, whoever runs it and on whatever threads.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// What trials share.
    pub(crate) options: Options,
    /// Where the first round looks.
    pub(crate) space: Space,
    pub(crate) strategy: Strategy,
    /// Trials of each round, and epochs of each of its trials.
    pub(crate) trials: Vec<u32>,
    pub(crate) epochs: Vec<u32>,
    pub(crate) halving: Option<u32>,
    pub(crate) folds: Option<u32>,
    pub(crate) subset: Option<u32>,
    /// Of the whole data set.
    pub(crate) checksum: u32,
    /// Whether products are rounded before they are added: the last bits differ.
    pub(crate) portable: bool,
}

impl Plan {
    pub(crate) fn new(
        arguments: &SearchArgs,
        mut options: Options,
        checksum: u32,
        level: Level,
    ) -> Outcome<Self> {
        let (trials, epochs) = arguments.rounds()?;
        let space = Space::new(arguments, &mut options)?;
        Ok(Self {
            options,
            space,
            strategy: arguments.strategy,
            trials,
            epochs,
            halving: arguments.halving,
            folds: arguments.folds,
            subset: arguments.subset,
            checksum,
            portable: level == Level::Portable,
        })
    }

    /// The rungs of a round (from 0) of so many trials.
    pub(crate) fn rungs(&self, round: usize, trials: usize) -> Outcome<Halving> {
        let epochs = self.epochs[round];
        match self.halving {
            None => Ok(Halving::none(trials, epochs)),
            Some(eta) => Halving::new(trials, epochs, eta)
                .map_err(|error| Failure::failed(format!("successive halving: {error}"))),
        }
    }

    /// As a journal keeps it.
    pub(crate) fn definition(&self) -> Outcome<Value> {
        let options = serde_json::to_value(&self.options)
            .map_err(|error| Failure::failed(format!("cannot write JSON: {error}")))?;
        let mut definition = json!({
            "strategy": self.strategy,
            "trials": self.trials,
            "epochs": self.epochs,
            "halving": self.halving,
            "folds": self.folds,
            "subset": self.subset,
            "checksum": self.checksum,
            "portable": self.portable,
        });
        let parameters: serde_json::Map<String, Value> = self
            .space
            .0
            .iter()
            .map(|parameter| {
                let range = parameter.range;
                (parameter.name.clone(), json!([range.low(), range.high()]))
            })
            .collect();
        if let (Some(all), Value::Object(options)) = (definition.as_object_mut(), options) {
            // The ranges stand where the options have what would be used without a search.
            all.extend(options.into_iter().filter(|(name, _)| name != "epochs"));
            all.extend(parameters);
        }
        Ok(definition)
    }
}

/// Where two searches differ, in words: `--seed is 1 there, not 2`. Where the data lies makes no difference: what it is does.
/// `ours` may have more trials than `theirs` had so far: in its last round, or in further rounds.
pub(crate) fn difference(ours: &Value, theirs: &Value) -> Option<String> {
    let (Some(ours_all), Some(theirs_all)) = (ours.as_object(), theirs.as_object()) else {
        return Some("it was written by another version".into());
    };
    let names = ours_all.keys().chain(theirs_all.keys());
    for name in names.filter(|name| *name != "data") {
        let (mine, other) = (&ours[name], &theirs[name]);
        let goes_on = match name.as_str() {
            "trials" => ours["strategy"] == "random" && ours["halving"].is_null() && extends(mine, other),
            "epochs" => begins(mine, other),
            _ => false,
        };
        if mine != other && !goes_on {
            return Some(match name.as_str() {
                "checksum" => "its data is other data".into(),
                "portable" => "it began on a CPU of another kind, or with another --level".into(),
                _ => format!("--{} is {other} there, not {mine}", name.replace('_', "-")),
            });
        }
    }
    None
}

/// Whether every round but their last is the same, and that one no shorter.
fn extends(mine: &Value, other: &Value) -> bool {
    let (Some(mine), Some(other)) = (mine.as_array(), other.as_array()) else { return false };
    let Some((last, before)) = other.split_last() else { return false };
    mine.starts_with(before)
        && mine.get(before.len()).is_some_and(|count| count.as_u64() >= last.as_u64())
        // A round that others follow from cannot grow any more.
        && (mine.len() == other.len() || mine.get(before.len()) == Some(last))
}

fn begins(mine: &Value, other: &Value) -> bool {
    match (mine.as_array(), other.as_array()) {
        (Some(mine), Some(other)) => mine.starts_with(other),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_may_grow_at_its_end_only() {
        let search = |trials: Value, epochs: Value| json!({"strategy": "random", "halving": null, "trials": trials, "epochs": epochs});
        let theirs = search(json!([60, 20]), json!([5, 10]));
        for (trials, epochs, same) in [
            (json!([60, 20]), json!([5, 10]), true),
            (json!([60, 40]), json!([5, 10]), true),
            (json!([60, 20, 7]), json!([5, 10, 20]), true),
            (json!([60, 40, 7]), json!([5, 10, 20]), false),
            (json!([60, 10]), json!([5, 10]), false),
            (json!([61, 20]), json!([5, 10]), false),
            (json!([60]), json!([5]), false),
            (json!([60, 20]), json!([5, 11]), false),
        ] {
            let difference = difference(&search(trials.clone(), epochs), &theirs);
            assert_eq!(difference.is_none(), same, "{trials}: {difference:?}");
        }
        let mut halved = theirs.clone();
        halved["halving"] = json!(3);
        assert_eq!(difference(&halved, &theirs).unwrap(), "--halving is null there, not 3");
        assert!(difference(&theirs, &json!(null)).is_some());
    }
}
