//! Short training runs: over a data set in batches, and over a handful of rows until they are known by heart.

use super::Verdict;
use crate::batches::{gather, shuffle};
use crate::error::expect_len;
use crate::{Element, Error, Network, Parallel, StepReport, Update};

pub use crate::search::EXPLODED;
/// Rows whose mean loss tells whether training explodes: a few unlucky ones do not.
const WINDOW: usize = 1024;

/// Rows to learn from, `inputs: (rows, features)`, `labels: (rows)`.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a, T> {
    /// What the network sees.
    pub inputs: &'a [T],
    /// Each row's class.
    pub labels: &'a [u32],
}

/// Memory that the caller lends to a [`trial`].
#[derive(Debug)]
pub struct Lent<'m, T> {
    /// An element a row.
    pub order: &'m mut [u32],
    /// The inputs of a batch.
    pub inputs: &'m mut [T],
    /// The labels of a batch; its length is the batch's size.
    pub labels: &'m mut [u32],
}

/// How a short training run went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// The loss of the first step, penalty included.
    pub first_loss: f64,
    /// The mean loss of the last quarter of the steps; of an exploded run, of its last rows.
    pub loss: f64,
    /// The share of rows that were right in the last quarter of the steps.
    pub accuracy: f64,
    /// Steps done.
    pub steps: usize,
    /// Whether it stopped because the loss was [`EXPLODED`] times the first, or no finite number.
    pub exploded: bool,
}

/// Trains for `steps` steps on shuffled batches of all rows, again and again, or until the loss explodes. `each` sees the network
/// after every step.
///
/// The order of rows follows from `seed`; rows of a last batch that is not full are left out of their pass. The first loss
/// is not held below `ln C`: a first step may be lucky.
///
/// ```
/// use rand_pcg::Pcg64;
/// use slicewise::check::{Lent, Rows, trial};
/// use slicewise::{Init, Layer, Level, Network, Optimizer, Update, arena_len};
///
/// const NET: &[Layer] = &[Layer::dense(1, 8), Layer::tanh(), Layer::dense(8, 2)];
/// let mut arena = [0.0f32; arena_len(NET, 2)];
/// let mut net = Network::bind(NET, 2, Level::detect(), &mut arena)?;
/// net.initialise(Init::Auto, &mut Pcg64::new(1, 1))?;
/// let rows = Rows { inputs: &[-1.0, 1.0, -2.0, 2.0], labels: &[0, 1, 0, 1] };
/// let (mut order, mut inputs, mut labels) = ([0; 4], [0.0; 2], [0; 2]);
/// let mut lent = Lent { order: &mut order, inputs: &mut inputs, labels: &mut labels };
/// let update = Update { optimizer: Optimizer::Sgd, learning_rate: 0.5, regularisation: 0.0 };
/// let run = trial(&mut net, rows, &mut lent, &update, 1, 100, |_, _| ())?;
/// assert!(run.loss < 0.1 && run.accuracy == 1.0 && !run.exploded);
/// # Ok::<(), slicewise::Error>(())
/// ```
///
/// # Errors
/// As [`Network::step`]; [`Error::Shape`] where what is lent does not fit the rows, or there are fewer than a batch.
pub fn trial<T: Element, P: Parallel>(
    net: &mut Network<'_, T, P>,
    rows: Rows<'_, T>,
    lent: &mut Lent<'_, T>,
    update: &Update,
    seed: u64,
    steps: usize,
    mut each: impl FnMut(&Network<'_, T, P>, &StepReport),
) -> Result<Trial, Error> {
    let (width, batch) = (net.features(), lent.labels.len());
    expect_len("order", rows.labels.len(), lent.order.len())?;
    expect_len("batch inputs", batch.saturating_mul(width), lent.inputs.len())?;
    if batch == 0 || batch > rows.labels.len() {
        let actual = rows.labels.len();
        return Err(crate::kernels::ShapeError { argument: "rows", expected: batch.max(1), actual }.into());
    }
    let tail = steps - (steps / 4).max(1).min(steps);
    let (mut recent, mut last) = (Sums::default(), Sums::default());
    let mut run = Trial { first_loss: 0.0, loss: f64::NAN, accuracy: 0.0, steps: 0, exploded: false };
    let mut pass = 0;
    while run.steps < steps && !run.exploded {
        shuffle(seed, pass, lent.order);
        pass += 1;
        for chosen in lent.order.chunks_exact(batch.max(1)) {
            gather(rows.inputs, width, chosen, lent.inputs)?;
            gather(rows.labels, 1, chosen, lent.labels)?;
            let report = net.step(lent.inputs, lent.labels, update)?;
            if run.steps == 0 {
                run.first_loss = report.loss;
            }
            recent.add(&report);
            if run.steps >= tail {
                last.add(&report);
            }
            run.steps += 1;
            each(net, &report);
            if recent.rows >= WINDOW || run.steps == steps || !report.loss.is_finite() {
                run.exploded = is_exploded(recent.loss(), run.first_loss, net.classes());
                if run.exploded {
                    last = recent;
                }
                recent = Sums::default();
            }
            if run.exploded || run.steps == steps {
                break;
            }
        }
    }
    (run.loss, run.accuracy) = (last.loss(), last.accuracy());
    Ok(run)
}

/// How learning a few rows by heart went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overfit {
    /// The loss of the first step.
    pub first_loss: f64,
    /// The loss at the end.
    pub loss: f64,
    /// The share of rows that were right at the end.
    pub accuracy: f64,
    /// Steps done.
    pub steps: usize,
    /// Whether it stopped because the loss exploded.
    pub exploded: bool,
}

impl Overfit {
    /// The loss that counts as none.
    pub const LOSS: f64 = 0.01;

    /// Every row right, and the loss below [`LOSS`](Self::LOSS).
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.accuracy == 1.0 && self.loss < Self::LOSS { Verdict::Pass } else { Verdict::Fail }
    }
}

/// Trains on one small batch, twenty rows are usual, until it is known by heart, the loss explodes or `steps` are done. A network
/// that cannot do this has a fault in its backward pass, its start or its learning rate (CS231n, "Babysitting the learning
/// process"). Without regularisation and dropout, or it may well not. `each` sees every step's report.
///
/// ```
/// use rand_pcg::Pcg64;
/// use slicewise::check::{Verdict, overfit};
/// use slicewise::{Init, Layer, Level, Network, Optimizer, Update, arena_len};
///
/// const NET: &[Layer] = &[Layer::dense(2, 16), Layer::relu(), Layer::dense(16, 2)];
/// let mut arena = [0.0f32; arena_len(NET, 4)];
/// let mut net = Network::bind(NET, 4, Level::detect(), &mut arena)?;
/// net.initialise(Init::Auto, &mut Pcg64::new(1, 1))?;
/// let update = Update { optimizer: Optimizer::momentum(), learning_rate: 0.1, regularisation: 0.0 };
/// let xor = [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
/// let check = overfit(&mut net, &xor, &[0, 1, 1, 0], &update, 1000, |_| ())?;
/// assert_eq!(check.verdict(), Verdict::Pass);
/// # Ok::<(), slicewise::Error>(())
/// ```
///
/// # Errors
/// As [`Network::step`].
pub fn overfit<T: Element>(
    net: &mut Network<'_, T, impl Parallel>,
    inputs: &[T],
    labels: &[u32],
    update: &Update,
    steps: usize,
    mut each: impl FnMut(&StepReport),
) -> Result<Overfit, Error> {
    let mut run = Overfit { first_loss: 0.0, loss: f64::NAN, accuracy: 0.0, steps: 0, exploded: false };
    while run.steps < steps && run.verdict() != Verdict::Pass && !run.exploded {
        let report = net.step(inputs, labels, update)?;
        let mut sums = Sums::default();
        sums.add(&report);
        if run.steps == 0 {
            run.first_loss = report.loss;
        }
        (run.loss, run.accuracy) = (sums.loss(), sums.accuracy());
        run.exploded = is_exploded(run.loss, run.first_loss, net.classes());
        run.steps += 1;
        each(&report);
    }
    Ok(run)
}

/// `false` for a loss that can still come back.
fn is_exploded(loss: f64, first: f64, classes: usize) -> bool {
    let limit = EXPLODED * first.max(Element::ln(count(classes)));
    !(loss <= limit && loss.is_finite())
}

/// Sums over steps.
#[derive(Clone, Copy, Default)]
struct Sums {
    loss: f64,
    correct: usize,
    rows: usize,
}

impl Sums {
    fn add(&mut self, report: &StepReport) {
        self.loss += report.loss * count(report.rows);
        self.correct += report.correct;
        self.rows += report.rows;
    }

    fn loss(&self) -> f64 {
        self.loss / count(self.rows)
    }

    fn accuracy(&self) -> f64 {
        count(self.correct) / count(self.rows)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn count(n: usize) -> f64 {
    n as f64
}
