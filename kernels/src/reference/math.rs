//! The functions of the lanes, in `f64`.

/// `1 / (1 + e^-x)`, accurate in both tails.
#[must_use]
pub fn sigmoid(x: f64) -> f64 {
    let e = libm::exp(-x.abs());
    (if x < 0.0 { e } else { 1.0 }) / (1.0 + e)
}
