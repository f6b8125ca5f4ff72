//! The part of the page on the doctor's checks.

use super::canvas::{AMBER, AXIS, BLUE, GREEN, VERMILION};
use super::histogram;
use super::line::{Chart, Horizontal, Kind, Series, Vertical};
use super::numbers::{percent, short};
use super::page::{Page, escape};
use crate::error::Outcome;
use crate::events::{Activations, Check, Figure, RateJudgement, SweepPoint, Verdict};

/// The table of the checks, and what they have to show.
pub(super) fn draw(page: &mut Page, checks: &[Check]) -> Outcome<()> {
    let count = |verdict| checks.iter().filter(|check| check.verdict == verdict).count();
    let lead = match (count(Verdict::Fail), count(Verdict::Warn)) {
        (0, 0) => format!("{} checks, all passed", checks.len()),
        (failed, warned) => format!("{} checks: {failed} failed, {warned} with a warning", checks.len()),
    };
    page.part("The doctor's checks", &lead);
    table(page, checks);
    page.grid("charts gap");
    for check in checks {
        match &check.figure {
            Some(Figure::Sweep { points, first_loss, low, high, suggested }) => {
                sweep(page, points, *first_loss, (*low, *high), *suggested)?;
            }
            Some(Figure::Curve { unit, values }) => curve(page, &check.name, unit, values)?,
            Some(Figure::Layers { layers }) => activations(page, &check.name, layers)?,
            Some(Figure::Ratios { tensors }) => ratios(page, &check.name, tensors),
            None => {}
        }
    }
    page.end_grid();
    Ok(())
}

/// The loss over the learning rates that were tried, each rate in the colour of what it did.
fn sweep(
    page: &mut Page,
    points: &[SweepPoint],
    first_loss: f64,
    (low, high): (f64, f64),
    suggested: f64,
) -> Outcome<()> {
    let judged = [
        (RateJudgement::TooSmall, AMBER, "too small"),
        (RateJudgement::Usable, GREEN, "usable"),
        (RateJudgement::TooLarge, VERMILION, "too large"),
    ];
    // What exploded stands at the top of the chart, at three times the first loss.
    let most = 3.0 * first_loss;
    let loss =
        |point: &SweepPoint| point.loss.filter(|loss| loss.is_finite()).map_or(most, |loss| loss.min(most));
    let all = points.iter().map(|point| (point.lr, loss(point))).collect();
    let mut series = vec![Series { colour: AXIS, points: all, kind: Kind::Thin }];
    for (judgement, colour, _) in judged {
        let points = points.iter().filter(|point| point.judgement == judgement);
        let points = points.map(|point| (point.lr, loss(point))).collect();
        series.push(Series { colour, points, kind: Kind::Dots });
    }
    let mut chart = Chart::over("", "Loss over the learning rate", Vertical::FromZero, series);
    chart.x = Horizontal::Log("learning rate");
    chart.guide = Some((first_loss, "first".into()));
    chart.here = Some((suggested, format!("suggested: {}", short(suggested))));
    let keys = judged.map(|(_, colour, name)| (colour, name.to_string()));
    let note = format!(
        "The loss after a few steps at each rate; what exploded stands at three times the first loss. Usable: {} to {}.",
        short(low),
        short(high)
    );
    page.card("Learning-rate sweep", &keys, chart.svg()?.as_deref(), &note);
    page.add("<details class=\"card\"><summary>The rates that were tried</summary>\n");
    let rows: Vec<Vec<String>> = points
        .iter()
        .map(|point| {
            let word = judged.iter().find(|judged| judged.0 == point.judgement).map_or("", |judged| judged.2);
            vec![short(point.lr), point.loss.map_or("–".into(), short), percent(point.accuracy), word.into()]
        })
        .collect();
    page.table("numbers", &["learning rate", "loss", "accuracy", "judgement"], &rows);
    page.add("</details>\n");
    Ok(())
}

fn curve(page: &mut Page, name: &str, unit: &str, values: &[f64]) -> Outcome<()> {
    let name_of = if unit == "step" { "step" } else { "epoch" };
    let series = Series::new(BLUE, Kind::Marked, (1..).zip(values.iter().copied()));
    let chart = Chart::over(name_of, "Loss", Vertical::FromZero, vec![series]);
    page.card(
        &format!("Loss of the check {name}"),
        &[],
        chart.svg()?.as_deref(),
        &format!("{} by {}.", "Loss", unit),
    );
    Ok(())
}

/// Every layer's histogram, with its figures.
fn activations(page: &mut Page, name: &str, layers: &[Activations]) -> Outcome<()> {
    page.add(&format!(
        "<figure class=\"card\">\n<header><h3>Activations ({})</h3></header>\n<div class=\"small\">\n",
        escape(name)
    ));
    for layer in layers {
        let range = histogram::range([&layer.histogram].into_iter());
        let svg = histogram::bars(&layer.histogram, range, BLUE, &format!("Histogram of {}", layer.layer))?;
        page.add(&format!(
            "<div><b>{}</b>{svg}<span>std {}, zero {}, saturated {}, dead {}</span></div>\n",
            escape(&layer.layer),
            short(layer.std),
            percent(layer.zero_fraction),
            percent(layer.saturated_fraction),
            percent(layer.dead_fraction)
        ));
    }
    page.add(
        "</div>\n<figcaption class=\"note\">A bar far above the others is cut.</figcaption>\n</figure>\n",
    );
    Ok(())
}

fn ratios(page: &mut Page, name: &str, tensors: &[(String, f64)]) {
    page.add(&format!("<div class=\"card\"><h3>Update / weight ratio ({})</h3>\n", escape(name)));
    let rows: Vec<Vec<String>> =
        tensors.iter().map(|(tensor, ratio)| vec![tensor.clone(), short(*ratio)]).collect();
    page.table("numbers", &["tensor", "ratio"], &rows);
    page.add("</div>\n");
}

fn table(page: &mut Page, checks: &[Check]) {
    page.add("<div class=\"card\"><table class=\"checks\">\n<thead><tr>");
    for head in ["check", "verdict", "expected", "measured", "advice"] {
        page.add(&format!("<th scope=\"col\">{head}</th>"));
    }
    page.add("</tr></thead>\n<tbody>\n");
    for check in checks {
        let (class, word) = match check.verdict {
            Verdict::Pass => ("pass", "pass"),
            Verdict::Warn => ("warn", "warning"),
            Verdict::Fail => ("fail", "fail"),
        };
        page.add(&format!(
            "<tr><th scope=\"row\">{}</th><td><span class=\"badge {class}\">{word}</span></td>\
             <td data-head=\"expected\">{}</td><td data-head=\"measured\">{}</td><td data-head=\"advice\">{}</td></tr>\n",
            escape(&check.name),
            escape(&check.expected),
            escape(&check.measured),
            escape(&check.advice),
        ));
    }
    page.add("</tbody></table></div>\n");
}
