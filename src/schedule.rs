//! Learning-rate schedules: pure functions of how far the training is, so that a run goes on from any point to the same bits.
//!
//! [`Schedule::factor`] says what the learning rate is multiplied by after `t` of `total` units of training, and
//! [`warm_up`] how it rises at the very beginning. Units are the caller's: epochs or steps, as long as `t` and `total` count the same.
//!
//! ```
//! use slicewise::schedule::{Schedule, warm_up};
//!
//! let halves = Schedule::Step { factor: 0.5, every: 10 };
//! let rate = |epoch| 0.1 * halves.factor(epoch, 30);
//! assert_eq!([rate(0), rate(9), rate(10), rate(29)], [0.1, 0.1, 0.05, 0.025]);
//! assert_eq!([warm_up(0, 4), warm_up(1, 4), warm_up(3, 4), warm_up(100, 4)], [0.25, 0.5, 1.0, 1.0]);
//! ```

/// How the learning rate falls in the course of training (CS231n, "Annealing the learning rate").
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum Schedule {
    /// Not at all: 1.
    #[default]
    Constant,
    /// `factor^floor(t / every)`: by a factor every so many units. An `every` of 0 counts as 1.
    Step {
        /// What it is multiplied by; 0.5 or 0.1 are usual.
        factor: f64,
        /// Units from one fall to the next.
        every: u64,
    },
    /// `factor^t`: by a factor every unit.
    Exponential {
        /// What it is multiplied by.
        factor: f64,
    },
    /// `1 / (1 + decay * t)`: fast first, then ever slower.
    Inverse {
        /// After `1 / decay` units half is left.
        decay: f64,
    },
    /// `(1 + cos(pi * t / total)) / 2`: slowly at both ends, down to 0 at `total` (Loshchilov and Hutter 2017).
    Cosine,
}

impl Schedule {
    /// What the learning rate is multiplied by after `t` of `total` units; `total` counts for [`Cosine`](Schedule::Cosine) alone.
    ///
    /// ```
    /// use slicewise::schedule::Schedule;
    ///
    /// assert_eq!(Schedule::Exponential { factor: 0.5 }.factor(3, 10), 0.125);
    /// assert_eq!(Schedule::Inverse { decay: 0.5 }.factor(2, 10), 0.5);
    /// assert!((Schedule::Cosine.factor(5, 10) - 0.5).abs() < 1e-15);
    /// ```
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share, rounded")]
    pub fn factor(self, t: u64, total: u64) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Step { factor, every } => power(factor, t.checked_div(every).unwrap_or(t)),
            Self::Exponential { factor } => power(factor, t),
            Self::Inverse { decay } => 1.0 / (1.0 + decay * t as f64),
            Self::Cosine if t >= total => 0.0,
            Self::Cosine if t == 0 => 1.0,
            // (1 + cos x) / 2 = sin^2((pi - x) / 2), which keeps its digits near the end.
            Self::Cosine => {
                let sine = sine_of_quarter_turn((total - t) as f64 / total as f64);
                sine * sine
            }
        }
    }
}

/// The linear rise over the first `length` steps, `min(1, (t + 1) / length)` (Goyal et al. 2017): what the learning rate of
/// step `t`, from 0, is multiplied by.
///
/// ```
/// use slicewise::schedule::warm_up;
///
/// assert_eq!([warm_up(0, 2), warm_up(1, 2), warm_up(2, 2), warm_up(0, 0)], [0.5, 1.0, 1.0, 1.0]);
/// ```
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "a share, rounded")]
pub fn warm_up(t: u64, length: u64) -> f64 {
    if t >= length { 1.0 } else { (t + 1) as f64 / length as f64 }
}

/// `base^exponent` by squaring: the same bits on every machine.
fn power(mut base: f64, mut exponent: u64) -> f64 {
    let mut product = 1.0;
    while exponent > 0 {
        if exponent & 1 == 1 {
            product *= base;
        }
        base *= base;
        exponent >>= 1;
    }
    product
}

/// `sin(pi / 2 * x)` for x in [0, 1], from its power series: the term after the last is below 1e-17.
fn sine_of_quarter_turn(x: f64) -> f64 {
    let x = core::f64::consts::FRAC_PI_2 * x;
    let mut sum = 1.0;
    for k in (1..=10u8).rev() {
        let k = f64::from(k);
        sum = 1.0 - x * x / (2.0 * k * (2.0 * k + 1.0)) * sum;
    }
    x * sum
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn every_schedule_is_its_formula() {
        for t in 0..40u64 {
            let at = t as f64;
            let near = |schedule: Schedule, expected: f64| {
                let factor = schedule.factor(t, 40);
                assert!(
                    (factor - expected).abs() <= 4e-16 * expected.abs() + 1e-16,
                    "{schedule:?} at {t}: {factor}"
                );
            };
            near(Schedule::Constant, 1.0);
            near(Schedule::Step { factor: 0.5, every: 5 }, 0.5f64.powi(t as i32 / 5));
            near(Schedule::Inverse { decay: 0.25 }, 1.0 / (1.0 + 0.25 * at));
            near(Schedule::Cosine, 0.5 * (1.0 + (core::f64::consts::PI * at / 40.0).cos()));
            let exponential = Schedule::Exponential { factor: 0.8 }.factor(t, 40);
            assert!((exponential / 0.8f64.powf(at) - 1.0).abs() < 1e-14, "{t}");
        }
    }

    #[test]
    fn every_schedule_begins_at_1_and_never_rises() {
        let schedules = [
            Schedule::Constant,
            Schedule::Step { factor: 0.1, every: 7 },
            Schedule::Exponential { factor: 0.95 },
            Schedule::Inverse { decay: 0.1 },
            Schedule::Cosine,
        ];
        for schedule in schedules {
            assert_eq!(schedule.factor(0, 100), 1.0, "{schedule:?}");
            for t in 1..=100 {
                assert!(schedule.factor(t, 100) <= schedule.factor(t - 1, 100), "{schedule:?} at {t}");
            }
        }
        assert_eq!([Schedule::Cosine.factor(100, 100), Schedule::Cosine.factor(0, 0)], [0.0, 0.0]);
        assert!(Schedule::Cosine.factor(99, 100) > 0.0);
    }

    #[test]
    fn odd_arguments_do_no_harm() {
        assert_eq!(Schedule::Step { factor: 0.5, every: 0 }.factor(3, 0), 0.125);
        assert_eq!(Schedule::Exponential { factor: 0.5 }.factor(u64::MAX, 1), 0.0);
        assert_eq!([warm_up(0, 0), warm_up(u64::MAX, u64::MAX), warm_up(9, 10)], [1.0; 3]);
    }
}
