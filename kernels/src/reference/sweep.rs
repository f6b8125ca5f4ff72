//! The error of a function over the `f32`.

use core::ops::Range;
use std::vec::Vec;

use super::{levels, ulp_error};
use crate::Level;

/// The largest error found, in units of the last place of the exact result ([`ulp_error`]), and where.
#[derive(Clone, Copy, Debug, Default)]
pub struct Worst {
    /// The error.
    pub ulp: f64,
    /// The input.
    pub x: f32,
}

/// Numbers that are computed at a time.
const CHUNK: usize = 4096;
/// Bit patterns of an `f32`.
const PATTERNS: u64 = 1 << 32;

/// Compares `f`, which writes `y[i] = f(x[i])` at a level, with `exact` at every `stride`th bit pattern of an `f32`: both signs, all exponents,
/// subnormals, infinities and NaNs. Returns the worst of each level of [`levels`]. Runs on as many threads as the machine has cores.
///
/// # Panics
/// Where `stride` is 0, or a thread panics.
#[must_use]
pub fn sweep(
    stride: usize,
    f: impl Fn(Level, &[f32], &mut [f32]) + Sync,
    exact: impl Fn(f64) -> f64 + Sync,
) -> Vec<(Level, Worst)> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let share = PATTERNS.div_ceil(threads).next_multiple_of(stride as u64);
    let (f, exact) = (&f, &exact);
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|t| (t * share).min(PATTERNS)..((t + 1) * share).min(PATTERNS))
            .map(|bits| scope.spawn(move || part(bits, stride, f, exact)))
            .collect();
        let mut worst: Vec<_> = levels().map(|level| (level, Worst::default())).collect();
        for part in parts {
            for ((_, worst), found) in worst.iter_mut().zip(part.join().expect("a part of the sweep")) {
                if found.ulp > worst.ulp {
                    *worst = found;
                }
            }
        }
        worst
    })
}

/// The worst of each level among some bit patterns.
fn part(
    bits: Range<u64>,
    stride: usize,
    f: &impl Fn(Level, &[f32], &mut [f32]),
    exact: &impl Fn(f64) -> f64,
) -> Vec<Worst> {
    let levels: Vec<Level> = levels().collect();
    let mut worst = std::vec![Worst::default(); levels.len()];
    let mut inputs = bits.step_by(stride).map(|bits| f32::from_bits(bits as u32)).peekable();
    let (mut x, mut y, mut expected) = (Vec::new(), [0.0; CHUNK], Vec::new());
    while inputs.peek().is_some() {
        x.clear();
        x.extend(inputs.by_ref().take(CHUNK));
        expected.clear();
        expected.extend(x.iter().map(|x| exact(f64::from(*x))));
        for (level, worst) in levels.iter().zip(&mut worst) {
            let y = &mut y[..x.len()];
            f(*level, &x, y);
            for ((x, y), expected) in x.iter().zip(y).zip(&expected) {
                let ulp = ulp_error(*y, *expected);
                if ulp > worst.ulp {
                    *worst = Worst { ulp, x: *x };
                }
            }
        }
    }
    worst
}
