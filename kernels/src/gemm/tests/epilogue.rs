//! `gemm_with_epilogue` against its definition, by bits, and against the oracle.

use super::*;
use proptest::prelude::*;

const ACTIVATIONS: [Activation; 6] = [
    Activation::Identity,
    Activation::Relu,
    Activation::LeakyRelu { slope: 0.125 },
    Activation::Elu { alpha: 0.7 },
    Activation::Sigmoid,
    Activation::Tanh,
];

impl<T: Element> Case<T> {
    /// With a bias of which some values are much larger than the product's.
    fn with_bias(self, seed: u64) -> Self {
        let value = |j| f64::from(hash(j, seed).cast_signed()) / 2f64.powi(if j % 3 == 0 { 26 } else { 31 });
        Self { bias: Some((0..self.n).map(|j| T::from_f64(value(j))).collect()), ..self }
    }

    /// The same bits as `gemm` on `beta * c + bias`, then the activation.
    fn check_epilogue(&self) {
        let mut plain = Self { bias: None, activation: Activation::Identity, ..self.clone() };
        if let Some(bias) = &self.bias {
            let zero = T::default();
            for (i, c) in plain.c.iter_mut().enumerate() {
                *c = if self.beta == zero { zero } else { self.beta * *c } + bias[i % self.n];
            }
            plain.beta = T::from(1);
        }
        let (mut plain, mut laid) = (plain.laid(), self.laid());
        for level in levels() {
            let mut expected = plain.run(level);
            activate_in_place(level, self.activation, &mut expected);
            let what = std::format!(
                "{:?} of {:?}, {:?}, alpha {}, beta {}",
                self.activation,
                (self.m, self.n, self.k),
                self.lays,
                self.alpha,
                self.beta
            );
            assert_same_bits(&laid.run(level), &expected, &what, level);
        }
    }
}

fn on_every_path<T: Element>(change: impl Fn(&mut Case<T>)) {
    for (seed, (m, n, k, b)) in PATHS.into_iter().enumerate() {
        for (l, c) in each([Rows(0), Cols(1), Sparse], seed) {
            let mut case = Case::<T>::random((m, n, k), seed as u64).with_bias(seed as u64 + 9);
            case.lays = [[Rows(3), Rows(0), Cols(0)][l], b, c];
            case.offset = seed + 4 * l;
            let factors = [(1, 0), (1, 1), (3, 2), (0, 2)].map(|(x, y)| (T::from(x), T::from(y)));
            // ReLU and the sole bias in registers, with every factor; the others in turn.
            for (f, factors) in factors.into_iter().enumerate() {
                (case.alpha, case.beta) = factors;
                for activation in [Activation::Relu, ACTIVATIONS[(seed + l + f) % ACTIVATIONS.len()]] {
                    case.activation = activation;
                    change(&mut case);
                    case.check_epilogue();
                }
            }
            case.bias = None;
            case.activation = Activation::Relu;
            change(&mut case);
            case.check_epilogue();
        }
    }
}

#[test]
fn f32_has_the_bits_of_its_definition() {
    on_every_path::<f32>(|_| {});
}

#[test]
fn f64_has_the_bits_of_its_definition() {
    on_every_path::<f64>(|_| {});
}

#[test]
fn special_values_too() {
    const SPECIAL: [f32; 8] =
        [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 0.0, f32::MAX, f32::MIN, 1e-45];
    let special = |x: &mut [f32], rarity: u32, seed: u64| {
        for (i, x) in x.iter_mut().enumerate() {
            let hash = hash(i, seed);
            if hash.is_multiple_of(rarity) {
                *x = SPECIAL[hash as usize / rarity as usize % SPECIAL.len()];
            }
        }
    };
    on_every_path(|case: &mut Case<f32>| {
        special(&mut case.a, 4 * case.k as u32, 1);
        special(&mut case.b, 4 * case.k as u32, 2);
        special(&mut case.c, 5, 3);
        if let Some(bias) = &mut case.bias {
            special(bias, 3, 4);
        }
    });
}

/// Zeros of either sign: all products, of a column the same one, the bias and C.
#[test]
fn signs_of_zeros() {
    on_every_path(|case: &mut Case<f32>| {
        let n = case.n;
        let signed = |x: &mut [f32], seed| {
            for (i, x) in x.iter_mut().enumerate() {
                *x = if hash(i, seed).is_multiple_of(2) { 0.0 } else { -0.0 };
            }
        };
        case.a.fill(-1e-30);
        for (i, b) in case.b.iter_mut().enumerate() {
            *b = if hash(i % n, 2).is_multiple_of(2) { 0.0 } else { -0.0 };
        }
        signed(&mut case.c, 3);
        if let Some(bias) = &mut case.bias {
            signed(bias, 4);
        }
    });
}

#[test]
fn without_steps_there_is_bias_alone() {
    for (m, n) in [(1, 1), (7, 1), (2, 33), (9, 20), (40, 70)] {
        for c in [Rows(2), Cols(0), Sparse] {
            for activation in ACTIVATIONS {
                for (bias, beta) in [(true, 0), (true, 1), (false, 1), (false, 0), (true, 2u8)] {
                    let mut case = Case::<f64>::random((m, n, 0), 3);
                    if bias {
                        case = case.with_bias(1);
                    }
                    case.beta = f64::from(beta);
                    case.lays[2] = c;
                    case.activation = activation;
                    case.check_epilogue();
                }
            }
        }
    }
}

#[test]
fn errors_leave_c_untouched() {
    let (a, b, mut c, mut scratch) = ([1.0f32; 6], [1.0; 6], [7.0; 4], [0.0; gemm_scratch_len(2, 2, 3)]);
    let mut run = |b: MatRef<'_, f32>, bias: &[f32], scratch: &mut [f32]| {
        let epilogue = Epilogue { bias: Some(bias), activation: Activation::Relu };
        let (a, to) = (MatRef::row_major(&a, 2, 3), MatMut::row_major(&mut c, 2, 2));
        let error = gemm_with_epilogue(Level::detect(), 1.0, a, b, 0.0, to, epilogue, scratch).unwrap_err();
        assert_eq!(c, [7.0; 4]);
        (error.argument, error.expected, error.actual)
    };
    let good_b = MatRef::row_major(&b, 3, 2);
    assert_eq!(run(good_b, &[], &mut scratch), ("bias", 2, 0));
    assert_eq!(run(good_b, &[1.0], &mut scratch), ("bias", 2, 1));
    assert_eq!(run(good_b, &[1.0; 3], &mut scratch), ("bias", 2, 3));
    assert_eq!(run(good_b.t(), &[1.0; 2], &mut scratch), ("b's rows", 3, 2));
    let short = gemm_scratch_len(2, 2, 3) - 1;
    assert_eq!(run(good_b, &[1.0; 2], &mut scratch[..short]), ("scratch", short + 1, short));
}

fn activation() -> impl Strategy<Value = Activation> {
    prop_oneof![
        Just(Activation::Identity),
        Just(Activation::Relu),
        (0.0..1.0f64).prop_map(|slope| Activation::LeakyRelu { slope }),
        (0.0..2.0f64).prop_map(|alpha| Activation::Elu { alpha }),
        Just(Activation::Sigmoid),
        Just(Activation::Tanh),
    ]
}

fn case<T: Element>() -> impl Strategy<Value = Case<T>> {
    let bias = proptest::option::of(reference::strategies::slice::<T>(40));
    (bounds::case::<T>(40, 40), bias, activation()).prop_map(|(mut case, bias, activation)| {
        case.bias = bias.map(|mut bias| {
            bias.truncate(case.n);
            bias
        });
        Case { activation, ..case }
    })
}

proptest! {
    #[test]
    fn f32_is_within_its_bound(case in case::<f32>()) {
        case.check();
        case.check_epilogue();
    }

    #[test]
    fn f64_is_within_its_bound(case in case::<f64>()) {
        case.check();
        case.check_epilogue();
    }
}
