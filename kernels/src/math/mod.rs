//! Functions of lanes: exponentials, logarithms, `tanh`, the logistic and the error function, and the activations made of them.
//!
//! The `f32` ones are polynomials in the lanes ([`single`]); the `f64` ones call `libm` lane by lane
//! ([`double`]). Kernels reach both through a hidden method of [`Element`](crate::Element), which takes a [`Smooth`].
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

/// A function of lanes. Where it is a constant, as in every kernel, nothing is chosen at run time.
#[derive(Clone, Copy, Debug)]
#[allow(unreachable_pub, reason = "sealed: it stands in hidden methods of a public trait")]
pub enum Smooth {
    /// `e^x`
    Exp,
    /// `e^x` for `x <= 0`
    ExpNegative,
    /// `2^x`
    Exp2,
    /// `e^x - 1`
    ExpM1,
    /// `e^x - 1` for `x <= 0`
    ExpM1Negative,
    /// `ln(x)`
    Ln,
    /// `ln(1 + x)`
    Ln1p,
    /// `tanh(x)`
    Tanh,
    /// `1 / (1 + e^-x)`
    Sigmoid,
    /// `tanh(x)`, within 6.5 ULP.
    TanhFast,
    /// `1 / (1 + e^-x)`, within 4 ULP.
    SigmoidFast,
    /// `x Phi(x)`, within 7.5 ULP.
    GeluFast,
    /// `erf(x)`
    Erf,
    /// `1 / sqrt(x)`
    Rsqrt,
    /// `x Phi(x)`
    Gelu,
    /// Its derivative.
    GeluDerivative,
    /// `x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2`
    GeluTanh,
    /// Its derivative.
    GeluTanhDerivative,
    /// `x / (1 + e^-x)`
    Silu,
    /// Its derivative.
    SiluDerivative,
    /// `ln(1 + e^x)`
    Softplus,
}

/// The functions of `f32` lanes.
pub(crate) mod single {
    use super::{Smooth, erf, exp, fast, gelu, log, root, sigmoid, tanh};
    use crate::simd::Single;

    /// `f(x)`
    #[inline(always)]
    pub(crate) fn smooth<L: Single>(simd: L::Simd, f: Smooth, x: L) -> L {
        match f {
            Smooth::Exp => exp::exp(simd, x),
            Smooth::ExpNegative => exp::exp_negative(simd, x),
            Smooth::Exp2 => exp::exp2(simd, x),
            Smooth::ExpM1 => exp::exp_m1(simd, x),
            Smooth::ExpM1Negative => exp::exp_m1_negative(simd, x),
            Smooth::Ln => log::ln(simd, x),
            Smooth::Ln1p => log::ln_1p(simd, x),
            Smooth::Tanh => tanh::tanh(simd, x),
            Smooth::Sigmoid => sigmoid::sigmoid(simd, x),
            Smooth::TanhFast => fast::tanh(simd, x),
            Smooth::SigmoidFast => fast::sigmoid(simd, x),
            Smooth::GeluFast => fast::gelu(simd, x),
            Smooth::Erf => erf::erf(simd, x),
            Smooth::Rsqrt => root::rsqrt(simd, x),
            Smooth::Gelu => gelu::gelu(simd, x),
            Smooth::GeluDerivative => gelu::gelu_derivative(simd, x),
            Smooth::GeluTanh => sigmoid::gelu_tanh(simd, x),
            Smooth::GeluTanhDerivative => sigmoid::gelu_tanh_derivative(simd, x),
            Smooth::Silu => sigmoid::silu(simd, x),
            Smooth::SiluDerivative => sigmoid::silu_derivative(simd, x),
            Smooth::Softplus => log::softplus(simd, x),
        }
    }
}

/// The functions of `f64` lanes, one lane after the other.
pub(crate) mod double {
    use super::Smooth;
    use crate::scalar;
    use crate::simd::Lanes;

    /// `f(x)`
    #[inline(always)]
    pub(crate) fn smooth<L: Lanes<Scalar = f64, Block = [f64; 8]>>(simd: L::Simd, f: Smooth, x: L) -> L {
        match f {
            Smooth::Exp | Smooth::ExpNegative => x.map_lanes(simd, scalar::exp),
            Smooth::Exp2 => x.map_lanes(simd, scalar::exp2),
            Smooth::ExpM1 | Smooth::ExpM1Negative => x.map_lanes(simd, scalar::exp_m1),
            Smooth::Ln => x.map_lanes(simd, scalar::ln),
            Smooth::Ln1p => x.map_lanes(simd, scalar::ln_1p),
            Smooth::Tanh | Smooth::TanhFast => x.map_lanes(simd, scalar::tanh),
            Smooth::Sigmoid | Smooth::SigmoidFast => x.map_lanes(simd, scalar::sigmoid),
            Smooth::Erf => x.map_lanes(simd, scalar::erf),
            Smooth::Rsqrt => L::splat(simd, 1.0) / x.sqrt(),
            Smooth::Gelu | Smooth::GeluFast => x.map_lanes(simd, scalar::gelu),
            Smooth::GeluDerivative => x.map_lanes(simd, scalar::gelu_derivative),
            Smooth::GeluTanh => x.map_lanes(simd, scalar::gelu_tanh),
            Smooth::GeluTanhDerivative => x.map_lanes(simd, scalar::gelu_tanh_derivative),
            Smooth::Silu => x.map_lanes(simd, scalar::silu),
            Smooth::SiluDerivative => x.map_lanes(simd, scalar::silu_derivative),
            Smooth::Softplus => x.map_lanes(simd, scalar::softplus),
        }
    }
}

/// `c[0] + c[1] x + c[2] x^2 + ..` by Horner's rule.
#[inline(always)]
fn polynomial<L: crate::simd::Single, const N: usize>(simd: L::Simd, x: L, c: [f32; N]) -> L {
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
