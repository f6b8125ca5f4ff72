//! The kernels of layer normalisation: statistics of a few rows, then the rows.

use crate::Element;
use crate::batch_norm::{Affine, AffineGradient, Saved, SavedMut, normalise};
use crate::moments::deviations;
use crate::reduce::sum_kernel;
use crate::simd::apply::{fold_sums, map};
use crate::simd::column_sums::sum_block;
use crate::simd::{Arithmetic, Simd};

/// Rows that go through each pass together, so that none waits for its own sums; fewer where they would not stay in L1.
const ROWS: usize = 16;
const BYTES: usize = 16 << 10;

#[inline(always)]
pub(super) fn forward_kernel<T: Element, S: Simd>(
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

/// `y`, which holds `x` where there is none.
#[inline(always)]
fn normalise_rows<T: Element, S: Simd>(
    simd: S,
    features: usize,
    x: Option<&[T]>,
    affine: Affine<'_, T>,
    statistics: [&[T]; 2],
    y: &mut [T],
) {
    let Affine { gamma, beta } = affine;
    if let Some(x) = x {
        for (i, y) in y.chunks_exact_mut(features.max(1)).enumerate() {
            let [mean, inv_std] = splat_each(simd, statistics, i);
            map(
                simd,
                [row(x, i, features), gamma, beta],
                [y],
                #[inline(always)]
                |[x, gamma, beta], _| [normalise::<T, S>([mean, inv_std, gamma, beta], x)],
            );
        }
        return;
    }
    // In place two rows read gamma and beta once. Between two slices it is slower: the rows written miss the cache, in turn.
    for (i, y) in y.chunks_mut(features.saturating_mul(2).max(1)).enumerate() {
        let [mean, inv_std] = splat_each(simd, statistics, 2 * i);
        let [mean1, inv_std1] = splat_each(simd, statistics, 2 * i + 1);
        match y.split_at_mut_checked(features) {
            Some((y, y1)) if !y1.is_empty() => map(
                simd,
                [gamma, beta],
                [y, y1],
                #[inline(always)]
                |[gamma, beta], [x, x1]| {
                    [
                        normalise::<T, S>([mean, inv_std, gamma, beta], x),
                        normalise::<T, S>([mean1, inv_std1, gamma, beta], x1),
                    ]
                },
            ),
            _ => map(
                simd,
                [gamma, beta],
                [y],
                #[inline(always)]
                |[gamma, beta], [x]| [normalise::<T, S>([mean, inv_std, gamma, beta], x)],
            ),
        }
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
pub(super) fn backward_kernel<T: Element, S: Simd>(
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
        let [x0, x1, x2, x3] = [0, 1, 2, 3].map(
            #[inline(always)]
            |i| row(x, first + i, features),
        );
        let old = match dy {
            Some(dy) => dy.get(first * features..).unwrap_or_default(),
            None => &*dx,
        };
        let mut terms = [[T::Lanes::<S>::splat(simd, T::default()); 4]; 4];
        for (i, (terms, x)) in terms.iter_mut().zip([x0, x1, x2, x3]).enumerate() {
            *terms = row_terms(simd, x, gamma, saved, first + i, row(old, i, features));
        }
        let mut rows = dx.chunks_exact_mut(features);
        let [dx0, dx1, dx2, dx3] = [(); 4].map(
            #[inline(always)]
            |()| rows.next().unwrap_or_default(),
        );
        match dy {
            Some(dy) => {
                let [dy0, dy1, dy2, dy3] = [0, 1, 2, 3].map(
                    #[inline(always)]
                    |i| row(dy, first + i, features),
                );
                map(
                    simd,
                    [x0, x1, x2, x3, dy0, dy1, dy2, dy3, gamma],
                    [dx0, dx1, dx2, dx3, &mut *dgamma, &mut *dbeta],
                    #[inline(always)]
                    |[x0, x1, x2, x3, dy0, dy1, dy2, dy3, gamma], [.., dgamma, dbeta]| {
                        let rows = [[x0, dy0], [x1, dy1], [x2, dy2], [x3, dy3]];
                        let ([dx0, dx1, dx2, dx3], [dgamma, dbeta]) =
                            gradients::<T, S, 4>(simd, &terms, gamma, rows, [dgamma, dbeta]);
                        [dx0, dx1, dx2, dx3, dgamma, dbeta]
                    },
                );
            }
            None => map(
                simd,
                [x0, x1, x2, x3, gamma],
                [dx0, dx1, dx2, dx3, &mut *dgamma, &mut *dbeta],
                #[inline(always)]
                |[x0, x1, x2, x3, gamma], [dy0, dy1, dy2, dy3, dgamma, dbeta]| {
                    let rows = [[x0, dy0], [x1, dy1], [x2, dy2], [x3, dy3]];
                    let ([dx0, dx1, dx2, dx3], [dgamma, dbeta]) =
                        gradients::<T, S, 4>(simd, &terms, gamma, rows, [dgamma, dbeta]);
                    [dx0, dx1, dx2, dx3, dgamma, dbeta]
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
                        let ([dx], [dgamma, dbeta]) =
                            gradients::<T, S, 1>(simd, &terms, gamma, [[x, dy]], [dgamma, dbeta]);
                        [dx, dgamma, dbeta]
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
                        let ([dx], [dgamma, dbeta]) =
                            gradients::<T, S, 1>(simd, &terms, gamma, [[x, dy]], [dgamma, dbeta]);
                        [dx, dgamma, dbeta]
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

/// A block of `dx` of `G` rows, and of `[dgamma, dbeta]`.
type Gradients<T, S, const G: usize> = ([<T as Element>::Lanes<S>; G], [<T as Element>::Lanes<S>; 2]);

/// `dx` of a block of `G` rows, each `[x, dy]`, and `[dgamma, dbeta]` with what they add.
#[inline(always)]
fn gradients<T: Element, S: Simd, const G: usize>(
    simd: S,
    terms: &[Terms<T, S>; G],
    gamma: T::Lanes<S>,
    rows: [[T::Lanes<S>; 2]; G],
    [dgamma, dbeta]: [T::Lanes<S>; 2],
) -> Gradients<T, S, G> {
    let (mut dx, mut summed) = ([gamma; G], rows);
    for (((dx, summed), [x, dy]), [mean, inv_std, back, slope]) in
        dx.iter_mut().zip(&mut summed).zip(rows).zip(terms)
    {
        let z = (x - *mean) * *inv_std;
        *dx = z.neg_mul_add(*slope, (gamma * dy).mul_add(*inv_std, *back));
        *summed = [dy, z];
    }
    let [sum, product] = sum_block::<T, S, 2, 0, G>(simd, summed, [], &factors::<T, S>);
    (dx, [dgamma + product, dbeta + sum])
}

/// What the gradients are sums of: `dy` and `dy * z`.
#[inline(always)]
fn factors<T: Element, S: Simd>(dy_z: [T::Lanes<S>; 2], []: [T::Lanes<S>; 0]) -> [T::Lanes<S>; 2] {
    dy_z
}
