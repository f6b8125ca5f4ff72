//! AVX-512 (F, VL, BW, DQ): a block is one 512-bit register, a truth value one bit.
#![allow(unsafe_code, reason = "intrinsics: the token proves that the CPU has them")]

use core::arch::x86_64::*;
use core::ops::{Add, BitAnd, BitOr, Div, Mul, Neg, Not, Sub};

use super::pair::Pair;
use super::{Arithmetic, Lanes, Simd, Single};
use crate::math::Smooth;

cpufeatures::new!(has_avx512, "avx512f", "avx512vl", "avx512bw", "avx512dq", "avx2", "fma");

/// Exists only where the CPU has AVX-512 F, VL, BW and DQ and the operating system saves the registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx512(());

impl Avx512 {
    #[inline]
    pub(super) fn detect() -> Option<Self> {
        has_avx512::get().then_some(Self(()))
    }
}

/// One intrinsic.
macro_rules! op {
    ($intrinsic:expr; $($operand:expr),+) => {
        // SAFETY: the operands, or the token beside them, prove AVX-512.
        unsafe { $intrinsic($($operand),+) }
    };
}

impl Simd for Avx512 {
    type F32 = F32;
    type F64 = F64;
    type Wide = Pair<Pair<F32>>;
    const BLOCK_IS_REGISTER: bool = true;
    const TURNS: bool = true;

    #[inline(always)]
    fn widen(self, x: &[f32; 8]) -> F64 {
        let x = op!(_mm256_loadu_ps; x.as_ptr());
        F64(op!(_mm512_cvtps_pd; x))
    }

    #[inline(always)]
    fn prefetch<T>(self, x: &[T], at: usize) {
        // SAFETY: SSE, and an address that is not read by the program.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(x.as_ptr().wrapping_add(at).cast()) };
    }

    #[inline(always)]
    fn vectorize<R>(self, f: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
        #[inline]
        fn frame<R>(f: impl FnOnce() -> R) -> R {
            f()
        }
        // SAFETY: the token proves these features.
        unsafe { frame(f) }
    }
}

/// 16 `f32`. Made only from a token, or from lanes that were.
#[derive(Clone, Copy)]
pub struct F32(__m512);
/// 8 `f64`. Made only from a token, or from lanes that were.
#[derive(Clone, Copy)]
pub struct F64(__m512d);
/// 16 truth values.
#[derive(Clone, Copy)]
pub struct Mask32(__mmask16);
/// 8 truth values.
#[derive(Clone, Copy)]
pub struct Mask64(__mmask8);

#[inline(always)]
fn halves_f32<const WIDTH: usize>(a: __m512, b: __m512) -> (__m512, __m512) {
    match WIDTH {
        8 => (op!(_mm512_shuffle_f32x4::<0x44>; a, b), op!(_mm512_shuffle_f32x4::<0xee>; a, b)),
        4 => (op!(_mm512_shuffle_f32x4::<0x88>; a, b), op!(_mm512_shuffle_f32x4::<0xdd>; a, b)),
        2 => (op!(_mm512_shuffle_ps::<0x44>; a, b), op!(_mm512_shuffle_ps::<0xee>; a, b)),
        _ => (op!(_mm512_shuffle_ps::<0x88>; a, b), op!(_mm512_shuffle_ps::<0xdd>; a, b)),
    }
}

#[inline(always)]
fn halves_f64<const WIDTH: usize>(a: __m512d, b: __m512d) -> (__m512d, __m512d) {
    match WIDTH {
        4 => (op!(_mm512_shuffle_f64x2::<0x44>; a, b), op!(_mm512_shuffle_f64x2::<0xee>; a, b)),
        2 => (op!(_mm512_shuffle_f64x2::<0x88>; a, b), op!(_mm512_shuffle_f64x2::<0xdd>; a, b)),
        _ => (op!(_mm512_unpacklo_pd; a, b), op!(_mm512_unpackhi_pd; a, b)),
    }
}

/// The two widths differ in their intrinsics' names alone.
macro_rules! lanes {
    (
        $lanes:ident, $mask:ident, $scalar:ty, $n:literal, $smooth:ident, $bits:ty,
        $splat:ident $load:ident $store:ident $maskload:ident $maskstore:ident
        $maskstore_half:ident $low_half:ident $maskstore_quarter:ident $low_quarter:ident
        $fma:ident $fnma:ident $sqrt:ident $max:ident $min:ident $cmp:ident $blend:ident
        $and:ident $or:ident $xor:ident $add_int:ident $sub_int:ident $shl:ident $shr:ident
        $to_int:ident $from_int:ident $halves:ident
        operators $add:ident $sub:ident $mul:ident $div:ident
    ) => {
        impl $lanes {
            #[inline(always)]
            fn from_bits(bits: __m512i) -> Self {
                Self(op!($from_int; bits))
            }
        }

        impl Arithmetic for $lanes {
            type Scalar = $scalar;
            type Block = [$scalar; $n];
            type Simd = Avx512;
            type Mask = $mask;

            #[inline(always)]
            fn splat(_: Avx512, x: $scalar) -> Self {
                Self(op!($splat; x))
            }
            #[inline(always)]
            fn load(_: Avx512, x: &[$scalar; $n]) -> Self {
                Self(op!($load; x.as_ptr()))
            }
            #[inline(always)]
            fn store(self, y: &mut [$scalar; $n]) {
                op!($store; y.as_mut_ptr(), self.0);
            }

            #[inline(always)]
            fn mul_add(self, factor: Self, addend: Self) -> Self {
                Self(op!($fma; self.0, factor.0, addend.0))
            }
            #[inline(always)]
            fn neg_mul_add(self, factor: Self, addend: Self) -> Self {
                Self(op!($fnma; self.0, factor.0, addend.0))
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                Self(op!($sqrt; self.0))
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                Self(op!($max; self.0, other.0))
            }
            #[inline(always)]
            fn min(self, other: Self) -> Self {
                Self(op!($min; self.0, other.0))
            }

            #[inline(always)]
            fn lt(self, other: Self) -> $mask {
                $mask(op!($cmp::<_CMP_LT_OQ>; self.0, other.0))
            }
            #[inline(always)]
            fn le(self, other: Self) -> $mask {
                $mask(op!($cmp::<_CMP_LE_OQ>; self.0, other.0))
            }
            #[inline(always)]
            fn eq(self, other: Self) -> $mask {
                $mask(op!($cmp::<_CMP_EQ_OQ>; self.0, other.0))
            }
            #[inline(always)]
            fn select(mask: $mask, yes: Self, no: Self) -> Self {
                Self(op!($blend; mask.0, no.0, yes.0))
            }
            #[inline(always)]
            fn select_negative(x: Self, yes: Self, no: Self) -> Self {
                Self::select(x.lt(Self::splat(Avx512(()), 0.0)), yes, no)
            }

            #[inline(always)]
            fn and_bits(self, other: Self) -> Self {
                Self(op!($and; self.0, other.0))
            }
            #[inline(always)]
            fn or_bits(self, other: Self) -> Self {
                Self(op!($or; self.0, other.0))
            }
            #[inline(always)]
            fn xor_bits(self, other: Self) -> Self {
                Self(op!($xor; self.0, other.0))
            }
            #[inline(always)]
            fn add_bits(self, other: Self) -> Self {
                let (a, b) = (op!($to_int; self.0), op!($to_int; other.0));
                Self::from_bits(op!($add_int; a, b))
            }
            #[inline(always)]
            fn sub_bits(self, other: Self) -> Self {
                let (a, b) = (op!($to_int; self.0), op!($to_int; other.0));
                Self::from_bits(op!($sub_int; a, b))
            }
            #[inline(always)]
            fn shl_bits<const N: u32>(self) -> Self {
                let bits = op!($to_int; self.0);
                Self::from_bits(op!($shl::<N>; bits))
            }
            #[inline(always)]
            fn shr_bits<const N: u32>(self) -> Self {
                let bits = op!($to_int; self.0);
                Self::from_bits(op!($shr::<N>; bits))
            }

            #[inline(always)]
            fn smooth<F: Smooth>(self, simd: Avx512) -> Self {
                F::$smooth(simd, self)
            }
        }

        impl Lanes for $lanes {
            #[inline(always)]
            fn load_partial(simd: Avx512, x: &[$scalar]) -> Self {
                // Masked lanes are not read.
                Self(op!($maskload; Self::first(simd, x.len()).0, x.as_ptr()))
            }
            #[inline(always)]
            fn store_partial(self, y: &mut [$scalar]) {
                // Masked lanes are not written.
                op!($maskstore; y.as_mut_ptr(), Self::first(Avx512(()), y.len()).0, self.0);
            }
            #[inline(always)]
            fn store_few<const PARTS: usize>(self, y: &mut [$scalar]) {
                // A masked store waits for one before it whose whole register overlaps its own.
                let (to, mask) = (y.as_mut_ptr(), Self::first(Avx512(()), y.len()).0);
                match PARTS {
                    1 => op!($maskstore; to, mask, self.0),
                    2 => {
                        let low = op!($low_half; self.0);
                        op!($maskstore_half; to, mask as __mmask8, low);
                    }
                    _ => {
                        let low = op!($low_quarter; self.0);
                        op!($maskstore_quarter; to, mask as __mmask8, low);
                    }
                }
            }
            #[inline(always)]
            fn first(_: Avx512, n: usize) -> $mask {
                // A shift by the whole width would wrap round to none.
                $mask(if n < $n { !(<$bits>::MAX << n) } else { <$bits>::MAX })
            }

            #[inline(always)]
            fn halves<const WIDTH: usize>(self, other: Self) -> (Self, Self) {
                let (first, second) = $halves::<WIDTH>(self.0, other.0);
                (Self(first), Self(second))
            }
        }

        lanes!(operator $lanes, Add, add, $add);
        lanes!(operator $lanes, Sub, sub, $sub);
        lanes!(operator $lanes, Mul, mul, $mul);
        lanes!(operator $lanes, Div, div, $div);

        impl Neg for $lanes {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                self.xor_bits(Self::splat(Avx512(()), -0.0))
            }
        }
        impl BitAnd for $mask {
            type Output = Self;
            #[inline(always)]
            fn bitand(self, other: Self) -> Self {
                Self(self.0 & other.0)
            }
        }
        impl BitOr for $mask {
            type Output = Self;
            #[inline(always)]
            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }
        impl Not for $mask {
            type Output = Self;
            #[inline(always)]
            fn not(self) -> Self {
                Self(!self.0)
            }
        }
    };
    (operator $type:ident, $trait:ident, $method:ident, $intrinsic:ident) => {
        impl $trait for $type {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(op!($intrinsic; self.0, other.0))
            }
        }
    };
}

lanes!(
    F32, Mask32, f32, 16, single, __mmask16,
    _mm512_set1_ps _mm512_loadu_ps _mm512_storeu_ps _mm512_maskz_loadu_ps _mm512_mask_storeu_ps
    _mm256_mask_storeu_ps _mm512_castps512_ps256 _mm_mask_storeu_ps _mm512_castps512_ps128
    _mm512_fmadd_ps _mm512_fnmadd_ps _mm512_sqrt_ps _mm512_max_ps _mm512_min_ps _mm512_cmp_ps_mask _mm512_mask_blend_ps
    _mm512_and_ps _mm512_or_ps _mm512_xor_ps _mm512_add_epi32 _mm512_sub_epi32 _mm512_slli_epi32 _mm512_srli_epi32
    _mm512_castps_si512 _mm512_castsi512_ps halves_f32
    operators _mm512_add_ps _mm512_sub_ps _mm512_mul_ps _mm512_div_ps
);
lanes!(
    F64, Mask64, f64, 8, double, __mmask8,
    _mm512_set1_pd _mm512_loadu_pd _mm512_storeu_pd _mm512_maskz_loadu_pd _mm512_mask_storeu_pd
    _mm256_mask_storeu_pd _mm512_castpd512_pd256 _mm_mask_storeu_pd _mm512_castpd512_pd128
    _mm512_fmadd_pd _mm512_fnmadd_pd _mm512_sqrt_pd _mm512_max_pd _mm512_min_pd _mm512_cmp_pd_mask _mm512_mask_blend_pd
    _mm512_and_pd _mm512_or_pd _mm512_xor_pd _mm512_add_epi64 _mm512_sub_epi64 _mm512_slli_epi64 _mm512_srli_epi64
    _mm512_castpd_si512 _mm512_castsi512_pd halves_f64
    operators _mm512_add_pd _mm512_sub_pd _mm512_mul_pd _mm512_div_pd
);

impl Single for F32 {
    #[inline(always)]
    fn scale_by_power(self, simd: Avx512, z: Self) -> Self {
        let n = z - Self::splat(simd, Self::POWER);
        Self(op!(_mm512_scalef_ps; self.0, n.0))
    }

    #[inline(always)]
    fn split_power(self, simd: Avx512) -> (Self, Self) {
        let c = |c| Self::splat(simd, c);
        let e = Self(op!(_mm512_getexp_ps; self.0));
        let m = Self(op!(_mm512_getmant_ps::<_MM_MANT_NORM_1_2, _MM_MANT_SIGN_NAN>; self.0));
        let large = c(f32::from_bits(0x3fb5_04f3)).le(m);
        (Self::select(large, c(0.5) * m, m), Self::select(large, e + c(1.0), e))
    }
}
