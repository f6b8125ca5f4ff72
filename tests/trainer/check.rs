//! The checks of the training recipe, on networks that are healthy and on networks that are not.

use rand_pcg::Pcg64;
use slicewise::check::{
    Lent, LossShape, RateJudgement, RatePoint, Rows, Verdict, add_update_ratios, equal_units, initial_loss,
    inputs, judge_update_ratio, loss_curve, overfit, regularisation, signal, sweep, trial,
};
use slicewise::kernels::fill_normal;
use slicewise::{Error, Init, Layer, Level, Network, Optimizer, Role, Saved, Update, arena_len, saved_len};

const NET: &[Layer] = &[
    Layer::dense(8, 32),
    Layer::batch_norm(32),
    Layer::relu(),
    Layer::dropout(0.1),
    Layer::dense(32, 16),
    Layer::tanh(),
    Layer::dense(16, 4),
];
const BATCH: usize = 16;
const COUNT: usize = 96;
const SGD: Update = Update { optimizer: Optimizer::Sgd, learning_rate: 0.1, regularisation: 0.0 };

/// Four clouds of points, one a class.
fn clouds(seed: u128) -> (Vec<f32>, Vec<u32>) {
    let mut values = vec![0.0; COUNT * 8];
    fill_normal(Level::detect(), &mut Pcg64::new(seed, 3), 0.0, 0.5, &mut values).unwrap();
    let labels: Vec<u32> = (0..COUNT as u32).map(|row| row % 4).collect();
    for (row, label) in values.chunks_exact_mut(8).zip(&labels) {
        row[*label as usize] += 2.0;
        row.iter_mut().for_each(|x| *x -= 0.25);
    }
    (values, labels)
}

/// A network with its first weights, for `work`.
fn with<R>(layers: &[Layer], init: Init, seed: u128, work: impl FnOnce(&mut Network<'_, f32>) -> R) -> R {
    let mut arena = vec![0.0f32; arena_len(layers, BATCH)];
    let mut net = Network::bind(layers, BATCH, Level::detect(), &mut arena).unwrap();
    net.initialise(init, &mut Pcg64::new(seed, 0)).unwrap();
    work(&mut net)
}

/// Every tensor of a network, one after the other.
fn state(net: &Network<'_, f32>) -> Vec<f32> {
    let tensors = (0..net.layers().len()).flat_map(|layer| Role::ALL.map(|role| (layer, role)));
    let parameters = tensors.filter_map(|(layer, role)| net.tensor(layer, role)).flatten();
    parameters.chain(net.optimizer_state().into_iter().flatten()).copied().collect()
}

#[test]
fn what_was_saved_comes_back_to_the_same_bits() {
    let (values, labels) = clouds(1);
    with(NET, Init::Auto, 1, |net| {
        let adam = Update { optimizer: Optimizer::adam(), ..SGD };
        let step =
            |net: &mut Network<'_, f32>| net.step(&values[..BATCH * 8], &labels[..BATCH], &adam).unwrap();
        step(net);
        let mut memory = vec![0.0; saved_len(NET)];
        let before = state(net);
        let saved = Saved::new(net, &mut memory).unwrap();
        let after = (step(net), state(net));
        assert_ne!(after.1, before);
        saved.restore(net).unwrap();
        assert_eq!((state(net), net.steps()), (before, 1));
        assert_eq!((step(net), state(net)), after);
        assert!(matches!(Saved::new(net, &mut vec![0.0; saved_len(NET) - 1]), Err(Error::Shape(_))));
    });
}

#[test]
fn a_loss_without_gradients_is_that_of_a_step() {
    let (values, labels) = clouds(1);
    with(NET, Init::Auto, 1, |net| {
        let loss = net.loss(&values[..BATCH * 8], &labels[..BATCH]).unwrap();
        assert_eq!(loss, net.gradients(&values[..BATCH * 8], &labels[..BATCH]).unwrap());
    });
}

#[test]
fn the_initial_loss_is_the_logarithm_of_the_classes() {
    let (values, labels) = clouds(1);
    for seed in 1..4 {
        let small = with(NET, Init::Normal(1e-4), seed, |net| initial_loss(net, &values, &labels).unwrap());
        assert!((small.loss - 4f64.ln()).abs() < 1e-3 && small.verdict() == Verdict::Pass, "{small:?}");
        let large = with(NET, Init::Normal(2.0), seed, |net| initial_loss(net, &values, &labels).unwrap());
        assert_eq!(large.verdict(), Verdict::Fail, "{large:?}");
    }
    // The last batch is one row, which batch norm cannot take; it is left out.
    with(NET, Init::Auto, 1, |net| assert!(initial_loss(net, &values[..33 * 8], &labels[..33]).is_ok()));
    with(NET, Init::Auto, 1, |net| assert!(initial_loss(net, &[], &[]).is_err()));
}

#[test]
fn the_penalty_raises_the_loss_and_pulls_at_the_weights() {
    let (values, labels) = clouds(1);
    let mut memory = vec![0.0; saved_len(NET)];
    for (init, verdict) in
        [(Init::Auto, Verdict::Pass), (Init::Normal(1e-4), Verdict::Pass), (Init::Zeros, Verdict::Warn)]
    {
        with(NET, init, 1, |net| {
            let before = state(net);
            let found =
                regularisation(net, &values[..BATCH * 8], &labels[..BATCH], 1e3, &mut memory).unwrap();
            assert_eq!(found.verdict(), verdict, "{init:?}: {found:?}");
            assert_eq!(state(net), before);
        });
    }
    // Whoever forgets the half, or the pull, is found out.
    let right = with(NET, Init::Auto, 1, |net| {
        regularisation(net, &values[..BATCH * 8], &labels[..BATCH], 1e3, &mut memory).unwrap()
    });
    let mut wrong = right;
    wrong.expected *= 2.0;
    assert_eq!(wrong.verdict(), Verdict::Fail);
    wrong = right;
    wrong.pull_error = 1.0;
    assert_eq!(wrong.verdict(), Verdict::Fail);
}

#[test]
fn a_few_rows_are_learned_by_heart_or_not() {
    let (values, labels) = clouds(1);
    let net = &[Layer::dense(8, 32), Layer::relu(), Layer::dense(32, 4)];
    let run = |init, learning_rate| {
        with(net, init, 1, |net| {
            let update = Update { learning_rate, ..SGD };
            overfit(net, &values[..BATCH * 8], &labels[..BATCH], &update, 1000, |_| ()).unwrap()
        })
    };
    let healthy = run(Init::Auto, 0.3);
    assert!(healthy.verdict() == Verdict::Pass && healthy.steps < 1000, "{healthy:?}");
    assert_eq!(run(Init::Auto, 1e-6).verdict(), Verdict::Fail);
    let exploded = run(Init::Auto, 1e6);
    assert!(exploded.exploded && exploded.steps < 10 && exploded.verdict() == Verdict::Fail, "{exploded:?}");
    let dead = run(Init::Zeros, 0.3);
    assert!(dead.verdict() == Verdict::Fail && !dead.exploded, "{dead:?}");
}

#[test]
fn a_sweep_finds_the_range_and_leaves_no_trace() {
    let (values, labels) = clouds(1);
    let rates: Vec<f64> = (-6..7).map(|power| 10f64.powi(power)).collect();
    let rows = Rows { inputs: &values, labels: &labels };
    for seed in 1..4 {
        with(&[Layer::dense(8, 32), Layer::relu(), Layer::dense(32, 4)], Init::Auto, seed, |net| {
            let (mut order, mut batch, mut batch_labels) =
                (vec![0; COUNT], vec![0.0; BATCH * 8], vec![0; BATCH]);
            let mut lent = Lent { order: &mut order, inputs: &mut batch, labels: &mut batch_labels };
            let mut memory = vec![0.0; saved_len(net.layers())];
            let mut points = vec![RatePoint::NEW; rates.len()];
            let before = state(net);
            let found =
                sweep(net, rows, &mut lent, &SGD, &rates, 60, 1, &mut memory, &mut points, |_| ()).unwrap();
            assert_eq!(state(net), before);
            let judged = |rate| found.judge(rate).unwrap();
            assert_eq!(judged(1e-6), RateJudgement::TooSmall, "{points:?}");
            assert_eq!(judged(0.1), RateJudgement::Usable, "{points:?}");
            assert_eq!(judged(1e6), RateJudgement::TooLarge, "{points:?}");
            // It stopped at the first rate that explodes.
            assert!(found.tried < rates.len() && points[found.tried - 1].exploded, "{points:?}");
            let run = trial(
                net,
                rows,
                &mut lent,
                &Update { learning_rate: found.usable.unwrap().1, ..SGD },
                1,
                200,
                |_, _| (),
            );
            assert!(run.unwrap().accuracy > 0.95);
        });
    }
}

#[test]
fn inputs_are_centred_and_scaled_or_not() {
    let (mut values, _) = clouds(1);
    let judged = |values: &[f32]| inputs(Level::detect(), 8, values).unwrap();
    assert_eq!(judged(&values).verdict(), Verdict::Pass, "{:?}", judged(&values));
    values.iter_mut().for_each(|x| *x += 3.0);
    assert!(!judged(&values).is_centred());
    values.iter_mut().for_each(|x| *x = 100.0 * (*x - 3.0));
    assert!(judged(&values).is_centred() && !judged(&values).is_scaled());
    // One feature in other units than the rest.
    let (mut values, _) = clouds(1);
    values.iter_mut().step_by(8).for_each(|x| *x *= 50.0);
    assert!(!judged(&values).is_scaled());
    assert!(inputs(Level::detect(), 8, &[0.0f32; 9]).is_err());
}

#[test]
fn a_signal_keeps_its_size_vanishes_or_dies() {
    let deep: Vec<Layer> = [Layer::dense(8, 64), Layer::relu()]
        .into_iter()
        .chain((0..9).flat_map(|_| [Layer::dense(64, 64), Layer::relu()]))
        .chain([Layer::dense(64, 4)])
        .collect();
    let (values, labels) = clouds(1);
    let look = |init, bias: f32, seed| {
        with(&deep, init, seed, |net| {
            for layer in 0..deep.len() {
                if let Some(tensor) = net.tensor_mut(layer, Role::Bias) {
                    tensor.fill(bias);
                }
            }
            net.loss(&values[..BATCH * 8], &labels[..BATCH]).unwrap();
            let mut layers = 0;
            let found = signal(net, BATCH, |_, _| layers += 1).unwrap();
            assert_eq!((found.layers, layers), (10, 10));
            (found, equal_units(net))
        })
    };
    for seed in 1..4 {
        let (he, equal) = look(Init::He, 0.0, seed);
        assert!(he.ratio() > 0.1 && he.dead.0 < 0.5 && equal.is_none(), "{he:?}");
        let (small, _) = look(Init::Normal(0.01), 0.0, seed);
        assert!(small.verdict() == Verdict::Fail && small.ratio() < 0.01, "{small:?}");
        let (large, _) = look(Init::Normal(1.0), 0.0, seed);
        assert!(large.verdict() == Verdict::Fail && large.ratio() > 100.0, "{large:?}");
        let (dead, _) = look(Init::He, -100.0, seed);
        assert!(dead.verdict() == Verdict::Fail && dead.dead == (1.0, 1), "{dead:?}");
        assert_eq!(look(Init::Zeros, 0.0, seed).1, Some(0));
    }
}

#[test]
fn update_ratios_and_losses_of_a_run_are_judged() {
    let (values, labels) = clouds(1);
    let rows = Rows { inputs: &values, labels: &labels };
    for (learning_rate, verdict, shape) in
        [(0.03, Verdict::Pass, LossShape::Good), (1e-7, Verdict::Fail, LossShape::Flat)]
    {
        with(&[Layer::dense(8, 32), Layer::relu(), Layer::dense(32, 4)], Init::Auto, 1, |net| {
            let (mut order, mut batch, mut batch_labels) =
                (vec![0; COUNT], vec![0.0; BATCH * 8], vec![0; BATCH]);
            let mut lent = Lent { order: &mut order, inputs: &mut batch, labels: &mut batch_labels };
            let (mut losses, mut sums) = (Vec::new(), [0.0; 3]);
            let update = Update { learning_rate, ..SGD };
            trial(net, rows, &mut lent, &update, 1, 300, |net, report| {
                losses.push(report.loss);
                add_update_ratios(net, &mut sums).unwrap();
            })
            .unwrap();
            let ratio = sums[0] / 300.0;
            assert_eq!(judge_update_ratio(ratio), verdict, "{ratio}");
            assert_eq!(loss_curve(&losses).shape, shape);
            assert_eq!(sums[1], 0.0);
            assert!(add_update_ratios(net, &mut [0.0; 2]).is_err());
        });
    }
}
