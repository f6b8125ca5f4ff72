//! The kernel of training's forward pass. Rows go in two halves, statistics and maps, each of which may be done in parts:
//! statistics some columns at a time, maps some rows. Planes go some channels at a time.

use super::{Affine, BatchNorm, RunningMut, RunningVariance, SavedMut};
use crate::moments::{plane_moments, row_moments};
use crate::simd::apply::map;
use crate::simd::channel_rows::ChannelRows;
use crate::simd::columns::{Columns, map_columns};
use crate::simd::planes::{TILE, map_planes};
use crate::simd::{Arithmetic, Simd};
use crate::{Activation, Channels, Element, Level};

/// What finishes a batch's statistics.
pub(crate) struct Batch<T> {
    pub(super) n: T,
    epsilon: T,
    /// The weight of the running statistics, and of the batch.
    keep: T,
    weight: T,
    /// The running variance's ratio to the biased one.
    bias: T,
}

impl<T: Element> Batch<T> {
    pub(crate) fn new(config: &BatchNorm, weight: f64, n: f64) -> Self {
        let bias = match config.running_variance {
            RunningVariance::Unbiased => n / (n - 1.0),
            RunningVariance::Biased => 1.0,
        };
        Self {
            n: T::from_f64(n),
            epsilon: T::from_f64(config.epsilon),
            keep: T::from_f64(1.0 - weight),
            weight: T::from_f64(weight),
            bias: T::from_f64(bias),
        }
    }

    /// Turns variances into `inv_std`, and brings the running statistics up to date.
    #[inline(always)]
    pub(super) fn finish<S: Simd>(&self, simd: S, mean: &[T], variance: &mut [T], running: [&mut [T]; 2]) {
        let one = T::Lanes::<S>::splat(simd, T::from(1));
        let epsilon = T::Lanes::<S>::splat(simd, self.epsilon);
        let keep = T::Lanes::<S>::splat(simd, self.keep);
        let weight = T::Lanes::<S>::splat(simd, self.weight);
        let bias = T::Lanes::<S>::splat(simd, self.bias);
        let [running_mean, running_variance] = running;
        map(
            simd,
            [mean],
            [variance, running_mean, running_variance],
            #[inline(always)]
            |[mean], [variance, running_mean, running_variance]| {
                [
                    one / (variance + epsilon).sqrt(),
                    mean.mul_add(weight, running_mean * keep),
                    (variance * bias).mul_add(weight, running_variance * keep),
                ]
            },
        );
    }
}

/// What becomes of the values before the next ones are computed: ReLU is a maximum in registers, any other activation goes over
/// pieces that are still in cache.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finish<T> {
    floor: T,
    activation: Option<(Level, Activation)>,
}

/// Elements that stay in the first cache, read and written.
const PIECE: usize = 2048;

impl<T: Element> Finish<T> {
    pub(crate) fn new(level: Level, activation: Activation) -> Self {
        let none = Self { floor: T::from_f64(f64::NEG_INFINITY), activation: None };
        match activation {
            Activation::Identity => none,
            Activation::Relu => Self { floor: T::default(), ..none },
            _ => Self { activation: Some((level, activation)), ..none },
        }
    }

    /// How many of `len` elements to write at a time: whole rows of `row` elements.
    #[inline(always)]
    fn piece(&self, len: usize, row: usize) -> usize {
        let row = row.max(1);
        if self.activation.is_some() { (PIECE - PIECE % row).max(row) } else { len.max(1) }
    }

    #[inline(always)]
    fn apply(&self, y: &mut [T]) {
        if let Some((level, activation)) = self.activation {
            T::activate(level, activation, None, y);
        }
    }
}

/// Columns whose scales are computed at a time.
pub(super) const SCALES: usize = 1024;
/// Columns that are few: a room for more takes longer to clear than they take.
const FEW: usize = 256;

/// Values one a column, each row of them read anew: in whole cache lines.
pub(super) struct Scales<T> {
    few: Option<Lines<[T; FEW]>>,
    many: Option<Lines<[T; SCALES]>>,
}

#[repr(align(64))]
struct Lines<A>(A);

impl<T: Element> Scales<T> {
    pub(super) fn new() -> Self {
        Self { few: None, many: None }
    }

    /// Room for `len` values, at most [`SCALES`].
    #[inline(always)]
    pub(super) fn room(&mut self, len: usize) -> &mut [T] {
        let room = if len <= FEW {
            &mut self.few.get_or_insert(Lines([T::default(); FEW])).0[..]
        } else {
            &mut self.many.get_or_insert(Lines([T::default(); SCALES])).0[..]
        };
        room.get_mut(..len).unwrap_or_default()
    }

    /// `a * b * factor` of two parameters.
    #[inline(always)]
    pub(super) fn products<S: Simd>(&mut self, simd: S, [a, b]: [&[T]; 2], factor: T) -> &[T] {
        let scale = self.room(a.len());
        let factor = T::Lanes::<S>::splat(simd, factor);
        map(
            simd,
            [a, b],
            [&mut *scale],
            #[inline(always)]
            |[a, b], _| [a * b * factor],
        );
        scale
    }
}

/// Columns `first .. first + SCALES` of each parameter, or as many as there are.
#[inline(always)]
pub(super) fn part_of<T, const P: usize>(params: [&[T]; P], first: usize) -> [&[T]; P] {
    let mut parts = [&[][..]; P];
    for (part, param) in parts.iter_mut().zip(params) {
        let rest = param.get(first..).unwrap_or_default();
        *part = rest.get(..SCALES).unwrap_or(rest);
    }
    parts
}

/// `(x - mean) * (inv_std * gamma) + beta`.
#[inline(always)]
pub(crate) fn normalise<T: Element, S: Simd>(
    [mean, inv_std, gamma, beta]: [T::Lanes<S>; 4],
    x: T::Lanes<S>,
) -> T::Lanes<S> {
    evaluate::<T, S>([mean, inv_std * gamma, beta], x)
}

/// `(x - mean) * scale + beta`.
#[inline(always)]
pub(super) fn evaluate<T: Element, S: Simd>(
    [mean, scale, beta]: [T::Lanes<S>; 3],
    x: T::Lanes<S>,
) -> T::Lanes<S> {
    (x - mean).mul_add(scale, beta)
}

/// `mean`, `inv_std` and the running statistics of rows, or of some columns. `pivot` is scratch.
#[inline(always)]
pub(crate) fn row_statistics<T: Element, S: Simd>(
    simd: S,
    batch: &Batch<T>,
    rows: ChannelRows,
    x: &[T],
    running: [&mut [T]; 2],
    [mean, inv_std]: [&mut [T]; 2],
    pivot: &mut [T],
) {
    row_moments(simd, rows, x, batch.n, [&mut *mean, &mut *inv_std], pivot);
    batch.finish(simd, mean, inv_std, running);
}

/// `y` of whole rows, from `[mean, inv_std, gamma, beta]`.
#[inline(always)]
pub(crate) fn map_normalised<T: Element, S: Simd>(
    simd: S,
    columns: Columns,
    x: &[T],
    y: &mut [T],
    params: [&[T]; 4],
    finish: &Finish<T>,
) {
    let floor = T::Lanes::<S>::splat(simd, finish.floor);
    let mut scales = Scales::new();
    let piece = finish.piece(y.len(), columns.pitch);
    for (x, y) in x.chunks(piece).zip(y.chunks_mut(piece)) {
        for first in (0..columns.width).step_by(SCALES) {
            let [mean, inv_std, gamma, beta] = part_of(params, first);
            let scale = scales.products(simd, [inv_std, gamma], T::from(1));
            map_columns(
                simd,
                columns.part(first, SCALES),
                [x],
                y,
                [mean, scale, beta],
                #[inline(always)]
                |params, [x], _| floor.max(evaluate::<T, S>(params, x)),
            );
        }
        finish.apply(y);
    }
}

#[inline(always)]
pub(super) fn forward_kernel<T: Element, S: Simd>(
    simd: S,
    batch: &Batch<T>,
    channels: Channels,
    x: &[T],
    affine: Affine<'_, T>,
    running: RunningMut<'_, T>,
    saved: SavedMut<'_, T>,
    y: &mut [T],
    finish: &Finish<T>,
) {
    let (mean, inv_std) = (saved.mean, saved.inv_std);
    let (outer, count) = (channels.outer(), channels.channels());
    if channels.inner() > 1 {
        let statistics = mean.chunks_mut(TILE).zip(inv_std.chunks_mut(TILE));
        let running = running.mean.chunks_mut(TILE).zip(running.variance.chunks_mut(TILE));
        let affine = affine.gamma.chunks(TILE).zip(affine.beta.chunks(TILE));
        for (i, (((mean, inv_std), (running_mean, running_variance)), (gamma, beta))) in
            statistics.zip(running).zip(affine).enumerate()
        {
            plane_moments(simd, channels, i * TILE, x, batch.n, [&mut *mean, &mut *inv_std]);
            batch.finish(simd, mean, inv_std, [running_mean, running_variance]);
            map_normalised_planes(simd, channels, i * TILE, x, y, [mean, inv_std, gamma, beta], finish);
        }
        return;
    }
    let rows = ChannelRows::of::<T>(outer, count);
    // The pivots lie in the first row of y until it is written.
    let pivot = y.get_mut(..count).unwrap_or_default();
    let running = [running.mean, running.variance];
    row_statistics(simd, batch, rows, x, running, [&mut *mean, &mut *inv_std], pivot);
    let mut buffers = None;
    let params = rows.spread([&*mean, inv_std, affine.gamma, affine.beta], &mut buffers);
    map_normalised(simd, rows.columns, x, y, params, finish);
}

/// `y` of the channels from `first` on, an image at a time.
#[inline(always)]
fn map_normalised_planes<T: Element, S: Simd>(
    simd: S,
    channels: Channels,
    first: usize,
    x: &[T],
    y: &mut [T],
    params: [&[T]; 4],
    finish: &Finish<T>,
) {
    let floor = T::Lanes::<S>::splat(simd, finish.floor);
    let (inner, count) = (channels.inner(), params.first().map_or(0, |p| p.len()));
    let image = Channels::first(1, channels.channels(), inner);
    let (start, len) = (first.saturating_mul(inner), count.saturating_mul(inner));
    for (x, y) in x.chunks_exact(image.len().max(1)).zip(y.chunks_exact_mut(image.len().max(1))) {
        map_planes(
            simd,
            image,
            first,
            [x],
            y,
            params,
            #[inline(always)]
            |params, [x], _| floor.max(normalise::<T, S>(params, x)),
        );
        let planes = y.get_mut(start..).unwrap_or_default();
        finish.apply(planes.get_mut(..len).unwrap_or_default());
    }
}
