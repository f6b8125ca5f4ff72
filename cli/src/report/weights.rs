//! The part of the page that shows what the first layer looks for.

use super::images;
use super::page::Page;
use crate::error::Outcome;
use crate::model::{LayerSpec, Model};

/// Units that are shown.
const MOST: usize = 64;

/// The weights of the first layer's units as pictures, where rows are pictures and reach the layer as they are.
pub(super) fn draw(page: &mut Page, model: &Model) -> Outcome<()> {
    let shape = model.description.shape;
    let Some(LayerSpec::Dense { inputs, outputs }) = model.description.layers.first() else { return Ok(()) };
    if shape.height < 2 || *inputs != shape.features() || model.description.components.is_some() {
        return Ok(());
    }
    page.add("<figure class=\"card wide\">\n<header><h3>First-layer weights</h3></header>\n<div class=\"weights\">\n");
    let values = model.values(&crate::model::tensor_name(0, "weight"));
    for (unit, weights) in values.chunks_exact(*inputs).enumerate().take(MOST) {
        let rgba = match shape.channels {
            3 => images::coloured(weights, shape.height * shape.width),
            _ => images::signed(weights.get(..shape.height * shape.width).unwrap_or(weights)),
        };
        page.add(&images::image(shape.width, shape.height, &rgba, "pixels", &format!("unit {unit}"))?);
    }
    let shown = MOST.min(*outputs);
    let colours = if shape.channels == 3 { "Grey is 0." } else { "Blue raises the unit, orange lowers it." };
    page.add(&format!(
        "</div>\n<figcaption class=\"note\">{shown} of {outputs} units, each to its own scale. {colours} Smooth shapes are \
         learned; what still looks like noise is not.</figcaption>\n</figure>\n"
    ));
    Ok(())
}
