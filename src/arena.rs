//! The arena: one slice, carved once into all that a network needs.
//!
//! ```text
//! parameters | running statistics | buffer, buffer | gemm scratch          inference
//!   + gradients | optimizer state (two slots) | norms | saved statistics | activations | masks     training
//! ```
//!
//! Every tensor starts a multiple of a cache line after the arena's start. The two buffers hold what flows between layers
//! in an evaluation, and the gradients that flow back in training.

use crate::kernels::{Element, ShapeError, gemm_on_scratch_len};
use crate::layer::width_of;
use crate::{Error, Layer};

/// Elements that tensors are aligned to: a cache line of `f32`.
const LINE: usize = 16;

/// Elements of an arena to train `net` on batches of up to `batch` rows, with any optimizer. `usize::MAX` where the
/// count overflows.
///
/// It is `const`, so that an arena can be a `static` array, and the same for `f32` and `f64`.
///
/// ```
/// use slicewise::{Layer, arena_len};
///
/// const NET: &[Layer] = &[Layer::dense(4, 8), Layer::relu(), Layer::dense(8, 2)];
/// static ARENA: [f32; arena_len(NET, 32)] = [0.0; arena_len(NET, 32)];
/// assert!(ARENA.len() > 4 * 8 + 8 * 2);
/// ```
#[must_use]
pub const fn arena_len(net: &[Layer], batch: usize) -> usize {
    arena_len_on(net, batch, 1)
}

/// As [`arena_len`], for a network on a pool of `threads` threads: each needs scratch of its own.
///
/// ```
/// use slicewise::{Layer, arena_len, arena_len_on};
///
/// const NET: &[Layer] = &[Layer::dense(784, 500), Layer::relu(), Layer::dense(500, 10)];
/// assert_eq!(arena_len_on(NET, 128, 1), arena_len(NET, 128));
/// assert!(arena_len_on(NET, 128, 2) > arena_len(NET, 128));
/// ```
#[must_use]
pub const fn arena_len_on(net: &[Layer], batch: usize, threads: usize) -> usize {
    let sizes = Sizes::of(net, batch, threads);
    let training = add(add(mul(sizes.parameters, 3), NORMS * net.len()), add(sizes.saved, sizes.activations));
    add(inference_arena_len_on(net, batch, threads), add(training, sizes.masks))
}

/// Elements of an arena to run `net` on batches of up to `batch` rows, without training it.
///
/// ```
/// use slicewise::{Layer, arena_len, inference_arena_len};
///
/// const NET: &[Layer] = &[Layer::dense(4, 8), Layer::relu(), Layer::dense(8, 2)];
/// assert!(inference_arena_len(NET, 1) < arena_len(NET, 32));
/// ```
#[must_use]
pub const fn inference_arena_len(net: &[Layer], batch: usize) -> usize {
    inference_arena_len_on(net, batch, 1)
}

/// As [`inference_arena_len`], for a network on a pool of `threads` threads.
#[must_use]
pub const fn inference_arena_len_on(net: &[Layer], batch: usize, threads: usize) -> usize {
    let sizes = Sizes::of(net, batch, threads);
    add(add(sizes.parameters, sizes.running), add(mul(sizes.buffer, 2), sizes.scratch))
}

/// `||update||^2` and `||W||^2` of each of a layer's up to two tensors.
pub(crate) const NORMS: usize = 4;

/// What one layer takes of each region, for batches of a given size.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    /// Weights and biases, gammas and betas.
    pub(crate) parameters: usize,
    /// Running means and variances.
    pub(crate) running: usize,
    /// The batch's means and inverse standard deviations.
    pub(crate) saved: usize,
    /// Outputs kept for the backward pass.
    pub(crate) activations: usize,
    /// Dropout's masks.
    pub(crate) masks: usize,
    /// The widest of what goes in and out, times the batch.
    buffer: usize,
    /// For gemm; 0 for a layer by itself.
    scratch: usize,
}

impl Sizes {
    /// One layer's sizes, with `width` values coming to it from `previous`.
    pub(crate) const fn of_layer(
        layer: &Layer,
        previous: Option<&Layer>,
        width: usize,
        batch: usize,
    ) -> Self {
        let out = layer.width_out(width);
        let values = line(mul(batch, out));
        let widest = if out > width { out } else { width };
        // Every pass asks for the others, layer by layer; what gemm needs takes divisions, and is asked for once.
        let mut sizes = Self {
            parameters: 0,
            running: 0,
            saved: 0,
            activations: if in_place(layer, previous) { 0 } else { values },
            masks: 0,
            buffer: line(mul(batch, widest)),
            scratch: 0,
        };
        (sizes.parameters, sizes.running) = Self::learned(layer);
        match layer {
            Layer::BatchNorm { .. } => sizes.saved = sizes.running,
            Layer::Dropout { .. } => sizes.masks = values,
            Layer::Dense { .. } | Layer::Activation(_) | Layer::Maxout { .. } => {}
        }
        sizes
    }

    /// A layer's parameters and running statistics, which are all that it keeps for inference.
    pub(crate) const fn learned(layer: &Layer) -> (usize, usize) {
        match layer {
            Layer::Dense { inputs, outputs } => (add(line(mul(*inputs, *outputs)), line(*outputs)), 0),
            Layer::BatchNorm { features, .. } => {
                let pair = mul(line(*features), 2);
                (pair, pair)
            }
            Layer::Activation(_) | Layer::Maxout { .. } | Layer::Dropout { .. } => (0, 0),
        }
    }

    /// The whole network's: sums, and the largest buffer and scratch.
    pub(crate) const fn of(net: &[Layer], batch: usize, threads: usize) -> Self {
        let mut total =
            Self { parameters: 0, running: 0, saved: 0, activations: 0, masks: 0, buffer: 0, scratch: 0 };
        let (mut rest, mut previous, mut width) = (net, None, width_of(net));
        while let [layer, further @ ..] = rest {
            let sizes = Self::of_layer(layer, previous, width, batch);
            total = Self {
                parameters: add(total.parameters, sizes.parameters),
                running: add(total.running, sizes.running),
                saved: add(total.saved, sizes.saved),
                activations: add(total.activations, sizes.activations),
                masks: add(total.masks, sizes.masks),
                buffer: max(total.buffer, sizes.buffer),
                scratch: max(total.scratch, scratch_len(layer, batch, threads)),
            };
            width = layer.width_out(width);
            (rest, previous) = (further, Some(layer));
        }
        total
    }
}

/// Elements that a layer's products take: forward, the gradient of W, and that of X.
const fn scratch_len(layer: &Layer, batch: usize, threads: usize) -> usize {
    let Layer::Dense { inputs, outputs } = layer else { return 0 };
    let forward = gemm_on_scratch_len(batch, *outputs, *inputs, threads);
    let weight = gemm_on_scratch_len(*inputs, *outputs, batch, threads);
    let input = gemm_on_scratch_len(batch, *inputs, *outputs, threads);
    max(forward, max(weight, input))
}

/// Whether the layer overwrites its input in training: an activation whose derivative comes from its output, after a layer
/// that does not need its own.
pub(crate) const fn in_place(layer: &Layer, previous: Option<&Layer>) -> bool {
    match (layer, previous) {
        (Layer::Activation(activation), Some(previous)) => {
            activation.output_tells_derivative() && !previous.keeps_output()
        }
        _ => false,
    }
}

/// Elements up to the next cache line.
pub(crate) const fn line(n: usize) -> usize {
    match n.checked_next_multiple_of(LINE) {
        Some(n) => n,
        None => usize::MAX,
    }
}

/// The regions of an arena.
pub(crate) struct Arena<'a, T> {
    pub(crate) parameters: &'a mut [T],
    pub(crate) running: &'a mut [T],
    pub(crate) buffers: [&'a mut [T]; 2],
    pub(crate) scratch: &'a mut [T],
    /// Empty in inference, as all below.
    pub(crate) gradients: &'a mut [T],
    pub(crate) state: [&'a mut [T]; 2],
    pub(crate) norms: &'a mut [T],
    pub(crate) saved: &'a mut [T],
    pub(crate) activations: &'a mut [T],
    pub(crate) masks: &'a mut [T],
}

impl<'a, T: Element> Arena<'a, T> {
    /// Carves `arena`, which may be longer than it need be.
    pub(crate) fn carve(
        net: &[Layer],
        batch: usize,
        threads: usize,
        training: bool,
        arena: &'a mut [T],
    ) -> Result<Self, Error> {
        let needed = if training {
            arena_len_on(net, batch, threads)
        } else {
            inference_arena_len_on(net, batch, threads)
        };
        if arena.len() < needed || needed == usize::MAX {
            let actual = arena.len();
            return Err(ShapeError { argument: "arena", expected: needed, actual }.into());
        }
        let sizes = Sizes::of(net, batch, threads);
        let mut rest = arena;
        let mut take = |n: usize| -> &'a mut [T] {
            let (taken, further) = core::mem::take(&mut rest).split_at_mut_checked(n).unwrap_or_default();
            rest = further;
            taken
        };
        let of_training = |n: usize| if training { n } else { 0 };
        Ok(Self {
            parameters: take(sizes.parameters),
            running: take(sizes.running),
            buffers: [take(sizes.buffer), take(sizes.buffer)],
            gradients: take(of_training(sizes.parameters)),
            state: [take(of_training(sizes.parameters)), take(of_training(sizes.parameters))],
            norms: take(of_training(NORMS * net.len())),
            saved: take(of_training(sizes.saved)),
            activations: take(of_training(sizes.activations)),
            masks: take(of_training(sizes.masks)),
            scratch: take(sizes.scratch),
        })
    }
}

// `saturating_…` by names that read as arithmetic.
const fn add(a: usize, b: usize) -> usize {
    a.saturating_add(b)
}

const fn mul(a: usize, b: usize) -> usize {
    a.saturating_mul(b)
}

const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}
