//! The part of the page on the initialisation experiment.

use super::numbers::{percent, short};
use super::page::Page;
use crate::error::Outcome;
use crate::events::InitLayer;

/// Every layer's activations, case beside case, and the theory.
pub(super) fn draw(page: &mut Page, layers: &[InitLayer]) -> Outcome<()> {
    page.part(
        "How activations start",
        "Every layer's outputs before training, measured beside the theory of infinite width.",
    );
    table(page, layers);
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
