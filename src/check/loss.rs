//! The loss before the first step, and what the penalty adds to it.

use super::Verdict;
use crate::kernels::{Optimizer, sum_of_squares};
use crate::{Element, Error, Network, Parallel, Role, Saved, Update};

/// What [`initial_loss`] found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InitialLoss {
    /// `ln C`: the loss of a network of C classes that holds each for as likely.
    pub expected: f64,
    /// The mean cross-entropy.
    pub loss: f64,
    /// The share of rows that are right by chance.
    pub accuracy: f64,
}

impl InitialLoss {
    /// Logits of a spread s add about `s^2 / 2` to `ln C`: up to 0.5, a spread of 1, it passes; from 2 on, a spread of 2, it
    /// fails. Less than `ln C` by a tenth is no initial loss: the network knows something.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.loss - self.expected {
            excess if (-0.1 * self.expected..=0.5).contains(&excess) => Verdict::Pass,
            excess if excess < 2.0 => Verdict::Warn,
            _ => Verdict::Fail,
        }
    }
}

/// The loss of an untrained network on any number of rows, batch by batch as training sees them.
///
/// ```
/// use slicewise::check::{Verdict, initial_loss};
/// use slicewise::{Layer, Level, Network, arena_len};
///
/// const NET: &[Layer] = &[Layer::dense(2, 3)];
/// let mut arena = [0.0f32; arena_len(NET, 2)];
/// let mut net = Network::bind(NET, 2, Level::detect(), &mut arena)?;
/// let check = initial_loss(&mut net, &[0.5, -1.0, 1.0, 0.2], &[0, 1])?;
/// assert!((check.loss - 3f64.ln()).abs() < 1e-6);
/// assert_eq!(check.verdict(), Verdict::Pass);
/// # Ok::<(), slicewise::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] where there are no rows, `inputs` is not as many, or a label is no class.
pub fn initial_loss<T: Element>(
    net: &mut Network<'_, T, impl Parallel>,
    inputs: &[T],
    labels: &[u32],
) -> Result<InitialLoss, Error> {
    let (width, batch) = (net.features().max(1), net.batch().max(1));
    crate::error::expect_len("inputs", labels.len().saturating_mul(width), inputs.len())?;
    let (mut loss, mut correct, mut rows) = (0.0, 0usize, 0usize);
    let chunks = inputs.chunks(batch.saturating_mul(width).max(1)).zip(labels.chunks(batch.max(1)));
    for (index, (inputs, labels)) in chunks.enumerate() {
        // A last single row, which batch norm cannot take.
        if index > 0 && labels.len() == 1 {
            continue;
        }
        let report = net.loss(inputs, labels)?;
        loss += report.loss * count(report.rows);
        correct += report.correct;
        rows += report.rows;
    }
    if rows == 0 {
        // The error of a batch without rows.
        net.loss(inputs, labels)?;
    }
    let expected = Element::ln(count(net.classes()));
    Ok(InitialLoss { expected, loss: loss / count(rows), accuracy: count(correct) / count(rows) })
}

/// What [`regularisation`] found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Regularisation {
    /// The loss without a penalty.
    pub without: f64,
    /// The loss with it.
    pub with: f64,
    /// `0.5 * reg * sum W^2` over the dense layers' weights.
    pub expected: f64,
    /// How far a step's pull at the weights, `pull = (W - lr * g - W') / (lr * reg)`, is from W: `||pull - W||` over the norm of
    /// W and W' together.
    pub pull_error: f64,
}

impl Regularisation {
    /// What the penalty added.
    #[must_use]
    pub fn rise(&self) -> f64 {
        self.with - self.without
    }

    /// `|rise - expected| / expected`; 0 where nothing was expected and nothing came.
    #[must_use]
    pub fn relative_error(&self) -> f64 {
        let difference = (self.rise() - self.expected).abs();
        if difference == 0.0 { 0.0 } else { difference / self.expected }
    }

    /// The rise is right to 1e-6 and the pull to 1e-3. Where every weight is 0 there is nothing to see, which is a warning.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        // What the sum of two losses is rounded to.
        let rounding = 4.0 * f64::EPSILON * self.with.abs();
        let right = (self.rise() - self.expected).abs() <= 1e-6 * self.expected + rounding;
        match (right && self.pull_error <= 1e-3, self.expected == 0.0) {
            (false, _) => Verdict::Fail,
            (true, true) => Verdict::Warn,
            (true, false) => Verdict::Pass,
        }
    }
}

/// The penalty of regularisation `reg`, above 0, on a batch: by how much it raises the loss, and how it pulls at the weights in a
/// step of gradient descent. The network is as before afterwards, but for its gradients. `memory` holds
/// [`saved_len`](crate::saved_len) elements.
///
/// ```
/// use rand_pcg::Pcg64;
/// use slicewise::check::{Verdict, regularisation};
/// use slicewise::{Init, Layer, Level, Network, arena_len, saved_len};
///
/// const NET: &[Layer] = &[Layer::dense(2, 8), Layer::relu(), Layer::dense(8, 3)];
/// let (mut arena, mut memory) = ([0.0f32; arena_len(NET, 2)], [0.0; saved_len(NET)]);
/// let mut net = Network::bind(NET, 2, Level::detect(), &mut arena)?;
/// net.initialise(Init::Auto, &mut Pcg64::new(1, 1))?;
/// let check = regularisation(&mut net, &[0.5, -1.0, 1.0, 0.2], &[0, 1], 1e3, &mut memory)?;
/// assert!(check.relative_error() < 1e-6);
/// assert_eq!(check.verdict(), Verdict::Pass);
/// # Ok::<(), slicewise::Error>(())
/// ```
///
/// # Errors
/// As [`Network::step`]; [`Error::Shape`] where `memory` is not as long.
pub fn regularisation<T: Element>(
    net: &mut Network<'_, T, impl Parallel>,
    inputs: &[T],
    labels: &[u32],
    reg: f64,
    memory: &mut [T],
) -> Result<Regularisation, Error> {
    let saved = Saved::new(net, memory)?;
    let without = net.loss(inputs, labels)?.loss;
    saved.restore(net)?;
    let mut expected = 0.0;
    for layer in 0..net.layers().len() {
        if let Some(weight) = net.tensor(layer, Role::Weight) {
            // Summed in f64: the network's own sum is what is checked.
            expected += weight.iter().map(|w| w.to_f64() * w.to_f64()).sum::<f64>();
        }
    }
    expected *= 0.5 * reg;
    // Half of every weight goes: large beside the rounding of T.
    let learning_rate = 0.5 / reg;
    let update = Update { optimizer: Optimizer::Sgd, learning_rate, regularisation: reg };
    // A step, in the halves that keep the gradients.
    let with = net.gradients(inputs, labels)?.loss + net.update(&update)?;
    let pull_error = pull_error(net, &saved, reg, learning_rate);
    saved.restore(net)?;
    Ok(Regularisation { without, with, expected, pull_error })
}

/// Between the pull that the last step shows and the weights before it.
fn pull_error<T: Element>(
    net: &Network<'_, T, impl Parallel>,
    saved: &Saved<'_, T>,
    reg: f64,
    learning_rate: f64,
) -> f64 {
    let (mut squares, mut differences) = (0.0, 0.0);
    for layer in 0..net.layers().len() {
        let Some(before) = saved.weight(net, layer) else { continue };
        squares += sum_of_squares(net.level(), before).to_f64();
        let (after, gradient) = (net.tensor(layer, Role::Weight), net.gradient(layer, Role::Weight));
        let (after, gradient) = (after.unwrap_or_default(), gradient.unwrap_or_default());
        for ((before, after), gradient) in before.iter().zip(after).zip(gradient) {
            let (before, after, gradient) = (before.to_f64(), after.to_f64(), gradient.to_f64());
            let pull = (before - learning_rate * gradient - after) / (learning_rate * reg);
            differences += (pull - before) * (pull - before);
            squares += after * after;
        }
    }
    if differences == 0.0 { 0.0 } else { Element::sqrt(differences / squares) }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn count(n: usize) -> f64 {
    n as f64
}
