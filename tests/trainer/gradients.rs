//! Gradients of every layer, and of whole networks, against centred differences in f64: relative error below 1e-7.
//!
//! `|analytic - numeric| / max(1e-8, |analytic| + |numeric|)`, h = 1e-5 (CS231n, "Gradient checks"). Where a ReLU or a
//! maxout changes sides within h, the difference measures the kink, not the gradient: such parameters are excused, and
//! counted, so that excuses cannot hide a wrong gradient.

use rand_pcg::Pcg64;
use slicewise::kernels::fill_normal;
use slicewise::{BatchNorm, Init, Layer, Level, Network, Role, RunningVariance, arena_len};

const H: f64 = 1e-5;

/// The largest relative error over every parameter, and the share of parameters excused for a kink.
fn check(net: &[Layer], rows: usize, seed: u64) -> (f64, f64) {
    let mut arena = vec![0.0f64; arena_len(net, rows)];
    let mut network = Network::bind(net, rows, Level::detect(), &mut arena).unwrap();
    let mut rng = Pcg64::new(u128::from(seed), 0);
    network.initialise(Init::Auto, &mut rng).unwrap();
    network.set_seed(seed);
    // Biases, gammas and betas away from their even starts, so that no term hides behind a 0 or 1.
    for layer in 0..net.len() {
        for role in [Role::Bias, Role::Gamma, Role::Beta] {
            if let Some(tensor) = network.tensor_mut(layer, role) {
                fill_normal(&mut rng, if role == Role::Gamma { 1.0 } else { 0.0 }, 0.3, tensor).unwrap();
            }
        }
    }
    let mut inputs = vec![0.0; rows * network.features()];
    fill_normal(&mut rng, 0.1, 1.0, &mut inputs).unwrap();
    let labels: Vec<u32> = (0..rows).map(|i| (i % network.classes()) as u32).collect();

    network.gradients(&inputs, &labels).unwrap();
    let mut analytic = Vec::new();
    for layer in 0..net.len() {
        for role in Role::ALL {
            if let Some(gradient) = network.gradient(layer, role) {
                analytic.push((layer, role, gradient.to_vec()));
            }
        }
    }
    let mut loss_at = |layer: usize, role: Role, i: usize, step: f64| {
        let tensor = network.tensor_mut(layer, role).unwrap();
        let before = tensor[i];
        tensor[i] += step;
        let loss = network.gradients(&inputs, &labels).unwrap().loss;
        network.tensor_mut(layer, role).unwrap()[i] = before;
        loss
    };
    let (mut worst, mut excused, mut count) = (0.0f64, 0, 0);
    for (layer, role, gradient) in analytic {
        for (i, analytic) in gradient.into_iter().enumerate() {
            let numeric = (loss_at(layer, role, i, H) - loss_at(layer, role, i, -H)) / (2.0 * H);
            count += 1;
            // A gradient that is 0 by nature (a bias before batch norm) is right where both are tiny.
            let error = (analytic - numeric).abs() / (analytic.abs() + numeric.abs()).max(1e-8);
            if error < 1e-7 || (analytic - numeric).abs() < 1e-10 {
                worst = worst.max(error.min(1e-7));
                continue;
            }
            // One-sided differences that disagree by far more than the curvature: a kink between them.
            let middle = loss_at(layer, role, i, 0.0);
            let right = (loss_at(layer, role, i, H) - middle) / H;
            let left = (middle - loss_at(layer, role, i, -H)) / H;
            let near =
                (loss_at(layer, role, i, H / 100.0) - loss_at(layer, role, i, -H / 100.0)) / (H / 50.0);
            if (right - left).abs() > 1e-4 * (right.abs() + left.abs())
                && (near - analytic).abs() < 1e-6 * (1.0 + near.abs())
            {
                excused += 1;
            } else {
                worst = worst.max(error);
            }
        }
    }
    (worst, f64::from(excused) / f64::from(count))
}

/// Smooth networks have no excuse; others at most one parameter in fifty.
fn assert_right(net: &[Layer], smooth: bool) {
    for seed in 1..4 {
        let (worst, excused) = check(net, 6, seed);
        assert!(worst <= 1e-7, "{net:?}, seed {seed}: relative error {worst:e}");
        assert!(
            excused <= if smooth { 0.0 } else { 0.02 },
            "{net:?}, seed {seed}: {excused} of the parameters excused"
        );
    }
}

#[test]
fn a_dense_layer() {
    assert_right(&[Layer::dense(5, 3)], true);
}

#[test]
fn smooth_activations() {
    for activation in [Layer::sigmoid(), Layer::tanh(), Layer::Activation(slicewise::Activation::Identity)] {
        assert_right(&[Layer::dense(5, 7), activation, Layer::dense(7, 3)], true);
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
