//! Mini-batches: shuffled from a seed, gathered into the caller's buffers.
//!
//! An epoch's order follows from the seed and the epoch's number alone, so that a training run can go on from any epoch to
//! the very same bits.
//!
//! ```
//! use slicewise::batches::{gather, shuffle};
//!
//! let (images, labels) = ([0.0f32, 0.5, 1.0, 1.5, 2.0, 2.5], [0u32, 1, 2]); // three rows of two features
//! let mut order = [0; 3];
//! shuffle(1, 0, &mut order);
//! let (mut batch, mut batch_labels) = ([0.0; 4], [0; 2]);
//! for rows in order.chunks(2) {
//!     let n = rows.len(); // the last batch is smaller
//!     gather(&images, 2, rows, &mut batch[..2 * n])?;
//!     gather(&labels, 1, rows, &mut batch_labels[..n])?;
//!     assert_eq!(batch[0], batch_labels[0] as f32);
//! }
//! # Ok::<(), slicewise::Error>(())
//! ```

use rand_core::Rng;
use rand_pcg::Pcg64;

use crate::Error;
use crate::error::expect_len;
use crate::kernels::ShapeError;

/// Fills `order` with `0..order.len()`, shuffled (Fisher and Yates; Durstenfeld 1964): every order is as likely.
///
/// ```
/// use slicewise::batches::shuffle;
///
/// let (mut first, mut second) = ([0; 100], [0; 100]);
/// shuffle(1, 0, &mut first);
/// shuffle(1, 1, &mut second);
/// assert_ne!(first, second); // another epoch, another order
/// shuffle(1, 0, &mut second);
/// assert_eq!(first, second);
/// ```
pub fn shuffle(seed: u64, epoch: u64, order: &mut [u32]) {
    for (row, i) in order.iter_mut().zip(0..) {
        *row = i;
    }
    let mut rng = Pcg64::new(u128::from(seed), u128::from(epoch));
    for i in (1..order.len()).rev() {
        let Some((head, [last, ..])) = order.split_at_mut_checked(i) else { return };
        // Fits: `order` counts in u32.
        #[expect(clippy::cast_possible_truncation, reason = "order counts in u32")]
        let j = below(&mut rng, i as u32 + 1) as usize;
        // The last one itself is drawn where `j` is `i`.
        if let Some(other) = head.get_mut(j) {
            core::mem::swap(other, last);
        }
    }
}

/// Copies rows of `width` elements into `to`: its row i is row `rows[i]` of `from`.
///
/// ```
/// use slicewise::batches::gather;
///
/// let (images, mut batch) = ([10, 11, 20, 21, 30, 31], [0; 4]);
/// gather(&images, 2, &[2, 0], &mut batch)?;
/// assert_eq!(batch, [30, 31, 10, 11]);
/// # Ok::<(), slicewise::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] where `to` does not hold as many rows, or a row lies past the end of `from`; `to` is then untouched.
pub fn gather<A: Copy>(from: &[A], width: usize, rows: &[u32], to: &mut [A]) -> Result<(), Error> {
    expect_len("to", rows.len().saturating_mul(width), to.len())?;
    let count = from.len().checked_div(width).unwrap_or(0);
    if let Some(row) = rows.iter().find(|row| **row as usize >= count) {
        return Err(
            ShapeError { argument: "row", expected: count.saturating_sub(1), actual: *row as usize }.into()
        );
    }
    for (to, row) in to.chunks_exact_mut(width.max(1)).zip(rows) {
        let from = from.get(*row as usize * width..).unwrap_or_default();
        for (to, x) in to.iter_mut().zip(from) {
            *to = *x;
        }
    }
    Ok(())
}

/// A number below `n`, each as likely (Lemire 2019).
pub(crate) fn below(rng: &mut impl Rng, n: u32) -> u32 {
    let threshold = n.wrapping_neg().checked_rem(n).unwrap_or(0);
    loop {
        let product = u64::from(rng.next_u32()) * u64::from(n);
        #[expect(clippy::cast_possible_truncation, reason = "the two halves of the product")]
        let (high, low) = ((product >> 32) as u32, product as u32);
        if low >= threshold {
            return high;
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn an_order_holds_every_row_once_and_follows_from_seed_and_epoch() {
        for n in [0, 1, 2, 3, 100, 1797] {
            let mut order = std::vec![9; n];
            shuffle(7, 3, &mut order);
            let mut again = std::vec![0; n];
            shuffle(7, 3, &mut again);
            assert_eq!(order, again);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert!(sorted.iter().copied().eq(0..n as u32));
            if n >= 100 {
                shuffle(7, 4, &mut again);
                assert_ne!(order, again);
                shuffle(8, 3, &mut again);
                assert_ne!(order, again);
            }
        }
    }

    /// All 24 orders of four rows, each within 5 standard deviations of its expected count.
    #[test]
    fn every_order_is_as_likely() {
        let mut counts: Vec<([u32; 4], u32)> = Vec::new();
        let n = 24_000;
        for epoch in 0..n {
            let mut order = [0; 4];
            shuffle(1, epoch, &mut order);
            match counts.iter_mut().find(|(o, _)| *o == order) {
                Some((_, count)) => *count += 1,
                None => counts.push((order, 1)),
            }
        }
        assert_eq!(counts.len(), 24);
        for (order, count) in counts {
            assert!((850..1150).contains(&count), "{order:?} came {count} times of {n}");
        }
    }

    #[test]
    fn a_row_that_is_not_there_is_an_error() {
        let mut to = [7; 2];
        let error = gather(&[1, 2, 3, 4], 2, &[2], &mut to).unwrap_err();
        assert_eq!(error, Error::Shape(ShapeError { argument: "row", expected: 1, actual: 2 }));
        assert!(gather(&[1, 2, 3, 4], 2, &[0, 1], &mut to).is_err());
        assert_eq!(to, [7; 2]);
    }
}
