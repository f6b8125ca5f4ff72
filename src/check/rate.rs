//! The learning rates that can be used: a sweep in log space.

use super::Verdict;
use super::trial::{Lent, Rows, trial};
use crate::error::expect_len;
use crate::{Element, Error, Network, Parallel, Saved, Update};

/// Below this share of the best rate's fall of the loss, a smaller rate barely moves it.
const BARELY: f64 = 0.1;
/// Below this share of it, a larger rate jumps about.
const JUMPS: f64 = 0.5;
/// A best fall below this share of the first loss is none: nothing learns.
const NOTHING: f64 = 0.02;

/// What a learning rate did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateJudgement {
    /// The loss barely moved.
    TooSmall,
    /// It fell.
    Usable,
    /// It exploded, or fell far less than at smaller rates.
    TooLarge,
}

/// One learning rate of a [`sweep`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RatePoint {
    /// The learning rate.
    pub learning_rate: f64,
    /// The mean loss of the last quarter of the steps.
    pub loss: f64,
    /// The share of rows that were right in them.
    pub accuracy: f64,
    /// Whether the loss exploded.
    pub exploded: bool,
    /// What is made of it.
    pub judgement: RateJudgement,
}

impl RatePoint {
    /// To fill an array with.
    pub const NEW: Self = Self {
        learning_rate: 0.0,
        loss: 0.0,
        accuracy: 0.0,
        exploded: false,
        judgement: RateJudgement::TooSmall,
    };
}

/// What a [`sweep`] found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sweep {
    /// The loss without learning, of the very rows that the points' losses are of.
    pub first_loss: f64,
    /// The share of them that were right without learning.
    pub first_accuracy: f64,
    /// The rates that were tried: after one that explodes, none.
    pub tried: usize,
    /// The smallest rate that can be used, the best, and the largest; `None` where none lowers the loss.
    pub usable: Option<(f64, f64, f64)>,
}

impl Sweep {
    /// What is to be thought of a rate by the usable range: its ends are usable.
    #[must_use]
    pub fn judge(&self, learning_rate: f64) -> Option<RateJudgement> {
        let (low, _, high) = self.usable?;
        // As wide as the rounding of a rate that was computed on another way.
        Some(match learning_rate {
            rate if rate < low * (1.0 - 1e-9) => RateJudgement::TooSmall,
            rate if rate > high * (1.0 + 1e-9) => RateJudgement::TooLarge,
            _ => RateJudgement::Usable,
        })
    }

    /// Passes where a rate can be used.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.usable.is_some() { Verdict::Pass } else { Verdict::Fail }
    }
}

/// Trains for `steps` steps at each of `rates`, from small to large and always from the state at hand, until one explodes. `points`
/// is as long as `rates`; `memory` holds [`saved_len`](crate::saved_len) elements. `each` hears how many are done. The network is as
/// before afterwards.
///
/// Half a decade from one rate to the next, and as many steps as let the loss fall by half at a good one, make a useful
/// sweep. The best rate is the one of the lowest loss; those that bring a tenth of its fall below it, and half of it above, can be
/// used.
///
/// ```
/// use rand_pcg::Pcg64;
/// use slicewise::check::{Lent, RateJudgement, RatePoint, Rows, sweep};
/// use slicewise::{Init, Layer, Level, Network, Optimizer, Update, arena_len, saved_len};
///
/// const NET: &[Layer] = &[Layer::dense(1, 8), Layer::tanh(), Layer::dense(8, 2)];
/// let (mut arena, mut memory) = ([0.0f32; arena_len(NET, 2)], [0.0; saved_len(NET)]);
/// let mut net = Network::bind(NET, 2, Level::detect(), &mut arena)?;
/// net.initialise(Init::Auto, &mut Pcg64::new(1, 1))?;
/// let rows = Rows { inputs: &[-1.0, 1.0, -2.0, 2.0], labels: &[0, 1, 0, 1] };
/// let (mut order, mut inputs, mut labels) = ([0; 4], [0.0; 2], [0; 2]);
/// let mut lent = Lent { order: &mut order, inputs: &mut inputs, labels: &mut labels };
/// let mut points = [RatePoint::NEW; 4];
/// let update = Update { optimizer: Optimizer::Sgd, learning_rate: 0.0, regularisation: 0.0 };
/// let rates = [1e-4, 1e-2, 1.0, 1e5];
/// let found = sweep(&mut net, rows, &mut lent, &update, &rates, 50, 1, &mut memory, &mut points, |_| ())?;
/// assert_eq!(points[0].judgement, RateJudgement::TooSmall);
/// assert_eq!(found.judge(1.0), Some(RateJudgement::Usable));
/// # Ok::<(), slicewise::Error>(())
/// ```
///
/// # Errors
/// As [`trial`].
pub fn sweep<T: Element>(
    net: &mut Network<'_, T, impl Parallel>,
    rows: Rows<'_, T>,
    lent: &mut Lent<'_, T>,
    update: &Update,
    rates: &[f64],
    steps: usize,
    seed: u64,
    memory: &mut [T],
    points: &mut [RatePoint],
    mut each: impl FnMut(usize),
) -> Result<Sweep, Error> {
    expect_len("points", rates.len(), points.len())?;
    let saved = Saved::new(net, memory)?;
    // The same batches and dropped units, without learning: what is compared differs by the learning rate alone.
    let still = trial(net, rows, lent, &Update { learning_rate: 0.0, ..*update }, seed, steps, |_, _| ())?;
    saved.restore(net)?;
    let mut tried = 0;
    for (learning_rate, point) in rates.iter().zip(points.iter_mut()) {
        let update = Update { learning_rate: *learning_rate, ..*update };
        let run = trial(net, rows, lent, &update, seed, steps, |_, _| ())?;
        saved.restore(net)?;
        *point = RatePoint {
            learning_rate: *learning_rate,
            loss: run.loss,
            accuracy: run.accuracy,
            exploded: run.exploded,
            judgement: RateJudgement::TooSmall,
        };
        tried += 1;
        each(tried);
        if run.exploded {
            break;
        }
    }
    let usable = judge_rates(still.loss, points.get_mut(..tried).unwrap_or_default());
    Ok(Sweep { first_loss: still.loss, first_accuracy: still.accuracy, tried, usable })
}

/// Judges rates, from small to large, by their losses; returns the smallest usable one, the best and the largest, with all those
/// between them. `None` where the best fall is below a fiftieth of the first loss.
pub fn judge_rates(first_loss: f64, points: &mut [RatePoint]) -> Option<(f64, f64, f64)> {
    let falls = |point: &RatePoint| if point.exploded { f64::NEG_INFINITY } else { first_loss - point.loss };
    let (mut best, mut fall) = (None, f64::NEG_INFINITY);
    for (index, point) in points.iter().enumerate() {
        if falls(point) > fall {
            (best, fall) = (Some(index), falls(point));
        }
    }
    let learns = fall >= NOTHING * first_loss;
    for (index, point) in points.iter_mut().enumerate() {
        let is_smaller = best.is_none_or(|best| index < best);
        let share = falls(point) / fall;
        point.judgement = match (point.exploded, learns) {
            (true, _) => RateJudgement::TooLarge,
            (false, false) => RateJudgement::TooSmall,
            _ if is_smaller && share < BARELY => RateJudgement::TooSmall,
            _ if !is_smaller && share < JUMPS => RateJudgement::TooLarge,
            _ => RateJudgement::Usable,
        };
    }
    let best = best.filter(|_| learns)?;
    // From the best one outwards, as far as they are usable without a gap.
    let is_usable = |point: &&RatePoint| point.judgement == RateJudgement::Usable;
    let (below, above) = points.split_at_checked(best)?;
    let suggested = above.first()?.learning_rate;
    let low = below.iter().rev().take_while(is_usable).last().map_or(suggested, |point| point.learning_rate);
    let high = above.iter().take_while(is_usable).last().map_or(suggested, |point| point.learning_rate);
    Some((low, suggested, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points<const N: usize>(losses: [f64; N]) -> [RatePoint; N] {
        let mut rate = 1e-6;
        losses.map(|loss| {
            rate *= 10.0;
            RatePoint { learning_rate: rate, loss, exploded: !loss.is_finite(), ..RatePoint::NEW }
        })
    }

    #[test]
    fn the_range_begins_where_the_loss_moves_and_ends_where_it_jumps() {
        use RateJudgement::{TooLarge, TooSmall, Usable};
        let mut points = points([2.3, 2.2, 1.0, 0.3, 0.5, 2.0, f64::INFINITY]);
        let (low, best, high) = judge_rates(2.3, &mut points).unwrap();
        let close = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-9;
        assert!(close(low, 1e-3) && close(best, 1e-2) && close(high, 1e-1), "{low} {best} {high}");
        let expected = [TooSmall, TooSmall, Usable, Usable, Usable, TooLarge, TooLarge];
        assert_eq!(points.map(|point| point.judgement), expected);
        let sweep = Sweep { first_loss: 2.3, first_accuracy: 0.1, tried: 7, usable: Some((low, best, high)) };
        assert_eq!(sweep.judge(1e-6), Some(TooSmall));
        assert_eq!(sweep.judge(0.1), Some(Usable));
        assert_eq!(sweep.judge(0.2), Some(TooLarge));
    }

    #[test]
    fn where_nothing_learns_no_rate_is_usable() {
        assert_eq!(judge_rates(2.3, &mut points([2.3, 2.29, 2.28, f64::NAN])), None);
        assert_eq!(judge_rates(2.3, &mut []), None);
        assert_eq!(judge_rates(2.3, &mut points([f64::NAN])), None);
    }
}
