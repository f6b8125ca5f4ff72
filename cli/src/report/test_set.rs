//! The part of the page on the test set: the confusion of classes, and the mistakes.

use super::images;
use super::page::{Page, escape};
use crate::error::Outcome;
use crate::test_set::TestSet;

/// More classes than these are not shown as a table.
const MOST: usize = 24;

/// The confusion matrix and the mistakes the network was surest of.
pub(super) fn draw(page: &mut Page, test: &TestSet) -> Outcome<()> {
    page.grid("charts");
    page.add("<figure class=\"card\">\n<header><h3>Confusion on the test set</h3></header>\n");
    if test.classes.len() <= MOST {
        matrix(page, test);
    }
    page.add(&format!("<figcaption class=\"note\">{}</figcaption>\n</figure>\n", escape(&commonest(test))));
    page.add(
        "<figure class=\"card\">\n<header><h3>The surest mistakes</h3></header>\n<div class=\"mistakes\">\n",
    );
    for mistake in &test.mistakes {
        let name = |class: usize| test.classes.get(class).map_or("?", String::as_str);
        let (label, predicted) = (name(mistake.label), name(mistake.predicted));
        page.add("<div>");
        if let Some(bytes) = mistake.bytes(test.shape) {
            let rgba = images::pixels(&bytes, test.shape, test.white);
            let alt = format!("row {}: {label}, taken for {predicted}", mistake.row);
            page.add(&images::image(test.shape.width, test.shape.height, &rgba, "pixels", &alt)?);
        }
        let (label, predicted) = (escape(label), escape(predicted));
        page.add(&format!("<span>{label} → <b>{predicted}</b> {:.3}</span></div>\n", mistake.probability));
    }
    let note = if test.mistakes.is_empty() {
        "No mistake."
    } else {
        "True class → what the network saw, and the probability it gave to it."
    };
    page.add(&format!("</div>\n<figcaption class=\"note\">{note}</figcaption>\n</figure>\n"));
    page.end_grid();
    Ok(())
}

/// Rows are true classes, columns predicted ones; a cell's colour is its share of the row.
fn matrix(page: &mut Page, test: &TestSet) {
    page.add("<div class=\"scroll\"><table class=\"confusion\">\n<thead><tr><td></td>");
    for class in &test.classes {
        page.add(&format!("<th scope=\"col\"><span>{}</span></th>", escape(class)));
    }
    page.add("</tr></thead>\n<tbody>\n");
    for (class, (name, row)) in test.classes.iter().zip(&test.confusion).enumerate() {
        page.add(&format!("<tr><th scope=\"row\">{}</th>", escape(name)));
        let all = row.iter().sum::<usize>().max(1) as f64;
        for (predicted, &count) in row.iter().enumerate() {
            let share = count as f64 / all;
            // A rare mistake is worth a colour as well: its root.
            let (colour, strength) = match class == predicted {
                true => ("0 114 178", share),
                false => ("213 94 0", (share * 2.0).sqrt().min(1.0)),
            };
            let strong = if strength > 0.6 { " class=\"strong\"" } else { "" };
            let text = if count == 0 { "·".into() } else { count.to_string() };
            page.add(&format!("<td{strong} style=\"background:rgb({colour} / {strength:.2})\">{text}</td>"));
        }
        page.add("</tr>\n");
    }
    page.add("</tbody></table></div>\n");
}

/// The commonest mistakes in words.
fn commonest(test: &TestSet) -> String {
    let mut pairs: Vec<(usize, &str, &str)> = Vec::new();
    for (class, (name, row)) in test.classes.iter().zip(&test.confusion).enumerate() {
        let others = row
            .iter()
            .zip(&test.classes)
            .enumerate()
            .filter(|(other, (count, _))| *other != class && **count > 0);
        pairs.extend(others.map(|(_, (count, other))| (*count, name.as_str(), other.as_str())));
    }
    pairs.sort_by_key(|pair| std::cmp::Reverse(pair.0));
    let named: Vec<String> =
        pairs.iter().take(5).map(|(count, a, b)| format!("{a} as {b} ({count})")).collect();
    let rows = "Rows: true classes; columns: predicted ones.";
    if named.is_empty() { rows.into() } else { format!("{rows} Commonest mistakes: {}.", named.join(", ")) }
}
