//! Before training: the gradient, the first loss, the penalty, and whether a few rows can be learned by heart.

use super::advice::Condition;
use super::figures::{percent, short, verdict};
use super::patient::{Buffers, Patient, failed, room};
use super::rates::Rates;
use crate::console::Progress;
use crate::error::Outcome;
use crate::events::{Check, Figure, Verdict};
use crate::model::tensor_name;
use crate::network::Memory;
use slicewise::check::{
    self, GradientCheck, InitialLoss, Overfit, Parameter, Regularisation, Sample, equal_units, gradient,
    initial_loss, inputs, overfit, regularisation, signal,
};
use slicewise::{Network, Parallel, Role, arena_len, arena_len_on, saved_len};

/// Rows of the gradient check: two for batch norm, and a few more.
const GRADIENT_ROWS: usize = 8;
/// Parameters of each tensor that it looks at.
const GRADIENT_SAMPLE: usize = 32;
/// Rows that the first loss is measured on.
const LOSS_ROWS: usize = 2_000;
/// The penalty's lambda, as in the lecture.
const REG: f64 = 1e3;
/// Rows to learn by heart, as in the lecture, and the steps for it.
const FEW: usize = 20;
const FEW_STEPS: usize = 1_000;
/// Where neither the asked learning rate nor the sweep's best does, these are tried for the few rows, for fewer steps.
const RATE_STEPS: usize = 300;
const RATES: [f64; 9] = [1.0, 0.1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8];

/// What later checks ask of these.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) condition: Condition,
    pub(super) initial: InitialLoss,
    pub(super) rates: Rates,
    /// Whether the few rows could be learned at the asked rate.
    pub(super) learns: bool,
}

/// The first four checks.
pub(super) fn examine(patient: &Patient<'_>, tell: &mut dyn FnMut(Check) -> Outcome<()>) -> Outcome<Start> {
    let layers = &patient.layers;
    let batch = patient.probe.max(patient.batch);
    let mut memory = Memory::new(arena_len_on(layers, batch, patient.pool.threads()))?;
    let mut net = patient.bind(layers, batch, memory.slice())?;
    let condition = condition(patient, &mut net)?;
    let cause = condition.cause(patient);

    tell(gradient_check(&twin(patient, &net)?))?;
    let (values, labels) = patient.first(LOSS_ROWS.min(patient.train.labels.len()));
    let initial = initial_loss(&mut net, values, labels).map_err(failed)?;
    tell(initial_check(patient, &initial, cause.as_deref()))?;
    let (values, labels) = patient.first(patient.probe);
    let mut saved = room(saved_len(layers))?;
    let penalty = regularisation(&mut net, values, labels, REG, &mut saved).map_err(failed)?;
    tell(penalty_check(&penalty, &condition))?;
    // Here, so that a rate that is too small or too large is told with one that does.
    let rates = Rates::measure(patient, &mut net, &mut Buffers::new(patient))?;
    let few = Few::learn(patient, &rates)?;
    let learns = few.asked.verdict() == check::Verdict::Pass;
    tell(few.check(patient, &rates, cause))?;
    Ok(Start { condition, initial, rates, learns })
}

/// The inputs, and what comes through the untrained network.
fn condition(patient: &Patient<'_>, net: &mut Network<'_, f32, impl Parallel>) -> Outcome<Condition> {
    let (values, labels) = patient.first(patient.probe);
    net.loss(values, labels).map_err(failed)?;
    Ok(Condition {
        inputs: inputs(patient.level, patient.train.width, &patient.train.values).map_err(failed)?,
        signal: signal(net, patient.probe, |_, _| ()).map_err(failed)?,
        equal: equal_units(net),
    })
}

/// The gradients of a network of the same weights in f64.
fn twin(patient: &Patient<'_>, net: &Network<'_, f32, impl Parallel>) -> Outcome<GradientCheck> {
    let rows = GRADIENT_ROWS.min(patient.train.labels.len());
    let mut arena = room::<f64>(arena_len(&patient.layers, rows))?;
    let mut twin = Network::bind(&patient.layers, rows, patient.level, &mut arena).map_err(failed)?;
    twin.set_seed(patient.options.seed);
    for layer in 0..patient.layers.len() {
        for role in Role::ALL {
            if let (Some(from), Some(to)) = (net.tensor(layer, role), twin.tensor_mut(layer, role)) {
                to.iter_mut().zip(from).for_each(|(to, from)| *to = f64::from(*from));
            }
        }
    }
    let (values, labels) = patient.first(rows);
    let values: Vec<f64> = values.iter().copied().map(f64::from).collect();
    let sample = Sample { per_tensor: GRADIENT_SAMPLE, seed: patient.options.seed };
    let tensors = (0..patient.layers.len())
        .flat_map(|layer| Role::ALL.map(|role| twin.gradient(layer, role)))
        .flatten()
        .map(|tensor| tensor.len().min(GRADIENT_SAMPLE))
        .sum();
    let mut progress = Progress::new("gradient".into(), tensors);
    let mut done = 0;
    gradient(&mut twin, &values, labels, &sample, |_, gradient| {
        done += 1;
        progress.set(done, String::new);
        gradient
    })
    .map_err(failed)
}

fn gradient_check(found: &GradientCheck) -> Check {
    let at = found.at.filter(|_| found.verdict() != check::Verdict::Pass);
    let place = at.map_or_else(String::new, |Parameter { layer, role, index }| {
        format!(
            " at {}[{index}]: analytic {}, numeric {}",
            tensor_name(layer, role.name()),
            short(found.analytic),
            short(found.numeric)
        )
    });
    let kinks = match found.excused {
        0 => String::new(),
        excused => format!("; {excused} next to a kink, where a smaller step was taken"),
    };
    Check {
        name: "gradient".into(),
        expected: "relative error below 1e-7 between the analytic gradient and centred differences, in f64".into(),
        measured: format!("{}{place}; {} parameters{kinks}", short(found.worst), found.checked),
        verdict: verdict(found.verdict()),
        advice: match found.verdict() {
            check::Verdict::Pass => "none needed: the backward pass is right".into(),
            check::Verdict::Warn => {
                "larger than rounding explains: scale inputs and weights to about 1, and look at that tensor's backward pass"
                    .into()
            }
            check::Verdict::Fail => {
                "the backward pass of that tensor's layer, or of one after it, is wrong: nothing else counts before it is mended"
                    .into()
            }
        },
        figure: None,
    }
}

fn initial_check(patient: &Patient<'_>, found: &InitialLoss, cause: Option<&str>) -> Check {
    let InitialLoss { expected, loss, accuracy } = *found;
    let verdict = verdict(found.verdict());
    Check {
        name: "initial-loss".into(),
        expected: format!("ln {} = {expected:.6}, or up to 0.5 more", patient.classes),
        measured: format!("{loss:.6}, accuracy {accuracy:.3}"),
        verdict,
        advice: match (verdict, cause) {
            (Verdict::Pass, _) => "none needed: the untrained network favours no class".into(),
            (_, Some(cause)) => cause.into(),
            (_, None) if loss < expected => {
                "an untrained network knows something: look for the labels among the inputs".into()
            }
            (_, None) => {
                "the first logits are too large: start with smaller weights, as of --init auto".into()
            }
        },
        figure: None,
    }
}

fn penalty_check(found: &Regularisation, condition: &Condition) -> Check {
    let verdict = verdict(found.verdict());
    Check {
        name: "regularization".into(),
        expected: format!("reg 1e3 raises the loss by 0.5 * 1e3 * sum W^2 = {}", exact(found.expected)),
        measured: format!(
            "{} (from {:.6} to {}), relative error {}",
            exact(found.rise()),
            found.without,
            exact(found.with),
            short(found.relative_error())
        ),
        verdict,
        advice: match (verdict, condition.equal_units()) {
            (Verdict::Pass, _) => "none needed: the penalty and its gradient are right".into(),
            (Verdict::Warn, Some(equal)) => format!("there are no weights but 0 to hold down; {equal}"),
            (Verdict::Warn, None) => "every weight is 0: choose --init auto".into(),
            (Verdict::Fail, _) => {
                "the penalty or its gradient is wrong: train with --reg 0 until it is mended".into()
            }
        },
        figure: None,
    }
}

/// A number with the digits that show a relative error of 1e-6.
fn exact(value: f64) -> String {
    if value.abs() >= 1e6 || (value != 0.0 && value.abs() < 1e-3) {
        format!("{value:.6e}")
    } else {
        format!("{value:.6}")
    }
}

/// Learning a few rows by heart, at the asked rate and, where it does not do, at others.
#[derive(Debug)]
struct Few {
    asked: Overfit,
    /// The losses of the shown run, step by step.
    losses: Vec<f64>,
    /// Another rate that did.
    other: Option<(f64, Overfit)>,
    rows: usize,
}

impl Few {
    fn learn(patient: &Patient<'_>, rates: &Rates) -> Outcome<Self> {
        let layers = patient.layers_without_dropout();
        let rows = FEW.min(patient.train.labels.len());
        let mut memory = Memory::new(arena_len_on(&layers, rows, patient.pool.threads()))?;
        let mut progress = Progress::new("overfit-small".into(), RATES.len() + 2);
        let (values, labels) = patient.first(rows);
        let mut attempt = |learning_rate: f64, steps: usize| -> Outcome<(Overfit, Vec<f64>)> {
            let mut net = patient.bind(&layers, rows, memory.slice())?;
            let update = slicewise::Update { regularisation: 0.0, ..patient.update(learning_rate) };
            let mut losses = Vec::new();
            let found = overfit(&mut net, values, labels, &update, steps, |report| losses.push(report.loss))
                .map_err(failed)?;
            Ok((found, losses))
        };
        let lr = patient.options.lr;
        let (asked, mut losses) = attempt(lr, FEW_STEPS)?;
        let mut other = None;
        if asked.verdict() != check::Verdict::Pass {
            let best = rates.found.usable.map(|(_, best, _)| best);
            let best = best.map(|best| (best, FEW_STEPS));
            for (done, (rate, steps)) in
                best.into_iter().chain(RATES.map(|rate| (rate, RATE_STEPS))).enumerate()
            {
                progress.set(done + 1, || format!("learning rate {}", short(rate)));
                let (found, of_rate) = attempt(rate, steps)?;
                if found.verdict() == check::Verdict::Pass {
                    other = Some((rate, found));
                    losses = of_rate;
                    break;
                }
            }
        }
        losses.retain(|loss| loss.is_finite());
        Ok(Self { asked, losses, other, rows })
    }

    fn check(self, patient: &Patient<'_>, rates: &Rates, cause: Option<String>) -> Check {
        let lr = patient.options.lr;
        let passed = self.asked.verdict() == check::Verdict::Pass;
        let mut measured = format!("{} at learning rate {}", run(&self.asked), short(lr));
        let (verdict, advice) = match (passed, self.other) {
            (true, _) => (Verdict::Pass, "none needed: forward, backward and update work together".into()),
            (false, Some((rate, found))) => {
                measured += &format!("; {} at {}", run(&found), short(rate));
                let advice = rates.off(lr).unwrap_or_else(|| {
                    let (lr, size) = (short(lr), if lr < rate { "small" } else { "large" });
                    format!("the learning rate {lr} is too {size} for so few rows: try --lr {}", short(rate))
                });
                let advice = format!("the network can learn, the rate is at fault: {advice}");
                // Full batches of a few rows may ask for another rate than training does.
                (Verdict::Warn, advice)
            }
            (false, None) => {
                let tried = format!("{} to {}", short(RATES[RATES.len() - 1]), short(RATES[0]));
                measured += &format!("; no better at any of {tried}");
                let advice = cause.unwrap_or_else(|| {
                    "no learning rate helps, so that the network or its backward pass is at fault: see the gradient above; try \
                     more units, --init auto and --norm batch"
                        .into()
                });
                (Verdict::Fail, advice)
            }
        };
        Check {
            name: "overfit-small".into(),
            expected: format!(
                "{} rows learned by heart without regularisation: accuracy 1, loss below {}",
                self.rows,
                Overfit::LOSS
            ),
            measured,
            verdict,
            advice,
            figure: Some(Figure::Curve { unit: "step".into(), values: self.losses }),
        }
    }
}

fn run(found: &Overfit) -> String {
    let steps = found.steps;
    if found.exploded {
        return format!("the loss exploded after {steps} step{}", if steps == 1 { "" } else { "s" });
    }
    format!("accuracy {}, loss {:.6} after {steps} steps", percent(found.accuracy), found.loss)
}
