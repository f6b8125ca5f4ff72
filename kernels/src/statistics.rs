//! Statistics of a data set: the mean and the standard deviation of each channel, of the whole at once or a part at a time.
//!
//! Per feature (the mean image) with `Channels::last(n, d)` whatever the layout of the images; per channel with the layout of the
//! images. What they are for: [`center_and_scale_in_place`](crate::center_and_scale_in_place).

mod blocks;
mod bytes;
mod columns;
mod panels;
mod planes;

use crate::error::{expect_at_least, expect_len};
use crate::rows::expect_rows;
use crate::{Channels, Element, Level, ShapeError};
use blocks::Progress;
pub(crate) use panels::Panels;
use panels::panel_len;

/// The mean and the standard deviation of each channel: `std = sqrt(sum (x - mean)^2 / n)`, biased. [`Statistics`] with one
/// chunk.
///
/// `x: (channels.len())` in the layout of `channels`; `mean`, `std`: one a channel, overwritten.
///
/// ```
/// use slicewise_kernels::{Channels, Level, mean_and_std};
///
/// let x = [1.0f32, 5.0, 3.0, 5.0]; // 2 rows of 2 features
/// let (mut mean, mut std) = ([0.0; 2], [0.0; 2]);
/// mean_and_std(Level::detect(), Channels::last(2, 2), &x, &mut mean, &mut std)?;
/// assert_eq!((mean, std), ([2.0, 5.0], [1.0, 0.0]));
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless every length fits, and where a channel has no values.
pub fn mean_and_std<T: Element>(
    level: Level,
    channels: Channels,
    x: &[T],
    mean: &mut [T],
    std: &mut [T],
) -> Result<(), ShapeError> {
    expect_at_least("channels.per_channel()", 1, channels.per_channel())?;
    expect_len("x", channels.len(), x.len())?;
    expect_results(channels, mean, std)?;
    panels::whole(level, channels, x, mean, std);
    Ok(())
}

/// [`mean_and_std`] of bytes, in units of one step of a byte: exact integer sums, each result rounded once or twice.
///
/// ```
/// use slicewise_kernels::{Channels, Level, mean_and_std_u8};
///
/// let pixels = [0u8, 255, 255, 255]; // one image of 2 x 2 pixels
/// let (mut mean, mut std) = ([0.0f64], [0.0]);
/// mean_and_std_u8(Level::detect(), Channels::first(1, 1, 4), &pixels, &mut mean, &mut std)?;
/// assert_eq!(mean, [191.25]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless every length fits, and where a channel has no values.
pub fn mean_and_std_u8<T: Element>(
    level: Level,
    channels: Channels,
    pixels: &[u8],
    mean: &mut [T],
    std: &mut [T],
) -> Result<(), ShapeError> {
    expect_at_least("channels.per_channel()", 1, channels.per_channel())?;
    expect_len("pixels", channels.len(), pixels.len())?;
    expect_results(channels, mean, std)?;
    let n = channels.per_channel() as u64;
    for (i, (mean, std)) in mean.chunks_mut(bytes::COLUMNS).zip(std.chunks_mut(bytes::COLUMNS)).enumerate() {
        let mut sums = [[0; bytes::COLUMNS]; 2];
        let [sum, square] = sums.each_mut().map(|x| x.get_mut(..mean.len()).unwrap_or_default());
        let first = i * bytes::COLUMNS;
        bytes::add(level, channels, first, pixels, [&mut *sum, &mut *square]);
        finish_bytes(n, [sum, square], [mean, std]);
    }
    Ok(())
}

/// The elements of state that [`Statistics`] of data in this layout needs.
#[must_use]
pub const fn statistics_len(channels: Channels) -> usize {
    panel_len(channels, channels.channels())
}

/// The elements of state that [`StatisticsU8`] of data in this layout needs: two a channel.
#[must_use]
pub const fn statistics_u8_len(channels: Channels) -> usize {
    channels.channels().saturating_mul(2)
}

/// The mean and the standard deviation of each channel of a data set that comes in chunks, of any number of whole rows or images each.
///
/// The result has the bits of [`mean_and_std`] of the whole data set, wherever the chunks end. All sums are `f64`, in a state
/// that the caller lends. With `v = 2^-53`, at any number of values, and before `mean` and `std` are rounded to their type:
///
/// ```text
/// |mean error|     <= v |mean| + 225 v * std
/// |variance error| <= 1500 v * variance
/// ```
///
/// A constant channel has a deviation of 0. NaN or an infinity makes the deviation of its channel NaN, and its mean NaN or infinite.
///
/// ```
/// use slicewise_kernels::{Channels, Level, Statistics, statistics_len};
///
/// const ROWS: Channels = Channels::last(1, 2); // of 2 features; how many rows there are does not count
/// let mut state = [0.0; statistics_len(ROWS)];
/// let mut statistics = Statistics::new(ROWS, &mut state)?;
/// for chunk in [&[1.0f32, 5.0][..], &[2.0, 5.0, 3.0, 5.0]] {
///     statistics.add(Level::detect(), chunk)?;
/// }
/// let (mut mean, mut std) = ([0.0f32; 2], [0.0; 2]);
/// statistics.mean_and_std(Level::detect(), &mut mean, &mut std)?;
/// assert_eq!((mean, std[1], statistics.rows()), ([2.0, 5.0], 0.0, 3));
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
#[derive(Debug)]
pub struct Statistics<'a> {
    row: Channels,
    progress: Progress,
    state: &'a mut [f64],
}

impl<'a> Statistics<'a> {
    /// Statistics of no data yet. `channels` tells the layout; its number of rows or images does not count. What is in `state`
    /// is overwritten.
    ///
    /// # Errors
    /// [`ShapeError`] where `state` is shorter than [`statistics_len`] says.
    pub fn new(channels: Channels, state: &'a mut [f64]) -> Result<Self, ShapeError> {
        let state = first_of(state, statistics_len(channels))?;
        Ok(Self { row: one_row(channels), progress: Progress::default(), state })
    }

    /// Rows or images that came.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.progress.rows
    }

    /// Takes in the next rows or images: `x` in the layout given to [`new`](Statistics::new).
    ///
    /// # Errors
    /// [`ShapeError`] unless `x` is a whole number of rows or images: nothing is then taken in.
    pub fn add<T: Element>(&mut self, level: Level, x: &[T]) -> Result<(), ShapeError> {
        let chunk = rows_of(self.row, "x", x.len())?;
        self.progress = panels::add(level, chunk, x, self.progress, self.state);
        Ok(())
    }

    /// The mean and the biased standard deviation of what came: one a channel, overwritten. More data may follow.
    ///
    /// # Errors
    /// [`ShapeError`] where no data came, and unless `mean` and `std` have one element a channel.
    pub fn mean_and_std<T: Element>(
        &self,
        level: Level,
        mean: &mut [T],
        std: &mut [T],
    ) -> Result<(), ShapeError> {
        expect_data(self.rows())?;
        expect_results(self.row, mean, std)?;
        panels::finish(level, self.row, self.progress, self.state, mean, std);
        Ok(())
    }
}

/// [`Statistics`] of bytes, in units of one step of a byte: exact integer sums, up to 2^48 bytes a channel, each result rounded once or
/// twice. The result has the bits of [`mean_and_std_u8`] of the whole data set.
///
/// ```
/// use slicewise_kernels::{Channels, Level, StatisticsU8, statistics_u8_len};
///
/// const IMAGES: Channels = Channels::first(1, 3, 4); // colour images of 2 x 2 pixels, plane by plane
/// let mut state = [0; statistics_u8_len(IMAGES)];
/// let mut statistics = StatisticsU8::new(IMAGES, &mut state)?;
/// statistics.add(Level::detect(), &[255; 2 * 12])?;
/// statistics.add(Level::detect(), &[0; 2 * 12])?;
/// let (mut mean, mut std) = ([0.0f32; 3], [0.0; 3]);
/// statistics.mean_and_std(&mut mean, &mut std)?;
/// assert_eq!((mean, std, statistics.rows()), ([127.5; 3], [127.5; 3], 4));
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
#[derive(Debug)]
pub struct StatisticsU8<'a> {
    row: Channels,
    rows: u64,
    /// The sums, then the sums of squares.
    state: &'a mut [u64],
}

impl<'a> StatisticsU8<'a> {
    /// As [`Statistics::new`].
    ///
    /// # Errors
    /// [`ShapeError`] where `state` is shorter than [`statistics_u8_len`] says.
    pub fn new(channels: Channels, state: &'a mut [u64]) -> Result<Self, ShapeError> {
        let state = first_of(state, statistics_u8_len(channels))?;
        Ok(Self { row: one_row(channels), rows: 0, state })
    }

    /// Rows or images that came.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// As [`Statistics::add`].
    ///
    /// # Errors
    /// [`ShapeError`] unless `pixels` is a whole number of rows or images: nothing is then taken in.
    pub fn add(&mut self, level: Level, pixels: &[u8]) -> Result<(), ShapeError> {
        let chunk = rows_of(self.row, "pixels", pixels.len())?;
        let (sums, squares) = self.state.split_at_mut_checked(self.row.channels()).unwrap_or_default();
        bytes::add(level, chunk, 0, pixels, [sums, squares]);
        self.rows += chunk.outer() as u64;
        Ok(())
    }

    /// As [`Statistics::mean_and_std`].
    ///
    /// # Errors
    /// [`ShapeError`] where no data came, and unless `mean` and `std` have one element a channel.
    pub fn mean_and_std<T: Element>(&self, mean: &mut [T], std: &mut [T]) -> Result<(), ShapeError> {
        expect_data(self.rows)?;
        expect_results(self.row, mean, std)?;
        let (sums, squares) = self.state.split_at_checked(self.row.channels()).unwrap_or_default();
        finish_bytes(self.rows.saturating_mul(self.row.inner() as u64), [sums, squares], [mean, std]);
        Ok(())
    }
}

fn expect_results<T>(channels: Channels, mean: &[T], std: &[T]) -> Result<(), ShapeError> {
    expect_len("mean", channels.channels(), mean.len())?;
    expect_len("std", channels.channels(), std.len())
}

fn expect_data(rows: u64) -> Result<(), ShapeError> {
    expect_at_least("rows", 1, usize::from(rows > 0))
}

const fn one_row(channels: Channels) -> Channels {
    Channels::first(1, channels.channels(), channels.inner())
}

/// A chunk's shape.
fn rows_of(row: Channels, argument: &'static str, len: usize) -> Result<Channels, ShapeError> {
    expect_rows(argument, row.len(), len)?;
    Ok(Channels::first(len.checked_div(row.len()).unwrap_or(0), row.channels(), row.inner()))
}

/// The first elements of the caller's state, zero.
fn first_of<T: Copy + Default>(state: &mut [T], len: usize) -> Result<&mut [T], ShapeError> {
    let actual = state.len();
    let state = state.get_mut(..len).ok_or(ShapeError { argument: "state", expected: len, actual })?;
    state.fill(T::default());
    Ok(state)
}

/// The results of exact sums of `n` bytes a channel.
fn finish_bytes<T: Element>(n: u64, [sums, squares]: [&[u64]; 2], [mean, std]: [&mut [T]; 2]) {
    for ((sum, square), (mean, std)) in sums.iter().zip(squares).zip(mean.iter_mut().zip(std)) {
        [*mean, *std] = bytes::finish(n, *sum, *square);
    }
}

#[cfg(test)]
mod tests;
