//! Work to measure a machine's limits with: multiply-adds that touch no memory, and memory that is only read or copied.

use crate::error::expect_len;
use crate::once::compiled_once;
use crate::simd::apply::{cut, map};
use crate::simd::{Arithmetic, Lanes, Level, Simd, dispatch};
use crate::{Element, ShapeError};

/// Runs `rounds` of multiply-adds, in as many independent chains of registers as fill the units that do them, and returns
/// how many floating-point operations that was, and a value that depends on all of them.
///
/// Divided by the time it takes, the count is the level's peak: no kernel can be faster.
///
/// ```
/// use slicewise_kernels::{Level, multiply_adds};
///
/// let start = std::time::Instant::now();
/// let (operations, value) = multiply_adds::<f32>(Level::detect(), 100_000);
/// let flops = operations as f64 / start.elapsed().as_secs_f64();
/// assert!(value.is_finite() && flops > 0.0);
/// ```
pub fn multiply_adds<T: Element>(level: Level, rounds: u64) -> (u64, T) {
    T::multiply_adds(level, rounds)
}

/// Reads every element of `x` once and returns their sum, from several places at a time and in as many independent sums as hide
/// the latency of an addition.
///
/// Divided by the time it takes, `size_of_val(x)` is the rate at which the level reads the memory that `x` lies in: a cache, where it
/// was read before and fits. The order of the sum, and so its rounding, differs from level to level: [`sum`](crate::sum) is the
/// kernel to compute with.
///
/// ```
/// use slicewise_kernels::{Level, read_through};
///
/// let x = vec![1.0f32; 4096]; // 16 kB: in L1 from the second time on
/// assert_eq!(read_through(Level::detect(), &x), 4096.0);
/// let start = std::time::Instant::now();
/// assert_eq!(read_through(Level::detect(), &x), 4096.0);
/// let bytes_per_second = size_of_val(&x[..]) as f64 / start.elapsed().as_secs_f64();
/// assert!(bytes_per_second > 0.0);
/// ```
pub fn read_through<T: Element>(level: Level, x: &[T]) -> T {
    T::read_through(level, x)
}

/// `y[i] = factor * x[i]`: reads one slice and writes another, and does next to nothing in between (the loop "scale" of McCalpin's
/// STREAM, 1995). A bare copy would be handed to the platform's `memcpy`.
///
/// Divided by the time it takes, twice `size_of_val(x)` is the rate at which the level copies; what a cache reads to be able to
/// write is not counted.
///
/// ```
/// use slicewise_kernels::{Level, copy_scaled};
///
/// let mut y = [0.0; 3];
/// copy_scaled(Level::detect(), 2.0, &[1.0f32, 2.0, 3.0], &mut y)?;
/// assert_eq!(y, [2.0, 4.0, 6.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless `x` and `y` are equally long.
pub fn copy_scaled<T: Element>(level: Level, factor: T, x: &[T], y: &mut [T]) -> Result<(), ShapeError> {
    expect_len("y", x.len(), y.len())?;
    T::copy_scaled(level, factor, x, y);
    Ok(())
}

compiled_once! {
    /// Work without a use.
    trait Limit {
        /// See [`multiply_adds`].
        fn multiply_adds(level: Level, rounds: u64) -> (u64, Self) {
            // As many chains as registers hold: latency times throughput is 8 to 10 of them, on every CPU so far.
            let (chains, value) = match level {
                #[cfg(target_arch = "x86_64")]
                Level::Avx512(simd) => (
                    12,
                    simd.vectorize(
                        #[inline(always)]
                        || run::<Self, _, 12>(simd, rounds),
                    ),
                ),
                #[cfg(target_arch = "x86_64")]
                Level::Avx2(simd) => (
                    6,
                    simd.vectorize(
                        #[inline(always)]
                        || run::<Self, _, 6>(simd, rounds),
                    ),
                ),
                Level::Portable => {
                    let simd = crate::simd::Portable;
                    (
                        3,
                        simd.vectorize(
                            #[inline(always)]
                            || run::<Self, _, 3>(simd, rounds),
                        ),
                    )
                }
            };
            (rounds.saturating_mul(chains * 2 * Self::LANES as u64), value)
        }

        /// See [`read_through`].
        fn read_through(level: Level, x: &[Self]) -> Self {
            // Sums in eight registers on every level. One stream alone reads memory at two thirds of the rate of four.
            match level {
                #[cfg(target_arch = "x86_64")]
                Level::Avx512(simd) => simd.vectorize(
                    #[inline(always)]
                    || read::<Self, _, 4, 2>(simd, x),
                ),
                #[cfg(target_arch = "x86_64")]
                Level::Avx2(simd) => simd.vectorize(
                    #[inline(always)]
                    || read::<Self, _, 4, 1>(simd, x),
                ),
                Level::Portable => {
                    let simd = crate::simd::Portable;
                    simd.vectorize(
                        #[inline(always)]
                        || read::<Self, _, 2, 1>(simd, x),
                    )
                }
            }
        }

        /// See [`copy_scaled`].
        fn copy_scaled(level: Level, factor: Self, x: &[Self], y: &mut [Self]) {
            dispatch!(level, simd => scale(simd, factor, x, y));
        }
    }
}

#[inline(always)]
fn run<T: Element, S: Simd, const CHAINS: usize>(simd: S, rounds: u64) -> T {
    let mut chains = [T::Lanes::<S>::splat(simd, T::from(1)); CHAINS];
    // What the compiler cannot see through: it must not fold the chains into one.
    for (i, chain) in (0u8..).zip(&mut chains) {
        *chain = T::Lanes::<S>::splat(simd, core::hint::black_box(T::from(i)));
    }
    // Converges to 2: never subnormal, never infinite.
    let factor = T::Lanes::<S>::splat(simd, core::hint::black_box(T::from_f64(0.5)));
    let addend = T::Lanes::<S>::splat(simd, core::hint::black_box(T::from(1)));
    for _ in 0..rounds {
        for chain in &mut chains {
            *chain = chain.mul_add(factor, addend);
        }
    }
    let mut sum = T::default();
    for chain in chains {
        sum += chain.fold_lanes(
            simd,
            #[inline(always)]
            |a, b| a + b,
        );
    }
    sum
}

/// Sums `STREAMS` parts of `x` side by side, `BLOCKS` blocks of each in turn.
#[inline(always)]
fn read<T: Element, S: Simd, const STREAMS: usize, const BLOCKS: usize>(simd: S, x: &[T]) -> T {
    let (mut rest, tail) = T::blocks(x);
    let groups = rest.len() / (STREAMS * BLOCKS);
    let none: &[[T::Block; BLOCKS]] = &[];
    let mut streams = [(none, ()); STREAMS];
    for (stream, ()) in &mut streams {
        let Some((first, others)) = rest.split_at_checked(groups * BLOCKS) else { return T::default() };
        (*stream, _) = first.as_chunks();
        rest = others;
    }
    if !cut(&mut streams, groups) {
        return T::default();
    }
    let mut sums = [[T::Lanes::<S>::splat(simd, T::default()); BLOCKS]; STREAMS];
    for i in 0..groups {
        for (sums, (stream, ())) in sums.iter_mut().zip(&streams) {
            let Some(group) = stream.get(i) else { return T::default() };
            for (sum, block) in sums.iter_mut().zip(group) {
                *sum = *sum + T::Lanes::<S>::load(simd, block);
            }
        }
    }
    let mut total = T::Lanes::<S>::load_partial(simd, tail);
    for block in rest {
        total = total + T::Lanes::<S>::load(simd, block);
    }
    for sum in sums.as_flattened() {
        total = total + *sum;
    }
    total.fold_lanes(
        simd,
        #[inline(always)]
        |a, b| a + b,
    )
}

#[inline(always)]
fn scale<T: Element, S: Simd>(simd: S, factor: T, x: &[T], y: &mut [T]) {
    let factor = T::Lanes::<S>::splat(simd, factor);
    map(
        simd,
        [x],
        [y],
        #[inline(always)]
        |[x], _| [x * factor],
    );
}

#[cfg(test)]
mod tests {
    use slicewise_kernels::reference::levels;
    use slicewise_kernels::*;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn every_element_is_read_once() {
        // Small whole numbers: every order gives the exact sum. All lengths of blocks, groups of blocks and tails.
        for level in levels() {
            for n in 0..300usize {
                let x: Vec<f32> = (0..n).map(|i| i as f32).collect();
                assert_eq!(read_through(level, &x), (n * n.saturating_sub(1) / 2) as f32, "{n}");
                let x: Vec<f64> = x.into_iter().map(f64::from).collect();
                assert_eq!(read_through(level, &x), (n * n.saturating_sub(1) / 2) as f64, "{n}");
            }
        }
    }

    #[test]
    fn every_element_is_copied() {
        for level in levels() {
            for n in [0, 1, 15, 16, 17, 250] {
                let x: Vec<f64> = (0..n).map(f64::from).collect();
                let mut y = vec![-1.0; x.len()];
                copy_scaled(level, 4.0, &x, &mut y).unwrap();
                assert!(x.iter().zip(&y).all(|(x, y)| *y == 4.0 * x));
            }
            let mut y = [1.0f32];
            let error = copy_scaled(level, 2.0, &[1.0, 2.0], &mut y).unwrap_err();
            assert!(error == ShapeError { argument: "y", expected: 2, actual: 1 } && y == [1.0]);
        }
    }

    #[test]
    fn every_chain_runs_every_round() {
        for level in levels() {
            // After enough rounds each lane of each chain is 2.
            let (operations, value) = multiply_adds::<f32>(level, 100);
            assert_eq!(operations, 100 * 2 * (value / 2.0) as u64);
            let (operations, value) = multiply_adds::<f64>(level, 200);
            assert_eq!(operations, 200 * 2 * (value / 2.0) as u64);
            // After none, chain i is i.
            let (operations, value) = multiply_adds::<f32>(level, 0);
            assert!(operations == 0 && value > 0.0);
        }
    }
}
