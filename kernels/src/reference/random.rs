//! Oracle of the normal values.

/// The two standard normal values of a word: Box & Muller's, `u` from its upper half, the angle from its lower one.
#[must_use]
pub fn normal_pair(word: u64) -> [f64; 2] {
    const TWO_TO_32: f64 = 4_294_967_296.0;
    let (k, a) = ((word >> 32) as f64 + 0.5, (word & 0xffff_ffff) as f64 + 0.5);
    // From the nearer of 0 and 1, and from the nearest quarter turn, both exact.
    let ln =
        if k < TWO_TO_32 / 2.0 { libm::log(k / TWO_TO_32) } else { libm::log1p((k - TWO_TO_32) / TWO_TO_32) };
    let quarter = libm::round(4.0 * a / TWO_TO_32);
    let rest = (a - quarter * TWO_TO_32 / 4.0) / TWO_TO_32 * core::f64::consts::TAU;
    let (cos, sin) = (libm::cos(rest), libm::sin(rest));
    let [cos, sin] = match quarter as u8 % 4 {
        0 => [cos, sin],
        1 => [-sin, cos],
        2 => [-cos, -sin],
        _ => [sin, -cos],
    };
    let radius = libm::sqrt(-2.0 * ln);
    [radius * cos, radius * sin]
}
