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
mod kernel;
mod left;
mod matrix;
mod pack;
mod packed;
mod right;
mod vector;

pub use matrix::{MatMut, MatRef};

use crate::error::{expect_at_least, expect_len};
use crate::simd::{Level, Simd, dispatch};
use crate::{Element, ShapeError};
use packed::{KC, MC, NC};

/// Bytes of B up to which it is read as it lies: it stays in L2.
const DIRECT: usize = 1024 << 10;
/// Rows of A up to which packing B costs more than reading it from L2.
const FEW_ROWS: usize = 144;
/// Bytes from one row of B to the next up to which it is: 4096 and more fall on the same few lines of a cache.
const DIRECT_ROW: usize = 2048;
/// The height and width that every level's tile divides.
const TILE: (usize, usize) = (24, 64);
/// A cache line, in elements of the smaller type: packed panels start at one.
const LINE: usize = 16;

/// The scratch that [`gemm`] needs for `(m, k)` times `(k, n)`, in elements of either type, at any level.
///
/// It grows with the product up to about 600,000 elements, and no further.
#[must_use]
pub const fn gemm_scratch_len(m: usize, n: usize, k: usize) -> usize {
    let k = min(k, KC);
    let m = min(m, MC).next_multiple_of(TILE.0);
    let n = min(n, NC).next_multiple_of(TILE.1);
    LINE + (m * k).next_multiple_of(LINE) + n * k
}

/// `C = alpha A B + beta C` with A: `(m, k)`, B: `(k, n)`, C: `(m, n)`, each with any strides.
///
/// With `beta = 0` C is not read: a NaN there is overwritten. With `alpha = 0` A and B are not read. Zero sizes are
/// legal. `scratch` may hold anything; its content afterwards means nothing.
///
/// The error of each element is at most `gamma(k + 2) * (|alpha| |A| |B| + |beta| |C|)` with
/// `gamma(n) = n u / (1 - n u)`, `u = EPSILON / 2` (twice the count on the portable level, which does not fuse), but for what underflows.
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
pub fn gemm<T: Element>(
    level: Level,
    alpha: T,
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
    beta: T,
    c: MatMut<'_, T>,
    scratch: &mut [T],
) -> Result<(), ShapeError> {
    expect_len("b's rows", a.cols, b.rows)?;
    expect_len("c's rows", a.rows, c.rows)?;
    expect_len("c's columns", b.cols, c.cols)?;
    a.check("a")?;
    b.check("b")?;
    c.check("c")?;
    expect_at_least("scratch", gemm_scratch_len(c.rows, c.cols, a.cols), scratch.len())?;
    let (zero, one) = (T::default(), T::from(1));
    let product = Product { alpha, a, b, beta, c };
    if product.a.cols == 0 || alpha == zero {
        if beta != one {
            product.scale_only();
        }
        return Ok(());
    }
    if product.c.cols == 1 {
        dispatch!(level, simd => dot::multiply(simd, product, scratch));
        return Ok(());
    }
    let product = product.turned(scratch.len());
    if product.c.rows <= vector::MAX_ROWS && [product.b.col_stride, product.c.col_stride] == [1; 2] {
        dispatch!(level, simd => vector::multiply(simd, product));
        return Ok(());
    }
    // Tiles of as many registers as hide the latency of a multiply-add.
    let direct = product.stays_in_cache(level);
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512(simd) => simd.vectorize(
            #[inline(always)]
            || {
                if direct {
                    direct::multiply::<T, _, 6, 4>(simd, product);
                } else {
                    packed::multiply::<T, _, 6, 4, 2, 4>(simd, product, scratch);
                }
            },
        ),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(simd) => simd.vectorize(
            #[inline(always)]
            || {
                if direct {
                    direct::multiply::<T, _, 6, 1>(simd, product);
                } else {
                    packed::multiply::<T, _, 6, 4, 2, 1>(simd, product, scratch);
                }
            },
        ),
        Level::Portable => {
            let simd = crate::simd::Portable;
            simd.vectorize(
                #[inline(always)]
                || {
                    if direct {
                        direct::multiply::<T, _, 2, 1>(simd, product);
                    } else {
                        packed::multiply::<T, _, 2, 1, 1, 1>(simd, product, scratch);
                    }
                },
            );
        }
    }
    Ok(())
}

/// The checked operands of one call.
struct Product<'a, T> {
    alpha: T,
    a: MatRef<'a, T>,
    b: MatRef<'a, T>,
    beta: T,
    c: MatMut<'a, T>,
}

impl<'a, T: Element> Product<'a, T> {
    /// The product itself, or `C^T = alpha B^T A^T` where that costs less: the same chains.
    ///
    /// Columns of C lie next to each other then. Where B's do not, and C has fewer rows than columns, A is turned while
    /// it is packed instead of B, and C while it is written.
    fn turned(self, scratch_len: usize) -> Self {
        let (m, n, k) = (self.c.rows, self.c.cols, self.a.cols);
        let c_by_columns = self.c.col_stride != 1 && self.c.row_stride == 1;
        let b_by_columns = self.b.col_stride != 1 && self.b.row_stride == 1;
        let cheaper = n.saturating_mul(k) > m.saturating_mul(n.saturating_add(k));
        // alpha belongs to A; as the right operand it would go unscaled.
        if self.alpha == T::from(1)
            && (c_by_columns || b_by_columns && cheaper)
            && gemm_scratch_len(n, m, k) <= scratch_len
        {
            return Product { a: self.b.t(), b: self.a.t(), c: self.c.t(), ..self };
        }
        self
    }

    /// Whether the operands can be read as they lie, again and again, in less time than it takes to pack them.
    fn stays_in_cache(&self, level: Level) -> bool {
        let (a, b) = (&self.a, &self.b);
        let row = b.row_stride.saturating_mul(size_of::<T>());
        // Twice the width of a register takes twice the time over a block: what B costs outside L1 is hidden.
        let most = match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(_) => DIRECT,
            _ if a.rows <= FEW_ROWS => DIRECT,
            _ => DIRECT / 16,
        };
        self.alpha == T::from(1)
            && [a.col_stride, b.col_stride, self.c.col_stride] == [1; 3]
            && row <= DIRECT_ROW
            && row.saturating_mul(b.rows) <= most
    }

    /// `C = beta C`, reading C only where beta is not 0.
    fn scale_only(self) {
        let zero = T::default();
        for i in 0..self.c.rows {
            for j in 0..self.c.cols {
                if let Some(c) = self.c.data.get_mut(i * self.c.row_stride + j * self.c.col_stride) {
                    *c = if self.beta == zero { zero } else { self.beta * *c };
                }
            }
        }
    }
}

const fn min(a: usize, b: usize) -> usize {
    if a < b { a } else { b }
}

#[cfg(test)]
mod tests;
