//! Functions of lanes: exponentials, `tanh`, the logistic function.
//!
//! The `f32` ones are polynomials in the lanes ([`single`]); the `f64` ones call `libm` lane by lane
//! ([`double`]). Kernels reach both through the hidden methods of [`Element`](crate::Element).
//!
//! The error bounds are in units of the last place of the exact result, over every `f32`; the tests hold them.

mod exp;
mod log;
mod sigmoid;
mod tanh;

/// The functions of `f32` lanes.
pub(crate) mod single {
    pub(crate) use super::exp::{exp, exp_m1_negative, exp_negative};
    pub(crate) use super::log::ln;
    pub(crate) use super::sigmoid::sigmoid;
    pub(crate) use super::tanh::tanh;
}

/// The functions of `f64` lanes, one lane after the other.
pub(crate) mod double {
    use crate::simd::Lanes;

    /// `e^x`, below 1 ULP.
    #[inline(always)]
    pub(crate) fn exp<L: Lanes<Scalar = f64, Block = [f64; 8]>>(simd: L::Simd, x: L) -> L {
        x.map_lanes(simd, libm::exp)
    }

    /// `e^x` for `x <= 0`.
    #[inline(always)]
    pub(crate) fn exp_negative<L: Lanes<Scalar = f64, Block = [f64; 8]>>(simd: L::Simd, x: L) -> L {
        x.map_lanes(simd, libm::exp)
    }

    /// `e^x - 1` for `x <= 0`, below 1 ULP.
    #[inline(always)]
    pub(crate) fn exp_m1_negative<L: Lanes<Scalar = f64, Block = [f64; 8]>>(simd: L::Simd, x: L) -> L {
        x.map_lanes(simd, libm::expm1)
    }

    /// `ln(x)`, below 1 ULP.
    #[inline(always)]
    pub(crate) fn ln<L: Lanes<Scalar = f64, Block = [f64; 8]>>(simd: L::Simd, x: L) -> L {
        x.map_lanes(simd, libm::log)
    }

    /// `tanh(x)`.
    #[inline(always)]
    pub(crate) fn tanh<L: Lanes<Scalar = f64, Block = [f64; 8]>>(simd: L::Simd, x: L) -> L {
        x.map_lanes(simd, libm::tanh)
    }

    /// `1 / (1 + e^-x)`, to 3 ULP.
    #[inline(always)]
    pub(crate) fn sigmoid<L: Lanes<Scalar = f64, Block = [f64; 8]>>(simd: L::Simd, x: L) -> L {
        let (zero, one) = (L::splat(simd, 0.0), L::splat(simd, 1.0));
        let magnitude = x.max(-x);
        let e = exp_negative(simd, -magnitude);
        L::select(x.lt(zero), e, one) / (one + e)
    }
}

/// `c[0] + c[1] x + c[2] x^2 + ..` by Horner's rule.
#[inline(always)]
fn polynomial<L: crate::simd::Lanes<Scalar = f32>, const N: usize>(simd: L::Simd, x: L, c: [f32; N]) -> L {
    let mut terms = c.iter().rev();
    let mut sum = L::splat(simd, terms.next().copied().unwrap_or_default());
    for c in terms {
        sum = sum.mul_add(x, L::splat(simd, *c));
    }
    sum
}

#[cfg(test)]
pub(crate) mod tests {
    use crate::Level;
    use crate::reference::{levels, ulp_error};
    use std::vec::Vec;

    /// `y[i] = f(x[i])` by the lane function `f` at a level.
    macro_rules! map_lanes_at {
        ($level:expr, $f:path, $x:expr, $y:expr) => {
            $crate::simd::dispatch!($level, simd => $crate::simd::apply::map(
                simd,
                [$x],
                [$y],
                #[inline(always)]
                |[x], _| [$f(simd, x)],
            ))
        };
    }
    pub(crate) use map_lanes_at;

    /// The largest error in ULP, and where.
    #[derive(Clone, Copy, Debug, Default)]
    pub(crate) struct Worst {
        pub(crate) ulp: f64,
        pub(crate) x: f32,
    }

    /// The worst error of `f` over every `stride`th `f32` in `from..=to` (bit patterns).
    pub(crate) fn sweep(
        level: Level,
        bits: core::ops::RangeInclusive<u32>,
        stride: usize,
        f: impl Fn(Level, &[f32], &mut [f32]),
        exact: impl Fn(f64) -> f64,
    ) -> Worst {
        let mut worst = Worst::default();
        let mut x = Vec::new();
        let mut y = Vec::new();
        let mut inputs = bits.step_by(stride).map(f32::from_bits);
        loop {
            x.clear();
            x.extend(inputs.by_ref().take(4096));
            if x.is_empty() {
                return worst;
            }
            y.resize(x.len(), 0.0);
            f(level, &x, &mut y);
            for (&x, &y) in x.iter().zip(&y) {
                let ulp = ulp_error(y, exact(f64::from(x)));
                if ulp > worst.ulp {
                    worst = Worst { ulp, x };
                }
            }
        }
    }

    /// Asserts the bounds of a lane function over every `stride`th `f32`, positive and negative.
    pub(crate) fn check_bounds(
        name: &str,
        stride: usize,
        bound_fused: f64,
        bound_portable: f64,
        f: impl Fn(Level, &[f32], &mut [f32]),
        exact: impl Fn(f64) -> f64,
    ) {
        for level in levels() {
            let positive = sweep(level, 0..=0x7fff_ffff, stride, &f, &exact);
            let negative = sweep(level, 0x8000_0000..=0xffff_ffff, stride, &f, &exact);
            let worst = if positive.ulp > negative.ulp { positive } else { negative };
            let bound = if level == Level::Portable { bound_portable } else { bound_fused };
            assert!(
                worst.ulp <= bound,
                "{name} at {}: {} ULP at {:e} is beyond {bound}",
                level.name(),
                worst.ulp,
                worst.x
            );
        }
    }
}
