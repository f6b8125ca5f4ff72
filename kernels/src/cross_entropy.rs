//! The cross-entropy of softmax and its targets.

use crate::error::{expect_at_least, expect_len};
use crate::math::smooth;
use crate::once::compiled_once;
use crate::rows::expect_rows;
use crate::scores::{BatchLoss, add_lanes, expect_batch, index, is_first_largest, row_max};
use crate::simd::rows::Row;
use crate::simd::short_rows::ShortRows;
use crate::simd::{Arithmetic, Lanes, Simd, dispatch};
use crate::softmax::lanes::{GROUPS, Short, exponentials, scale, sum_of_exponentials};
use crate::{Element, Level, ShapeError};

/// What each row ought to be: the probabilities `t[i][j]` of its classes.
#[derive(Clone, Copy, Debug)]
pub enum Targets<'a, T> {
    /// One class a row, below `classes`: `t[i][label_i] = 1`.
    Labels(&'a [u32]),
    /// Label smoothing: `1 - smoothing` goes to the label, and `smoothing` to all classes alike, the label too (Szegedy et al.,
    /// Rethinking the Inception Architecture, 2016). `smoothing` is from 0 to 1 by its meaning; the formula is what is computed.
    Smoothed {
        /// One class a row, below `classes`.
        labels: &'a [u32],
        /// 0.1 by custom.
        smoothing: T,
    },
    /// `(n, classes)` row-major, as they come from a teacher or from mixing samples. By their meaning none is negative and a row's
    /// sum is 1; the formula is what is computed. A class of probability 0 adds nothing to the loss, whatever its logit.
    Probabilities(&'a [T]),
}

/// The softmax loss of a batch, `mean_i sum_j t[i][j] (ln sum_k e^z[i][k] - z[i][j])`, and its gradient with respect to the logits,
/// `dz = (softmax(z) sum_j t[j] - t) / n`. For labels the loss is `mean_i (ln sum_k e^z[i][k] - z[i][label_i])`.
///
/// `logits`, `dlogits: (n, classes)` row-major. A row's loss is a `T`, infinite where logits lie further apart than the largest `T`;
/// losses are summed in `f64`, in row order. A NaN in a row makes
/// its gradient and the loss NaN, and the row counts as wrong; so does an infinite logit above 0. A row is right where its first largest
/// logit is the label's, or the first of the largest target's. (Bishop, Pattern Recognition and Machine Learning, 4.3.4.)
///
/// ```
/// use slicewise_kernels::{Level, Targets, cross_entropy};
///
/// let logits = [0.0f32, 0.0, /* second row */ 0.0, 0.0];
/// let mut dlogits = [0.0; 4];
/// let batch = cross_entropy(Level::detect(), 2, &logits, Targets::Labels(&[0, 1]), &mut dlogits)?;
/// assert!((batch.loss - 2.0f64.ln()).abs() < 1e-7);
/// assert_eq!(batch.correct, 1); // of equal logits the first counts
/// assert_eq!(dlogits, [-0.25, 0.25, 0.25, -0.25]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless `classes` and the number of rows are at least 1, every label is below `classes`, `logits` and `dlogits` hold a
/// row for each label, and probabilities are as many.
pub fn cross_entropy<T: Element>(
    level: Level,
    classes: usize,
    logits: &[T],
    targets: Targets<'_, T>,
    dlogits: &mut [T],
) -> Result<BatchLoss, ShapeError> {
    expect_targets(classes, logits.len(), &targets)?;
    expect_len("dlogits", logits.len(), dlogits.len())?;
    Ok(T::cross_entropy(level, classes, logits, targets, Some(dlogits)))
}

/// [`cross_entropy`] without the gradient: the same bits.
///
/// ```
/// use slicewise_kernels::{Level, Targets, cross_entropy_loss};
///
/// // Two rows of two classes that a network knows nothing of.
/// let targets = Targets::Smoothed { labels: &[0, 1], smoothing: 0.1 };
/// let report = cross_entropy_loss(Level::detect(), 2, &[0.0f64; 4], targets)?;
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
    targets: Targets<'_, T>,
) -> Result<BatchLoss, ShapeError> {
    expect_targets(classes, logits.len(), &targets)?;
    Ok(T::cross_entropy(level, classes, logits, targets, None))
}

fn expect_targets<T>(classes: usize, logits: usize, targets: &Targets<'_, T>) -> Result<(), ShapeError> {
    match targets {
        Targets::Labels(labels) | Targets::Smoothed { labels, .. } => {
            expect_batch("logits", classes, logits, labels)
        }
        Targets::Probabilities(targets) => {
            expect_at_least("classes", 1, classes)?;
            expect_at_least("probabilities", classes, targets.len())?;
            expect_rows("probabilities", classes, targets.len())?;
            expect_len("logits", targets.len(), logits)
        }
    }
}

compiled_once! {
    /// The cross-entropy, with its gradient where `dlogits` is given.
    trait CrossEntropy {
        /// See [`cross_entropy`].
        fn cross_entropy(
            level: Level,
            classes: usize,
            logits: &[Self],
            targets: Targets<'_, Self>,
            dlogits: Option<&mut [Self]>,
        ) -> BatchLoss {
            let (labels, smoothing) = match targets {
                Targets::Labels(labels) => (labels, Self::default()),
                Targets::Smoothed { labels, smoothing } => (labels, smoothing),
                Targets::Probabilities(targets) => {
                    return dispatch!(level, simd => divided(simd, classes, logits, targets, dlogits));
                }
            };
            dispatch!(level, simd => labelled(simd, classes, logits, labels, smoothing, dlogits))
        }
    }
}

/// Rows that have a label.
#[inline(always)]
fn labelled<T: Element, S: Simd>(
    simd: S,
    classes: usize,
    logits: &[T],
    labels: &[u32],
    smoothing: T,
    mut dlogits: Option<&mut [T]>,
) -> BatchLoss {
    let weight = T::from(1) / T::from_f64(labels.len() as f64);
    // Of each class, and of the label beside it.
    let shares = Shares { all: smoothing / T::from_f64(classes as f64), label: T::from(1) - smoothing };
    let (less, label_less) = (shares.all * weight, shares.label * weight);
    let mut batch = Batch::new();
    let mut done = 0;
    if let Some(rows) = ShortRows::<T, S>::new(simd, classes, logits.len()) {
        let mut short = Short::new(simd, rows);
        for z in logits.chunks(GROUPS * short.rows.elements()) {
            let count = short.exponentials(simd, z);
            let labels = labels.get(done..).unwrap_or_default();
            if let Some(d) = dlogits.as_deref_mut().and_then(|d| d.get_mut(done * classes..)) {
                short.scale(simd, weight, less, count, d);
                for (d, label) in d.chunks_exact_mut(classes.max(1)).zip(labels).take(count * T::LANES) {
                    subtract(d, *label, label_less);
                }
            }
            batch.add_groups(simd, z, labels, shares, &mut short, count);
            done += count * T::LANES;
        }
    }
    let row = Row::<T, S>::new(simd, classes);
    for (i, label) in labels.iter().enumerate().skip(done) {
        let start = i * classes;
        let Some(z) = logits.get(start..) else { break };
        let (max, sum) = match dlogits.as_deref_mut().and_then(|d| d.get_mut(start..)) {
            Some(d) => {
                let (max, sum) = exponentials(simd, &row, z, d);
                scale(simd, &row, T::from(1) / sum * weight, less, d);
                subtract(d, *label, label_less);
                (max, sum)
            }
            None => sum_of_exponentials(simd, &row, z),
        };
        let Some(&logit) = z.get(index(*label)) else { break };
        let mut gap = max - logit;
        if shares.all != T::default() {
            let [max, share] = [max, shares.all].map(|x| T::Lanes::<S>::splat(simd, x));
            let gaps = row.fold(
                z,
                T::Lanes::<S>::splat(simd, T::default()),
                #[inline(always)]
                |sum, z| sum + (max - z) * share,
            );
            gap = shares.label * gap + add_lanes::<T, S>(simd, gaps);
        }
        batch.add(simd, Waiting { sum, gap, mass: T::from(1) });
        batch.correct += usize::from(is_right(z, index(*label), max, sum));
    }
    batch.mean(simd, labels.len())
}

/// Rows whose targets are divided among classes.
#[inline(always)]
fn divided<T: Element, S: Simd>(
    simd: S,
    classes: usize,
    logits: &[T],
    targets: &[T],
    mut dlogits: Option<&mut [T]>,
) -> BatchLoss {
    let row = Row::<T, S>::new(simd, classes);
    let n = targets.len() / classes.max(1);
    let weight = T::from(1) / T::from_f64(n as f64);
    let (weights, zero) = (T::Lanes::<S>::splat(simd, weight), T::Lanes::<S>::splat(simd, T::default()));
    let mut batch = Batch::new();
    for start in (0..targets.len()).step_by(classes.max(1)) {
        let (Some(z), Some(t)) = (logits.get(start..), targets.get(start..)) else { break };
        let mass = row.fold(
            t,
            zero,
            #[inline(always)]
            |sum, t| sum + t,
        );
        let mass = add_lanes::<T, S>(simd, mass);
        let (max, sum) = match dlogits.as_deref_mut().and_then(|d| d.get_mut(start..)) {
            Some(d) => {
                let (max, sum) = exponentials(simd, &row, z, d);
                let factor = T::Lanes::<S>::splat(simd, T::from(1) / sum * (mass * weight));
                row.map_two(
                    t,
                    d,
                    #[inline(always)]
                    |t, e| e * factor - t * weights,
                );
                (max, sum)
            }
            None => sum_of_exponentials(simd, &row, z),
        };
        let largest = T::Lanes::<S>::splat(simd, max);
        let gap = row.fold_two(
            z,
            t,
            zero,
            #[inline(always)]
            |sum, z, t| sum + T::Lanes::<S>::select(t.eq(zero), zero, t * (largest - z)),
        );
        batch.add(simd, Waiting { sum, gap: add_lanes::<T, S>(simd, gap), mass });
        let likeliest = row_max(simd, &row, t);
        let label = t.iter().take(classes).position(|t| *t == likeliest).unwrap_or(classes);
        batch.correct += usize::from(is_right(z, label, max, sum));
    }
    batch.mean(simd, n)
}

/// Label smoothing, divided: `all` goes to each class, `label` to the label beside it.
#[derive(Clone, Copy)]
struct Shares<T> {
    all: T,
    label: T,
}

#[inline(always)]
fn subtract<T: Element>(row: &mut [T], label: u32, less: T) {
    if let Some(d) = row.get_mut(index(label)) {
        *d = *d - less;
    }
}

/// Whether the label's is the first of the largest logits. `sum` is NaN where a logit is.
#[inline(always)]
fn is_right<T: Element>(z: &[T], label: usize, max: T, sum: T) -> bool {
    is_first_largest(z, label, max) && sum >= T::from(1)
}

/// A row whose loss is `mass * ln sum + gap`.
struct Waiting<T> {
    sum: T,
    gap: T,
    mass: T,
}

/// Row losses, summed, and the rows that are right. The logarithms are taken a block of rows at a time.
struct Batch<T: Element> {
    loss: f64,
    correct: usize,
    sums: T::Block,
    gaps: T::Block,
    masses: T::Block,
    waiting: usize,
}

impl<T: Element> Batch<T> {
    #[inline(always)]
    fn new() -> Self {
        let [sums, gaps, masses] = [T::Block::default(); 3];
        Self { loss: 0.0, correct: 0, sums, gaps, masses, waiting: 0 }
    }

    #[inline(always)]
    fn add<S: Simd>(&mut self, simd: S, row: Waiting<T>) {
        let blocks = [&mut self.sums, &mut self.gaps, &mut self.masses];
        for (block, value) in blocks.into_iter().zip([row.sum, row.gap, row.mass]) {
            if let Some(to) = block.as_mut().get_mut(self.waiting) {
                *to = value;
            }
        }
        self.waiting += 1;
        if self.waiting == T::LANES {
            self.take_losses(simd);
        }
    }

    /// `count` groups of rows with labels, when none waits. The groups' exponentials are lost.
    #[inline(always)]
    fn add_groups<S: Simd>(
        &mut self,
        simd: S,
        z: &[T],
        labels: &[u32],
        shares: Shares<T>,
        short: &mut Short<T, S>,
        count: usize,
    ) {
        let label = T::Lanes::<S>::splat(simd, shares.label);
        let groups = z.chunks_exact(short.rows.elements()).zip(labels.chunks_exact(T::LANES));
        for (i, (z, labels)) in groups.take(count).enumerate() {
            let (Some(&max), Some(&sums)) = (short.max.get(i), short.sums.get(i)) else { break };
            let mut gaps = max - short.rows.pick(z, labels);
            if shares.all != T::default() {
                gaps = label * gaps + short.gaps(simd, z, max, shares.all);
            }
            let losses = (sums.smooth::<smooth::Ln>(simd) + gaps).to_block(simd);
            for loss in losses.as_ref() {
                self.loss += loss.to_f64();
            }
            let (max, sums) = (max.to_block(simd), sums.to_block(simd));
            let rows = z.chunks_exact(short.rows.len()).zip(labels);
            for ((z, label), (max, sum)) in rows.zip(max.as_ref().iter().zip(sums.as_ref())) {
                self.correct += usize::from(is_right(z, index(*label), *max, *sum));
            }
        }
    }

    #[inline(always)]
    fn take_losses<S: Simd>(&mut self, simd: S) {
        let [sums, gaps, masses] =
            [&self.sums, &self.gaps, &self.masses].map(|x| T::Lanes::<S>::load(simd, x));
        let losses = (masses * sums.smooth::<smooth::Ln>(simd) + gaps).to_block(simd);
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

#[cfg(test)]
mod tests;
