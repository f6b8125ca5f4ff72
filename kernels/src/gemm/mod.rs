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
//! portable level rounds the product too.

mod direct;
mod kernel;
mod left;
mod matrix;
mod pack;
mod right;
mod vector;

pub use matrix::{MatMut, MatRef};

use crate::error::{expect_at_least, expect_len};
use crate::simd::{Level, Simd, dispatch};
use crate::{Element, ShapeError};
use kernel::{Start, tile};
use left::{Packed, Rows};
use pack::{Operand, Region, pack};
use right::Panel;

/// Rows of A packed at a time: a block of `MC x KC` stays in L2. A multiple of every tile's height.
const MC: usize = 144;
/// The depth of a block: deep enough that loading and storing C between blocks costs little. A panel of B, at most `2 KC`
/// cache lines, streams from L2 where it does not stay in L1.
const KC: usize = 512;
/// Columns of B packed at a time: a block of `KC x NC` stays in L3. A multiple of every tile's width.
const NC: usize = 1024;
/// Columns of C from which on packing rows of A pays.
const PACK_A: usize = 128;
/// Bytes of B up to which it is read as it lies: it stays in L2.
const DIRECT: usize = 1024 << 10;
/// Bytes from one row of B to the next up to which it is: 4096 and more fall on the same few lines of a cache.
const DIRECT_ROW: usize = 2048;
/// The height and width that every level's tile divides.
const TILE: (usize, usize) = (24, 32);
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
    if product.c.rows <= vector::MAX_ROWS && product.b.col_stride == 1 {
        dispatch!(level, simd => vector::multiply(simd, product));
        return Ok(());
    }
    if product.stays_in_cache(level) {
        match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(simd) => simd.vectorize(
                #[inline(always)]
                || direct::multiply::<T, _, 12, 8, 4, 2, 3>(simd, product),
            ),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(simd) => simd.vectorize(
                #[inline(always)]
                || direct::multiply::<T, _, 6, 4, 2, 1, 1>(simd, product),
            ),
            Level::Portable => {
                let simd = crate::simd::Portable;
                simd.vectorize(
                    #[inline(always)]
                    || direct::multiply::<T, _, 2, 1, 1, 1, 1>(simd, product),
                );
            }
        }
        return Ok(());
    }
    // As many registers of C as hide the latency of a multiply-add, in tiles that waste little of a batch: 16 of 32, 12 of
    // 16, 8 of 16.
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512(simd) => simd.vectorize(
            #[inline(always)]
            || multiply::<T, _, 8, 2>(simd, product, scratch),
        ),
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(simd) => simd.vectorize(
            #[inline(always)]
            || multiply::<T, _, 6, 1>(simd, product, scratch),
        ),
        Level::Portable => {
            let simd = crate::simd::Portable;
            simd.vectorize(
                #[inline(always)]
                || multiply::<T, _, 2, 1>(simd, product, scratch),
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

impl<T: Element> Product<'_, T> {
    /// Whether the operands can be read as they lie, again and again, in less time than it takes to pack them.
    fn stays_in_cache(&self, level: Level) -> bool {
        let (a, b) = (&self.a, &self.b);
        let row = b.row_stride.saturating_mul(size_of::<T>());
        // Twice the width of a register takes twice the time over a block: what B costs outside L1 is hidden.
        let most = match level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(_) => DIRECT,
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

/// The five loops around the micro-kernel, for a tile of `MR` rows and `NB` blocks of columns.
#[inline(always)]
fn multiply<T: Element, S: Simd, const MR: usize, const NB: usize>(
    simd: S,
    product: Product<'_, T>,
    scratch: &mut [T],
) {
    let Product { alpha, a, b, beta, mut c } = product;
    let (m, n, k) = (c.rows, c.cols, a.cols);
    let nr = NB * T::LANES;
    // Even blocks: a thin last one would load and store C for little work.
    let kc_even = k.div_ceil(k.div_ceil(KC).max(1));
    let aligned = scratch.as_ptr().align_offset(LINE * 4).min(LINE);
    let packed_a_len = (min(m, MC).next_multiple_of(MR) * kc_even).next_multiple_of(LINE);
    let Some((packed_a, packed_b)) =
        scratch.get_mut(aligned..).and_then(|s| s.split_at_mut_checked(packed_a_len))
    else {
        return;
    };
    let (packed_b, _) = T::blocks_mut(packed_b);
    let (packed_b, _) = packed_b.as_chunks_mut::<NB>();
    let (packed_a, _) = packed_a.as_chunks_mut::<MR>();
    let a = Operand { data: a.data, k_stride: a.col_stride, width_stride: a.row_stride };
    let b = Operand { data: b.data, k_stride: b.row_stride, width_stride: b.col_stride };

    // Contiguous rows of A serve as they are where too few panels of B follow to pay for packing them.
    let packing = a.k_stride != 1 || alpha != T::from(1) || n >= PACK_A;

    // Loop 5: n in blocks of NC (B, C).
    let mut jc = 0;
    while jc < n {
        let nc = min(n - jc, NC);
        // Loop 4: k in blocks of KC (A, B).
        let mut pc = 0;
        while pc < k {
            let kc = min(k - pc, kc_even);
            let start = if pc == 0 { Start::new(beta) } else { Start::Loaded };
            pack(
                &b,
                Region { p: pc, kc, line: jc, lines: nc },
                nc.div_ceil(nr) * NB,
                T::Block::default(),
                packed_b,
                #[inline(always)]
                |panels: &mut [[T::Block; NB]], step, index| {
                    panels.get_mut(index / NB * kc + step)?.get_mut(index % NB)
                },
            );
            // Loop 3: m in blocks of MC (A, C).
            let mut ic = 0;
            while ic < m {
                let mc = min(m - ic, MC);
                if packing {
                    pack(
                        &a,
                        Region { p: pc, kc, line: ic, lines: mc },
                        mc.div_ceil(MR),
                        [T::default(); MR],
                        packed_a,
                        #[inline(always)]
                        |panels: &mut [[T; MR]], step, index| panels.get_mut(index * kc + step),
                    );
                    if alpha != T::from(1) {
                        for x in packed_a.as_flattened_mut() {
                            *x = alpha * *x;
                        }
                    }
                }
                // Loop 2: panels of B.
                for (b_panel, jr) in packed_b.chunks_exact(kc.max(1)).zip((0..nc).step_by(nr)) {
                    // Loop 1: panels of A.
                    if packing {
                        for (a_panel, ir) in packed_a.chunks_exact(kc.max(1)).zip((0..mc).step_by(MR)) {
                            tile::<T, S, _, MR, NB>(
                                simd,
                                kc,
                                Packed(a_panel),
                                Panel::new(b_panel),
                                start,
                                &mut c,
                                ic + ir,
                                jc + jr,
                            );
                        }
                    } else {
                        for ir in (0..mc).step_by(MR) {
                            let Some(rows) = Rows::new(&a, pc, kc, ic + ir, m) else { return };
                            tile::<T, S, _, MR, NB>(
                                simd,
                                kc,
                                rows,
                                Panel::new(b_panel),
                                start,
                                &mut c,
                                ic + ir,
                                jc + jr,
                            );
                        }
                    }
                }
                ic += mc;
            }
            pc += kc;
        }
        jc += nc;
    }
}

const fn min(a: usize, b: usize) -> usize {
    if a < b { a } else { b }
}

#[cfg(test)]
mod tests;
