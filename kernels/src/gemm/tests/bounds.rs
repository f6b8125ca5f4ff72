//! Against the oracle, within the bound that is documented.

use super::*;
use proptest::prelude::*;
use slicewise_kernels::reference::strategies::{slice, special_slice, value};
use slicewise_kernels::reference::{self, assert_close};

impl<T: Element> Case<T> {
    /// On every level, against the oracle.
    pub(super) fn check(&self) {
        let mut expected =
            reference::gemm::gemm(self.m, self.n, self.k, self.alpha, &self.a, &self.b, self.beta, &self.c);
        for (i, sum) in expected.iter_mut().enumerate() {
            let bias = self.bias.as_ref().map_or(0.0, |bias| bias[i % self.n].to_f64());
            *sum = reference::reduce::Sum { value: sum.value + bias, magnitude: sum.magnitude + bias.abs() };
        }
        // How much an activation makes of an error, and adds to it.
        let (factor, ulps) = match self.activation {
            Activation::Identity | Activation::Relu => (1.0, 0.0),
            Activation::LeakyRelu { slope } => (f64::max(1.0, slope), 2.0),
            Activation::Elu { alpha } => (f64::max(1.0, alpha), 8.0),
            _ => (1.0, 8.0),
        };
        let mut fused: Option<Vec<T>> = None;
        let mut laid = self.laid();
        for level in levels() {
            let actual = laid.run(level);
            // gamma(k + 2), and one more for a bias, doubled where products round too; half a subnormal spacing for each
            // that underflows, of which those of alpha * a are multiplied by b, those of alpha * b by a, those of a * b
            // by alpha.
            let additions = self.k + 2 + usize::from(self.bias.is_some());
            let oracles_own = if T::LANES == 8 { 3.0 } else { 0.0 };
            let roundings = additions as f64 * if level == Level::Portable { 2.0 } else { 1.0 } + oracles_own;
            let u = T::EPSILON.to_f64() / 2.0;
            let tiny = if T::LANES == 16 { 1e-45 } else { 5e-324 };
            let factors = self.a.iter().chain(&self.b).chain([&self.alpha]);
            let largest = factors.fold(1.0f64, |max, x| max.max(x.to_f64().abs()));
            for (actual, expected) in actual.iter().zip(&expected) {
                let bound =
                    roundings * u / (1.0 - roundings * u) * expected.magnitude + roundings * tiny * largest;
                let expected = reference::activation::value(self.activation, expected.value);
                let bound = factor * bound + ulps * u * expected.abs();
                assert_close(*actual, expected, bound, "gemm", level);
            }
            if level != Level::Portable {
                assert_same_bits(&actual, fused.get_or_insert(actual.clone()), "gemm", level);
            }
        }
    }
}

/// A layout.
pub(super) fn lay() -> impl Strategy<Value = Lay> {
    prop_oneof![
        4 => Just(Rows(0)),
        2 => (1usize..20).prop_map(Rows),
        1 => (400usize..600).prop_map(Rows),
        2 => Just(Cols(0)),
        2 => (1usize..20).prop_map(Cols),
        1 => Just(Sparse),
    ]
}

/// Shapes up to these, and values of all that floating point has but NaN and the infinities.
pub(super) fn case<T: Element>(max: usize, max_k: usize) -> impl Strategy<Value = Case<T>> {
    let factor = || prop_oneof![Just(T::from(0)), Just(T::from(1)), value::<T>()];
    (0..max, 0..max, 0..max_k, [lay(), lay(), lay()], factor(), factor(), 0usize..34)
        .prop_flat_map(|(m, n, k, lays, alpha, beta, offset)| {
            let slices = (slice::<T>(m * k), slice::<T>(k * n), slice::<T>(m * n));
            (slices, Just((m, n, k, lays, alpha, beta, offset)))
        })
        .prop_map(|((a, b, c), (m, n, k, lays, alpha, beta, offset))| Case {
            lays,
            alpha,
            beta,
            offset,
            ..Case::new((m, n, k), a, b, c)
        })
}

proptest! {
    #[test]
    fn f32_is_within_its_bound(case in case::<f32>(40, 60)) {
        case.check();
    }

    #[test]
    fn f64_is_within_its_bound(case in case::<f64>(40, 60)) {
        case.check();
    }

    /// What one element's chain does with NaN and the infinities, every other element's does alone.
    #[test]
    fn special_values_stay_in_their_rows_and_columns(
        (m, n, k) in (1usize..9, 1usize..35, 1usize..9),
        seed in special_slice::<f32>(9 * 9 + 35 * 9),
    ) {
        let (a, b) = (&seed[..m * k], &seed[81..81 + k * n]);
        let case = Case::new((m, n, k), a.to_vec(), b.to_vec(), std::vec![f32::NAN; m * n]);
        for level in levels() {
            let all = case.run(level);
            for (i, c) in all.chunks(n).enumerate() {
                for (j, c) in c.iter().enumerate() {
                    let fused = level != Level::Portable || cfg!(target_arch = "aarch64");
                    let fma = |acc: f32, p: usize| {
                        let (x, y) = (a[i * k + p], b[p * n + j]);
                        if fused { libm::fmaf(x, y, acc) } else { acc + x * y }
                    };
                    let expected = if n == 1 {
                        let lanes: [f32; 16] =
                            core::array::from_fn(|l| (l..k).step_by(16).fold(0.0, fma));
                        [8, 4, 2, 1].iter().fold(lanes, |mut lanes, half| {
                            (0..*half).for_each(|l| lanes[l] += lanes[l + half]);
                            lanes
                        })[0]
                    } else {
                        (0..k).fold(0.0, fma)
                    };
                    assert_same_bits(&[*c], &[expected], "gemm", level);
                }
            }
        }
    }
}
