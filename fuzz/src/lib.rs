//! What the targets share: shapes and operands out of libFuzzer's bytes.

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use slicewise_kernels::Element;

/// A length up to `most`: mostly a small one, about the boundaries of blocks.
///
/// # Errors
/// Where the bytes are used up.
pub fn length(bytes: &mut Unstructured<'_>, most: usize) -> Result<usize> {
    let small = bytes.ratio(3u8, 4u8)?;
    bytes.int_in_range(0..=if small { most.min(70) } else { most })
}

/// Operands from a few bytes, repeated without a period that a block could hide: shapes are what is searched, and
/// long slices must not need long inputs.
pub struct Values {
    pattern: Vec<u8>,
    special: bool,
    drawn: usize,
}

impl Values {
    /// Draws the pattern. `special`: NaN, the infinities and the extremes of magnitude come too.
    ///
    /// # Errors
    /// Where the bytes are used up.
    pub fn new(bytes: &mut Unstructured<'_>) -> Result<Self> {
        let special = bytes.ratio(1u8, 2u8)?;
        let pattern = bytes.bytes(bytes.len().clamp(1, 29))?.to_vec();
        Ok(Self { pattern, special, drawn: 0 })
    }

    /// Multiples of 1/16 below 8 in magnitude, and the special values.
    fn value<T: Element>(&mut self) -> T {
        let n = self.pattern.len();
        let byte = self.pattern[(self.drawn + self.drawn / n) % n].wrapping_add((self.drawn / n) as u8);
        self.drawn += 1;
        let (tiny, huge) = if T::LANES == 16 { (1e-40, f64::from(f32::MAX)) } else { (1e-310, f64::MAX) };
        T::from_f64(match byte {
            0x80 if self.special => f64::NAN,
            0x81 if self.special => f64::INFINITY,
            0x82 if self.special => f64::NEG_INFINITY,
            0x83 if self.special => huge,
            0x84 if self.special => -huge,
            0x85 if self.special => tiny,
            0x86 => -0.0,
            _ => f64::from(byte.cast_signed()) / 16.0,
        })
    }

    /// `n` elements in an allocation of exactly their size: the address sanitizer sees one read or write beside them.
    pub fn slice<T: Element>(&mut self, n: usize) -> Box<[T]> {
        (0..n).map(|_| self.value()).collect()
    }
}

/// A generator of random numbers from one seed (SplitMix64, Steele et al. 2014).
#[derive(Clone)]
pub struct Generator(pub u64);

impl rand_core::TryRng for Generator {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> std::result::Result<u32, Self::Error> {
        Ok((self.try_next_u64()? >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> std::result::Result<u64, Self::Error> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(z ^ (z >> 31))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> std::result::Result<(), Self::Error> {
        for chunk in bytes.chunks_mut(8) {
            let word = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        Ok(())
    }
}
