//! The channels of a case.

use slicewise_kernels::Channels;

use crate::table::Case;

/// PyTorch's shape: (N, C), (N, C, H, W), or (N) of one channel.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) channels: Channels,
    /// Values of one channel side by side.
    inner: usize,
}

impl Layout {
    pub(crate) fn of(case: &Case) -> Self {
        let (channels, inner) = match *case.values("shape") {
            [n] => (Channels::first(1, 1, n), n),
            [n, c] => (Channels::last(n, c), 1),
            [n, c, h, w] => (Channels::first(n, c, h * w), h * w),
            ref shape => panic!("no channels are in {shape:?}"),
        };
        Self { channels, inner }
    }

    /// The channel of element `i`.
    pub(crate) fn channel(self, i: usize) -> usize {
        i / self.inner % self.channels.channels()
    }
}
