//! What goes by channels or by elements: batch norm, layer norm, statistics of data sets, centring, activations with learned slopes or without, on any shape. Levels that fuse agree bit
//! for bit; a slice that is too short is an error that leaves every output alone.
#![no_main]

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use slicewise_fuzz::{Values, length};
use slicewise_kernels::reference::{assert_same_bits, levels};
use slicewise_kernels::{
    Activation, Affine, AffineGradient, BatchNorm, Channels, Element, Level, Running, RunningMut, Saved,
    SavedMut, ShapeError, Statistics, StatisticsU8, activate, activation_backward_from_input,
    batch_norm_activation_backward, batch_norm_activation_forward, batch_norm_evaluate,
    batch_norm_evaluate_backward, batch_norm_fold, center_and_scale_in_place, layer_norm_backward,
    layer_norm_evaluate, layer_norm_forward, mean_and_std, mean_and_std_u8, prelu, prelu_backward,
    repeat_row, statistics_len, statistics_u8_len, sum_rows,
};

fuzz_target!(|bytes: &[u8]| {
    let bytes = &mut Unstructured::new(bytes);
    // Bytes that are too few are no finding.
    let _ = match bytes.arbitrary() {
        Ok(true) => kernels::<f32>(bytes),
        _ => kernels::<f64>(bytes),
    };
});

/// The operands of every kernel here: data, and a value or two a channel.
#[derive(Clone)]
struct Operands<T> {
    channels: Channels,
    x: Box<[T]>,
    dy: Box<[T]>,
    y: Box<[T]>,
    /// gamma, beta, mean, variance or scale, and two results.
    each: [Box<[T]>; 6],
    /// A mean and an inverse deviation a row.
    rows: [Box<[T]>; 2],
}

impl<T: Element> Operands<T> {
    /// Runs the kernel of that number.
    fn run(&mut self, kernel: usize, level: Level) -> core::result::Result<(), ShapeError> {
        let Self {
            channels,
            x,
            dy,
            y,
            each: [gamma, beta, mean, variance, first, second],
            rows: [of_row, spread],
        } = self;
        let channels = *channels;
        let activation = [Activation::Elu { alpha: 0.7 }, Activation::Tanh, Activation::Sigmoid][kernel % 3];
        // Of three ways, by what is drawn in any case.
        let normalised = [Activation::Identity, Activation::Relu, Activation::Silu][channels.len() % 3];
        match kernel {
            0 => {
                let running = RunningMut { mean, variance };
                let saved = SavedMut { mean: first, inv_std: second };
                batch_norm_activation_forward(
                    level,
                    &BatchNorm::DEFAULT,
                    0,
                    channels,
                    x,
                    Affine { gamma, beta },
                    running,
                    normalised,
                    saved,
                    y,
                )
            }
            1 => {
                let gradient = AffineGradient { gamma: first, beta: second };
                let saved = Saved { mean, inv_std: variance };
                let affine = Affine { gamma, beta };
                batch_norm_activation_backward(level, channels, x, affine, normalised, saved, dy, y, gradient)
            }
            2 => {
                let running = Running { mean, variance };
                batch_norm_evaluate(level, 1e-5, channels, x, Affine { gamma, beta }, running, y)
            }
            3 => batch_norm_fold(level, 1e-5, Affine { gamma, beta }, Running { mean, variance }, y, first),
            4 => mean_and_std(level, channels, x, first, second),
            5 => center_and_scale_in_place(level, channels, y, mean, gamma),
            6 => repeat_row(level, mean, y),
            7 => sum_rows(level, x, first),
            8 => {
                let saved = SavedMut { mean: of_row, inv_std: spread };
                layer_norm_forward(level, 1e-5, channels.channels(), x, Affine { gamma, beta }, saved, y)
            }
            9 => layer_norm_evaluate(level, 1e-5, channels.channels(), x, Affine { gamma, beta }, y),
            10 => {
                let gradient = AffineGradient { gamma: first, beta: second };
                let saved = Saved { mean: of_row, inv_std: spread };
                layer_norm_backward(level, channels.channels(), x, gamma, saved, dy, y, gradient)
            }
            11..=13 => activate(level, activation, x, y),
            14..=16 => activation_backward_from_input(level, activation, x, dy, y),
            17 => prelu(level, channels, x, gamma, y),
            18 => {
                let gradient = AffineGradient { gamma: first, beta: second };
                let running = Running { mean, variance };
                batch_norm_evaluate_backward(level, 1e-5, channels, x, gamma, running, dy, y, gradient)
            }
            _ => prelu_backward(level, channels, x, gamma, dy, y, first),
        }
    }

    fn results(&self) -> [&[T]; 7] {
        let ([_, _, mean, variance, first, second], [of_row, spread]) = (&self.each, &self.rows);
        [&self.y, mean, variance, first, second, of_row, spread]
    }
}

fn kernels<T: Element>(bytes: &mut Unstructured<'_>) -> Result<()> {
    let kernel = bytes.int_in_range(0..=20)?;
    if kernel == 20 {
        return statistics::<T>(bytes);
    }
    let (outer, count) = (length(bytes, 40)?, length(bytes, 80)?);
    // What works on rows and columns has no planes.
    let inner = if matches!(kernel, 3 | 6..=10) { 1 } else { length(bytes, 90)? };
    let channels = Channels::first(outer, count, inner);
    // Now and then one element too few, or one too many, in the data.
    let missing = if bytes.ratio(1u8, 8u8)? { bytes.int_in_range(0..=2)? } else { 1 };
    let len = (channels.len() + 1).saturating_sub(missing);
    let mut values = Values::new(bytes)?;
    let (x, dy, y) = (values.slice(len), values.slice(len), values.slice(len));
    let each: [Box<[T]>; 6] = core::array::from_fn(|_| values.slice(count));
    let rows: [Box<[T]>; 2] = core::array::from_fn(|_| values.slice(outer));
    let before = Operands { channels, x, dy, y, each, rows };
    let mut fused: Option<Operands<T>> = None;
    for level in levels() {
        let mut after = before.clone();
        let outcome = after.run(kernel, level);
        if outcome.is_err() {
            same(&after, &before, level);
        }
        if level != Level::Portable {
            same(&after, fused.get_or_insert_with(|| after.clone()), level);
        }
    }
    Ok(())
}

/// Chunks of a data set have the bits of the whole, numbers and bytes.
fn statistics<T: Element>(bytes: &mut Unstructured<'_>) -> Result<()> {
    let (outer, count, inner) = (length(bytes, 200)?, length(bytes, 80)?, length(bytes, 90)?);
    let (channels, row) = (Channels::first(outer, count, inner), count * inner);
    let cuts = [length(bytes, 200)? * row, length(bytes, 200)? * row];
    let mut values = Values::new(bytes)?;
    let x: Box<[T]> = values.slice(channels.len());
    let pixels: Box<[u8]> = x.iter().map(|x| x.to_f64() as u8).collect();
    let mut fused: Option<[Box<[T]>; 4]> = None;
    for level in levels() {
        let result = || values_of(T::default(), count);
        let [mut whole, mut parts] = [(); 2].map(|()| [result(), result(), result(), result()]);
        let [mean, std, byte_mean, byte_std] = &mut whole;
        let outcome = mean_and_std(level, channels, &x, mean, std);
        let of_bytes = mean_and_std_u8(level, channels, &pixels, byte_mean, byte_std);
        let mut state = values_of(f64::NAN, statistics_len(channels));
        let mut sums = values_of(u64::MAX, statistics_u8_len(channels));
        let mut chunks = Statistics::new(channels, &mut state).expect("it is long enough");
        let mut byte_chunks = StatisticsU8::new(channels, &mut sums).expect("it is long enough");
        let (mut rest, mut rest_of_bytes) = (&x[..], &pixels[..]);
        for cut in cuts.into_iter().chain([x.len()]) {
            let cut = cut.min(rest.len());
            let chunk: Box<[T]> = rest[..cut].into();
            chunks.add(level, &chunk).expect("whole rows");
            byte_chunks.add(level, &rest_of_bytes[..cut]).expect("whole rows");
            (rest, rest_of_bytes) = (&rest[cut..], &rest_of_bytes[cut..]);
        }
        let [mean, std, byte_mean, byte_std] = &mut parts;
        let chunked = chunks.mean_and_std(level, mean, std);
        let chunked_bytes = byte_chunks.mean_and_std(byte_mean, byte_std);
        if count > 0 {
            assert_eq!((outcome.is_ok(), of_bytes.is_ok()), (chunked.is_ok(), chunked_bytes.is_ok()));
            for (whole, part) in whole.iter().zip(&parts) {
                assert_same_bits(part, whole, "chunks", level);
            }
        }
        if level != Level::Portable {
            for (actual, expected) in whole.iter().zip(fused.get_or_insert_with(|| whole.clone())) {
                assert_same_bits(actual, expected, "a result", level);
            }
        }
    }
    Ok(())
}

/// In an allocation of exactly that size.
fn values_of<A: Clone>(value: A, n: usize) -> Box<[A]> {
    vec![value; n].into()
}

#[track_caller]
fn same<T: Element>(a: &Operands<T>, b: &Operands<T>, level: Level) {
    for (a, b) in a.results().into_iter().zip(b.results()) {
        assert_same_bits(a, b, "a result", level);
    }
}
