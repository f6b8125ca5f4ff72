//! With an activation, and with statistics that are held.

use super::*;

/// One of each way: in registers, over pieces, by nothing.
const ACTIVATIONS: [Activation; 5] = [
    Activation::Identity,
    Activation::Relu,
    Activation::LeakyRelu { slope: 0.01 },
    Activation::Silu,
    Activation::Tanh,
];

/// `y` of the fused forward pass, everything `offset` elements past a cache line.
fn fused_forward<T: Element>(
    level: Level,
    activation: Activation,
    case: &Case<T>,
    offset: usize,
) -> Forward<T> {
    let c = case.channels.channels();
    let dirty = |n| Placed::new(&vec![T::from_f64(f64::NAN); n], offset);
    let zeros = || Placed::new(&vec![T::default(); c], offset);
    let (mut mean, mut inv_std, mut y) = (dirty(c), dirty(c), dirty(case.x.len()));
    let (mut running_mean, mut variance) = (zeros(), zeros());
    batch_norm_activation_forward(
        level,
        &KEEP_BATCH,
        0,
        case.channels,
        Placed::new(&case.x, offset).get(),
        Affine { gamma: Placed::new(&case.gamma, offset).get(), beta: Placed::new(&case.beta, offset).get() },
        RunningMut { mean: running_mean.get_mut(), variance: variance.get_mut() },
        activation,
        SavedMut { mean: mean.get_mut(), inv_std: inv_std.get_mut() },
        y.get_mut(),
    )
    .unwrap();
    let [mean, inv_std, variance, y] = [mean, inv_std, variance, y].map(|x| x.get().to_vec());
    Forward { mean, inv_std, variance, y }
}

/// `[dx, dgamma, dbeta]` of the fused backward pass, out of place and in place.
fn fused_backward<T: Element>(
    level: Level,
    activation: Activation,
    case: &Case<T>,
    saved: &Forward<T>,
    offset: usize,
) -> [[Vec<T>; 3]; 2] {
    let c = case.channels.channels();
    let dirty = |n| Placed::new(&vec![T::from_f64(f64::NAN); n], offset);
    let [x, dy, gamma, beta, mean, inv_std] =
        [&case.x, &case.dy, &case.gamma, &case.beta, &saved.mean, &saved.inv_std]
            .map(|x| Placed::new(x, offset));
    let affine = Affine { gamma: gamma.get(), beta: beta.get() };
    let saved = Saved { mean: mean.get(), inv_std: inv_std.get() };
    let (mut dx, mut dgamma, mut dbeta) = (dirty(case.x.len()), dirty(c), dirty(c));
    let gradient = AffineGradient { gamma: dgamma.get_mut(), beta: dbeta.get_mut() };
    let (channels, x, dy) = (case.channels, x.get(), dy.get());
    batch_norm_activation_backward(level, channels, x, affine, activation, saved, dy, dx.get_mut(), gradient)
        .unwrap();
    let apart = [&dx, &dgamma, &dbeta].map(|x| x.get().to_vec());
    let mut dx = Placed::new(dy, offset);
    let gradient = AffineGradient { gamma: dgamma.get_mut(), beta: dbeta.get_mut() };
    batch_norm_activation_backward_in_place(
        level,
        channels,
        x,
        affine,
        activation,
        saved,
        dx.get_mut(),
        gradient,
    )
    .unwrap();
    [apart, [&dx, &dgamma, &dbeta].map(|x| x.get().to_vec())]
}

/// The parts one after the other.
fn check_fused<T: Element>(case: &Case<T>) {
    for level in levels() {
        let plain = forward(level, case, 0);
        for activation in ACTIVATIONS {
            let mut expected = plain.clone();
            activate_in_place(level, activation, &mut expected.y);
            let mut dz = vec![T::default(); case.x.len()];
            activation_backward_from_input(level, activation, &plain.y, &case.dy, &mut dz).unwrap();
            let gradients = backward(level, &Case { dy: dz, ..case.clone() }, &plain, 0);
            for offset in [0, 3] {
                assert_same_forward(&fused_forward(level, activation, case, offset), &expected, level);
                for actual in fused_backward(level, activation, case, &plain, offset) {
                    for (actual, expected) in actual.iter().zip(&gradients) {
                        assert_same_bits(actual, expected, "gradients", level);
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn the_bits_are_those_of_the_parts(case in case::<f32>()) {
        check_fused(&case);
    }

    #[test]
    fn the_bits_are_those_of_the_parts_f64(case in case::<f64>()) {
        check_fused(&case);
    }

    #[test]
    fn frozen_gradients_are_within_their_bounds(case in case::<f32>()) {
        check_frozen(&case);
    }

    #[test]
    fn frozen_gradients_are_within_their_bounds_f64(case in case::<f64>()) {
        check_frozen(&case);
    }
}

/// NaN, infinities and zeros meet the same arithmetic, and spoil their own channel alone. Rows and planes longer than a piece.
#[test]
fn special_values_take_the_same_way() {
    for channels in [Channels::last(40, 700), Channels::last(900, 3), Channels::first(3, 18, 600)] {
        let mut case = case_of::<f32>(channels, 5);
        for (i, special) in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 1e-40].into_iter().enumerate()
        {
            case.x[i * 7] = special;
            case.dy[i * 11 + 2] = special;
        }
        check_fused(&case);
    }
}

/// `[dx, dgamma, dbeta]` of an evaluation's backward pass, out of place and in place.
fn frozen<T: Element>(
    level: Level,
    case: &Case<T>,
    running: Running<'_, T>,
    offset: usize,
) -> [[Vec<T>; 3]; 2] {
    let c = case.channels.channels();
    let dirty = |n| Placed::new(&vec![T::from_f64(f64::NAN); n], offset);
    let [x, dy, gamma] = [&case.x, &case.dy, &case.gamma].map(|x| Placed::new(x, offset));
    let (mut dx, mut dgamma, mut dbeta) = (dirty(case.x.len()), dirty(c), dirty(c));
    let gradient = AffineGradient { gamma: dgamma.get_mut(), beta: dbeta.get_mut() };
    let (channels, x, dy, gamma) = (case.channels, x.get(), dy.get(), gamma.get());
    batch_norm_evaluate_backward(level, 1e-5, channels, x, gamma, running, dy, dx.get_mut(), gradient)
        .unwrap();
    let apart = [&dx, &dgamma, &dbeta].map(|x| x.get().to_vec());
    let mut dx = Placed::new(dy, offset);
    let gradient = AffineGradient { gamma: dgamma.get_mut(), beta: dbeta.get_mut() };
    batch_norm_evaluate_backward_in_place(level, 1e-5, channels, x, gamma, running, dx.get_mut(), gradient)
        .unwrap();
    [apart, [&dx, &dgamma, &dbeta].map(|x| x.get().to_vec())]
}

fn check_frozen<T: Element>(case: &Case<T>) {
    let (channels, u) = (case.channels, T::EPSILON.to_f64() / 2.0);
    let variance: Vec<T> = case.gamma.iter().map(|g| *g * *g).collect();
    let running = Running { mean: &case.beta, variance: &variance };
    let exact = oracle::evaluate_backward(channels, 1e-5, &case.x, &case.gamma, running, &case.dy);
    let l = (roundings(channels.per_channel() as f64) + 4.0) * u;
    let mut same: Option<[Vec<T>; 3]> = None;
    for level in levels() {
        let [first, in_place] = frozen(level, case, running, 0);
        for (actual, exact, what) in [
            (&first[0], &exact.dx, "dx"),
            (&first[1], &exact.dgamma, "dgamma"),
            (&first[2], &exact.dbeta, "dbeta"),
        ] {
            for (actual, exact) in actual.iter().zip(exact) {
                assert_close(*actual, exact.value, l * exact.magnitude, what, level);
            }
        }
        let elsewhere = frozen(level, case, running, 5);
        for other in [&in_place, &elsewhere[0], &elsewhere[1]] {
            for (actual, expected) in other.iter().zip(&first) {
                assert_same_bits(actual, expected, "in place, elsewhere", level);
            }
        }
        if level != Level::Portable {
            for (actual, expected) in first.iter().zip(same.get_or_insert(first.clone())) {
                assert_same_bits(actual, expected, "levels", level);
            }
        }
    }
}

/// Against centred differences of `sum dy * y`, with a kink nowhere near.
#[test]
fn gradients_agree_with_centred_differences() {
    for channels in [Channels::last(7, 5), Channels::last(60, 2), Channels::first(3, 2, 19)] {
        let (case, level) = (case_of_normal(channels), Level::detect());
        let running =
            Running { mean: &vec![0.3; channels.channels()], variance: &vec![2.0; channels.channels()] };
        let silu = Activation::Silu;
        let saved = fused_forward(level, silu, &case, 0);
        let [fused, _] = fused_backward(level, silu, &case, &saved, 0);
        let [held, _] = frozen(level, &case, running, 0);
        let dot = |y: &[f64]| reference::reduce::dot(y, &case.dy).value;
        let fused_loss = |case: &Case<f64>| dot(&fused_forward(level, silu, case, 0).y);
        let held_loss = |case: &Case<f64>| {
            let (affine, mut y) = (Affine { gamma: &case.gamma, beta: &case.beta }, vec![0.0; case.x.len()]);
            batch_norm_evaluate(level, 1e-5, channels, &case.x, affine, running, &mut y).unwrap();
            dot(&y)
        };
        agrees_with_differences(&case, &fused, fused_loss);
        agrees_with_differences(&case, &held, held_loss);
    }
}

#[test]
fn a_wrong_length_leaves_everything_as_it_was() {
    let (level, channels) = (Level::detect(), Channels::last(4, 3));
    let (x, c) = ([1.0f32; 12], [1.0f32; 3]);
    for short in 0..9 {
        let len = |which: usize, n: usize| if which == short { n - 1 } else { n };
        let (mut dx, mut out) = ([7.0f32; 12], [[7.0f32; 3]; 2]);
        let names = [
            "x",
            "gamma",
            "dy",
            "dx",
            "saved.mean",
            "saved.inv_std",
            "gradient.gamma",
            "gradient.beta",
            "affine.beta",
        ];
        let [dgamma, dbeta] = &mut out;
        let error = batch_norm_activation_backward(
            level,
            channels,
            &x[..len(0, 12)],
            Affine { gamma: &c[..len(1, 3)], beta: &c[..len(8, 3)] },
            Activation::Silu,
            Saved { mean: &c[..len(4, 3)], inv_std: &c[..len(5, 3)] },
            &x[..len(2, 12)],
            &mut dx[..len(3, 12)],
            AffineGradient { gamma: &mut dgamma[..len(6, 3)], beta: &mut dbeta[..len(7, 3)] },
        )
        .unwrap_err();
        assert_eq!(error.argument, names[short]);
        assert!(dx == [7.0; 12] && out == [[7.0; 3]; 2]);
        if short == 8 {
            continue;
        }
        let names =
            ["x", "gamma", "dy", "dx", "running.mean", "running.variance", "gradient.gamma", "gradient.beta"];
        let [dgamma, dbeta] = &mut out;
        let error = batch_norm_evaluate_backward(
            level,
            1e-5,
            channels,
            &x[..len(0, 12)],
            &c[..len(1, 3)],
            Running { mean: &c[..len(4, 3)], variance: &c[..len(5, 3)] },
            &x[..len(2, 12)],
            &mut dx[..len(3, 12)],
            AffineGradient { gamma: &mut dgamma[..len(6, 3)], beta: &mut dbeta[..len(7, 3)] },
        )
        .unwrap_err();
        assert_eq!(error.argument, names[short]);
        assert!(dx == [7.0; 12] && out == [[7.0; 3]; 2]);
    }
}
