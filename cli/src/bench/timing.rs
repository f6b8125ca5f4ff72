//! Jobs timed in turn. Machines drift: what is compared must be measured round by round, and one figure alone says nothing.

use crate::error::Outcome;
use std::time::{Duration, Instant};

/// How long is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// How many times each job has its turn, and how many at least where one call is longer than its turn.
    pub(super) rounds: u32,
    pub(super) least: u32,
    /// A turn of a kernel, and one of a limit.
    pub(super) turn: Duration,
    pub(super) limit_turn: Duration,
}

impl Pace {
    pub(super) const FULL: Self =
        Self { rounds: 15, least: 5, turn: Duration::from_millis(8), limit_turn: Duration::from_millis(3) };
    pub(super) const QUICK: Self =
        Self { rounds: 7, least: 3, turn: Duration::from_millis(3), limit_turn: Duration::from_micros(1500) };
}

/// What one job took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Timing {
    /// Of a call: the median of the rounds.
    pub(super) seconds: f64,
    /// The distance between the quartiles of the rounds, as a fraction of the median.
    pub(super) spread: f64,
    pub(super) rounds: u32,
}

/// Times jobs in turn: `turns` has how long each one's turn is, `run(job, calls)` does it. After every turn, `tick` is told how
/// many of how many are over.
pub(super) fn in_turn(
    pace: &Pace,
    turns: &[Duration],
    mut run: impl FnMut(usize, u64) -> Outcome<()>,
    mut tick: impl FnMut(usize, usize),
) -> Outcome<Vec<Timing>> {
    let mut time = |job: usize, calls: u64| -> Outcome<f64> {
        let start = Instant::now();
        run(job, calls)?;
        Ok(start.elapsed().as_secs_f64())
    };
    let mut plans = Vec::new();
    for (job, turn) in turns.iter().enumerate() {
        plans.push(Plan::of(pace, turn.as_secs_f64(), |calls| time(job, calls))?);
    }
    let total: u32 = plans.iter().map(|plan| plan.rounds).sum();
    let mut taken = vec![Vec::new(); turns.len()];
    let mut done = 0;
    for round in 0..pace.rounds {
        for (job, (plan, taken)) in plans.iter().zip(&mut taken).enumerate() {
            if !plan.has_turn(round, pace.rounds) {
                continue;
            }
            // The jobs before it took the caches: one call brings its operands back.
            if plan.calls > 1 {
                time(job, 1)?;
            }
            taken.push(time(job, plan.calls)? / plan.calls as f64);
            done += 1;
            tick(done, total as usize);
        }
    }
    Ok(taken.iter_mut().map(|taken| timing(taken)).collect())
}

/// How a job's turns look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Plan {
    calls: u64,
    rounds: u32,
}

impl Plan {
    /// Warms up, and finds how many calls fill a turn.
    fn of(pace: &Pace, turn: f64, mut time: impl FnMut(u64) -> Outcome<f64>) -> Outcome<Self> {
        let mut calls = 1;
        let mut seconds = time(calls)?;
        while seconds < turn / 4.0 && calls < 1 << 40 {
            calls *= 2;
            seconds = time(calls)?;
        }
        let one = seconds / calls as f64;
        // Where one call is longer than a turn, twice the time of all turns is enough.
        let affordable = (2.0 * f64::from(pace.rounds) * turn / one) as u32;
        Ok(Self { calls: ((turn / one) as u64).max(1), rounds: affordable.clamp(pace.least, pace.rounds) })
    }

    /// Whether the job has a turn in this round: its turns are spread over all of them.
    fn has_turn(&self, round: u32, rounds: u32) -> bool {
        round * self.rounds / rounds != (round + 1) * self.rounds / rounds
    }
}

fn timing(taken: &mut [f64]) -> Timing {
    taken.sort_by(f64::total_cmp);
    let median = quantile(taken, 0.5);
    let spread = (quantile(taken, 0.75) - quantile(taken, 0.25)) / median;
    Timing { seconds: median, spread, rounds: taken.len() as u32 }
}

/// Of sorted values, by linear interpolation.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * sorted.len().saturating_sub(1) as f64;
    let of = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    let (low, high) = (of(at as usize), of(at.ceil() as usize));
    low + (high - low) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_are_between_the_values() {
        let timing = timing(&mut [4.0, 1.0, 3.0, 2.0]);
        assert_eq!(timing, Timing { seconds: 2.5, spread: 1.5 / 2.5, rounds: 4 });
        assert_eq!(super::timing(&mut [2.0]), Timing { seconds: 2.0, spread: 0.0, rounds: 1 });
    }

    #[test]
    fn a_turn_is_filled_and_long_calls_have_fewer() {
        let plan = |seconds: f64| Plan::of(&Pace::FULL, 0.007, |calls| Ok(seconds * calls as f64)).unwrap();
        assert_eq!(plan(1e-6), Plan { calls: 7000, rounds: 15 });
        assert_eq!(plan(0.005), Plan { calls: 1, rounds: 15 });
        assert_eq!(plan(0.1), Plan { calls: 1, rounds: 5 });
        for rounds in 1..=15 {
            let plan = Plan { calls: 1, rounds };
            assert_eq!((0..15).filter(|round| plan.has_turn(*round, 15)).count(), rounds as usize);
        }
    }

    #[test]
    fn jobs_take_turns() {
        let mut order = Vec::new();
        let pace = Pace { rounds: 2, least: 2, ..Pace::QUICK };
        let turns = [Duration::from_nanos(1); 3];
        let timings = in_turn(
            &pace,
            &turns,
            |job, _| {
                order.push(job);
                Ok(())
            },
            |_, _| {},
        );
        assert_eq!(timings.unwrap().len(), 3);
        // After the warm-up, round by round.
        assert!(order.ends_with(&[0, 1, 2, 0, 1, 2]), "{order:?}");
    }
}
