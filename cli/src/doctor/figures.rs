//! Numbers in words, and what checks show, as events.

use crate::events::{self, Activations, Histogram, SweepPoint};
use slicewise::check::{RateJudgement, RatePoint, Verdict};
use slicewise::kernels::histogram;
use slicewise::monitor::ActivationStatistics;
use slicewise::{Network, Parallel};

const BINS: usize = 40;

/// The library's verdict as an event's.
pub(super) fn verdict(verdict: Verdict) -> events::Verdict {
    match verdict {
        Verdict::Pass => events::Verdict::Pass,
        Verdict::Warn => events::Verdict::Warn,
        Verdict::Fail => events::Verdict::Fail,
    }
}

/// A number in few digits: 0.05, 2.3026, 1.2e-7.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if !(1e-3..1e4).contains(&size) => format!("{value:.1e}").replace(".0e", "e"),
        size if size >= 100.0 => format!("{value:.0}"),
        size => {
            // Three digits that count.
            let places =
                [10.0, 1.0, 0.1, 0.01].iter().position(|limit| size >= *limit).map_or(5, |place| place + 1);
            let text = format!("{value:.places$}");
            text.trim_end_matches('0').trim_end_matches('.').into()
        }
    }
}

/// A share in per cent.
pub(super) fn percent(share: f64) -> String {
    let text = format!("{:.1}", 100.0 * share);
    format!("{}%", text.strip_suffix(".0").unwrap_or(&text))
}

/// A layer as in a model's file: `layers.2`.
pub(super) fn layer_name(index: usize) -> String {
    format!("layers.{index}")
}

/// A learning rate that was tried, as an event.
pub(super) fn sweep_point(point: &RatePoint) -> SweepPoint {
    SweepPoint {
        lr: point.learning_rate,
        loss: Some(point.loss).filter(|loss| loss.is_finite()),
        accuracy: point.accuracy,
        judgement: match point.judgement {
            RateJudgement::TooSmall => events::RateJudgement::TooSmall,
            RateJudgement::Usable => events::RateJudgement::Usable,
            RateJudgement::TooLarge => events::RateJudgement::TooLarge,
        },
    }
}

/// A layer's outputs for the first `rows` rows of the last step, as an event. Statistics that are no number are told as 0: a
/// network that exploded is told of in words.
pub(super) fn activations(
    net: &Network<'_, f32, impl Parallel>,
    rows: usize,
    index: usize,
    found: &ActivationStatistics,
) -> Activations {
    let outputs = net.outputs(index, rows).unwrap_or_default();
    let finite = |value: f64| if value.is_finite() { value } else { 0.0 };
    // Four standard deviations to each side of the mean; a width where there is none.
    let spread = if finite(found.std) > 0.0 { 4.0 * found.std } else { 1.0 };
    let (low, high) = (finite(found.mean) - spread, finite(found.mean) + spread);
    let mut counts = vec![0; BINS];
    histogram(outputs, low, high, &mut counts);
    Activations {
        layer: layer_name(index),
        mean: finite(found.mean),
        std: finite(found.std),
        zero_fraction: found.zero_fraction,
        saturated_fraction: found.saturated_fraction,
        dead_fraction: found.dead_fraction,
        histogram: Histogram { low, high, counts },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (0.05, "0.05"),
            (2.3001, "2.3"),
            (2.345, "2.35"),
            (0.1234, "0.123"),
            (45.67, "45.7"),
            (1234.5, "1234"),
            (1e-6, "1e-6"),
            (1.25e-7, "1.2e-7"),
            (1e6, "1e6"),
            (-0.00234, "-0.00234"),
        ] {
            assert_eq!(short(value), text);
        }
        assert_eq!((percent(0.5), percent(0.123)), ("50%".into(), "12.3%".into()));
    }
}
