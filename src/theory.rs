//! What an infinitely wide network does at its first weights: the mean-field theory of initialisation.
//!
//! With weights of variance `sigma_w^2 = Var[W]` and biases of 0, what comes to the nonlinearity `f` of a wide layer is
//! normal with mean 0, by the central limit theorem, and its variance follows from layer to layer (Poole et al. 2016,
//! "Exponential expressivity in deep neural networks through transient chaos"):
//!
//! ```text
//! q_l = sigma_w^2 * inputs * E[x_{l-1}^2]        x_l = f(sqrt(q_l) z), z standard normal
//! ```
//!
//! Backward, a gradient that knows nothing of the weights (Schoenholz et al. 2017, "Deep information propagation"; for ReLU
//! and tanh near 0 He et al. 2015 and Glorot and Bengio 2010):
//!
//! ```text
//! g_{l-1}^2 = sigma_w^2 * outputs * E[f'(sqrt(q_l) z)^2] * g_l^2
//! ```
//!
//! Batch norm between the two makes `q_l = v / (v + epsilon)` with the variance over the batch,
//! `v = sigma_w^2 * inputs * (E[x_{l-1}^2] - E[x_{l-1}]^2)`, and divides `g_{l-1}^2` by `v + epsilon`: with ReLU gradients grow
//! by `pi / (pi - 1)` a layer (Yang et al. 2019, "A mean field theory of batch normalization").
//!
//! The expectations are integrals over `z`, computed with the very kernels that the network runs on, so that every
//! nonlinearity is covered; a maxout of `k` pieces weighs `z` by the density of the largest of `k`.
//!
//! ```
//! use slicewise::theory::{Signal, hidden_layers};
//! use slicewise::{Init, Layer};
//!
//! // CS231n: with a standard deviation of 0.01 ten layers of tanh give nothing but zeros.
//! const NET: &[Layer] = &[Layer::dense(500, 500), Layer::tanh(), Layer::dense(500, 500), Layer::tanh()];
//! let mut layers = hidden_layers(NET, Init::Normal(0.01), Signal::STANDARD);
//! let first = layers.next().ok_or(slicewise::Error::NoWidth)??;
//! let second = layers.next().ok_or(slicewise::Error::NoWidth)??;
//! assert!((first.std - 0.2136).abs() < 1e-3 && (second.std - 0.0477).abs() < 1e-3);
//! assert_eq!(second.layer, 3); // what `Network::outputs(3, …)` gives
//! # Ok::<(), slicewise::Error>(())
//! ```

use crate::init::Init;
use crate::kernels::{Activation, Element, Level, activate, activation_backward_from_input};
use crate::monitor::is_saturated;
use crate::{Error, Layer};

/// The values that come to a layer, over features and rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Signal {
    /// `E[x]`.
    pub mean: f64,
    /// `E[x^2]`.
    pub second_moment: f64,
}

impl Signal {
    /// Inputs that are standard normal.
    pub const STANDARD: Self = Self { mean: 0.0, second_moment: 1.0 };
}

/// What comes out of a hidden layer at infinite width, over units and rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// The place in the network of the layer whose outputs these are: the nonlinearity, or what ends in its place.
    pub layer: usize,
    /// The standard deviation of what the nonlinearity is applied to, `sqrt(q)`.
    pub preactivation_std: f64,
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub std: f64,
    /// The share of values that are 0.
    pub zero_fraction: f64,
    /// The share of values that are saturated, as [`monitor`](crate::monitor) has it.
    pub saturated_fraction: f64,
    /// The standard deviation of the gradient by the outputs of the hidden layer before this one, for each unit of that by
    /// this one's outputs; of the first layer, of the gradient by the inputs.
    pub gradient_gain: f64,
}

/// The hidden layers of `net`, from the first, with weights that [`Network::initialise`](crate::Network::initialise) would draw.
///
/// A hidden layer is dense, then perhaps batch norm, a nonlinearity (an activation or maxout) and dropout, in this order; it ends at
/// the next dense layer. What is dropped does not count in [`Expected`], but the layers that follow see it. Where
/// some layers have batch norm and others do not, a gradient through batch norm is a little larger than the theory says, for
/// the rows that come to it are no longer independent.
pub fn hidden_layers(net: &[Layer], init: Init, inputs: Signal) -> HiddenLayers<'_> {
    HiddenLayers { rest: net, at: 0, init, signal: inputs, kept: 1.0 }
}

/// The iterator of [`hidden_layers`]. It ends after an error.
#[derive(Clone, Copy, Debug)]
pub struct HiddenLayers<'a> {
    rest: &'a [Layer],
    /// The place of `rest` in the network.
    at: usize,
    init: Init,
    signal: Signal,
    /// The probability that dropout kept what comes in.
    kept: f64,
}

impl Iterator for HiddenLayers<'_> {
    /// [`Error::Parameter`] where the layers stand in another order, [`Error::Value`] where [`Init::Normal`] has a negative or infinite
    /// standard deviation, or NaN.
    type Item = Result<Expected, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let expected = self.advance();
        if expected.is_err() {
            self.rest = &[];
        }
        Some(expected)
    }
}

impl HiddenLayers<'_> {
    #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
    fn advance(&mut self) -> Result<Expected, Error> {
        let start = self.at;
        let refused = |index| Error::Parameter {
            index,
            wanted: "the theory covers dense, batch norm, nonlinearity and dropout, in this order",
        };
        let Some(Layer::Dense { inputs, outputs }) = self.take(|layer| matches!(layer, Layer::Dense { .. }))
        else {
            return Err(refused(start));
        };
        let init = self.init.before(self.rest);
        let variance = init.std(inputs, outputs)?;
        let (inputs, outputs) = (inputs as f64, outputs as f64);
        let variance = variance * variance;
        let Signal { mean, second_moment } = self.signal;
        let (mut q, mut gain) = (variance * inputs * second_moment, variance * outputs / self.kept);
        if let Some(Layer::BatchNorm { config, .. }) =
            self.take(|layer| matches!(layer, Layer::BatchNorm { .. }))
        {
            let batch = variance * inputs * (second_moment - mean * mean);
            q = batch / (batch + config.epsilon);
            gain /= batch + config.epsilon;
        }
        let nonlinearity = self.take(|layer| matches!(layer, Layer::Activation(_) | Layer::Maxout { .. }));
        let (activation, pieces) = match nonlinearity {
            Some(Layer::Activation(activation)) => (activation, 1),
            Some(Layer::Maxout { pieces }) => (Activation::Identity, pieces),
            _ => (Activation::Identity, 1),
        };
        let layer = self.at.saturating_sub(1);
        let moments = Moments::of(activation, pieces, Element::sqrt(q))?;
        // Of a maxout's pieces one hands the gradient on.
        gain = gain * moments.squared_derivative / pieces as f64;
        self.kept = match self.take(|layer| matches!(layer, Layer::Dropout { .. })) {
            Some(Layer::Dropout { probability }) => 1.0 - probability,
            _ => 1.0,
        };
        if let Some(further) = self.rest.first()
            && !matches!(further, Layer::Dense { .. })
        {
            return Err(refused(self.at));
        }
        let second_moment = moments.variance + moments.mean * moments.mean;
        self.signal = Signal { mean: moments.mean, second_moment: second_moment / self.kept };
        Ok(Expected {
            layer,
            preactivation_std: Element::sqrt(q),
            mean: moments.mean,
            std: Element::sqrt(moments.variance),
            zero_fraction: moments.zero_fraction,
            saturated_fraction: moments.saturated_fraction,
            gradient_gain: Element::sqrt(gain),
        })
    }

    /// The next layer, where it is as wanted.
    fn take(&mut self, wanted: impl FnOnce(&Layer) -> bool) -> Option<Layer> {
        match self.rest {
            [layer, further @ ..] if wanted(layer) => {
                (self.rest, self.at) = (further, self.at + 1);
                Some(*layer)
            }
            _ => None,
        }
    }
}

/// Of `f(s z)`, where `z` is the largest of some standard normal values.
struct Moments {
    mean: f64,
    variance: f64,
    squared_derivative: f64,
    zero_fraction: f64,
    saturated_fraction: f64,
}

/// Gauss and Legendre's points in (0, 1) and weights, of ten on (-1, 1) (Abramowitz and Stegun 1964, table 25.4).
const POINTS: [(f64, f64); 5] = [
    (0.148_874_338_981_631_2, 0.295_524_224_714_752_9),
    (0.433_395_394_129_247_2, 0.269_266_719_309_996_36),
    (0.679_409_568_299_024_4, 0.219_086_362_515_982_04),
    (0.865_063_366_688_984_5, 0.149_451_349_150_580_6),
    (0.973_906_528_517_171_7, 0.066_671_344_308_688_14),
];
/// Nothing of the normal distribution that counts in `f64` lies beyond.
const FURTHEST: f64 = 8.0;
/// From `FURTHEST` down to 1e-17: a nonlinearity whose inputs are large is sharp at 0, and is met at its own scale.
const OCTAVES: usize = 60;

impl Moments {
    fn of(activation: Activation, pieces: usize, s: f64) -> Result<Self, Error> {
        let at_zero = value(activation, 0.0)?;
        // f(sz) - f(0) has no large constant to cancel.
        let (mut offset, mut square, mut squared_derivative) = (0.0, 0.0, 0.0);
        let mut upper = FURTHEST;
        for _ in 0..OCTAVES {
            let (middle, half) = (0.75 * upper, 0.25 * upper);
            let (mut y, mut weights) = ([0.0; 20], [0.0; 20]);
            for (((x, weight), (y, total)), side) in
                POINTS.iter().cycle().zip(y.iter_mut().zip(&mut weights)).zip(0u32..)
            {
                // Below and above the middle of the octave, of negative z and of positive.
                let (t, sign) = (if side / 5 % 2 == 0 { -x } else { *x }, if side < 10 { -1.0 } else { 1.0 });
                let z = sign * (middle + half * t);
                (*y, *total) = (s * z, weight * half * density(z, pieces));
            }
            let x = y;
            activate(Level::Portable, activation, &x, &mut y)?;
            let mut derivative = [0.0; 20];
            activation_backward_from_input(Level::Portable, activation, &x, &[1.0; 20], &mut derivative)?;
            for ((y, derivative), weight) in y.iter().zip(&derivative).zip(&weights) {
                let rise = y - at_zero;
                offset += weight * rise;
                square += weight * rise * rise;
                squared_derivative += weight * derivative * derivative;
            }
            upper *= 0.5;
        }
        let share = |wanted: fn(Activation, f64) -> bool| -> Result<f64, Error> {
            if s == 0.0 {
                return Ok(if wanted(activation, at_zero) { 1.0 } else { 0.0 });
            }
            let holds = |z: f64| value(activation, s * z).map(|y| wanted(activation, y));
            let below = mass_below(-beyond(|z| holds(-z))?, pieces);
            Ok(below + 1.0 - mass_below(beyond(holds)?, pieces))
        };
        Ok(Self {
            mean: at_zero + offset,
            variance: (square - offset * offset).max(0.0),
            squared_derivative,
            zero_fraction: share(|_, y| y == 0.0)?,
            saturated_fraction: share(is_saturated)?,
        })
    }
}

/// `f(x)`, by the kernel.
fn value(activation: Activation, x: f64) -> Result<f64, Error> {
    let mut y = [0.0];
    activate(Level::Portable, activation, &[x], &mut y)?;
    let [y] = y;
    Ok(y)
}

/// From where on up to `FURTHEST` it holds: there beyond a threshold, or not at all.
fn beyond(holds: impl Fn(f64) -> Result<bool, Error>) -> Result<f64, Error> {
    let (mut low, mut high) = (0.0, FURTHEST);
    if !holds(high)? {
        return Ok(f64::INFINITY);
    }
    for _ in 0..OCTAVES {
        let middle = 0.5 * (low + high);
        if holds(middle)? {
            high = middle;
        } else {
            low = middle;
        }
    }
    Ok(high)
}

/// The density of the largest of so many standard normal values.
fn density(z: f64, pieces: usize) -> f64 {
    const PER_SQRT_TAU: f64 = 0.398_942_280_401_432_7;
    let normal = PER_SQRT_TAU * Element::exp(-0.5 * z * z);
    (1..pieces).fold(normal, |density, k| {
        #[expect(clippy::cast_precision_loss, reason = "a few pieces")]
        let ratio = (k + 1) as f64 / k as f64;
        density * ratio * mass_below(z, 1)
    })
}

/// The probability that the largest of so many standard normal values lies below (Marsaglia 2004, "Evaluating the normal
/// distribution").
fn mass_below(z: f64, pieces: usize) -> f64 {
    let one = if z.abs() >= FURTHEST {
        if z < 0.0 { 0.0 } else { 1.0 }
    } else {
        // z + z^3 / 3 + z^5 / 15 + …: all of one sign, so that nothing cancels.
        let (mut sum, mut term, mut odd) = (z, z, 1.0);
        while term.abs() > 1e-17 * sum.abs() {
            odd += 2.0;
            term = term * z * z / odd;
            sum += term;
        }
        0.5 + sum * density(z, 1)
    };
    (0..pieces).fold(1.0, |mass, _| mass * one)
}

#[cfg(test)]
mod tests;
