//! Which way a product is computed. Layout, n and k decide, and m where bits cannot change.

use super::{Bias, Epilogue, MatMut, MatRef, direct, dot, gemm_scratch_len, packed, vector};
use crate::simd::{Level, Simd, dispatch};
use crate::{Activation, Element};

/// Bytes of B up to which it is read as it lies: it stays in L2.
const DIRECT: usize = 1024 << 10;
/// Rows of A up to which packing B costs more than reading it from L2.
const FEW_ROWS: usize = 144;
/// Bytes from one row of B to the next up to which it is: 4096 and more fall on the same few lines of a cache.
const DIRECT_ROW: usize = 2048;

/// Rows and steps of k that are few.
const TINY: usize = 32;

/// Bytes by which the rows of a wide B must miss those lines.
const DIRECT_APART: usize = 64;

/// The checked operands of one call, none of them empty: `C = alpha A B + beta C + bias`, and 0 where that is negative
/// and `relu` is set.
pub(super) struct Product<'a, T> {
    pub(super) alpha: T,
    pub(super) a: MatRef<'a, T>,
    pub(super) b: MatRef<'a, T>,
    pub(super) beta: T,
    pub(super) c: MatMut<'a, T>,
    pub(super) bias: Bias<'a, T>,
    pub(super) relu: bool,
}

/// `C = A B`, where C is two blocks wide or less and nothing is to be chosen: what a tiny product costs beside its work
/// is arguments and branches. `false` where it is not such a product.
#[inline(always)]
pub(super) fn run_tiny<T: Element>(
    level: Level,
    a: MatRef<'_, T>,
    b: MatRef<'_, T>,
    c: &mut MatMut<'_, T>,
) -> bool {
    let (m, n, k) = (a.rows, b.cols, a.cols);
    if !(2..=2 * T::LANES).contains(&n) || !(1..=TINY).contains(&k) || m <= vector::MAX_ROWS || m > TINY {
        return false;
    }
    if a.col_stride != 1 || b.col_stride != 1 || c.col_stride != 1 {
        return false;
    }
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512(simd) => simd.vectorize(
            #[inline(always)]
            || direct::tiny::<T, _, 8>(simd, a, b, c),
        ),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(simd) => simd.vectorize(
            #[inline(always)]
            || direct::tiny::<T, _, 4>(simd, a, b, c),
        ),
        Level::Portable => direct::tiny::<T, _, 2>(crate::simd::Portable, a, b, c),
    }
    true
}

/// Computes it.
pub(super) fn run<T: Element>(level: Level, product: &mut Product<'_, T>, scratch: &mut [T]) {
    if product.c.cols == 1 {
        dispatch!(level, simd => dot::multiply(simd, product));
        return;
    }
    if product.costs_less_turned(scratch.len()) {
        let Product { alpha, a, b, beta, ref mut c, bias, relu } = *product;
        let c = MatMut::strided(&mut *c.data, c.cols, c.rows, c.col_stride, c.row_stride);
        let mut turned = Product { alpha, a: b.t(), b: a.t(), beta, c, bias: bias.turned(), relu };
        return multiply(level, &mut turned, scratch);
    }
    multiply(level, product, scratch);
}

#[inline(always)]
fn multiply<T: Element>(level: Level, product: &mut Product<'_, T>, scratch: &mut [T]) {
    if product.c.rows <= vector::MAX_ROWS && product.b.col_stride == 1 && product.c.col_stride == 1 {
        dispatch!(level, simd => vector::multiply(simd, product));
        return;
    }
    let direct = product.stays_in_cache(level);
    // Tiles of as many registers as hide the latency of a multiply-add.
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512(simd) => simd.vectorize(
            #[inline(always)]
            || {
                if direct {
                    direct::multiply::<T, _, 6, 4>(simd, product);
                } else {
                    packed::multiply::<T, _, 6, 4, 2, 4>(simd, product, None, scratch);
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
                    packed::multiply::<T, _, 6, 4, 2, 1>(simd, product, None, scratch);
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
                        packed::multiply::<T, _, 2, 1, 1, 1>(simd, product, None, scratch);
                    }
                },
            );
        }
    }
}

/// Computes it with the panels that [`PackedB`](super::PackedB) holds of B; where that is one column, the product's own B.
pub(super) fn run_packed<T: Element>(
    level: Level,
    product: &mut Product<'_, T>,
    panels: &[T],
    scratch: &mut [T],
) {
    if product.c.cols == 1 {
        dispatch!(level, simd => dot::multiply(simd, product));
        return;
    }
    let panels = Some(panels);
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512(simd) => simd.vectorize(
            #[inline(always)]
            || packed::multiply::<T, _, 6, 4, 2, 4>(simd, product, panels, scratch),
        ),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(simd) => simd.vectorize(
            #[inline(always)]
            || packed::multiply::<T, _, 6, 4, 2, 1>(simd, product, panels, scratch),
        ),
        Level::Portable => {
            let simd = crate::simd::Portable;
            simd.vectorize(
                #[inline(always)]
                || packed::multiply::<T, _, 2, 1, 1, 1>(simd, product, panels, scratch),
            );
        }
    }
}

impl<'a, T: Element> Product<'a, T> {
    #[inline]
    pub(super) fn new(
        alpha: T,
        a: MatRef<'a, T>,
        b: MatRef<'a, T>,
        beta: T,
        c: MatMut<'a, T>,
        epilogue: &Epilogue<'a, T>,
    ) -> Self {
        let bias = epilogue.bias.map_or(Bias::None, Bias::Columns);
        Self { alpha, a, b, beta, c, bias, relu: epilogue.activation == Activation::Relu }
    }
}

impl<T: Element> Product<'_, T> {
    /// Whether `C^T = B^T A^T`, which has the same chains, costs less.
    ///
    /// Columns of C lie next to each other then. Where B's do not, and C has fewer rows than columns, A is turned while
    /// it is packed instead of B, and C while it is written.
    #[inline]
    fn costs_less_turned(&self, scratch_len: usize) -> bool {
        let (m, n, k) = (self.c.rows, self.c.cols, self.a.cols);
        let by_columns = self.c.col_stride != 1 && self.c.row_stride == 1
            || self.b.col_stride != 1
                && self.b.row_stride == 1
                && n.saturating_mul(k) > m.saturating_mul(n.saturating_add(k));
        // alpha belongs to A; as the right operand it would go unscaled.
        by_columns && self.alpha == T::from(1) && gemm_scratch_len(n, m, k) <= scratch_len
    }

    /// Whether the operands can be read as they lie, again and again, in less time than it takes to pack them.
    #[inline]
    fn stays_in_cache(&self, level: Level) -> bool {
        let (a, b) = (&self.a, &self.b);
        let row = b.row_stride.saturating_mul(size_of::<T>());
        // Twice the width of a register takes twice the time over a block: what B costs outside L1 is hidden.
        let most = match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(_) if a.rows > FEW_ROWS => DIRECT,
            _ if a.rows <= FEW_ROWS => 64 * DIRECT,
            _ => DIRECT / 16,
        };
        self.alpha == T::from(1)
            && a.col_stride == 1
            && b.col_stride == 1
            && self.c.col_stride == 1
            && (row <= DIRECT_ROW
                || a.rows <= FEW_ROWS && row % 4096 >= DIRECT_APART && row % 4096 <= 4096 - DIRECT_APART)
            && row.saturating_mul(b.rows) <= most
    }
}
