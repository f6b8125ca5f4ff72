//! Where a layer's tensors lie in the arena's regions: places are counted on, layer by layer, not stored.

use crate::arena::{Sizes, line};
use crate::kernels::ShapeError;
use crate::layer::width_of;
use crate::{Error, Layer};

/// The start of a layer's share of each region, and the width of what comes to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) parameters: usize,
    pub(super) running: usize,
    pub(super) saved: usize,
    pub(super) activations: usize,
    pub(super) masks: usize,
    pub(super) width: usize,
}

impl Place {
    /// The first layer's.
    pub(super) fn start(net: &[Layer]) -> Self {
        Self { parameters: 0, running: 0, saved: 0, activations: 0, masks: 0, width: width_of(net) }
    }

    /// That of a layer after the last.
    pub(super) fn end(net: &[Layer], batch: usize) -> Self {
        let mut place = Self::start(net);
        let mut previous = None;
        for layer in net {
            place = place.after(layer, previous, batch);
            previous = Some(layer);
        }
        place
    }

    /// The next layer's.
    pub(super) fn after(self, layer: &Layer, previous: Option<&Layer>, batch: usize) -> Self {
        let sizes = Sizes::of_layer(layer, previous, self.width, batch);
        Self {
            parameters: self.parameters + sizes.parameters,
            running: self.running + sizes.running,
            saved: self.saved + sizes.saved,
            activations: self.activations + sizes.activations,
            masks: self.masks + sizes.masks,
            width: layer.width_out(self.width),
        }
    }

    /// The next layer's, of what inference reads alone: parameters, running statistics and the width.
    pub(super) fn after_learned(self, layer: &Layer) -> Self {
        let (parameters, running) = Sizes::learned(layer);
        Self {
            parameters: self.parameters + parameters,
            running: self.running + running,
            width: layer.width_out(self.width),
            ..self
        }
    }

    /// The place of `layer` itself, where `self` is that of the layer after it.
    pub(super) fn before(self, layer: &Layer, previous: Option<&Layer>, batch: usize) -> Self {
        let width = layer.width_in(self.width);
        let sizes = Sizes::of_layer(layer, previous, width, batch);
        Self {
            parameters: self.parameters.saturating_sub(sizes.parameters),
            running: self.running.saturating_sub(sizes.running),
            saved: self.saved.saturating_sub(sizes.saved),
            activations: self.activations.saturating_sub(sizes.activations),
            masks: self.masks.saturating_sub(sizes.masks),
            width,
        }
    }

    /// Where among the activations lies what comes to the layer: it is the last thing kept before the layer's own.
    pub(super) fn input(&self, batch: usize) -> usize {
        self.activations.saturating_sub(line(batch.saturating_mul(self.width)))
    }
}

/// `len` elements from `at`. Bound networks never see the error: it stands where a panic would.
#[inline]
pub(super) fn span<T>(region: &[T], at: usize, len: usize) -> Result<&[T], Error> {
    let actual = region.len();
    region.get(at..).and_then(|rest| rest.get(..len)).ok_or_else(|| outside(at, len, actual))
}

/// As [`span`], to write.
#[inline]
pub(super) fn span_mut<T>(region: &mut [T], at: usize, len: usize) -> Result<&mut [T], Error> {
    let actual = region.len();
    region.get_mut(at..).and_then(|rest| rest.get_mut(..len)).ok_or_else(|| outside(at, len, actual))
}

#[cold]
fn outside(at: usize, len: usize, actual: usize) -> Error {
    Error::Shape(ShapeError { argument: "arena", expected: at.saturating_add(len), actual })
}
