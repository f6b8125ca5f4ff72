//! What is measured: a kernel on operands of one shape.

use clap::ValueEnum;
use slicewise::kernels::ShapeError;
use slicewise::{Element, Level};

/// A type of elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Dtype {
    /// Single precision
    F32,
    /// Double precision
    F64,
}

impl Dtype {
    pub(super) fn of<T: Element>() -> Self {
        if size_of::<T>() == 4 { Self::F32 } else { Self::F64 }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }
}

/// A kernel with its operands: so many calls at a level.
pub(super) type Call = Box<dyn FnMut(Level, u64) -> Result<(), ShapeError>>;

/// What a rate counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Flops,
    Elements,
}

/// A kernel on operands of one shape.
pub(super) struct Case {
    pub(super) kernel: &'static str,
    pub(super) dtype: Dtype,
    pub(super) shape: String,
    pub(super) unit: Unit,
    /// Elements that a call goes through.
    pub(super) elements: f64,
    /// Floating-point operations of a call, 0 where its formula does not count them (`exp`).
    pub(super) flops: f64,
    /// Bytes that it has to read and to write at least: each operand once.
    pub(super) read: f64,
    pub(super) written: f64,
    /// Bytes of its operands, those that are updated in place once.
    pub(super) footprint: f64,
    /// Makes the operands.
    pub(super) operands: Box<dyn Fn() -> Call>,
}

impl Case {
    /// What `--filter` looks into.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.kernel, self.shape)
    }
}

/// One call after the other, in a loop that is compiled with the kernel.
pub(super) fn repeated(mut call: impl FnMut(Level) -> Result<(), ShapeError> + 'static) -> Call {
    Box::new(move |level, calls| (0..calls).try_for_each(|_| call(level)))
}

/// Elements from the beginning of a cache line on, wherever the allocator put them: a kernel's speed should not hang on it.
#[derive(Debug)]
pub(super) struct Aligned<T> {
    stored: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Element> Aligned<T> {
    const LINE: usize = 64;

    /// `len` values about 0, without a short period.
    pub(super) fn values(len: usize) -> Self {
        Self::from_fn(len, |i| T::from_f64((i * 7919 % 2003) as f64 / 250.0 - 4.0))
    }

    /// `len` values below the least normal number of their type, of both signs.
    pub(super) fn subnormals(len: usize) -> Self {
        let least = if size_of::<T>() == 4 { f64::from(f32::MIN_POSITIVE) } else { f64::MIN_POSITIVE };
        Self::from_fn(len, |i| T::from_f64(((i * 7919 % 2003) as f64 / 1001.5 - 1.0) * least))
    }

    pub(super) fn of(value: u8, len: usize) -> Self {
        Self::from_fn(len, |_| T::from(value))
    }

    fn from_fn(len: usize, value: impl FnMut(usize) -> T) -> Self {
        let room = Self::LINE / size_of::<T>();
        let mut stored: Vec<T> = Vec::with_capacity(len + room);
        let start = stored.as_ptr().addr().next_multiple_of(Self::LINE) - stored.as_ptr().addr();
        let start = start / size_of::<T>();
        stored.resize(start, T::default());
        stored.extend((0..len).map(value));
        Self { stored, start, len }
    }
}

impl<T> core::ops::Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.stored[self.start..self.start + self.len]
    }
}

impl<T> core::ops::DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.stored[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operands_begin_on_a_cache_line() {
        for len in [0, 1, 17, 1000, 100_000] {
            let (x, y) = (Aligned::<f32>::values(len), Aligned::<f64>::of(3, len));
            assert_eq!((x.len(), y.len()), (len, len));
            assert!(len == 0 || x.as_ptr().addr() % 64 == 0 && y.as_ptr().addr() % 64 == 0);
            assert!(y.iter().all(|value| *value == 3.0));
        }
    }
}
