//! The part of the page on the initialisation experiment.

use super::canvas::{BLUE, CURVES, GREEN, VERMILION};
use super::histogram;
use super::line::{Chart, Kind, Series, Vertical};
use super::numbers::{percent, short};
use super::page::{Key, Page, escape};
use crate::error::Outcome;
use crate::events::InitLayer;

/// Every layer's activations, case beside case, and the theory.
pub(super) fn draw(page: &mut Page, layers: &[InitLayer]) -> Outcome<()> {
    page.part(
        "How activations start",
        "Every layer's outputs before training, measured beside the theory of infinite width.",
    );
    let mut cases: Vec<&str> = Vec::new();
    for layer in layers {
        if !cases.contains(&layer.case.as_str()) {
            cases.push(&layer.case);
        }
    }
    spreads(page, layers, &cases)?;
    for case in &cases {
        histograms(page, case, layers)?;
    }
    table(page, layers);
    Ok(())
}

/// Measured spreads over the layers beside the theory: of activations, and of gradients.
fn spreads(page: &mut Page, layers: &[InitLayer], cases: &[&str]) -> Outcome<()> {
    type Value = fn(&InitLayer) -> f64;
    let pictures: [(&str, &'static str, Value, Value); 2] = [
        (
            "Spread of the activations",
            "Standard deviation of every layer's activations",
            |l| l.std,
            |l| l.theory_std,
        ),
        (
            "Spread of the gradients",
            "Standard deviation of every layer's gradients",
            |l| l.grad_std,
            |l| l.theory_grad_std,
        ),
    ];
    let keys: Vec<Key> = cases
        .iter()
        .zip(CURVES.into_iter().cycle())
        .map(|(case, colour)| (colour, (*case).to_string()))
        .collect();
    page.grid("charts");
    for (title, label, measured, theory) in pictures {
        let mut series = Vec::new();
        for (case, colour) in cases.iter().zip(CURVES.into_iter().cycle()) {
            let of = |value: Value| {
                layers.iter().filter(|l| l.case == *case).map(move |l| (l.layer as u32, value(l)))
            };
            series.push(Series::new(colour, Kind::Dashed, of(theory)));
            series.push(Series::new(colour, Kind::Dotted, of(measured)));
        }
        let chart = Chart::over("layer", label, Vertical::Decades, series);
        page.card(title, &keys, chart.svg()?.as_deref(), "Dots: measured; dashes: at infinite width.");
    }
    page.end_grid();
    Ok(())
}

/// One case's layers side by side, on one axis.
fn histograms(page: &mut Page, case: &str, layers: &[InitLayer]) -> Outcome<()> {
    let of_case = || layers.iter().filter(|layer| layer.case == case);
    let range = histogram::range(of_case().map(|layer| &layer.histogram));
    page.add(&format!(
        "<figure class=\"card gap\">\n<header><h3>{}</h3></header>\n<div class=\"small\">\n",
        escape(case)
    ));
    for layer in of_case() {
        let (colour, class) = match layer.verdict.as_str() {
            "healthy" => (GREEN, "pass"),
            "vanishing" | "exploding" | "saturated" | "dead" => (VERMILION, "fail"),
            _ => (BLUE, "warn"),
        };
        let label = format!("{case}: histogram of layer {}", layer.layer);
        let svg = histogram::bars(&layer.histogram, range, colour, &label)?;
        page.add(&format!(
            "<div><b>layer {}</b>{svg}<span>std {} ({} in theory)</span><span class=\"badge {class}\">{}</span></div>\n",
            layer.layer,
            short(layer.std),
            short(layer.theory_std),
            escape(&layer.verdict)
        ));
    }
    page.add("</div>\n<figcaption class=\"note\">All layers on one axis. A bar far above the others is cut.</figcaption>\n</figure>\n");
    Ok(())
}

fn table(page: &mut Page, layers: &[InitLayer]) {
    let heads = [
        "case",
        "layer",
        "mean",
        "std",
        "± seeds",
        "theory",
        "zero",
        "saturated",
        "gradient",
        "theory",
        "verdict",
    ];
    let rows: Vec<Vec<String>> = layers
        .iter()
        .map(|layer| {
            vec![
                layer.case.clone(),
                layer.layer.to_string(),
                short(layer.mean),
                short(layer.std),
                short(layer.seed_std),
                short(layer.theory_std),
                percent(layer.zero_fraction),
                percent(layer.saturated_fraction),
                short(layer.grad_std),
                short(layer.theory_grad_std),
                layer.verdict.clone(),
            ]
        })
        .collect();
    page.folded_table("All layers in figures", &heads, &rows);
}
