//! The part of the page on a search.

use super::canvas::VERMILION;
use super::numbers::{percent, short, thousands};
use super::page::{Key, Page};
use super::scatter::{Column, Mark, Point, STUDIES, Scatter, parallel};
use crate::error::Outcome;
use crate::events::{Study, Trial, TrialState};

/// Trials in the table.
const TABLE: usize = 20;
/// A best value this near to an end of its range, as a share of it, may lie beyond.
const EDGE: f64 = 0.1;

/// Accuracy over every parameter, all parameters at once, the best trials and where they lie in their ranges.
pub(super) fn draw(page: &mut Page, studies: &[Study]) -> Outcome<()> {
    let Some(first) = studies.first() else { return Ok(()) };
    let best = studies
        .iter()
        .filter_map(best)
        .reduce(|best, trial| if trial.val_acc > best.val_acc { trial } else { best });
    let count =
        |state| studies.iter().flat_map(|study| &study.trials).filter(|trial| trial.state == state).count();
    let (complete, pruned, failed) =
        (count(TrialState::Complete), count(TrialState::Pruned), count(TrialState::Fail));
    let strategies: Vec<&str> = studies.iter().map(|study| study.strategy.as_str()).collect();
    page.part(&first.name, &format!("Strategy: {}", strategies.join(" against ")));
    let mut figures = vec![(thousands(complete), "trials complete".to_string())];
    if let Some((best, accuracy)) = best.and_then(|best| Some((best, best.val_acc?))) {
        figures.insert(
            0,
            (format!("{accuracy:.4}"), format!("best validation accuracy, trial {}", best.number)),
        );
        figures.extend(best.parameters.iter().map(|(name, value)| (short(*value), format!("its {name}"))));
    }
    if pruned + failed > 0 {
        figures
            .push((thousands(pruned + failed), format!("stopped early: {pruned} pruned, {failed} failed")));
    }
    page.figures(&figures);
    pictures(page, studies, best)?;
    tables(page, studies, best);
    Ok(())
}

/// The trial of the highest validation accuracy, the first of equals.
fn best(study: &Study) -> Option<&Trial> {
    study
        .trials
        .iter()
        .filter(|trial| trial.state == TrialState::Complete && trial.val_acc.is_some())
        .reduce(|best, trial| if trial.val_acc > best.val_acc { trial } else { best })
}

fn pictures(page: &mut Page, studies: &[Study], best: Option<&Trial>) -> Outcome<()> {
    let Some(first) = studies.first() else { return Ok(()) };
    let mut keys: Vec<Key> = studies
        .iter()
        .zip(STUDIES.into_iter().cycle())
        .map(|(study, colour)| (colour, study.strategy.clone()))
        .collect();
    keys.push((VERMILION, "best".into()));
    page.grid("charts");
    for (name, low, high, log) in &first.ranges {
        let mut points = Vec::new();
        for (study, colour) in studies.iter().zip(STUDIES.into_iter().cycle()) {
            for trial in &study.trials {
                let Some(&x) = trial.parameters.get(name) else { continue };
                let mark = match trial.state {
                    _ if best.is_some_and(|best| std::ptr::eq(best, trial)) => Mark::Best,
                    TrialState::Complete => Mark::Dot,
                    TrialState::Pruned | TrialState::Running => Mark::Ring,
                    TrialState::Fail => Mark::Cross,
                };
                points.push(Point { x, y: trial.val_acc, colour, mark });
            }
        }
        // The best is drawn last, over its neighbours.
        points.sort_by_key(|point| point.mark == Mark::Best);
        let label = format!("Validation accuracy over {name}");
        let scatter = Scatter { label: &label, name, log: *log, points: &points, range: Some((*low, *high)) };
        let note =
            "Dots: complete trials; rings: pruned; crosses: failed. Dashed: the range of the first round.";
        page.card(&label, &keys, scatter.svg()?.as_deref(), note);
    }
    let mut columns: Vec<Column> =
        first.ranges.iter().map(|(name, _, _, log)| Column { name: name.clone(), log: *log }).collect();
    columns.push(Column { name: "accuracy".into(), log: false });
    let rows: Vec<Vec<f64>> = studies
        .iter()
        .flat_map(|study| &study.trials)
        .filter(|trial| trial.state == TrialState::Complete)
        .filter_map(|trial| {
            let values = first.ranges.iter().map(|range| trial.parameters.get(&range.0).copied());
            values.chain([trial.val_acc]).collect()
        })
        .collect();
    let svg = parallel(&columns, &rows, "Every complete trial's parameters and accuracy as one line")?;
    let note = "One line for each complete trial: the stronger, the better it is; the best is orange.";
    page.card("All parameters at once", &[], svg.as_deref(), note);
    page.end_grid();
    Ok(())
}

fn tables(page: &mut Page, studies: &[Study], best: Option<&Trial>) {
    let Some(first) = studies.first() else { return };
    let rounds = rounds(studies, first);
    page.add("<div class=\"card\"><h3>Ranges, round by round</h3>\n");
    let heads = ["round", "parameter", "trials", "tried from", "to", "best value", "best accuracy"];
    page.table("numbers", &heads, &rounds);
    for warning in warnings(studies, first, best) {
        page.add(&format!(
            "<p class=\"note\"><span class=\"badge warn\">edge</span> {}</p>\n",
            super::page::escape(&warning)
        ));
    }
    page.add("</div>\n");

    let mut trials: Vec<(&str, &Trial)> = studies
        .iter()
        .flat_map(|study| study.trials.iter().map(|trial| (study.strategy.as_str(), trial)))
        .filter(|(_, trial)| trial.val_acc.is_some_and(f64::is_finite))
        .collect();
    trials.sort_by(|a, b| b.1.val_acc.unwrap_or(0.0).total_cmp(&a.1.val_acc.unwrap_or(0.0)));
    let mut heads = vec!["trial", "strategy", "round", "state", "epochs", "accuracy"];
    heads.extend(first.ranges.iter().map(|range| range.0.as_str()));
    let rows: Vec<Vec<String>> = trials
        .iter()
        .take(TABLE)
        .map(|(strategy, trial)| {
            let state = match trial.state {
                TrialState::Complete => "complete",
                TrialState::Pruned => "pruned",
                TrialState::Fail => "failed",
                TrialState::Running => "running",
            };
            let mut row = vec![
                trial.number.to_string(),
                (*strategy).to_string(),
                trial.round.to_string(),
                state.to_string(),
                trial.epochs.to_string(),
                percent(trial.val_acc.unwrap_or(f64::NAN)),
            ];
            let value =
                |name: &String| trial.parameters.get(name).map_or("–".into(), |value| short(*value));
            row.extend(first.ranges.iter().map(|range| value(&range.0)));
            row
        })
        .collect();
    page.add(&format!("<div class=\"card gap\"><h3>The best {} trials</h3>\n", rows.len()));
    page.table("numbers", &heads, &rows);
    page.add("</div>\n");
}

/// For every round and parameter: what was tried, and what was best.
fn rounds(studies: &[Study], first: &Study) -> Vec<Vec<String>> {
    let trials = || studies.iter().flat_map(|study| &study.trials);
    let mut numbers: Vec<u32> = trials().map(|trial| trial.round).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut rows = Vec::new();
    for round in numbers {
        let of_round = || trials().filter(|trial| trial.round == round);
        let best = of_round()
            .filter(|trial| trial.state == TrialState::Complete && trial.val_acc.is_some())
            .reduce(|best, trial| if trial.val_acc > best.val_acc { trial } else { best });
        for (name, ..) in &first.ranges {
            let values = of_round().filter_map(|trial| trial.parameters.get(name).copied());
            let Some((low, high)) = super::frame::range(values, false) else { continue };
            let value =
                best.and_then(|best| best.parameters.get(name)).map_or("–".into(), |value| short(*value));
            let accuracy = best.and_then(|best| best.val_acc).map_or("–".into(), percent);
            let count = of_round().count().to_string();
            rows.push(vec![round.to_string(), name.clone(), count, short(low), short(high), value, accuracy]);
        }
    }
    rows
}

/// Parameters whose best value lies near an end of the range it was first drawn from: a better one may lie beyond.
fn warnings(studies: &[Study], first: &Study, best: Option<&Trial>) -> Vec<String> {
    let Some(best) = best.filter(|_| !studies.is_empty()) else { return Vec::new() };
    let mut warnings = Vec::new();
    for (name, low, high, log) in &first.ranges {
        let Some(value) = best.parameters.get(name) else { continue };
        let place = |value: f64| if *log { value.log10() } else { value };
        let share = (place(*value) - place(*low)) / (place(*high) - place(*low));
        let end = match share {
            share if share < EDGE => "lower",
            share if share > 1.0 - EDGE => "upper",
            _ => continue,
        };
        warnings.push(format!(
            "the best {name}, {}, lies at the {end} end of {} to {}: a better one may lie beyond",
            short(*value),
            short(*low),
            short(*high)
        ));
    }
    warnings
}
