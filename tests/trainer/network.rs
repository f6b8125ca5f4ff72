//! Binding, errors, updates and learning.

use rand_pcg::Pcg64;
use slicewise::kernels::{ShapeError, clip_by_norm, fill_normal, hinge, squared_error};
use slicewise::{
    Error, Init, Layer, Level, Network, Optimizer, Role, Update, arena_len, inference_arena_len,
};

const NET: &[Layer] = &[Layer::dense(3, 8), Layer::batch_norm(8), Layer::relu(), Layer::dense(8, 2)];
const SGD: Update = Update { optimizer: Optimizer::Sgd, learning_rate: 0.1, regularisation: 0.0 };

#[test]
fn an_arena_can_be_static_and_is_checked() {
    const LEN: usize = arena_len(NET, 4);
    let mut arena = [0.0f32; LEN];
    assert!(Network::bind(NET, 4, Level::Portable, &mut arena).is_ok());
    assert!(inference_arena_len(NET, 4) < LEN);
    let error = Network::bind(NET, 4, Level::Portable, &mut arena[1..]).err().unwrap();
    assert_eq!(error, Error::Shape(ShapeError { argument: "arena", expected: LEN, actual: LEN - 1 }));
}

#[test]
fn impossible_networks_are_refused() {
    let bind = |net: &[Layer]| {
        let mut arena = vec![0.0f32; 10_000];
        Network::bind(net, 4, Level::Portable, &mut arena).err().unwrap()
    };
    assert_eq!(bind(&[]), Error::NoWidth);
    assert_eq!(bind(&[Layer::relu()]), Error::NoWidth);
    assert_eq!(
        bind(&[Layer::dense(3, 4), Layer::dense(5, 2)]),
        Error::Layer { index: 1, expected: 4, actual: 5 }
    );
    assert_eq!(
        bind(&[Layer::dense(3, 4), Layer::batch_norm(5)]),
        Error::Layer { index: 1, expected: 4, actual: 5 }
    );
    for bad in [
        Layer::maxout(3),
        Layer::maxout(1),
        Layer::dropout(1.0),
        Layer::dropout(f64::NAN),
        Layer::leaky_relu(-0.1),
    ] {
        let net = [Layer::dense(3, 4), bad];
        assert!(matches!(bind(&net), Error::Parameter { index: 1, .. }), "{bad:?}: {:?}", bind(&net));
    }
    assert!(matches!(bind(&[Layer::dense(usize::MAX, usize::MAX)]), Error::Shape(_)));
    assert!(matches!(bind(&[Layer::dense(3, 0)]), Error::Parameter { .. }));
}

#[test]
fn bad_batches_teach_nothing() {
    let mut arena = vec![0.0f32; arena_len(NET, 4)];
    let mut net = Network::bind(NET, 4, Level::detect(), &mut arena).unwrap();
    net.initialise(Init::Auto, &mut Pcg64::new(1, 1)).unwrap();
    let before: Vec<f32> = net.tensor(0, Role::Weight).unwrap().to_vec();
    let running: Vec<f32> = net.tensor(1, Role::RunningMean).unwrap().to_vec();
    let mut step = |inputs: &[f32], labels: &[u32]| match net.step(inputs, labels, &SGD) {
        Err(Error::Shape(error)) => error.argument,
        other => panic!("{other:?}"),
    };
    assert_eq!(step(&[0.0; 3], &[0]), "rows for batch norm");
    assert_eq!(step(&[0.0; 6], &[0, 2]), "label");
    assert_eq!(step(&[0.0; 5], &[0, 1]), "inputs");
    assert_eq!(step(&[0.0; 15], &[0; 5]), "labels");
    assert_eq!(step(&[], &[]), "labels");
    assert_eq!(net.tensor(0, Role::Weight).unwrap(), before);
    assert_eq!(net.tensor(1, Role::RunningMean).unwrap(), running);
    assert_eq!(net.steps(), 0);
    assert!(net.evaluate(&[0.0; 3], &[7]).is_err());
    let mut out = [7.0; 2];
    assert!(
        matches!(net.predict(&[0.0; 4], &mut out), Err(Error::Shape(error)) if error.argument == "inputs")
    );
    assert!(matches!(net.infer(&[0.0; 4], &mut out), Err(Error::Shape(error)) if error.argument == "inputs"));
    assert!(
        matches!(net.predict(&[0.0; 6], &mut out), Err(Error::Shape(error)) if error.argument == "probabilities")
    );
    assert!(
        matches!(net.infer(&[0.0; 6], &mut out), Err(Error::Shape(error)) if error.argument == "outputs")
    );
    assert_eq!(out, [7.0; 2]);
}

#[test]
fn a_network_for_inference_refuses_to_train() {
    let mut arena = vec![0.0f32; inference_arena_len(NET, 4)];
    let mut net = Network::bind_inference(NET, 4, Level::detect(), &mut arena).unwrap();
    net.initialise(Init::Auto, &mut Pcg64::new(1, 1)).unwrap();
    assert_eq!(net.step(&[0.0; 6], &[0, 1], &SGD), Err(Error::InferenceOnly));
    assert!(net.evaluate(&[0.0; 6], &[0, 1]).is_ok());
    assert_eq!(net.gradient(0, Role::Weight), None);
}

/// CS231n: a network that knows nothing starts at ln C; raising the regularisation raises the loss by 0.5 reg sum W^2.
#[test]
fn the_loss_starts_at_ln_c_and_the_penalty_is_exact() {
    const NET: &[Layer] = &[Layer::dense(30, 50), Layer::relu(), Layer::dense(50, 10)];
    let mut arena = vec![0.0f64; arena_len(NET, 20)];
    let mut net = Network::bind(NET, 20, Level::detect(), &mut arena).unwrap();
    let mut inputs = vec![0.0; 20 * 30];
    fill_normal(Level::detect(), &mut Pcg64::new(2, 2), 0.0, 1.0, &mut inputs).unwrap();
    let labels: Vec<u32> = (0..20).map(|i| i % 10).collect();
    net.initialise(Init::Normal(1e-4), &mut Pcg64::new(1, 1)).unwrap();
    let squares: f64 =
        [0, 2].map(|l| net.tensor(l, Role::Weight).unwrap().iter().map(|w| w * w).sum()).iter().sum();
    let report = net.step(&inputs, &labels, &Update { regularisation: 1e3, ..SGD }).unwrap();
    assert!((report.loss - report.penalty - 10.0f64.ln()).abs() < 1e-6, "{report:?}");
    assert!((report.penalty - 0.5e3 * squares).abs() < 1e-12 * report.penalty, "{report:?}, {squares}");
    // Plain gradient descent on the penalty alone multiplies W by 1 - lr * reg: the ratio says 100.
    assert!((net.update_ratio(0, Role::Weight).unwrap() - 100.0).abs() < 1.0);
}

/// Zeros: every unit computes the same, so every unit learns the same.
#[test]
fn zeros_never_break_symmetry() {
    const NET: &[Layer] = &[Layer::dense(3, 8), Layer::tanh(), Layer::dense(8, 2)];
    let mut arena = vec![0.0f32; arena_len(NET, 4)];
    let mut net = Network::bind(NET, 4, Level::detect(), &mut arena).unwrap();
    net.initialise(Init::Zeros, &mut Pcg64::new(1, 1)).unwrap();
    let inputs: Vec<f32> = (0..12).map(|i| (i as f32).sin()).collect();
    for _ in 0..20 {
        net.step(&inputs, &[0, 1, 1, 0], &SGD).unwrap();
    }
    let w = net.tensor(0, Role::Weight).unwrap();
    assert!(w.chunks(8).all(|row| row.iter().all(|x| *x == row[0])));
}

#[test]
fn a_tiny_batch_is_learned_by_heart_with_every_optimizer() {
    let optimizers = [
        (Optimizer::Sgd, 0.5),
        (Optimizer::momentum(), 0.1),
        (Optimizer::nesterov(), 0.1),
        (Optimizer::adam(), 0.02),
        (Optimizer::adam_w(), 0.02),
        (Optimizer::rms_prop(), 0.01),
        (Optimizer::adagrad(), 0.1),
    ];
    let mut inputs = vec![0.0f32; 4 * 3];
    fill_normal(Level::detect(), &mut Pcg64::new(2, 2), 0.0, 1.0, &mut inputs).unwrap();
    let labels = [0, 1, 1, 0];
    for (optimizer, learning_rate) in optimizers {
        let mut arena = vec![0.0f32; arena_len(NET, 4)];
        let mut net = Network::bind(NET, 4, Level::detect(), &mut arena).unwrap();
        net.initialise(Init::Auto, &mut Pcg64::new(1, 1)).unwrap();
        let update = Update { optimizer, learning_rate, regularisation: 0.0 };
        for _ in 0..300 {
            net.step(&inputs, &labels, &update).unwrap();
        }
        let report = net.step(&inputs, &labels, &update).unwrap();
        assert!(report.loss < 0.05 && report.correct == 4, "{optimizer:?}: {report:?}");
        assert_eq!(net.steps(), 301);
        // The running statistics have come to the batch's: evaluation agrees with training.
        let evaluation = net.evaluate(&inputs, &labels).unwrap();
        assert_eq!(evaluation.correct, 4, "{optimizer:?}: {evaluation:?}");
    }
}

/// `||W' - W|| / ||W||` of every tensor, from the outside.
#[test]
fn update_ratios_are_each_tensors_own() {
    let mut arena = vec![0.0f64; arena_len(NET, 4)];
    let mut net = Network::bind(NET, 4, Level::detect(), &mut arena).unwrap();
    net.initialise(Init::Auto, &mut Pcg64::new(1, 1)).unwrap();
    let inputs: Vec<f64> = (0..12).map(|i| f64::from(i).sin()).collect();
    net.step(&inputs, &[0, 1, 1, 0], &SGD).unwrap();
    let tensors: Vec<_> = (0..NET.len())
        .flat_map(|layer| Role::ALL.map(|role| (layer, role)))
        .filter_map(|(layer, role)| Some((layer, role, net.tensor(layer, role)?.to_vec())))
        .collect();
    net.step(&inputs, &[0, 1, 1, 0], &SGD).unwrap();
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    for (layer, role, before) in tensors {
        let Some(ratio) = net.update_ratio(layer, role) else {
            assert!(matches!(role, Role::RunningMean | Role::RunningVariance));
            continue;
        };
        let after = net.tensor(layer, role).unwrap();
        let update = norm(&mut after.iter().zip(&before).map(|(a, b)| a - b));
        let expected = update / norm(&mut before.iter().copied());
        assert!((ratio - expected).abs() <= 1e-9 * expected, "{layer} {role:?}: {ratio}, not {expected}");
    }
}

/// What is dropped follows from the seed and the steps done, and from nothing else.
#[test]
fn dropout_drops_other_units_in_every_step() {
    const NET: &[Layer] = &[Layer::dense(3, 40), Layer::dropout(0.5), Layer::dense(40, 2)];
    let still = Update { learning_rate: 0.0, ..SGD };
    let mut arena = vec![0.0f32; arena_len(NET, 4)];
    let mut net = Network::bind(NET, 4, Level::detect(), &mut arena).unwrap();
    net.initialise(Init::Auto, &mut Pcg64::new(1, 1)).unwrap();
    let inputs: Vec<f32> = (0..12).map(|i| (i as f32).sin()).collect();
    let mut losses = |seed: u64| {
        net.set_seed(seed);
        net.set_steps(0);
        [(); 3].map(|()| net.step(&inputs, &[0, 1, 1, 0], &still).unwrap().loss)
    };
    let (first, other) = (losses(7), losses(8));
    assert!(first[0] != first[1] && first[1] != first[2] && first[0] != first[2], "{first:?}");
    assert!(first[0] != other[0], "{first:?}, {other:?}");
    assert_eq!(first, losses(7));
}

/// Clipped between the two halves of a step, in an arena whose gaps between tensors were NaN.
#[test]
fn all_gradients_are_one_slice_to_clip() {
    let mut arena = vec![f32::NAN; arena_len(NET, 4)];
    let mut net = Network::bind(NET, 4, Level::detect(), &mut arena).unwrap();
    net.initialise(Init::Auto, &mut Pcg64::new(1, 1)).unwrap();
    let inputs: Vec<f32> = (0..12).map(|i| (i as f32).sin()).collect();
    let tensors = || (0..NET.len()).flat_map(|layer| Role::ALL.map(|role| (layer, role)));
    let gradients = |net: &Network<'_, f32>| -> Vec<f32> {
        tensors().filter_map(|(layer, role)| net.gradient(layer, role)).flatten().copied().collect()
    };
    net.gradients(&inputs, &[0, 1, 1, 0]).unwrap();
    let before = gradients(&net);
    let exact = before.iter().map(|g| f64::from(*g) * f64::from(*g)).sum::<f64>().sqrt();
    let limit = exact / 4.0;
    let norm = clip_by_norm(net.level(), limit, net.all_gradients_mut()).unwrap();
    assert!((norm / exact - 1.0).abs() < 1e-6, "{norm}, not {exact}");
    let clipped = gradients(&net);
    assert!(clipped.iter().zip(&before).all(|(c, b)| (c - b / 4.0).abs() <= 1e-6 * b.abs()));

    let bias = net.tensor(3, Role::Bias).unwrap().to_vec();
    net.update(&SGD).unwrap();
    let moved = net.tensor(3, Role::Bias).unwrap().iter().zip(bias);
    let gradient = net.gradient(3, Role::Bias).unwrap();
    assert!(moved.zip(gradient).all(|((w, before), g)| (before - 0.1 * g - w).abs() < 1e-7));
}

/// In a step each layer's gradients lie where those of the layer after it did, and over the zeros between tensors.
#[test]
fn a_step_keeps_no_gradients() {
    let mut arena = vec![0.0f32; arena_len(NET, 4)];
    let mut net = Network::bind(NET, 4, Level::detect(), &mut arena).unwrap();
    net.initialise(Init::Auto, &mut Pcg64::new(1, 1)).unwrap();
    let inputs: Vec<f32> = (0..12).map(|i| (i as f32).sin()).collect();
    let labels = [0, 1, 1, 0];
    let nowhere = Update { learning_rate: 0.0, ..SGD };
    net.gradients(&inputs, &labels).unwrap();
    let expected = net.all_gradients_mut().to_vec();
    net.step(&inputs, &labels, &nowhere).unwrap();
    assert_eq!(net.gradient(0, Role::Weight), None);
    assert_eq!(net.update(&SGD), Err(Error::NoGradients));
    net.gradients(&inputs, &labels).unwrap();
    assert!(*net.all_gradients_mut() == expected);
    net.step(&inputs, &labels, &nowhere).unwrap();
    assert!(net.all_gradients_mut().iter().all(|g| *g == 0.0));
    assert!(net.update(&SGD).is_ok());
}

/// A support vector machine on top of a network, and a regression: what `step` does not know.
#[test]
fn other_losses_are_learned() {
    const NET: &[Layer] = &[Layer::dense(1, 16), Layer::tanh(), Layer::dense(16, 3)];
    const CURVE: &[Layer] = &[Layer::dense(1, 16), Layer::tanh(), Layer::dense(16, 1)];
    let adam = Update { optimizer: Optimizer::adam(), learning_rate: 0.02, regularisation: 0.0 };
    let inputs: Vec<f32> = (0u8..24).map(|i| f32::from(i) / 4.0 - 3.0).collect();
    let labels: Vec<u32> = (0..24).map(|i| [0, 2, 1, 0][i / 6]).collect();
    let mut arena = vec![0.0f32; arena_len(NET, 24)];
    let mut net = Network::bind(NET, 24, Level::detect(), &mut arena).unwrap();
    net.initialise(Init::Auto, &mut Pcg64::new(1, 1)).unwrap();
    let (level, mut dy, mut losses) = (net.level(), [0.0; 72], Vec::new());
    for _ in 0..500 {
        let batch = hinge(level, 3, 1.0, net.forward(&inputs).unwrap(), &labels, &mut dy).unwrap();
        net.backward_from(&inputs, &dy, |_, _| {}).unwrap();
        net.update(&adam).unwrap();
        losses.push((batch.loss, batch.correct));
    }
    assert!(losses[0].0 > 1.0 && losses[499].0 < 0.05 && losses[499].1 == 24, "{:?}", losses[499]);

    let targets: Vec<f32> = inputs.iter().map(|x| x.sin()).collect();
    let mut arena = vec![0.0f32; arena_len(CURVE, 24)];
    let mut net = Network::bind(CURVE, 24, Level::detect(), &mut arena).unwrap();
    net.initialise(Init::Auto, &mut Pcg64::new(1, 1)).unwrap();
    let (mut dy, mut losses) = ([0.0; 24], Vec::new());
    for _ in 0..500 {
        losses.push(squared_error(level, net.forward(&inputs).unwrap(), &targets, &mut dy).unwrap());
        net.backward_from(&inputs, &dy, |_, _| {}).unwrap();
        net.update(&adam).unwrap();
    }
    assert!(losses[0] > 0.1 && losses[499] < 1e-3, "{} to {}", losses[0], losses[499]);
}
