//! Gradients of every layer, and of whole networks, against centred differences in f64: relative error below 1e-7.
//!
//! `check::gradient` compares them, and excuses kinks: they are counted, so that excuses cannot hide a wrong gradient.

use rand_pcg::Pcg64;
use slicewise::check::{GradientCheck, Parameter, Sample, Verdict, gradient};
use slicewise::kernels::fill_normal;
use slicewise::{Activation, BatchNorm, Init, Layer, Level, Network, Role, RunningVariance, arena_len};

/// Every parameter of a network with random biases, gammas and betas; what is compared goes through `tamper`.
fn check(
    net: &[Layer],
    rows: usize,
    seed: u64,
    sample: &Sample,
    tamper: impl FnMut(Parameter, f64) -> f64,
) -> GradientCheck {
    let mut arena = vec![0.0f64; arena_len(net, rows)];
    let mut network = Network::bind(net, rows, Level::detect(), &mut arena).unwrap();
    let mut rng = Pcg64::new(u128::from(seed), 0);
    network.initialise(Init::Auto, &mut rng).unwrap();
    network.set_seed(seed);
    // Biases, gammas and betas away from their even starts, so that no term hides behind a 0 or 1.
    for layer in 0..net.len() {
        for role in [Role::Bias, Role::Gamma, Role::Beta] {
            if let Some(tensor) = network.tensor_mut(layer, role) {
                fill_normal(
                    Level::detect(),
                    &mut rng,
                    if role == Role::Gamma { 1.0 } else { 0.0 },
                    0.3,
                    tensor,
                )
                .unwrap();
            }
        }
    }
    let mut inputs = vec![0.0; rows * network.features()];
    fill_normal(Level::detect(), &mut rng, 0.1, 1.0, &mut inputs).unwrap();
    let labels: Vec<u32> = (0..rows).map(|i| (i % network.classes()) as u32).collect();
    gradient(&mut network, &inputs, &labels, sample, tamper).unwrap()
}

/// Smooth networks have no excuse; others at most one parameter in fifty.
fn assert_right(net: &[Layer], smooth: bool) {
    for seed in 1..4 {
        let found = check(net, 6, seed, &Sample::ALL, |_, gradient| gradient);
        assert_eq!(found.verdict(), Verdict::Pass, "{net:?}, seed {seed}: {found:?}");
        assert!(
            50 * found.excused <= if smooth { 0 } else { found.checked },
            "{net:?}, seed {seed}: {found:?}"
        );
    }
}

#[test]
fn a_dense_layer() {
    assert_right(&[Layer::dense(5, 3)], true);
}

#[test]
fn smooth_activations() {
    for activation in [Layer::sigmoid(), Layer::tanh(), Layer::Activation(Activation::Identity)] {
        assert_right(&[Layer::dense(5, 7), activation, Layer::dense(7, 3)], true);
    }
}

#[test]
fn activations_whose_output_does_not_tell_the_derivative() {
    for smooth in [Activation::Gelu, Activation::GeluFast, Activation::GeluTanh, Activation::Silu] {
        let smooth = Layer::Activation(smooth);
        assert_right(&[Layer::dense(5, 8), smooth, Layer::dense(8, 3)], true);
        assert_right(&[Layer::dense(5, 8), Layer::batch_norm(8), smooth, Layer::dense(8, 3)], true);
        // After a layer that keeps its output, after each other, and last.
        assert_right(&[Layer::dense(5, 8), Layer::tanh(), smooth, smooth, Layer::dense(8, 3), smooth], true);
        assert_right(
            &[
                Layer::batch_norm(5),
                smooth,
                Layer::dense(5, 8),
                Layer::dropout(0.4),
                smooth,
                Layer::dense(8, 3),
            ],
            true,
        );
    }
    let hard = Layer::Activation(Activation::HardSwish);
    assert_right(&[Layer::dense(5, 8), hard, Layer::dense(8, 3)], false);
}

#[test]
fn further_activations() {
    for (activation, smooth) in [
        (Activation::Softplus, true),
        (Activation::SigmoidFast, true),
        (Activation::TanhFast, true),
        (Activation::Selu, false),
        (Activation::HardTanh, false),
        (Activation::HardSigmoid, false),
    ] {
        let activation = Layer::Activation(activation);
        assert_right(&[Layer::dense(5, 8), activation, Layer::dense(8, 3)], smooth);
    }
}

#[test]
fn activations_with_a_kink() {
    for activation in [Layer::relu(), Layer::leaky_relu(0.1), Layer::elu(0.7), Layer::maxout(2)] {
        let width = if activation == Layer::maxout(2) { 4 } else { 8 };
        assert_right(&[Layer::dense(5, 8), activation, Layer::dense(width, 3)], false);
    }
}

#[test]
fn batch_norm() {
    assert_right(&[Layer::dense(5, 7), Layer::batch_norm(7), Layer::dense(7, 3)], true);
    assert_right(&[Layer::batch_norm(5), Layer::dense(5, 3)], true);
    let config = BatchNorm { epsilon: 1e-2, running_variance: RunningVariance::Biased, ..BatchNorm::DEFAULT };
    assert_right(
        &[Layer::dense(5, 7), Layer::BatchNorm { features: 7, config }, Layer::tanh(), Layer::dense(7, 3)],
        true,
    );
}

#[test]
fn dropout() {
    assert_right(&[Layer::dense(5, 9), Layer::tanh(), Layer::dropout(0.4), Layer::dense(9, 3)], true);
    assert_right(&[Layer::dense(5, 9), Layer::dropout(0.4), Layer::tanh(), Layer::dense(9, 3)], true);
}

#[test]
fn activations_one_after_another_keep_what_each_needs() {
    assert_right(&[Layer::dense(5, 8), Layer::tanh(), Layer::sigmoid(), Layer::dense(8, 3)], true);
    assert_right(
        &[Layer::dense(5, 8), Layer::maxout(2), Layer::tanh(), Layer::dense(4, 3), Layer::elu(1.0)],
        false,
    );
}

#[test]
fn whole_networks() {
    assert_right(
        &[
            Layer::dense(6, 12),
            Layer::batch_norm(12),
            Layer::relu(),
            Layer::dropout(0.2),
            Layer::dense(12, 10),
            Layer::batch_norm(10),
            Layer::elu(1.0),
            Layer::dense(10, 8),
            Layer::maxout(2),
            Layer::dense(4, 3),
        ],
        false,
    );
    assert_right(
        &[
            Layer::dense(6, 9),
            Layer::batch_norm(9),
            Layer::tanh(),
            Layer::dense(9, 9),
            Layer::batch_norm(9),
            Layer::sigmoid(),
            Layer::dense(9, 4),
        ],
        true,
    );
}

/// One wrong gradient among all is found, and named.
#[test]
fn a_wrong_gradient_is_named() {
    let net = [
        Layer::dense(6, 12),
        Layer::batch_norm(12),
        Layer::relu(),
        Layer::dense(12, 10),
        Layer::relu(),
        Layer::dense(10, 3),
    ];
    for seed in 1..4 {
        for (layer, role, index) in
            [(0, Role::Weight, 5), (1, Role::Gamma, 3), (3, Role::Bias, 9), (5, Role::Weight, 29)]
        {
            let wrong = Parameter { layer, role, index };
            for (factor, verdict) in
                [(0.0, Verdict::Fail), (1.1, Verdict::Fail), (-1.0, Verdict::Fail), (1.0001, Verdict::Warn)]
            {
                let tamper = |at, gradient| if at == wrong { factor * gradient } else { gradient };
                let found = check(&net, 6, seed, &Sample::ALL, tamper);
                // Nothing comes back through a unit that is 0 for all six rows: there is nothing to tamper with.
                if found.verdict() == Verdict::Pass {
                    assert_eq!(
                        check(&net, 6, seed, &Sample::ALL, |at, gradient| if at == wrong {
                            gradient + 1.0
                        } else {
                            gradient
                        })
                        .at,
                        Some(wrong)
                    );
                    continue;
                }
                assert_eq!(found.at, Some(wrong), "{found:?}");
                assert_eq!(found.verdict(), verdict, "{found:?}");
            }
        }
    }
}

/// A sample takes its share of each tensor, and finds what is wrong everywhere.
#[test]
fn a_sample_covers_every_tensor() {
    let net = [Layer::dense(40, 20), Layer::tanh(), Layer::dense(20, 3)];
    let sample = Sample { per_tensor: 16, seed: 1 };
    let mut seen = Vec::new();
    let found = check(&net, 6, 1, &sample, |at, gradient| {
        seen.push(at);
        gradient
    });
    assert_eq!((found.verdict(), found.checked), (Verdict::Pass, 16 + 16 + 16 + 3));
    seen.sort_by_key(|at| (at.layer, at.role as u8, at.index));
    seen.dedup();
    assert_eq!(seen.len(), 16 + 16 + 16 + 3);
    assert_ne!(check(&net, 6, 1, &sample, |_, gradient| 1.5 * gradient).verdict(), Verdict::Pass);
}

/// Where every unit stands on its kink, no difference across it is taken for the gradient.
#[test]
fn kinks_are_excused_and_counted() {
    let net = [Layer::dense(5, 8), Layer::relu(), Layer::dense(8, 3)];
    let mut arena = vec![0.0f64; arena_len(&net, 4)];
    let mut network = Network::bind(&net, 4, Level::detect(), &mut arena).unwrap();
    let mut rng = Pcg64::new(1, 0);
    network.initialise(Init::Auto, &mut rng).unwrap();
    network.tensor_mut(0, Role::Weight).unwrap().fill(0.0);
    let mut inputs = vec![0.0; 4 * 5];
    fill_normal(Level::detect(), &mut rng, 0.1, 1.0, &mut inputs).unwrap();
    let found = gradient(&mut network, &inputs, &[0, 1, 2, 0], &Sample::ALL, |_, gradient| gradient).unwrap();
    // All of the first layer's weights and biases, and none of the second's.
    assert_eq!((found.verdict(), found.excused), (Verdict::Pass, 5 * 8 + 8), "{found:?}");
}
