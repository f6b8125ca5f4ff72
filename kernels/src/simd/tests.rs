//! Every lane operation, on every level, against the scalar one; maps and folds at every length.

use super::apply::{CHUNK, fold, fold_sum, fold_sums, map, map_sum};
use super::{Arithmetic, Lanes, Level, Simd, Single};
use crate::Element;
use crate::reference::levels;
use crate::reference::strategies::special_slice;
use core::cmp::Ordering;
use proptest::prelude::*;
use std::vec::Vec;

/// What lane operations come to on one lane.
trait Scalar: Element + core::fmt::LowerExp {
    fn bits(self) -> u64;
    fn of_bits(bits: u64) -> Self;
    fn fused(self, factor: Self, addend: Self) -> Self;
    fn exact_sqrt(self) -> Self;
}

macro_rules! scalar {
    ($scalar:ident, $bits:ty) => {
        impl Scalar for $scalar {
            fn bits(self) -> u64 {
                self.to_bits().into()
            }
            fn of_bits(bits: u64) -> Self {
                Self::from_bits(bits as $bits)
            }
            fn fused(self, factor: Self, addend: Self) -> Self {
                std::primitive::$scalar::mul_add(self, factor, addend)
            }
            fn exact_sqrt(self) -> Self {
                std::primitive::$scalar::sqrt(self)
            }
        }
    };
}
scalar!(f32, u32);
scalar!(f64, u64);

/// Whether the level rounds a multiply-add once.
fn fuses(level: Level) -> bool {
    level != Level::Portable || cfg!(any(target_feature = "fma", target_arch = "aarch64"))
}

/// Scaling by powers of two against `f64`, which holds the products exactly; parting numbers from their powers against putting them together.
fn powers<S: Simd>(simd: S, level: Level) {
    let first = |x: S::F32| x.to_block(simd)[0];
    for y in [0.707_106_77f32, 1.0, 1.414_213_4, -1.2, 0.0, f32::NAN] {
        for n in -253..=254i16 {
            let z = S::F32::splat(simd, f32::from(n) + S::F32::POWER);
            let actual = first(S::F32::splat(simd, y).scale_by_power(simd, z));
            let expected = (f64::from(y) * f64::from(n).exp2()) as f32;
            let same = actual.to_bits() == expected.to_bits() || (actual.is_nan() && expected.is_nan());
            assert!(same, "{y:e} * 2^{n} is {actual:e}, not {expected:e}, at {}", level.name());
        }
    }
    for bits in
        (0..=u32::MAX).step_by(8191).chain([0x8000_0000, 0x7f80_0000, 0x3f35_04f2, 0x3f35_04f3, 0x3fb5_04f3])
    {
        let x = f32::from_bits(bits);
        let (m, e) = S::F32::splat(simd, x).split_power(simd);
        let (m, e) = (first(m), first(e));
        let right = if x.is_nan() || x < 0.0 {
            m.is_nan() || e.is_nan()
        } else if x == 0.0 {
            e == f32::NEG_INFINITY && !m.is_nan()
        } else if x == f32::INFINITY {
            e == x && m == 1.0
        } else {
            (0x3f35_04f3..0x3fb5_04f3).contains(&m.to_bits())
                && f64::from(m) * f64::from(e).exp2() == f64::from(x)
        };
        assert!(right, "{x:e} is not {m:e} * 2^{e:e} at {}", level.name());
    }
}

/// Each operation on the first three blocks of `x`.
fn operations<T: Scalar, S: Simd>(simd: S, level: Level, operands: &[T]) {
    let (blocks, _) = T::blocks(operands);
    let [x, y, z] = blocks else { panic!("three blocks") };
    let [a, b, c] = [x, y, z].map(|x| T::Lanes::<S>::load(simd, x));
    let check = |what: &str, lanes: T::Lanes<S>, scalar: &dyn Fn(T, T, T) -> T| {
        let block = lanes.to_block(simd);
        for ((actual, x), (y, z)) in
            block.as_ref().iter().zip(x.as_ref()).zip(y.as_ref().iter().zip(z.as_ref()))
        {
            let expected = scalar(*x, *y, *z);
            let both_nan = actual.to_f64().is_nan() && expected.to_f64().is_nan();
            let what = || std::format!("{what}({x:e}, {y:e}, {z:e}) at {}", level.name());
            assert!(
                both_nan || actual.bits() == expected.bits(),
                "{} is {actual:e}, not {expected:e}",
                what()
            );
        }
    };
    let or_zero = |keep: bool, x: T| if keep { x } else { T::default() };
    let zero = T::Lanes::<S>::splat(simd, T::default());
    let select = |mask, x| T::Lanes::<S>::select(mask, x, zero);

    check("load and store", a, &|x, _, _| x);
    check("splat", T::Lanes::<S>::splat(simd, x.as_ref()[0]), &|_, _, _| x.as_ref()[0]);
    check("add", a + b, &|x, y, _| x + y);
    check("sub", a - b, &|x, y, _| x - y);
    check("mul", a * b, &|x, y, _| x * y);
    check("div", a / b, &|x, y, _| x / y);
    check("neg", -a, &|x, _, _| -x);
    check("mul_add", a.mul_add(b, c), &|x, y, z| if fuses(level) { x.fused(y, z) } else { x * y + z });
    check("neg_mul_add", a.neg_mul_add(b, c), &|x, y, z| {
        if fuses(level) { (-x).fused(y, z) } else { z - x * y }
    });
    check("sqrt", a.sqrt(), &|x, _, _| x.exact_sqrt());
    check("max", a.max(b), &|x, y, _| if x > y { x } else { y });
    check("min", a.min(b), &|x, y, _| if x < y { x } else { y });
    check("lt", select(a.lt(b), c), &|x, y, z| or_zero(x < y, z));
    check("le", select(a.le(b), c), &|x, y, z| or_zero(x <= y, z));
    check("eq", select(a.eq(b), c), &|x, y, z| or_zero(x == y, z));
    check("le of equals", select(a.le(a), c), &|x, _, z| or_zero(!x.to_f64().is_nan(), z));
    check("eq of equals", select(a.eq(a), c), &|x, _, z| or_zero(!x.to_f64().is_nan(), z));
    check("and", select(a.lt(b) & b.lt(c), c), &|x, y, z| or_zero(x < y && y < z, z));
    check("or", select(a.lt(b) | b.lt(c), c), &|x, y, z| or_zero(x < y || y < z, z));
    check("not", select(!a.lt(b), c), &|x, y, z| or_zero(x.partial_cmp(&y) != Some(Ordering::Less), z));
    check("and_bits", a.and_bits(b), &|x, y, _| T::of_bits(x.bits() & y.bits()));
    check("or_bits", a.or_bits(b), &|x, y, _| T::of_bits(x.bits() | y.bits()));
    check("xor_bits", a.xor_bits(b), &|x, y, _| T::of_bits(x.bits() ^ y.bits()));
    check("add_bits", a.add_bits(b), &|x, y, _| T::of_bits(x.bits().wrapping_add(y.bits())));
    check("sub_bits", a.sub_bits(b), &|x, y, _| T::of_bits(x.bits().wrapping_sub(y.bits())));
    check("shl_bits", a.shl_bits::<7>(), &|x, _, _| T::of_bits(x.bits() << 7));
    check("shr_bits", a.shr_bits::<9>(), &|x, _, _| T::of_bits(x.bits() >> 9));
    check("map_lanes", a.map_lanes(simd, |x| x + x), &|x, _, _| x + x);

    let mut tree = x.as_ref().to_vec();
    while tree.len() > 1 {
        let high = tree.split_off(tree.len() / 2);
        tree = tree.iter().zip(&high).map(|(x, y)| *x + *y).collect();
    }
    let folded = a.fold_lanes(simd, |x, y| x + y);
    assert!(
        folded.bits() == tree[0].bits() || (folded.to_f64().is_nan() && tree[0].to_f64().is_nan()),
        "fold_lanes at {}",
        level.name()
    );

    for n in 0..=T::LANES + 1 {
        let kept = n.min(T::LANES);
        let masked = select(T::Lanes::<S>::first(simd, n), T::Lanes::<S>::splat(simd, T::from(1)));
        let ones = masked.to_block(simd).as_ref().iter().take_while(|x| **x == T::from(1)).count();
        assert_eq!(ones, kept, "first({n}) at {}", level.name());
        let mut padded = T::Block::default();
        padded.as_mut()[..kept].copy_from_slice(&x.as_ref()[..kept]);
        // From and to slices that end where the lanes do: the sanitizer sees what goes beyond.
        let exact: Vec<T> = operands[..n].to_vec();
        let partial = T::Lanes::<S>::load_partial(simd, &exact);
        for (actual, expected) in partial.to_block(simd).as_ref().iter().zip(padded.as_ref()) {
            assert_eq!(actual.bits(), expected.bits(), "load_partial of {n} at {}", level.name());
        }
        let mut stored = std::vec![T::from(7); n];
        a.store_partial(&mut stored);
        for (actual, expected) in stored.iter().zip(x.as_ref()) {
            assert_eq!(actual.bits(), expected.bits(), "store_partial of {n} at {}", level.name());
        }
        assert!(stored[kept..].iter().all(|x| *x == T::from(7)), "store_partial past the lanes");
        if n <= T::LANES {
            few::<T, S, 1>(a, x.as_ref(), n);
        }
        if n <= T::LANES / 2 {
            few::<T, S, 2>(a, x.as_ref(), n);
        }
        if n <= T::LANES / 4 {
            few::<T, S, 4>(a, x.as_ref(), n);
        }
    }
}

/// `store_few` writes the first `n` lanes, and not what comes after.
fn few<T: Scalar, S: Simd, const PARTS: usize>(a: T::Lanes<S>, x: &[T], n: usize) {
    let mut stored = std::vec![T::from(7); n + T::LANES];
    a.store_few::<PARTS>(&mut stored[..n]);
    for (actual, expected) in stored[..n].iter().zip(x) {
        assert_eq!(actual.bits(), expected.bits(), "store_few of {n} in {PARTS} parts");
    }
    assert!(stored[n..].iter().all(|x| *x == T::from(7)), "store_few past {n} in {PARTS} parts");
}

fn every_operation<T: Scalar>(operands: &[T]) {
    for level in levels() {
        dispatch!(level, simd => operations::<T, _>(simd, level, operands));
    }
}

proptest! {
    #[test]
    fn lanes_are_scalars_side_by_side(x in special_slice::<f32>(48), y in special_slice::<f64>(24)) {
        every_operation(&x);
        every_operation(&y);
    }
}

#[test]
fn powers_are_exact() {
    for level in levels() {
        crate::simd::dispatch!(level, simd => powers(simd, level));
    }
}

/// Small integers: every sum of them is exact, in whatever order.
fn integers<T: Element>(n: usize, salt: usize) -> Vec<T> {
    (0..n).map(|i| T::from(((i * 7 + salt) % 11) as u8)).collect()
}

/// Maps and folds of `n` elements; 0 in a tail's missing lanes must not show.
fn maps_and_folds<T: Element, S: Simd>(simd: S, level: Level, n: usize) {
    let what = std::format!("{n} elements at {}", level.name());
    let (x, y) = (integers::<T>(n, 1), integers::<T>(n, 5));
    let [zero, one] = [0, 1].map(|x| T::Lanes::<S>::splat(simd, T::from(x)));

    let mut z = integers::<T>(n, 3);
    let expected: Vec<T> = x.iter().zip(&y).zip(&z).map(|((x, y), z)| *x * *y + *z).collect();
    map(simd, [&x, &y], [&mut z[..]], |[x, y], [z]| [x * y + z]);
    assert!(z == expected, "map of {what}");

    let (mut first, mut second) = (y.clone(), x.clone());
    // Each missing lane would add 1.
    let [sum, count] = map_sum(simd, [&x], [&mut first[..], &mut second[..]], |[x], [a, b], [s, c]| {
        ([b, a], [s + x, c + one])
    });
    assert!(first == x && second == y, "map of two outputs of {what}");
    let exact: f64 = x.iter().map(|x| x.to_f64()).sum();
    assert_eq!((sum, count), (exact, n as f64), "map_sum of {what}");

    let [count, doubles] =
        fold(simd, [&x, &y], zero, |[count, doubles], _| [count + one, doubles + one + one], |a, b| a + b);
    assert_eq!(count.fold_lanes(simd, |a, b| a + b).to_f64(), n as f64, "fold of {what}");
    assert_eq!(doubles.fold_lanes(simd, |a, b| a + b).to_f64(), 2.0 * n as f64, "a second fold of {what}");
    let dot: f64 = x.iter().zip(&y).map(|(x, y)| (*x * *y).to_f64()).sum();
    assert_eq!(fold_sum(simd, [&x, &y], |sum, [x, y]| sum + x * y), dot, "fold_sum of {what}");
    let sums = fold_sums(simd, [&x, &y], |[sum, dot], [x, y]| [sum + x, dot + x * y]);
    assert_eq!(sums, [exact, dot], "fold_sums of {what}");
}

#[test]
fn maps_and_folds_take_every_element_once() {
    let chunk = CHUNK * 16;
    for n in (0..150).chain([chunk - 1, chunk, chunk + 1, 3 * chunk + 17]) {
        for level in levels() {
            dispatch!(level, simd => maps_and_folds::<f32, _>(simd, level, n));
            dispatch!(level, simd => maps_and_folds::<f64, _>(simd, level, n));
        }
    }
}
