//! Proptest strategies: values with all that floating point has, slices of them.

use proptest::collection::vec;
use proptest::prelude::*;
use std::vec::Vec;

use crate::{Channels, Element};

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

/// Shapes of channels around the boundaries of blocks, groups of rows, panels and chunks: at least two values a channel.
pub fn channels() -> impl Strategy<Value = Channels> {
    let few = prop_oneof![1usize..20, Just(24), Just(32), Just(33)];
    let many = prop_oneof![20usize..70, 250usize..270, 500usize..530];
    prop_oneof![
        3 => (2usize..40, many).prop_map(|(n, d)| Channels::last(n, d)),
        3 => (2usize..600, few.clone()).prop_map(|(n, d)| Channels::last(n, d)),
        1 => (510usize..1100, few).prop_map(|(n, d)| Channels::last(n, d)),
        3 => (1usize..12, 1usize..6, 2usize..300).prop_map(|(n, c, s)| Channels::first(n, c, s)),
        1 => (1usize..3, 1usize..3, 8000usize..9000).prop_map(|(n, c, s)| Channels::first(n, c, s)),
        1 => (60usize..200, 1usize..4, 1usize..20).prop_map(|(n, c, s)| Channels::first(n, c, s)),
    ]
}
