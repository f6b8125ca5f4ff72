//! Maxout.

use crate::error::{expect_at_least, expect_len};
use crate::once::compiled_once;
use crate::simd::apply::map;
use crate::simd::{Arithmetic, Lanes, Simd, dispatch};
use crate::{Element, Level, ShapeError};

/// The maximum over `pieces` linear pieces of each unit: `y[i][j] = max_p x[i][p * units + j]`.
/// (Goodfellow et al., Maxout Networks, 2013.)
///
/// `x: (n, pieces * units)`, `y: (n, units)`, row-major: the pieces of a row follow each other, each `units` long, as
/// they come from one dense layer of `pieces * units` columns. A NaN among the pieces gives NaN.
///
/// ```
/// use slicewise_kernels::{Level, maxout};
///
/// let x = [1.0f32, 2.0, 3.0, /* second piece */ 4.0, -1.0, 3.5];
/// let mut y = [0.0; 3];
/// maxout(Level::detect(), 2, 3, &x, &mut y)?;
/// assert_eq!(y, [4.0, 2.0, 3.5]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless `pieces` and `units` are at least 1, `y` holds whole rows and `x` is `pieces` times as long.
pub fn maxout<T: Element>(
    level: Level,
    pieces: usize,
    units: usize,
    x: &[T],
    y: &mut [T],
) -> Result<(), ShapeError> {
    expect_shapes(pieces, units, x.len(), y.len())?;
    T::maxout(level, pieces, units, x, y);
    Ok(())
}

/// The gradient of [`maxout`]: `dy[i][j]` goes to the first piece that attains the maximum `y[i][j]`, 0 to the others.
///
/// `x`, `dx: (n, pieces * units)`; `y`, `dy: (n, units)`. Where `y` is NaN, the first NaN piece gets NaN.
///
/// ```
/// use slicewise_kernels::{Level, maxout_backward};
///
/// let x = [1.0f32, 2.0, /* second piece */ 4.0, 2.0];
/// let mut dx = [0.0; 4];
/// maxout_backward(Level::detect(), 2, 2, &x, &[4.0, 2.0], &[0.5, 0.25], &mut dx)?;
/// assert_eq!(dx, [0.0, 0.25, 0.5, 0.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] as [`maxout`], and unless `dy` is as long as `y`, `dx` as `x`.
pub fn maxout_backward<T: Element>(
    level: Level,
    pieces: usize,
    units: usize,
    x: &[T],
    y: &[T],
    dy: &[T],
    dx: &mut [T],
) -> Result<(), ShapeError> {
    expect_shapes(pieces, units, x.len(), y.len())?;
    expect_len("dy", y.len(), dy.len())?;
    expect_len("dx", x.len(), dx.len())?;
    T::maxout_gradient(level, pieces, units, x, y, dy, dx);
    Ok(())
}

compiled_once! {
    /// Maxout.
    trait Maxout {
        /// See [`maxout`].
        fn maxout(level: Level, pieces: usize, units: usize, x: &[Self], y: &mut [Self]) {
            dispatch!(level, simd => maxout_kernel(simd, pieces, units, x, y));
        }

        /// See [`maxout_backward`].
        fn maxout_gradient(
            level: Level,
            pieces: usize,
            units: usize,
            x: &[Self],
            y: &[Self],
            dy: &[Self],
            dx: &mut [Self],
        ) {
            dispatch!(level, simd => backward_kernel(simd, pieces, units, x, y, dy, dx));
        }
    }
}

fn expect_shapes(pieces: usize, units: usize, x: usize, y: usize) -> Result<(), ShapeError> {
    expect_at_least("pieces", 1, pieces)?;
    expect_at_least("units", 1, units)?;
    let rows = y.checked_div(units).unwrap_or_default();
    expect_len("y", rows * units, y)?;
    // A product beyond `usize` is no slice's length.
    expect_len("x", y.saturating_mul(pieces), x)
}

#[inline(always)]
fn maxout_kernel<T: Element, S: Simd>(simd: S, pieces: usize, units: usize, x: &[T], y: &mut [T]) {
    let rows = x.chunks_exact((pieces * units).max(1)).zip(y.chunks_exact_mut(units.max(1)));
    for (x, y) in rows {
        let mut x = x.chunks_exact(units.max(1));
        match (x.next(), x.next()) {
            (Some(first), Some(second)) => map(
                simd,
                [second, first],
                [&mut *y],
                #[inline(always)]
                |[x, y], _| [larger(x, y)],
            ),
            (Some(only), None) => y.clone_from_slice(only),
            _ => return,
        }
        for x in x {
            map(
                simd,
                [x],
                [&mut *y],
                #[inline(always)]
                |[x], [y]| [larger(x, y)],
            );
        }
    }
}

/// The larger of two, or NaN.
#[inline(always)]
fn larger<V: Lanes>(x: V, y: V) -> V {
    V::select(x.eq(x), x.max(y), x)
}

#[inline(always)]
fn backward_kernel<T: Element, S: Simd>(
    simd: S,
    pieces: usize,
    units: usize,
    x: &[T],
    y: &[T],
    dy: &[T],
    dx: &mut [T],
) {
    let zero = T::Lanes::<S>::splat(simd, T::default());
    let (row, units) = ((pieces * units).max(1), units.max(1));
    let outputs = y.chunks_exact(units).zip(dy.chunks_exact(units));
    let inputs = x.chunks_exact(row).zip(dx.chunks_exact_mut(row));
    for ((x, dx), (y, dy)) in inputs.zip(outputs) {
        for (p, (piece, dx)) in x.chunks_exact(units).zip(dx.chunks_exact_mut(units)).enumerate() {
            map(
                simd,
                [piece, y, dy],
                [&mut *dx],
                #[inline(always)]
                |[x, y, dy], _| {
                    let nan = T::Lanes::<S>::select(x.eq(x), zero, x);
                    [T::Lanes::<S>::select(x.eq(y), dy, nan)]
                },
            );
            // An earlier piece that attains the maximum has had the gradient already.
            for earlier in x.chunks_exact(units).take(p) {
                map(
                    simd,
                    [earlier, y],
                    [&mut *dx],
                    #[inline(always)]
                    |[x, y], [dx]| {
                        let taken = x.eq(y) | !x.eq(x);
                        [T::Lanes::<S>::select(taken, zero, dx)]
                    },
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use slicewise_kernels::reference::strategies::{slice, special_slice};
    use slicewise_kernels::reference::{Placed, assert_same_bits, levels, maxout as oracle};
    use slicewise_kernels::*;
    use std::vec::Vec;

    fn check<T: Element>(pieces: usize, units: usize, x: &[T], dy: &[T], offset: usize) {
        let expected = oracle::maxout(pieces, units, x);
        let gradient = oracle::backward(pieces, units, x, dy);
        let nan = T::from_f64(f64::NAN);
        for level in levels() {
            let mut y = Placed::new(&std::vec![nan; dy.len()], offset);
            maxout(level, pieces, units, Placed::new(x, offset + 1).get(), y.get_mut()).unwrap();
            assert_same_bits(y.get(), &expected, "maxout", level);
            let mut dx = Placed::new(&std::vec![nan; x.len()], offset);
            maxout_backward(level, pieces, units, x, y.get(), dy, dx.get_mut()).unwrap();
            assert_same_bits(dx.get(), &gradient, "maxout_backward", level);
        }
    }

    type Operands<T> = (usize, usize, Vec<T>, Vec<T>, usize);

    fn operands<T: Element>() -> impl Strategy<Value = Operands<T>> {
        (1usize..5, 1usize..40, 0usize..4).prop_flat_map(|(pieces, units, n)| {
            // Few different values, so that pieces tie.
            let values = prop_oneof![
                special_slice::<T>(n * pieces * units),
                proptest::collection::vec((0u8..3).prop_map(T::from), n * pieces * units),
            ];
            (Just(pieces), Just(units), values, slice::<T>(n * units), 0usize..16)
        })
    }

    proptest! {
        #[test]
        fn f32_is_the_oracle((pieces, units, x, dy, offset) in operands::<f32>()) {
            check(pieces, units, &x, &dy, offset);
        }

        #[test]
        fn f64_is_the_oracle((pieces, units, x, dy, offset) in operands::<f64>()) {
            check(pieces, units, &x, &dy, offset);
        }
    }

    #[test]
    fn shapes_are_checked() {
        let level = Level::Portable;
        let mut y = [7.0f32; 4];
        let wrong = |argument, expected, actual| Err(ShapeError { argument, expected, actual });
        assert_eq!(maxout(level, 0, 2, &[], &mut y), wrong("pieces", 1, 0));
        assert_eq!(maxout(level, 2, 0, &[], &mut y), wrong("units", 1, 0));
        assert_eq!(maxout(level, 2, 3, &[1.0; 6], &mut y), wrong("y", 3, 4));
        assert_eq!(maxout(level, 2, 2, &[1.0; 6], &mut y), wrong("x", 8, 6));
        assert_eq!(maxout(level, usize::MAX, 2, &[1.0; 6], &mut y), wrong("x", usize::MAX, 6));
        let x = [1.0; 8];
        assert_eq!(maxout_backward(level, 2, 2, &x, &[1.0; 4], &[1.0; 3], &mut [1.0; 8]), wrong("dy", 4, 3));
        assert_eq!(maxout_backward(level, 2, 2, &x, &[1.0; 4], &[1.0; 4], &mut y), wrong("dx", 8, 4));
        assert_eq!(y, [7.0; 4]);
    }
}
