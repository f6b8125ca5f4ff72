//! The portable level: 128-bit lanes through `wide` (SSE2, NEON, simd128), scalar code elsewhere.
//!
//! Multiply-add is fused only where the target always has it (NEON does, x86-64 does not).

use core::ops::{Add, BitAnd, BitOr, Div, Mul, Neg, Not, Sub};
use wide::{f32x16, f64x8, u32x16, u64x8};

use super::{Arithmetic, Lanes, Simd, Single};
use crate::math::Smooth;

/// No proof needed: every CPU of the target runs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portable;

impl Simd for Portable {
    type F32 = F32;
    type F64 = F64;
    type Wide = F32;
    const BLOCK_IS_REGISTER: bool = false;
    const TURNS: bool = false;

    #[inline(always)]
    fn widen(self, x: &[f32; 8]) -> F64 {
        let mut wide = [0.0; 8];
        for (wide, x) in wide.iter_mut().zip(x) {
            *wide = f64::from(*x);
        }
        F64(f64x8::new(wide))
    }

    #[inline(always)]
    fn vectorize<R>(self, f: impl FnOnce() -> R) -> R {
        // A function of its own, as on the other levels: the compiler's time grows faster than a function's length.
        #[inline(never)]
        fn frame<R>(f: impl FnOnce() -> R) -> R {
            f()
        }
        frame(f)
    }
}

/// 16 `f32`.
#[derive(Clone, Copy)]
pub struct F32(f32x16);
/// 8 `f64`.
#[derive(Clone, Copy)]
pub struct F64(f64x8);
/// 16 truth values: all bits of a lane set, or none.
#[derive(Clone, Copy)]
pub struct Mask32(f32x16);
/// 8 truth values.
#[derive(Clone, Copy)]
pub struct Mask64(f64x8);

/// [`Lanes::halves`] of arrays.
#[inline(always)]
fn halves<T: Copy + Default, const N: usize, const WIDTH: usize>(a: [T; N], b: [T; N]) -> ([T; N], [T; N]) {
    // Halves and quarters of the whole, pairs and lanes of each 128 bits.
    let span = if WIDTH * 4 >= N { N } else { 16 / size_of::<T>() };
    let (mut first, mut second) = ([T::default(); N], [T::default(); N]);
    for (i, (first, second)) in first.iter_mut().zip(&mut second).enumerate() {
        let (start, place) = (i / span * span, i % span);
        let from = if place < span / 2 { &a } else { &b };
        let at = start + place % (span / 2) / WIDTH * 2 * WIDTH + place % WIDTH;
        if let (Some(x), Some(y)) = (from.get(at), from.get(at + WIDTH)) {
            (*first, *second) = (*x, *y);
        }
    }
    (first, second)
}

/// The two widths differ in their types' names alone.
macro_rules! lanes {
    ($lanes:ident, $mask:ident, $scalar:ty, $bits:ty, $n:literal, $smooth:ident, $wide:ident, $wide_bits:ident) => {
        impl Arithmetic for $lanes {
            type Scalar = $scalar;
            type Block = [$scalar; $n];
            type Simd = Portable;
            type Mask = $mask;

            #[inline(always)]
            fn splat(_: Portable, x: $scalar) -> Self {
                Self($wide::new([x; $n]))
            }
            #[inline(always)]
            fn load(_: Portable, x: &[$scalar; $n]) -> Self {
                Self($wide::new(*x))
            }
            #[inline(always)]
            fn store(self, y: &mut [$scalar; $n]) {
                *y = self.0.to_array();
            }

            #[inline(always)]
            fn mul_add(self, factor: Self, addend: Self) -> Self {
                Self(self.0.mul_add(factor.0, addend.0))
            }
            #[inline(always)]
            fn neg_mul_add(self, factor: Self, addend: Self) -> Self {
                Self(self.0.mul_neg_add(factor.0, addend.0))
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                Self(self.0.sqrt())
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                Self::select(other.lt(self), self, other)
            }
            #[inline(always)]
            fn min(self, other: Self) -> Self {
                Self::select(self.lt(other), self, other)
            }

            #[inline(always)]
            fn lt(self, other: Self) -> $mask {
                $mask(self.0.simd_lt(other.0))
            }
            #[inline(always)]
            fn le(self, other: Self) -> $mask {
                $mask(self.0.simd_le(other.0))
            }
            #[inline(always)]
            fn eq(self, other: Self) -> $mask {
                $mask(self.0.simd_eq(other.0))
            }
            #[inline(always)]
            fn select(mask: $mask, yes: Self, no: Self) -> Self {
                Self(mask.0.bitselect(yes.0, no.0))
            }
            #[inline(always)]
            fn select_negative(x: Self, yes: Self, no: Self) -> Self {
                Self::select(x.lt(Self::splat(Portable, 0.0)), yes, no)
            }

            #[inline(always)]
            fn and_bits(self, other: Self) -> Self {
                Self(self.0 & other.0)
            }
            #[inline(always)]
            fn or_bits(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
            #[inline(always)]
            fn xor_bits(self, other: Self) -> Self {
                Self(self.0 ^ other.0)
            }
            #[inline(always)]
            fn add_bits(self, other: Self) -> Self {
                Self($wide::from_bits(self.0.to_bits() + other.0.to_bits()))
            }
            #[inline(always)]
            fn sub_bits(self, other: Self) -> Self {
                Self($wide::from_bits(self.0.to_bits() - other.0.to_bits()))
            }
            #[inline(always)]
            fn shl_bits<const N: u32>(self) -> Self {
                let bits: $wide_bits = self.0.to_bits();
                Self($wide::from_bits(bits << N))
            }
            #[inline(always)]
            fn shr_bits<const N: u32>(self) -> Self {
                let bits: $wide_bits = self.0.to_bits();
                Self($wide::from_bits(bits >> N))
            }

            #[inline(always)]
            fn smooth<F: Smooth>(self, simd: Portable) -> Self {
                F::$smooth(simd, self)
            }
        }

        impl Lanes for $lanes {
            #[inline(always)]
            fn load_partial(_: Portable, x: &[$scalar]) -> Self {
                let mut block = [0.0; $n];
                for (to, from) in block.iter_mut().zip(x) {
                    *to = *from;
                }
                Self($wide::new(block))
            }
            #[inline(always)]
            fn store_partial(self, y: &mut [$scalar]) {
                for (to, from) in y.iter_mut().zip(self.0.to_array()) {
                    *to = from;
                }
            }
            #[inline(always)]
            fn first(_: Portable, n: usize) -> $mask {
                let mut block = [0.0; $n];
                for lane in block.iter_mut().take(n) {
                    *lane = <$scalar>::from_bits(<$bits>::MAX);
                }
                $mask($wide::new(block))
            }

            #[inline(always)]
            fn halves<const WIDTH: usize>(self, other: Self) -> (Self, Self) {
                let (first, second) = halves::<$scalar, $n, WIDTH>(self.0.to_array(), other.0.to_array());
                (Self($wide::new(first)), Self($wide::new(second)))
            }
        }

        lanes!(operator $lanes, Add, add, +);
        lanes!(operator $lanes, Sub, sub, -);
        lanes!(operator $lanes, Mul, mul, *);
        lanes!(operator $lanes, Div, div, /);
        lanes!(operator $mask, BitAnd, bitand, &);
        lanes!(operator $mask, BitOr, bitor, |);

        impl Neg for $lanes {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                self.xor_bits(Self::splat(Portable, -0.0))
            }
        }
        impl Not for $mask {
            type Output = Self;
            #[inline(always)]
            fn not(self) -> Self {
                Self(self.0 ^ $wide::new([<$scalar>::from_bits(<$bits>::MAX); $n]))
            }
        }
    };
    (operator $type:ident, $trait:ident, $method:ident, $op:tt) => {
        impl $trait for $type {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(self.0 $op other.0)
            }
        }
    };
}

lanes!(F32, Mask32, f32, u32, 16, single, f32x16, u32x16);
lanes!(F64, Mask64, f64, u64, 8, double, f64x8, u64x8);

impl Single for F32 {}
