//! [`map_wide`]: functions that are chains of many instructions, several blocks at a time.

use super::{Arithmetic, Lanes, Simd};
use crate::Element;

/// How lanes lie in a slice.
#[allow(unreachable_pub, reason = "sealed: it stands in the bounds of a public trait")]
pub trait Blocks: Arithmetic {
    /// The blocks of `x`, without what is left over.
    fn blocks(x: &[Self::Scalar]) -> &[Self::Block];
    /// The blocks of `x`, without what is left over.
    fn blocks_mut(x: &mut [Self::Scalar]) -> &mut [Self::Block];
}

impl<L: Lanes<Scalar: Element<Block = L::Block>>> Blocks for L {
    #[inline(always)]
    fn blocks(x: &[L::Scalar]) -> &[L::Block] {
        L::Scalar::blocks(x).0
    }
    #[inline(always)]
    fn blocks_mut(x: &mut [L::Scalar]) -> &mut [L::Block] {
        L::Scalar::blocks_mut(x).0
    }
}

/// A function of lanes, however many there are.
pub(crate) trait Elementwise<T: Element, const IN: usize> {
    /// `f(x.., y)`
    fn lanes<A: Arithmetic<Scalar = T>>(&self, simd: A::Simd, x: [A; IN], y: A) -> A;
}

/// `y[..] = f(x[..], y[..])`, element by element, over `IN` inputs of the output's length, which the caller has checked.
///
/// In a block at the end that is not whole, `f` sees 0 in the missing lanes, and what it returns there is dropped.
#[inline(always)]
pub(crate) fn map_wide<T: Element, S: Simd, const IN: usize>(
    simd: S,
    x: [&[T]; IN],
    y: &mut [T],
    f: impl Elementwise<T, IN>,
) {
    let blocks = T::Wide::<S>::blocks_mut(y);
    let mut inputs: [&[<T::Wide<S> as Arithmetic>::Block]; IN] = [&[]; IN];
    for (input, x) in inputs.iter_mut().zip(x) {
        // One length that the optimiser knows: a single check leaves the loop.
        let Some(whole) = T::Wide::<S>::blocks(x).get(..blocks.len()) else { return };
        *input = whole;
    }
    let zero = T::Wide::<S>::splat(simd, T::default());
    for i in 0..blocks.len() {
        let mut xs = [zero; IN];
        for (x, input) in xs.iter_mut().zip(&inputs) {
            let Some(block) = input.get(i) else { return };
            *x = T::Wide::<S>::load(simd, block);
        }
        let Some(block) = blocks.get_mut(i) else { return };
        f.lanes(simd, xs, T::Wide::<S>::load(simd, block)).store(block);
    }
    // What is left over goes as parts of blocks, whole ones among them: the code of the function stands here twice, not three times.
    let mut start = size_of_val(blocks) / size_of::<T>();
    while let Some(rest) = y.get_mut(start..)
        && !rest.is_empty()
    {
        let end = start + rest.len().min(T::LANES);
        let mut xs = [T::Lanes::<S>::splat(simd, T::default()); IN];
        for (lanes, x) in xs.iter_mut().zip(x) {
            let Some(part) = x.get(start..end) else { return };
            *lanes = T::Lanes::<S>::load_partial(simd, part);
        }
        let Some(part) = rest.get_mut(..end - start) else { return };
        let part_of_y = T::Lanes::<S>::load_partial(simd, part);
        f.lanes(simd, xs, part_of_y).store_partial(part);
        start = end;
    }
}
