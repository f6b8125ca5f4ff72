//! AVX2 with FMA: a block is two 256-bit registers.
#![allow(unsafe_code, reason = "intrinsics: the token proves that the CPU has them")]

use core::arch::x86_64::*;
use core::ops::{Add, BitAnd, BitOr, Div, Mul, Neg, Not, Sub};

use super::pair::Pair;
use super::{Arithmetic, Lanes, Simd, Single};
use crate::math::Smooth;

cpufeatures::new!(has_avx2, "avx2", "fma");

/// Exists only where the CPU has AVX2 and FMA and the operating system saves the 256-bit registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Avx2(());

impl Avx2 {
    #[inline]
    pub(super) fn detect() -> Option<Self> {
        has_avx2::get().then_some(Self(()))
    }
}

/// An intrinsic on both registers of each operand.
macro_rules! each {
    ($intrinsic:expr; $($operand:expr),+) => {
        // SAFETY: the operands, or the token beside them, prove AVX2 and FMA.
        [unsafe { $intrinsic($($operand[0]),+) }, unsafe { $intrinsic($($operand[1]),+) }]
    };
}

impl Simd for Avx2 {
    type F32 = F32;
    type F64 = F64;
    type Wide = Pair<F32>;
    const BLOCK_IS_REGISTER: bool = false;
    const TURNS: bool = true;

    #[inline(always)]
    fn widen(self, x: &[f32; 8]) -> F64 {
        // SAFETY: both halves lie inside the array.
        let half = unsafe { x.as_ptr().add(4) };
        let x = each!(_mm_loadu_ps; [x.as_ptr(), half]);
        F64(each!(_mm256_cvtps_pd; x))
    }

    #[inline(always)]
    fn prefetch<T>(self, x: &[T], at: usize) {
        // SAFETY: SSE, and an address that is not read by the program.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(x.as_ptr().wrapping_add(at).cast()) };
    }

    #[inline(always)]
    fn prefetch_to_l2<T>(self, x: &[T], at: usize) {
        // SAFETY: SSE, and an address that is not read by the program.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(x.as_ptr().wrapping_add(at).cast()) };
    }

    #[inline(always)]
    fn vectorize<R>(self, f: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "avx2,fma")]
        #[inline]
        fn frame<R>(f: impl FnOnce() -> R) -> R {
            f()
        }
        // SAFETY: the token proves AVX2 and FMA.
        unsafe { frame(f) }
    }
}

/// 16 `f32`. Made only from a token, or from lanes that were.
#[derive(Clone, Copy)]
pub struct F32([__m256; 2]);
/// 8 `f64`. Made only from a token, or from lanes that were.
#[derive(Clone, Copy)]
pub struct F64([__m256d; 2]);
/// 16 truth values: all bits of a lane set, or none.
#[derive(Clone, Copy)]
pub struct Mask32([__m256; 2]);
/// 8 truth values.
#[derive(Clone, Copy)]
pub struct Mask64([__m256d; 2]);

#[inline(always)]
fn halves_f32<const WIDTH: usize>(a: [__m256; 2], b: [__m256; 2]) -> ([__m256; 2], [__m256; 2]) {
    let across = ([a[0], b[0]], [a[1], b[1]]);
    match WIDTH {
        8 => across,
        4 => (
            each!(_mm256_permute2f128_ps::<0x20>; across.0, across.1),
            each!(_mm256_permute2f128_ps::<0x31>; across.0, across.1),
        ),
        2 => (each!(_mm256_shuffle_ps::<0x44>; a, b), each!(_mm256_shuffle_ps::<0xee>; a, b)),
        _ => (each!(_mm256_shuffle_ps::<0x88>; a, b), each!(_mm256_shuffle_ps::<0xdd>; a, b)),
    }
}

#[inline(always)]
fn halves_f64<const WIDTH: usize>(a: [__m256d; 2], b: [__m256d; 2]) -> ([__m256d; 2], [__m256d; 2]) {
    let across = ([a[0], b[0]], [a[1], b[1]]);
    match WIDTH {
        4 => across,
        2 => (
            each!(_mm256_permute2f128_pd::<0x20>; across.0, across.1),
            each!(_mm256_permute2f128_pd::<0x31>; across.0, across.1),
        ),
        _ => (each!(_mm256_unpacklo_pd; a, b), each!(_mm256_unpackhi_pd; a, b)),
    }
}

/// Writes the first lanes, as many as `y` has elements, fewer than 8.
#[inline(always)]
fn store_part_f32(x: __m256, y: &mut [f32]) {
    // SAFETY: the register proves AVX.
    let mut x = [unsafe { _mm256_castps256_ps128(x) }, unsafe { _mm256_extractf128_ps::<1>(x) }];
    let (fours, y) = y.as_chunks_mut::<4>();
    if let Some(four) = fours.first_mut() {
        // SAFETY: SSE; inside the array.
        unsafe { _mm_storeu_ps(four.as_mut_ptr(), x[0]) };
        x[0] = x[1];
    }
    let (twos, y) = y.as_chunks_mut::<2>();
    if let Some(two) = twos.first_mut() {
        // SAFETY: SSE2.
        let bits = unsafe { _mm_castps_si128(x[0]) };
        // SAFETY: SSE2; inside the array, which needs no alignment.
        unsafe { _mm_storeu_si64(two.as_mut_ptr().cast(), bits) };
        // SAFETY: SSE.
        x[0] = unsafe { _mm_movehl_ps(x[0], x[0]) };
    }
    if let Some(last) = y.first_mut() {
        // SAFETY: SSE; one element.
        unsafe { _mm_store_ss(last, x[0]) };
    }
}

/// Writes the first lanes, as many as `y` has elements, fewer than 4.
#[inline(always)]
fn store_part_f64(x: __m256d, y: &mut [f64]) {
    // SAFETY: the register proves AVX.
    let mut x = [unsafe { _mm256_castpd256_pd128(x) }, unsafe { _mm256_extractf128_pd::<1>(x) }];
    let (twos, y) = y.as_chunks_mut::<2>();
    if let Some(two) = twos.first_mut() {
        // SAFETY: SSE2; inside the array.
        unsafe { _mm_storeu_pd(two.as_mut_ptr(), x[0]) };
        x[0] = x[1];
    }
    if let Some(last) = y.first_mut() {
        // SAFETY: SSE2; one element.
        unsafe { _mm_store_sd(last, x[0]) };
    }
}

/// The two widths differ in their intrinsics' names alone.
macro_rules! lanes {
    (
        $lanes:ident, $mask:ident, $scalar:ty, $n:literal, half $half:literal, $smooth:ident,
        iota $iota:expr, count $count:ty,
        $splat:ident $load:ident $store:ident $maskload:ident $store_part:ident
        $set1:ident $cmpgt:ident
        $fma:ident $fnma:ident $sqrt:ident $max:ident $min:ident $cmp:ident $blendv:ident
        $and:ident $or:ident $xor:ident $add_int:ident $sub_int:ident $shl:ident $shr:ident
        $to_int:ident $from_int:ident $halves:ident
        operators $add:ident $sub:ident $mul:ident $div:ident
    ) => {
        impl $lanes {
            #[inline(always)]
            fn from_bits(bits: [__m256i; 2]) -> Self {
                Self(each!($from_int; bits))
            }

            /// All bits set in the first `n` lanes.
            #[inline(always)]
            fn first_bits(_: Avx2, n: usize) -> [__m256i; 2] {
                // At most a block's lanes, so that the narrowing keeps the value.
                let n = n.min($n) as $count;
                let iota = $iota;
                // SAFETY: the token proves AVX2.
                let counts = [unsafe { $set1(n) }, unsafe { $set1(n - $half) }];
                each!($cmpgt; counts, [iota, iota])
            }
        }

        impl Arithmetic for $lanes {
            type Scalar = $scalar;
            type Block = [$scalar; $n];
            type Simd = Avx2;
            type Mask = $mask;

            #[inline(always)]
            fn splat(_: Avx2, x: $scalar) -> Self {
                Self(each!($splat; [x, x]))
            }
            #[inline(always)]
            fn load(_: Avx2, x: &[$scalar; $n]) -> Self {
                // SAFETY: the token proves AVX; both halves lie inside the block.
                let half = unsafe { x.as_ptr().add($half) };
                Self(each!($load; [x.as_ptr(), half]))
            }
            #[inline(always)]
            fn store(self, y: &mut [$scalar; $n]) {
                let y = y.as_mut_ptr();
                // SAFETY: inside the block.
                let half = unsafe { y.add($half) };
                each!($store; [y, half], self.0);
            }

            #[inline(always)]
            fn mul_add(self, factor: Self, addend: Self) -> Self {
                Self(each!($fma; self.0, factor.0, addend.0))
            }
            #[inline(always)]
            fn neg_mul_add(self, factor: Self, addend: Self) -> Self {
                Self(each!($fnma; self.0, factor.0, addend.0))
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                Self(each!($sqrt; self.0))
            }
            #[inline(always)]
            fn max(self, other: Self) -> Self {
                Self(each!($max; self.0, other.0))
            }
            #[inline(always)]
            fn min(self, other: Self) -> Self {
                Self(each!($min; self.0, other.0))
            }

            #[inline(always)]
            fn lt(self, other: Self) -> $mask {
                $mask(each!($cmp::<_CMP_LT_OQ>; self.0, other.0))
            }
            #[inline(always)]
            fn le(self, other: Self) -> $mask {
                $mask(each!($cmp::<_CMP_LE_OQ>; self.0, other.0))
            }
            #[inline(always)]
            fn eq(self, other: Self) -> $mask {
                $mask(each!($cmp::<_CMP_EQ_OQ>; self.0, other.0))
            }
            #[inline(always)]
            fn select(mask: $mask, yes: Self, no: Self) -> Self {
                Self(each!($blendv; no.0, yes.0, mask.0))
            }
            #[inline(always)]
            fn select_negative(x: Self, yes: Self, no: Self) -> Self {
                // By the signs alone.
                Self(each!($blendv; no.0, yes.0, x.0))
            }

            #[inline(always)]
            fn and_bits(self, other: Self) -> Self {
                Self(each!($and; self.0, other.0))
            }
            #[inline(always)]
            fn or_bits(self, other: Self) -> Self {
                Self(each!($or; self.0, other.0))
            }
            #[inline(always)]
            fn xor_bits(self, other: Self) -> Self {
                Self(each!($xor; self.0, other.0))
            }
            #[inline(always)]
            fn add_bits(self, other: Self) -> Self {
                let (a, b) = (each!($to_int; self.0), each!($to_int; other.0));
                Self::from_bits(each!($add_int; a, b))
            }
            #[inline(always)]
            fn sub_bits(self, other: Self) -> Self {
                let (a, b) = (each!($to_int; self.0), each!($to_int; other.0));
                Self::from_bits(each!($sub_int; a, b))
            }
            #[inline(always)]
            fn shl_bits<const N: u32>(self) -> Self {
                // SAFETY: the lanes prove AVX2.
                let count = unsafe { _mm_cvtsi32_si128(N.cast_signed()) };
                let bits = each!($to_int; self.0);
                Self::from_bits(each!($shl; bits, [count, count]))
            }
            #[inline(always)]
            fn shr_bits<const N: u32>(self) -> Self {
                // SAFETY: the lanes prove AVX2.
                let count = unsafe { _mm_cvtsi32_si128(N.cast_signed()) };
                let bits = each!($to_int; self.0);
                Self::from_bits(each!($shr; bits, [count, count]))
            }

            #[inline(always)]
            fn smooth<F: Smooth>(self, simd: Avx2) -> Self {
                F::$smooth(simd, self)
            }
        }

        impl Lanes for $lanes {
            #[inline(always)]
            fn load_partial(simd: Avx2, x: &[$scalar]) -> Self {
                let mask = Self::first_bits(simd, x.len());
                // Masked lanes are not read, so the second pointer may lie past the end.
                let x = [x.as_ptr(), x.as_ptr().wrapping_add($half)];
                Self(each!($maskload; x, mask))
            }
            #[inline(always)]
            fn store_partial(self, y: &mut [$scalar]) {
                // Halves of halves: a masked store takes 20 cycles and more on AMD's cores.
                if let Some((block, _)) = y.split_first_chunk_mut::<$half>() {
                    // SAFETY: the lanes prove AVX; inside the half.
                    unsafe { $store(block.as_mut_ptr(), self.0[0]) };
                }
                match y.get_mut($half..) {
                    Some([]) => {}
                    Some(rest) if rest.len() >= $half => {
                        // SAFETY: the lanes prove AVX; `rest` holds a whole half.
                        unsafe { $store(rest.as_mut_ptr(), self.0[1]) };
                    }
                    Some(rest) => $store_part(self.0[1], rest),
                    None => $store_part(self.0[0], y),
                }
            }
            #[inline(always)]
            fn first(simd: Avx2, n: usize) -> $mask {
                $mask(Self::from_bits(Self::first_bits(simd, n)).0)
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
        lanes!(operator $mask, BitAnd, bitand, $and);
        lanes!(operator $mask, BitOr, bitor, $or);

        impl Neg for $lanes {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                self.xor_bits(Self::splat(Avx2(()), -0.0))
            }
        }
        impl Not for $mask {
            type Output = Self;
            #[inline(always)]
            fn not(self) -> Self {
                // SAFETY: the mask proves AVX.
                let ones = unsafe { _mm256_set1_epi8(-1) };
                Self(each!($xor; self.0, $lanes::from_bits([ones, ones]).0))
            }
        }
    };
    (operator $type:ident, $trait:ident, $method:ident, $intrinsic:ident) => {
        impl $trait for $type {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(each!($intrinsic; self.0, other.0))
            }
        }
    };
}

lanes!(
    F32, Mask32, f32, 16, half 8, single,
    // SAFETY: the token proves AVX.
    iota unsafe { _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7) }, count i32,
    _mm256_set1_ps _mm256_loadu_ps _mm256_storeu_ps _mm256_maskload_ps store_part_f32
    _mm256_set1_epi32 _mm256_cmpgt_epi32
    _mm256_fmadd_ps _mm256_fnmadd_ps _mm256_sqrt_ps _mm256_max_ps _mm256_min_ps _mm256_cmp_ps _mm256_blendv_ps
    _mm256_and_ps _mm256_or_ps _mm256_xor_ps _mm256_add_epi32 _mm256_sub_epi32 _mm256_sll_epi32 _mm256_srl_epi32
    _mm256_castps_si256 _mm256_castsi256_ps halves_f32
    operators _mm256_add_ps _mm256_sub_ps _mm256_mul_ps _mm256_div_ps
);
lanes!(
    F64, Mask64, f64, 8, half 4, double,
    // SAFETY: the token proves AVX.
    iota unsafe { _mm256_setr_epi64x(0, 1, 2, 3) }, count i64,
    _mm256_set1_pd _mm256_loadu_pd _mm256_storeu_pd _mm256_maskload_pd store_part_f64
    _mm256_set1_epi64x _mm256_cmpgt_epi64
    _mm256_fmadd_pd _mm256_fnmadd_pd _mm256_sqrt_pd _mm256_max_pd _mm256_min_pd _mm256_cmp_pd _mm256_blendv_pd
    _mm256_and_pd _mm256_or_pd _mm256_xor_pd _mm256_add_epi64 _mm256_sub_epi64 _mm256_sll_epi64 _mm256_srl_epi64
    _mm256_castpd_si256 _mm256_castsi256_pd halves_f64
    operators _mm256_add_pd _mm256_sub_pd _mm256_mul_pd _mm256_div_pd
);

impl Single for F32 {}
