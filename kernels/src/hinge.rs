//! The hinge loss of a multiclass support vector machine.

use crate::error::expect_len;
use crate::scores::{BatchLoss, add_lanes, expect_batch, index, is_first_largest, row_max};
use crate::simd::rows::Row;
use crate::simd::{Lanes, Simd, dispatch};
use crate::{Element, Level, ShapeError};

/// The hinge loss of a batch, `mean_i sum_{j != label_i} max(0, s[i][j] - s[i][label_i] + margin)`, and its gradient with respect to the
/// scores: `1 / n` for each class within the margin, and for the label minus their number over n.
///
/// `scores`, `dscores: (n, classes)` row-major; `labels`: n, each below `classes`; `margin`: 1 by custom, since scores may scale. At the hinge the gradient is 0. Rows' losses are summed in `f64`, in row order. Each `s[j] - (s[label] - margin)` is
/// rounded twice, and a row's sum once a block. A NaN in a row, or an infinite score of its label, makes the loss and the gradient
/// of the label's score NaN, and the row counts as wrong. (Weston and Watkins, Support Vector Machines for Multi-Class Pattern Recognition, 1999;
/// CS231n, Linear Classification.)
///
/// ```
/// use slicewise_kernels::{Level, hinge};
///
/// // The lecture's cat, which looks like a frog: max(0, 5.1 - 3.2 + 1) + max(0, -1.7 - 3.2 + 1)
/// let mut dscores = [0.0f32; 3];
/// let batch = hinge(Level::detect(), 3, 1.0, &[3.2, 5.1, -1.7], &[0], &mut dscores)?;
/// assert!((batch.loss - 2.9).abs() < 1e-6);
/// assert_eq!(batch.correct, 0);
/// assert_eq!(dscores, [-1.0, 1.0, 0.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless `classes` and the number of labels are at least 1, every label is below `classes`, and `scores`
/// and `dscores` hold a row for each label.
pub fn hinge<T: Element>(
    level: Level,
    classes: usize,
    margin: T,
    scores: &[T],
    labels: &[u32],
    dscores: &mut [T],
) -> Result<BatchLoss, ShapeError> {
    expect_batch("scores", classes, scores.len(), labels)?;
    expect_len("dscores", scores.len(), dscores.len())?;
    Ok(dispatch!(level, simd => kernel(simd, classes, margin, scores, labels, dscores)))
}

#[inline(always)]
fn kernel<T: Element, S: Simd>(
    simd: S,
    classes: usize,
    margin: T,
    scores: &[T],
    labels: &[u32],
    dscores: &mut [T],
) -> BatchLoss {
    let row = Row::<T, S>::new(simd, classes);
    let zero = T::Lanes::<S>::splat(simd, T::default());
    let one = T::Lanes::<S>::splat(simd, T::from(1));
    let weight = T::from(1) / T::from_f64(labels.len() as f64);
    let weights = T::Lanes::<S>::splat(simd, weight);
    let mut batch = BatchLoss { loss: 0.0, correct: 0 };
    for (i, label) in labels.iter().enumerate() {
        let (start, label) = (i * classes, index(*label));
        let (Some(s), Some(d)) = (scores.get(start..), dscores.get_mut(start..)) else { break };
        let Some(&score) = s.get(label) else { break };
        let max = row_max(simd, &row, s);
        let threshold = score - margin;
        let thresholds = T::Lanes::<S>::splat(simd, threshold);
        // 1 within the margin, 0 without; a NaN comes through the maximum.
        let [sum, count] = row.map_fold(
            s,
            d,
            [zero, zero],
            #[inline(always)]
            |[sum, count], s| {
                let over = zero.max(s - thresholds);
                let inside = zero.lt(over);
                let counted = T::Lanes::<S>::select(inside, one, over);
                ([sum + over, count + counted], T::Lanes::<S>::select(inside, weights, over))
            },
        );
        // The label was summed with the others: as much comes off, and nothing stays where it was alone.
        let own = score - threshold;
        let (sum, count) = (add_lanes::<T, S>(simd, sum), add_lanes::<T, S>(simd, count));
        let (loss, others) = if own > T::default() { (sum - own, count - T::from(1)) } else { (sum, count) };
        if let Some(d) = d.get_mut(label) {
            *d = T::default() - others * weight;
        }
        batch.loss += loss.to_f64();
        batch.correct += usize::from(is_first_largest(s, label, max) && count >= T::default());
    }
    batch.loss /= labels.len() as f64;
    batch
}

#[cfg(test)]
mod tests;
