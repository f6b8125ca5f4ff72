//! Work to measure a machine's limit with: multiply-adds that touch no memory.

use crate::Element;
use crate::simd::{Lanes, Level, Simd};

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
    // As many chains as registers hold: latency times throughput is 8 to 10 of them, on every CPU so far.
    let (chains, value) = match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512(simd) => (
            12,
            simd.vectorize(
                #[inline(always)]
                || run::<T, _, 12>(simd, rounds),
            ),
        ),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(simd) => (
            6,
            simd.vectorize(
                #[inline(always)]
                || run::<T, _, 6>(simd, rounds),
            ),
        ),
        Level::Portable => {
            let simd = crate::simd::Portable;
            (
                3,
                simd.vectorize(
                    #[inline(always)]
                    || run::<T, _, 3>(simd, rounds),
                ),
            )
        }
    };
    (rounds.saturating_mul(chains * 2 * T::LANES as u64), value)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::levels;

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
