//! Activations over a pool: slices cut in pieces.

use super::{Parallel, bands, cut, cut_mut, fork};
use crate::error::expect_len;
use crate::{
    Activation, Element, Level, ShapeError, activate, activate_in_place, activation_backward,
    activation_backward_from_input, activation_backward_in_place,
};

/// The least elements of a piece: some 10 us.
const PIECE: usize = 1 << 16;
/// Pieces are multiples of two cache lines.
const UNIT: usize = 32;

/// The length of each piece and how many there are.
fn pieces(len: usize, pool: &impl Parallel) -> (usize, usize) {
    bands(len, UNIT, pool.threads().min(len / PIECE))
}

/// [`activate`] over a pool, to the same bits. Below 131,072 elements it stays on one thread.
///
/// ```
/// use slicewise_kernels::{Activation, Level, Serial, activate_on};
///
/// let mut y = [0.0f32; 3];
/// activate_on(&Serial, Level::detect(), Activation::Relu, &[-2.0, 0.0, 3.0], &mut y)?;
/// assert_eq!(y, [0.0, 0.0, 3.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// As [`activate`].
pub fn activate_on<T: Element, P: Parallel>(
    pool: &P,
    level: Level,
    activation: Activation,
    x: &[T],
    y: &mut [T],
) -> Result<(), ShapeError> {
    expect_len("y", x.len(), y.len())?;
    let (len, count) = pieces(y.len(), pool);
    fork(pool, count, (x, y), &|(x, y): (&[T], _), n| zip(cut(x, n * len), cut_mut(y, n * len)), &|(x, y)| {
        activate(level, activation, x, y)
    })
}

/// [`activate_in_place`] over a pool, to the same bits. Below 131,072 elements it stays on one thread.
///
/// # Errors
/// [`ShapeError`] where the pool does not run what it is given.
pub fn activate_in_place_on<T: Element, P: Parallel>(
    pool: &P,
    level: Level,
    activation: Activation,
    y: &mut [T],
) -> Result<(), ShapeError> {
    let (len, count) = pieces(y.len(), pool);
    fork(pool, count, y, &|y, n| cut_mut(y, n * len), &|y: &mut [T]| {
        activate_in_place(level, activation, y);
        Ok(())
    })
}

/// [`activation_backward`] over a pool, to the same bits. Below 131,072 elements it stays on one thread.
///
/// # Errors
/// As [`activation_backward`].
pub fn activation_backward_on<T: Element, P: Parallel>(
    pool: &P,
    level: Level,
    activation: Activation,
    y: &[T],
    dy: &[T],
    dx: &mut [T],
) -> Result<(), ShapeError> {
    activation.expect_derivative_from_output()?;
    expect_len("dy", y.len(), dy.len())?;
    expect_len("dx", y.len(), dx.len())?;
    in_pieces(pool, y, dy, dx, &|y, dy, dx| activation_backward(level, activation, y, dy, dx))
}

/// [`activation_backward_from_input`] over a pool, to the same bits. Below 131,072 elements it stays on one thread.
///
/// # Errors
/// As [`activation_backward_from_input`].
pub fn activation_backward_from_input_on<T: Element, P: Parallel>(
    pool: &P,
    level: Level,
    activation: Activation,
    x: &[T],
    dy: &[T],
    dx: &mut [T],
) -> Result<(), ShapeError> {
    expect_len("dy", x.len(), dy.len())?;
    expect_len("dx", x.len(), dx.len())?;
    in_pieces(pool, x, dy, dx, &|x, dy, dx| activation_backward_from_input(level, activation, x, dy, dx))
}

/// [`activation_backward_in_place`] over a pool, to the same bits. Below 131,072 elements it stays on one thread.
///
/// ```
/// use slicewise_kernels::{Activation, Level, Serial, activation_backward_in_place_on};
///
/// let (y, mut dy) = ([0.0f32, 3.0], [5.0, 5.0]);
/// activation_backward_in_place_on(&Serial, Level::detect(), Activation::Relu, &y, &mut dy)?;
/// assert_eq!(dy, [0.0, 5.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// As [`activation_backward_in_place`].
pub fn activation_backward_in_place_on<T: Element, P: Parallel>(
    pool: &P,
    level: Level,
    activation: Activation,
    y: &[T],
    dy: &mut [T],
) -> Result<(), ShapeError> {
    activation.expect_derivative_from_output()?;
    expect_len("dy", y.len(), dy.len())?;
    let (len, count) = pieces(dy.len(), pool);
    fork(pool, count, (y, dy), &|(y, dy): (&[T], _), n| zip(cut(y, n * len), cut_mut(dy, n * len)), &|(
        y,
        dy,
    )| {
        activation_backward_in_place(level, activation, y, dy)
    })
}

/// `kernel` on pieces of slices of one length.
fn in_pieces<T: Element, P: Parallel>(
    pool: &P,
    a: &[T],
    b: &[T],
    out: &mut [T],
    kernel: &(impl Fn(&[T], &[T], &mut [T]) -> Result<(), ShapeError> + Sync),
) -> Result<(), ShapeError> {
    let (len, count) = pieces(out.len(), pool);
    fork(
        pool,
        count,
        ((a, b), out),
        &|((a, b), out): ((&[T], &[T]), _), n| {
            zip(zip(cut(a, n * len), cut(b, n * len)), cut_mut(out, n * len))
        },
        &|((a, b), out)| kernel(a, b, out),
    )
}

/// The first halves, and the second ones.
fn zip<A, B>((a, a_rest): (A, A), (b, b_rest): (B, B)) -> ((A, B), (A, B)) {
    ((a, b), (a_rest, b_rest))
}

#[cfg(test)]
mod tests {
    use super::PIECE;
    use crate::parallel::tests::{Scoped, ordered};
    use proptest::prelude::*;
    use slicewise_kernels::reference::strategies::special_slice;
    use slicewise_kernels::reference::{assert_same_bits, levels};
    use slicewise_kernels::*;
    use std::vec::Vec;

    /// What each function leaves.
    fn run<T: Element>(pool: &impl Parallel, level: Level, f: Activation, x: &[T], dy: &[T]) -> [Vec<T>; 4] {
        let (mut y, mut in_place) = (std::vec![T::from(7); x.len()], x.to_vec());
        activate_on(pool, level, f, x, &mut y).unwrap();
        activate_in_place_on(pool, level, f, &mut in_place).unwrap();
        let (mut dx, mut dy_to_dx) = (std::vec![T::from(7); x.len()], dy.to_vec());
        activation_backward_from_input_on(pool, level, f, x, dy, &mut dx).unwrap();
        let mut expected_from_input = dx.clone();
        activation_backward_from_input(level, f, x, dy, &mut expected_from_input).unwrap();
        assert_same_bits(&dx, &expected_from_input, "from the input", level);
        activation_backward_on(pool, level, f, &y, dy, &mut dx).unwrap();
        activation_backward_in_place_on(pool, level, f, &y, &mut dy_to_dx).unwrap();
        [y, in_place, dx, dy_to_dx]
    }

    /// The values again and again, `n` of them.
    fn repeated<T: Element>(x: &[T], n: usize) -> Vec<T> {
        x.iter().cycle().take(n).copied().collect()
    }

    fn check<T: Element>(x: &[T], dy: &[T]) {
        for level in levels() {
            // Pieces know nothing of the function.
            for f in [Activation::Relu, Activation::Elu { alpha: 0.5 }, Activation::Tanh] {
                let (mut y, mut dx) = (std::vec![T::default(); x.len()], std::vec![T::default(); x.len()]);
                activate(level, f, x, &mut y).unwrap();
                activation_backward(level, f, &y, dy, &mut dx).unwrap();
                let expected = [&y, &y, &dx, &dx];
                let mut runs: Vec<_> = ordered().iter().map(|pool| run(pool, level, f, x, dy)).collect();
                runs.push(run(&Scoped(3), level, f, x, dy));
                for run in runs {
                    for (actual, expected) in run.iter().zip(expected) {
                        assert_same_bits(actual, expected, "pieces", level);
                    }
                }
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4))]

        #[test]
        fn any_number_of_threads_gives_the_same_bits(
            n in 0usize..700,
            (x, dy) in (special_slice::<f32>(997), special_slice::<f32>(991)),
            (x2, dy2) in (special_slice::<f64>(997), special_slice::<f64>(991)),
        ) {
            // Whole; about the least that is divided; in as many pieces as there are threads, at most.
            for n in [n, 2 * PIECE - 350 + n, 7 * PIECE + n] {
                check(&repeated(&x, n), &repeated(&dy, n));
                check(&repeated(&x2, n), &repeated(&dy2, n));
            }
        }
    }

    #[test]
    fn errors_leave_outputs_untouched() {
        let (x, mut y, level, pool) =
            (std::vec![1.0f32; 3 * PIECE], std::vec![7.0; 3 * PIECE - 1], Level::detect(), Scoped(2));
        assert_eq!(activate_on(&pool, level, Activation::Tanh, &x, &mut y).unwrap_err().argument, "y");
        let run = |f, y: &mut [f32]| activation_backward_in_place_on(&pool, level, f, &x, y);
        assert_eq!(run(Activation::Tanh, &mut y).unwrap_err().argument, "dy");
        let steep = Activation::Elu { alpha: -1.0 };
        assert!(run(steep, &mut std::vec![7.0; 3 * PIECE]).is_err());
        assert!(activation_backward_on(&pool, level, steep, &x, &x, &mut std::vec![7.0; 3 * PIECE]).is_err());
        assert!(activation_backward_on(&pool, level, Activation::Relu, &x, &x, &mut y).is_err());
        assert!(y.iter().all(|y| *y == 7.0));
    }
}
