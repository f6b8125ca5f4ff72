//! Pools that show whether results depend on the order, or the number, of threads.

use super::{bands, both, cut_mut, fork};
use slicewise_kernels::Parallel;
use std::vec::Vec;

/// A pool of the crate that is tested, for the crate's own parts.
pub(crate) struct Own<P>(pub(crate) P);

impl<P: Parallel + Sync> super::Parallel for Own<P> {
    fn threads(&self) -> usize {
        self.0.threads()
    }

    fn join(&self, a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
        self.0.join(a, b);
    }
}

/// A pool of no threads that says how many it has, and runs `b` before `a` where it is told so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ordered {
    pub(crate) threads: usize,
    pub(crate) backwards: bool,
}

impl Parallel for Ordered {
    fn threads(&self) -> usize {
        self.threads
    }

    fn join(&self, a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
        if self.backwards {
            b();
            a();
        } else {
            a();
            b();
        }
    }
}

/// Two threads for every join.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scoped(pub(crate) usize);

impl Parallel for Scoped {
    fn threads(&self) -> usize {
        self.0
    }

    fn join(&self, a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
        std::thread::scope(|scope| {
            scope.spawn(a);
            b();
        });
    }
}

/// Pools of every number of threads that tests ask for, in both orders.
pub(crate) fn ordered() -> Vec<Ordered> {
    [1, 2, 3, 7]
        .into_iter()
        .flat_map(|threads| [false, true].map(|backwards| Ordered { threads, backwards }))
        .collect()
}

/// A pool that forgets its second half.
struct Lazy;

impl Parallel for Lazy {
    fn threads(&self) -> usize {
        2
    }

    fn join(&self, a: impl FnOnce() + Send, _: impl FnOnce() + Send) {
        a();
    }
}

#[test]
fn a_pool_that_does_not_run_its_work_is_an_error() {
    let run = both(&Own(Lazy), || 1, || 2);
    assert_eq!(run.unwrap_err().argument, "halves that the pool ran");
}

#[test]
fn bands_are_even_and_cover_all() {
    for len in 0..300 {
        for most in 0..9 {
            for unit in [1, 8, 24, 32] {
                let (width, count) = bands(len, unit, most);
                assert!(count >= 1 && count <= most.max(1) && width % unit == 0 && width > 0);
                assert!(count * width >= len && (count - 1) * width <= len, "{len} {most} {unit}");
            }
        }
    }
}

#[test]
fn a_fork_runs_each_band_once() {
    for count in 1..20 {
        for pool in ordered() {
            let mut touched = std::vec![0; 3 * count];
            let split = |x, n: usize| cut_mut(x, 3 * n);
            let run = |x: &mut [i32]| {
                assert_eq!(x.len(), 3);
                x.iter_mut().for_each(|x| *x += 1);
                Ok(())
            };
            fork(&Own(pool), count, &mut touched[..], &split, &run).unwrap();
            assert!(touched.iter().all(|x| *x == 1), "{touched:?}");
        }
    }
}
