//! Products of any shape, layout and place, with every epilogue, against their oracle on every level and by bits against
//! what defines the epilogue; scratch that is too short, a bias of another length.
#![no_main]

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use slicewise_fuzz::{Values, length};
use slicewise_kernels::reference::{self, assert_close, assert_same_bits, levels};
use slicewise_kernels::{
    Activation, Element, Epilogue, Level, MatMut, MatRef, ShapeError, activate_in_place, gemm,
    gemm_scratch_len, gemm_with_epilogue,
};

fuzz_target!(|bytes: &[u8]| {
    let bytes = &mut Unstructured::new(bytes);
    // Bytes that are too few are no finding.
    let _ = match bytes.arbitrary() {
        Ok(true) => product::<f32>(bytes),
        _ => product::<f64>(bytes),
    };
});

/// A matrix in an allocation that ends with it: the address sanitizer sees one read or write past it.
#[derive(Clone)]
struct Laid<T> {
    array: Box<[T]>,
    offset: usize,
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl<T: Element> Laid<T> {
    /// By rows, by columns or neither, with a gap or without, not written yet.
    fn new(bytes: &mut Unstructured<'_>, rows: usize, cols: usize, outside: T) -> Result<Self> {
        let gap = if bytes.arbitrary()? { 0 } else { bytes.int_in_range(0..=600)? };
        let (row_stride, col_stride) = match bytes.int_in_range(0..=4)? {
            0..=1 => (cols + gap, 1),
            2..=3 => (1, rows + gap),
            _ => (2 * cols + gap, 2),
        };
        let offset = bytes.int_in_range(0..=16)?;
        let span = if rows * cols == 0 { 0 } else { (rows - 1) * row_stride + (cols - 1) * col_stride + 1 };
        let array = vec![outside; offset + span].into_boxed_slice();
        Ok(Self { array, offset, rows, cols, row_stride, col_stride })
    }

    fn places(&self) -> impl Iterator<Item = usize> + use<T> {
        let Self { offset, rows, cols, row_stride, col_stride, .. } = *self;
        (0..rows * cols).map(move |i| offset + i / cols * row_stride + i % cols * col_stride)
    }

    fn with(mut self, x: &[T]) -> Self {
        self.places().zip(x).for_each(|(place, x)| self.array[place] = *x);
        self
    }

    fn read(&self) -> Vec<T> {
        self.places().map(|place| self.array[place]).collect()
    }

    fn get(&self) -> MatRef<'_, T> {
        MatRef::strided(&self.array[self.offset..], self.rows, self.cols, self.row_stride, self.col_stride)
    }

    fn get_mut(&mut self) -> MatMut<'_, T> {
        let data = &mut self.array[self.offset..];
        MatMut::strided(data, self.rows, self.cols, self.row_stride, self.col_stride)
    }
}

/// The operands of one call.
struct Call<T> {
    alpha: T,
    a: Laid<T>,
    b: Laid<T>,
    beta: T,
    bias: Option<Box<[T]>>,
    activation: Activation,
}

impl<T: Element> Call<T> {
    fn run(&self, level: Level, c: &mut Laid<T>, scratch: &mut [T]) -> std::result::Result<(), ShapeError> {
        let (a, b, c) = (self.a.get(), self.b.get(), c.get_mut());
        if self.bias.is_none() && self.activation == Activation::Identity {
            return gemm(level, self.alpha, a, b, self.beta, c, scratch);
        }
        let epilogue = Epilogue { bias: self.bias.as_deref(), activation: self.activation };
        gemm_with_epilogue(level, self.alpha, a, b, self.beta, c, epilogue, scratch)
    }
}

fn product<T: Element>(bytes: &mut Unstructured<'_>) -> Result<()> {
    let (m, n, k) = (length(bytes, 200)?, length(bytes, 200)?, length(bytes, 600)?);
    let nan = T::from_f64(f64::NAN);
    let (a, b) = (Laid::new(bytes, m, k, nan)?, Laid::new(bytes, k, n, nan)?);
    let c = Laid::new(bytes, m, n, T::from_f64(12345.0))?;
    let missing = usize::from(bytes.ratio(1u8, 8u8)?);
    let factor = |bytes: &mut Unstructured<'_>| -> Result<T> {
        Ok(T::from_f64([1.0, 0.0, -1.0, 0.5, 3.0][bytes.choose_index(5)?]))
    };
    let (alpha, beta) = (factor(bytes)?, factor(bytes)?);
    let biased: bool = bytes.arbitrary()?;
    let too_long = usize::from(biased && bytes.ratio(1u8, 16u8)?);
    // What it makes of an error, and adds to it in units of the last place.
    let (activation, steepness, ulps) = [
        (Activation::Identity, 1.0, 0.0),
        (Activation::Relu, 1.0, 0.0),
        (Activation::LeakyRelu { slope: 0.125 }, 1.0, 1.0),
        (Activation::Elu { alpha: 0.75 }, 1.0, 8.0),
        (Activation::Sigmoid, 1.0, 8.0),
        (Activation::Tanh, 1.0, 8.0),
    ][bytes.choose_index(6)?];
    let mut values = Values::new(bytes)?;
    let (a_rows, b_rows, c_rows) =
        (values.slice::<T>(m * k), values.slice::<T>(k * n), values.slice::<T>(m * n));
    let bias = biased.then(|| values.slice::<T>(n + too_long));
    let (a, b, c) = (a.with(&a_rows), b.with(&b_rows), c.with(&c_rows));
    let call = Call { alpha, a, b, beta, bias, activation };

    let sums = reference::gemm::gemm(m, n, k, alpha, &a_rows, &b_rows, beta, &c_rows);
    // What defines the epilogue.
    let mut start = c_rows.to_vec();
    if let Some(bias) = &call.bias {
        for (i, c) in start.iter_mut().enumerate() {
            *c = if beta == T::from(0) { beta } else { beta * *c } + bias[i % n];
        }
    }
    let plain = Call {
        alpha,
        a: call.a.clone(),
        b: call.b.clone(),
        beta: if biased { T::from(1) } else { beta },
        bias: None,
        activation: Activation::Identity,
    };
    let mut scratch = vec![nan; gemm_scratch_len(m, n, k) - missing].into_boxed_slice();
    let mut fused: Option<Vec<T>> = None;
    for level in levels() {
        let mut result = c.clone();
        let outcome = call.run(level, &mut result, &mut scratch);
        if missing + too_long > 0 {
            let argument = outcome.expect_err("a length does not fit").argument;
            assert_eq!(argument, if missing > 0 { "scratch" } else { "bias" });
            assert_same_bits(&result.array, &c.array, "untouched", level);
            continue;
        }
        outcome.expect("shapes fit");
        let actual = result.read();
        assert_same_bits(&result.with(&c_rows).array, &c.array, "outside C", level);

        let mut defined = c.clone().with(&start);
        plain.run(level, &mut defined, &mut scratch).expect("shapes fit");
        let mut defined = defined.read();
        activate_in_place(level, activation, &mut defined);
        assert_same_bits(&actual, &defined, "the epilogue", level);

        // A f64 oracle rounds alpha, beta and the bias itself.
        let own = if T::LANES == 8 { 3 } else { 0 };
        let steps = (k + 2 + usize::from(biased)) * if level == Level::Portable { 2 } else { 1 } + own;
        let u = steps as f64 * T::EPSILON.to_f64() / 2.0;
        let gamma = u / (1.0 - u);
        for (i, (actual, sum)) in actual.iter().zip(&sums).enumerate() {
            // Partial sums of the largest values overflow in their own order, and so does alpha times A, or times a
            // single column of B.
            let (row, bias) =
                (&a_rows[i / n * k..][..k], call.bias.as_ref().map_or(0.0, |b| b[i % n].to_f64()));
            let column = if n == 1 { &b_rows[..] } else { &[] };
            let overflows = row.iter().chain(column).any(|x| x.is_finite() && !(alpha * *x).is_finite());
            let magnitude = sum.magnitude + bias.abs();
            if !overflows && T::from_f64(4.0 * magnitude).is_finite() {
                let expected = reference::activation::value(activation, sum.value + bias);
                let bound = steepness * gamma * magnitude
                    + ulps * T::EPSILON.to_f64() * expected.abs()
                    + f64::from(f32::MIN_POSITIVE);
                assert_close(*actual, expected, bound, "gemm", level);
            }
        }
        if level != Level::Portable {
            assert_same_bits(&actual, fused.get_or_insert(actual.clone()), "gemm", level);
        }
    }
    Ok(())
}
