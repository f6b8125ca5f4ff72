//! The trainer: trains a network of every kind of layer on XOR, then asks it.

use core::ffi::CStr;
use core::hint::black_box;

use rand_pcg::Pcg64;
use slicewise::batches::{gather, shuffle};
use slicewise::kernels::{Element, Level};
use slicewise::preprocess::{Center, Images, Scale, Values, apply, fit};
use slicewise::{Error, Init, Layer, Network, Optimizer, Role, Update, arena_len, inference_arena_len};

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

    let net = black_box(NET);
    let mut arena = [T::default(); arena_len(NET, BATCH)];
    let mut network = Network::bind(net, black_box(BATCH), level, hide(&mut arena))?;
    network.set_seed(black_box(1));
    network.initialise(black_box(Init::Auto), &mut Pcg64::new(black_box(1), 1))?;
    let update = black_box(Update {
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
        network.step(batch, batch_labels, &update)?;
    }
    let right = network.evaluate(inputs, labels)?.correct == BATCH;

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
