//! Softmax and the cross-entropy of its output.

use crate::error::{expect_at_least, expect_len};
use crate::math::Smooth;
use crate::scores::{BatchLoss, add_lanes, expect_batch, index, is_first_largest, row_max};
use crate::simd::rows::Row;
use crate::simd::{Lanes, Simd, dispatch};
use crate::{Element, Level, ShapeError};

/// `p[i][j] = e^z[i][j] / sum_k e^z[i][k]`, with the largest logit of the row subtracted first.
///
/// `logits`, `probabilities: (n, classes)` row-major. A row with a NaN, with an infinite logit above 0 or with nothing but
/// minus infinities is NaN, as the formula says; among others, minus infinity has probability 0.
///
/// ```
/// use slicewise_kernels::{Level, softmax};
///
/// let mut p = [0.0f32; 2];
/// softmax(Level::detect(), 2, &[1000.0, 1000.0], &mut p)?;
/// assert_eq!(p, [0.5, 0.5]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless `classes` is at least 1, `logits` holds whole rows and `probabilities` is as long.
pub fn softmax<T: Element>(
    level: Level,
    classes: usize,
    logits: &[T],
    probabilities: &mut [T],
) -> Result<(), ShapeError> {
    expect_at_least("classes", 1, classes)?;
    let rows = logits.len().checked_div(classes).unwrap_or_default();
    expect_len("logits", rows * classes, logits.len())?;
    expect_len("probabilities", logits.len(), probabilities.len())?;
    dispatch!(level, simd => softmax_kernel(simd, classes, logits, probabilities));
    Ok(())
}

/// The softmax loss of a batch, `mean_i (ln sum_k e^z[i][k] - z[i][label_i])`, and its gradient with respect to the logits,
/// `dz = (softmax(z) - onehot(label)) / n`.
///
/// `logits`, `dlogits: (n, classes)` row-major; `labels`: n, each below `classes`. A row's loss is a `T`; they are
/// summed in `f64`, in row order. A NaN in a row makes its gradient and the loss NaN, and the row counts as wrong; so does
/// an infinite logit above 0. (Bishop, Pattern Recognition and Machine Learning, 4.3.4.)
///
/// ```
/// use slicewise_kernels::{Level, cross_entropy};
///
/// let logits = [0.0f32, 0.0, /* second row */ 0.0, 0.0];
/// let mut dlogits = [0.0; 4];
/// let batch = cross_entropy(Level::detect(), 2, &logits, &[0, 1], &mut dlogits)?;
/// assert!((batch.loss - 2.0f64.ln()).abs() < 1e-7);
/// assert_eq!(batch.correct, 1); // of equal logits the first counts
/// assert_eq!(dlogits, [-0.25, 0.25, 0.25, -0.25]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless `classes` and the number of labels are at least 1, every label is below `classes`, and `logits`
/// and `dlogits` hold a row for each label.
pub fn cross_entropy<T: Element>(
    level: Level,
    classes: usize,
    logits: &[T],
    labels: &[u32],
    dlogits: &mut [T],
) -> Result<BatchLoss, ShapeError> {
    expect_batch("logits", classes, logits.len(), labels)?;
    expect_len("dlogits", logits.len(), dlogits.len())?;
    Ok(dispatch!(level, simd => cross_entropy_kernel(simd, classes, logits, labels, dlogits)))
}

/// [`cross_entropy`] without the gradient: the same bits.
///
/// ```
/// use slicewise_kernels::{Level, cross_entropy_loss};
///
/// // Two rows of two classes that a network knows nothing of.
/// let report = cross_entropy_loss(Level::detect(), 2, &[0.0f64; 4], &[0, 1])?;
/// assert!((report.loss - 2f64.ln()).abs() < 1e-15);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// As [`cross_entropy`].
pub fn cross_entropy_loss<T: Element>(
    level: Level,
    classes: usize,
    logits: &[T],
    labels: &[u32],
) -> Result<BatchLoss, ShapeError> {
    expect_batch("logits", classes, logits.len(), labels)?;
    Ok(dispatch!(level, simd => loss_kernel(simd, classes, logits, labels)))
}

#[inline(always)]
fn softmax_kernel<T: Element, S: Simd>(simd: S, classes: usize, logits: &[T], probabilities: &mut [T]) {
    let row = Row::<T, S>::new(simd, classes);
    for start in (0..logits.len()).step_by(classes.max(1)) {
        let (Some(z), Some(p)) = (logits.get(start..), probabilities.get_mut(start..)) else { return };
        let (_, sum) = exponentials(simd, &row, z, p);
        scale(simd, &row, T::from(1) / sum, p);
    }
}

#[inline(always)]
fn cross_entropy_kernel<T: Element, S: Simd>(
    simd: S,
    classes: usize,
    logits: &[T],
    labels: &[u32],
    dlogits: &mut [T],
) -> BatchLoss {
    let row = Row::<T, S>::new(simd, classes);
    let weight = T::from(1) / T::from_f64(labels.len() as f64);
    let mut batch = Batch::new();
    for (i, label) in labels.iter().enumerate() {
        let start = i * classes;
        let (Some(z), Some(d)) = (logits.get(start..), dlogits.get_mut(start..)) else { break };
        let (max, sum) = exponentials(simd, &row, z, d);
        scale(simd, &row, T::from(1) / sum * weight, d);
        if let Some(d) = d.get_mut(index(*label)) {
            *d = *d - weight;
        }
        batch.add(simd, z, index(*label), max, sum);
    }
    batch.mean(simd, labels.len())
}

#[inline(always)]
fn loss_kernel<T: Element, S: Simd>(simd: S, classes: usize, logits: &[T], labels: &[u32]) -> BatchLoss {
    let row = Row::<T, S>::new(simd, classes);
    let mut batch = Batch::new();
    for (i, label) in labels.iter().enumerate() {
        let Some(z) = logits.get(i * classes..) else { break };
        let max = row_max(simd, &row, z);
        let lanes = T::Lanes::<S>::splat(simd, max);
        let sum = row.fold(
            z,
            T::Lanes::<S>::splat(simd, T::default()),
            #[inline(always)]
            |sum, z| sum + T::smooth(simd, Smooth::ExpNegative, z - lanes),
        );
        batch.add(simd, z, index(*label), max, add_lanes::<T, S>(simd, sum));
    }
    batch.mean(simd, labels.len())
}

/// Row losses, summed, and the rows that are right. The logarithms are taken a block of rows at a time.
struct Batch<T: Element> {
    loss: f64,
    correct: usize,
    /// `sum_k e^(z[k] - max)` and `max - z[label]` of the rows that wait.
    sums: T::Block,
    gaps: T::Block,
    waiting: usize,
}

impl<T: Element> Batch<T> {
    #[inline(always)]
    fn new() -> Self {
        let (sums, gaps) = (T::Block::default(), T::Block::default());
        Self { loss: 0.0, correct: 0, sums, gaps, waiting: 0 }
    }

    /// Takes the row at the beginning of `z`, its maximum and `sum = sum_k e^(z[k] - max)`.
    #[inline(always)]
    fn add<S: Simd>(&mut self, simd: S, z: &[T], label: usize, max: T, sum: T) {
        let Some(&logit) = z.get(label) else { return };
        let (sums, gaps) = (self.sums.as_mut(), self.gaps.as_mut());
        if let (Some(s), Some(g)) = (sums.get_mut(self.waiting), gaps.get_mut(self.waiting)) {
            (*s, *g) = (sum, max - logit);
        }
        self.waiting += 1;
        if self.waiting == T::LANES {
            self.take_losses(simd);
        }
        // `sum` is NaN where a logit is.
        self.correct += usize::from(is_first_largest(z, label, max) && sum >= T::from(1));
    }

    #[inline(always)]
    fn take_losses<S: Simd>(&mut self, simd: S) {
        let sums = T::Lanes::<S>::load(simd, &self.sums);
        let losses =
            (T::smooth(simd, Smooth::Ln, sums) + T::Lanes::<S>::load(simd, &self.gaps)).to_block(simd);
        for loss in losses.as_ref().iter().take(self.waiting) {
            self.loss += loss.to_f64();
        }
        self.waiting = 0;
    }

    #[inline(always)]
    fn mean<S: Simd>(mut self, simd: S, n: usize) -> BatchLoss {
        self.take_losses(simd);
        BatchLoss { loss: self.loss / n as f64, correct: self.correct }
    }
}

/// `y[k] = e^(z[k] - max)`; the maximum and the sum.
#[inline(always)]
fn exponentials<T: Element, S: Simd>(simd: S, row: &Row<T, S>, z: &[T], y: &mut [T]) -> (T, T) {
    let max = row_max(simd, row, z);
    let lanes = T::Lanes::<S>::splat(simd, max);
    let [sum] = row.map_fold(
        z,
        y,
        [T::Lanes::<S>::splat(simd, T::default())],
        #[inline(always)]
        |[sum], z| {
            let e = T::smooth(simd, Smooth::ExpNegative, z - lanes);
            ([sum + e], e)
        },
    );
    (max, add_lanes::<T, S>(simd, sum))
}

/// `y[k] = factor * y[k]`
#[inline(always)]
fn scale<T: Element, S: Simd>(simd: S, row: &Row<T, S>, factor: T, y: &mut [T]) {
    let factor = T::Lanes::<S>::splat(simd, factor);
    row.map_in_place(
        y,
        #[inline(always)]
        |y| y * factor,
    );
}

#[cfg(test)]
mod tests;
