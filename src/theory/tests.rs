//! The integrals against closed forms, and against a brute-force sum.

extern crate std;

use super::*;
use std::vec::Vec;

fn moments(activation: Activation, s: f64) -> Moments {
    Moments::of(activation, 1, s).unwrap()
}

fn assert_close(what: &str, actual: f64, expected: f64, relative: f64) {
    assert!((actual - expected).abs() <= relative * expected.abs(), "{what}: {actual}, not {expected}");
}

const PI: f64 = core::f64::consts::PI;

#[test]
fn moments_have_their_closed_forms_at_every_scale() {
    for s in [1e-150, 1e-8, 0.3, 1.0, 22.0, 1e8, 1e150] {
        let relu = moments(Activation::Relu, s);
        assert_close("relu, mean", relu.mean, s / (2.0 * PI).sqrt(), 1e-10);
        assert_close("relu, variance", relu.variance, s * s * (0.5 - 0.5 / PI), 1e-10);
        assert_close("relu, derivative", relu.squared_derivative, 0.5, 1e-10);
        assert_eq!((relu.zero_fraction, relu.saturated_fraction), (0.5, 0.0));
        let leaky = moments(Activation::LeakyRelu { slope: 0.1 }, s);
        assert_close("leaky, derivative", leaky.squared_derivative, 0.505, 1e-10);
        let (mean, second) = (0.9 * s / (2.0 * PI).sqrt(), 0.505 * s * s);
        assert_close("leaky, mean", leaky.mean, mean, 1e-10);
        assert_close("leaky, variance", leaky.variance, second - mean * mean, 1e-10);
        let identity = moments(Activation::Identity, s);
        assert_close("identity, variance", identity.variance, s * s, 1e-10);
        assert_eq!(identity.zero_fraction, 0.0);
    }
    // Small inputs see the slope at 0.
    for s in [1e-150, 1e-8] {
        assert_close("tanh", moments(Activation::Tanh, s).variance, s * s, 1e-10);
        assert_close("elu", moments(Activation::Elu { alpha: 1.0 }, s).variance, s * s, 1e-6);
    }
    assert_close("sigmoid", moments(Activation::Sigmoid, 1e-4).variance, 1e-8 / 16.0, 1e-6);
    // Large ones see a step, whose derivative is a peak at 0: E[f'(sz)^2] = f'^2's integral * density(0) / s.
    for s in [1e4, 1e8] {
        let tanh = moments(Activation::Tanh, s);
        assert_close("tanh, variance", tanh.variance, 1.0, 2.0 / s);
        assert_close("tanh, derivative", tanh.squared_derivative, 4.0 / 3.0 * density(0.0, 1) / s, 1e-6);
        let sigmoid = moments(Activation::Sigmoid, s);
        assert_close("sigmoid, variance", sigmoid.variance, 0.25, 4.0 / s);
        assert_close("sigmoid, derivative", sigmoid.squared_derivative, density(0.0, 1) / 6.0 / s, 1e-6);
        assert_close(
            "elu, mean",
            moments(Activation::Elu { alpha: 1.0 }, s).mean,
            s * density(0.0, 1) - 0.5,
            1e-6,
        );
    }
    // ELU: E[e^{2sz}; z < 0] = e^{2 s^2} * mass_below(-2s).
    let elu = moments(Activation::Elu { alpha: 1.0 }, 0.5);
    assert_close("elu, derivative", elu.squared_derivative, 0.5 + 0.5f64.exp() * mass_below(-1.0, 1), 1e-10);
}

#[test]
fn maxout_has_the_moments_of_the_largest() {
    let two = Moments::of(Activation::Identity, 2, 1.5).unwrap();
    assert_close("mean of 2", two.mean, 1.5 / PI.sqrt(), 1e-10);
    assert_close("variance of 2", two.variance, 2.25 * (1.0 - 1.0 / PI), 1e-10);
    let three = Moments::of(Activation::Identity, 3, 1.0).unwrap();
    assert_close("mean of 3", three.mean, 1.5 / PI.sqrt(), 1e-10);
    assert_close("variance of 3", three.variance, 1.0 + 3.0f64.sqrt() / (2.0 * PI) - 2.25 / PI, 1e-10);
    assert_close("slope", three.squared_derivative, 1.0, 1e-10);
}

#[test]
fn smooth_nonlinearities_agree_with_a_brute_force_sum() {
    let (n, step) = (1 << 17, 20.0 / f64::from(1 << 17));
    let elu = Activation::Elu { alpha: 1.3 };
    for activation in [Activation::Tanh, Activation::Sigmoid, elu, Activation::Gelu, Activation::Silu] {
        for s in [0.2, 1.0, 5.0] {
            let x: Vec<f64> = (0..n).map(|i| s * (f64::from(i) + 0.5 - f64::from(n / 2)) * step).collect();
            let (mut y, mut derivative) = (x.clone(), std::vec![0.0; x.len()]);
            activate(Level::Portable, activation, &x, &mut y).unwrap();
            activation_backward_from_input(
                Level::Portable,
                activation,
                &x,
                &std::vec![1.0; x.len()],
                &mut derivative,
            )
            .unwrap();
            let weights = || x.iter().map(|x| step * density(x / s, 1));
            let mean: f64 = y.iter().zip(weights()).map(|(y, w)| w * y).sum();
            let variance: f64 = y.iter().zip(weights()).map(|(y, w)| w * (y - mean) * (y - mean)).sum();
            let squared: f64 = derivative.iter().zip(weights()).map(|(d, w)| w * d * d).sum();
            let saturated: f64 =
                y.iter().zip(weights()).filter(|(y, _)| is_saturated(activation, **y)).map(|(_, w)| w).sum();
            let of = moments(activation, s);
            assert!((of.mean - mean).abs() < 1e-8, "{activation:?}, {s}: {}, not {mean}", of.mean);
            assert_close("variance", of.variance, variance, 1e-7);
            assert_close("derivative", of.squared_derivative, squared, 1e-7);
            assert!((of.saturated_fraction - saturated).abs() < 1e-4, "{activation:?}, {s}: {saturated}");
            // GELU comes to 0 from -38 on.
            let most = if activation == Activation::Gelu { 1e-13 } else { 0.0 };
            assert!(of.zero_fraction <= most, "{activation:?}, {s}: {}", of.zero_fraction);
        }
    }
}

#[test]
fn the_normal_distribution_has_its_tabulated_values() {
    for (z, mass) in [(0.0, 0.5), (1.0, 0.841_344_746_068_543), (-2.0, 0.022_750_131_948_179), (9.0, 1.0)] {
        assert_close("mass", mass_below(z, 1), mass, 1e-13);
    }
    assert_close("of two", mass_below(1.0, 2), 0.841_344_746_068_543 * 0.841_344_746_068_543, 1e-10);
    assert_eq!((mass_below(f64::NEG_INFINITY, 1), mass_below(f64::INFINITY, 1)), (0.0, 1.0));
}

#[test]
fn zeros_give_what_the_nonlinearity_makes_of_0() {
    let net = [Layer::dense(5, 5), Layer::sigmoid(), Layer::dense(5, 5), Layer::relu()];
    let layers: Vec<Expected> =
        hidden_layers(&net, Init::Zeros, Signal::STANDARD).collect::<Result<_, _>>().unwrap();
    let [sigmoid, relu] = layers[..] else { panic!("{layers:?}") };
    assert_eq!((sigmoid.mean, sigmoid.std, sigmoid.zero_fraction), (0.5, 0.0, 0.0));
    assert_eq!((relu.mean, relu.std, relu.zero_fraction, relu.gradient_gain), (0.0, 0.0, 1.0, 0.0));
}

#[test]
fn other_orders_and_impossible_weights_are_refused() {
    let at = |net: &[Layer], init| {
        let layers: Vec<_> = hidden_layers(net, init, Signal::STANDARD).collect();
        (layers.len(), layers.last().unwrap().err())
    };
    let order = |net: &[Layer]| match at(net, Init::Auto) {
        (count, Some(Error::Parameter { index, .. })) => (count, index),
        other => panic!("{other:?}"),
    };
    assert_eq!(order(&[Layer::relu()]), (1, 0));
    assert_eq!(order(&[Layer::dense(2, 3), Layer::tanh(), Layer::batch_norm(3), Layer::dense(3, 1)]), (1, 2));
    assert_eq!(order(&[Layer::dense(2, 2), Layer::dense(2, 2), Layer::tanh(), Layer::relu()]), (2, 3));
    assert!(matches!(at(&[Layer::dense(2, 2)], Init::Normal(f64::NAN)), (1, Some(Error::Value(_)))));
    assert_eq!(hidden_layers(&[], Init::Auto, Signal::STANDARD).count(), 0);
}

/// Dropout by p makes the second moment `1 / (1 - p)` times as large, forward and backward.
#[test]
fn what_follows_dropout_sees_it() {
    let net = [Layer::dense(8, 8), Layer::relu(), Layer::dropout(0.5), Layer::dense(8, 4), Layer::relu()];
    let layers: Vec<Expected> =
        hidden_layers(&net, Init::Auto, Signal::STANDARD).collect::<Result<_, _>>().unwrap();
    assert_close("forward", layers[1].std, layers[0].std * 2.0f64.sqrt(), 1e-10);
    // sigma^2 * outputs * 0.5 / 0.5 with sigma^2 = 2 / 8.
    assert_close("backward", layers[1].gradient_gain, 1.0, 1e-10);
    assert_eq!((layers[0].layer, layers[1].layer), (1, 4));
}
