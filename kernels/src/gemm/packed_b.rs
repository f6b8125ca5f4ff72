//! [`PackedB`]: weights packed once, for products with many a batch.

use super::pack::{Operand, Region, pack};
use super::packed::KC;
use super::{Epilogue, LINE, MatMut, MatRef, TILE, compute, min, rows_len};
use crate::error::{expect_at_least, expect_len};
use crate::simd::{Level, Portable};
use crate::{Element, ShapeError};

/// Elements before the panels: a cache line of either type and more.
const HEADER: usize = LINE;
/// What the header starts with: a number no weights are likely to hold, and the version of the layout.
const MAGIC: f64 = 5_718_273.0;

/// The elements that [`PackedB::pack`] needs for `(k, n)`, of either type, at any level.
#[must_use]
pub const fn packed_b_len(k: usize, n: usize) -> usize {
    match n.checked_next_multiple_of(TILE.1) {
        Some(n) => n.saturating_mul(k).saturating_add(HEADER),
        None => usize::MAX,
    }
}

/// The scratch that [`gemm_packed`] needs for A: `(m, k)`, in elements of either type, at any level.
#[must_use]
pub const fn gemm_packed_scratch_len(m: usize, k: usize) -> usize {
    2 * LINE + rows_len(m) * min(k, KC)
}

/// A matrix B: `(k, n)` in a slice of the caller's, in the order in which a level's micro-kernel reads it.
///
/// It begins with a header: what was packed at one level, or has another shape, is an error at another, not a wrong
/// result. The slice may be stored and used again, in the same version of this crate.
///
/// ```
/// use slicewise_kernels::{
///     Activation, Epilogue, Level, MatMut, MatRef, PackedB, gemm_packed, gemm_packed_scratch_len, packed_b_len,
/// };
///
/// let level = Level::detect();
/// let weight = [1.0f32, 10.0, 100.0, 1000.0];
/// let mut storage = [0.0; packed_b_len(2, 2)];
/// let w = PackedB::pack(level, MatRef::row_major(&weight, 2, 2), &mut storage)?;
///
/// let (x, mut y) = ([1.0f32, 2.0], [0.0; 2]);
/// let mut scratch = [0.0; gemm_packed_scratch_len(1, 2)];
/// let epilogue = Epilogue { bias: None, activation: Activation::Identity };
/// let y_matrix = MatMut::row_major(&mut y, 1, 2);
/// gemm_packed(1.0, MatRef::row_major(&x, 1, 2), &w, 0.0, y_matrix, epilogue, &mut scratch)?;
/// assert_eq!(y, [201.0, 2010.0]);
/// # Ok::<(), slicewise_kernels::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PackedB<'a, T> {
    level: Level,
    k: usize,
    n: usize,
    panels: &'a [T],
}

impl<'a, T: Element> PackedB<'a, T> {
    /// Packs `b: (k, n)` into `storage` for products at `level`. A storage that starts on a cache line is read fastest.
    ///
    /// # Errors
    /// [`ShapeError`] where `b`'s slice is shorter than the matrix, or `storage` than [`packed_b_len`] says.
    pub fn pack(level: Level, b: MatRef<'_, T>, storage: &'a mut [T]) -> Result<Self, ShapeError> {
        b.check("b")?;
        let (k, n) = (b.rows, b.cols);
        let len = packed_b_len(k, n);
        expect_at_least("storage", len, storage.len())?;
        let Some((header, panels)) = storage.get_mut(..len).and_then(|s| s.split_at_mut_checked(HEADER))
        else {
            return Err(ShapeError { argument: "storage", expected: len, actual: 0 });
        };
        for (to, x) in header.iter_mut().zip(header_of::<T>(level, k, n)) {
            *to = x;
        }
        if n == 1 {
            // Read as it lies: a column's product is a sum along k.
            for (p, to) in panels.iter_mut().take(k).enumerate() {
                *to = b.data.get(p * b.row_stride).copied().unwrap_or_default();
            }
        } else if panel_width::<T>(level) == T::LANES {
            fill::<T, 1>(&b, panels);
        } else {
            fill::<T, 4>(&b, panels);
        }
        Ok(Self { level, k, n, panels })
    }

    /// What [`pack`](PackedB::pack) left in `storage`, for products at `level` with a `(k, n)` matrix.
    ///
    /// # Errors
    /// [`ShapeError`] where `storage` is too short, or its header is that of another level, shape or layout: it names what
    /// differs.
    pub fn open(level: Level, k: usize, n: usize, storage: &'a [T]) -> Result<Self, ShapeError> {
        let len = packed_b_len(k, n);
        expect_at_least("storage", len, storage.len())?;
        let (header, panels) = storage.split_at_checked(HEADER).unwrap_or_default();
        let names = [
            "packed b's layout",
            "packed b's level",
            "packed b's k",
            "packed b's k",
            "packed b's n",
            "packed b's n",
        ];
        for ((name, expected), actual) in names.into_iter().zip(header_of::<T>(level, k, n)).zip(header) {
            // Small whole numbers, which either type holds exactly.
            expect_len(name, expected.to_f64() as usize, actual.to_f64() as usize)?;
        }
        Ok(Self { level, k, n, panels })
    }
}

/// Layout, level, and k and n in two parts each that are exact in either type.
fn header_of<T: Element>(level: Level, k: usize, n: usize) -> [T; 6] {
    let code = match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512(_) => 3.0,
        #[cfg(target_arch = "x86_64")]
        Level::Avx2(_) => 2.0,
        Level::Portable => 1.0,
    };
    let part = |x: usize, shift: u32| ((x >> shift) & 0xff_ffff) as f64;
    [MAGIC, code, part(k, 24), part(k, 0), part(n, 24), part(n, 0)].map(T::from_f64)
}

/// The columns of a panel.
fn panel_width<T: Element>(level: Level) -> usize {
    match level {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512(_) => 4 * T::LANES,
        _ => T::LANES,
    }
}

/// Blocks of k, each the panels of all columns.
#[inline(always)]
fn fill<T: Element, const NB: usize>(b: &MatRef<'_, T>, panels: &mut [T]) {
    let (k, n) = (b.rows, b.cols);
    let width = NB * T::LANES;
    let operand = Operand { data: b.data, k_stride: b.row_stride, width_stride: b.col_stride };
    let mut p = 0;
    while p < k {
        let kc = min(k - p, KC);
        let from = p * n.next_multiple_of(width);
        let (blocks, _) = T::blocks_mut(panels.get_mut(from..).unwrap_or_default());
        let (packed, _) = blocks.as_chunks_mut::<NB>();
        pack(
            Portable,
            &operand,
            Region { p, kc, line: 0, lines: n },
            T::Block::default(),
            packed,
            #[inline(always)]
            |line| T::blocks(line).0.first_chunk(),
        );
        p += kc;
    }
}

/// `C = f(alpha A B + beta C + bias)` with B packed before: the bits of
/// [`gemm_with_epilogue`](crate::gemm_with_epilogue), at B's level.
///
/// # Errors
/// [`ShapeError`] where the sizes do not fit each other, a slice is shorter than its matrix, elements of C overlap, the bias is
/// not one value for each column, or `scratch` is shorter than [`gemm_packed_scratch_len`] says.
pub fn gemm_packed<T: Element>(
    alpha: T,
    a: MatRef<'_, T>,
    b: &PackedB<'_, T>,
    beta: T,
    c: MatMut<'_, T>,
    epilogue: Epilogue<'_, T>,
    scratch: &mut [T],
) -> Result<(), ShapeError> {
    expect_len("b's rows", a.cols, b.k)?;
    expect_len("c's columns", b.n, c.cols)?;
    let needed = gemm_packed_scratch_len(a.rows, a.cols);
    let column = MatRef::strided(b.panels, b.k, b.n, 1, 1);
    compute(b.level, alpha, &a, &column, beta, c, epilogue, Some(b.panels), needed, scratch)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use slicewise_kernels::reference::strategies::slice;
    use slicewise_kernels::reference::{Placed, assert_same_bits, levels};
    use slicewise_kernels::*;
    use std::vec::Vec;

    proptest! {
        #[test]
        fn packing_before_changes_no_bit(
            (m, n, k) in (1usize..30, prop_oneof![Just(1), 2usize..150], prop_oneof![1usize..40, 500usize..530]),
            values in slice::<f32>(997),
            (by_columns, offset, factors) in (any::<[bool; 2]>(), 0usize..17, 0usize..4),
        ) {
            let fill = |len: usize, from: usize| -> Vec<f32> {
                values.iter().cycle().skip(from).take(len).copied().collect()
            };
            let (a, b, c, bias) = (fill(m * k, 0), fill(k * n, 3), fill(m * n, 5), fill(n, 7));
            let lay = |x, rows, cols, by_columns| {
                if by_columns { MatRef::row_major(x, cols, rows).t() } else { MatRef::row_major(x, rows, cols) }
            };
            let (a, b) = (lay(&a, m, k, by_columns[0]), lay(&b, k, n, by_columns[1]));
            let (alpha, beta) = [(1.0, 0.0), (1.0, 1.0), (-0.5, 2.0), (0.0, 1.0)][factors];
            let epilogue = Epilogue { bias: (m % 2 == 0).then_some(&bias), activation: Activation::Relu };
            for level in levels() {
                let mut expected = c.clone();
                let mut scratch = std::vec![f32::NAN; gemm_scratch_len(m, n, k)];
                let to = MatMut::row_major(&mut expected, m, n);
                gemm_with_epilogue(level, alpha, a, b, beta, to, epilogue, &mut scratch).unwrap();

                let mut storage = Placed::new(&std::vec![f32::NAN; packed_b_len(k, n)], offset);
                PackedB::pack(level, b, storage.get_mut()).unwrap();
                let packed = PackedB::open(level, k, n, storage.get()).unwrap();
                let mut actual = c.clone();
                let mut scratch = std::vec![f32::NAN; gemm_packed_scratch_len(m, k)];
                let to = MatMut::row_major(&mut actual, m, n);
                gemm_packed(alpha, a, &packed, beta, to, epilogue, &mut scratch).unwrap();
                assert_same_bits(&actual, &expected, "packed", level);
            }
        }
    }

    #[test]
    fn another_header_is_an_error() {
        let b = [1.0f64; 12];
        let mut storage = std::vec![0.0; packed_b_len(3, 4)];
        for level in levels() {
            PackedB::pack(level, MatRef::row_major(&b, 3, 4), &mut storage).unwrap();
            let opened = |k, n, storage: &[f64]| {
                PackedB::open(level, k, n, storage).map(|_| ()).map_err(|e| e.argument)
            };
            assert_eq!(opened(3, 4, &storage), Ok(()));
            assert_eq!(opened(2, 4, &storage), Err("packed b's k"));
            assert_eq!(opened(3, 3, &storage), Err("packed b's n"));
            assert_eq!(opened(3, 4, &storage[1..]), Err("storage"));
            for other in levels().filter(|other| *other != level) {
                let error = PackedB::open(other, 3, 4, &storage).map(|_| ()).unwrap_err();
                assert_eq!(error.argument, "packed b's level");
            }
        }
        storage.fill(0.5);
        let error = PackedB::open(Level::detect(), 3, 4, &storage).map(|_| ()).unwrap_err();
        assert_eq!(error.argument, "packed b's layout");
        let short = packed_b_len(3, 4) - 1;
        storage.fill(7.0);
        PackedB::pack(Level::detect(), MatRef::row_major(&b, 3, 4), &mut storage[..short]).unwrap_err();
        assert!(storage.iter().all(|x| *x == 7.0));
    }
}
