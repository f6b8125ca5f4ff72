//! The hinge loss of a multiclass support vector machine.

use crate::error::expect_len;
use crate::once::compiled_once;
use crate::scores::{BatchLoss, add_lanes, expect_batch, index, is_first_largest, row_max};
use crate::simd::rows::Row;
use crate::simd::short_rows::{ShortRows, empty};
use crate::simd::{Arithmetic, Lanes, Simd, dispatch};
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
    Ok(T::hinge(level, classes, margin, scores, labels, dscores))
}

compiled_once! {
    /// The hinge loss.
    trait Hinge {
        /// See [`hinge`].
        fn hinge(
            level: Level,
            classes: usize,
            margin: Self,
            scores: &[Self],
            labels: &[u32],
            dscores: &mut [Self],
        ) -> BatchLoss {
            dispatch!(level, simd => kernel(simd, classes, margin, scores, labels, dscores))
        }
    }
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
    let done = match ShortRows::<T, S>::new(simd, classes, scores.len()) {
        Some(rows) => groups(simd, &rows, margin, weight, scores, labels, dscores, &mut batch),
        None => 0,
    };
    for (i, label) in labels.iter().enumerate().skip(done) {
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

/// The rows that are whole groups; how many.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "the kernel's own, and its rows")]
fn groups<T: Element, S: Simd>(
    simd: S,
    rows: &ShortRows<T, S>,
    margin: T,
    weight: T,
    scores: &[T],
    labels: &[u32],
    dscores: &mut [T],
    batch: &mut BatchLoss,
) -> usize {
    let [zero, one, margins, weights] =
        [T::default(), T::from(1), margin, weight].map(|x| T::Lanes::<S>::splat(simd, x));
    let (mut over, mut counted) = (empty(), empty());
    let (size, mut done) = (rows.elements(), 0);
    let groups = scores.chunks_exact(size).zip(dscores.chunks_exact_mut(size));
    for ((s, d), labels) in groups.zip(labels.chunks_exact(T::LANES)) {
        let rest = scores.get(done * rows.len()..).unwrap_or(s);
        let max = rows.max(rows.padded(rest, &mut counted));
        let own = rows.pick(s, labels);
        let thresholds = own - margins;
        rows.spread(thresholds, &mut over);
        let outputs = rows.blocks_mut(&mut over).iter_mut().zip(rows.blocks_mut(&mut counted));
        for ((s, d), (over, counted)) in rows.blocks(s).iter().zip(rows.blocks_mut(d)).zip(outputs) {
            let gap = zero.max(T::Lanes::<S>::load(simd, s) - T::Lanes::<S>::load(simd, over));
            let inside = zero.lt(gap);
            gap.store(over);
            T::Lanes::<S>::select(inside, one, gap).store(counted);
            T::Lanes::<S>::select(inside, weights, gap).store(d);
        }
        let (sum, count) = (rows.sum(&over), rows.sum(&counted));
        let alone = own - thresholds;
        let within = zero.lt(alone);
        let losses = T::Lanes::<S>::select(within, sum - alone, sum).to_block(simd);
        let others = T::Lanes::<S>::select(within, count - one, count);
        let gradients = (zero - others * weights).to_block(simd);
        for ((d, label), gradient) in d.chunks_exact_mut(rows.len()).zip(labels).zip(gradients.as_ref()) {
            if let Some(d) = d.get_mut(index(*label)) {
                *d = *gradient;
            }
        }
        for loss in losses.as_ref() {
            batch.loss += loss.to_f64();
        }
        let (max, count) = (max.to_block(simd), count.to_block(simd));
        let firsts = s.chunks_exact(rows.len()).zip(labels);
        for ((s, label), (max, count)) in firsts.zip(max.as_ref().iter().zip(count.as_ref())) {
            batch.correct += usize::from(is_first_largest(s, index(*label), *max) && *count >= T::default());
        }
        done += T::LANES;
    }
    done
}

#[cfg(test)]
mod tests;
