//! [`Channels`]: how a slice is divided into channels.

/// How a slice of values is divided into channels, for statistics and parameters that each channel has one of.
///
/// | layout | made by | channel of element `i` |
/// |---|---|---|
/// | (N, D): rows of features | `Channels::last(n, d)` | `i % d` |
/// | (N, H, W, C): pixels of channels | `Channels::last(n * h * w, c)` | `i % c` |
/// | (N, C, H, W): planes | `Channels::first(n, c, h * w)` | `i / (h * w) % c` |
///
/// ```
/// use slicewise_kernels::Channels;
///
/// let images = Channels::first(64, 3, 32 * 32); // 64 colour images, plane by plane
/// assert_eq!((images.len(), images.channels(), images.per_channel()), (196_608, 3, 65_536));
/// assert_eq!(Channels::last(64, 500).per_channel(), 64); // a dense layer's outputs
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channels {
    /// Rows, or images.
    outer: usize,
    channels: usize,
    /// Values of one channel that lie side by side: 1 where channels come last.
    inner: usize,
}

impl Channels {
    /// (N, D), or (N, H, W, C) with `rows = n * h * w`: neighbours belong to different channels.
    #[must_use]
    pub const fn last(rows: usize, channels: usize) -> Self {
        Self { outer: rows, channels, inner: 1 }
    }

    /// (N, C, H, W) with `spatial = h * w`: neighbours belong to one channel.
    #[must_use]
    pub const fn first(n: usize, channels: usize, spatial: usize) -> Self {
        Self { outer: n, channels, inner: spatial }
    }

    /// All values. `usize::MAX` where the product overflows: no slice is as long, so that the kernels' checks
    /// refuse every one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a shape, not a collection")]
    pub const fn len(self) -> usize {
        // A saturated product times 0 is 0: right, as one factor is 0.
        self.per_channel().saturating_mul(self.channels)
    }

    /// The number of channels.
    #[must_use]
    pub const fn channels(self) -> usize {
        self.channels
    }

    /// Values in each channel (`usize::MAX` where the product overflows).
    #[must_use]
    pub const fn per_channel(self) -> usize {
        self.outer.saturating_mul(self.inner)
    }

    /// Rows, or images.
    #[must_use]
    pub const fn outer(self) -> usize {
        self.outer
    }

    /// Values of one channel that lie side by side: 1 where channels come last.
    #[must_use]
    pub const fn inner(self) -> usize {
        self.inner
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_saturate() {
        let half = usize::MAX / 2 + 1;
        assert_eq!(Channels::last(half, 2).len(), usize::MAX);
        assert_eq!(Channels::first(half, 1, 2).len(), usize::MAX);
        assert_eq!(Channels::first(half, 0, 2).len(), 0);
        assert_eq!(Channels::first(0, half, half).len(), 0);
        assert_eq!(Channels::last(1, usize::MAX).len(), usize::MAX);
    }
}
