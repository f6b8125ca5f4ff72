//! [`gemm_on`]: a product over a pool.
//!
//! Bands of rows of C are slices of their own, and so are single rows' bands of columns. Where rows are few, packing B for each
//! band again would take too much of the time: then bands of columns go through scratch, as columns interleave.

use super::{Parallel, bands, both, cut, cut_mut, fork};
use crate::error::{expect_at_least, expect_len};
use crate::gemm::{Epilogue, MatMut, MatRef, gemm_scratch_len, gemm_with_epilogue};
use crate::{Activation, Element, Level, ShapeError};

/// The least work for a band, in multiply-adds: some 20 us of one core, of which a pool's wake-up takes a few.
const WORK: usize = 1 << 20;
/// What an element of A or B costs to bring in, in multiply-adds: a product of few rows waits for memory.
const BRING: usize = 8;
/// Heights of bands: a multiple of every tile's height where that evens out, otherwise of most.
const HEIGHTS: [usize; 2] = [24, 8];
/// Widths of bands: a multiple of every panel's width.
const WIDTH: usize = 64;
/// Rows of C up to which bands of columns may go through scratch.
const COPIED_ROWS: usize = 256;

/// The scratch that [`gemm_on`] needs for `(m, k)` times `(k, n)` on up to `threads` threads, in elements of either type, at any level.
///
/// As [`gemm_scratch_len`] for each thread that takes part, and up to 256 rows of C. `usize::MAX` where the count overflows.
#[must_use]
pub const fn gemm_on_scratch_len(m: usize, n: usize, k: usize, threads: usize) -> usize {
    let (most, each) = (most_bands(m, n, k, threads), gemm_scratch_len(m, n, k));
    if most == 1 {
        return each;
    }
    let copied = if m < COPIED_ROWS { m } else { COPIED_ROWS };
    each.saturating_mul(most).saturating_add(copied.saturating_mul(n))
}

/// As many bands as there is work for. It grows with each size, as the scratch must.
const fn most_bands(m: usize, n: usize, k: usize, threads: usize) -> usize {
    let products = m.saturating_mul(n).saturating_mul(k);
    let elements = m.saturating_mul(k).saturating_add(k.saturating_mul(n));
    let enough = products.saturating_add(elements.saturating_mul(BRING)) / WORK;
    let most = if enough < threads { enough } else { threads };
    if most > 1 { most } else { 1 }
}

/// [`gemm`](crate::gemm()) over a pool, to the same bits: `C = alpha A B + beta C`.
///
/// A small product is not divided, and takes no more time than there. C is divided by rows, or by columns where rows are few or
/// C lies by columns; each thread reads all that it needs of A and B.
///
/// ```
/// use slicewise_kernels::{Level, MatMut, MatRef, Serial, gemm_on, gemm_on_scratch_len};
///
/// let (x, w) = ([1.0f32, 2.0], [1.0, 10.0, 100.0, 1000.0]); // (1, 2) and (2, 2)
/// let mut y = [f32::NAN; 2];
/// let mut scratch = [0.0; gemm_on_scratch_len(1, 2, 2, 1)];
/// let (x, w) = (MatRef::row_major(&x, 1, 2), MatRef::row_major(&w, 2, 2));
/// gemm_on(&Serial, Level::detect(), 1.0, x, w, 0.0, MatMut::row_major(&mut y, 1, 2), &mut scratch)?;
/// assert_eq!(y, [201.0, 2010.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// As [`gemm`](crate::gemm()), with the scratch of [`gemm_on_scratch_len`] for the pool's threads.
#[inline]
pub fn gemm_on<T: Element, P: Parallel>(
    pool: &P,
    level: Level,
    alpha: T,
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
    beta: T,
    c: MatMut<'_, T>,
    scratch: &mut [T],
) -> Result<(), ShapeError> {
    let epilogue = Epilogue { bias: None, activation: Activation::Identity };
    gemm_with_epilogue_on(pool, level, alpha, a, b, beta, c, epilogue, scratch)
}

/// [`gemm_with_epilogue`] over a pool, to the same bits: `C = f(alpha A B + beta C + bias)`.
///
/// Divided as [`gemm_on`]; each thread applies the epilogue to what it computed.
///
/// ```
/// use slicewise_kernels::{Activation, Epilogue, Level, MatMut, MatRef, Serial, gemm_on_scratch_len, gemm_with_epilogue_on};
///
/// let (x, w) = ([1.0f32, 2.0], [1.0, 10.0, 100.0, 1000.0]); // (1, 2) and (2, 2)
/// let epilogue = Epilogue { bias: Some(&[-300.0, 0.5]), activation: Activation::Relu };
/// let mut y = [f32::NAN; 2];
/// let mut scratch = [0.0; gemm_on_scratch_len(1, 2, 2, 1)];
/// let (x, w) = (MatRef::row_major(&x, 1, 2), MatRef::row_major(&w, 2, 2));
/// let y_matrix = MatMut::row_major(&mut y, 1, 2);
/// gemm_with_epilogue_on(&Serial, Level::detect(), 1.0, x, w, 0.0, y_matrix, epilogue, &mut scratch)?;
/// assert_eq!(y, [0.0, 2010.5]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// As [`gemm_with_epilogue`], with the scratch of [`gemm_on_scratch_len`] for the pool's threads.
#[inline]
pub fn gemm_with_epilogue_on<T: Element, P: Parallel>(
    pool: &P,
    level: Level,
    alpha: T,
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
    beta: T,
    c: MatMut<'_, T>,
    epilogue: Epilogue<'_, T>,
    scratch: &mut [T],
) -> Result<(), ShapeError> {
    // The pool is not asked about a product that is too small for two: it would feel the question.
    if most_bands(c.rows, c.cols, a.cols, 2) < 2 {
        return gemm_with_epilogue(level, alpha, a, b, beta, c, epilogue, scratch);
    }
    divide(pool, level, alpha, a, b, beta, c, epilogue, scratch)
}

#[inline(never)]
fn divide<T: Element, P: Parallel>(
    pool: &P,
    level: Level,
    alpha: T,
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
    beta: T,
    c: MatMut<'_, T>,
    epilogue: Epilogue<'_, T>,
    scratch: &mut [T],
) -> Result<(), ShapeError> {
    let (m, n, k) = (c.rows, c.cols, a.cols);
    let threads = pool.threads();
    let most = most_bands(m, n, k, threads);
    if most < 2 {
        return gemm_with_epilogue(level, alpha, a, b, beta, c, epilogue, scratch);
    }
    expect_len("b's rows", a.cols, b.rows)?;
    expect_len("c's rows", a.rows, c.rows)?;
    expect_len("c's columns", b.cols, c.cols)?;
    a.check("a")?;
    b.check("b")?;
    c.check("c")?;
    expect_at_least("scratch", gemm_on_scratch_len(m, n, k, threads), scratch.len())?;
    if let Some(bias) = epilogue.bias {
        expect_len("bias", n, bias.len())?;
    }
    let each = gemm_scratch_len(m, n, k);
    let product = Product { level, alpha, a, b, beta, c, epilogue, scratch };
    match Plan::new(most, &product.c) {
        Plan::Whole => product.run(),
        Plan::Rows { height, count } => fork(
            pool,
            count,
            product,
            &|product: Product<'_, T>, bands| product.split_rows(bands * height, bands * each),
            &Product::run,
        ),
        Plan::Columns { width, count } => fork(
            pool,
            count,
            product,
            &|product: Product<'_, T>, bands| product.split_cols(bands * width, bands * each),
            &Product::run,
        ),
        Plan::Copied { width, count } => product.run_copied(pool, width, count, each),
    }
}

/// How a product is divided.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Plan {
    Whole,
    Rows {
        height: usize,
        count: usize,
    },
    Columns {
        width: usize,
        count: usize,
    },
    /// Bands of columns but the first through scratch.
    Copied {
        width: usize,
        count: usize,
    },
}

impl Plan {
    fn new<T>(most: usize, c: &MatMut<'_, T>) -> Self {
        let (m, n) = (c.rows, c.cols);
        if most < 2 || m == 0 || n == 0 {
            return Self::Whole;
        }
        // Of one row, the columns do not interleave, and of one column the rows.
        let columns_apart = if m == 1 || n == 1 { m == 1 } else { c.row_stride < c.col_stride };
        let (mut width, mut count) = bands(n, WIDTH, most);
        if n > 1 && n.checked_rem(width) == Some(1) {
            // A band of one column would be a sum in lanes, with other bits.
            width += 1;
            count = n.div_ceil(width.max(1));
        }
        let [fine, finest] = HEIGHTS.map(|unit| bands(m, unit, most));
        let of_rows = if fine.0 <= finest.0 + finest.0 / 16 { fine } else { finest };
        let plan = if columns_apart {
            Self::Columns { width, count }
        } else if c.col_stride == 1 && m <= COPIED_ROWS && n >= 2 * m {
            Self::Copied { width, count }
        } else {
            Self::Rows { height: of_rows.0, count: of_rows.1 }
        };
        match plan {
            Self::Rows { count: 1, .. } | Self::Columns { count: 1, .. } | Self::Copied { count: 1, .. } => {
                Self::Whole
            }
            plan => plan,
        }
    }
}

/// The checked operands of one call, or of a band.
struct Product<'a, T> {
    level: Level,
    alpha: T,
    a: MatRef<'a, T>,
    b: MatRef<'a, T>,
    beta: T,
    c: MatMut<'a, T>,
    epilogue: Epilogue<'a, T>,
    scratch: &'a mut [T],
}

impl<'a, T: Element> Product<'a, T> {
    fn run(self) -> Result<(), ShapeError> {
        let Self { level, alpha, a, b, beta, c, epilogue, scratch } = self;
        gemm_with_epilogue(level, alpha, a, b, beta, c, epilogue, scratch)
    }

    /// The first `at` rows with `scratch` elements of scratch, and the others.
    fn split_rows(self, at: usize, scratch: usize) -> (Self, Self) {
        let (first, second) = cut_mut(self.scratch, scratch);
        let ((a, below), (c, c_below)) = (self.a.split_rows(at), self.c.split_rows(at));
        (Self { a, c, scratch: first, ..self }, Self { a: below, c: c_below, scratch: second, ..self })
    }

    /// The first `at` columns with `scratch` elements of scratch, and the others.
    fn split_cols(self, at: usize, scratch: usize) -> (Self, Self) {
        let (first, second) = cut_mut(self.scratch, scratch);
        let ((b, beside), (c, c_beside)) = (self.b.t().split_rows(at), self.c.t().split_rows(at));
        let (epilogue, further) = split_epilogue(self.epilogue, at);
        (
            Self { b: b.t(), c: c.t(), epilogue, scratch: first, ..self },
            Self { b: beside.t(), c: c_beside.t(), epilogue: further, scratch: second, ..self },
        )
    }

    /// Bands of columns of which the first is computed in C, the others side by side in scratch, from where they are copied.
    fn run_copied(
        self,
        pool: &impl Parallel,
        width: usize,
        count: usize,
        each: usize,
    ) -> Result<(), ShapeError> {
        let Self { level, alpha, a, b, beta, c, epilogue, scratch } = self;
        let MatMut { data, rows, cols, row_stride, col_stride } = c;
        let (scratch, copy) = cut_mut(scratch, count * each);
        let (copy, _) = cut_mut(copy, rows * cols.saturating_sub(width));
        if beta != T::default() {
            for (at, row) in rows_of_bands(&mut *copy, rows, cols, row_stride, width) {
                for (to, from) in row.iter_mut().zip(data.get(at..).unwrap_or_default()) {
                    *to = *from;
                }
            }
        }
        let (b, beside) = b.t().split_rows(width);
        let (first, others) = cut_mut(scratch, each);
        let c = MatMut::strided(&mut *data, rows, b.rows, row_stride, col_stride);
        let (epilogue, further) = split_epilogue(epilogue, width);
        let work = Product { level, alpha, a, b: b.t(), beta, c, epilogue, scratch: first };
        // What lies in `copy` is no matrix, but one a band, each of whole rows.
        let bands = Copied { b: beside, epilogue: further, copy: &mut *copy, scratch: others };
        let others = |bands| {
            fork(
                pool,
                count - 1,
                bands,
                &|bands: Copied<'_, T>, n| {
                    let (b, beside) = bands.b.split_rows(n * width);
                    let (copy, further) = cut_mut(bands.copy, n * width * rows);
                    let (scratch, others) = cut_mut(bands.scratch, n * each);
                    let (epilogue, beyond) = split_epilogue(bands.epilogue, n * width);
                    (
                        Copied { b, epilogue, copy, scratch },
                        Copied { b: beside, epilogue: beyond, copy: further, scratch: others },
                    )
                },
                &|band: Copied<'_, T>| {
                    let c = MatMut::row_major(band.copy, rows, band.b.rows);
                    gemm_with_epilogue(level, alpha, a, band.b.t(), beta, c, band.epilogue, band.scratch)
                },
            )
        };
        let (first, others) = both(pool, || work.run(), || others(bands))?;
        first.and(others)?;
        for (at, row) in rows_of_bands(copy, rows, cols, row_stride, width) {
            for (to, from) in data.get_mut(at..).unwrap_or_default().iter_mut().zip(row) {
                *to = *from;
            }
        }
        Ok(())
    }
}

/// Bands of columns in scratch.
struct Copied<'a, T> {
    /// Their part of B, transposed.
    b: MatRef<'a, T>,
    epilogue: Epilogue<'a, T>,
    copy: &'a mut [T],
    scratch: &'a mut [T],
}

/// That of the first `at` columns, and of the others.
fn split_epilogue<T>(epilogue: Epilogue<'_, T>, at: usize) -> (Epilogue<'_, T>, Epilogue<'_, T>) {
    let Epilogue { bias, activation } = epilogue;
    let halves = bias.map(|bias| cut(bias, at));
    let of = |bias| Epilogue { bias, activation };
    (of(halves.map(|(bias, _)| bias)), of(halves.map(|(_, bias)| bias)))
}

/// The rows of every band in `copy`, and where in C each begins.
fn rows_of_bands<T>(
    copy: &mut [T],
    rows: usize,
    cols: usize,
    row_stride: usize,
    width: usize,
) -> impl Iterator<Item = (usize, &mut [T])> {
    let bands = copy.chunks_mut(rows.saturating_mul(width).max(1)).zip(1usize..);
    bands.flat_map(move |(band, number)| {
        let first = number * width;
        let width = width.min(cols.saturating_sub(first)).max(1);
        band.chunks_mut(width).zip(0usize..).map(move |(row, i)| (i * row_stride + first, row))
    })
}

#[cfg(test)]
mod tests;
