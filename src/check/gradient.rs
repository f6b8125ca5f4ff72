//! The analytic gradient against centred differences.

use rand_pcg::Pcg64;

use super::Verdict;
use crate::batches::below;
use crate::{Activation, Error, Layer, Network, Parallel, Role};

/// The step of the centred difference `(L(w + h) - L(w - h)) / 2h` (CS231n, "Gradient checks").
pub const GRADIENT_STEP: f64 = 1e-5;
/// Further steps, for where a kink lies within the first or the loss is too curved for it.
const STEPS: [f64; 3] = [GRADIENT_STEP, GRADIENT_STEP / 10.0, GRADIENT_STEP / 100.0];
/// Up to here a relative error is rounding.
const HAPPY: f64 = 1e-7;
/// From here on the gradient is wrong.
const WRONG: f64 = 1e-2;
/// What rounding leaves of a difference of losses about 1, divided by [`GRADIENT_STEP`].
const ROUNDING: f64 = 1e-10;

/// Which parameters are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// At most so many of each tensor, spread evenly over it; `usize::MAX` for all.
    pub per_tensor: usize,
    /// Draws which.
    pub seed: u64,
}

impl Sample {
    /// Every parameter.
    pub const ALL: Self = Self { per_tensor: usize::MAX, seed: 0 };
}

/// One parameter of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The layer's place in the network, from 0.
    pub layer: usize,
    /// Which of the layer's tensors.
    pub role: Role,
    /// The place in the tensor.
    pub index: usize,
}

/// What [`gradient`] found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradientCheck {
    /// The largest `|x - y| / max(1e-8, |x| + |y|)` of the analytic x and the numeric y; 0 where they are so small that
    /// their difference is rounding.
    pub worst: f64,
    /// Where that is.
    pub at: Option<Parameter>,
    /// The analytic gradient there.
    pub analytic: f64,
    /// The numeric gradient there.
    pub numeric: f64,
    /// Parameters looked at.
    pub checked: usize,
    /// Those where a kink (of ReLU, leaky ReLU, ELU or maxout) lies within [`GRADIENT_STEP`]: they are compared at a step that
    /// does not reach it, or, where even a hundredth does, not at all.
    pub excused: usize,
    /// Parameters looked at whose analytic gradient is exactly 0.
    pub zero: usize,
}

impl GradientCheck {
    /// Below 1e-7 it passes, above 1e-2 it is wrong.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.worst {
            worst if worst <= HAPPY => Verdict::Pass,
            worst if worst <= WRONG => Verdict::Warn,
            _ => Verdict::Fail,
        }
    }
}

/// Compares the gradients of the loss on a batch with centred differences: `|x - y| / max(1e-8, |x| + |y|)`.
///
/// `tamper` sees every analytic gradient and returns what is to be compared: `|_, gradient| gradient`, but in a test that
/// shows that a wrong one is noticed. The parameters are as before afterwards; running statistics have moved. It takes two forward
/// passes a parameter, and more near kinks.
///
/// ```
/// use rand_pcg::Pcg64;
/// use slicewise::check::{Sample, Verdict, gradient};
/// use slicewise::{Init, Layer, Level, Network, arena_len};
///
/// const NET: &[Layer] = &[Layer::dense(2, 8), Layer::tanh(), Layer::dense(8, 2)];
/// let mut arena = [0.0f64; arena_len(NET, 2)];
/// let mut net = Network::bind(NET, 2, Level::detect(), &mut arena)?;
/// net.initialise(Init::Auto, &mut Pcg64::new(1, 1))?;
/// let (inputs, labels) = ([0.5, -1.0, 1.0, 0.2], [0, 1]);
/// let right = gradient(&mut net, &inputs, &labels, &Sample::ALL, |_, gradient| gradient)?;
/// assert_eq!(right.verdict(), Verdict::Pass);
/// let wrong = gradient(&mut net, &inputs, &labels, &Sample::ALL, |_, gradient| 2.0 * gradient)?;
/// assert_eq!(wrong.verdict(), Verdict::Fail);
/// # Ok::<(), slicewise::Error>(())
/// ```
///
/// # Errors
/// As [`Network::step`].
pub fn gradient(
    net: &mut Network<'_, f64, impl Parallel>,
    inputs: &[f64],
    labels: &[u32],
    sample: &Sample,
    mut tamper: impl FnMut(Parameter, f64) -> f64,
) -> Result<GradientCheck, Error> {
    let rounding = ROUNDING * net.gradients(inputs, labels)?.loss.max(1.0);
    let mut check =
        GradientCheck { worst: 0.0, at: None, analytic: 0.0, numeric: 0.0, checked: 0, excused: 0, zero: 0 };
    let mut rng = Pcg64::new(sample.seed.into(), 0);
    for layer in 0..net.layers().len() {
        for role in Role::ALL {
            let Some(len) = net.gradient(layer, role).map(<[f64]>::len) else { continue };
            let count = len.min(sample.per_tensor);
            for i in 0..count {
                // One of each of `count` parts of the tensor.
                let (from, to) = (part(len, i, count), part(len, i + 1, count));
                #[expect(clippy::cast_possible_truncation, reason = "a place in a part, however drawn")]
                let index = from + below(&mut rng, ((to - from) as u32).max(1)) as usize;
                let parameter = Parameter { layer, role, index };
                let read = net.gradient(layer, role).and_then(|tensor| tensor.get(index)).copied();
                let analytic = tamper(parameter, read.unwrap_or_default());
                compare(net, inputs, labels, parameter, analytic, rounding, &mut check)?;
            }
        }
    }
    Ok(check)
}

/// Where part `i` of `count` of a tensor begins.
fn part(len: usize, i: usize, count: usize) -> usize {
    (len as u128 * i as u128).checked_div(count as u128).unwrap_or(0) as usize
}

/// One parameter.
fn compare(
    net: &mut Network<'_, f64, impl Parallel>,
    inputs: &[f64],
    labels: &[u32],
    parameter: Parameter,
    analytic: f64,
    rounding: f64,
    check: &mut GradientCheck,
) -> Result<(), Error> {
    check.checked += 1;
    check.zero += usize::from(analytic == 0.0);
    let mut best: Option<(f64, f64)> = None;
    let mut kinked = false;
    for step in STEPS {
        let (above, sides_above) = loss_at(net, inputs, labels, parameter, step)?;
        let (below, sides_below) = loss_at(net, inputs, labels, parameter, -step)?;
        // The difference across a kink measures the kink.
        if sides_above != sides_below {
            kinked = true;
            continue;
        }
        let numeric = (above - below) / (2.0 * step);
        let difference = (analytic - numeric).abs();
        // A shorter step has the same rounding in a smaller difference.
        let noise = rounding * (GRADIENT_STEP / step);
        let size = (analytic.abs() + numeric.abs()).max(1e-8);
        // A gradient so small that its difference is all rounding, as that of a bias before batch norm, says nothing.
        let error = if difference <= noise && HAPPY * size < noise { 0.0 } else { difference / size };
        if best.is_none_or(|(least, _)| error < least || least.is_nan()) {
            best = Some((error, numeric));
        }
        if error < HAPPY {
            break;
        }
    }
    check.excused += usize::from(kinked);
    if let Some((error, numeric)) = best
        && (error > check.worst || error.is_nan())
    {
        *check = GradientCheck { worst: error, at: Some(parameter), analytic, numeric, ..*check };
    }
    Ok(())
}

/// The loss where one parameter is `step` larger, and on which side of its kink each unit then is.
fn loss_at(
    net: &mut Network<'_, f64, impl Parallel>,
    inputs: &[f64],
    labels: &[u32],
    parameter: Parameter,
    step: f64,
) -> Result<(f64, u64), Error> {
    let before = set(net, parameter, |value| value + step);
    let loss = net.loss(inputs, labels);
    set(net, parameter, |_| before);
    Ok((loss?.loss, sides(net, labels.len())))
}

/// Changes a parameter; returns what it was.
fn set(net: &mut Network<'_, f64, impl Parallel>, at: Parameter, change: impl FnOnce(f64) -> f64) -> f64 {
    match net.tensor_mut(at.layer, at.role).and_then(|tensor| tensor.get_mut(at.index)) {
        Some(value) => core::mem::replace(value, change(*value)),
        None => 0.0,
    }
}

/// A hash of the side of its kink that each unit was on in the last forward pass.
fn sides(net: &Network<'_, f64, impl Parallel>, rows: usize) -> u64 {
    // FNV-1a, a bit at a time.
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut add = |bit: bool| hash = (hash ^ u64::from(bit)).wrapping_mul(0x0100_0000_01b3);
    for (index, layer) in net.layers().iter().enumerate() {
        let Some(y) = net.outputs(index, rows) else { continue };
        match layer {
            Layer::Activation(Activation::Relu | Activation::LeakyRelu { .. } | Activation::Elu { .. }) => {
                y.iter().for_each(|y| add(*y > 0.0))
            }
            Layer::Maxout { pieces } => {
                let x = index.checked_sub(1).and_then(|before| net.outputs(before, rows)).unwrap_or_default();
                let units = y.len().checked_div(rows).unwrap_or(0).max(1);
                for (x, y) in x.chunks_exact(units.saturating_mul(*pieces).max(1)).zip(y.chunks_exact(units))
                {
                    for piece in x.chunks_exact(units) {
                        piece.iter().zip(y).for_each(|(x, y)| add(x == y));
                    }
                }
            }
            _ => {}
        }
    }
    hash
}
