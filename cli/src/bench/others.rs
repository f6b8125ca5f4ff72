//! Everything but products: what goes through memory once. A kernel more is a line more.

use super::case::{Aligned, Call, Case, Dtype, Unit, repeated};
use core::hint::black_box;
use slicewise::kernels::{
    Affine, AffineGradient, Channels, Function, Running, RunningMut, Saved, SavedMut, Statistics, Step,
    Targets, activate, activation_backward, apply, batch_norm_activation_backward,
    batch_norm_activation_forward, batch_norm_evaluate, clip_by_norm, cross_entropy, dot, hinge,
    layer_norm_backward, layer_norm_evaluate, layer_norm_forward, max, optimizer_step, prelu, softmax,
    squared_error, statistics_len, sum,
};
use slicewise::{Activation, BatchNorm, Element, Level, Optimizer};

/// Elements of an operand: in `f32`, operands that fit L1, L2 and L3.
const SIZES: [usize; 3] = [2048, 32_768, 1 << 19];
/// Channels of batch norm and features of layer norm, and classes of softmax.
const CHANNELS: usize = 256;
const CLASSES: usize = 10;

/// For each element: how often it is read and written, in how many operands it is, and operations (0: not counted).
struct Traffic {
    read: usize,
    written: usize,
    operands: usize,
    flops: usize,
}

const fn traffic(read: usize, written: usize, operands: usize, flops: usize) -> Traffic {
    Traffic { read, written, operands, flops }
}

/// From one operand to another, from two to a third.
const MAP: Traffic = traffic(1, 1, 2, 0);
const MAP_TWO: Traffic = traffic(2, 1, 3, 0);

/// Every kernel at every size, in one type.
pub(super) fn cases<T: Element>() -> impl Iterator<Item = Case> {
    let mut cases: Vec<(usize, Case)> =
        SIZES.into_iter().flat_map(|n| of_size::<T>(n).into_iter().enumerate()).collect();
    cases.sort_by_key(|(kernel, _)| *kernel);
    cases.into_iter().map(|(_, case)| case)
}

#[rustfmt::skip]
fn of_size<T: Element>(n: usize) -> [Case; 38] {
    let rows = n / CHANNELS;
    let samples = n / CLASSES / 100 * 100;
    let flat = || n.to_string();
    let (normed, scored) = (format!("{rows}x{CHANNELS}"), format!("{samples}x{CLASSES}"));
    [
        case::<T>("relu", flat(), n, MAP, move || forward::<T>(Activation::Relu, n)),
        case::<T>("relu-backward", flat(), n, MAP_TWO, move || backward::<T>(Activation::Relu, n)),
        case::<T>("elu", flat(), n, MAP, move || forward::<T>(Activation::Elu { alpha: 1.0 }, n)),
        case::<T>("sigmoid", flat(), n, MAP, move || forward::<T>(Activation::Sigmoid, n)),
        case::<T>("tanh", flat(), n, MAP, move || forward::<T>(Activation::Tanh, n)),
        case::<T>("sigmoid-fast", flat(), n, MAP, move || forward::<T>(Activation::SigmoidFast, n)),
        case::<T>("tanh-fast", flat(), n, MAP, move || forward::<T>(Activation::TanhFast, n)),
        case::<T>("gelu", flat(), n, MAP, move || forward::<T>(Activation::Gelu, n)),
        case::<T>("gelu-fast", flat(), n, MAP, move || forward::<T>(Activation::GeluFast, n)),
        case::<T>("silu", flat(), n, MAP, move || forward::<T>(Activation::Silu, n)),
        case::<T>("exp", flat(), n, MAP, move || applied::<T>(Function::Exp, n)),
        case::<T>("ln", flat(), n, MAP, move || applied::<T>(Function::Ln, n)),
        case::<T>("erf", flat(), n, MAP, move || applied::<T>(Function::Erf, n)),
        case::<T>("tanh-backward", flat(), n, MAP_TWO, move || backward::<T>(Activation::Tanh, n)),
        case::<T>("softmax", scored.clone(), samples * CLASSES, MAP, move || scores::<T>(samples)),
        case::<T>("cross-entropy", scored.clone(), samples * CLASSES, MAP, move || loss::<T>(samples)),
        case::<T>("hinge", scored, samples * CLASSES, MAP, move || hinge_loss::<T>(samples)),
        case::<T>("squared-error", flat(), n, MAP_TWO, move || difference::<T>(n)),
        case::<T>("batch-norm", normed.clone(), n, MAP, move || norm::<T>(Activation::Identity, rows)),
        case::<T>("batch-norm-relu", normed.clone(), n, MAP, move || norm::<T>(Activation::Relu, rows)),
        case::<T>("batch-norm-backward", normed.clone(), n, MAP_TWO, move || norm_backward::<T>(Activation::Identity, rows)),
        case::<T>("batch-norm-relu-backward", normed.clone(), n, MAP_TWO, move || norm_backward::<T>(Activation::Relu, rows)),
        case::<T>("layer-norm", normed.clone(), n, MAP, move || layer::<T>(rows)),
        case::<T>("layer-norm-backward", normed.clone(), n, MAP_TWO, move || layer_backward::<T>(rows)),
        case::<T>("layer-norm-evaluate", normed.clone(), n, MAP, move || layer_evaluate::<T>(rows)),
        case::<T>("batch-norm-evaluate", normed, n, MAP, move || evaluate::<T>(rows)),
        case::<T>("sgd", flat(), n, traffic(2, 1, 2, 0), move || update::<T>(Optimizer::Sgd, n)),
        case::<T>("momentum", flat(), n, traffic(3, 2, 3, 0), move || update::<T>(Optimizer::momentum(), n)),
        case::<T>("adam", flat(), n, traffic(4, 3, 4, 0), move || update::<T>(Optimizer::adam(), n)),
        case::<T>("clip-by-norm", flat(), n, traffic(2, 1, 1, 0), move || clip::<T>(n)),
        case::<T>("prelu", format!("{rows}x{CHANNELS}"), n, MAP, move || learned::<T>(rows)),
        case::<T>("sigmoid-of-subnormals", flat(), n, MAP, move || forward_of(Activation::Sigmoid, Aligned::<T>::subnormals(n))),
        case::<T>("gelu-of-subnormals", flat(), n, MAP, move || forward_of(Activation::Gelu, Aligned::<T>::subnormals(n))),
        case::<T>("momentum-of-subnormals", flat(), n, traffic(3, 2, 3, 0), move || update_subnormals::<T>(n)),
        case::<T>("statistics", format!("{rows}x{CHANNELS}"), n, traffic(1, 0, 1, 0), move || statistics::<T>(rows)),
        case::<T>("sum", flat(), n, traffic(1, 0, 1, 1), move || fold::<T>(n, sum)),
        case::<T>("max", flat(), n, traffic(1, 0, 1, 0), move || fold::<T>(n, max)),
        case::<T>("dot", flat(), n, traffic(2, 0, 2, 2), move || product::<T>(n)),
    ]
}

fn case<T: Element>(
    kernel: &'static str,
    shape: String,
    elements: usize,
    traffic: Traffic,
    operands: impl Fn() -> Call + 'static,
) -> Case {
    let bytes = (elements * size_of::<T>()) as f64;
    Case {
        kernel,
        dtype: Dtype::of::<T>(),
        shape,
        unit: Unit::Elements,
        elements: elements as f64,
        flops: (elements * traffic.flops) as f64,
        read: bytes * traffic.read as f64,
        written: bytes * traffic.written as f64,
        footprint: bytes * traffic.operands as f64,
        operands: Box::new(operands),
    }
}

fn forward<T: Element>(activation: Activation, n: usize) -> Call {
    forward_of(activation, Aligned::<T>::values(n))
}

fn forward_of<T: Element>(activation: Activation, x: Aligned<T>) -> Call {
    let mut y = Aligned::of(0, x.len());
    repeated(move |level| {
        activate(level, activation, black_box(&x), &mut y)?;
        black_box(&mut y);
        Ok(())
    })
}

/// A data set in two chunks.
fn statistics<T: Element>(rows: usize) -> Call {
    let x = Aligned::<T>::values(rows * CHANNELS);
    let (mut mean, mut std) = (Aligned::<T>::of(0, CHANNELS), Aligned::of(0, CHANNELS));
    let channels = Channels::last(1, CHANNELS);
    let mut state = Aligned::<f64>::of(0, statistics_len(channels));
    repeated(move |level| {
        let mut statistics = Statistics::new(channels, &mut state)?;
        for chunk in black_box(&x).chunks((rows / 2).max(1) * CHANNELS) {
            statistics.add(level, chunk)?;
        }
        statistics.mean_and_std(level, &mut mean, &mut std)?;
        black_box(&mut mean);
        Ok(())
    })
}

fn learned<T: Element>(rows: usize) -> Call {
    let (x, mut y) = (Aligned::<T>::values(rows * CHANNELS), Aligned::of(0, rows * CHANNELS));
    let slopes = Aligned::<T>::values(CHANNELS);
    repeated(move |level| {
        prelu(level, Channels::last(rows, CHANNELS), black_box(&x), &slopes, &mut y)?;
        black_box(&mut y);
        Ok(())
    })
}

/// Weights, gradients and velocities that all are subnormal, and stay so.
fn update_subnormals<T: Element>(n: usize) -> Call {
    let step = Step { optimizer: Optimizer::momentum(), learning_rate: 1e-3, regularisation: 0.0, t: 1000 };
    let gradient = Aligned::<T>::subnormals(n);
    let (mut w, mut first, mut second) =
        (Aligned::<T>::subnormals(n), Aligned::<T>::subnormals(n), Aligned::of(1, n));
    repeated(move |level| {
        black_box(optimizer_step(level, &step, &mut w, black_box(&gradient), &mut first, &mut second)?);
        black_box(&mut w);
        Ok(())
    })
}

fn applied<T: Element>(function: Function, n: usize) -> Call {
    let (x, mut y) = (Aligned::<T>::values(n), Aligned::of(0, n));
    repeated(move |level| {
        apply(level, function, black_box(&x), &mut y)?;
        black_box(&mut y);
        Ok(())
    })
}

fn backward<T: Element>(activation: Activation, n: usize) -> Call {
    let (y, dy, mut dx) = (Aligned::<T>::values(n), Aligned::<T>::values(n), Aligned::of(0, n));
    repeated(move |level| {
        activation_backward(level, activation, black_box(&y), &dy, &mut dx)?;
        black_box(&mut dx);
        Ok(())
    })
}

fn scores<T: Element>(rows: usize) -> Call {
    let (x, mut y) = (Aligned::<T>::values(rows * CLASSES), Aligned::of(0, rows * CLASSES));
    repeated(move |level| {
        softmax(level, CLASSES, black_box(&x), &mut y)?;
        black_box(&mut y);
        Ok(())
    })
}

fn loss<T: Element>(rows: usize) -> Call {
    let (x, mut dx) = (Aligned::<T>::values(rows * CLASSES), Aligned::of(0, rows * CLASSES));
    let labels: Vec<u32> = (0..CLASSES as u32).cycle().take(rows).collect();
    repeated(move |level| {
        black_box(cross_entropy(level, CLASSES, black_box(&x), Targets::Labels(&labels), &mut dx)?);
        black_box(&mut dx);
        Ok(())
    })
}

fn hinge_loss<T: Element>(rows: usize) -> Call {
    let (x, mut dx) = (Aligned::<T>::values(rows * CLASSES), Aligned::of(0, rows * CLASSES));
    let labels: Vec<u32> = (0..CLASSES as u32).cycle().take(rows).collect();
    repeated(move |level| {
        black_box(hinge(level, CLASSES, T::from(1), black_box(&x), &labels, &mut dx)?);
        black_box(&mut dx);
        Ok(())
    })
}

fn difference<T: Element>(n: usize) -> Call {
    let (y, t, mut dy) = (Aligned::<T>::values(n), Aligned::<T>::of(1, n), Aligned::of(0, n));
    repeated(move |level| {
        black_box(squared_error(level, black_box(&y), &t, &mut dy)?);
        black_box(&mut dy);
        Ok(())
    })
}

fn norm<T: Element>(activation: Activation, rows: usize) -> Call {
    let (x, mut y) = (Aligned::<T>::values(rows * CHANNELS), Aligned::of(0, rows * CHANNELS));
    let channel = |value| Aligned::<T>::of(value, CHANNELS);
    let (gamma, beta, mut mean, mut variance) = (channel(1), channel(0), channel(0), channel(1));
    let (mut batch_mean, mut inv_std) = (channel(0), channel(0));
    repeated(move |level| {
        batch_norm_activation_forward(
            level,
            &BatchNorm::DEFAULT,
            0,
            Channels::last(rows, CHANNELS),
            black_box(&x),
            Affine { gamma: &gamma, beta: &beta },
            RunningMut { mean: &mut mean, variance: &mut variance },
            activation,
            SavedMut { mean: &mut batch_mean, inv_std: &mut inv_std },
            &mut y,
        )?;
        black_box(&mut y);
        Ok(())
    })
}

fn norm_backward<T: Element>(activation: Activation, rows: usize) -> Call {
    let operand = || Aligned::<T>::values(rows * CHANNELS);
    let (x, dy, mut dx) = (operand(), operand(), operand());
    let channel = |value| Aligned::<T>::of(value, CHANNELS);
    let (gamma, beta, mean, inv_std) = (channel(1), channel(0), channel(0), channel(1));
    let (mut dgamma, mut dbeta) = (channel(0), channel(0));
    repeated(move |level| {
        batch_norm_activation_backward(
            level,
            Channels::last(rows, CHANNELS),
            black_box(&x),
            Affine { gamma: &gamma, beta: &beta },
            activation,
            Saved { mean: &mean, inv_std: &inv_std },
            &dy,
            &mut dx,
            AffineGradient { gamma: &mut dgamma, beta: &mut dbeta },
        )?;
        black_box(&mut dx);
        Ok(())
    })
}

fn evaluate<T: Element>(rows: usize) -> Call {
    let (x, mut y) = (Aligned::<T>::values(rows * CHANNELS), Aligned::of(0, rows * CHANNELS));
    let channel = |value| Aligned::<T>::of(value, CHANNELS);
    let (gamma, beta, mean, variance) = (channel(1), channel(0), channel(0), channel(1));
    repeated(move |level| {
        let affine = Affine { gamma: &gamma, beta: &beta };
        let running = Running { mean: &mean, variance: &variance };
        let channels = Channels::last(rows, CHANNELS);
        batch_norm_evaluate(
            level,
            BatchNorm::DEFAULT.epsilon,
            channels,
            black_box(&x),
            affine,
            running,
            &mut y,
        )?;
        black_box(&mut y);
        Ok(())
    })
}

fn layer<T: Element>(rows: usize) -> Call {
    let (x, mut y) = (Aligned::<T>::values(rows * CHANNELS), Aligned::of(0, rows * CHANNELS));
    let (gamma, beta) = (Aligned::<T>::of(1, CHANNELS), Aligned::<T>::of(0, CHANNELS));
    let (mut mean, mut inv_std) = (Aligned::<T>::of(0, rows), Aligned::<T>::of(0, rows));
    repeated(move |level| {
        let affine = Affine { gamma: &gamma, beta: &beta };
        let saved = SavedMut { mean: &mut mean, inv_std: &mut inv_std };
        let epsilon = BatchNorm::DEFAULT.epsilon;
        layer_norm_forward(level, epsilon, CHANNELS, black_box(&x), affine, saved, &mut y)?;
        black_box(&mut y);
        Ok(())
    })
}

fn layer_backward<T: Element>(rows: usize) -> Call {
    let operand = || Aligned::<T>::values(rows * CHANNELS);
    let (x, dy, mut dx) = (operand(), operand(), operand());
    let (gamma, mean, inv_std) =
        (Aligned::<T>::of(1, CHANNELS), Aligned::<T>::of(0, rows), Aligned::<T>::of(1, rows));
    let (mut dgamma, mut dbeta) = (Aligned::<T>::of(0, CHANNELS), Aligned::<T>::of(0, CHANNELS));
    repeated(move |level| {
        let saved = Saved { mean: &mean, inv_std: &inv_std };
        let gradient = AffineGradient { gamma: &mut dgamma, beta: &mut dbeta };
        layer_norm_backward(level, CHANNELS, black_box(&x), &gamma, saved, &dy, &mut dx, gradient)?;
        black_box(&mut dx);
        Ok(())
    })
}

fn layer_evaluate<T: Element>(rows: usize) -> Call {
    let (x, mut y) = (Aligned::<T>::values(rows * CHANNELS), Aligned::of(0, rows * CHANNELS));
    let (gamma, beta) = (Aligned::<T>::of(1, CHANNELS), Aligned::<T>::of(0, CHANNELS));
    repeated(move |level| {
        let affine = Affine { gamma: &gamma, beta: &beta };
        let epsilon = BatchNorm::DEFAULT.epsilon;
        layer_norm_evaluate(level, epsilon, CHANNELS, black_box(&x), affine, &mut y)?;
        black_box(&mut y);
        Ok(())
    })
}

fn update<T: Element>(optimizer: Optimizer, n: usize) -> Call {
    // So small a rate that the weights stay where they are, however often they are updated.
    let step = Step { optimizer, learning_rate: 1e-15, regularisation: 1e-4, t: 1000 };
    let (mut w, gradient) = (Aligned::<T>::values(n), Aligned::<T>::values(n));
    let (mut first, mut second) = (Aligned::of(1, n), Aligned::of(1, n));
    repeated(move |level| {
        black_box(optimizer_step(level, &step, &mut w, black_box(&gradient), &mut first, &mut second)?);
        black_box(&mut w);
        Ok(())
    })
}

fn clip<T: Element>(n: usize) -> Call {
    let (mut gradient, mut max_norm) = (Aligned::<T>::values(n), 1.0);
    repeated(move |level| {
        // Always a little shorter than the time before, so that there is something to clip.
        if let Ok(norm) = clip_by_norm(level, max_norm, &mut gradient) {
            max_norm = norm * (1.0 - 1e-6);
        }
        black_box(&mut gradient);
        Ok(())
    })
}

fn fold<T: Element>(n: usize, of: fn(Level, &[T]) -> T) -> Call {
    let x = Aligned::<T>::values(n);
    repeated(move |level| {
        black_box(of(level, black_box(&x)));
        Ok(())
    })
}

fn product<T: Element>(n: usize) -> Call {
    let (x, y) = (Aligned::<T>::values(n), Aligned::<T>::values(n));
    repeated(move |level| {
        black_box(dot(level, black_box(&x), &y)?);
        Ok(())
    })
}
