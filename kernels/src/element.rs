//! [`Element`]: what the kernels compute with, `f32` or `f64`.

use core::fmt::{Debug, Display};
use core::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

use crate::simd::wide::Blocks;
use crate::simd::{Arithmetic, Lanes, Simd};

mod sealed {
    use crate::activation::Activate;
    use crate::batch_norm::NormaliseBatch;
    use crate::center::Center;
    use crate::clip::Clip;
    use crate::cross_entropy::CrossEntropy;
    use crate::function::Apply;
    use crate::gemm::Multiply;
    use crate::hinge::Hinge;
    use crate::layer_norm::NormaliseRows;
    use crate::limit::Limit;
    use crate::maxout::Maxout;
    use crate::optimizer::Update;
    use crate::prelu::Prelu;
    use crate::random::Normal;
    use crate::reduce::Reduce;
    use crate::rows::MapRows;
    use crate::softmax::Softmax;
    use crate::squared_error::SquaredError;
    use crate::statistics::Panels;

    /// The kernels of a type, each compiled once (`once.rs`).
    pub trait Sealed:
        Activate
        + Apply
        + Center
        + Clip
        + CrossEntropy
        + Hinge
        + Limit
        + MapRows
        + Maxout
        + Multiply
        + Normal
        + NormaliseBatch
        + NormaliseRows
        + Panels
        + Prelu
        + Reduce
        + Softmax
        + SquaredError
        + Update
    {
    }
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// `f32` or `f64`. Sealed: kernels rely on its sizes.
pub trait Element:
    Copy
    + Default
    + PartialOrd
    + Debug
    + Display
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + From<u8>
    + Send
    + Sync
    + sealed::Sealed
    + 'static
{
    /// Elements in a block, which is one cache line: 16 `f32`, 8 `f64`.
    const LANES: usize;
    /// The distance from 1 to the next larger number.
    const EPSILON: Self;
    /// Positive infinity.
    const INFINITY: Self;
    /// A block in memory: an array of [`LANES`](Element::LANES).
    #[doc(hidden)]
    type Block: Copy
        + Default
        + AsRef<[Self]>
        + AsMut<[Self]>
        + for<'a> TryFrom<&'a [Self]>
        + PartialEq
        + Debug;
    /// As many bytes as a block has elements.
    #[doc(hidden)]
    type Bytes: Copy + Default + AsRef<[u8]> + AsMut<[u8]>;
    /// A block in the registers of an instruction set.
    #[doc(hidden)]
    type Lanes<S: Simd>: Lanes<Scalar = Self, Block = Self::Block, Simd = S>;
    /// As many blocks as are worth computing side by side.
    #[doc(hidden)]
    type Wide<S: Simd>: Blocks<Scalar = Self, Simd = S>;

    /// The nearest value.
    fn from_f64(x: f64) -> Self;
    /// The value, exactly.
    fn to_f64(self) -> f64;
    /// The square root, correctly rounded.
    fn sqrt(self) -> Self;
    /// `e^self`, for single values outside the lanes.
    fn exp(self) -> Self;
    /// The natural logarithm, for single values outside the lanes.
    fn ln(self) -> Self;
    /// `false` for NaN and the infinities.
    fn is_finite(self) -> bool;

    /// `x` as whole blocks and the elements left over.
    #[doc(hidden)]
    fn blocks(x: &[Self]) -> (&[Self::Block], &[Self]);
    /// `x` as whole blocks and the elements left over.
    #[doc(hidden)]
    fn blocks_mut(x: &mut [Self]) -> (&mut [Self::Block], &mut [Self]);
    /// The elements of blocks.
    #[doc(hidden)]
    fn elements(blocks: &[Self::Block]) -> &[Self];
    /// Bytes by as many as a block has elements, and those left over.
    #[doc(hidden)]
    fn blocks_of_bytes(x: &[u8]) -> (&[Self::Bytes], &[u8]);
    /// Eight elements as `f64`, exactly.
    #[doc(hidden)]
    fn widen<S: Simd>(simd: S, x: &[Self; 8]) -> S::F64;
}

/// The two types differ in their names alone.
macro_rules! element {
    ($scalar:ident, $lanes:ident, $n:literal, $wide:ident, $sqrt:path, $exp:path, $ln:path, $widen:expr) => {
        impl Element for $scalar {
            const LANES: usize = $n;
            const EPSILON: Self = $scalar::EPSILON;
            const INFINITY: Self = $scalar::INFINITY;
            type Block = [$scalar; $n];
            type Bytes = [u8; $n];
            type Lanes<S: Simd> = S::$lanes;
            type Wide<S: Simd> = S::$wide;

            #[inline(always)]
            fn from_f64(x: f64) -> Self {
                x as $scalar
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                $sqrt(self)
            }
            #[inline(always)]
            fn exp(self) -> Self {
                $exp(self)
            }
            #[inline(always)]
            fn ln(self) -> Self {
                $ln(self)
            }
            #[inline(always)]
            fn is_finite(self) -> bool {
                $scalar::is_finite(self)
            }
            #[inline(always)]
            fn blocks(x: &[Self]) -> (&[Self::Block], &[Self]) {
                x.as_chunks()
            }
            #[inline(always)]
            fn blocks_mut(x: &mut [Self]) -> (&mut [Self::Block], &mut [Self]) {
                x.as_chunks_mut()
            }
            #[inline(always)]
            fn elements(blocks: &[Self::Block]) -> &[Self] {
                blocks.as_flattened()
            }
            #[inline(always)]
            fn blocks_of_bytes(x: &[u8]) -> (&[Self::Bytes], &[u8]) {
                x.as_chunks()
            }
            #[inline(always)]
            fn widen<S: Simd>(simd: S, x: &[Self; 8]) -> S::F64 {
                $widen(simd, x)
            }
        }
    };
}

element!(f32, F32, 16, Wide, libm::sqrtf, libm::expf, libm::logf, Simd::widen);
element!(f64, F64, 8, F64, libm::sqrt, libm::exp, libm::log, Arithmetic::load);
