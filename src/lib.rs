//! Train and run neural networks without one allocation.
//!
//! A network is a `&[Layer]`; [`arena_len`] says, at compile time, how much memory it needs, and the caller lends that
//! memory as one slice. [`Network::bind`] checks everything once; after that a step, an evaluation or a prediction takes
//! no heap, no lock and no system call, and gives the same bits on every run.
//!
//! ```
//! use rand_pcg::Pcg64;
//! use slicewise::{Init, Layer, Level, Network, Optimizer, Update, arena_len};
//!
//! const NET: &[Layer] = &[Layer::dense(2, 16), Layer::batch_norm(16), Layer::relu(), Layer::dense(16, 2)];
//! const BATCH: usize = 4;
//!
//! let mut arena = [0.0f32; arena_len(NET, BATCH)];
//! let mut net = Network::bind(NET, BATCH, Level::detect(), &mut arena)?;
//! net.initialise(Init::Auto, &mut Pcg64::new(1, 1))?;
//!
//! // XOR: four rows of two features, and the class of each.
//! let (inputs, labels) = ([0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0], [0, 1, 1, 0]);
//! let update = Update { optimizer: Optimizer::Momentum { momentum: 0.9 }, learning_rate: 0.1, regularisation: 1e-4 };
//! for _ in 0..100 {
//!     let report = net.step(&inputs, &labels, &update)?;
//!     assert!(report.loss.is_finite());
//! }
//! let mut probabilities = [0.0; 8];
//! net.predict(&inputs, &mut probabilities)?;
//! assert!(probabilities[0] > 0.5 && probabilities[3] > 0.5);
//! # Ok::<(), slicewise::Error>(())
//! ```
//!
//! The rooms: [`Layer`] (what a network is made of), [`Network`] (binding, steps, predictions), [`Init`] (how weights
//! start), [`preprocess`] (fitted on the training split, applied everywhere), [`batches`] (shuffled mini-batches),
//! [`schedule`] (learning rates that fall), [`monitor`] (what a network shows of itself), [`theory`] (what it would show
//! at infinite width), [`check`] (is it healthy?), [`search`] (hyper-parameters); the kernels are [`kernels`].
#![no_std]

mod arena;
pub mod batches;
pub mod check;
mod error;
mod init;
mod layer;
pub mod monitor;
mod network;
pub mod preprocess;
pub mod schedule;
pub mod search;
pub mod theory;

pub use slicewise_kernels as kernels;

pub use arena::{arena_len, arena_len_on, inference_arena_len, inference_arena_len_on};
pub use error::Error;
pub use init::Init;
pub use kernels::{
    Activation, BatchNorm, Element, Level, Momentum, Optimizer, Parallel, RunningVariance, Serial,
};
pub use layer::Layer;
pub use network::{Evaluation, Network, Role, Saved, StepReport, Update, saved_len};
