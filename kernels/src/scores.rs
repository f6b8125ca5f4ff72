//! Rows of scores with labels: what the losses of classifiers share.

use crate::error::{expect_at_least, expect_len};
use crate::simd::rows::Row;
use crate::simd::{Arithmetic, Lanes, Simd};
use crate::{Element, ShapeError};

/// What [`cross_entropy`](crate::cross_entropy) and [`hinge`](crate::hinge) say of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchLoss {
    /// The mean over the rows. Of cross-entropy, `-ln softmax(z)[label]`, in nats: `ln classes` for a network that knows nothing.
    pub loss: f64,
    /// The rows whose first largest score is the label's.
    pub correct: usize,
}

/// `len` scores, `scores` by name: a row of `classes` for each label, which is one of them.
pub(crate) fn expect_batch(
    scores: &'static str,
    classes: usize,
    len: usize,
    labels: &[u32],
) -> Result<(), ShapeError> {
    expect_at_least("classes", 1, classes)?;
    expect_at_least("labels", 1, labels.len())?;
    expect_len(scores, classes.saturating_mul(labels.len()), len)?;
    for label in labels {
        let label = index(*label);
        if label >= classes {
            return Err(ShapeError { argument: "labels", expected: classes, actual: label });
        }
    }
    Ok(())
}

/// A label as an index; one beyond `usize` is beyond every class.
#[inline(always)]
pub(crate) fn index(label: u32) -> usize {
    usize::try_from(label).unwrap_or(usize::MAX)
}

/// Whether the label's is the first of the largest scores, `max`, of the row at the beginning of `z`.
#[inline(always)]
pub(crate) fn is_first_largest<T: Element>(z: &[T], label: usize, max: T) -> bool {
    let (before, rest) = z.split_at_checked(label).unwrap_or((z, &[]));
    rest.first() == Some(&max) && before.iter().all(|z| *z < max)
}

/// The largest of a row; NaNs may be passed over.
#[inline(always)]
pub(crate) fn row_max<T: Element, S: Simd>(simd: S, row: &Row<T, S>, z: &[T]) -> T {
    let max = row.fold(
        z,
        T::Lanes::<S>::splat(simd, -T::INFINITY),
        #[inline(always)]
        |max, z| z.max(max),
    );
    max.fold_lanes(
        simd,
        #[inline(always)]
        |a, b| if a > b { a } else { b },
    )
}

/// The sum of the lanes.
#[inline(always)]
pub(crate) fn add_lanes<T: Element, S: Simd>(simd: S, sum: T::Lanes<S>) -> T {
    sum.fold_lanes(
        simd,
        #[inline(always)]
        |a, b| a + b,
    )
}
