//! What a search prints.

use super::args::Shard;
use super::journal::Contents;
use super::plan::Plan;
use super::rounds::Best;
use super::space::{Space, Values, short};
use crate::args::{DataArgs, RateArgs, RuleArgs, UnitArgs, WidthArgs, options};
use crate::console::{Console, Progress};
use crate::data::Splits;
use crate::error::{Failure, Outcome};
use crate::events::{Trial, TrialState};
use crate::network;
use crate::options::{Options, name_of};
use crate::report::thousands;
use serde_json::{Value, json};
use slicewise::Evaluation;
use slicewise::search::Edge;
use std::collections::BTreeMap;
use std::path::Path;

/// Where a search's results go.
pub(crate) struct Output<'a> {
    pub(crate) console: Console,
    pub(crate) plan: &'a Plan,
    pub(crate) splits: &'a Splits,
    pub(crate) shard: Option<Shard>,
    pub(crate) path: Option<&'a Path>,
}

impl Output<'_> {
    /// What is searched, and what the journals hold of it.
    pub(crate) fn heading(&self, known: &[Contents], threads: usize) -> Outcome<()> {
        let (plan, splits) = (self.plan, self.splits);
        self.console.say(|| {
            let measured = match plan.folds {
                Some(folds) => format!("{folds} folds of them to validate"),
                None => format!("{} to validate", thousands(splits.validation.len())),
            };
            let mut text = format!(
                "{}: {} rows to train on, {measured}, {} to test; {}\n",
                splits.name,
                thousands(splits.train.len()),
                thousands(splits.test.len()),
                network::summary(
                    &plan.options,
                    plan.options.pca.unwrap_or(splits.train.features()),
                    splits.classes.len()
                ),
            );
            let list = |counts: &[u32]| counts.iter().map(u32::to_string).collect::<Vec<_>>().join(" + ");
            text += &format!("{} search: {} trials", name_of(&plan.strategy), list(&plan.trials));
            text += &format!(" of {} epochs", list(&plan.epochs).replace(" + ", " and "));
            if let Some(eta) = plan.halving {
                text += &format!(" at most, the best 1/{eta} going on");
            }
            if let Some(shard) = self.shard {
                text += &format!(", of which shard {shard}");
            }
            text +=
                &format!("; {threads} side by side, seed {}\n{}\n", plan.options.seed, ranges(&plan.space));
            let own = |contents: &Contents| contents.own().len();
            let (done, foreign): (usize, usize) = known.iter().fold((0, 0), |(done, foreign), contents| {
                (
                    done + own(contents),
                    foreign + contents.trials.iter().filter(|t| t.number.is_none()).count(),
                )
            });
            if done > 0 {
                text += &format!("{done} trials are in the journal already\n");
            }
            if foreign > 0 {
                text += &format!("{foreign} trials in the journal are another program's, and do not count\n");
            }
            text += "\ntrial  round  ";
            for parameter in &plan.space.0 {
                text += &format!("{:<10} ", parameter.name);
            }
            text + "val_acc  epochs"
        })
    }

    /// A trial that has ended.
    pub(crate) fn trial(&self, trial: &Trial, reason: Option<&str>) -> Outcome<()> {
        self.console.result(trial, || {
            let mut text = format!("{:>5}  {:>5}  ", trial.number, trial.round);
            for parameter in &self.plan.space.0 {
                let value = trial.parameters.get(&parameter.name).copied().unwrap_or(f64::NAN);
                text += &format!("{:<10} ", short(value));
            }
            text += &trial.val_acc.map_or("-      ".into(), |accuracy| format!("{accuracy:<7.4}"));
            text += &format!("  {:>6}", trial.epochs);
            if trial.state == TrialState::Pruned {
                text += &format!("  stopped: {}", reason.unwrap_or("pruned"));
            }
            text
        })
    }

    /// A round that is over.
    pub(crate) fn round(
        &self,
        round: u32,
        best: &Best,
        space: &Space,
        next: &Space,
        edges: &[(String, Edge)],
    ) -> Outcome<()> {
        let warnings: Vec<String> =
            edges.iter().map(|(name, edge)| warning(name, *edge, best, space, next)).collect();
        let bounds = |space: &Space| -> BTreeMap<String, [f64; 2]> {
            space.0.iter().map(|p| (p.name.clone(), [p.range.low(), p.range.high()])).collect()
        };
        let event = json!({
            "event": "round", "round": round, "best": best.trial, "searched": bounds(space), "ranges": bounds(next),
            "edge_warnings": warnings,
        });
        self.console.result(&event, || {
            let accuracy = best.trial.val_acc.unwrap_or_default();
            let mut text = format!(
                "\nround {round}: best is trial {} with {accuracy:.4} ({})\n  the best lie in {}",
                best.number,
                named(&best.values),
                ranges(next)
            );
            for warning in &warnings {
                text += &format!("\n  {warning}");
            }
            text + "\n"
        })
    }

    /// Nothing can be done before other shards have done their part.
    pub(crate) fn waiting(&self, round: u32, missing: usize, of: usize) -> Outcome<()> {
        let event = json!({"event": "waiting", "round": round, "missing": missing});
        self.console.result(&event, || {
            format!(
                "\nround {round}: this shard's part is done; {missing} of {of} trials are other shards': when those are \
                 done, run this again, with --with and the journal of each"
            )
        })
    }

    /// The whole search is over.
    pub(crate) fn done(&self, best: &Best, options: &Options, test: &Evaluation, epoch: u32) -> Outcome<()> {
        let command = command(options)?;
        let event = json!({
            "event": "done", "best": best.trial, "best_epoch": epoch, "test_acc": test.accuracy(),
            "test_loss": test.loss, "command": command,
        });
        self.console.result(&event, || {
            let accuracy = self.console.bold(&format!("test accuracy {:.4}", test.accuracy()));
            let validation = best.trial.val_acc.unwrap_or_default();
            let whole = match (self.plan.subset, self.plan.folds) {
                (Some(_), _) => "with these values on all training rows",
                (None, Some(_)) => "with these values on all folds",
                _ => "again",
            };
            format!(
                "best is trial {} of round {}: validation accuracy {validation:.4} within {} epochs ({})\n\
                 {accuracy}, loss {:.4}, with the weights of epoch {epoch}\n{whole}: {command}",
                best.number,
                best.trial.round,
                best.trial.epochs,
                named(&best.values),
                test.loss
            )
        })
    }

    pub(crate) fn progress(&self, label: &str, epochs: usize) -> Progress {
        Progress::new(label.into(), epochs)
    }

    pub(crate) fn interrupted(&self, when: &str) -> Failure {
        Failure::failed(match self.path {
            Some(path) => format!("interrupted {when}; the same command goes on with {}", path.display()),
            None => format!("interrupted {when}; nothing was saved, for want of --out DIR or --journal FILE"),
        })
    }
}

/// The best value lies at an edge: better ones may lie beyond.
fn warning(name: &str, edge: Edge, best: &Best, space: &Space, next: &Space) -> String {
    let find = |space: &Space| space.0.iter().find(|parameter| parameter.name == name).map(|p| p.range);
    let (Some(range), Some(wider)) = (find(space), find(next)) else { return String::new() };
    let value = short(best.values.get(name).copied().unwrap_or_default());
    let (side, end, beyond) = match edge {
        Edge::Low => ("lower", range.low(), wider.low()),
        Edge::High => ("upper", range.high(), wider.high()),
    };
    if beyond == end {
        return format!(
            "the best {name}, {value}, lies at the {side} edge of its range, which cannot be wider"
        );
    }
    let (end, beyond) = (short(end), short(beyond));
    format!("the best {name}, {value}, lies at the {side} edge of its range, {end}: better ones may lie beyond, up to {beyond}")
        .replace("up to", if edge == Edge::Low { "down to" } else { "up to" })
}

/// `lr 0.0005..0.5, reg 1e-6..0.1`
fn ranges(space: &Space) -> String {
    let one = |p: &super::space::Parameter| {
        format!("{} {}..{}", p.name, short(p.range.low()), short(p.range.high()))
    };
    space.0.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// `lr 0.0483, reg 4.83e-5`
fn named(values: &Values) -> String {
    values.iter().map(|(name, value)| format!("{name} {}", short(*value))).collect::<Vec<_>>().join(", ")
}

/// The `slicewise train` that has these options: those that are not its defaults.
fn command(wanted: &Options) -> Outcome<String> {
    let data = DataArgs { data: Some(wanted.data.clone()), ..DataArgs::default() };
    let rule = RuleArgs { optimizer: Some(wanted.optimizer), ..RuleArgs::default() };
    let (widths, units, rates) = (WidthArgs::default(), UnitArgs::default(), RateArgs::default());
    let usual = options(&data, &widths, &units, &rates, &rule, None, 1, 1)?;
    let json = |options: &Options| {
        serde_json::to_value(options).map_err(|error| Failure::failed(format!("cannot write JSON: {error}")))
    };
    let (wanted, usual) = (json(wanted)?, json(&usual)?);
    let digits = json!("digits");
    let mut command = "slicewise train".to_string();
    for (name, value) in wanted.as_object().into_iter().flatten() {
        // What the defaults are depends on the rows and the optimizer: these are always told.
        let told = matches!(name.as_str(), "batch" | "center" | "lr" | "epochs" | "optimizer");
        let usual = match name.as_str() {
            // The other defaults are those of this data.
            "data" => Some(&digits),
            _ => usual.get(name),
        };
        if (!told && usual == Some(value)) || value.is_null() || (name == "momentum" && *value == json!(0.0))
        {
            continue;
        }
        command += &format!(" --{}", name.replace('_', "-"));
        match value {
            Value::Bool(_) => {}
            Value::String(text) => command += &format!(" {}", quoted(text)),
            other => command += &format!(" {other}"),
        }
    }
    Ok(command)
}

/// As a shell reads it.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
