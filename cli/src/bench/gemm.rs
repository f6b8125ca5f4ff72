//! The products.

use super::case::{Aligned, Call, Case, Dtype, Unit, repeated};
use core::hint::black_box;
use slicewise::Element;
use slicewise::kernels::{MatMut, MatRef, gemm, gemm_scratch_len};

/// m, k, n of `C = op(A) op(B)`, and which of A and B lie transposed.
#[derive(Debug, Clone, Copy)]
struct Shape(usize, usize, usize, bool, bool);

const fn nn(m: usize, k: usize, n: usize) -> Shape {
    Shape(m, k, n, false, false)
}
const fn tn(m: usize, k: usize, n: usize) -> Shape {
    Shape(m, k, n, true, false)
}
const fn nt(m: usize, k: usize, n: usize) -> Shape {
    Shape(m, k, n, false, true)
}

/// Squares from tiny to large.
const SQUARES: [usize; 16] = [4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048];

#[rustfmt::skip]
const OTHERS: [Shape; 18] = [
    // Layers forward; the heads of few columns; gradients of weights and of inputs.
    nn(64, 3072, 500), nn(64, 500, 500), nn(128, 784, 100), nn(60, 784, 100), nn(60, 100, 100), nn(1000, 500, 500),
    nn(256, 64, 10), nn(32, 3072, 50),
    tn(500, 64, 500), tn(3072, 64, 500), nt(64, 500, 500), nt(64, 500, 3072),
    // A row or a column; tall and flat; sizes that fit no tile.
    nn(1, 1024, 1024), nn(1024, 1024, 1), nn(10_000, 64, 64), nn(1024, 16, 1024), nn(127, 129, 131), nn(511, 513, 509),
];

/// Every product, in one type; `largest` is the largest square.
pub(super) fn cases<T: Element>(largest: usize) -> impl Iterator<Item = Case> {
    let squares = SQUARES.into_iter().filter(move |size| *size <= largest).map(|size| nn(size, size, size));
    squares.chain(OTHERS).map(case::<T>)
}

fn case<T: Element>(shape: Shape) -> Case {
    let Shape(m, k, n, a_turned, b_turned) = shape;
    let letter = |turned| if turned { 'T' } else { 'N' };
    let elements = (m * k + k * n + m * n) as f64;
    let bytes = |elements: f64| elements * size_of::<T>() as f64;
    Case {
        kernel: "gemm",
        dtype: Dtype::of::<T>(),
        shape: format!("{m}x{k}x{n} {}{}", letter(a_turned), letter(b_turned)),
        unit: Unit::Flops,
        elements,
        flops: 2.0 * m as f64 * k as f64 * n as f64,
        read: bytes((m * k + k * n) as f64),
        written: bytes((m * n) as f64),
        footprint: bytes(elements),
        operands: Box::new(move || operands::<T>(shape)),
    }
}

fn operands<T: Element>(Shape(m, k, n, a_turned, b_turned): Shape) -> Call {
    let (a, b) = (Aligned::<T>::values(m * k), Aligned::<T>::values(k * n));
    let (mut c, mut scratch) = (Aligned::of(0, m * n), Aligned::of(0, gemm_scratch_len(m, n, k)));
    repeated(move |level| {
        let (a, b) = (black_box(&a[..]), black_box(&b[..]));
        let a = if a_turned { MatRef::row_major(a, k, m).t() } else { MatRef::row_major(a, m, k) };
        let b = if b_turned { MatRef::row_major(b, n, k).t() } else { MatRef::row_major(b, k, n) };
        let product = MatMut::row_major(&mut c, m, n);
        gemm(level, T::from(1), a, b, T::default(), product, &mut scratch)?;
        black_box(&mut c);
        Ok(())
    })
}
