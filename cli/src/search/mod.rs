//! `slicewise search`: hyper-parameters from coarse to fine.
//!
//! Every trial follows from the search's seed and its number: a journal says which trials are done, and whoever has it (the
//! same process later, another thread, another machine) runs the others to the same results.

mod args;
pub(crate) mod journal;
mod material;
mod output;
mod plan;
mod rounds;
mod space;
mod trial;

use crate::args::{RateArgs, WidthArgs, options};
use crate::console::Console;
use crate::error::{Failure, Outcome};
use crate::evaluate::threads;
use crate::{files, interrupt, network};
use args::Shard;
use journal::{Contents, Journal};
use material::Material;
use output::Output;
use plan::Plan;
use rounds::{Ended, Rounds};
use std::path::PathBuf;

pub(crate) use args::SearchArgs;

/// The journal's name in a directory.
pub(crate) const FILE: &str = "journal.log";

/// Searches, or goes on searching.
pub(crate) fn search(arguments: &SearchArgs) -> Outcome<()> {
    interrupt::watch()?;
    let console = Console::new(arguments.machine.json);
    let level = network::level(arguments.machine.level)?;
    let mut splits = arguments.data.source().load(arguments.data.label.as_deref())?;
    let checksum = splits.checksum();
    material::cut(&mut splits, arguments.subset)?;
    let (rates, widths) = (RateArgs::default(), WidthArgs::default());
    let (rows, channels) = (splits.train.len(), splits.train.shape.channels);
    let epochs = arguments.rounds()?.1.into_iter().min();
    let (data, units, rule) = (&arguments.data, &arguments.units(), &arguments.rule);
    let base = options(data, &widths, units, &rates, rule, epochs, rows, channels)?;
    let plan = Plan::new(arguments, base, checksum, level)?;
    let materials = Material::for_trials(level, &splits, &plan)?;

    let definition = plan.definition()?;
    let shard = arguments.shard.map(|shard| shard.to_string());
    let mut known = Vec::new();
    for path in &arguments.others {
        let contents = Contents::read(path)?;
        contents.check_definition(&definition).map_err(|failure| failure.at(path.display()))?;
        known.push(contents);
    }
    let path = journal_path(arguments)?;
    let journal = match &path {
        Some(path) => {
            let name = format!("slicewise search: {}", splits.name);
            let (mut journal, contents) = Journal::open(path, &name, &definition, shard.as_deref())?;
            if contents.definition.as_ref() != Some(&definition) {
                journal.redefine(&definition)?;
            }
            // The search's own journal counts before the others.
            known.insert(0, contents);
            Some(journal)
        }
        None => None,
    };
    let output =
        Output { console, plan: &plan, splits: &splits, shard: arguments.shard, path: path.as_deref() };
    output.heading(&known, threads(arguments.machine.threads))?;
    let mut rounds = Rounds {
        plan: &plan,
        level,
        materials: &materials,
        threads: threads(arguments.machine.threads),
        shard: arguments.shard.unwrap_or(Shard::WHOLE),
        output: &output,
        journal,
        trials: rounds::known(&known),
    };
    let ended = rounds.run();
    drop(rounds);
    // What is there can be looked at, however the search ended.
    let drawn = arguments.out.as_deref().map_or(Ok(()), crate::report::rebuild);
    let best = match ended? {
        Ended::Waiting => return drawn,
        Ended::Best(best) => best,
    };
    drawn?;
    // The folds have no test rows.
    let material = match plan.folds {
        Some(_) => &Material::whole(level, &splits, &plan)?,
        None => &materials[0],
    };
    let options = plan.space.options(&plan.options, &best.values, best.of_epochs);
    let (test, epoch) = trial::test(material, &options, level, best.of_epochs)?
        .ok_or_else(|| output.interrupted("while the best trial was trained again for the test"))?;
    output.done(&best, &options, &test, epoch)
}

fn journal_path(arguments: &SearchArgs) -> Outcome<Option<PathBuf>> {
    if let Some(directory) = &arguments.out {
        if directory.exists() && !directory.is_dir() {
            return Err(Failure::unusable("is no directory: --out needs one").at(directory.display()));
        }
        files::make_directory(directory)?;
        return Ok(Some(directory.join(FILE)));
    }
    Ok(arguments.journal.clone())
}
