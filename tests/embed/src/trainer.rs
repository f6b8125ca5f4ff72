//! The trainer: trains a network of every kind of layer on XOR, then asks it.

use core::ffi::CStr;
use core::hint::black_box;

use rand_pcg::Pcg64;
use slicewise::batches::{gather, shuffle};
use slicewise::kernels::{Element, Level};
use slicewise::monitor::{mean_and_std, statistics};
use slicewise::preprocess::{
    Center, Images, Scale, Values, add_covariance, apply, covariance_scratch_len, fit, project,
    project_scratch_len, whitening,
};
use slicewise::schedule::{Schedule, warm_up};
use slicewise::theory::{Signal, hidden_layers};
use slicewise::{Activation, Error, Init, Layer, Network, Optimizer, Role, Update, arena_len, inference_arena_len};

use crate::{hide, say};

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
    let wrong: Option<&CStr> = match learned {
        Ok(true) => None,
        Ok(false) => Some(c"the network has not learned XOR"),
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
    let mut arena = [T::default(); arena_len(NET, BATCH)];
    let mut network = Network::bind(net, black_box(BATCH), level, hide(&mut arena))?;
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
    Ok(right && probabilities == same)
}
