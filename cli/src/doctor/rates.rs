//! The sweep of learning rates, and what it says of the asked one.

use super::figures::{short, sweep_point};
use super::patient::{Buffers, Patient, failed, room};
use crate::console::Progress;
use crate::error::Outcome;
use crate::events::Figure;
use slicewise::check::{RateJudgement, RatePoint, Sweep, sweep};
use slicewise::saved_len;
use slicewise::{Network, Parallel};

/// Steps at each learning rate.
pub(super) const SWEEP_STEPS: usize = 300;
/// Rates of 1 and 3 times each of these powers of ten are tried.
const LOWEST: i8 = -7;
const HIGHEST: i8 = 3;

/// The sweep.
#[derive(Debug, Clone)]
pub(super) struct Rates {
    pub(super) found: Sweep,
    pub(super) points: Vec<RatePoint>,
}

impl Rates {
    pub(super) fn measure(
        patient: &Patient<'_>,
        net: &mut Network<'_, f32, impl Parallel>,
        buffers: &mut Buffers,
    ) -> Outcome<Self> {
        let mut rates: Vec<f64> =
            (LOWEST..=HIGHEST).flat_map(|power| [1.0, 3.0].map(|x| x * libm::exp10(power.into()))).collect();
        rates.push(patient.options.lr);
        rates.sort_by(f64::total_cmp);
        rates.dedup_by(|a, b| (*a / *b - 1.0).abs() < 1e-9);
        let mut points = vec![RatePoint::NEW; rates.len()];
        let mut progress = Progress::new("learning-rate".into(), rates.len());
        let mut saved = room(saved_len(&patient.layers))?;
        let found = sweep(
            net,
            patient.rows(),
            &mut buffers.lend(),
            &patient.update(0.0),
            &rates,
            SWEEP_STEPS,
            patient.options.seed,
            &mut saved,
            &mut points,
            |done| progress.set(done, || format!("up to {}", short(rates[done - 1]))),
        )
        .map_err(failed)?;
        points.truncate(found.tried);
        Ok(Self { found, points })
    }

    /// What is to be thought of the asked rate.
    pub(super) fn judge(&self, learning_rate: f64) -> Option<RateJudgement> {
        let measured =
            self.points.iter().find(|point| (point.learning_rate / learning_rate - 1.0).abs() < 1e-9);
        self.found.judge(learning_rate).filter(|_| self.found.usable.is_some()).map(|judged| match measured {
            // Between usable rates it may explode nevertheless.
            Some(point) if point.exploded => RateJudgement::TooLarge,
            _ => judged,
        })
    }

    /// With a rate that did well in a longer run in the range: a network that begins with tiny weights moves late.
    pub(super) fn with(&self, learning_rate: f64) -> Self {
        let mut rates = self.clone();
        if let Some((low, _, high)) = &mut rates.found.usable {
            (*low, *high) = (low.min(learning_rate), high.max(learning_rate));
            for point in &mut rates.points {
                if (*low..=*high).contains(&point.learning_rate) && !point.exploded {
                    point.judgement = RateJudgement::Usable;
                }
            }
        }
        rates
    }

    /// What to do about a rate that cannot be used.
    pub(super) fn off(&self, learning_rate: f64) -> Option<String> {
        let (low, best, high) = self.found.usable?;
        let lr = short(learning_rate);
        let choose = format!("choose --lr {} ({} to {} can be used)", short(best), short(low), short(high));
        match self.judge(learning_rate)? {
            RateJudgement::TooSmall => Some(format!("the learning rate {lr} is too small: {choose}")),
            RateJudgement::TooLarge => Some(format!("the learning rate {lr} is too large: {choose}")),
            RateJudgement::Usable => None,
        }
    }

    /// The rates that were tried and the range that can be used, 0 where there is none.
    pub(super) fn figure(&self) -> Figure {
        let (low, suggested, high) = self.found.usable.unwrap_or_default();
        let points = self.points.iter().map(sweep_point).collect();
        Figure::Sweep { points, first_loss: self.found.first_loss, low, high, suggested }
    }
}
