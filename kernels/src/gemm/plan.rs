//! Which way a product is computed. Layout, n and k decide, and m where bits cannot change.

#![allow(unreachable_pub, reason = "sealed: these types stand in public bounds, but cannot be named outside")]

use super::squares::copy_rows;
use super::{
    Bias, Epilogue, MatMut, MatRef, direct, dot, gemm_scratch_len, on_the_same_lines, packed, tiny, turning,
    vector,
};
use crate::once::compiled_once;
use crate::simd::{Level, Portable, Simd, dispatch};
use crate::{Activation, Element};

/// Bytes from one row of B to the next up to which a B in L1 is read as it lies.
const NEAR_ROWS: usize = 2048;
/// Steps of k from which on two and three rows of A that are not contiguous are copied, where a block is a register; columns of C from
/// which on any few are, where it is several.
const MANY_STEPS: usize = 128;
const MANY_COLUMNS: usize = 96;
/// Rows of A that are one tile: B is read once, packed or not.
const ONE_TILE: usize = 6;

/// The checked operands of one call, none of them empty: `C = alpha A B + beta C + bias`, and 0 where that is negative
/// and `relu` is set.
///
/// Operands are borrowed: a copy of fields just written waits for them, which a tiny product feels.
pub struct Product<'a, 'c, T> {
    pub(super) alpha: T,
    pub(super) a: &'a MatRef<'a, T>,
    pub(super) b: &'a MatRef<'a, T>,
    pub(super) beta: T,
    pub(super) c: &'a mut MatMut<'c, T>,
    pub(super) bias: Bias<'a, T>,
    pub(super) relu: bool,
}

compiled_once! {
    /// Products.
    trait Multiply {
        /// Computes a product, with the panels of B where [`PackedB`](super::PackedB) holds them.
        fn multiply(
            level: Level,
            product: &mut Product<'_, '_, Self>,
            panels: Option<&[Self]>,
            scratch: &mut [Self],
        ) {
            if product.is_tiny(level) && panels.is_none() {
                return without_plan(level, product);
            }
            if product.has_few_rows()
                && panels.is_none()
                && (product.lies_by_rows() || !product.copies_few_rows(level))
            {
                return few_rows(level, product);
            }
            planned(level, product, panels, scratch);
        }
    }
}

#[inline(never)]
fn few_rows<T: Element>(level: Level, product: &mut Product<'_, '_, T>) {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512(simd) => vector::multiply::<T, _, 8, 4, 4>(simd, product),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(simd) => vector::multiply::<T, _, 4, 2, 1>(simd, product),
        Level::Portable => vector::multiply::<T, _, 2, 1, 1>(Portable, product),
    }
}

/// In a function of its own: what it keeps on the stack is not made ready for a tiny product.
#[inline(never)]
fn planned<T: Element>(
    level: Level,
    product: &mut Product<'_, '_, T>,
    panels: Option<&[T]>,
    scratch: &mut [T],
) {
    if product.c.cols == 1 {
        // Of a packed column, the panels are the column, and the product's own B.
        return column(level, product);
    }
    if panels.is_none() && product.copies_few_rows(level) && with_rows_copied(level, product, scratch) {
        return;
    }
    if panels.is_none() && product.costs_less_turned(level, scratch.len()) {
        let Product { alpha, a, b, beta, ref mut c, bias, relu } = *product;
        let (a, b) = (&b.t(), &a.t());
        let c = &mut MatMut::strided(&mut *c.data, c.cols, c.rows, c.col_stride, c.row_stride);
        let mut turned = Product { alpha, a, b, beta, c, bias: bias.turned(), relu };
        if turned.has_few_rows() {
            return few_rows(level, &mut turned);
        }
        return by_layout(level, &mut turned, None, scratch);
    }
    by_layout(level, product, panels, scratch);
}

/// With the rows of A copied, contiguous and scaled: then no way needs more scratch. `false`, and nothing done, where they do not fit.
#[inline(never)]
fn with_rows_copied<T: Element>(level: Level, product: &mut Product<'_, '_, T>, scratch: &mut [T]) -> bool {
    let Product { alpha, a, b, beta, ref mut c, bias, relu } = *product;
    let Some(rows) = scratch.get_mut(..a.rows * a.cols) else { return false };
    dispatch!(level, simd => copy_rows(simd, a, alpha, rows));
    let a = &MatRef::row_major(&*rows, a.rows, a.cols);
    let product = &mut Product { alpha: T::from(1), a, b, beta, c, bias, relu };
    if product.is_tiny(level) {
        without_plan(level, product);
    } else if product.has_few_rows() {
        few_rows(level, product);
    } else {
        by_layout(level, product, None, &mut []);
    }
    true
}

#[inline(never)]
fn by_layout<T: Element>(
    level: Level,
    product: &mut Product<'_, '_, T>,
    panels: Option<&[T]>,
    scratch: &mut [T],
) {
    let turns = product.lies_by_columns_of_b() && product.c.rows <= turned_rows(level) && panels.is_none();
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512(simd) if turns => turning::multiply::<T, _, 8>(simd, product),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(simd) if turns => turning::multiply::<T, _, 4>(simd, product),
        _ => by_tiles(level, product, panels, scratch),
    }
}

/// The rows up to which contiguous columns of B are turned in registers: as many as there are registers for their sums, where
/// turning costs less than elements one by one.
#[inline]
fn turned_rows(level: Level) -> usize {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512(_) => 8,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(_) => 4,
        Level::Portable => 0,
    }
}

#[inline(never)]
fn column<T: Element>(level: Level, product: &mut Product<'_, '_, T>) {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512(simd) => simd.vectorize(
            #[inline(always)]
            || dot::multiply::<T, _, 8>(simd, product),
        ),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(simd) => simd.vectorize(
            #[inline(always)]
            || dot::multiply::<T, _, 4>(simd, product),
        ),
        Level::Portable => Portable.vectorize(
            #[inline(always)]
            || dot::multiply::<T, _, 2>(Portable, product),
        ),
    }
}

#[inline(always)]
fn without_plan<T: Element>(level: Level, product: &mut Product<'_, '_, T>) {
    // Each strip of columns has a frame of its own.
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512(simd) => tiny::multiply::<T, _, 8>(simd, product),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(simd) => tiny::multiply::<T, _, 6>(simd, product),
        Level::Portable => tiny::multiply::<T, _, 2>(Portable, product),
    }
}

#[inline(never)]
fn by_tiles<T: Element>(
    level: Level,
    product: &mut Product<'_, '_, T>,
    panels: Option<&[T]>,
    scratch: &mut [T],
) {
    // Tiles of as many registers as hide the latency of a multiply-add.
    if panels.is_none() && product.stays_in_cache(level) {
        match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(simd) => simd.vectorize(
                #[inline(always)]
                || direct::multiply::<T, _, 6, 4>(simd, product),
            ),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(simd) => simd.vectorize(
                #[inline(always)]
                || direct::multiply::<T, _, 6, 1>(simd, product),
            ),
            Level::Portable => Portable.vectorize(
                #[inline(always)]
                || direct::multiply::<T, _, 2, 1>(Portable, product),
            ),
        }
        return;
    }
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
        Level::Portable => Portable.vectorize(
            #[inline(always)]
            || packed::multiply::<T, _, 2, 1, 1, 1>(Portable, product, panels, scratch),
        ),
    }
}

/// The rows of A up to which B is read as it lies from anywhere; those up to which it is where it has no more than so many bytes,
/// and hardly leaves L1.
#[inline]
fn unpacked(level: Level) -> (usize, usize, usize) {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512(_) => (17, 144, 20 << 10),
        // Narrow tiles, of which a fifth of the instructions finds rows that are apart.
        _ => (14, 36, 12 << 10),
    }
}

impl<'a, 'c, T: Element> Product<'a, 'c, T> {
    #[inline]
    pub(super) fn new(
        alpha: T,
        a: &'a MatRef<'a, T>,
        b: &'a MatRef<'a, T>,
        beta: T,
        c: &'a mut MatMut<'c, T>,
        epilogue: &Epilogue<'a, T>,
    ) -> Self {
        let bias = epilogue.bias.map_or(Bias::None, Bias::Columns);
        Self { alpha, a, b, beta, c, bias, relu: epilogue.activation == Activation::Relu }
    }
}

impl<T: Element> Product<'_, '_, T> {
    /// Whether `C^T = B^T A^T`, which has the same chains, costs less.
    ///
    /// Columns of C lie next to each other then. Where B's do not, and C has fewer rows than columns, A is turned while
    /// it is packed instead of B, and C while it is written: unless the rows of C, which are columns then, fill blocks badly.
    #[inline]
    fn costs_less_turned(&self, level: Level, scratch_len: usize) -> bool {
        let (m, n, k) = (self.c.rows, self.c.cols, self.a.cols);
        // B is packed by squares, C written element by element.
        let by_squares = level != Level::Portable;
        let weight = if by_squares { 4 } else { 1 };
        let fills_blocks = !by_squares || m.next_multiple_of(T::LANES) - m <= T::LANES / 4;
        let by_columns = self.c.col_stride != 1 && self.c.row_stride == 1
            || self.b.col_stride != 1
                && self.b.row_stride == 1
                && fills_blocks
                && n.saturating_mul(k) > m.saturating_mul(n.saturating_add(k)).saturating_mul(weight);
        // alpha belongs to A; as the right operand it would go unscaled.
        by_columns && self.alpha == T::from(1) && gemm_scratch_len(n, m, k) <= scratch_len
    }

    /// Whether nothing is to be chosen: few steps and few columns, and all of it whole rows.
    #[inline]
    fn is_tiny(&self, level: Level) -> bool {
        let (m, n, k) = (self.c.rows, self.c.cols, self.a.cols);
        let few_rows = (vector::MAX_ROWS + 1..=tiny::FEW_ROWS).contains(&m);
        let part = n % T::LANES;
        let few = match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(_) => n <= 2 * T::LANES && k <= tiny::FEW_STEPS,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(_) => {
                k <= if few_rows && n <= T::LANES / 2 {
                    tiny::MOST_STEPS
                } else if few_rows && n <= tiny::MOST && part <= T::LANES / 2 {
                    tiny::MOST
                } else if n <= T::LANES || few_rows && n <= tiny::MOST {
                    // Two masks a step cost more than what is saved, but for few.
                    tiny::FEW_STEPS
                } else {
                    0
                }
            }
            // Without masks, parts of blocks are slow.
            Level::Portable => {
                n <= T::LANES && k <= tiny::FEW_STEPS
                    || few_rows && n <= tiny::MOST && part == 0 && k <= tiny::MOST
            }
        };
        n > 1
            && few
            && self.lies_by_rows()
            && self.beta == T::default()
            && self.a.is_whole_rows()
            && self.b.is_whole_rows()
            && self.c.row_stride >= n
            && m.saturating_mul(self.c.row_stride) <= self.c.data.len()
    }

    /// Whether there are so few rows that nothing is to be packed: of B and of C contiguous ones, and more than one column.
    #[inline]
    fn has_few_rows(&self) -> bool {
        self.c.rows <= vector::MAX_ROWS && self.b.col_stride == 1 && self.c.col_stride == 1 && self.c.cols > 1
    }

    /// Whether there are so few rows of A, not contiguous or to be scaled, that they are to be copied: they go the ways of few rows then.
    #[inline]
    fn copies_few_rows(&self, level: Level) -> bool {
        let (m, n, k, b) = (self.c.rows, self.c.cols, self.a.cols, self.b);
        let apart = self.a.col_stride != 1 || self.alpha != T::from(1);
        // Others have tiles that read A by columns while they pack B, or few chains, which read it as it lies.
        let pays = match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(_) => m <= 7 && (m > vector::MAX_ROWS || k >= MANY_STEPS),
            _ => n >= MANY_COLUMNS || m == 4 || m == 5,
        };
        let by_rows = b.col_stride == 1 && m <= unpacked(level).0 && pays;
        let by_columns = b.row_stride == 1 && m <= turned_rows(level);
        apart
            && self.c.cols > 1
            && self.c.col_stride == 1
            && (by_rows && self.reads_rows_of_b(level) || by_columns)
    }

    /// Whether there are so few rows that contiguous ones of B are read as they lie, wherever from.
    #[inline]
    fn reads_rows_of_b(&self, level: Level) -> bool {
        let (m, few) = (self.c.rows, unpacked(level).0);
        m <= ONE_TILE || m <= few && !on_the_same_lines::<T>(self.b.row_stride)
    }

    /// Whether squares of contiguous columns of B can be turned for contiguous rows of A and C.
    #[inline]
    fn lies_by_columns_of_b(&self) -> bool {
        self.alpha == T::from(1)
            && self.a.col_stride == 1
            && (self.b.row_stride == 1 && self.b.col_stride != 1)
            && self.c.col_stride == 1
            && self.c.cols > 1
    }

    /// Whether tiles can read A and B, and write C, as they lie.
    #[inline]
    pub(super) fn lies_by_rows(&self) -> bool {
        self.alpha == T::from(1) && self.a.col_stride == 1 && self.b.col_stride == 1 && self.c.col_stride == 1
    }

    /// Whether the operands can be read as they lie, again and again, in less time than it takes to pack them.
    #[inline]
    fn stays_in_cache(&self, level: Level) -> bool {
        if !self.lies_by_rows() {
            return false;
        }
        let (few, some, bytes) = unpacked(level);
        if self.c.rows <= few {
            return self.reads_rows_of_b(level);
        }
        let row = self.b.row_stride.saturating_mul(size_of::<T>());
        self.c.rows <= some && row <= NEAR_ROWS && self.b.bytes() <= bytes
    }
}
