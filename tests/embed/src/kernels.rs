//! One function for each file of kernels, one call for each kernel.
//!
//! Sizes, strides and choices come through `black_box`: every path stays in the program.

use core::ffi::CStr;
use core::hint::black_box;

use rand_pcg::Pcg64;
use slicewise::kernels::{
    self, Activation, Affine, AffineGradient, BatchNorm, Channels, Element, Epilogue, Function, Level,
    MatMut, MatRef, Optimizer, PackedB, Running, RunningMut, Saved, SavedMut, Step, Targets,
};

use crate::{Backwards, hide, say};

/// Rows and columns of the operands, and their elements.
const ROWS: usize = 10;
const COLS: usize = 7;
const LEN: usize = ROWS * COLS;

/// Runs one file of kernels on the operands; true where the results are right.
type Check<T> = fn(&mut Operands<'_, T>) -> bool;

/// Calls every kernel; true where all succeed, and the results that are easy to state are right.
pub fn run<T: Element>(level: Level) -> bool {
    let level = black_box(level);
    let kernels: &[(&CStr, Check<T>)] = &[
        (c"reduce is wrong", reduce),
        (c"gemm is wrong", gemm),
        (c"parallel is wrong", parallel),
        (c"rows is wrong", rows),
        (c"activation is wrong", activation),
        (c"function is wrong", function),
        (c"maxout is wrong", maxout),
        (c"prelu is wrong", prelu),
        (c"softmax is wrong", softmax),
        (c"batch_norm is wrong", batch_norm),
        (c"batch_norm_evaluation is wrong", batch_norm_evaluation),
        (c"layer_norm is wrong", layer_norm),
        (c"statistics is wrong", statistics),
        (c"center is wrong", center),
        (c"clip is wrong", clip),
        (c"limit is wrong", limit),
        (c"optimizer is wrong", optimizer),
        (c"random is wrong", random),
    ];
    let mut all = true;
    for (wrong, kernel) in kernels {
        let (mut long, mut short) = ([[T::from(1); LEN]; 4], [[T::from(1); COLS]; 6]);
        let (mut labels, mut bytes) = ([1; ROWS], [1; LEN]);
        let right = kernel(&mut Operands {
            level,
            long: long.each_mut().map(|x| hide(x)),
            short: short.each_mut().map(|x| hide(x)),
            labels: hide(&mut labels),
            bytes: hide(&mut bytes),
        });
        if !right {
            say(wrong);
        }
        all &= right;
    }
    all
}

/// Slices that the compiler knows nothing of: `long` of `LEN` ones, `short` of `COLS` ones.
struct Operands<'a, T> {
    level: Level,
    long: [&'a mut [T]; 4],
    short: [&'a mut [T]; 6],
    labels: &'a [u32],
    bytes: &'a [u8],
}

/// All `value`?
fn is_all<T: Element>(x: &[T], value: u8) -> bool {
    x.iter().all(|x| *x == T::from(value))
}

fn reduce<T: Element>(operands: &mut Operands<'_, T>) -> bool {
    let Operands { level, long: [x, y, ..], .. } = operands;
    let (all, one) = (T::from(LEN as u8), T::from(1));
    let mut counts = [0; 3];
    kernels::sum(*level, x) == all
        && kernels::dot(*level, x, y) == Ok(all)
        && kernels::sum_of_squares(*level, x) == all
        && kernels::sum_abs(*level, x) == all
        && kernels::norm(*level, x) == all.sqrt()
        && kernels::l2_penalty(*level, black_box(2.0), x) == all.to_f64()
        && kernels::mean(*level, x) == one
        && kernels::variance(*level, x) == T::default()
        && kernels::max(*level, x) == one
        && kernels::min(*level, x) == one
        && kernels::argmax(*level, x) == Some(0)
        && kernels::histogram(x, black_box(0.0), 1.0, hide(&mut counts)) == 0
        && counts == [0, 0, LEN as u64]
}

fn gemm<T: Element>(operands: &mut Operands<'_, T>) -> bool {
    let Operands { level, long: [a, b, c, ..], .. } = operands;
    let mut scratch = [T::default(); kernels::gemm_scratch_len(ROWS, 5, COLS)];
    let ((m, n, k), [rows, cols]) = (black_box((ROWS, 5, COLS)), black_box([5, 1]));
    let a = MatRef::row_major(a, m, k);
    let b = MatRef::strided(b, k, n, rows, cols);
    let c_view = MatMut::strided(c, m, n, rows, cols);
    let (one, zero, of_c) = (T::from(1), black_box(T::default()), ..ROWS * 5);
    let plain = kernels::gemm(*level, one, a, b, zero, c_view, hide(&mut scratch)).is_ok()
        && is_all(c.get(of_c).unwrap_or_default(), COLS as u8);
    let bias = [one; 5];
    let epilogue =
        Epilogue { bias: Some(&bias), activation: black_box(Activation::LeakyRelu { slope: 0.5 }) };
    let c_view = MatMut::strided(c, m, n, rows, cols);
    let with_epilogue =
        kernels::gemm_with_epilogue(*level, one, a, b, zero, c_view, epilogue, hide(&mut scratch)).is_ok()
            && is_all(c.get(of_c).unwrap_or_default(), COLS as u8 + 1);
    let mut storage = [T::default(); kernels::packed_b_len(COLS, 5)];
    let mut scratch = [T::default(); kernels::gemm_packed_scratch_len(ROWS, COLS)];
    let packed = PackedB::pack(*level, b, hide(&mut storage)).is_ok()
        && PackedB::open(*level, k, n, hide(&mut storage)).is_ok_and(|packed| {
            let c_view = MatMut::strided(c, m, n, rows, cols);
            kernels::gemm_packed(one, a, &packed, zero, c_view, epilogue, hide(&mut scratch)).is_ok()
        })
        && is_all(c.get(of_c).unwrap_or_default(), COLS as u8 + 1);
    plain && with_epilogue && packed
}

fn parallel<T: Element>(operands: &mut Operands<'_, T>) -> bool {
    let Operands { level, long: [x, y, c, ..], .. } = operands;
    let mut scratch = [T::default(); kernels::gemm_on_scratch_len(ROWS, 5, COLS, 3)];
    let a = MatRef::strided(x, ROWS, COLS, black_box(COLS), black_box(1));
    let b = MatRef::strided(y, COLS, 5, black_box(5), black_box(1));
    let c_view = MatMut::strided(c, ROWS, 5, black_box(5), black_box(1));
    let zero = black_box(T::default());
    let product = kernels::gemm_on(&Backwards, *level, T::from(1), a, b, zero, c_view, hide(&mut scratch))
        .is_ok()
        && is_all(c.get(..ROWS * 5).unwrap_or_default(), COLS as u8);
    let epilogue = Epilogue { bias: None, activation: black_box(Activation::Relu) };
    let c_view = MatMut::strided(c, ROWS, 5, black_box(5), black_box(1));
    let scratch = hide(&mut scratch);
    let product = product
        && kernels::gemm_with_epilogue_on(
            &Backwards,
            *level,
            T::from(1),
            a,
            b,
            zero,
            c_view,
            epilogue,
            scratch,
        )
        .is_ok()
        && is_all(c.get(..ROWS * 5).unwrap_or_default(), COLS as u8);
    // dy = 1, and a weight of 1 takes a step of 1.
    let (relu, pool) = (black_box(Activation::Relu), &Backwards);
    let step = Step { optimizer: black_box(Optimizer::Sgd), learning_rate: 1.0, regularisation: 0.0, t: 1 };
    let activation = kernels::activate_on(pool, *level, relu, x, c).is_ok()
        && kernels::activate_in_place_on(pool, *level, relu, c).is_ok()
        && kernels::activation_backward_in_place_on(pool, *level, relu, c, y).is_ok()
        && is_all(y, 1)
        && kernels::activation_backward_on(pool, *level, relu, x, y, c).is_ok()
        && kernels::activation_backward_from_input_on(pool, *level, relu, x, y, c).is_ok()
        && is_all(c, 1);
    let update =
        kernels::optimizer_step_on(pool, *level, &step, c, y, &mut [], &mut []).is_ok() && is_all(c, 0);
    product && activation && update
}

fn rows<T: Element>(operands: &mut Operands<'_, T>) -> bool {
    let Operands { level, long: [x, y, ..], short: [row, sum, ..], .. } = operands;
    kernels::repeat_row(*level, row, x).is_ok()
        && kernels::multiply(*level, x, x, y).is_ok()
        && kernels::multiply_in_place(*level, x, y).is_ok()
        && kernels::sum_rows(*level, y, sum).is_ok()
        && is_all(sum, ROWS as u8)
}

fn activation<T: Element>(operands: &mut Operands<'_, T>) -> bool {
    let Operands { level, long: [x, y, dy, dx], .. } = operands;
    let f = black_box(Activation::Relu);
    kernels::activate_in_place(*level, f, x);
    kernels::activate(*level, f, x, y).is_ok()
        && kernels::activation_backward(*level, f, y, dy, dx).is_ok()
        && kernels::activation_backward_from_input(*level, f, x, dy, dx).is_ok()
        && kernels::activation_backward_in_place(*level, f, y, dy).is_ok()
        && [x, y, dy, dx].into_iter().all(|z| is_all(z, 1))
}

fn function<T: Element>(operands: &mut Operands<'_, T>) -> bool {
    let Operands { level, long: [x, y, ..], .. } = operands;
    // The inverse square root of 1 is 1, and so is the square root of that.
    kernels::apply(*level, black_box(Function::Rsqrt), x, y).is_ok() && {
        kernels::apply_in_place(*level, black_box(Function::Sqrt), y);
        is_all(y, 1)
    }
}

fn maxout<T: Element>(operands: &mut Operands<'_, T>) -> bool {
    let Operands { level, long: [x, dx, ..], short: [y, dy, ..], .. } = operands;
    let (pieces, units) = black_box((ROWS, COLS));
    kernels::maxout(*level, pieces, units, x, y).is_ok()
        && kernels::maxout_backward(*level, pieces, units, x, y, dy, dx).is_ok()
        && is_all(y, 1)
}

fn prelu<T: Element>(operands: &mut Operands<'_, T>) -> bool {
    let Operands { level, long: [x, y, dy, dx], short: [slopes, dslopes, ..], .. } = operands;
    let channels = black_box(Channels::last(ROWS, COLS));
    kernels::prelu(*level, channels, x, slopes, y).is_ok()
        && kernels::prelu_backward(*level, channels, x, slopes, dy, dx, dslopes).is_ok()
        && is_all(y, 1)
        && is_all(dslopes, 0)
}

fn softmax<T: Element>(operands: &mut Operands<'_, T>) -> bool {
    let Operands { level, long: [logits, probabilities, dlogits, ..], labels, .. } = operands;
    let classes = black_box(COLS);
    kernels::softmax(*level, classes, logits, probabilities).is_ok()
        && kernels::log_softmax(*level, classes, logits, dlogits).is_ok()
        && kernels::cross_entropy(*level, classes, logits, Targets::Probabilities(probabilities), dlogits)
            .is_ok()
        && kernels::cross_entropy(*level, classes, logits, Targets::Labels(labels), dlogits).is_ok()
        && kernels::cross_entropy_loss(
            *level,
            classes,
            logits,
            Targets::Smoothed { labels, smoothing: T::from(0) },
        )
        .is_ok()
        && kernels::hinge(*level, classes, T::from(1), logits, labels, dlogits).is_ok()
        && kernels::squared_error(*level, logits, probabilities, dlogits).is_ok()
}

fn batch_norm<T: Element>(operands: &mut Operands<'_, T>) -> bool {
    let Operands {
        level,
        long: [x, y, dy, dx],
        short: [gamma, beta, mean, variance, saved_mean, inv_std],
        ..
    } = operands;
    let (channels, config) = (black_box(Channels::last(ROWS, COLS)), black_box(BatchNorm::DEFAULT));
    let affine = Affine { gamma, beta };
    let running = RunningMut { mean, variance };
    let saved = SavedMut { mean: saved_mean, inv_std };
    kernels::batch_norm_forward(*level, &config, 0, channels, x, affine, running, saved, y).is_ok()
        && is_all(y, 1)
        && {
            let (dgamma, dbeta) = (&mut **mean, &mut **variance);
            let saved = Saved { mean: saved_mean, inv_std };
            let gradient = AffineGradient { gamma: dgamma, beta: dbeta };
            kernels::batch_norm_backward(*level, channels, x, gamma, saved, dy, dx, gradient).is_ok()
                && {
                    let gradient = AffineGradient { gamma: dgamma, beta: dbeta };
                    kernels::batch_norm_backward_in_place(*level, channels, x, gamma, saved, dy, gradient)
                        .is_ok()
                }
                && is_all(dbeta, ROWS as u8)
        }
        && fused(*level, channels, [x, y, dy, dx], [gamma, beta, mean, variance, saved_mean, inv_std])
        && {
            let (affine, pool) = (Affine { gamma, beta }, &Backwards);
            let running = RunningMut { mean, variance };
            let saved = SavedMut { mean: saved_mean, inv_std };
            kernels::batch_norm_forward_on(pool, *level, &config, 0, channels, x, affine, running, saved, y)
                .is_ok()
                && is_all(y, 1)
        }
        && {
            let (pool, saved) = (&Backwards, Saved { mean: saved_mean, inv_std });
            let gradient = AffineGradient { gamma: mean, beta: variance };
            kernels::batch_norm_backward_on(pool, *level, channels, x, gamma, saved, y, dx, gradient).is_ok()
                && {
                    let gradient = AffineGradient { gamma: mean, beta: variance };
                    kernels::batch_norm_backward_in_place_on(
                        pool, *level, channels, x, gamma, saved, y, gradient,
                    )
                    .is_ok()
                }
                && is_all(variance, ROWS as u8)
        }
}

/// With an activation: rectified, by pieces.
fn fused<T: Element>(
    level: Level,
    channels: Channels,
    [x, y, dy, dx]: [&mut [T]; 4],
    [gamma, beta, mean, variance, saved_mean, inv_std]: [&mut [T]; 6],
) -> bool {
    let affine = Affine { gamma, beta };
    let config = black_box(BatchNorm::DEFAULT);
    [Activation::Relu, Activation::HardTanh].into_iter().all(|activation| {
        let activation = black_box(activation);
        let running = RunningMut { mean: &mut *mean, variance: &mut *variance };
        let saved = SavedMut { mean: &mut *saved_mean, inv_std: &mut *inv_std };
        kernels::batch_norm_activation_forward(
            level, &config, 0, channels, x, affine, running, activation, saved, y,
        )
        .is_ok()
            && is_all(y, 1)
            && {
                let saved = Saved { mean: saved_mean, inv_std };
                let gradient = AffineGradient { gamma: &mut *mean, beta: &mut *variance };
                kernels::batch_norm_activation_backward(
                    level, channels, x, affine, activation, saved, dy, dx, gradient,
                )
                .is_ok()
                    && {
                        let gradient = AffineGradient { gamma: &mut *mean, beta: &mut *variance };
                        kernels::batch_norm_activation_backward_in_place(
                            level, channels, x, affine, activation, saved, dy, gradient,
                        )
                        .is_ok()
                    }
            }
    })
}

fn batch_norm_evaluation<T: Element>(operands: &mut Operands<'_, T>) -> bool {
    let Operands {
        level, long: [x, y, weight, dx], short: [gamma, beta, mean, variance, bias, dgamma], ..
    } = operands;
    let mut dbeta = [T::default(); COLS];
    let dbeta = hide(&mut dbeta);
    let (channels, epsilon) = (black_box(Channels::first(2, COLS, 5)), black_box(0.0));
    let (affine, running) = (Affine { gamma, beta }, Running { mean, variance });
    kernels::batch_norm_evaluate(*level, epsilon, channels, x, affine, running, y).is_ok()
        && kernels::batch_norm_evaluate_in_place(*level, epsilon, channels, x, affine, running).is_ok()
        && kernels::batch_norm_fold(*level, epsilon, affine, running, weight, bias).is_ok()
        && {
            let gradient = AffineGradient { gamma: dgamma, beta: dbeta };
            kernels::batch_norm_evaluate_backward(
                *level, epsilon, channels, x, gamma, running, y, dx, gradient,
            )
            .is_ok()
        }
        && {
            let gradient = AffineGradient { gamma: dgamma, beta: dbeta };
            kernels::batch_norm_evaluate_backward_in_place(
                *level, epsilon, channels, x, gamma, running, dx, gradient,
            )
            .is_ok()
        }
        && is_all(dgamma, 0)
        && is_all(x, 1)
        && is_all(y, 1)
        && is_all(bias, 1)
}

fn layer_norm<T: Element>(operands: &mut Operands<'_, T>) -> bool {
    let Operands { level, long: [x, y, dy, dx], short: [gamma, beta, dgamma, dbeta, ..], .. } = operands;
    let ((features, epsilon), affine) = (black_box((COLS, 0.5)), Affine { gamma, beta });
    let (mut mean, mut inv_std) = ([T::default(); ROWS], [T::default(); ROWS]);
    let (mean, inv_std) = (hide(&mut mean), hide(&mut inv_std));
    let saved = SavedMut { mean: &mut *mean, inv_std: &mut *inv_std };
    kernels::layer_norm_forward(*level, epsilon, features, x, affine, saved, y).is_ok()
        && is_all(y, 1)
        && is_all(mean, 1)
        && kernels::layer_norm_evaluate(*level, epsilon, features, x, affine, dx).is_ok()
        && is_all(dx, 1)
        && kernels::layer_norm_evaluate_in_place(*level, epsilon, features, dx, affine).is_ok()
        && is_all(dx, 1)
        && {
            let saved = Saved { mean, inv_std };
            let gradient = AffineGradient { gamma: dgamma, beta: dbeta };
            kernels::layer_norm_backward(*level, features, x, gamma, saved, dy, dx, gradient).is_ok() && {
                let gradient = AffineGradient { gamma: dgamma, beta: dbeta };
                kernels::layer_norm_backward_in_place(*level, features, x, gamma, saved, dy, gradient).is_ok()
            }
        }
        && is_all(dgamma, 0)
        && is_all(dbeta, ROWS as u8)
}

fn statistics<T: Element>(operands: &mut Operands<'_, T>) -> bool {
    let Operands { level, long: [x, ..], short: [mean, std, ..], bytes, .. } = operands;
    // Rows of few channels, of many, and planes.
    let mut right = kernels::mean_and_std(*level, black_box(Channels::last(ROWS, COLS)), x, mean, std)
        .is_ok()
        && kernels::mean_and_std_u8(*level, black_box(Channels::last(ROWS, COLS)), bytes, mean, std).is_ok();
    for channels in
        black_box([Channels::last(1, COLS), Channels::last(1, LEN), Channels::first(1, COLS, ROWS)])
    {
        let mut state = [0.0; kernels::statistics_len(Channels::last(1, LEN)) * 4];
        let mut sums = [0; kernels::statistics_u8_len(Channels::last(1, LEN))];
        let (mut mean, mut std) = ([T::default(); LEN], [T::from(1); LEN]);
        let count = channels.channels();
        let (Some(mean), Some(std)) = (mean.get_mut(..count), std.get_mut(..count)) else { return false };
        right &= kernels::Statistics::new(channels, hide(&mut state)).is_ok_and(|mut statistics| {
            statistics.add(*level, x).is_ok()
                && statistics.add(*level, x).is_ok()
                && statistics.mean_and_std(*level, mean, std).is_ok()
                && statistics.rows() > 0
        }) && is_all(mean, 1)
            && is_all(std, 0);
        right &= kernels::StatisticsU8::new(channels, hide(&mut sums)).is_ok_and(|mut statistics| {
            statistics.add(*level, bytes).is_ok()
                && statistics.mean_and_std(mean, std).is_ok()
                && statistics.rows() > 0
        }) && is_all(mean, 1)
            && is_all(std, 0);
    }
    right && is_all(mean, 1) && is_all(std, 0)
}

fn center<T: Element>(operands: &mut Operands<'_, T>) -> bool {
    let Operands { level, long: [x, y, ..], short: [mean, scale, ..], bytes, .. } = operands;
    let channels = black_box(Channels::last(ROWS, COLS));
    kernels::center_u8(*level, channels, bytes, mean, scale, y).is_ok()
        && kernels::center_in_place(*level, channels, x, mean).is_ok()
        && kernels::center_and_scale_in_place(*level, channels, x, mean, scale).is_ok()
        && is_all(mean, 1)
        && is_all(y, 0)
}

fn clip<T: Element>(operands: &mut Operands<'_, T>) -> bool {
    let Operands { level, long: [gradient, other, ..], .. } = operands;
    kernels::clip_by_norm(*level, black_box(0.0), gradient).is_ok()
        && kernels::clip_by_norm(*level, black_box(f64::INFINITY), other).is_ok()
        && is_all(gradient, 0)
        && is_all(other, 1)
}

fn optimizer<T: Element>(operands: &mut Operands<'_, T>) -> bool {
    let Operands { level, long: [weights, gradient, first, second], .. } = operands;
    let step = black_box(Step { optimizer: Optimizer::Sgd, learning_rate: 1.0, regularisation: 0.0, t: 1 });
    kernels::optimizer_step(*level, &step, weights, gradient, first, second).is_ok() && is_all(weights, 0)
}

fn random<T: Element>(operands: &mut Operands<'_, T>) -> bool {
    let Operands { level, long: [x, y, mask, ..], .. } = operands;
    let mut rng = Pcg64::new(black_box(1), 1);
    let (low, high) = black_box((0.0, 1.0));
    kernels::fill_uniform(&mut rng, low, high, x).is_ok()
        && kernels::fill_normal(*level, &mut rng, low, high, y).is_ok()
        && kernels::fill_dropout_mask(&mut rng, high, mask).is_ok()
        && is_all(mask, 1)
}

fn limit<T: Element>(operands: &mut Operands<'_, T>) -> bool {
    let Operands { level, long: [x, y, ..], .. } = operands;
    let (count, value) = kernels::multiply_adds::<T>(*level, black_box(10));
    count > 0
        && value.is_finite()
        && kernels::copy_scaled(*level, value, x, y).is_ok()
        && kernels::read_through(*level, y).is_finite()
}
