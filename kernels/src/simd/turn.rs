//! [`turn_square`]: a square of elements, rows for columns.

use super::{Arithmetic, Lanes, Simd};
use crate::Element;

/// Hands the columns of as many rows as a block has lanes to `put`, by their numbers: lane `i` of each is row `i`'s.
#[inline(always)]
pub(crate) fn turn_square<T: Element, S: Simd>(
    simd: S,
    row: impl Fn(usize) -> T::Lanes<S>,
    mut put: impl FnMut(usize, T::Lanes<S>),
) {
    let zero = T::Lanes::<S>::splat(simd, T::default());
    let quarter = T::LANES / 4;
    // Of every fourth row, or every second: quarters of rows side by side.
    let mut quarters = [[zero; 4]; 4];
    for (first, quarters) in quarters.iter_mut().take(quarter).enumerate() {
        let (a, b) = (row(first), row(first + quarter));
        let (c, d) = (row(first + 2 * quarter), row(first + 3 * quarter));
        let ((a, b), (c, d)) = if T::LANES == 16 {
            (a.halves::<8>(b), c.halves::<8>(d))
        } else {
            (a.halves::<4>(b), c.halves::<4>(d))
        };
        let ((a, c), (b, d)) = if T::LANES == 16 {
            (a.halves::<4>(c), b.halves::<4>(d))
        } else {
            (a.halves::<2>(c), b.halves::<2>(d))
        };
        *quarters = [a, c, b, d];
    }
    let [a, b, c, d] = quarters;
    for (q, (((a, b), c), d)) in a.into_iter().zip(b).zip(c).zip(d).enumerate() {
        if T::LANES == 16 {
            let ((a, e), (c, g)) = (a.halves::<2>(b), c.halves::<2>(d));
            let ((a, c), (e, g)) = (a.halves::<1>(c), e.halves::<1>(g));
            put(4 * q, a);
            put(4 * q + 1, c);
            put(4 * q + 2, e);
            put(4 * q + 3, g);
        } else {
            let (a, b) = a.halves::<1>(b);
            put(2 * q, a);
            put(2 * q + 1, b);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::levels;
    use crate::simd::dispatch;

    fn check<T: Element, S: Simd>(simd: S, level: &str) {
        let element = |row: usize, column: usize| T::from((row * T::LANES + column) as u8);
        let mut columns = 0;
        turn_square::<T, S>(
            simd,
            |row| {
                let mut block = T::Block::default();
                for (column, to) in block.as_mut().iter_mut().enumerate() {
                    *to = element(row, column);
                }
                T::Lanes::<S>::load(simd, &block)
            },
            |column, lanes| {
                for (row, x) in lanes.to_block(simd).as_ref().iter().enumerate() {
                    assert!(*x == element(row, column), "row {row}, column {column} at {level}");
                }
                columns += 1;
            },
        );
        assert_eq!(columns, T::LANES, "{level}");
    }

    #[test]
    fn rows_become_columns() {
        for level in levels() {
            dispatch!(level, simd => check::<f32, _>(simd, level.name()));
            dispatch!(level, simd => check::<f64, _>(simd, level.name()));
        }
    }
}
