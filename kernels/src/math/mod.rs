//! Functions of lanes: exponentials, logarithms, `tanh`, the logistic and the error function, and the activations made of them.
//!
//! The `f32` ones are polynomials in the lanes; the `f64` ones call `libm` lane by lane. Kernels reach both through a hidden method of
//! [`Element`](crate::Element), which takes a [`Smooth`].
//!
//! The error bounds are in units of the last place of the exact result, over every `f32`; the tests hold them.

mod erf;
mod exp;
mod fast;
mod gelu;
mod log;
mod root;
mod sigmoid;
mod tanh;

use crate::simd::{Lanes, Single};

/// A function of lanes, as a type: what names it is compiled with its code and no other's.
#[allow(unreachable_pub, reason = "sealed: it stands in hidden methods of a public trait")]
pub trait Smooth {
    /// `f(x)` of `f32`.
    fn single<L: Single>(simd: L::Simd, x: L) -> L;
    /// `f(x)` of `f64`.
    fn double<L: Lanes<Scalar = f64, Block = [f64; 8]>>(simd: L::Simd, x: L) -> L;
}

/// The functions. Those of `f64` go one lane after the other.
pub(crate) mod smooth {
    use super::{Smooth, erf, exp, fast, gelu, log, root, sigmoid, tanh};
    use crate::scalar;
    use crate::simd::{Lanes, Single};

    /// Types with the functions of `f32` lanes and of an `f64`.
    macro_rules! functions {
        ($($(#[$doc:meta])* $name:ident: $single:path, $double:path;)*) => {
            $(
                $(#[$doc])*
                #[derive(Clone, Copy, Debug)]
                pub(crate) struct $name;

                impl Smooth for $name {
                    #[inline(always)]
                    fn single<L: Single>(simd: L::Simd, x: L) -> L {
                        $single(simd, x)
                    }
                    #[inline(always)]
                    fn double<L: Lanes<Scalar = f64, Block = [f64; 8]>>(simd: L::Simd, x: L) -> L {
                        x.map_lanes(simd, $double)
                    }
                }
            )*
        };
    }

    functions! {
        /// `e^x`
        Exp: exp::exp, scalar::exp;
        /// `e^x` for `x <= 0`
        ExpNegative: exp::exp_negative, scalar::exp;
        /// `2^x`
        Exp2: exp::exp2, scalar::exp2;
        /// `e^x - 1`
        ExpM1: exp::exp_m1, scalar::exp_m1;
        /// `e^x - 1` for `x <= 0`
        ExpM1Negative: exp::exp_m1_negative, scalar::exp_m1;
        /// `ln(x)`
        Ln: log::ln, scalar::ln;
        /// `ln(1 + x)`
        Ln1p: log::ln_1p, scalar::ln_1p;
        /// `tanh(x)`
        Tanh: tanh::tanh, scalar::tanh;
        /// `1 / (1 + e^-x)`
        Sigmoid: sigmoid::sigmoid, scalar::sigmoid;
        /// `tanh(x)`, within 6.5 ULP.
        TanhFast: fast::tanh, scalar::tanh;
        /// `1 / (1 + e^-x)`, within 4 ULP.
        SigmoidFast: fast::sigmoid, scalar::sigmoid;
        /// `x Phi(x)`, within 7.5 ULP.
        GeluFast: fast::gelu, scalar::gelu;
        /// `erf(x)`
        Erf: erf::erf, scalar::erf;
        /// `x Phi(x)`
        Gelu: gelu::gelu, scalar::gelu;
        /// Its derivative.
        GeluDerivative: gelu::gelu_derivative, scalar::gelu_derivative;
        /// `x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2`
        GeluTanh: sigmoid::gelu_tanh, scalar::gelu_tanh;
        /// Its derivative.
        GeluTanhDerivative: sigmoid::gelu_tanh_derivative, scalar::gelu_tanh_derivative;
        /// `x / (1 + e^-x)`
        Silu: sigmoid::silu, scalar::silu;
        /// Its derivative.
        SiluDerivative: sigmoid::silu_derivative, scalar::silu_derivative;
        /// `ln(1 + e^x)`
        Softplus: log::softplus, scalar::softplus;
    }

    /// `1 / sqrt(x)`
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Rsqrt;

    impl Smooth for Rsqrt {
        #[inline(always)]
        fn single<L: Single>(simd: L::Simd, x: L) -> L {
            root::rsqrt(simd, x)
        }
        #[inline(always)]
        fn double<L: Lanes<Scalar = f64, Block = [f64; 8]>>(simd: L::Simd, x: L) -> L {
            L::splat(simd, 1.0) / x.sqrt()
        }
    }
}

/// `c[0] + c[1] x + c[2] x^2 + ..` by Horner's rule.
#[inline(always)]
fn polynomial<L: Single, const N: usize>(simd: L::Simd, x: L, c: [f32; N]) -> L {
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
    use crate::reference::sweep;

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

    /// Asserts the bounds of a lane function over every `stride`th `f32`, positive and negative.
    pub(crate) fn check_bounds(
        name: &str,
        stride: usize,
        bound_fused: f64,
        bound_portable: f64,
        f: impl Fn(Level, &[f32], &mut [f32]) + Sync,
        exact: impl Fn(f64) -> f64 + Sync,
    ) {
        for (level, worst) in sweep(stride, f, exact) {
            let bound = if level == Level::Portable { bound_portable } else { bound_fused };
            assert!(worst.ulp <= bound, "{name} at {}: {worst:?} is beyond {bound}", level.name());
        }
    }
}
