//! What GEMM's tests share: operands as windows of larger arrays, and cases that run on every level.

mod bits;
mod bounds;
mod edges;
mod epilogue;
mod exact;
mod outside;

use slicewise_kernels::reference::{Placed, assert_same_bits, levels};
use slicewise_kernels::*;
use std::vec::Vec;

/// How an operand lies in its array.
#[derive(Clone, Copy, Debug)]
enum Lay {
    /// Rows one after another, so many elements between them.
    Rows(usize),
    /// Columns one after another, so many elements between them.
    Cols(usize),
    /// Every second element of rows with a gap between them.
    Sparse,
}

use Lay::{Cols, Rows, Sparse};

impl Lay {
    fn strides(self, rows: usize, cols: usize) -> (usize, usize) {
        match self {
            Rows(gap) => (cols + gap, 1),
            Cols(gap) => (1, rows + gap),
            Sparse => (2 * cols + 3, 2),
        }
    }
}

/// A matrix as a window of a larger array.
struct Window<T> {
    array: Vec<T>,
    /// Where the matrix's slice starts, and how long it is.
    start: usize,
    len: usize,
    rows: usize,
    cols: usize,
    strides: (usize, usize),
    outside: T,
}

impl<T: Element> Window<T> {
    /// The row-major `x`, laid out `offset` elements past a cache line's start, amid `outside`. The slice ends with the matrix
    /// where `offset` is even, and later where it is odd.
    fn new(x: &[T], rows: usize, cols: usize, lay: Lay, offset: usize, outside: T) -> Self {
        let strides = lay.strides(rows, cols);
        let span = if rows * cols == 0 { 0 } else { (rows - 1) * strides.0 + (cols - 1) * strides.1 + 1 };
        let len = span + offset % 2 * (strides.0.max(strides.1) + 1);
        let array = std::vec![outside; len + offset + 3 * T::LANES];
        let start = array.as_ptr().align_offset(64) + offset;
        let mut window = Self { array, start, len, rows, cols, strides, outside };
        window.set(x);
        window
    }

    fn set(&mut self, x: &[T]) {
        for (i, row) in x.chunks_exact(self.cols.max(1)).enumerate() {
            let to = &mut self.array[self.start + i * self.strides.0..];
            if self.strides.1 == 1 {
                to[..row.len()].copy_from_slice(row);
            } else {
                to.iter_mut().step_by(self.strides.1).zip(row).for_each(|(to, x)| *to = *x);
            }
        }
    }

    fn get(&self) -> MatRef<'_, T> {
        let data = &self.array[self.start..self.start + self.len];
        MatRef::strided(data, self.rows, self.cols, self.strides.0, self.strides.1)
    }

    fn get_mut(&mut self) -> MatMut<'_, T> {
        let data = &mut self.array[self.start..self.start + self.len];
        MatMut::strided(data, self.rows, self.cols, self.strides.0, self.strides.1)
    }

    /// The matrix, row-major; fails where an element outside it was written.
    fn take(&mut self) -> Vec<T> {
        let mut x = Vec::with_capacity(self.rows * self.cols);
        for i in 0..if self.cols == 0 { 0 } else { self.rows } {
            let first = self.start + i * self.strides.0;
            for from in self.array[first..].iter_mut().step_by(self.strides.1).take(self.cols) {
                x.push(core::mem::replace(from, self.outside));
            }
        }
        let touched = self.array.iter().filter(|x| **x != self.outside).count();
        assert_eq!(touched, 0, "elements outside C were written");
        x
    }
}

/// One call.
#[derive(Clone, Debug)]
struct Case<T> {
    m: usize,
    n: usize,
    k: usize,
    lays: [Lay; 3],
    alpha: T,
    beta: T,
    a: Vec<T>,
    b: Vec<T>,
    c: Vec<T>,
    /// Moves every slice, and lengthens those of the operands where it is odd.
    offset: usize,
    bias: Option<Vec<T>>,
    activation: Activation,
}

/// The operands of a case where they lie.
struct Laid<'a, T> {
    case: &'a Case<T>,
    a: Window<T>,
    b: Window<T>,
    c: Window<T>,
    scratch: Placed<T>,
}

impl<T: Element> Case<T> {
    /// `A B` of these, row-major and dense.
    fn new((m, n, k): (usize, usize, usize), a: Vec<T>, b: Vec<T>, c: Vec<T>) -> Self {
        Self {
            m,
            n,
            k,
            lays: [Rows(0); 3],
            alpha: T::from(1),
            beta: T::from(0),
            a,
            b,
            c,
            offset: 0,
            bias: None,
            activation: Activation::Identity,
        }
    }

    /// Of values between -1 and 1.
    fn random(shape: (usize, usize, usize), seed: u64) -> Self {
        let (m, n, k) = shape;
        let values = |len: usize, seed: u64| -> Vec<T> {
            (0..len).map(|i| T::from_f64(f64::from(hash(i, seed).cast_signed()) / 2f64.powi(31))).collect()
        };
        Self::new(shape, values(m * k, 3 * seed), values(k * n, 3 * seed + 1), values(m * n, 3 * seed + 2))
    }

    fn laid(&self) -> Laid<'_, T> {
        let Self { m, n, k, lays, offset, .. } = *self;
        let nan = T::from_f64(f64::NAN);
        let scratch = std::vec![nan; gemm_scratch_len(m, n, k)];
        Laid {
            case: self,
            // An element that is read outside of an operand makes itself seen.
            a: Window::new(&self.a, m, k, lays[0], offset, nan),
            b: Window::new(&self.b, k, n, lays[1], offset / 2, nan),
            c: Window::new(&self.c, m, n, lays[2], offset / 3, T::from_f64(12345.0)),
            scratch: Placed::new(&scratch, offset * 5 % 17),
        }
    }

    /// C after the product, row-major.
    fn run(&self, level: Level) -> Vec<T> {
        self.laid().run(level)
    }

    /// These rows of A and C alone.
    fn rows(&self, rows: core::ops::Range<usize>) -> Self {
        let (a, c) = (rows.start * self.k..rows.end * self.k, rows.start * self.n..rows.end * self.n);
        Self { m: rows.len(), a: self.a[a].to_vec(), c: self.c[c].to_vec(), ..self.clone() }
    }

    /// These columns of B, C and the bias alone.
    fn cols(&self, cols: core::ops::Range<usize>) -> Self {
        Self {
            n: cols.len(),
            b: columns(&self.b, self.n, cols.clone()),
            c: columns(&self.c, self.n, cols.clone()),
            bias: self.bias.as_ref().map(|bias| bias[cols].to_vec()),
            ..self.clone()
        }
    }
}

impl<T: Element> Laid<'_, T> {
    fn run(&mut self, level: Level) -> Vec<T> {
        self.scratch.get_mut().fill(T::from_f64(f64::NAN));
        self.run_on_dirty_scratch(level)
    }

    fn run_on_dirty_scratch(&mut self, level: Level) -> Vec<T> {
        let Case { alpha, beta, ref bias, activation, .. } = *self.case;
        self.c.set(&self.case.c);
        let (a, b, c, scratch) = (self.a.get(), self.b.get(), self.c.get_mut(), self.scratch.get_mut());
        if bias.is_none() && activation == Activation::Identity {
            gemm(level, alpha, a, b, beta, c, scratch).unwrap();
        } else {
            let epilogue = Epilogue { bias: bias.as_deref(), activation };
            gemm_with_epilogue(level, alpha, a, b, beta, c, epilogue, scratch).unwrap();
        }
        self.c.take()
    }
}

/// These columns of a row-major matrix of `n`.
fn columns<T: Copy>(x: &[T], n: usize, cols: core::ops::Range<usize>) -> Vec<T> {
    x.chunks_exact(n).flat_map(|row| row[cols.clone()].iter().copied()).collect()
}

/// Bits without a pattern (the mixer of SplitMix64).
fn hash(i: usize, seed: u64) -> u32 {
    let z = (i as u64).wrapping_add(seed << 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) >> 32) as u32
}

/// How many times fewer cases there are where proptest has few, as an emulator has.
fn thinning() -> usize {
    static CASES: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    let cases = CASES.get_or_init(|| proptest::test_runner::Config::default().cases);
    (64 / (*cases).max(1)).clamp(1, 16) as usize
}

/// All of these and their places; the one that `seed` picks where cases are to be few.
fn each<X, const N: usize>(all: [X; N], seed: usize) -> impl Iterator<Item = (usize, X)> {
    let few = thinning() > 1;
    all.into_iter().enumerate().filter(move |(i, _)| !few || *i == seed % N)
}

/// Every path at every level: shapes and the layout of B, about their switch points. The first are rows of A.
const PATHS: [(usize, usize, usize, Lay); 23] = [
    (13, 1, 40, Rows(0)),     // a column
    (203, 1, 70, Rows(0)),    // of many rows
    (2, 33, 9, Rows(0)),      // strips
    (3, 83, 21, Rows(0)),     // streams
    (9, 19, 32, Rows(0)),     // tiny
    (15, 41, 9, Rows(2)),     // tiny, several strips
    (9, 19, 66, Rows(0)),     // rows of B as they lie
    (31, 61, 66, Rows(0)),    // 4 blocks of columns
    (26, 37, 66, Rows(0)),    // 3
    (14, 56, 33, Rows(0)),    // and half a block
    (33, 130, 4, Rows(0)),    // several panels
    (5, 9, 514, Rows(0)),     // two blocks of k
    (145, 18, 33, Rows(494)), // too large a B for narrow registers
    (7, 18, 33, Rows(495)),   // rows of B too far apart
    (7, 18, 515, Rows(494)),  // too large a B
    (150, 21, 7, Cols(0)),    // packed
    (14, 131, 6, Cols(0)),    // turned
    (2, 131, 6, Cols(3)),     // turned where C lies by columns, two columns then
    (1, 70, 70, Cols(0)),     // turned likewise, a column then; squares of B
    (7, 35, 37, Cols(0)),     // squares of B for many rows
    (20, 35, 37, Cols(1)),    // squares of B packed
    (6, 1030, 3, Rows(0)),    // two blocks of n
    (150, 3, 6, Sparse),      // neither rows nor columns
];
