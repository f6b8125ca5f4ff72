//! Proptest strategies: values with all that floating point has, slices of them.

use proptest::collection::vec;
use proptest::prelude::*;
use std::vec::Vec;

use crate::Element;

/// Any value of `T`: mostly of moderate size, sometimes zero (of either sign), subnormal or large, but so that products of
/// three stay finite. See [`special`] for the others.
pub fn value<T: Element>() -> impl Strategy<Value = T> {
    let (tiny, huge) = if T::LANES == 16 { (1e-40, 1e10) } else { (1e-310, 1e60) };
    prop_oneof![
        12 => -4.0..4.0f64,
        2 => (-1.0..1.0f64).prop_map(|x| x * 1e4),
        1 => prop_oneof![Just(0.0), Just(-0.0), Just(1.0), Just(-1.0)],
        1 => (-1.0..1.0f64).prop_map(move |x| x * tiny),
        1 => (-1.0..1.0f64).prop_map(|x| x * 1e-6),
        1 => (-1.0..1.0f64).prop_map(move |x| x * huge),
    ]
    .prop_map(T::from_f64)
}

/// As [`value`], and NaN, the infinities and the largest magnitudes.
pub fn special<T: Element>() -> impl Strategy<Value = T> {
    let huge = if T::LANES == 16 { f64::from(f32::MAX) } else { f64::MAX };
    prop_oneof![
        8 => value::<T>(),
        1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY), Just(huge), Just(-huge)]
            .prop_map(T::from_f64),
    ]
}

/// `n` of [`value`].
pub fn slice<T: Element>(n: usize) -> impl Strategy<Value = Vec<T>> {
    vec(value::<T>(), n)
}

/// `n` of [`special`].
pub fn special_slice<T: Element>(n: usize) -> impl Strategy<Value = Vec<T>> {
    vec(special::<T>(), n)
}
