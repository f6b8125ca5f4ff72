//! A dense layer: products with each operand as it lies and turned.

use slicewise_kernels::{Element, Level, MatMut, MatRef, gemm, gemm_scratch_len, repeat_row, sum_rows};

use crate::table::{Case, epsilon, room};

pub(crate) fn layer<T: Element>(case: &Case, level: Level) {
    let [m, k, n] = *case.values::<usize>("shape") else { panic!("a batch, inputs and outputs") };
    let (x, weight, bias) = (case.inputs::<T>("x"), case.inputs::<T>("weight"), case.inputs::<T>("bias"));
    let dy = case.inputs::<T>("dy");

    let mut y = room(m * n);
    repeat_row(level, &bias, &mut y).unwrap();
    product(case, level, "y", [m, k, n], (&x, [k, 1]), (&weight, [n, 1]), 1, y);
    product(case, level, "dx", [m, n, k], (&dy, [n, 1]), (&weight, [1, n]), 0, room(m * k));
    product(case, level, "dweight", [k, m, n], (&x, [1, k]), (&dy, [n, 1]), 0, room(k * n));

    let mut dbias = room(n);
    sum_rows(level, &dy, &mut dbias).unwrap();
    let terms = |j: usize| dy.iter().skip(j).step_by(n).map(|dy| dy.to_f64().abs()).sum::<f64>();
    case.holds(level, "dbias", &dbias, |j, _| m as f64 * epsilon::<T>() / 2.0 * terms(j));
}

/// `C = A B + beta C` of (m, k) and (k, n), each operand with its strides, to the bound of [`gemm`]'s documentation.
fn product<T: Element>(
    case: &Case,
    level: Level,
    field: &str,
    [m, k, n]: [usize; 3],
    (a, a_strides): (&[T], [usize; 2]),
    (b, b_strides): (&[T], [usize; 2]),
    beta: u8,
    mut c: Vec<T>,
) {
    let start = c.clone();
    let matrix = |x, rows, cols, [row, col]: [usize; 2]| MatRef::strided(x, rows, cols, row, col);
    let (left, right) = (matrix(a, m, k, a_strides), matrix(b, k, n, b_strides));
    let mut scratch = room(gemm_scratch_len(m, n, k));
    gemm(level, T::from(1), left, right, T::from(beta), MatMut::row_major(&mut c, m, n), &mut scratch)
        .unwrap();
    let roundings = (k + 2) as f64 * if level == Level::Portable { 2.0 } else { 1.0 };
    let magnitude = |x: &[T], [row, col]: [usize; 2], i: usize, j: usize| x[i * row + j * col].to_f64().abs();
    case.holds(level, field, &c, |i, _| {
        let terms: f64 =
            (0..k).map(|p| magnitude(a, a_strides, i / n, p) * magnitude(b, b_strides, p, i % n)).sum();
        let before = if beta == 0 { 0.0 } else { start[i].to_f64().abs() };
        roundings * epsilon::<T>() / 2.0 * (terms + before)
    });
}
