//! What the spreads mean for training.

use super::experiment::Case;
use crate::events::InitLayer;
use crate::options::{Activation, Norm, name_of};
use slicewise::Init;

/// How a layer is at its first weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    Healthy,
    /// The values or the gradient become too small.
    Vanishing,
    /// They become too large.
    Exploding,
    /// Most values lie where the nonlinearity is flat.
    Saturated,
    /// Every value is the same, or most units give 0 to every row.
    Dead,
}

/// What is judged of a layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spread {
    std: f64,
    theory_std: f64,
    saturated_fraction: f64,
    zero_fraction: f64,
    dead_fraction: f64,
    grad_std: f64,
}

/// Values are too small or too large by this factor, beside the first layer's (and the first beside the inputs).
const VALUES: f64 = 10.0;
/// Gradients by this one, beside the last layer's: batch norm lets those of ten ReLU layers grow fivefold and trains well.
const GRADIENTS: f64 = 100.0;
/// Most values, or most units.
const MOST: f64 = 0.5;
/// Units that give 0 to every row: at random weights a good many do in deep ReLU networks, and learn all the same once
/// those below have moved.
const DEAD: f64 = 0.75;

impl Health {
    /// From the one that hides the others.
    const GRAVEST_FIRST: [Self; 4] = [Self::Dead, Self::Saturated, Self::Exploding, Self::Vanishing];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Vanishing => "vanishing",
            Self::Exploding => "exploding",
            Self::Saturated => "saturated",
            Self::Dead => "dead",
        }
    }
}

impl Spread {
    pub(super) fn of(layer: &InitLayer, dead_fraction: f64) -> Self {
        Self {
            std: layer.std,
            theory_std: layer.theory_std,
            saturated_fraction: layer.saturated_fraction,
            zero_fraction: layer.zero_fraction,
            dead_fraction,
            grad_std: layer.grad_std,
        }
    }
}

/// Each layer's health, the first's beside standard normal inputs.
pub(super) fn judge(layers: &[Spread]) -> Vec<Health> {
    let first = layers.first().map_or(1.0, |layer| layer.std);
    let before = [(1.0, 1.0)].into_iter().chain(layers.iter().map(|layer| (first, layer.std)));
    layers
        .iter()
        .zip(before)
        .map(|(layer, (reference, previous))| health(layer, reference, previous))
        .collect()
}

fn health(layer: &Spread, reference: f64, previous: f64) -> Health {
    let Spread { std, grad_std, .. } = *layer;
    if !std.is_finite() || !grad_std.is_finite() {
        return Health::Exploding;
    }
    // A spread that is 0 where it should not be has fallen below the smallest number.
    let constant = std == 0.0 && layer.theory_std == 0.0;
    if constant || std > 0.0 && (layer.dead_fraction > DEAD || layer.zero_fraction > 0.99) {
        return Health::Dead;
    }
    if layer.saturated_fraction > MOST {
        return Health::Saturated;
    }
    // A spread that stays where it is does no harm further on.
    if std > VALUES * reference && std > previous || grad_std > GRADIENTS {
        return Health::Exploding;
    }
    if std < reference / VALUES && std < previous || std == 0.0 || grad_std < 1.0 / GRADIENTS {
        return Health::Vanishing;
    }
    Health::Healthy
}

/// The gravest thing that happens, the first layer where it does, and how many layers it befalls.
pub(super) fn worst(layers: &[InitLayer]) -> Option<(Health, usize, usize)> {
    Health::GRAVEST_FIRST.into_iter().find_map(|health| {
        let mut of = layers.iter().filter(|layer| layer.verdict == health.name());
        let first = of.next()?;
        Some((health, first.layer, 1 + of.count()))
    })
}

/// What happens, why, and what to do next, in one or two sentences.
pub(super) fn advice(case: &Case, layers: &[InitLayer]) -> String {
    let Some((health, first, count)) = worst(layers) else {
        let shape = if layers.len() > 1 { per_layer(layers) } else { String::new() };
        return format!("healthy{shape}; train with {}", options(case));
    };
    let place = match count {
        1 => format!("layer {first}"),
        _ if count == layers.len() => "all layers".into(),
        _ => format!("{count} layers, from layer {first}"),
    };
    let name = name_of(&case.activation);
    let cause = match health {
        Health::Dead if case.init == Init::Zeros => {
            "the units of a layer all compute the same and get the same gradient, so that training never breaks their symmetry"
                .into()
        }
        Health::Dead => "most units give 0 to every row, and no gradient comes back through them".into(),
        Health::Saturated => {
            let most = layers.iter().map(|layer| layer.saturated_fraction).fold(0.0, f64::max);
            format!(
                "up to {:.0}% of the values lie where {name} is flat, and only the others learn{}",
                100.0 * most,
                per_layer(layers)
            )
        }
        Health::Exploding | Health::Vanishing => {
            format!("the spread does not hold{}", per_layer(layers))
        },
        Health::Healthy => String::new(),
    };
    format!("{} ({place}): {cause}; {}", health.name(), mend(case, health))
}

/// By what factors values and gradients change from layer to layer, in the geometric mean.
fn per_layer(layers: &[InitLayer]) -> String {
    let [first, .., last] = layers else { return String::new() };
    let steps = (layers.len() - 1) as f64;
    let factor = |from: f64, to: f64| libm::pow(to / from, 1.0 / steps);
    let said =
        |factor: f64| if factor.is_finite() { format!("times {factor:.2}") } else { "beyond 32 bits".into() };
    format!(
        ": values {} a layer, gradients {} on the way back",
        said(factor(first.std, last.std)),
        said(factor(last.grad_std, first.grad_std)),
    )
}

/// What to do next.
fn mend(case: &Case, health: Health) -> String {
    let suited = Init::Auto.before(case.layers.get(1..).unwrap_or_default());
    let suited_name = if suited == Init::He { "he" } else { "xavier" };
    let flat = matches!(case.activation, Activation::Sigmoid | Activation::SigmoidFast);
    if case.norm == Norm::Batch && case.init != Init::Zeros {
        return match health {
            Health::Exploding => "batch norm lets gradients grow with depth: use fewer layers".into(),
            _ if flat => "choose --activation relu or tanh".into(),
            _ => format!("choose --init {suited_name}"),
        };
    }
    if case.init == suited || flat && case.init != Init::Zeros {
        return match case.activation {
            Activation::Sigmoid | Activation::SigmoidFast => {
                "choose --activation relu or tanh, or --norm batch".into()
            }
            _ => "choose --norm batch, or fewer layers".into(),
        };
    }
    if case.init == Init::Zeros {
        return format!("draw the weights: --init {suited_name}");
    }
    format!("choose --init {suited_name}, or --norm batch")
}

/// The options that give a network this start.
fn options(case: &Case) -> String {
    let norm = if case.norm == Norm::Batch { "batch" } else { "none" };
    format!("--activation {} --init {} --norm {norm}", name_of(&case.activation), case.init_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVEN: Spread = Spread {
        std: 0.6,
        theory_std: 0.6,
        saturated_fraction: 0.1,
        zero_fraction: 0.5,
        dead_fraction: 0.2,
        grad_std: 1.0,
    };

    #[test]
    fn each_trouble_has_its_name() {
        let of = |spread| judge(&[EVEN, spread])[1];
        assert_eq!(of(EVEN), Health::Healthy);
        assert_eq!(of(Spread { std: 0.059, ..EVEN }), Health::Vanishing);
        assert_eq!(of(Spread { std: 6.1, ..EVEN }), Health::Exploding);
        assert_eq!(of(Spread { grad_std: 0.009, ..EVEN }), Health::Vanishing);
        assert_eq!(of(Spread { grad_std: 101.0, ..EVEN }), Health::Exploding);
        assert_eq!(of(Spread { saturated_fraction: 0.51, ..EVEN }), Health::Saturated);
        assert_eq!(of(Spread { dead_fraction: 0.76, ..EVEN }), Health::Dead);
        assert_eq!(of(Spread { std: 0.0, theory_std: 0.0, ..EVEN }), Health::Dead);
        // Underflow is the end of vanishing, and infinity that of exploding.
        assert_eq!(of(Spread { std: 0.0, zero_fraction: 1.0, ..EVEN }), Health::Vanishing);
        assert_eq!(of(Spread { std: f64::INFINITY, ..EVEN }), Health::Exploding);
        assert_eq!(of(Spread { grad_std: f64::NAN, ..EVEN }), Health::Exploding);
    }

    #[test]
    fn a_small_spread_that_stays_is_healthy_after_the_first_layer() {
        let small = Spread { std: 0.05, ..EVEN };
        assert_eq!(judge(&[small, small]), [Health::Vanishing, Health::Healthy]);
        let smaller = Spread { std: 0.004, ..EVEN };
        assert_eq!(judge(&[small, smaller, smaller])[1..], [Health::Vanishing, Health::Healthy]);
    }
}
