//! Instruction sets: the tokens, the lane types, [`Level`] and the dispatch.
//!
//! A kernel is written once, over [`Simd`]; `dispatch!` instantiates it for every level. Only the token
//! files beside this one say `unsafe`.
//!
//! Every level computes on the same *block*: one cache line, 16 `f32` or 8 `f64`, whatever the width of
//! its registers. So tails, sums and their bits are the same on each.

#![allow(
    unreachable_pub,
    reason = "sealed: these traits stand in public bounds, but cannot be named outside"
)]

use core::ops::{Add, BitAnd, BitOr, Div, Mul, Neg, Not, Sub};

use crate::math::Smooth;

pub(crate) mod apply;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub(crate) mod channel_rows;
pub(crate) mod column_sums;
pub(crate) mod columns;
mod pair;
pub(crate) mod planes;
mod portable;
pub(crate) mod rows;
pub(crate) mod short_rows;
pub(crate) mod turn;
pub(crate) mod wide;

#[cfg(target_arch = "x86_64")]
pub use {avx2::Avx2, avx512::Avx512};

pub use portable::Portable;

/// An instruction set: a zero-sized proof that this CPU has it.
///
/// Lane operations are `#[inline(always)]` and bare of `#[target_feature]`: they take on the features of the
/// [`vectorize`](Simd::vectorize) frame they end up in, and must be called inside one to be fast.
pub trait Simd: Copy {
    /// A block of 16 `f32` in registers.
    type F32: Lanes<Block = [f32; 16], Simd = Self> + Single;
    /// A block of 8 `f64` in registers.
    type F64: Lanes<Scalar = f64, Block = [f64; 8], Simd = Self>;
    /// As many blocks of `f32` as are four registers: computed side by side, none waits for its own last operation.
    type Wide: Single<Simd = Self> + wide::Blocks;
    /// Whether a block is one register. Where it is more, its parts are chains of instructions side by side.
    const BLOCK_IS_REGISTER: bool;
    /// Whether [`Lanes::halves`] are a few instructions, so that a square is turned in less time than by elements.
    const TURNS: bool;

    /// Eight `f32` as `f64`, exactly.
    fn widen(self, x: &[f32; 8]) -> Self::F64;

    /// Asks for the cache line of element `at`, which may lie past the end, ahead of its time: nothing but time depends on it.
    #[inline(always)]
    fn prefetch<T>(self, x: &[T], at: usize) {
        let _ = (x, at);
    }

    /// As [`prefetch`](Self::prefetch), but no nearer than L2: what is read before it stays in L1.
    #[inline(always)]
    fn prefetch_to_l2<T>(self, x: &[T], at: usize) {
        let _ = (x, at);
    }

    /// Runs `f` in a function that is compiled with this instruction set's features.
    fn vectorize<R>(self, f: impl FnOnce() -> R) -> R;
}

/// Values side by side in registers, one a lane. They exist only where their token does, so operations on them need no token.
pub trait Arithmetic:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// `f32` or `f64`.
    type Scalar: Copy + PartialOrd + Add<Output = Self::Scalar>;
    /// The lanes in memory, an array.
    type Block: Copy;
    /// The token.
    type Simd: Simd;
    /// One truth value a lane.
    type Mask: Copy + BitAnd<Output = Self::Mask> + BitOr<Output = Self::Mask> + Not<Output = Self::Mask>;

    /// `x` in every lane.
    fn splat(simd: Self::Simd, x: Self::Scalar) -> Self;
    /// Reads a block.
    fn load(simd: Self::Simd, x: &Self::Block) -> Self;
    /// Writes a block.
    fn store(self, y: &mut Self::Block);
    /// `f(self)`
    fn smooth<F: Smooth>(self, simd: Self::Simd) -> Self;

    /// `self * factor + addend`, rounded once on the FMA levels and twice on the portable one.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
    /// `addend - self * factor`, rounded as [`mul_add`](Self::mul_add).
    fn neg_mul_add(self, factor: Self, addend: Self) -> Self;
    /// The square root, correctly rounded.
    fn sqrt(self) -> Self;
    /// `if self > other { self } else { other }`, so that a NaN in `other` comes through.
    fn max(self, other: Self) -> Self;
    /// `if self < other { self } else { other }`, so that a NaN in `other` comes through.
    fn min(self, other: Self) -> Self;

    /// `self < other`; false where either is NaN.
    fn lt(self, other: Self) -> Self::Mask;
    /// `self <= other`; false where either is NaN.
    fn le(self, other: Self) -> Self::Mask;
    /// `self == other`; false where either is NaN.
    fn eq(self, other: Self) -> Self::Mask;
    /// `if mask { yes } else { no }`, lane by lane.
    fn select(mask: Self::Mask, yes: Self, no: Self) -> Self;

    /// `if x < 0 { yes } else { no }`; either where `x` is NaN or -0.
    fn select_negative(x: Self, yes: Self, no: Self) -> Self;

    /// The bits of both, combined by AND.
    fn and_bits(self, other: Self) -> Self;
    /// The bits of both, combined by OR.
    fn or_bits(self, other: Self) -> Self;
    /// The bits of both, combined by XOR.
    fn xor_bits(self, other: Self) -> Self;
    /// The bits of both, added as integers (wrapping).
    fn add_bits(self, other: Self) -> Self;
    /// The bits of both, subtracted as integers (wrapping).
    fn sub_bits(self, other: Self) -> Self;
    /// The bits shifted left by `N`, zeros coming in.
    fn shl_bits<const N: u32>(self) -> Self;
    /// The bits shifted right by `N`, zeros coming in.
    fn shr_bits<const N: u32>(self) -> Self;
}

/// A block in registers.
pub trait Lanes:
    Arithmetic<Block: AsRef<[<Self as Arithmetic>::Scalar]> + AsMut<[<Self as Arithmetic>::Scalar]>>
{
    /// Reads the first lanes; lanes past the end of `x` are 0, elements past the last lane are left alone.
    fn load_partial(simd: Self::Simd, x: &[Self::Scalar]) -> Self;
    /// Writes the first lanes, as many as `y` has elements.
    fn store_partial(self, y: &mut [Self::Scalar]);
    /// As [`store_partial`](Self::store_partial), of lanes of the first of `PARTS` (1, 2 or 4) equal parts: rows so short, next to
    /// each other, are written in less time.
    #[inline(always)]
    fn store_few<const PARTS: usize>(self, y: &mut [Self::Scalar]) {
        self.store_partial(y);
    }
    /// True in the first `n` lanes.
    fn first(simd: Self::Simd, n: usize) -> Self::Mask;

    /// One half of each operand's groups of `2 * WIDTH` lanes beside the other's, the first halves and the second: for
    /// `short_rows.rs` and `turn.rs`, which know the order. Halves and quarters of a block stand as `a a b b`; so do pairs and lanes,
    /// within 128 bits.
    fn halves<const WIDTH: usize>(self, other: Self) -> (Self, Self);

    /// The block in memory.
    #[inline(always)]
    fn to_block(self, simd: Self::Simd) -> Self::Block
    where
        Self::Block: Default,
    {
        let _ = simd;
        let mut block = Self::Block::default();
        self.store(&mut block);
        block
    }

    /// `f` of each lane, for functions that have no vector form.
    #[inline(always)]
    fn map_lanes(self, simd: Self::Simd, f: impl Fn(Self::Scalar) -> Self::Scalar) -> Self
    where
        Self::Block: Default,
    {
        let mut block = self.to_block(simd);
        for x in block.as_mut() {
            *x = f(*x);
        }
        Self::load(simd, &block)
    }

    /// Folds the lanes by a fixed tree: lane `i` with lane `i + LANES / 2`, then quarters, and so on down
    /// to one. `f` is a sum, a minimum, a maximum.
    #[inline(always)]
    fn fold_lanes(
        self,
        simd: Self::Simd,
        f: impl Fn(Self::Scalar, Self::Scalar) -> Self::Scalar,
    ) -> Self::Scalar
    where
        Self::Block: Default,
        Self::Scalar: Default,
    {
        let mut block = self.to_block(simd);
        let mut half = block.as_ref().len() / 2;
        while half > 0 {
            if let Some((low, high)) = block.as_mut().split_at_mut_checked(half) {
                for (x, y) in low.iter_mut().zip(high) {
                    *x = f(*x, *y);
                }
            }
            half /= 2;
        }
        block.as_ref().first().copied().unwrap_or_default()
    }
}

/// Exponents of `f32` lanes apart from the rest: two instructions on AVX-512, some work with the bits elsewhere.
pub trait Single: Arithmetic<Scalar = f32> {
    /// Added to a whole number, what [`scale_by_power`](Self::scale_by_power) takes: the low bits of the sum are that number plus 254.
    const POWER: f32 = 12_582_912.0 + 254.0;

    /// `|self|`
    #[inline(always)]
    fn magnitude(self, simd: Self::Simd) -> Self {
        self.and_bits(Self::splat(simd, f32::from_bits(0x7fff_ffff)))
    }

    /// `self * 2^n`, rounded once, for `z = n + POWER`, `n` from -253 to 254, where `self * 2^(n / 2)` is no subnormal and does not overflow.
    #[inline(always)]
    fn scale_by_power(self, simd: Self::Simd, z: Self) -> Self {
        let _ = simd;
        // In two steps, since 2^-150 is no `f32`, and 2^128 none either: floor(n / 2) + 127 and ceil(n / 2) + 127 are exponents.
        let half = z.shr_bits::<1>();
        self * half.shl_bits::<23>() * z.sub_bits(half).shl_bits::<23>()
    }

    /// `m` in [0.70710677, 1.4142135) and a whole `e` with `self = m 2^e`. Of 0 `e` is minus infinity, of infinity it is infinity; below 0
    /// one of them is NaN.
    #[inline(always)]
    fn split_power(self, simd: Self::Simd) -> (Self, Self) {
        split_bits(self, simd)
    }
}

/// [`Single::split_power`] by bits.
#[inline(always)]
fn split_bits<A: Single>(x: A, simd: A::Simd) -> (A, A) {
    // Subtracted from the bits of a number as integers, they leave `k << 23` and the bits of a number in [1 / sqrt 2, sqrt 2).
    const LEAST: u32 = 0x3f35_04f3;
    let c = |c| A::splat(simd, c);
    let subnormal = x.lt(c(f32::MIN_POSITIVE));
    let scaled = A::select(subnormal, x * c(33_554_432.0), x);
    let above = scaled.sub_bits(c(f32::from_bits(LEAST.wrapping_sub(128 << 23))));
    // 2^23 + k, its last bits k, is a `f32`; 25 are the scaling.
    let bias = A::select(subnormal, c(8_388_608.0 + 128.0 + 25.0), c(8_388_608.0 + 128.0));
    let e = above.shr_bits::<23>().or_bits(c(8_388_608.0)) - bias;
    let m = above.and_bits(c(f32::from_bits(0x007f_ffff))).add_bits(c(f32::from_bits(LEAST)));
    let e = A::select_negative(x, c(f32::NAN), e);
    let e = A::select(x.lt(c(f32::INFINITY)), e, x);
    let e = A::select(x.eq(c(0.0)), c(f32::NEG_INFINITY), e);
    (m, e)
}

/// The instruction set that kernels run on: an explicit value, the first argument of every kernel.
///
/// ```
/// use slicewise_kernels::Level;
///
/// let level = Level::detect(); // the best this CPU has
/// let pinned = Level::Portable; // the same on every machine
/// assert!(Level::available().any(|l| l == level) && Level::available().any(|l| l == pinned));
/// assert_eq!(Level::by_name(level.name()), Some(level));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Level {
    /// 512-bit registers (AVX-512 F, VL, BW, DQ).
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    /// 256-bit registers and fused multiply-add (AVX2, FMA).
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    /// What every CPU of the target has: 128-bit registers (SSE2, NEON, simd128) or scalar code.
    Portable,
}

impl Level {
    /// The best level of this CPU. CPUID is asked once; later calls read one atomic.
    #[inline]
    #[must_use]
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if let Some(simd) = Avx512::detect() {
                return Self::Avx512(simd);
            }
            if let Some(simd) = Avx2::detect() {
                return Self::Avx2(simd);
            }
        }
        Self::Portable
    }

    /// Every level that this CPU can run, the best first. Tests and benchmarks run on each.
    pub fn available() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let wide = [Avx512::detect().map(Self::Avx512), Avx2::detect().map(Self::Avx2)];
        #[cfg(not(target_arch = "x86_64"))]
        let wide = [];
        wide.into_iter().flatten().chain([Self::Portable])
    }

    /// The level of that [`name`](Level::name), where this CPU has it.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::available().find(|level| level.name() == name)
    }

    /// `"avx512"`, `"avx2"` or `"portable"`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            Self::Portable => "portable",
        }
    }
}

/// Runs `$kernel` at `$level`, its token named `$simd`, inside that token's frame.
macro_rules! dispatch {
    ($level:expr, $simd:ident => $kernel:expr) => {
        match $level {
            #[cfg(target_arch = "x86_64")]
            $crate::simd::Level::Avx512($simd) => $crate::simd::Simd::vectorize(
                $simd,
                #[inline(always)]
                || $kernel,
            ),
            #[cfg(target_arch = "x86_64")]
            $crate::simd::Level::Avx2($simd) => $crate::simd::Simd::vectorize(
                $simd,
                #[inline(always)]
                || $kernel,
            ),
            $crate::simd::Level::Portable => {
                let $simd = $crate::simd::Portable;
                $crate::simd::Simd::vectorize(
                    $simd,
                    #[inline(always)]
                    || $kernel,
                )
            }
        }
    };
}
pub(crate) use dispatch;

#[cfg(all(test, target_arch = "x86_64"))]
mod flush_tests;
#[cfg(test)]
mod tests;
