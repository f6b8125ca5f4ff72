//! [`optimizer_step_on`]: an update over a pool.

use super::{Parallel, both, cut, cut_mut};
use crate::optimizer::check_step;
use crate::{Element, Level, ShapeError, Step, UpdateNorms};

/// Elements whose norms are summed in one go. The sums of two halves are added, halves of whole leaves: so the order is fixed by the
/// length, however many threads there are.
const LEAF: usize = 1 << 16;

/// [`optimizer_step`](crate::optimizer_step) over a pool, to the same bits. Up to 65,536 weights stay on one thread.
///
/// ```
/// use slicewise_kernels::{Level, Optimizer, Serial, Step, optimizer_step_on};
///
/// let step = Step { optimizer: Optimizer::Sgd, learning_rate: 0.5, regularisation: 0.0, t: 1 };
/// let mut w = [1.0f32, 2.0];
/// let norms = optimizer_step_on(&Serial, Level::detect(), &step, &mut w, &[2.0, -2.0], &mut [], &mut [])?;
/// assert_eq!((w, norms.update), ([0.0, 3.0], 2.0));
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// As [`optimizer_step`](crate::optimizer_step).
pub fn optimizer_step_on<T: Element, P: Parallel>(
    pool: &P,
    level: Level,
    step: &Step,
    weights: &mut [T],
    gradient: &[T],
    first: &mut [T],
    second: &mut [T],
) -> Result<UpdateNorms, ShapeError> {
    check_step(step, weights, gradient, first, second)?;
    let threads = pool.threads();
    // Halves are even: three threads take eight pieces.
    let pieces = if threads.is_power_of_two() { threads } else { threads.saturating_mul(4) };
    halve(pool, pieces, level, step, Tensors { weights, gradient, first, second })
}

/// The operands of one call, or of a part of it.
struct Tensors<'a, T> {
    weights: &'a mut [T],
    gradient: &'a [T],
    /// Empty where the rule has no such slot, as `second`.
    first: &'a mut [T],
    second: &'a mut [T],
}

impl<T> Tensors<'_, T> {
    fn split(self, at: usize) -> (Self, Self) {
        let ((weights, w), (gradient, g)) = (cut_mut(self.weights, at), cut(self.gradient, at));
        let ((first, f), (second, s)) = (cut_mut(self.first, at), cut_mut(self.second, at));
        (Self { weights, gradient, first, second }, Self { weights: w, gradient: g, first: f, second: s })
    }
}

/// A step on all leaves, in up to `pieces` pieces side by side.
fn halve<T: Element, P: Parallel>(
    pool: &P,
    pieces: usize,
    level: Level,
    step: &Step,
    tensors: Tensors<'_, T>,
) -> Result<UpdateNorms, ShapeError> {
    let leaves = tensors.weights.len().div_ceil(LEAF);
    if leaves < 2 {
        let Tensors { weights, gradient, first, second } = tensors;
        return Ok(T::step_of_leaf(level, step, weights, gradient, first, second));
    }
    let (a, b) = tensors.split(leaves / 2 * LEAF);
    let half = pieces / 2;
    let (a, b) = if half > 0 {
        both(pool, || halve(pool, half, level, step, a), || halve(pool, half, level, step, b))?
    } else {
        (halve(pool, 0, level, step, a), halve(pool, 0, level, step, b))
    };
    let (a, b) = (a?, b?);
    Ok(UpdateNorms { update: a.update + b.update, weights: a.weights + b.weights })
}

#[cfg(test)]
mod tests {
    use super::LEAF;
    use crate::parallel::tests::{Scoped, ordered};
    use slicewise_kernels::reference::{assert_same_bits, levels};
    use slicewise_kernels::*;
    use std::vec::Vec;

    /// All that a step leaves.
    fn run<T: Element>(pool: &impl Parallel, level: Level, optimizer: Optimizer, n: usize) -> [Vec<T>; 4] {
        let step = Step { optimizer, learning_rate: 0.01, regularisation: 1e-3, t: 3 };
        let value = |i: usize| T::from_f64((i * 37 % 1013) as f64 / 100.0 + 0.1);
        let [mut w, g, mut first, mut second] =
            [1, 2, 3, 4].map(|s| (0..n).map(|i| value(s * i)).collect::<Vec<T>>());
        let norms = optimizer_step_on(pool, level, &step, &mut w, &g, &mut first, &mut second).unwrap();
        [w, first, second, [norms.update, norms.weights].map(T::from_f64).to_vec()]
    }

    fn check<T: Element>() {
        for level in levels() {
            for n in [0, 100, LEAF, LEAF + 1, 5 * LEAF + 77] {
                for optimizer in [Optimizer::Sgd, Optimizer::momentum(), Optimizer::adam_w()] {
                    let alone = run::<T>(&Serial, level, optimizer, n);
                    for pool in ordered() {
                        for (x, y) in run::<T>(&pool, level, optimizer, n).iter().zip(&alone) {
                            assert_same_bits(x, y, "a step", level);
                        }
                    }
                    for (x, y) in run::<T>(&Scoped(4), level, optimizer, n).iter().zip(&alone) {
                        assert_same_bits(x, y, "a step on threads", level);
                    }
                }
            }
        }
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        check::<f32>();
        check::<f64>();
    }

    /// A piece would be left out, or done twice, unseen by a comparison with itself: against steps of the leaves.
    #[test]
    fn every_weight_takes_one_step() {
        let n = 3 * LEAF + 5;
        let step = Step { optimizer: Optimizer::Sgd, learning_rate: 1.0, regularisation: 0.0, t: 1 };
        let (mut w, g) = (std::vec![3.0f32; n], std::vec![1.0; n]);
        let norms = optimizer_step(Level::detect(), &step, &mut w, &g, &mut [], &mut []).unwrap();
        assert!(w.iter().all(|w| *w == 2.0));
        assert_eq!((norms.update, norms.weights), (n as f64, 9.0 * n as f64));
    }

    #[test]
    fn errors_leave_weights_untouched() {
        let step = Step { optimizer: Optimizer::momentum(), learning_rate: 1.0, regularisation: 0.0, t: 1 };
        let n = 2 * LEAF;
        let (mut w, g, mut first) = (std::vec![3.0f32; n], std::vec![1.0; n], std::vec![0.0; n - 1]);
        let pool = Scoped(2);
        let run = |w: &mut [f32], g: &[f32], first: &mut [f32]| {
            optimizer_step_on(&pool, Level::detect(), &step, w, g, first, &mut []).unwrap_err().argument
        };
        assert_eq!(run(&mut w, &g, &mut first), "first");
        assert_eq!(run(&mut w, g.get(1..).unwrap(), &mut first), "gradient");
        assert!(w.iter().all(|w| *w == 3.0));
    }
}
