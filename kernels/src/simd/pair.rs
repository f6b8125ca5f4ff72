//! [`Pair`]: two of the same lanes side by side.
//!
//! A CPU looks some 60 instructions ahead for what can be computed now. A function is a chain of 20 to 60, each of which waits for the one
//! before it, so that what stands in view is one block and the next one's first instructions. The instructions of four registers in turns
//! are four chains in view.

use core::ops::{Add, BitAnd, BitOr, Div, Mul, Neg, Not, Sub};

use super::wide::Blocks;
use super::{Arithmetic, Simd, Single, split_bits};
use crate::math::Smooth;

/// Twice as many lanes, or truth values: every operation is done on the first half, then on the second.
#[derive(Clone, Copy)]
pub struct Pair<A>([A; 2]);

impl<A: Copy> Pair<A> {
    #[inline(always)]
    fn map<B>(self, f: impl Fn(A) -> B) -> Pair<B> {
        let [a, b] = self.0;
        Pair([f(a), f(b)])
    }

    #[inline(always)]
    fn with<B: Copy, C>(self, other: Pair<B>, f: impl Fn(A, B) -> C) -> Pair<C> {
        let ([a, b], [c, d]) = (self.0, other.0);
        Pair([f(a, c), f(b, d)])
    }
}

/// A method of one, two or three operands, on both halves.
macro_rules! each {
    ($a:expr, $method:ident) => {
        $a.map(
            #[inline(always)]
            |a| a.$method(),
        )
    };
    ($a:expr, $method:ident, $b:expr) => {
        $a.with(
            $b,
            #[inline(always)]
            |a, b| a.$method(b),
        )
    };
    ($a:expr, $method:ident, $b:expr, $c:expr) => {{
        let ([a, d], [b, e], [c, f]) = ($a.0, $b.0, $c.0);
        Pair([a.$method(b, c), d.$method(e, f)])
    }};
}

macro_rules! operators {
    ($($trait:ident $method:ident),*) => {
        $(
            impl<A: Copy + $trait<Output = A>> $trait for Pair<A> {
                type Output = Self;
                #[inline(always)]
                fn $method(self, other: Self) -> Self {
                    each!(self, $method, other)
                }
            }
        )*
    };
}

operators!(Add add, Sub sub, Mul mul, Div div, BitAnd bitand, BitOr bitor);

impl<A: Copy + Neg<Output = A>> Neg for Pair<A> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        each!(self, neg)
    }
}

impl<A: Copy + Not<Output = A>> Not for Pair<A> {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        each!(self, not)
    }
}

impl<L: Single> Arithmetic for Pair<L> {
    type Scalar = f32;
    type Block = [L::Block; 2];
    type Simd = L::Simd;
    type Mask = Pair<L::Mask>;

    #[inline(always)]
    fn splat(simd: L::Simd, x: f32) -> Self {
        Self([L::splat(simd, x); 2])
    }
    #[inline(always)]
    fn load(simd: L::Simd, [a, b]: &[L::Block; 2]) -> Self {
        Self([L::load(simd, a), L::load(simd, b)])
    }
    #[inline(always)]
    fn store(self, [a, b]: &mut [L::Block; 2]) {
        self.0[0].store(a);
        self.0[1].store(b);
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, addend: Self) -> Self {
        each!(self, mul_add, factor, addend)
    }
    #[inline(always)]
    fn neg_mul_add(self, factor: Self, addend: Self) -> Self {
        each!(self, neg_mul_add, factor, addend)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        each!(self, sqrt)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        each!(self, max, other)
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        each!(self, min, other)
    }

    #[inline(always)]
    fn lt(self, other: Self) -> Pair<L::Mask> {
        each!(self, lt, other)
    }
    #[inline(always)]
    fn le(self, other: Self) -> Pair<L::Mask> {
        each!(self, le, other)
    }
    #[inline(always)]
    fn eq(self, other: Self) -> Pair<L::Mask> {
        each!(self, eq, other)
    }
    #[inline(always)]
    fn select(mask: Pair<L::Mask>, yes: Self, no: Self) -> Self {
        let ([p, q], [a, b], [c, d]) = (mask.0, yes.0, no.0);
        Self([L::select(p, a, c), L::select(q, b, d)])
    }
    #[inline(always)]
    fn select_negative(x: Self, yes: Self, no: Self) -> Self {
        let ([x, y], [a, b], [c, d]) = (x.0, yes.0, no.0);
        Self([L::select_negative(x, a, c), L::select_negative(y, b, d)])
    }

    #[inline(always)]
    fn and_bits(self, other: Self) -> Self {
        each!(self, and_bits, other)
    }
    #[inline(always)]
    fn or_bits(self, other: Self) -> Self {
        each!(self, or_bits, other)
    }
    #[inline(always)]
    fn xor_bits(self, other: Self) -> Self {
        each!(self, xor_bits, other)
    }
    #[inline(always)]
    fn add_bits(self, other: Self) -> Self {
        each!(self, add_bits, other)
    }
    #[inline(always)]
    fn sub_bits(self, other: Self) -> Self {
        each!(self, sub_bits, other)
    }
    #[inline(always)]
    fn shl_bits<const N: u32>(self) -> Self {
        let [a, b] = self.0;
        Self([a.shl_bits::<N>(), b.shl_bits::<N>()])
    }
    #[inline(always)]
    fn shr_bits<const N: u32>(self) -> Self {
        let [a, b] = self.0;
        Self([a.shr_bits::<N>(), b.shr_bits::<N>()])
    }

    #[inline(always)]
    fn smooth<F: Smooth>(self, simd: L::Simd) -> Self {
        F::single(simd, self)
    }
}

impl<L: Single + Blocks> Blocks for Pair<L> {
    #[inline(always)]
    fn blocks(x: &[f32]) -> &[Self::Block] {
        L::blocks(x).as_chunks().0
    }
    #[inline(always)]
    fn blocks_mut(x: &mut [f32]) -> &mut [Self::Block] {
        L::blocks_mut(x).as_chunks_mut().0
    }
}

impl<L: Single> Single for Pair<L> {
    #[inline(always)]
    fn scale_by_power(self, simd: L::Simd, z: Self) -> Self {
        let ([a, b], [y, z]) = (self.0, z.0);
        Self([a.scale_by_power(simd, y), b.scale_by_power(simd, z)])
    }
    #[inline(always)]
    fn split_power(self, simd: L::Simd) -> (Self, Self) {
        // Many instructions, to be taken in turns, but where registers are wide.
        if !L::Simd::BLOCK_IS_REGISTER {
            return split_bits(self, simd);
        }
        let [a, b] = self.0;
        let ((m, e), (n, f)) = (a.split_power(simd), b.split_power(simd));
        (Self([m, n]), Self([e, f]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;
    use crate::simd::{Lanes, dispatch};

    /// Every operation on a pair is that on its halves, bit by bit.
    #[test]
    fn operations_are_those_of_the_halves() {
        for level in Level::available() {
            dispatch!(level, simd => check(simd));
        }
    }

    fn check<S: Simd>(simd: S) {
        let special = [f32::NAN, f32::INFINITY, -f32::INFINITY, 0.0, -0.0, 1e-40, f32::MAX, -1.0];
        let x: [f32; 32] = core::array::from_fn(|i| special.get(i / 3).copied().unwrap_or(i as f32 - 27.3));
        let y: [f32; 32] = core::array::from_fn(|i| special.get(i % 11).copied().unwrap_or(i as f32 - 3.1));
        let z: [f32; 32] = core::array::from_fn(|i| special.get(i % 13).copied().unwrap_or(7.3 - i as f32));
        let [x, y, z] = core::hint::black_box([x, y, z]);
        let whole = [x, y, z].map(|x| Pair::<S::F32>::load(simd, &Pair::<S::F32>::blocks(&x)[0]));
        for half in 0..2 {
            let part = [x, y, z].map(|x| S::F32::load(simd, x[half * 16..][..16].first_chunk().unwrap()));
            let results = [all::<Pair<S::F32>>(simd, whole).map(|r| r.0[half]), all::<S::F32>(simd, part)];
            let [of_pair, of_half] = results.map(|r| r.map(|r| r.to_block(simd).map(f32::to_bits)));
            for (operation, (a, b)) in of_pair.iter().zip(&of_half).enumerate() {
                assert_eq!(a, b, "operation {operation}, half {half}");
            }
        }
        let mut stored = [[0.0; 16]; 2];
        whole[0].store(&mut stored);
        assert!(stored.as_flattened().iter().map(|x| x.to_bits()).eq(x.map(f32::to_bits)));
    }

    fn all<A: Single>(simd: A::Simd, [x, y, z]: [A; 3]) -> [A; 27] {
        let pick = |mask| A::select(mask, x, y);
        let (m, e) = y.split_power(simd);
        let power = A::splat(simd, 3.0 + A::POWER);
        [
            x + y,
            x - y,
            x * y,
            x / y,
            -x,
            x.mul_add(y, z),
            x.neg_mul_add(y, z),
            x.sqrt(),
            x.max(y),
            x.min(y),
            pick(x.lt(y)),
            pick(x.le(y)),
            pick(x.eq(y)),
            pick(x.lt(y) & y.lt(z)),
            pick(x.lt(y) | y.lt(z)),
            pick(!x.lt(y)),
            A::select_negative(z, x, y),
            x.and_bits(y),
            x.or_bits(y),
            x.xor_bits(y),
            x.add_bits(y),
            x.sub_bits(y),
            x.shl_bits::<3>().or_bits(y.shr_bits::<5>()),
            z.scale_by_power(simd, power),
            m,
            e,
            x.magnitude(simd),
        ]
    }
}
