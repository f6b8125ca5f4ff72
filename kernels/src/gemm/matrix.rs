//! [`MatRef`] and [`MatMut`]: a slice seen as a matrix.

use crate::error::expect_at_least;
use crate::{Element, ShapeError};

/// A matrix in a slice, to read: element `(i, j)` is `data[i * row_stride + j * col_stride]`.
///
/// Nothing is checked until a kernel takes it; a slice that is too short is then a [`ShapeError`].
#[derive(Clone, Copy, Debug)]
pub struct MatRef<'a, T> {
    pub(crate) data: &'a [T],
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) row_stride: usize,
    pub(crate) col_stride: usize,
}

impl<'a, T> MatRef<'a, T> {
    /// `rows` by `cols`, rows one after another.
    #[must_use]
    pub const fn row_major(data: &'a [T], rows: usize, cols: usize) -> Self {
        Self { data, rows, cols, row_stride: cols, col_stride: 1 }
    }

    /// `rows` by `cols` with any strides, in elements: a part of a larger matrix, columns one after another, or
    /// (stride 0) one row or column repeated.
    #[must_use]
    pub const fn strided(
        data: &'a [T],
        rows: usize,
        cols: usize,
        row_stride: usize,
        col_stride: usize,
    ) -> Self {
        Self { data, rows, cols, row_stride, col_stride }
    }

    /// The transpose, without moving anything.
    ///
    /// ```
    /// use slicewise_kernels::{Level, MatMut, MatRef, gemm, gemm_scratch_len};
    ///
    /// let x = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]; // (2, 3)
    /// let x = MatRef::row_major(&x, 2, 3);
    /// let mut gram = [0.0; 9]; // X^T X
    /// let mut scratch = [0.0; gemm_scratch_len(3, 3, 2)];
    /// gemm(Level::detect(), 1.0, x.t(), x, 0.0, MatMut::row_major(&mut gram, 3, 3), &mut scratch)?;
    /// assert_eq!(gram[0], 1.0 + 16.0);
    /// # Ok::<(), slicewise_kernels::ShapeError>(())
    /// ```
    #[must_use]
    pub const fn t(self) -> Self {
        Self {
            data: self.data,
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }

    /// The first `at` rows, and the others.
    pub(crate) fn split_rows(self, at: usize) -> (Self, Self) {
        let at = at.min(self.rows);
        let below = self.data.get(at.saturating_mul(self.row_stride)..).unwrap_or_default();
        (Self { rows: at, ..self }, Self { data: below, rows: self.rows - at, ..self })
    }

    /// Bytes from the first row to the end of the last one's stride.
    #[inline(always)]
    pub(super) const fn bytes(&self) -> usize {
        self.rows.saturating_mul(self.row_stride).saturating_mul(size_of::<T>())
    }

    /// Whether the slice goes on to the end of the last row's stride.
    #[inline(always)]
    pub(super) fn is_whole_rows(&self) -> bool {
        self.row_stride >= self.cols && self.rows.saturating_mul(self.row_stride) <= self.data.len()
    }

    /// Whether the slice holds the matrix.
    #[inline(always)]
    pub(crate) fn check(&self, argument: &'static str) -> Result<(), ShapeError> {
        if self.col_stride == 1 && self.row_stride == self.cols {
            return expect_at_least(argument, self.rows.saturating_mul(self.cols), self.data.len());
        }
        check_strided(argument, self.rows, self.cols, self.row_stride, self.col_stride, self.data.len())
    }
}

/// A matrix in a slice, to write: as [`MatRef`]. Its elements must not overlap.
#[derive(Debug)]
pub struct MatMut<'a, T> {
    pub(crate) data: &'a mut [T],
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) row_stride: usize,
    pub(crate) col_stride: usize,
}

impl<'a, T> MatMut<'a, T> {
    /// `rows` by `cols`, rows one after another.
    #[must_use]
    pub const fn row_major(data: &'a mut [T], rows: usize, cols: usize) -> Self {
        Self { data, rows, cols, row_stride: cols, col_stride: 1 }
    }

    /// `rows` by `cols` with any strides, in elements.
    #[must_use]
    pub const fn strided(
        data: &'a mut [T],
        rows: usize,
        cols: usize,
        row_stride: usize,
        col_stride: usize,
    ) -> Self {
        Self { data, rows, cols, row_stride, col_stride }
    }

    /// The transpose, without moving anything.
    #[must_use]
    pub const fn t(self) -> Self {
        Self {
            data: self.data,
            rows: self.cols,
            cols: self.rows,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }

    /// The first `at` rows, and the others: of a matrix whose rows do not interleave.
    pub(crate) fn split_rows(self, at: usize) -> (Self, Self) {
        let (rows, cols, row_stride, col_stride) = (self.rows, self.cols, self.row_stride, self.col_stride);
        let at = at.min(rows);
        let first = at.saturating_mul(row_stride).min(self.data.len());
        let (data, below) = self.data.split_at_mut_checked(first).unwrap_or_default();
        (
            Self::strided(data, at, cols, row_stride, col_stride),
            Self::strided(below, rows - at, cols, row_stride, col_stride),
        )
    }

    /// Whether the slice holds the matrix, and no element twice.
    #[inline(always)]
    pub(crate) fn check(&self, argument: &'static str) -> Result<(), ShapeError> {
        if self.col_stride == 1 && self.row_stride == self.cols {
            return expect_at_least(argument, self.rows.saturating_mul(self.cols), self.data.len());
        }
        check_strided(argument, self.rows, self.cols, self.row_stride, self.col_stride, self.data.len())?;
        check_apart(self.rows, self.cols, self.row_stride, self.col_stride)
    }
}

impl<T: Element> MatMut<'_, T> {
    /// `C = beta C + bias`, a value for each column; C is read only where beta is not 0.
    #[inline(never)]
    pub(super) fn start(&mut self, beta: T, bias: Option<&[T]>) {
        let zero = T::default();
        if beta == T::from(1) && bias.is_none() {
            return;
        }
        for i in 0..self.rows {
            for j in 0..self.cols {
                if let Some(c) = self.data.get_mut(i * self.row_stride + j * self.col_stride) {
                    *c = if beta == zero { zero } else { beta * *c };
                    if let Some(bias) = bias.and_then(|bias| bias.get(j)) {
                        *c += *bias;
                    }
                }
            }
        }
    }

    /// `f` of C's elements, as many at a time as lie next to each other.
    pub(super) fn for_each_line(&mut self, mut f: impl FnMut(&mut [T])) {
        let (rows, cols) = ((self.rows, self.row_stride), (self.cols, self.col_stride));
        let (lines, along) =
            if self.row_stride == 1 && self.col_stride != 1 { (cols, rows) } else { (rows, cols) };
        let (len, steps) = if along.1 == 1 { (along.0, 1) } else { (1, along.0) };
        if along.1 == 1 && lines.1 == len {
            return self.data.get_mut(..lines.0 * len).map_or((), f);
        }
        for i in 0..lines.0 {
            for j in 0..steps {
                let first = i * lines.1 + j * along.1;
                if let Some(line) = self.data.get_mut(first..first + len) {
                    f(line);
                }
            }
        }
    }
}

// In functions of their own: a tiny product, most often with rows one after another, feels every instruction around it.

/// Whether `len` elements hold a matrix with any strides.
#[cold]
#[inline(never)]
fn check_strided(
    argument: &'static str,
    rows: usize,
    cols: usize,
    row_stride: usize,
    col_stride: usize,
    len: usize,
) -> Result<(), ShapeError> {
    if rows == 0 || cols == 0 {
        return Ok(());
    }
    let last_row = (rows - 1).saturating_mul(row_stride);
    let last_col = (cols - 1).saturating_mul(col_stride);
    expect_at_least(argument, last_row.saturating_add(last_col).saturating_add(1), len)
}

/// Whether one stride steps over all that the other reaches.
#[cold]
#[inline(never)]
fn check_apart(rows: usize, cols: usize, row_stride: usize, col_stride: usize) -> Result<(), ShapeError> {
    if rows == 0 || cols == 0 {
        return Ok(());
    }
    let (rows, cols) = ((rows, row_stride), (cols, col_stride));
    let (inner, outer) = if row_stride < col_stride { (rows, cols) } else { (cols, rows) };
    if inner.0 > 1 {
        expect_at_least("c's smaller stride", 1, inner.1)?;
    }
    if outer.0 > 1 {
        expect_at_least(
            "c's larger stride",
            (inner.0 - 1).saturating_mul(inner.1).saturating_add(1),
            outer.1,
        )?;
    }
    Ok(())
}
