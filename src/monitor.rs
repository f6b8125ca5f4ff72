//! What a network in training shows of itself: the statistics of what comes out of a layer.
//!
//! A step leaves every layer's outputs in the arena for its backward pass; [`Network::outputs`](crate::Network::outputs) lends them, and
//! looking at them now and then (once an epoch) costs next to nothing.
//!
//! ```
//! use rand_pcg::Pcg64;
//! use slicewise::monitor::statistics;
//! use slicewise::{Activation, Init, Layer, Level, Network, arena_len};
//!
//! const NET: &[Layer] = &[Layer::dense(2, 8), Layer::tanh(), Layer::dense(8, 2)];
//! let mut arena = [0.0f32; arena_len(NET, 4)];
//! let mut net = Network::bind(NET, 4, Level::detect(), &mut arena)?;
//! net.initialise(Init::Normal(100.0), &mut Pcg64::new(1, 1))?;
//! net.gradients(&[0.1, 0.2, 0.3, -0.4, -0.5, 0.6, -0.7, -0.8], &[0, 1, 1, 0])?;
//! let outputs = net.outputs(1, 4).unwrap_or_default();
//! let tanh = statistics(net.level(), Activation::Tanh, 8, outputs)?;
//! assert!(tanh.saturated_fraction > 0.8); // weights as large as these drive tanh into its limits
//! # Ok::<(), slicewise::Error>(())
//! ```

use crate::Error;
use crate::error::expect_len;
use crate::kernels::{Activation, Element, Level, ShapeError, mean, variance};

/// Below this share of its largest derivative a function counts as saturated: beyond ±2.2 for tanh.
pub const SATURATED_BELOW: f64 = 0.05;

/// What came out of a layer, over all units and rows.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct ActivationStatistics {
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub std: f64,
    /// The share of values that are 0.
    pub zero_fraction: f64,
    /// The share of values where the derivative is below [`SATURATED_BELOW`] of its largest: of tanh, the sigmoid, their hard
    /// forms, ELU and SELU; 0 for others.
    pub saturated_fraction: f64,
    /// The share of units that give 0 to every row: nothing comes back through them, and they do not learn.
    pub dead_fraction: f64,
}

/// The statistics of `outputs: (rows, units)` of `activation`.
///
/// # Errors
/// [`Error::Shape`] where there are no outputs, or they are no whole rows.
pub fn statistics<T: Element>(
    level: Level,
    activation: Activation,
    units: usize,
    outputs: &[T],
) -> Result<ActivationStatistics, Error> {
    let rows = outputs.len().checked_div(units).unwrap_or(0);
    expect_len("outputs", rows * units, outputs.len())?;
    if rows == 0 {
        return Err(ShapeError { argument: "outputs", expected: units.max(1), actual: 0 }.into());
    }
    let (mut zeros, mut saturated) = (0usize, 0usize);
    for y in outputs {
        zeros += usize::from(*y == T::default());
        saturated += usize::from(is_saturated(activation, y.to_f64()));
    }
    let dead = (0..units).filter(|unit| column(outputs, units, *unit).all(|y| *y == T::default())).count();
    let (mean, std) = mean_and_std(level, outputs);
    Ok(ActivationStatistics {
        mean,
        std,
        zero_fraction: share(zeros, outputs.len()),
        saturated_fraction: share(saturated, outputs.len()),
        dead_fraction: share(dead, units),
    })
}

/// The mean and the standard deviation of values, of gradients too. Where squares leave the range of `T`, as those of values below 1e-19
/// in `f32`, they are summed in `f64`: a spread that vanishes or explodes is still measured.
pub fn mean_and_std<T: Element>(level: Level, values: &[T]) -> (f64, f64) {
    let variance = variance(level, values).to_f64();
    if (1e-30..1e30).contains(&variance) {
        return (mean(level, values).to_f64(), Element::sqrt(variance));
    }
    #[expect(clippy::cast_precision_loss, reason = "a mean, rounded")]
    let n = values.len() as f64;
    let mean = values.iter().map(|x| x.to_f64()).sum::<f64>() / n;
    let squares: f64 = values.iter().map(|x| (x.to_f64() - mean) * (x.to_f64() - mean)).sum();
    (mean, Element::sqrt(squares / n))
}

/// What one unit gave to each row.
fn column<T>(outputs: &[T], units: usize, unit: usize) -> impl Iterator<Item = &T> {
    outputs.get(unit..).unwrap_or_default().iter().step_by(units.max(1))
}

/// Whether the derivative at an output is below its share. NaN is not.
pub(crate) fn is_saturated(activation: Activation, y: f64) -> bool {
    match activation {
        Activation::Tanh | Activation::TanhFast => 1.0 - y * y < SATURATED_BELOW,
        Activation::Sigmoid | Activation::SigmoidFast => 4.0 * y * (1.0 - y) < SATURATED_BELOW,
        Activation::Elu { alpha } => y + alpha < SATURATED_BELOW * alpha,
        Activation::Selu => {
            is_saturated(Activation::Elu { alpha: Activation::SELU_ALPHA }, y / Activation::SELU_SCALE)
        }
        Activation::HardTanh => y <= -1.0 || y >= 1.0,
        Activation::HardSigmoid => y <= 0.0 || y >= 1.0,
        _ => false,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share, rounded")]
fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_share_is_counted() {
        // Three units, two rows: the first unit is dead.
        let outputs = [0.0f32, 3.0, 0.0, 0.0, 0.0, 1.0];
        let relu = statistics(Level::Portable, Activation::Relu, 3, &outputs).unwrap();
        assert_eq!((relu.zero_fraction, relu.dead_fraction), (4.0 / 6.0, 1.0 / 3.0));
        assert_eq!(relu.saturated_fraction, 0.0);
        let mean = 4.0 / 6.0;
        assert!((relu.mean - mean).abs() < 1e-6);
        assert!((relu.std - (10.0f64 / 6.0 - mean * mean).sqrt()).abs() < 1e-6);
    }

    #[test]
    fn saturation_begins_where_the_derivative_is_a_twentieth() {
        let at = |activation, y: f64| {
            statistics(Level::Portable, activation, 1, &[y]).unwrap().saturated_fraction == 1.0
        };
        let edge = 0.95f64.sqrt();
        for sign in [-1.0, 1.0] {
            assert!(
                !at(Activation::Tanh, sign * (edge - 1e-9)) && at(Activation::Tanh, sign * (edge + 1e-9))
            );
            let sigmoid = |tanh: f64| 0.5 + 0.5 * tanh;
            assert!(!at(Activation::Sigmoid, sigmoid(sign * (edge - 1e-9))));
            assert!(at(Activation::Sigmoid, sigmoid(sign * (edge + 1e-9))));
        }
        let elu = Activation::Elu { alpha: 2.0 };
        assert!(at(elu, -1.91) && !at(elu, -1.89) && !at(elu, 100.0));
        // -1.758 at most.
        assert!(at(Activation::Selu, -1.68) && !at(Activation::Selu, -1.66) && !at(Activation::Selu, 100.0));
        assert!(at(Activation::HardTanh, 1.0) && !at(Activation::HardTanh, 0.99));
        assert!(at(Activation::HardSigmoid, 0.0) && !at(Activation::HardSigmoid, 0.01));
        assert!(!at(Activation::Tanh, f64::NAN));
    }

    #[test]
    fn a_spread_is_measured_where_its_square_is_not() {
        for scale in [1e-25f32, 1e-10, 1.0, 1e25] {
            let (mean, std) = mean_and_std(Level::Portable, &[-scale, scale, 3.0 * scale]);
            let scale = f64::from(scale);
            assert!((mean / scale - 1.0).abs() < 1e-6, "{scale}: {mean}");
            assert!((std / scale - (8.0f64 / 3.0).sqrt()).abs() < 1e-6, "{scale}: {std}");
        }
        assert_eq!(mean_and_std(Level::Portable, &[0.0f32; 3]), (0.0, 0.0));
        assert!(!mean_and_std(Level::Portable, &[f32::INFINITY, 1.0]).1.is_finite());
    }

    #[test]
    fn rows_must_be_whole() {
        assert!(statistics(Level::Portable, Activation::Tanh, 2, &[0.0f32; 3]).is_err());
        assert!(statistics(Level::Portable, Activation::Tanh, 2, &[0.0f32; 0]).is_err());
        assert!(statistics(Level::Portable, Activation::Tanh, 0, &[0.0f32; 2]).is_err());
    }
}
