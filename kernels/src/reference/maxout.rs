//! Oracles of maxout.

use crate::Element;
use std::vec::Vec;

/// The piece that wins in each row and unit: the first NaN, else the first maximum.
#[must_use]
pub fn winners<T: Element>(pieces: usize, units: usize, x: &[T]) -> Vec<usize> {
    let mut winners = Vec::new();
    for row in x.chunks(pieces * units) {
        for j in 0..units {
            let mut best = 0;
            for p in 1..pieces {
                let (new, old) = (row[p * units + j].to_f64(), row[best * units + j].to_f64());
                if !old.is_nan() && (new.is_nan() || new > old) {
                    best = p;
                }
            }
            winners.push(best);
        }
    }
    winners
}

/// `y[i][j] = max_p x[i][p * units + j]`
#[must_use]
pub fn maxout<T: Element>(pieces: usize, units: usize, x: &[T]) -> Vec<T> {
    let winners = winners(pieces, units, x);
    let at = |(k, p): (usize, &usize)| x[k / units * pieces * units + p * units + k % units];
    winners.iter().enumerate().map(at).collect()
}

/// `dy` where a piece wins (NaN where that piece is NaN), else 0.
#[must_use]
pub fn backward<T: Element>(pieces: usize, units: usize, x: &[T], dy: &[T]) -> Vec<T> {
    let mut dx = std::vec![T::default(); x.len()];
    for (k, p) in winners(pieces, units, x).into_iter().enumerate() {
        let at = k / units * pieces * units + p * units + k % units;
        dx[at] = if x[at].to_f64().is_nan() { x[at] } else { dy[k] };
    }
    dx
}
