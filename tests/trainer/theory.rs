//! The theory of infinite width against wide networks, the lecture's numbers, and a loss of one's own.

use rand_pcg::Pcg64;
use slicewise::kernels::{Targets, cross_entropy, fill_normal};
use slicewise::monitor::{mean_and_std, statistics};
use slicewise::theory::{Expected, Signal, hidden_layers};
use slicewise::{Activation, Error, Init, Layer, Level, Network, Role, arena_len};

fn expected(net: &[Layer], init: Init) -> Vec<Expected> {
    hidden_layers(net, init, Signal::STANDARD).collect::<Result<_, _>>().unwrap()
}

/// Within a share `precision` of what the tables print.
fn assert_table(layers: &[Expected], table: &[(usize, f64)], precision: f64) {
    for (layer, std) in table {
        let theory = layers[layer - 1].std;
        assert!((theory - std).abs() <= precision * std, "layer {layer}: {theory}, not {std}");
    }
}

#[test]
fn closed_forms_and_tables() {
    let pi = core::f64::consts::PI;
    let dense = Layer::dense(500, 500);
    let relu = [dense, Layer::relu()].repeat(10);
    for layer in expected(&relu, Init::He) {
        assert!(
            (layer.std - (1.0 - 1.0 / pi).sqrt()).abs() < 1e-10 && (layer.gradient_gain - 1.0).abs() < 1e-10
        );
    }
    for (layer, index) in expected(&relu, Init::Xavier).iter().zip(0..) {
        let std = ((1.0 - 1.0 / pi) * 0.5f64.powi(index + 1)).sqrt();
        assert!((layer.std - std).abs() < 1e-10, "{layer:?}");
    }
    let tanh = [dense, Layer::tanh()].repeat(10);
    assert_table(
        &expected(&tanh, Init::Xavier),
        &[(1, 0.628), (2, 0.486), (3, 0.408), (5, 0.321), (10, 0.228)],
        2.5e-3,
    );
    assert_table(&expected(&tanh, Init::Normal(1.0)), &[(1, 0.982), (10, 0.982)], 1e-3);
    assert!((expected(&tanh, Init::Normal(1.0))[9].saturated_fraction - 0.92).abs() < 5e-3);

    // With batch norm every scale gives the same, and gradients grow by pi / (pi - 1) a layer (Yang et al. 2019).
    for init in
        [Init::Normal(0.01), Init::Normal(1.0), Init::Xavier, Init::He, Init::LeCun, Init::GlorotUniform]
    {
        let relu = expected(&[dense, Layer::batch_norm(500), Layer::relu()].repeat(10), init);
        let tanh = expected(&[dense, Layer::batch_norm(500), Layer::tanh()].repeat(10), init);
        for (relu, tanh) in relu.iter().zip(&tanh) {
            assert!(
                (relu.std - 0.5838).abs() < 1e-3 && (tanh.std - 0.628).abs() < 1e-3,
                "{init:?}: {relu:?}"
            );
        }
        let growth = relu[5].gradient_gain * relu[5].gradient_gain;
        assert!((growth / (pi / (pi - 1.0)) - 1.0).abs() < 2e-3, "{init:?}: {growth}");
    }
}

/// Mean, spread, shares and gradients of networks 2,048 units wide are within 1% of the theory.
#[test]
fn wide_networks_agree() {
    const WIDTH: usize = 2048;
    let dense = Layer::dense(WIDTH, WIDTH);
    let norm = Layer::batch_norm(WIDTH);
    // Nothing pulls the spread of ReLU and maxout back: it scatters more, and more seeds are asked.
    let cases: [(&[Layer], Init, usize, u32); 7] = [
        (&[dense, Layer::tanh()], Init::Xavier, 3, 2),
        (&[dense, Layer::relu()], Init::He, 2, 5),
        (&[dense, norm, Layer::sigmoid()], Init::GlorotUniform, 3, 2),
        (&[dense, Layer::elu(1.0)], Init::LeCun, 3, 3),
        (&[dense, norm, Layer::relu()], Init::Normal(0.01), 3, 2),
        (&[dense, norm, Layer::tanh()], Init::Normal(1.0), 3, 2),
        (&[Layer::dense(WIDTH, 2 * WIDTH), Layer::maxout(2)], Init::Xavier, 2, 3),
    ];
    for (block, init, depth, seeds) in cases {
        agree(&block.repeat(depth), WIDTH, init, seeds);
    }
}

fn agree(net: &[Layer], width: usize, init: Init, seeds: u32) {
    const ROWS: usize = 256;
    let level = Level::detect();
    let theory = expected(net, init);
    let mut arena = vec![0.0f32; arena_len(net, ROWS)];
    let mut network = Network::bind(net, ROWS, level, &mut arena).unwrap();
    let (mut rows, mut dy) = (vec![0.0; ROWS * width], vec![0.0; ROWS * width]);
    // Mean, standard deviation, zeros, saturated, and the gradient's standard deviation, of each layer.
    let mut sums = vec![[0.0; 5]; theory.len()];
    for seed in (1..=seeds).map(u128::from) {
        network.initialise(init, &mut Pcg64::new(seed, 0)).unwrap();
        fill_normal(Level::detect(), &mut Pcg64::new(seed, 1), 0.0, 1.0, &mut rows).unwrap();
        fill_normal(Level::detect(), &mut Pcg64::new(seed, 2), 0.0, 1.0, &mut dy).unwrap();
        network.forward(&rows).unwrap();
        for (sums, layer) in sums.iter_mut().zip(&theory) {
            let activation = match net[layer.layer] {
                Layer::Activation(activation) => activation,
                _ => Activation::Identity,
            };
            let of =
                statistics(level, activation, width, network.outputs(layer.layer, ROWS).unwrap()).unwrap();
            for (sum, value) in
                sums.iter_mut().zip([of.mean, of.std, of.zero_fraction, of.saturated_fraction])
            {
                *sum += value / f64::from(seeds);
            }
        }
        let sums = &mut sums;
        network
            .backward_from(&rows, &dy, |index, dy| {
                if let Some(at) = theory.iter().position(|layer| layer.layer == index) {
                    sums[at][4] += mean_and_std(level, dy).1 / f64::from(seeds);
                }
            })
            .unwrap();
    }
    for (index, (of, layer)) in sums.iter().zip(&theory).enumerate() {
        let gradient: f64 = theory[index + 1..].iter().map(|layer| layer.gradient_gain).product();
        let what =
            format!("{:?}, {init:?}, layer {}: {of:?}, {layer:?}, {gradient}", net[layer.layer], index + 1);
        assert!((of[0] - layer.mean).abs() < 0.01 * layer.std.max(layer.mean), "mean: {what}");
        assert!((of[1] / layer.std - 1.0).abs() < 0.01, "std: {what}");
        assert!((of[2] - layer.zero_fraction).abs() < 0.01, "zeros: {what}");
        assert!((of[3] - layer.saturated_fraction).abs() < 0.005, "saturated: {what}");
        assert!((of[4] / gradient - 1.0).abs() < 0.01, "gradient: {what}");
    }
}

const NET: &[Layer] = &[
    Layer::dense(4, 6),
    Layer::batch_norm(6),
    Layer::tanh(),
    Layer::dropout(0.3),
    Layer::dense(6, 8),
    Layer::maxout(2),
    Layer::dense(4, 3),
];

/// The cross-entropy's gradient by hand gives the bits of [`Network::gradients`].
#[test]
fn a_loss_of_ones_own_gives_the_same_bits() {
    let labels = [0, 1, 2, 1, 0];
    let mut inputs = [0.0f32; 20];
    fill_normal(Level::detect(), &mut Pcg64::new(3, 3), 0.0, 1.0, &mut inputs).unwrap();
    let (mut arena, mut other) = (vec![0.0; arena_len(NET, 8)], vec![0.0; arena_len(NET, 8)]);
    let bind = |arena| {
        let mut net = Network::bind(NET, 8, Level::detect(), arena).unwrap();
        net.initialise(Init::Auto, &mut Pcg64::new(1, 1)).unwrap();
        net
    };
    let (mut own, mut net) = (bind(&mut arena[..]), bind(&mut other[..]));
    net.gradients(&inputs, &labels).unwrap();
    let mut dy = [0.0; 15];
    let logits = own.forward(&inputs).unwrap().to_vec();
    cross_entropy(own.level(), 3, &logits, Targets::Labels(&labels), &mut dy).unwrap();
    let mut seen = Vec::new();
    own.backward_from(&inputs, &dy, |layer, dy| seen.push((layer, dy.to_vec()))).unwrap();
    for layer in 0..NET.len() {
        assert_eq!(own.outputs(layer, 5), net.outputs(layer, 5));
        for role in Role::ALL {
            assert_eq!(own.gradient(layer, role), net.gradient(layer, role));
            assert_eq!(own.tensor(layer, role), net.tensor(layer, role));
        }
    }
    let shapes: Vec<(usize, usize)> = seen.iter().map(|(layer, dy)| (*layer, dy.len())).collect();
    assert_eq!(shapes, [(6, 15), (5, 20), (4, 40), (3, 30), (2, 30), (1, 30), (0, 30)]);
    assert_eq!(seen[0].1, dy);
    // What each is shown is the gradient by its outputs: a dense layer's bias gets the sum over the rows.
    for (layer, dy) in seen.iter().filter(|(layer, _)| matches!(NET[*layer], Layer::Dense { .. })) {
        let bias = own.gradient(*layer, Role::Bias).unwrap();
        for (unit, bias) in bias.iter().enumerate() {
            let sum: f32 = dy.iter().skip(unit).step_by(bias_len(*layer)).sum();
            assert!((sum - bias).abs() < 1e-6, "layer {layer}, unit {unit}: {sum}, not {bias}");
        }
    }
}

fn bias_len(layer: usize) -> usize {
    match NET[layer] {
        Layer::Dense { outputs, .. } => outputs,
        _ => 0,
    }
}

#[test]
fn rows_that_cannot_be_are_refused() {
    let mut arena = vec![0.0f32; arena_len(NET, 3)];
    let mut net = Network::bind(NET, 3, Level::detect(), &mut arena).unwrap();
    let argument = |result: Result<(), Error>| match result {
        Err(Error::Shape(error)) => error.argument,
        other => panic!("{other:?}"),
    };
    assert_eq!(argument(net.forward(&[0.0; 9]).map(|_| ())), "inputs");
    assert_eq!(argument(net.forward(&[]).map(|_| ())), "rows");
    assert_eq!(argument(net.forward(&[0.0; 16]).map(|_| ())), "rows");
    assert_eq!(argument(net.forward(&[0.0; 4]).map(|_| ())), "rows for batch norm");
    let nothing = |_: usize, _: &[f32]| panic!("nothing is shown");
    assert_eq!(argument(net.backward_from(&[0.0; 8], &[0.0; 5], nothing)), "dy");
    assert_eq!(argument(net.backward_from(&[0.0; 7], &[0.0; 3], nothing)), "inputs");
    assert_eq!(argument(net.backward_from(&[0.0; 16], &[0.0; 12], nothing)), "rows");
    let mut arena = vec![0.0f32; slicewise::inference_arena_len(NET, 3)];
    let mut net = Network::bind_inference(NET, 3, Level::detect(), &mut arena).unwrap();
    assert_eq!(net.forward(&[0.0; 8]), Err(Error::InferenceOnly));
    assert_eq!(net.backward_from(&[0.0; 8], &[0.0; 6], nothing), Err(Error::InferenceOnly));
}

/// The weights that are drawn have the standard deviation that the theory reckons with.
#[test]
fn initialisers_say_their_standard_deviation() {
    const NET: &[Layer] = &[Layer::dense(300, 200)];
    let mut arena = vec![0.0f64; arena_len(NET, 1)];
    let mut net = Network::bind(NET, 1, Level::detect(), &mut arena).unwrap();
    for init in
        [Init::Auto, Init::Zeros, Init::Normal(0.3), Init::Xavier, Init::GlorotUniform, Init::He, Init::LeCun]
    {
        net.initialise(init, &mut Pcg64::new(1, 1)).unwrap();
        let drawn = mean_and_std(net.level(), net.tensor(0, Role::Weight).unwrap()).1;
        let said = init.std(300, 200).unwrap();
        assert!((drawn - said).abs() <= 0.01 * said, "{init:?}: {drawn}, not {said}");
    }
}
