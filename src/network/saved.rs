//! [`Saved`]: all that a step changes, kept in the caller's slice to go back to.

use super::place::span;
use super::{Network, Role};
use crate::arena::Sizes;
use crate::error::expect_len;
use crate::kernels::{Element, Parallel};
use crate::{Error, Layer};

/// Elements that [`Saved::new`] takes of the caller's memory: parameters, running statistics and the optimizer's two
/// slots. `usize::MAX` where the count overflows.
///
/// ```
/// use slicewise::{Layer, saved_len};
///
/// const NET: &[Layer] = &[Layer::dense(4, 8), Layer::relu(), Layer::dense(8, 2)];
/// static SAVED: [f32; saved_len(NET)] = [0.0; saved_len(NET)];
/// assert!(SAVED.len() >= 3 * (4 * 8 + 8 + 8 * 2 + 2));
/// ```
#[must_use]
pub const fn saved_len(net: &[Layer]) -> usize {
    // The sizes of tensors do not depend on the batch.
    let sizes = Sizes::of(net, 1, 1);
    sizes.parameters.saturating_mul(3).saturating_add(sizes.running)
}

/// The state of a network at one moment, in memory that the caller lends: trials begin from it again and again.
///
/// ```
/// use rand_pcg::Pcg64;
/// use slicewise::{Init, Layer, Level, Network, Optimizer, Role, Saved, Update, arena_len, saved_len};
///
/// const NET: &[Layer] = &[Layer::dense(2, 2)];
/// let (mut arena, mut memory) = ([0.0f32; arena_len(NET, 1)], [0.0; saved_len(NET)]);
/// let mut net = Network::bind(NET, 1, Level::detect(), &mut arena)?;
/// net.initialise(Init::Auto, &mut Pcg64::new(1, 1))?;
/// let first = net.tensor(0, Role::Weight).unwrap()[0];
/// let saved = Saved::new(&net, &mut memory)?;
/// net.step(&[1.0, 2.0], &[0], &Update { optimizer: Optimizer::Sgd, learning_rate: 0.1, regularisation: 0.0 })?;
/// assert_ne!(net.tensor(0, Role::Weight).unwrap()[0], first);
/// saved.restore(&mut net)?;
/// assert_eq!(net.tensor(0, Role::Weight).unwrap()[0], first);
/// assert_eq!(net.steps(), 0);
/// # Ok::<(), slicewise::Error>(())
/// ```
#[derive(Debug)]
pub struct Saved<'m, T> {
    memory: &'m mut [T],
    steps: u64,
}

impl<'m, T: Element> Saved<'m, T> {
    /// Copies the network's state into `memory`, of [`saved_len`] elements.
    ///
    /// # Errors
    /// [`Error::InferenceOnly`]; [`Error::Shape`] where `memory` is not as long.
    pub fn new(net: &Network<'_, T, impl Parallel>, memory: &'m mut [T]) -> Result<Self, Error> {
        if !net.training {
            return Err(Error::InferenceOnly);
        }
        expect_len("saved", saved_len(net.layers), memory.len())?;
        let [first, second] = &net.arena.state;
        let regions = [&*net.arena.parameters, &*net.arena.running, &**first, &**second];
        for (to, from) in memory.iter_mut().zip(regions.into_iter().flatten()) {
            *to = *from;
        }
        Ok(Self { memory, steps: net.steps })
    }

    /// Sets the network to the state that was saved.
    ///
    /// # Errors
    /// [`Error::InferenceOnly`]; [`Error::Shape`] where the network has other layers.
    pub fn restore(&self, net: &mut Network<'_, T, impl Parallel>) -> Result<(), Error> {
        if !net.training {
            return Err(Error::InferenceOnly);
        }
        expect_len("saved", saved_len(net.layers), self.memory.len())?;
        let [first, second] = &mut net.arena.state;
        let regions = [&mut *net.arena.parameters, &mut *net.arena.running, &mut **first, &mut **second];
        for (to, from) in regions.into_iter().flatten().zip(self.memory.iter()) {
            *to = *from;
        }
        net.steps = self.steps;
        Ok(())
    }

    /// A dense layer's weights as they were; `None` where the layer of `net`, which has the same layers, has none.
    pub(crate) fn weight(&self, net: &Network<'_, T, impl Parallel>, layer: usize) -> Option<&[T]> {
        let (at, len, _) = net.locate(layer, Role::Weight)?;
        span(self.memory, at, len).ok()
    }
}
