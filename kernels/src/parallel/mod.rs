//! Threads as the caller's own: kernels that divide their work over a pool, to the same bits for any number of threads.
//!
//! A kernel in `…_on` splits its outputs into bands that no two threads share, and computes each as the kernel without a pool
//! would; sums are added in an order that the lengths alone fix. So a band's bits depend neither on how many there are nor on which is
//! done first.

mod activation;
mod batch_norm;
mod gemm;
mod optimizer;

pub use activation::{
    activate_in_place_on, activate_on, activation_backward_from_input_on, activation_backward_in_place_on,
    activation_backward_on,
};
pub use batch_norm::{batch_norm_backward_in_place_on, batch_norm_backward_on, batch_norm_forward_on};
pub use gemm::{gemm_on, gemm_on_scratch_len, gemm_with_epilogue_on};
pub use optimizer::optimizer_step_on;

use crate::ShapeError;

/// A pool of threads: what runs two pieces of work side by side.
///
/// Everything else is built on it: kernels split their work in halves, and the halves again. So a pool needs no queue and no
/// memory for it, and the kernels stay free of both.
///
/// A reference to a pool is a pool. [`Serial`] is the one without threads; with the feature `rayon`, `rayon::ThreadPool` is one. A pool
/// of one's own, on the threads of the standard library:
///
/// ```
/// use slicewise_kernels::{Level, MatMut, MatRef, Parallel, gemm_on, gemm_on_scratch_len};
///
/// struct Scoped(usize);
///
/// impl Parallel for Scoped {
///     fn threads(&self) -> usize {
///         self.0
///     }
///
///     fn join(&self, a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
///         std::thread::scope(|scope| {
///             scope.spawn(a);
///             b();
///         });
///     }
/// }
///
/// let (a, b, mut c) = (vec![1.0f32; 300 * 200], vec![2.0; 200 * 100], vec![0.0; 300 * 100]);
/// let pool = Scoped(2);
/// let mut scratch = vec![0.0; gemm_on_scratch_len(300, 100, 200, pool.threads())];
/// let (a, b) = (MatRef::row_major(&a, 300, 200), MatRef::row_major(&b, 200, 100));
/// gemm_on(&pool, Level::detect(), 1.0, a, b, 0.0, MatMut::row_major(&mut c, 300, 100), &mut scratch)?;
/// assert!(c.iter().all(|c| *c == 400.0));
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// Threads that are made for each join, as here, cost some 50 us each: a pool that keeps them is better.
pub trait Parallel: Sync {
    /// The threads that work at a time: work is divided into about as many pieces. 1 where there are none but the caller's.
    fn threads(&self) -> usize;

    /// Runs `a` and `b`, side by side or one after the other in any order, and returns when both are done. Each may join in turn.
    fn join(&self, a: impl FnOnce() + Send, b: impl FnOnce() + Send);
}

/// No threads but the caller's: `a`, then `b`.
///
/// ```
/// use slicewise_kernels::{Parallel, Serial};
///
/// assert_eq!(Serial.threads(), 1);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Serial;

impl Parallel for Serial {
    #[inline]
    fn threads(&self) -> usize {
        1
    }

    #[inline]
    fn join(&self, a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
        a();
        b();
    }
}

impl<P: Parallel> Parallel for &P {
    #[inline]
    fn threads(&self) -> usize {
        (**self).threads()
    }

    #[inline]
    fn join(&self, a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
        (**self).join(a, b);
    }
}

/// Joins from a thread of the pool cost a microsecond and no memory; from outside, each is handed in through a queue and waited for
/// asleep. So call what calls the kernels inside [`install`](rayon::ThreadPool::install):
///
/// ```
/// use slicewise_kernels::{Activation, Level, MatMut, MatRef, gemm_on, gemm_on_scratch_len};
///
/// let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
/// let (a, b, mut c) = (vec![1.0f32; 300 * 200], vec![2.0; 200 * 100], vec![0.0; 300 * 100]);
/// let mut scratch = vec![0.0; gemm_on_scratch_len(300, 100, 200, 2)];
/// pool.install(|| {
///     let (a, b) = (MatRef::row_major(&a, 300, 200), MatRef::row_major(&b, 200, 100));
///     gemm_on(&pool, Level::detect(), 1.0, a, b, 0.0, MatMut::row_major(&mut c, 300, 100), &mut scratch)
/// })?;
/// assert!(c.iter().all(|c| *c == 400.0));
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
#[cfg(feature = "rayon")]
impl Parallel for rayon::ThreadPool {
    fn threads(&self) -> usize {
        self.current_num_threads()
    }

    fn join(&self, a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
        self.join(a, b);
    }
}

/// The results of both; an error where the pool has not run both.
fn both<A: Send, B: Send>(
    pool: &impl Parallel,
    a: impl FnOnce() -> A + Send,
    b: impl FnOnce() -> B + Send,
) -> Result<(A, B), ShapeError> {
    let (mut of_a, mut of_b) = (None, None);
    pool.join(|| of_a = Some(a()), || of_b = Some(b()));
    match (of_a, of_b) {
        (Some(a), Some(b)) => Ok((a, b)),
        _ => Err(ShapeError { argument: "halves that the pool ran", expected: 2, actual: 1 }),
    }
}

/// Splits `work` until each piece is one band, and runs the pieces. `split(work, n)` cuts the first `n` bands off.
fn fork<P: Parallel, W: Send>(
    pool: &P,
    bands: usize,
    work: W,
    split: &(impl Fn(W, usize) -> (W, W) + Sync),
    run: &(impl Fn(W) -> Result<(), ShapeError> + Sync),
) -> Result<(), ShapeError> {
    if bands < 2 {
        return run(work);
    }
    let first = bands / 2;
    let (a, b) = split(work, first);
    let (a, b) =
        both(pool, || fork(pool, first, a, split, run), || fork(pool, bands - first, b, split, run))?;
    a.and(b)
}

/// The width of each of at most `most` bands of `len`, a multiple of `unit`, and how many there are: one at least.
fn bands(len: usize, unit: usize, most: usize) -> (usize, usize) {
    let width = len.div_ceil(most.max(1)).div_ceil(unit.max(1)).max(1).saturating_mul(unit.max(1));
    (width, len.div_ceil(width.max(1)).max(1))
}

/// The first `n` elements and the others.
fn cut<T>(x: &[T], n: usize) -> (&[T], &[T]) {
    x.split_at_checked(n).unwrap_or((x, &[]))
}

/// As [`cut`], to write.
fn cut_mut<T>(x: &mut [T], n: usize) -> (&mut [T], &mut [T]) {
    let n = n.min(x.len());
    x.split_at_mut_checked(n).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests;
