//! Layer normalisation: forward, evaluation, backward.
//!
//! For each row, over its `n` features (Ba, Kiros and Hinton, "Layer Normalization", 2016):
//!
//! ```text
//! mean     = sum x / n
//! variance = sum (x - mean)^2 / n                 biased
//! inv_std  = 1 / sqrt(variance + epsilon)
//! y        = gamma * (x - mean) * inv_std + beta
//! ```
//!
//! A row is summed twice, from the cache: for its mean, and for the deviations from that and their squares; the sum of
//! deviations puts right what the mean was off by. Both are sums as of [`sum`](crate::sum), in lanes and then in `f64`, so
//! that their errors do not grow with the length. With `u = EPSILON / 2`, `a = sum |x| / n` and `k = 76` (in `f64`, 1 more for each
//! 2048 features):
//!
//! ```text
//! |mean error|     <= u |mean| + k u s            s = sqrt(variance) + 2 k u a
//! |variance error| <= k u s^2
//! ```
//!
//! Nothing goes from one row into another: a row's bits are the same in every batch.

use crate::batch_norm::{Affine, AffineGradient, Saved, SavedMut, normalise};
use crate::error::{expect_at_least, expect_len};
use crate::moments::deviations;
use crate::reduce::sum_kernel;
use crate::rows::expect_rows;
use crate::simd::apply::{fold_sums, map};
use crate::simd::columns::sum_block;
use crate::simd::{Lanes, Simd, dispatch};
use crate::{Element, Level, ShapeError};

/// Normalises each row by its own statistics, and keeps them: `y = gamma * (x - mean) / sqrt(variance + epsilon) + beta`.
///
/// `x`, `y`: (rows, `features`) row-major; `affine`: one value a feature; `saved`: one a row, overwritten as `y` is, for
/// [`layer_norm_backward`].
///
/// `epsilon` is positive (1e-5 by custom): a constant row gives `beta`. With `u = EPSILON / 2`, the mean is off by at most `u |mean| + 76 u
/// std` and the variance by 76 u of itself, where the mean is not above some thousand deviations, at any length (`f64`: 1 u more for
/// each 2048 features); `inv_std` by half of what the variance is and 4 u; and `y`, from what was saved, by `4 u |y - beta| + u |beta|`. Where
/// squares of deviations overflow the row is `beta`; where a NaN or an infinity is, or the sum overflows, it is NaN. No other row is
/// touched by either. (Ba, Kiros and Hinton, Layer Normalization, 2016.)
///
/// ```
/// use slicewise_kernels::{Affine, Level, SavedMut, layer_norm_forward};
///
/// let x = [1.0f32, 3.0, 10.0, 30.0]; // 2 rows of 2 features
/// let (mut mean, mut inv_std, mut y) = ([0.0; 2], [0.0; 2], [0.0; 4]);
/// let affine = Affine { gamma: &[1.0, 2.0], beta: &[0.0, 0.5] };
/// let saved = SavedMut { mean: &mut mean, inv_std: &mut inv_std };
/// layer_norm_forward(Level::detect(), 1e-5, 2, &x, affine, saved, &mut y)?;
/// assert_eq!(mean, [2.0, 20.0]);
/// assert!(y.iter().zip([-1.0, 2.5, -1.0, 2.5]).all(|(y, z)| (y - z).abs() < 1e-4));
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless there is a feature, `x` holds whole rows, and every other length fits.
pub fn layer_norm_forward<T: Element>(
    level: Level,
    epsilon: f64,
    features: usize,
    x: &[T],
    affine: Affine<'_, T>,
    saved: SavedMut<'_, T>,
    y: &mut [T],
) -> Result<(), ShapeError> {
    let rows = expect_forward(features, x.len(), affine)?;
    expect_len("saved.mean", rows, saved.mean.len())?;
    expect_len("saved.inv_std", rows, saved.inv_std.len())?;
    expect_len("y", x.len(), y.len())?;
    let epsilon = T::from_f64(epsilon);
    dispatch!(level, simd => forward_kernel(simd, epsilon, features, Some(x), affine, Some(saved), y));
    Ok(())
}

/// [`layer_norm_forward`] that keeps no statistics: the same bits.
///
/// ```
/// use slicewise_kernels::{Affine, Level, layer_norm_evaluate};
///
/// let (affine, mut y) = (Affine { gamma: &[2.0, 2.0], beta: &[1.0, 1.0] }, [0.0f64; 2]);
/// layer_norm_evaluate(Level::detect(), 1e-5, 2, &[3.0, 5.0], affine, &mut y)?;
/// assert!((y[0] + 1.0).abs() < 1e-4 && (y[1] - 3.0).abs() < 1e-4);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless there is a feature, `x` holds whole rows, and every other length fits.
pub fn layer_norm_evaluate<T: Element>(
    level: Level,
    epsilon: f64,
    features: usize,
    x: &[T],
    affine: Affine<'_, T>,
    y: &mut [T],
) -> Result<(), ShapeError> {
    expect_forward(features, x.len(), affine)?;
    expect_len("y", x.len(), y.len())?;
    let epsilon = T::from_f64(epsilon);
    dispatch!(level, simd => forward_kernel(simd, epsilon, features, Some(x), affine, None, y));
    Ok(())
}

/// [`layer_norm_evaluate`] that overwrites its input, with the same bits.
///
/// ```
/// use slicewise_kernels::{Affine, Level, layer_norm_evaluate_in_place};
///
/// let (affine, mut x) = (Affine { gamma: &[2.0, 2.0], beta: &[1.0, 1.0] }, [3.0f64, 5.0]);
/// layer_norm_evaluate_in_place(Level::detect(), 1e-5, 2, &mut x, affine)?;
/// assert!((x[0] + 1.0).abs() < 1e-4 && (x[1] - 3.0).abs() < 1e-4);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless there is a feature, `x` holds whole rows, and every other length fits.
pub fn layer_norm_evaluate_in_place<T: Element>(
    level: Level,
    epsilon: f64,
    features: usize,
    x: &mut [T],
    affine: Affine<'_, T>,
) -> Result<(), ShapeError> {
    expect_forward(features, x.len(), affine)?;
    let epsilon = T::from_f64(epsilon);
    dispatch!(level, simd => forward_kernel(simd, epsilon, features, None, affine, None, x));
    Ok(())
}

/// The gradients of a loss by `x`, `gamma` and `beta`, from its gradient `dy` by `y`, through each row's statistics.
///
/// With `z = (x - mean) * inv_std` and `g = gamma * dy`, means over the `n` features of a row, sums over the rows:
///
/// ```text
/// dx     = inv_std * (g - mean g - z * mean (g * z))
/// dgamma = sum dy * z
/// dbeta  = sum dy
/// ```
///
/// `x`, `dy`, `dx`: (rows, `features`) row-major; `gamma` and `gradient`: one value a feature; `saved`: one a row, from
/// [`layer_norm_forward`]. Overwrites `dx` and `gradient`, which is 0 of no rows.
///
/// With `u = EPSILON / 2`, `dx` is off by at most `84 u` of `inv_std * (|g| + mean |g| + |z| * mean |g * z|)`, at any length (`f64`: 1 u
/// more for each 2048 features). Rows are summed in their order by fours, so that `dgamma` and `dbeta` are off by `(rows / 4 + 12) u` of
/// their sums of magnitudes. NaN in, NaN out: `dx` in its row alone. (Ba, Kiros and Hinton, Layer Normalization, 2016.)
///
/// ```
/// use slicewise_kernels::{AffineGradient, Level, Saved, layer_norm_backward};
///
/// let (x, dy) = ([-1.0f32, 0.0, 1.0], [0.0, 0.0, 6.0]);
/// let (mut dx, mut dgamma, mut dbeta) = ([0.0; 3], [0.0; 3], [0.0; 3]);
/// let saved = Saved { mean: &[0.0], inv_std: &[1.0] };
/// let gradient = AffineGradient { gamma: &mut dgamma, beta: &mut dbeta };
/// layer_norm_backward(Level::detect(), 3, &x, &[1.0; 3], saved, &dy, &mut dx, gradient)?;
/// assert!(dx.iter().zip([0.0, -2.0, 2.0]).all(|(dx, z)| (dx - z).abs() < 1e-5));
/// assert_eq!((dgamma, dbeta), ([0.0, 0.0, 6.0], dy));
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless there is a feature, `x` holds whole rows, and every other length fits.
pub fn layer_norm_backward<T: Element>(
    level: Level,
    features: usize,
    x: &[T],
    gamma: &[T],
    saved: Saved<'_, T>,
    dy: &[T],
    dx: &mut [T],
    gradient: AffineGradient<'_, T>,
) -> Result<(), ShapeError> {
    expect_backward(features, x, gamma, saved, dy.len(), &gradient)?;
    expect_len("dx", x.len(), dx.len())?;
    dispatch!(level, simd => backward_kernel(simd, features, x, gamma, saved, Some(dy), dx, gradient));
    Ok(())
}

/// [`layer_norm_backward`] that turns `dy` into `dx` where it stands, with the same bits.
///
/// ```
/// use slicewise_kernels::{AffineGradient, Level, Saved, layer_norm_backward_in_place};
///
/// let (x, mut dy, mut dgamma, mut dbeta) = ([-1.0f32, 1.0], [1.0, 2.0], [0.0; 2], [0.0; 2]);
/// let saved = Saved { mean: &[0.0], inv_std: &[1.0] };
/// let gradient = AffineGradient { gamma: &mut dgamma, beta: &mut dbeta };
/// layer_norm_backward_in_place(Level::detect(), 2, &x, &[1.0; 2], saved, &mut dy, gradient)?;
/// // Two values in a row are always -1 and 1: no input changes that.
/// assert_eq!((dy, dgamma, dbeta), ([0.0, 0.0], [-1.0, 2.0], [1.0, 2.0]));
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] unless there is a feature, `x` holds whole rows, and every other length fits.
pub fn layer_norm_backward_in_place<T: Element>(
    level: Level,
    features: usize,
    x: &[T],
    gamma: &[T],
    saved: Saved<'_, T>,
    dy: &mut [T],
    gradient: AffineGradient<'_, T>,
) -> Result<(), ShapeError> {
    expect_backward(features, x, gamma, saved, dy.len(), &gradient)?;
    dispatch!(level, simd => backward_kernel(simd, features, x, gamma, saved, None, dy, gradient));
    Ok(())
}

/// The number of rows in `x`.
fn rows_of(features: usize, x: usize) -> Result<usize, ShapeError> {
    expect_at_least("features", 1, features)?;
    expect_rows("x", features, x)?;
    Ok(x.checked_div(features).unwrap_or(0))
}

fn expect_forward<T>(features: usize, x: usize, affine: Affine<'_, T>) -> Result<usize, ShapeError> {
    let rows = rows_of(features, x)?;
    expect_len("affine.gamma", features, affine.gamma.len())?;
    expect_len("affine.beta", features, affine.beta.len())?;
    Ok(rows)
}

fn expect_backward<T>(
    features: usize,
    x: &[T],
    gamma: &[T],
    saved: Saved<'_, T>,
    dy: usize,
    gradient: &AffineGradient<'_, T>,
) -> Result<(), ShapeError> {
    let rows = rows_of(features, x.len())?;
    expect_len("gamma", features, gamma.len())?;
    expect_len("saved.mean", rows, saved.mean.len())?;
    expect_len("saved.inv_std", rows, saved.inv_std.len())?;
    expect_len("dy", x.len(), dy)?;
    expect_len("gradient.gamma", features, gradient.gamma.len())?;
    expect_len("gradient.beta", features, gradient.beta.len())
}

/// Rows that go through each pass together, so that none waits for its own sums; fewer where they would not stay in L1.
const ROWS: usize = 16;
const BYTES: usize = 16 << 10;

#[inline(always)]
fn forward_kernel<T: Element, S: Simd>(
    simd: S,
    epsilon: T,
    features: usize,
    x: Option<&[T]>,
    affine: Affine<'_, T>,
    mut saved: Option<SavedMut<'_, T>>,
    y: &mut [T],
) {
    let features = features.max(1);
    let count = BYTES.checked_div(features.saturating_mul(size_of::<T>())).unwrap_or(1).clamp(1, ROWS);
    let (mut means, mut inv_stds) = ([T::default(); ROWS], [T::default(); ROWS]);
    for (i, y) in y.chunks_mut(features.saturating_mul(count).max(1)).enumerate() {
        let first = i * count;
        let x = match x {
            Some(x) => x.get(first * features..).and_then(|x| x.get(..y.len())),
            None => None,
        };
        let rows = y.len() / features;
        let (Some(mean), Some(inv_std)) = (means.get_mut(..rows), inv_stds.get_mut(..rows)) else { return };
        statistics(simd, epsilon, features, x.unwrap_or(y), [&mut *mean, &mut *inv_std]);
        if let Some(saved) = &mut saved {
            for (to, from) in [(&mut *saved.mean, &*mean), (&mut *saved.inv_std, &*inv_std)] {
                for (to, from) in to.iter_mut().skip(first).zip(from) {
                    *to = *from;
                }
            }
        }
        normalise_rows(simd, features, x, affine, [mean, inv_std], y);
    }
}

/// `y`, which holds `x` where there is none. Two rows read gamma and beta once.
#[inline(always)]
fn normalise_rows<T: Element, S: Simd>(
    simd: S,
    features: usize,
    x: Option<&[T]>,
    affine: Affine<'_, T>,
    [mean, inv_std]: [&[T]; 2],
    y: &mut [T],
) {
    let Affine { gamma, beta } = affine;
    let statistics = [mean, inv_std];
    let two = features.saturating_mul(2).max(1);
    let Some((pairs, rest)) = y.split_at_mut_checked(y.len() - y.len() % two) else { return };
    let mut i = 0;
    for y in pairs.chunks_exact_mut(two) {
        let Some((y, z)) = y.split_at_mut_checked(features) else { return };
        let [[m, s], [n, t]] = [splat_each(simd, statistics, i), splat_each(simd, statistics, i + 1)];
        match x {
            Some(x) => map(
                simd,
                [row(x, i, features), row(x, i + 1, features), gamma, beta],
                [y, z],
                #[inline(always)]
                |[x, w, gamma, beta], _| {
                    [normalise::<T, S>([m, s, gamma, beta], x), normalise::<T, S>([n, t, gamma, beta], w)]
                },
            ),
            None => map(
                simd,
                [gamma, beta],
                [y, z],
                #[inline(always)]
                |[gamma, beta], [x, w]| {
                    [normalise::<T, S>([m, s, gamma, beta], x), normalise::<T, S>([n, t, gamma, beta], w)]
                },
            ),
        }
        i += 2;
    }
    if rest.is_empty() {
        return;
    }
    let [m, s] = splat_each(simd, statistics, i);
    match x {
        Some(x) => map(
            simd,
            [row(x, i, features), gamma, beta],
            [rest],
            #[inline(always)]
            |[x, gamma, beta], _| [normalise::<T, S>([m, s, gamma, beta], x)],
        ),
        None => map(
            simd,
            [gamma, beta],
            [rest],
            #[inline(always)]
            |[gamma, beta], [x]| [normalise::<T, S>([m, s, gamma, beta], x)],
        ),
    }
}

/// Element `i` of each, in every lane.
#[inline(always)]
fn splat_each<T: Element, S: Simd>(simd: S, [a, b]: [&[T]; 2], i: usize) -> [T::Lanes<S>; 2] {
    let (a, b) = (a.get(i).copied().unwrap_or_default(), b.get(i).copied().unwrap_or_default());
    [T::Lanes::<S>::splat(simd, a), T::Lanes::<S>::splat(simd, b)]
}

/// Row `i`.
#[inline(always)]
fn row<T>(x: &[T], i: usize, features: usize) -> &[T] {
    x.get(i * features..).and_then(|x| x.get(..features)).unwrap_or_default()
}

/// Each row's mean and `1 / sqrt(variance + epsilon)`.
#[inline(always)]
fn statistics<T: Element, S: Simd>(
    simd: S,
    epsilon: T,
    features: usize,
    x: &[T],
    [mean, inv_std]: [&mut [T]; 2],
) {
    let per_n = 1.0 / features as f64;
    let (mut sums, mut squares) = ([0.0; ROWS], [0.0; ROWS]);
    for (x, mean) in x.chunks_exact(features.max(1)).zip(&mut *mean) {
        *mean = T::from_f64(sum_kernel(simd, x) * per_n);
    }
    for ((x, mean), (sum, square)) in
        x.chunks_exact(features.max(1)).zip(&*mean).zip(sums.iter_mut().zip(&mut squares))
    {
        [*sum, *square] = deviations(simd, x, *mean);
    }
    for ((mean, variance), (sum, square)) in mean.iter_mut().zip(&mut *inv_std).zip(sums.iter().zip(&squares))
    {
        let offset = sum * per_n;
        *mean = T::from_f64(mean.to_f64() + offset);
        let of_row = square * per_n - offset * offset;
        // Rounding may leave a variance of 0 below it.
        *variance = T::from_f64(if of_row < 0.0 { 0.0 } else { of_row });
    }
    let one = T::Lanes::<S>::splat(simd, T::from(1));
    let epsilon = T::Lanes::<S>::splat(simd, epsilon);
    map(
        simd,
        [],
        [inv_std],
        #[inline(always)]
        |[], [variance]| [one / (variance + epsilon).sqrt()],
    );
}

/// What a row's gradient takes beside its elements: `mean`, `inv_std`, `-inv_std * mean g` and `inv_std * mean (g * z)`.
type Terms<T, S> = [<T as Element>::Lanes<S>; 4];

#[inline(always)]
fn backward_kernel<T: Element, S: Simd>(
    simd: S,
    features: usize,
    x: &[T],
    gamma: &[T],
    saved: Saved<'_, T>,
    dy: Option<&[T]>,
    dx: &mut [T],
    gradient: AffineGradient<'_, T>,
) {
    let features = features.max(1);
    let (dgamma, dbeta) = (gradient.gamma, gradient.beta);
    dgamma.fill(T::default());
    dbeta.fill(T::default());
    // Four rows read and write gamma and the sums once.
    let four = features.saturating_mul(4).max(1);
    let whole = dx.len() - dx.len() % four;
    let Some((fours, rest)) = dx.split_at_mut_checked(whole) else { return };
    let mut first = 0;
    for dx in fours.chunks_exact_mut(four) {
        let [a, b, c, d] = [0, 1, 2, 3].map(
            #[inline(always)]
            |i| row(x, first + i, features),
        );
        let old = match dy {
            Some(dy) => dy.get(first * features..).unwrap_or_default(),
            None => &*dx,
        };
        let mut terms = [[T::Lanes::<S>::splat(simd, T::default()); 4]; 4];
        for (i, (terms, x)) in terms.iter_mut().zip([a, b, c, d]).enumerate() {
            *terms = row_terms(simd, x, gamma, saved, first + i, row(old, i, features));
        }
        let mut rows = dx.chunks_exact_mut(features);
        let [e, f, g, h] = [(); 4].map(
            #[inline(always)]
            |()| rows.next().unwrap_or_default(),
        );
        match dy {
            Some(dy) => {
                let [k, l, m, n] = [0, 1, 2, 3].map(
                    #[inline(always)]
                    |i| row(dy, first + i, features),
                );
                map(
                    simd,
                    [a, b, c, d, k, l, m, n, gamma],
                    [e, f, g, h, &mut *dgamma, &mut *dbeta],
                    #[inline(always)]
                    |[a, b, c, d, k, l, m, n, gamma], [.., dgamma, dbeta]| {
                        let rows = [[a, k], [b, l], [c, m], [d, n]];
                        let ([a, b, c, d], [s, t]) =
                            gradients::<T, S, 4>(simd, &terms, gamma, rows, [dgamma, dbeta]);
                        [a, b, c, d, s, t]
                    },
                );
            }
            None => map(
                simd,
                [a, b, c, d, gamma],
                [e, f, g, h, &mut *dgamma, &mut *dbeta],
                #[inline(always)]
                |[a, b, c, d, gamma], [k, l, m, n, dgamma, dbeta]| {
                    let rows = [[a, k], [b, l], [c, m], [d, n]];
                    let ([a, b, c, d], [s, t]) =
                        gradients::<T, S, 4>(simd, &terms, gamma, rows, [dgamma, dbeta]);
                    [a, b, c, d, s, t]
                },
            ),
        }
        first += 4;
    }
    for dx in rest.chunks_exact_mut(features) {
        let x = row(x, first, features);
        match dy {
            Some(dy) => {
                let dy = row(dy, first, features);
                let terms = [row_terms(simd, x, gamma, saved, first, dy)];
                map(
                    simd,
                    [x, dy, gamma],
                    [dx, &mut *dgamma, &mut *dbeta],
                    #[inline(always)]
                    |[x, dy, gamma], [_, dgamma, dbeta]| {
                        let ([dx], [s, t]) =
                            gradients::<T, S, 1>(simd, &terms, gamma, [[x, dy]], [dgamma, dbeta]);
                        [dx, s, t]
                    },
                );
            }
            None => {
                let terms = [row_terms(simd, x, gamma, saved, first, dx)];
                map(
                    simd,
                    [x, gamma],
                    [dx, &mut *dgamma, &mut *dbeta],
                    #[inline(always)]
                    |[x, gamma], [dy, dgamma, dbeta]| {
                        let ([dx], [s, t]) =
                            gradients::<T, S, 1>(simd, &terms, gamma, [[x, dy]], [dgamma, dbeta]);
                        [dx, s, t]
                    },
                );
            }
        }
        first += 1;
    }
}

/// The sums of row `i`, divided.
#[inline(always)]
fn row_terms<T: Element, S: Simd>(
    simd: S,
    x: &[T],
    gamma: &[T],
    saved: Saved<'_, T>,
    i: usize,
    dy: &[T],
) -> Terms<T, S> {
    let [mean, inv_std] = splat_each(simd, [saved.mean, saved.inv_std], i);
    let [sum, product] = fold_sums(
        simd,
        [x, gamma, dy],
        #[inline(always)]
        |[sum, product], [x, gamma, dy]| {
            let g = gamma * dy;
            [sum + g, g.mul_add(x - mean, product)]
        },
    );
    let of_row = saved.inv_std.get(i).copied().unwrap_or_default().to_f64();
    let per_n = of_row / x.len() as f64;
    let back = T::Lanes::<S>::splat(simd, T::from_f64(-per_n * sum));
    let slope = T::Lanes::<S>::splat(simd, T::from_f64(per_n * of_row * product));
    [mean, inv_std, back, slope]
}

/// `dx` of a block of `G` rows, each `[x, dy]`, and `[dgamma, dbeta]` with what they add.
#[inline(always)]
fn gradients<T: Element, S: Simd, const G: usize>(
    simd: S,
    terms: &[Terms<T, S>; G],
    gamma: T::Lanes<S>,
    rows: [[T::Lanes<S>; 2]; G],
    [dgamma, dbeta]: [T::Lanes<S>; 2],
) -> ([T::Lanes<S>; G], [T::Lanes<S>; 2]) {
    let (mut dx, mut summed) = ([gamma; G], rows);
    for (((dx, summed), [x, dy]), [mean, inv_std, back, slope]) in
        dx.iter_mut().zip(&mut summed).zip(rows).zip(terms)
    {
        let z = (x - *mean) * *inv_std;
        *dx = z.neg_mul_add(*slope, (gamma * dy).mul_add(*inv_std, *back));
        *summed = [dy, z];
    }
    let [sum, product] = sum_block::<T, S, 2, G>(simd, summed, gamma, &factors::<T, S>);
    (dx, [dgamma + product, dbeta + sum])
}

/// What the gradients are sums of: `dy` and `dy * z`.
#[inline(always)]
fn factors<T: Element, S: Simd>(dy_z: [T::Lanes<S>; 2], _: T::Lanes<S>) -> [T::Lanes<S>; 2] {
    dy_z
}

#[cfg(test)]
mod tests;
