//! Oracle of the hinge loss.

use crate::{Element, Level};

use super::assert_close;

/// `s[j] - (s[label] - margin)` of each class `j` of a row.
///
/// # Panics
/// Where the label is no class.
pub fn overs<T: Element>(row: &[T], label: usize, margin: T) -> impl Iterator<Item = f64> {
    let threshold = row[label].to_f64() - margin.to_f64();
    row.iter().map(move |s| s.to_f64() - threshold)
}

/// `sum_{j != label} max(0, s[j] - s[label] + margin)` of a row; NaN where a score is, or where the label's is infinite.
///
/// # Panics
/// Where the label is no class.
#[must_use]
pub fn loss<T: Element>(row: &[T], label: usize, margin: T) -> f64 {
    if row.iter().any(|s| s.to_f64().is_nan()) || row[label].to_f64().is_infinite() {
        return f64::NAN;
    }
    let others = overs(row, label, margin).enumerate().filter(|(j, _)| *j != label);
    others.map(|(_, over)| f64::max(0.0, over)).sum()
}

/// Asserts that a kernel's `loss` and `gradient` of `rows` are those of the formula, but for two roundings of each `s[j] - (s[label] -
/// margin)`, which may take a class to the other side of the hinge, and one a block and eight more of a row's sum.
///
/// # Panics
/// Where they are not.
#[track_caller]
pub fn assert_is_hinge<T: Element>(
    level: Level,
    (classes, margin): (usize, T),
    scores: &[T],
    labels: &[u32],
    actual: f64,
    gradient: &[T],
) {
    let (epsilon, n) = (T::EPSILON.to_f64(), labels.len() as f64);
    let weight = (T::from(1) / T::from_f64(n)).to_f64();
    // The oracle of f64 rounds as well.
    let additions = if T::LANES == 16 { classes / T::LANES + 8 } else { classes + 8 };
    let (mut expected, mut bound) = (0.0, 0.0);
    for ((row, d), &label) in scores.chunks(classes).zip(gradient.chunks(classes)).zip(labels) {
        let label = label as usize;
        let row_loss = loss(row, label, margin);
        expected += T::from_f64(row_loss).to_f64();
        if row_loss.is_nan() {
            assert!(
                d[label].to_f64().is_nan(),
                "gradient at {}: {} where a score is NaN",
                level.name(),
                d[label]
            );
            continue;
        }
        let threshold = (row[label].to_f64() - margin.to_f64()).abs();
        let (mut fewest, mut most, mut terms) = (0, 0, 0.0);
        for (j, over) in overs(row, label, margin).enumerate() {
            let error = if over.is_finite() { 1.1 * epsilon * (threshold + over.abs()) } else { 0.0 };
            terms += f64::max(0.0, over + error);
            bound += if over > -error { error } else { 0.0 };
            if j == label {
                continue;
            }
            fewest += usize::from(over > error);
            most += usize::from(over > -error);
            let d = d[j].to_f64();
            assert!(
                (d == weight && over > -error) || (d == 0.0 && over <= error),
                "gradient at {}: {d} where the score is {over} over",
                level.name()
            );
        }
        bound += additions as f64 * epsilon * terms;
        let others = -d[label].to_f64() / weight;
        assert!(
            others >= fewest as f64 * (1.0 - 2.0 * epsilon) && others <= most as f64 * (1.0 + 2.0 * epsilon),
            "gradient at {}: {others} classes within the margin, not {fewest} to {most}",
            level.name()
        );
    }
    assert_close(actual, expected / n, bound / n, "hinge", level);
}
