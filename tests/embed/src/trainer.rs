//! The trainer: trains a network of every kind of layer on XOR, then asks it.

use core::ffi::CStr;
use core::hint::black_box;

use rand_pcg::Pcg64;
use slicewise::batches::{gather, shuffle};
use slicewise::check;
use slicewise::kernels::{Element, Level};
use slicewise::monitor::{mean_and_std, statistics};
use slicewise::preprocess::{
    Center, Images, Scale, Values, add_covariance, apply, covariance_scratch_len, fit, project,
    project_scratch_len, whitening,
};
use slicewise::schedule::{Schedule, warm_up};
use slicewise::theory::{Signal, hidden_layers};
use slicewise::{
    Activation, Error, Init, Layer, Network, Optimizer, Role, Update, arena_len, arena_len_on,
    inference_arena_len, saved_len,
};

use crate::{Backwards, hide, say};

const NET: &[Layer] = &[
    Layer::dense(2, 32),
    Layer::batch_norm(32),
    Layer::tanh(),
    Layer::dense(32, 16),
    Layer::maxout(2),
    Layer::dropout(0.1),
    Layer::dense(8, 2),
    Layer::leaky_relu(0.1),
    Layer::dense(2, 2),
];
const BATCH: usize = 4;

/// Trains and evaluates; true where the network has learned XOR.
pub fn run<T: Element>(level: Level) -> bool {
    let learned = train::<T>(level);
    let wrong: Option<&CStr> = match learned.and_then(|right| Ok((right, healthy::<T>(level)?))) {
        Ok((true, true)) => None,
        Ok((true, false)) => Some(c"a check is wrong"),
        Ok((false, _)) => Some(c"the network has not learned XOR"),
        Err(_) => Some(c"the trainer refuses its operands"),
    };
    if let Some(wrong) = wrong {
        say(wrong);
    }
    wrong.is_none()
}

/// The centred corners' covariance is the identity, and a basis that swaps the two features swaps them.
fn rotates<T: Element>(level: Level, x: &[T]) -> Result<bool, Error> {
    const SCRATCH: usize = covariance_scratch_len(2, BATCH) + project_scratch_len(BATCH, 2, 2);
    let (mut covariance, mut scratch) = ([T::default(); 4], [T::default(); SCRATCH]);
    let (covariance, scratch) = (hide(&mut covariance), hide(&mut scratch));
    add_covariance(level, black_box(2), BATCH, x, covariance, scratch)?;
    let (one, mut factors) = (T::from(1), [0.0; 2]);
    let factors = hide(&mut factors);
    whitening(&[1.0, 1.0], black_box(0.0), factors)?;
    let (basis, mut y) = ([T::default(), one, one, T::default()], [T::default(); 2 * BATCH]);
    let (whiten, y) = ([T::from_f64(1.0); 2], hide(&mut y));
    project(level, black_box(2), x, &basis, Some(&whiten), y, scratch)?;
    let swapped = x.as_chunks::<2>().0.iter().zip(y.as_chunks::<2>().0).all(|([a, b], y)| *y == [*b, *a]);
    Ok(swapped && covariance.first() == covariance.last() && factors.iter().all(|factor| *factor == 1.0))
}

fn train<T: Element>(level: Level) -> Result<bool, Error> {
    let level = black_box(level);
    let (mut corners, mut labels) = ([0u8, 0, 0, 1, 1, 0, 1, 1], [0u32, 1, 1, 0]);
    let (corners, labels) = (hide(&mut corners), hide(&mut labels));
    let (mut mean, mut scale, mut inputs) = ([T::default(); 2], [T::default(); 2], [T::default(); 2 * BATCH]);
    let (mean, scale, inputs) = (hide(&mut mean), hide(&mut scale), hide(&mut inputs));
    let images = black_box(Images { n: BATCH, channels: 1, spatial: 2 });
    let (center, factor) = black_box((Center::Feature, Scale::Std));
    fit(level, images, Values::U8(corners), center, factor, mean, scale)?;
    apply(level, Values::U8(corners), mean, scale, inputs)?;

    if !rotates(level, inputs)? {
        return Ok(false);
    }

    let net = black_box(NET);
    let mut arena = [T::default(); arena_len_on(NET, BATCH, 3)];
    let mut network = Network::bind_on(net, black_box(BATCH), level, Backwards, hide(&mut arena))?;
    network.set_seed(black_box(1));
    network.initialise(black_box(Init::Auto), &mut Pcg64::new(black_box(1), 1))?;
    let mut update = black_box(Update {
        optimizer: Optimizer::Momentum { momentum: 0.9 },
        learning_rate: 0.05,
        regularisation: 1e-4,
    });
    let (mut order, mut batch, mut batch_labels) = ([0; BATCH], [T::default(); 2 * BATCH], [0u32; BATCH]);
    let (order, batch, batch_labels) = (hide(&mut order), hide(&mut batch), hide(&mut batch_labels));
    for epoch in 0..black_box(200) {
        shuffle(1, epoch, order);
        gather(inputs, images.spatial, order, batch)?;
        gather(labels, 1, order, batch_labels)?;
        update.learning_rate =
            0.05 * black_box(Schedule::Cosine).factor(epoch, 400) * warm_up(network.steps(), black_box(10));
        network.step(batch, batch_labels, &update)?;
    }
    let outputs = network.outputs(black_box(2), BATCH).unwrap_or_default();
    if statistics(level, black_box(Activation::Tanh), 32, outputs)?.std <= 0.0 {
        return Ok(false);
    }
    let right = network.evaluate(inputs, labels)?.correct == BATCH;

    // A loss of one's own, each layer's gradient looked at.
    let mut dy = [T::from(1); 2 * BATCH];
    let dy = hide(&mut dy);
    for (dy, y) in dy.iter_mut().zip(network.forward(inputs)?) {
        *dy = *dy - *y;
    }
    let mut spread = 0.0;
    network.backward_from(inputs, dy, |_, dy| spread += mean_and_std(level, dy).1)?;
    let mut expected = 0.0;
    for layer in hidden_layers(net, black_box(Init::Auto), black_box(Signal::STANDARD)) {
        expected += layer?.std;
    }
    let right = right && spread > 0.0 && expected > 0.0;

    // The same weights in an arena for inference alone.
    let mut arena = [T::default(); inference_arena_len(NET, BATCH)];
    let mut copy = Network::bind_inference(net, black_box(BATCH), level, hide(&mut arena))?;
    for layer in 0..net.len() {
        for role in
            [Role::Weight, Role::Bias, Role::Gamma, Role::Beta, Role::RunningMean, Role::RunningVariance]
        {
            if let (Some(from), Some(to)) = (network.tensor(layer, role), copy.tensor_mut(layer, role)) {
                for (from, to) in from.iter().zip(to) {
                    *to = *from;
                }
            }
        }
    }
    let (mut probabilities, mut same) = ([T::default(); 2 * BATCH], [T::default(); 2 * BATCH]);
    let (probabilities, same) = (hide(&mut probabilities), hide(&mut same));
    network.predict(inputs, probabilities)?;
    copy.predict(inputs, same)?;
    let right = right && probabilities == same;
    network.infer(inputs, probabilities)?;
    copy.infer(inputs, same)?;
    Ok(right && probabilities == same)
}

/// Every check of the recipe on a network that it can be told of in advance.
fn healthy<T: Element>(level: Level) -> Result<bool, Error> {
    const PLAIN: &[Layer] = &[Layer::dense(2, 16), Layer::tanh(), Layer::dense(16, 2)];
    let level = black_box(level);
    let (mut inputs, mut labels) = ([T::default(); 2 * BATCH], [0u32, 1, 1, 0]);
    for (x, corner) in inputs.iter_mut().zip([0u8, 0, 0, 1, 1, 0, 1, 1]) {
        *x = T::from(corner);
    }
    let (inputs, labels) = (hide(&mut inputs), hide(&mut labels));
    let (mut arena, mut memory) = ([T::default(); arena_len(PLAIN, BATCH)], [T::default(); saved_len(PLAIN)]);
    let (memory, mut sums) = (hide(&mut memory), [0.0; PLAIN.len()]);
    let mut net = Network::bind(black_box(PLAIN), black_box(BATCH), level, hide(&mut arena))?;
    net.initialise(black_box(Init::Auto), &mut Pcg64::new(black_box(1), 1))?;
    let update = black_box(Update {
        optimizer: Optimizer::Momentum { momentum: 0.9 },
        learning_rate: 0.1,
        regularisation: 0.0,
    });
    let mut right = check::initial_loss(&mut net, inputs, labels)?.verdict() != check::Verdict::Fail;
    right &= check::regularisation(&mut net, inputs, labels, black_box(1e3), memory)?.verdict()
        == check::Verdict::Pass;
    right &= check::inputs(level, PLAIN.len() - 1, inputs)?.is_scaled();
    right &= check::signal(&net, BATCH, |_, _| ())?.verdict() != check::Verdict::Fail;
    right &= check::equal_units(&net).is_none();
    let (mut order, mut batch, mut batch_labels) = ([0; BATCH], [T::default(); 2 * BATCH], [0u32; BATCH]);
    let mut lent =
        check::Lent { order: hide(&mut order), inputs: hide(&mut batch), labels: hide(&mut batch_labels) };
    let rows = check::Rows { inputs: &*inputs, labels: &*labels };
    let (rates, mut points) = (black_box([1e-6, 0.1, 1e6]), [check::RatePoint::NEW; 3]);
    let sweep =
        check::sweep(&mut net, rows, &mut lent, &update, &rates, 100, 1, memory, hide(&mut points), |_| ())?;
    right &= sweep.judge(0.1) == Some(check::RateJudgement::Usable);
    let (mut losses, mut ratios) = ([0.0; 100], Ok(()));
    let mut to = losses.iter_mut();
    check::trial(&mut net, rows, &mut lent, &update, 1, 100, |net, report| {
        ratios = check::add_update_ratios(net, &mut sums);
        if let Some(to) = to.next() {
            *to = report.loss;
        }
    })?;
    ratios?;
    let [first, ..] = sums;
    right &= check::judge_update_ratio(first / 100.0) != check::Verdict::Fail;
    right &= check::loss_curve(hide(&mut losses)).verdict() != check::Verdict::Fail;
    right &=
        check::overfit(&mut net, inputs, labels, &update, 1000, |_| ())?.verdict() == check::Verdict::Pass;
    let gap = black_box(check::Gap { train: 1.0, validation: 0.9, commonest: 0.5, rows: 100 });
    Ok(right && gap.verdict() == check::Verdict::Pass && (!is_double::<T>() || gradients_agree(level)?))
}

/// The gradient check is in `f64` alone.
fn gradients_agree(level: Level) -> Result<bool, Error> {
    let mut arena = [0.0f64; arena_len(NET, BATCH)];
    let mut net = Network::bind(black_box(NET), black_box(BATCH), level, hide(&mut arena))?;
    net.initialise(black_box(Init::Auto), &mut Pcg64::new(black_box(1), 1))?;
    let (mut inputs, mut labels) = ([0.1, 0.2, -0.3, 1.0, 1.1, 0.1, 0.9, 0.8], [0u32, 1, 1, 0]);
    let sample = black_box(check::Sample { per_tensor: 8, seed: 1 });
    let found =
        check::gradient(&mut net, hide(&mut inputs), hide(&mut labels), &sample, |_, gradient| gradient)?;
    Ok(found.verdict() == check::Verdict::Pass)
}

fn is_double<T: Element>() -> bool {
    size_of::<T>() == size_of::<f64>()
}
