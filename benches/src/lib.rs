//! What the benchmarks share: contestants run in turn, and the machine's limit measured beside them.

use core::hint::black_box;
use core::time::Duration;
use slicewise::kernels::multiply_adds;
use slicewise::{Element, Level};
use std::time::Instant;

/// One thing to time: its name and what it does.
pub type Contestant<'a> = (&'a str, &'a mut dyn FnMut());

/// Times contestants round by round, each a slice of about `slice` in every round, and returns the median seconds of a
/// call of each. Machines drift: what is compared must run in turn.
pub fn in_turn(rounds: usize, slice: Duration, contestants: &mut [Contestant<'_>]) -> Vec<f64> {
    let mut calls = Vec::new();
    for (_, call) in contestants.iter_mut() {
        // Warm up, and find how many calls fill a slice.
        let (mut n, start) = (0u32, Instant::now());
        while start.elapsed() < slice {
            call();
            n += 1;
        }
        calls.push(n);
    }
    let mut seconds = vec![Vec::new(); contestants.len()];
    for _ in 0..rounds {
        for (((_, call), n), seconds) in contestants.iter_mut().zip(&calls).zip(&mut seconds) {
            let start = Instant::now();
            for _ in 0..*n {
                call();
            }
            seconds.push(start.elapsed().as_secs_f64() / f64::from(*n));
        }
    }
    seconds.iter_mut().map(|seconds| median(seconds)).collect()
}

fn median(x: &mut [f64]) -> f64 {
    x.sort_by(f64::total_cmp);
    x[x.len() / 2]
}

/// Rounds of multiply-adds that take well under a millisecond: a contestant to measure the peak with.
pub const PEAK_ROUNDS: u64 = 50_000;

/// Multiply-adds, [`PEAK_ROUNDS`] of them; returns the operations.
pub fn peak<T: Element>(level: Level) -> u64 {
    black_box(multiply_adds::<T>(level, black_box(PEAK_ROUNDS))).0
}
