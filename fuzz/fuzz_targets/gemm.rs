//! Products of any shape and layout against their oracle, on every level; scratch that is too short.
#![no_main]

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use slicewise_fuzz::{Values, length};
use slicewise_kernels::reference::{self, assert_close, assert_same_bits, levels};
use slicewise_kernels::{Element, Level, MatMut, MatRef, gemm, gemm_scratch_len};

fuzz_target!(|bytes: &[u8]| {
    let bytes = &mut Unstructured::new(bytes);
    // Bytes that are too few are no finding.
    let _ = match bytes.arbitrary() {
        Ok(true) => product::<f32>(bytes),
        _ => product::<f64>(bytes),
    };
});

fn product<T: Element>(bytes: &mut Unstructured<'_>) -> Result<()> {
    let (m, n, k) = (length(bytes, 200)?, length(bytes, 200)?, length(bytes, 600)?);
    let (a_t, b_t, c_t): (bool, bool, bool) = (bytes.arbitrary()?, bytes.arbitrary()?, bytes.arbitrary()?);
    let missing = usize::from(bytes.ratio(1u8, 8u8)?);
    let factor = |bytes: &mut Unstructured<'_>| -> Result<T> {
        Ok(T::from_f64([0.0, 1.0, -1.0, 0.5, 3.0][bytes.choose_index(5)?]))
    };
    let (alpha, beta) = (factor(bytes)?, factor(bytes)?);
    let mut values = Values::new(bytes)?;
    // Transposed operands lie as their transposes do.
    let (a, b, c) = (values.slice::<T>(m * k), values.slice::<T>(k * n), values.slice::<T>(m * n));
    let matrix = |data, rows, cols, t: bool| {
        if t { MatRef::row_major(data, cols, rows).t() } else { MatRef::row_major(data, rows, cols) }
    };
    let row_major = |x: &[T], rows: usize, cols: usize, t: bool| -> Vec<T> {
        (0..rows * cols).map(|i| if t { x[i % cols * rows + i / cols] } else { x[i] }).collect()
    };
    let (a_rows, b_rows, c_rows) =
        (row_major(&a, m, k, a_t), row_major(&b, k, n, b_t), row_major(&c, m, n, c_t));
    let expected = reference::gemm::gemm(m, n, k, alpha, &a_rows, &b_rows, beta, &c_rows);
    let mut scratch = vec![T::from_f64(f64::NAN); gemm_scratch_len(m, n, k) - missing].into_boxed_slice();
    let mut fused: Option<Vec<T>> = None;
    for level in levels() {
        let mut result = c.clone();
        let to = MatMut::row_major(&mut result, if c_t { n } else { m }, if c_t { m } else { n });
        let to = if c_t { to.t() } else { to };
        let outcome =
            gemm(level, alpha, matrix(&a, m, k, a_t), matrix(&b, k, n, b_t), beta, to, &mut scratch);
        if missing > 0 {
            assert_eq!(outcome.expect_err("scratch is too short").argument, "scratch");
            assert_same_bits(&result, &c, "untouched", level);
            continue;
        }
        outcome.expect("shapes fit");
        let actual = row_major(&result, m, n, c_t);
        let roundings = 2.0 * (k + 2) as f64 * T::EPSILON.to_f64();
        for (i, (actual, expected)) in actual.iter().zip(&expected).enumerate() {
            // Partial sums of the largest values overflow in their own order, and so does alpha times A.
            let row = &a_rows[i / n * k..][..k];
            let overflows = row.iter().any(|a| a.is_finite() && !(alpha * *a).is_finite());
            if !overflows && T::from_f64(4.0 * expected.magnitude).is_finite() {
                let tiny = f64::from(f32::MIN_POSITIVE);
                assert_close(*actual, expected.value, roundings * expected.magnitude + tiny, "gemm", level);
            }
        }
        if level != Level::Portable {
            assert_same_bits(&actual, fused.get_or_insert(actual.clone()), "gemm", level);
        }
    }
    Ok(())
}
