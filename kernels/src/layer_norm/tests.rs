//! Against the oracles of `reference::layer_norm`, on every level.

use proptest::prelude::*;
use rand_pcg::Pcg64;
use std::vec;
use std::vec::Vec;

use crate::simd::apply::CHUNK;
use slicewise_kernels::reference::layer_norm as oracle;
use slicewise_kernels::reference::{Placed, assert_close, assert_same_bits, levels};
use slicewise_kernels::*;

const EPSILON: f64 = 1e-5;

/// Everything that a forward pass and a backward pass read.
#[derive(Clone, Debug)]
struct Case<T> {
    features: usize,
    x: Vec<T>,
    dy: Vec<T>,
    gamma: Vec<T>,
    beta: Vec<T>,
}

impl<T: Element> Case<T> {
    /// Normal values; of the rows, `kinds` says mean and spread in turn.
    fn new(rows: usize, features: usize, seed: u64, kinds: &[(f64, f64)]) -> Self {
        let mut rng = Pcg64::new(seed.into(), 1);
        let mut normal = |n| {
            let mut values = vec![0.0f64; n];
            fill_normal(Level::Portable, &mut rng, 0.0, 1.0, &mut values).unwrap();
            values
        };
        let mut x = normal(rows * features);
        for (x, (mean, spread)) in x.chunks_mut(features).zip(kinds.iter().cycle()) {
            x.iter_mut().for_each(|x| *x = mean + spread * *x);
        }
        let rounded = |x: Vec<f64>| x.into_iter().map(T::from_f64).collect::<Vec<T>>();
        Self {
            features,
            x: rounded(x),
            dy: rounded(normal(rows * features)),
            gamma: rounded(normal(features)),
            beta: rounded(normal(features)),
        }
    }

    fn rows(&self) -> usize {
        self.x.len() / self.features
    }

    /// Rows `i..`, `n` of them.
    fn part(&self, i: usize, n: usize) -> Self {
        let range = i * self.features..(i + n) * self.features;
        Self { x: self.x[range.clone()].to_vec(), dy: self.dy[range].to_vec(), ..self.clone() }
    }

    fn affine(&self) -> Affine<'_, T> {
        Affine { gamma: &self.gamma, beta: &self.beta }
    }
}

/// What a forward pass writes.
#[derive(Clone, Debug)]
struct Forward<T> {
    mean: Vec<T>,
    inv_std: Vec<T>,
    y: Vec<T>,
}

/// The forward pass, every slice `offset` elements past a cache line.
fn forward<T: Element>(level: Level, case: &Case<T>, offset: usize) -> Forward<T> {
    let dirty = |n| Placed::new(&vec![T::from_f64(f64::NAN); n], offset);
    let (mut mean, mut inv_std, mut y) = (dirty(case.rows()), dirty(case.rows()), dirty(case.x.len()));
    let (gamma, beta) = (Placed::new(&case.gamma, offset), Placed::new(&case.beta, offset));
    layer_norm_forward(
        level,
        EPSILON,
        case.features,
        Placed::new(&case.x, offset).get(),
        Affine { gamma: gamma.get(), beta: beta.get() },
        SavedMut { mean: mean.get_mut(), inv_std: inv_std.get_mut() },
        y.get_mut(),
    )
    .unwrap();
    Forward { mean: mean.get().to_vec(), inv_std: inv_std.get().to_vec(), y: y.get().to_vec() }
}

/// `[dx, dgamma, dbeta]`.
fn backward<T: Element>(level: Level, case: &Case<T>, saved: &Forward<T>, offset: usize) -> [Vec<T>; 3] {
    let dirty = |n| Placed::new(&vec![T::from_f64(f64::NAN); n], offset);
    let (mut dx, mut dgamma, mut dbeta) = (dirty(case.x.len()), dirty(case.features), dirty(case.features));
    layer_norm_backward(
        level,
        case.features,
        Placed::new(&case.x, offset).get(),
        Placed::new(&case.gamma, offset).get(),
        Saved { mean: &saved.mean, inv_std: &saved.inv_std },
        Placed::new(&case.dy, offset).get(),
        dx.get_mut(),
        AffineGradient { gamma: dgamma.get_mut(), beta: dbeta.get_mut() },
    )
    .unwrap();
    [dx.get().to_vec(), dgamma.get().to_vec(), dbeta.get().to_vec()]
}

/// What long rows add to the bounds of `f64`, and what its oracle rounds itself.
fn of_double<T: Element>(features: usize) -> f64 {
    if T::LANES == 8 { features as f64 / (CHUNK * 8) as f64 + 8.0 } else { 0.0 }
}

fn check_forward<T: Element>(case: &Case<T>, level: Level) {
    let (u, own) = (T::EPSILON.to_f64() / 2.0, of_double::<T>(case.features));
    let l = (76.0 + own) * u;
    let Forward { mean, inv_std, y } = forward(level, case, 0);
    let rows = case.x.chunks(case.features).zip(oracle::row_moments(case.features, &case.x));
    for ((x, exact), (mean, inv_std)) in rows.zip(mean.iter().zip(&inv_std)) {
        let magnitude = x.iter().map(|x| x.to_f64().abs()).sum::<f64>() / exact.n;
        let s = exact.variance.sqrt() + 2.0 * l * magnitude;
        let rounding = if own > 0.0 { 3.0 * u } else { u };
        assert_close(*mean, exact.mean, rounding * exact.mean.abs() + l * s, "mean", level);
        let of = |variance: f64| 1.0 / (variance.max(0.0) + EPSILON).sqrt();
        let [low, high] = [1.0, -1.0].map(|sign| of(exact.variance + sign * l * s * s));
        let close = low * (1.0 - 4.0 * u) <= inv_std.to_f64() && inv_std.to_f64() <= high * (1.0 + 4.0 * u);
        assert!(close, "inv_std at {}: {inv_std} is not in {low:e}..={high:e}", level.name());
    }
    let roundings = 4.0 + if own > 0.0 { 4.0 } else { 0.0 };
    for (y, exact) in y.iter().zip(oracle::normalise(&case.x, &mean, &inv_std, &case.gamma, &case.beta)) {
        assert_close(*y, exact.value, roundings * u * exact.magnitude, "y", level);
    }
}

fn check_backward<T: Element>(case: &Case<T>, level: Level) {
    let (u, own) = (T::EPSILON.to_f64() / 2.0, of_double::<T>(case.features));
    let saved = forward(level, case, 0);
    let exact = oracle::backward(&case.x, &case.gamma, &saved.mean, &saved.inv_std, &case.dy);
    let [dx, dgamma, dbeta] = backward(level, case, &saved, 0);
    let down = case.rows() as f64 / 4.0 + 12.0;
    for (actual, exact, roundings, what) in [
        (&dx, &exact.dx, 84.0 + own, "dx"),
        (&dgamma, &exact.dgamma, down, "dgamma"),
        (&dbeta, &exact.dbeta, down, "dbeta"),
    ] {
        assert_eq!(actual.len(), exact.len());
        for (actual, exact) in actual.iter().zip(exact) {
            assert_close(*actual, exact.value, roundings * u * exact.magnitude, what, level);
        }
    }
}

#[track_caller]
fn assert_same<T: Element>(actual: &Forward<T>, expected: &Forward<T>, what: &str, level: Level) {
    assert_same_bits(&actual.mean, &expected.mean, what, level);
    assert_same_bits(&actual.inv_std, &expected.inv_std, what, level);
    assert_same_bits(&actual.y, &expected.y, what, level);
}

/// Bits that must not depend on how, where and beside what they are computed.
fn check_bits<T: Element>(case: &Case<T>, level: Level, first: &Forward<T>, gradients: &[Vec<T>; 3]) {
    for offset in [1, 7] {
        assert_same(&forward(level, case, offset), first, "elsewhere", level);
        for (actual, expected) in backward(level, case, first, offset).iter().zip(gradients) {
            assert_same_bits(actual, expected, "gradients elsewhere", level);
        }
    }
    let mut y = vec![T::from_f64(f64::NAN); case.x.len()];
    layer_norm_evaluate(level, EPSILON, case.features, &case.x, case.affine(), &mut y).unwrap();
    assert_same_bits(&y, &first.y, "evaluation", level);
    let mut y = Placed::new(&case.x, 3);
    layer_norm_evaluate_in_place(level, EPSILON, case.features, y.get_mut(), case.affine()).unwrap();
    assert_same_bits(y.get(), &first.y, "evaluation in place", level);

    let mut dy = Placed::new(&case.dy, 3);
    let (mut dgamma, mut dbeta) = (vec![T::from(7); case.features], vec![T::from(7); case.features]);
    let gradient = AffineGradient { gamma: &mut dgamma, beta: &mut dbeta };
    let saved = Saved { mean: &first.mean, inv_std: &first.inv_std };
    layer_norm_backward_in_place(level, case.features, &case.x, &case.gamma, saved, dy.get_mut(), gradient)
        .unwrap();
    for (actual, expected) in [dy.get(), &dgamma, &dbeta].into_iter().zip(gradients) {
        assert_same_bits(actual, expected, "gradients in place", level);
    }

    // Without the rows before, and without those after.
    for (i, n) in [(0, 1), (1, 1), (1, case.rows() - 1), (case.rows() - 1, 1), (0, case.rows() / 2)] {
        let (i, n) = (i.min(case.rows() - 1), n.min(case.rows() - i.min(case.rows() - 1)));
        let (part, range) = (case.part(i, n), i * case.features..(i + n) * case.features);
        let alone = forward(level, &part, 0);
        let expected = Forward {
            mean: first.mean[i..i + n].to_vec(),
            inv_std: first.inv_std[i..i + n].to_vec(),
            y: first.y[range.clone()].to_vec(),
        };
        assert_same(&alone, &expected, "some rows", level);
        let [dx, ..] = backward(level, &part, &alone, 0);
        assert_same_bits(&dx, &gradients[0][range], "dx of some rows", level);
    }
}

fn check<T: Element>(case: &Case<T>) {
    let mut fused: Option<(Forward<T>, [Vec<T>; 3])> = None;
    for level in levels() {
        check_forward(case, level);
        check_backward(case, level);
        let first = forward(level, case, 0);
        let gradients = backward(level, case, &first, 0);
        check_bits(case, level, &first, &gradients);
        if level != Level::Portable {
            let (expected, all) = fused.get_or_insert((first.clone(), gradients.clone()));
            assert_same(&first, expected, "levels", level);
            for (actual, expected) in gradients.iter().zip(all) {
                assert_same_bits(actual, expected, "gradients of levels", level);
            }
        }
    }
}

/// Shapes around the boundaries of blocks, fours of rows, groups and chunks; rows of different mean and spread.
fn case<T: Element>() -> impl Strategy<Value = Case<T>> {
    let wide = prop_oneof![250usize..270, 500usize..530, Just(1024)];
    let chunks = prop_oneof![2040usize..2060, 4090usize..4105, 8185usize..8200];
    let shape = prop_oneof![
        3 => (1usize..40, 1usize..70),
        2 => (1usize..20, wide),
        1 => (1usize..4, chunks),
    ];
    let means = prop::sample::select(vec![0.0, 1.0, -30.0, 1e4]);
    let spreads = prop::sample::select(vec![1.0, 0.1, 100.0, 1e-3, 0.0]);
    let kinds = prop::collection::vec((means, spreads), 1..8);
    (shape, kinds, any::<u64>())
        .prop_map(|((rows, features), kinds, seed)| Case::new(rows, features, seed, &kinds))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn f32_is_within_its_bounds(case in case::<f32>()) {
        check(&case);
    }

    #[test]
    fn f64_is_within_its_bounds(case in case::<f64>()) {
        check(&case);
    }
}

/// A plain sum of 100,000 values would be off by a thousandth.
#[test]
fn long_rows_cost_no_digits() {
    let kinds = [(0.0, 1.0), (1e3, 1.0), (-5.0, 100.0)];
    for features in [65_536, 100_000] {
        let (single, double) =
            (Case::<f32>::new(3, features, 1, &kinds), Case::<f64>::new(3, features, 1, &kinds));
        for level in levels() {
            check_forward(&single, level);
            check_backward(&single, level);
            check_forward(&double, level);
            check_backward(&double, level);
        }
    }
}

/// A hundred thousand deviations away from 0, the rounding of the mean would cost the variance digits.
#[test]
fn a_large_mean_costs_no_digits() {
    let case = Case::<f32>::new(5, 1000, 3, &[(1e5, 1.0)]);
    for level in levels() {
        let actual = forward(level, &case, 0);
        for (inv_std, exact) in actual.inv_std.iter().zip(oracle::row_moments(1000, &case.x)) {
            let error = f64::from(*inv_std) * (exact.variance + EPSILON).sqrt() - 1.0;
            assert!(error.abs() < 1e-6, "at {}: {error:e}", level.name());
        }
    }
}

#[test]
fn a_constant_row_gives_beta() {
    for features in [1, 3, 16, 17, 100, 5000] {
        let mut case = Case::<f32>::new(3, features, 2, &[(0.0, 1.0)]);
        for (x, value) in case.x.chunks_mut(features).zip([0.1, -3e5, 0.0]) {
            x.fill(value);
        }
        for level in levels() {
            let actual = forward(level, &case, 0);
            assert_eq!(actual.mean, [0.1, -3e5, 0.0], "{features} at {}", level.name());
            for y in actual.y.chunks(features) {
                assert_eq!(y, case.beta, "{features} at {}", level.name());
            }
        }
    }
}

#[test]
fn nan_and_infinity_stay_in_their_row() {
    for (rows, features) in [(9, 37), (5, 500), (6, 1)] {
        let healthy = Case::<f32>::new(rows, features, 9, &[(1.0, 2.0)]);
        for (bad, place) in [(f32::NAN, 0), (f32::INFINITY, features / 2), (f32::NEG_INFINITY, features - 1)]
        {
            let (mut case, hit) = (healthy.clone(), rows / 2);
            case.x[hit * features + place] = bad;
            for level in levels() {
                let (actual, expected) = (forward(level, &case, 0), forward(level, &healthy, 0));
                let [dx, dgamma, dbeta] = backward(level, &case, &actual, 0);
                let [healthy_dx, ..] = backward(level, &healthy, &expected, 0);
                let all = actual.y.iter().zip(&expected.y).zip(dx.iter().zip(&healthy_dx)).enumerate();
                for (i, ((y, healthy_y), (dx, healthy_dx))) in all {
                    if i / features == hit {
                        assert!(y.is_nan() && dx.is_nan());
                    } else {
                        assert_eq!([y.to_bits(), dx.to_bits()], [healthy_y.to_bits(), healthy_dx.to_bits()]);
                    }
                }
                assert!(actual.mean[hit].is_nan() || actual.mean[hit].is_infinite());
                assert!(actual.inv_std[hit].is_nan());
                assert!(dgamma.iter().all(|x| x.is_nan()) && dbeta.iter().all(|x| x.is_finite()));
            }
        }
    }
}

#[test]
fn squares_that_overflow_give_beta() {
    let mut case = Case::<f32>::new(3, 40, 5, &[(0.0, 1.0)]);
    case.x[40..80].iter_mut().enumerate().for_each(|(i, x)| *x = if i % 2 == 0 { 1e30 } else { -1e30 });
    for level in levels() {
        let actual = forward(level, &case, 0);
        assert_eq!((actual.mean[1], actual.inv_std[1]), (0.0, 0.0));
        assert_eq!(actual.y[40..80], case.beta, "{}", level.name());
        assert!(actual.y[..40].iter().chain(&actual.y[80..]).all(|y| y.abs() < 100.0));
    }
}

/// The backward pass is the derivative of the forward pass: against centred differences of `sum dy * y`.
#[test]
fn backward_agrees_with_centred_differences() {
    for (rows, features) in [(5, 7), (3, 2), (9, 19), (1, 40)] {
        let mut case = Case::<f64>::new(rows, features, 11, &[(0.5, 1.0)]);
        for level in levels() {
            let analytic = backward(level, &case, &forward(level, &case, 0), 0);
            let h = 1e-5;
            for (which, analytic) in analytic.iter().enumerate() {
                let scale = analytic.iter().fold(1.0f64, |m, g| m.max(g.abs()));
                for (i, analytic) in analytic.iter().enumerate() {
                    let mut at = |delta: f64| {
                        let target = |case: &mut Case<f64>, value: Option<f64>| {
                            let target = [&mut case.x, &mut case.gamma, &mut case.beta];
                            let place = &mut target.into_iter().nth(which).unwrap()[i];
                            core::mem::replace(place, value.unwrap_or(*place + delta))
                        };
                        let old = target(&mut case, None);
                        let y = forward(level, &case, 0).y;
                        target(&mut case, Some(old));
                        reference::reduce::dot(&y, &case.dy).value
                    };
                    let numeric = (at(h) - at(-h)) / (2.0 * h);
                    let error = (numeric - analytic).abs() / scale;
                    assert!(error < 1e-7, "{which}, {i}: {analytic} against {numeric}: {error:e}");
                }
            }
        }
    }
}

/// By hand: 1, 2, 3, 6 have mean 3 and variance 3.5.
#[test]
fn a_row_by_hand() {
    for level in levels() {
        let (mut mean, mut inv_std, mut y) = ([0.0f64], [0.0], [0.0; 4]);
        let affine = Affine { gamma: &[1.0, 2.0, 1.0, -1.0], beta: &[0.0, 0.0, 5.0, 1.0] };
        let saved = SavedMut { mean: &mut mean, inv_std: &mut inv_std };
        layer_norm_forward(level, 0.5, 4, &[1.0, 2.0, 3.0, 6.0], affine, saved, &mut y).unwrap();
        assert_eq!((mean, inv_std, y), ([3.0], [0.5], [-1.0, -1.0, 5.0, -0.5]), "{}", level.name());
    }
}

#[test]
fn no_rows_have_no_gradient() {
    let (mut dgamma, mut dbeta) = ([7.0f32; 3], [7.0; 3]);
    let gradient = AffineGradient { gamma: &mut dgamma, beta: &mut dbeta };
    let (level, saved) = (Level::detect(), Saved { mean: &[], inv_std: &[] });
    layer_norm_backward_in_place(level, 3, &[], &[1.0; 3], saved, &mut [], gradient).unwrap();
    assert_eq!((dgamma, dbeta), ([0.0; 3], [0.0; 3]));
    layer_norm_evaluate::<f32>(level, EPSILON, 1, &[], Affine { gamma: &[1.0], beta: &[0.0] }, &mut [])
        .unwrap();
}

#[test]
fn errors_leave_every_output_untouched() {
    let (level, ones) = (Level::detect(), [1.0f32; 12]);
    let run = |features: usize, lens: [usize; 9], forward: bool| {
        let (mut y, mut c) = ([7.0f32; 13], [[7.0f32; 4]; 4]);
        let [a, b, d, e] = &mut c;
        let [x, gamma, beta, mean, inv_std, dy, out, dgamma, dbeta] = lens;
        let affine = Affine { gamma: &ones[..gamma], beta: &ones[..beta] };
        let result = if forward {
            let saved = SavedMut { mean: &mut a[..mean], inv_std: &mut b[..inv_std] };
            layer_norm_forward(level, EPSILON, features, &ones[..x], affine, saved, &mut y[..out])
        } else {
            let saved = Saved { mean: &ones[..mean], inv_std: &ones[..inv_std] };
            let gradient = AffineGradient { gamma: &mut d[..dgamma], beta: &mut e[..dbeta] };
            let (x, gamma, dx) = (&ones[..x], &ones[..gamma], &mut y[..out]);
            layer_norm_backward(level, features, x, gamma, saved, &ones[..dy], dx, gradient)
        };
        assert!(y == [7.0; 13] && c == [[7.0; 4]; 4]);
        result.unwrap_err()
    };
    let wrong = |argument, expected, actual| ShapeError { argument, expected, actual };
    let fits = [12, 3, 3, 4, 4, 12, 12, 3, 3];
    for (forward, names) in [
        (true, [(1, "affine.gamma"), (2, "affine.beta"), (3, "saved.mean"), (4, "saved.inv_std"), (6, "y")]),
        (false, [(1, "gamma"), (3, "saved.mean"), (4, "saved.inv_std"), (5, "dy"), (6, "dx")]),
        (false, [(7, "gradient.gamma"), (8, "gradient.beta"), (1, "gamma"), (5, "dy"), (6, "dx")]),
    ] {
        for (i, name) in names {
            let mut lens = fits;
            lens[i] -= 1;
            assert_eq!(run(3, lens, forward), wrong(name, fits[i], fits[i] - 1));
        }
        let mut lens = fits;
        lens[0] = 11;
        assert_eq!(run(3, lens, forward), wrong("x", 9, 11));
        assert_eq!(run(0, fits, forward), wrong("features", 1, 0));
    }
    let mut y = [7.0f32; 4];
    let affine = Affine { gamma: &ones[..2], beta: &ones[..2] };
    let error = layer_norm_evaluate(level, EPSILON, 2, &ones[..6], affine, &mut y).unwrap_err();
    assert_eq!(error, wrong("y", 6, 4));
    let error = layer_norm_evaluate_in_place(level, EPSILON, 2, &mut y[..3], affine).unwrap_err();
    assert_eq!(error, wrong("x", 2, 3));
    let (mut dgamma, mut dbeta) = ([7.0; 2], [7.0; 2]);
    let gradient = AffineGradient { gamma: &mut dgamma, beta: &mut dbeta };
    let saved = Saved { mean: &ones[..2], inv_std: &ones[..2] };
    let error = layer_norm_backward_in_place(level, 2, &ones[..4], &ones[..2], saved, &mut y[..3], gradient)
        .unwrap_err();
    assert_eq!(error, wrong("dy", 4, 3));
    assert_eq!((y, dgamma, dbeta), ([7.0; 4], [7.0; 2], [7.0; 2]));
}
