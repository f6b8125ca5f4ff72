//! General matrix multiplication, `C = alpha A B + beta C`.
//!
//! The scheme is that of GotoBLAS and BLIS (Goto and van de Geijn, "Anatomy of High-Performance Matrix
//! Multiplication", 2008; Van Zee and van de Geijn, "BLIS", 2015): blocks of B and A are packed into panels that stay
//! in cache, and a micro-kernel multiplies two panels with a tile of C in registers.
//!
//! Every element of C is one chain of fused multiply-adds in increasing k that starts from `beta * c`:
//!
//! ```text
//! acc = beta * c;  for p in 0..k { acc = fma(alpha * a[p], b[p], acc) }  c = acc
//! ```
//!
//! A further block of k goes on from C. So the bits do not depend on m, on n, on blocks or on the path taken; the
//! portable level rounds the product too. Where n is 1 (a matrix times a column) there is but one such chain a row, and
//! the sum is taken in lanes instead: see `dot.rs`. That is decided by n alone.

mod direct;
mod dot;
mod edges;
mod kernel;
mod left;
mod matrix;
mod narrow;
mod pack;
mod packed;
mod packed_b;
mod plan;
mod right;
mod squares;
mod tiles;
mod tiny;
mod turning;
mod vector;

pub use matrix::{MatMut, MatRef};
pub use packed_b::{PackedB, gemm_packed, gemm_packed_scratch_len, packed_b_len};

use crate::error::{expect_at_least, expect_len};
use crate::simd::Level;
use crate::{Activation, Element, ShapeError, activate_in_place};
use packed::{KC, MC, NC};
pub(crate) use plan::Multiply;
use plan::Product;

/// The height and width of packed panels that every level's divide.
const TILE: (usize, usize) = (6, 64);
/// A cache line, in elements of the smaller type: packed panels start at one.
const LINE: usize = 16;

/// The scratch that [`gemm`] needs for `(m, k)` times `(k, n)`, in elements of either type, at any level.
///
/// It grows with the product up to about 600,000 elements, and no further.
#[must_use]
pub const fn gemm_scratch_len(m: usize, n: usize, k: usize) -> usize {
    2 * LINE + (rows_len(m) + min(n, NC).next_multiple_of(TILE.1)) * min(k, KC)
}

/// Rows of A that are packed at most, whole panels of them: cheap to count, as a tiny product feels it.
const fn rows_len(m: usize) -> usize {
    min(m, MC) + TILE.0 - 1
}

/// `C = alpha A B + beta C` with A: `(m, k)`, B: `(k, n)`, C: `(m, n)`, each with any strides.
///
/// With `beta = 0` C is not read: a NaN there is overwritten. With `alpha = 0` A and B are not read. Zero sizes are
/// legal. `scratch` may hold anything; its content afterwards means nothing.
///
/// The error of each element is at most `gamma(k + 2) * (|alpha| |A| |B| + |beta| |C|)` with
/// `gamma(n) = n u / (1 - n u)`, `u = EPSILON / 2` (twice the count on the portable level, which does not fuse), and the
/// smallest subnormal times the largest of 1, `|alpha|`, `|A|` and `|B|` for each product that underflows.
///
/// ```
/// use slicewise_kernels::{Level, MatMut, MatRef, gemm, gemm_scratch_len};
///
/// let (x, w) = ([1.0f32, 2.0], [1.0, 10.0, 100.0, 1000.0]); // (1, 2) and (2, 2)
/// let mut y = [f32::NAN; 2];
/// let mut scratch = [0.0; gemm_scratch_len(1, 2, 2)];
/// let (x, w) = (MatRef::row_major(&x, 1, 2), MatRef::row_major(&w, 2, 2));
/// gemm(Level::detect(), 1.0, x, w, 0.0, MatMut::row_major(&mut y, 1, 2), &mut scratch)?;
/// assert_eq!(y, [201.0, 2010.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] where the sizes do not fit each other, a slice is shorter than its matrix, elements of C overlap,
/// or `scratch` is shorter than [`gemm_scratch_len`] says.
#[inline]
pub fn gemm<T: Element>(
    level: Level,
    alpha: T,
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
    beta: T,
    c: MatMut<'_, T>,
    scratch: &mut [T],
) -> Result<(), ShapeError> {
    let epilogue = Epilogue { bias: None, activation: Activation::Identity };
    gemm_with_epilogue(level, alpha, a, b, beta, c, epilogue, scratch)
}

/// What becomes of a product before it is written: `f(x + bias)`.
#[derive(Clone, Copy, Debug)]
pub struct Epilogue<'a, T> {
    /// One value for each column of C, which its chains start from.
    pub bias: Option<&'a [T]>,
    /// ReLU is applied in registers, the others row by row.
    pub activation: Activation,
}

/// `C = f(alpha A B + beta C + bias)`: [`gemm`] with an [`Epilogue`]. A dense layer is `beta = 0` with its bias and its
/// activation.
///
/// Chains start from `beta * c + bias`. So the bits are those of [`gemm`] on a C that holds `beta * c + bias` before, with
/// `beta = 1`, and of [`activate_in_place`] after it.
///
/// ```
/// use slicewise_kernels::{Activation, Epilogue, Level, MatMut, MatRef, gemm_scratch_len, gemm_with_epilogue};
///
/// let (x, w) = ([1.0f32, 2.0], [1.0, 10.0, 100.0, 1000.0]); // (1, 2) and (2, 2)
/// let epilogue = Epilogue { bias: Some(&[-300.0, 0.5]), activation: Activation::Relu };
/// let mut y = [f32::NAN; 2];
/// let mut scratch = [0.0; gemm_scratch_len(1, 2, 2)];
/// let (x, w) = (MatRef::row_major(&x, 1, 2), MatRef::row_major(&w, 2, 2));
/// gemm_with_epilogue(Level::detect(), 1.0, x, w, 0.0, MatMut::row_major(&mut y, 1, 2), epilogue, &mut scratch)?;
/// assert_eq!(y, [0.0, 2010.5]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// As [`gemm`], and where the bias is not one value for each column.
#[inline]
pub fn gemm_with_epilogue<T: Element>(
    level: Level,
    alpha: T,
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
    beta: T,
    c: MatMut<'_, T>,
    epilogue: Epilogue<'_, T>,
    scratch: &mut [T],
) -> Result<(), ShapeError> {
    expect_len("b's rows", a.cols, b.rows)?;
    expect_len("c's columns", b.cols, c.cols)?;
    b.check("b")?;
    let needed = gemm_scratch_len(c.rows, c.cols, a.cols);
    compute(level, alpha, &a, &b, beta, c, epilogue, None, needed, scratch)
}

/// Checks what is left to check, and computes the product and its epilogue.
#[inline(always)]
fn compute<T: Element>(
    level: Level,
    alpha: T,
    a: &MatRef<'_, T>,
    b: &MatRef<'_, T>,
    beta: T,
    mut c: MatMut<'_, T>,
    epilogue: Epilogue<'_, T>,
    panels: Option<&[T]>,
    needed: usize,
    scratch: &mut [T],
) -> Result<(), ShapeError> {
    expect_len("c's rows", a.rows, c.rows)?;
    a.check("a")?;
    c.check("c")?;
    expect_at_least("scratch", needed, scratch.len())?;
    if let Some(bias) = epilogue.bias {
        expect_len("bias", c.cols, bias.len())?;
    }
    if c.rows == 0 || c.cols == 0 {
        return Ok(());
    }
    let mut product = Product::new(alpha, a, b, beta, &mut c, &epilogue);
    if product.a.cols == 0 || alpha == T::default() {
        product.c.start(beta, epilogue.bias);
    } else {
        T::multiply(level, &mut product, panels, scratch);
        if product.relu {
            return Ok(());
        }
    }
    if epilogue.activation != Activation::Identity {
        activate_lines(level, epilogue.activation, &mut c);
    }
    Ok(())
}

#[inline(never)]
fn activate_lines<T: Element>(level: Level, activation: Activation, c: &mut MatMut<'_, T>) {
    c.for_each_line(
        #[inline(always)]
        |line| activate_in_place(level, activation, line),
    );
}

/// What a chain starts from, beside `beta * c`.
#[derive(Clone, Copy)]
enum Bias<'a, T> {
    /// Nothing.
    None,
    /// A value for each column of C.
    Columns(&'a [T]),
    /// A value for each row of C.
    Rows(&'a [T]),
}

impl<T> Bias<'_, T> {
    /// That of the transpose.
    fn turned(self) -> Self {
        match self {
            Self::None => Self::None,
            Self::Columns(values) => Self::Rows(values),
            Self::Rows(values) => Self::Columns(values),
        }
    }
}

/// The depth of even blocks of k, or the width of pieces of a row, at most `most`: a thin last one would load and store C for little work. Never 0.
#[inline(always)]
fn even_depth(k: usize, most: usize) -> usize {
    min(k.div_ceil(k.div_ceil(most).max(1)), most).max(1)
}

/// Whether rows that lie `stride` elements apart fall on the same few lines of a cache: those 4096 bytes apart do, unless they miss
/// them by a line.
#[inline(always)]
fn on_the_same_lines<T>(stride: usize) -> bool {
    const APART: usize = 4096;
    const BESIDE: usize = 64;
    let bytes = stride.saturating_mul(size_of::<T>());
    bytes > APART / 2 && !(BESIDE..=APART - BESIDE).contains(&(bytes % APART))
}

/// As [`on_the_same_lines`], or on twice as many: those 2048 bytes apart.
#[inline(always)]
fn on_two_lines<T>(stride: usize) -> bool {
    on_the_same_lines::<T>(stride) || stride.saturating_mul(size_of::<T>()).is_multiple_of(2048)
}

/// Blocks of columns of the next panel, of those that are `left`: rather two panels of three, whose tiles are taller, than one of four and
/// a narrow one.
#[inline(always)]
const fn panel_blocks(left: usize, widest: usize) -> usize {
    if widest == 4 && matches!(left, 5 | 6) { 3 } else { min(left, widest) }
}

const fn min(a: usize, b: usize) -> usize {
    if a < b { a } else { b }
}

#[cfg(test)]
mod tests;
