//! What goes into the network and comes through its layers, and how fast the weights move.

use super::Verdict;
use crate::error::expect_len;
use crate::kernels::{Activation, ShapeError, mean, variance};
use crate::monitor::{ActivationStatistics, statistics};
use crate::{Element, Error, Layer, Level, Network, Parallel, Role};

/// The inputs of a network over rows and features.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InputStatistics {
    /// The mean of all values.
    pub mean: f64,
    /// The standard deviation of all values.
    pub std: f64,
    /// The mean of the feature that is furthest from 0.
    pub largest_mean: f64,
    /// The standard deviation of the feature that varies most.
    pub largest_std: f64,
}

impl InputStatistics {
    /// Zero-centred, `|mean| <= 1` for every feature and `<= std / 2` over all, with a standard deviation between 0.05 and 5 (of the
    /// feature that varies most, too): it passes. Otherwise it warns: a network may be built for it.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.is_centred() && self.is_scaled() { Verdict::Pass } else { Verdict::Warn }
    }

    /// Whether the means are near 0.
    #[must_use]
    pub fn is_centred(&self) -> bool {
        self.mean.abs() <= 0.5 * self.std && self.largest_mean.abs() <= self.largest_std.max(1.0)
    }

    /// Whether the standard deviations are near 1.
    #[must_use]
    pub fn is_scaled(&self) -> bool {
        (0.05..=5.0).contains(&self.std) && (0.05..=5.0).contains(&self.largest_std)
    }
}

/// The statistics of rows of inputs, `inputs: (rows, features)`.
///
/// ```
/// use slicewise::check::{Verdict, inputs};
/// use slicewise::Level;
///
/// let pixels = [0.0f32, 255.0, 10.0, 200.0];
/// assert_eq!(inputs(Level::detect(), 2, &pixels)?.verdict(), Verdict::Warn);
/// # Ok::<(), slicewise::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] where there are no inputs, or they are no whole rows.
pub fn inputs<T: Element>(level: Level, features: usize, inputs: &[T]) -> Result<InputStatistics, Error> {
    let rows = inputs.len().checked_div(features).unwrap_or(0);
    expect_len("inputs", rows * features, inputs.len())?;
    if rows == 0 {
        return Err(ShapeError { argument: "inputs", expected: features.max(1), actual: 0 }.into());
    }
    let (mut largest_mean, mut largest_variance) = (0.0f64, 0.0f64);
    for feature in 0..features {
        let values = || inputs.iter().skip(feature).step_by(features.max(1)).map(|x| x.to_f64());
        let mean = values().sum::<f64>() / count(rows);
        let variance = values().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count(rows);
        if mean.abs() > largest_mean.abs() {
            largest_mean = mean;
        }
        largest_variance = largest_variance.max(variance);
    }
    Ok(InputStatistics {
        mean: mean(level, inputs).to_f64(),
        std: Element::sqrt(variance(level, inputs)).to_f64(),
        largest_mean,
        largest_std: Element::sqrt(largest_variance),
    })
}

/// What comes through the hidden layers in a step.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Signal {
    /// The hidden layers: nonlinearities and maxout.
    pub layers: usize,
    /// The standard deviation of what comes out of the first.
    pub first_std: f64,
    /// That of the last.
    pub last_std: f64,
    /// The largest share of dead units in a layer, and which.
    pub dead: (f64, usize),
    /// The largest share of saturated values in a layer, and which.
    pub saturated: (f64, usize),
    /// Whether every standard deviation is a number.
    pub finite: bool,
}

impl Signal {
    /// `last_std / first_std`: whether the signal vanishes or explodes on its way. 1 where nothing comes at all.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        if self.first_std > 0.0 { self.last_std / self.first_std } else { 1.0 }
    }

    /// A standard deviation that falls or grows by a factor of 10 warns, by 100 it fails; so do a fifth and a half of dead
    /// units, a third and two thirds of saturated values in a layer. No spread at all fails.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let (ratio, dead, saturated) = (self.ratio(), self.dead.0, self.saturated.0);
        if self.layers == 0 {
            return Verdict::Pass;
        }
        let nothing = !self.finite || self.first_std <= 0.0;
        if nothing || !(0.01..=100.0).contains(&ratio) || dead > 0.5 || saturated > 2.0 / 3.0 {
            Verdict::Fail
        } else if !(0.1..=10.0).contains(&ratio) || dead > 0.2 || saturated > 1.0 / 3.0 {
            Verdict::Warn
        } else {
            Verdict::Pass
        }
    }
}

/// What came through the hidden layers for the first `rows` rows of the last forward pass in training. `each` sees every layer's place
/// and statistics.
///
/// ```
/// use rand_pcg::Pcg64;
/// use slicewise::check::{Verdict, signal};
/// use slicewise::{Init, Layer, Level, Network, arena_len};
///
/// const NET: &[Layer] = &[Layer::dense(2, 64), Layer::relu(), Layer::dense(64, 64), Layer::relu(), Layer::dense(64, 2)];
/// let mut arena = [0.0f32; arena_len(NET, 4)];
/// let mut net = Network::bind(NET, 4, Level::detect(), &mut arena)?;
/// let (inputs, labels) = ([0.1, 0.2, 0.3, -0.4, -0.5, 0.6, -0.7, -0.8], [0, 1, 1, 0]);
/// net.initialise(Init::Normal(1e-4), &mut Pcg64::new(1, 1))?;
/// net.loss(&inputs, &labels)?;
/// assert_eq!(signal(&net, 4, |_, _| ())?.verdict(), Verdict::Fail); // it vanishes
/// # Ok::<(), slicewise::Error>(())
/// ```
///
/// # Errors
/// [`Error::InferenceOnly`]; [`Error::Shape`] where there are no rows or more than the batch.
pub fn signal<T: Element>(
    net: &Network<'_, T, impl Parallel>,
    rows: usize,
    mut each: impl FnMut(usize, &ActivationStatistics),
) -> Result<Signal, Error> {
    let mut signal = Signal { finite: true, ..Signal::default() };
    for (index, layer) in net.layers().iter().enumerate() {
        let activation = match layer {
            Layer::Activation(activation) => *activation,
            Layer::Maxout { .. } => Activation::Identity,
            _ => continue,
        };
        if rows == 0 || rows > net.batch() {
            return Err(ShapeError { argument: "rows", expected: net.batch(), actual: rows }.into());
        }
        let outputs = net.outputs(index, rows).ok_or(Error::InferenceOnly)?;
        let units = outputs.len().checked_div(rows).unwrap_or(0);
        let layer = statistics(net.level(), activation, units, outputs)?;
        if signal.layers == 0 {
            signal.first_std = layer.std;
        }
        signal.layers += 1;
        signal.last_std = layer.std;
        signal.finite &= layer.std.is_finite();
        if layer.dead_fraction > signal.dead.0 {
            signal.dead = (layer.dead_fraction, index);
        }
        if layer.saturated_fraction > signal.saturated.0 {
            signal.saturated = (layer.saturated_fraction, index);
        }
        each(index, &layer);
    }
    Ok(signal)
}

/// The first dense layer before another whose units all have the same weights: they compute the same and learn the
/// same, and symmetry is never broken. `None` where there is none.
///
/// ```
/// use slicewise::check::equal_units;
/// use slicewise::{Layer, Level, Network, arena_len};
///
/// const NET: &[Layer] = &[Layer::dense(2, 8), Layer::relu(), Layer::dense(8, 2)];
/// let mut arena = [0.0f32; arena_len(NET, 1)];
/// let net = Network::bind(NET, 1, Level::detect(), &mut arena)?;
/// assert_eq!(equal_units(&net), Some(0)); // all weights are 0 until they are drawn
/// # Ok::<(), slicewise::Error>(())
/// ```
#[must_use]
pub fn equal_units<T: Element>(net: &Network<'_, T, impl Parallel>) -> Option<usize> {
    let last = net.layers().iter().rposition(|layer| matches!(layer, Layer::Dense { .. }))?;
    (0..last).find(|index| {
        let outputs = match net.layers().get(*index) {
            Some(Layer::Dense { outputs, .. }) if *outputs > 1 => *outputs,
            _ => return false,
        };
        let weight = net.tensor(*index, Role::Weight).unwrap_or_default();
        weight
            .chunks_exact(outputs.max(1))
            .all(|row| row.first().is_none_or(|first| row.iter().all(|w| w == first)))
    })
}

/// Where updates are about a thousandth of the weights: from a tenth of that to thirty times.
pub const UPDATE_RATIO: (f64, f64) = (1e-4, 3e-2);

/// Adds each layer's `||update|| / ||W||` of the last step, of its weights, to its element of `sums`; 0 for layers without
/// weights. Divided by the steps, they are means.
///
/// # Errors
/// [`Error::Shape`] where `sums` is not as long as there are layers.
pub fn add_update_ratios<T: Element>(
    net: &Network<'_, T, impl Parallel>,
    sums: &mut [f64],
) -> Result<(), Error> {
    expect_len("sums", net.layers().len(), sums.len())?;
    for (layer, sum) in sums.iter_mut().enumerate() {
        *sum += net.update_ratio(layer, Role::Weight).unwrap_or(0.0);
    }
    Ok(())
}

/// What a mean `||update|| / ||W||` after warm-up says: it passes within [`UPDATE_RATIO`], and fails a factor of 30 further out, or where
/// it is no number. (CS231n, "Ratio of weights:updates".)
///
/// ```
/// use slicewise::check::{Verdict, judge_update_ratio};
///
/// assert_eq!(judge_update_ratio(1e-3), Verdict::Pass);
/// assert_eq!(judge_update_ratio(1e-5), Verdict::Warn);
/// assert_eq!(judge_update_ratio(1e-7), Verdict::Fail);
/// ```
#[must_use]
pub fn judge_update_ratio(ratio: f64) -> Verdict {
    let (low, high) = UPDATE_RATIO;
    match ratio {
        ratio if (low..=high).contains(&ratio) => Verdict::Pass,
        ratio if (low / 30.0..=high * 30.0).contains(&ratio) => Verdict::Warn,
        _ => Verdict::Fail,
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn count(n: usize) -> f64 {
    n as f64
}
