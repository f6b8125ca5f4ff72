//! In training: the learning rate, the activations, the updates, the course of the loss, and other rows.

use super::advice::LABELS;
use super::figures::{activations, layer_name, percent, short, verdict};
use super::patient::{Buffers, Patient, failed, room};
use super::rates::{Rates, SWEEP_STEPS};
use super::start::Start;
use crate::console::Progress;
use crate::error::Outcome;
use crate::events::{Activations, Check, Figure, Verdict};
use crate::model::tensor_name;
use crate::network::Memory;
use slicewise::check::{
    Gap, LossCurve, LossShape, RateJudgement, Signal, Trial, UPDATE_RATIO, add_update_ratios,
    judge_update_ratio, loss_curve, signal, trial,
};
use slicewise::{Layer, Network, Parallel, Saved, arena_len_on, saved_len};

/// Steps of the run that everything else is read from.
const RUN_STEPS: usize = 800;
/// Where in it the update ratios are read: after warm-up, and before there is nothing left to learn.
const RATIO_STEPS: core::ops::Range<usize> = 200..400;
/// A run that ends below this share of the first loss did well, whatever a short sweep says of its rate.
const WELL: f64 = 0.5;
/// Rows that the accuracy on learned rows is measured on.
const SEEN_ROWS: usize = 2_000;

/// The last five checks.
pub(super) fn examine(
    patient: &Patient<'_>,
    start: &Start,
    tell: &mut dyn FnMut(Check) -> Outcome<()>,
) -> Outcome<()> {
    let layers = &patient.layers;
    let mut memory =
        Memory::new(arena_len_on(layers, patient.probe.max(patient.batch), patient.pool.threads()))?;
    let mut net = patient.bind(layers, patient.probe.max(patient.batch), memory.slice())?;
    let mut buffers = Buffers::new(patient);
    let run = Run::measure(patient, &mut net, &mut buffers)?;
    let lr = patient.options.lr;
    let did_well = !run.trial.exploded && run.trial.loss < WELL * start.rates.found.first_loss;
    let rates = if did_well { start.rates.with(lr) } else { start.rates.clone() };
    let cause = Cause { patient, start, rates: &rates, run: &run };
    tell(cause.learning_rate())?;
    tell(cause.activations())?;
    tell(cause.update_ratio())?;
    tell(cause.loss_curve())?;
    tell(cause.gap())
}

/// A run at the asked learning rate.
struct Run {
    trial: Trial,
    losses: Vec<f64>,
    curve: LossCurve,
    /// The mean ratio of each layer with weights, after warm-up.
    ratios: Vec<(String, f64)>,
    /// The hidden layers before it, and what the library makes of them.
    before: Vec<Activations>,
    /// Those after it.
    after: Signal,
    gap: Gap,
}

impl Run {
    fn measure(
        patient: &Patient<'_>,
        net: &mut Network<'_, f32, impl Parallel>,
        buffers: &mut Buffers,
    ) -> Outcome<Self> {
        let mut saved = room(saved_len(&patient.layers))?;
        let saved = Saved::new(net, &mut saved).map_err(failed)?;
        let (values, labels) = patient.first(patient.probe);
        let mut before = Vec::new();
        net.loss(values, labels).map_err(failed)?;
        signal(net, patient.probe, |index, layer| before.push(activations(net, patient.probe, index, layer)))
            .map_err(failed)?;
        // Running statistics moved.
        saved.restore(net).map_err(failed)?;

        let (mut losses, mut sums, mut counted) = (Vec::new(), vec![0.0; patient.layers.len()], 0u32);
        let mut progress = Progress::new("loss-curve".into(), RUN_STEPS);
        let update = patient.update(patient.options.lr);
        let mut unfit = None;
        let run = trial(
            net,
            patient.rows(),
            &mut buffers.lend(),
            &update,
            patient.options.seed,
            RUN_STEPS,
            |net, report| {
                if RATIO_STEPS.contains(&losses.len()) {
                    unfit = add_update_ratios(net, &mut sums).err();
                    counted += 1;
                }
                losses.push(report.loss);
                progress.set(losses.len(), || format!("loss {:.4}", report.loss));
            },
        )
        .map_err(failed)?;
        if let Some(error) = unfit {
            return Err(failed(error));
        }
        let weighted = patient.layers.iter().zip(&sums).enumerate();
        let ratios = weighted
            .filter(|(_, (layer, _))| matches!(layer, Layer::Dense { .. }))
            .map(|(index, (_, sum))| (tensor_name(index, "weight"), sum / f64::from(counted)))
            .collect();

        let seen = patient.first(SEEN_ROWS.min(patient.train.labels.len()));
        let seen = net.evaluate(seen.0, seen.1).map_err(failed)?;
        let others = &patient.validation;
        let unseen = net.evaluate(&others.values, &others.labels).map_err(failed)?;
        net.loss(values, labels).map_err(failed)?;
        let after = signal(net, patient.probe, |_, _| ()).map_err(failed)?;
        let curve = loss_curve(&losses);
        losses.retain(|loss| loss.is_finite());
        Ok(Self {
            trial: run,
            losses,
            curve,
            ratios,
            before,
            after,
            gap: Gap {
                train: seen.accuracy(),
                validation: unseen.accuracy(),
                commonest: commonest(&others.labels, patient.classes),
                rows: others.labels.len(),
            },
        })
    }
}

/// The share of the commonest class.
fn commonest(labels: &[u32], classes: usize) -> f64 {
    let mut counts = vec![0u32; classes];
    labels.iter().for_each(|&label| counts[label as usize] += 1);
    f64::from(counts.into_iter().max().unwrap_or(0)) / labels.len() as f64
}

/// All that was measured, to tell causes from consequences.
struct Cause<'a> {
    patient: &'a Patient<'a>,
    start: &'a Start,
    rates: &'a Rates,
    run: &'a Run,
}

impl Cause<'_> {
    /// Whether rows are learned, if only by heart, and nothing of it holds for others.
    fn labels_are_off(&self) -> bool {
        self.start.learns
            && self.run.gap.is_chance()
            && self.rate_is_off().is_none()
            && self.run.after.dead.0 <= 0.5
            && !self.run.trial.exploded
    }

    fn judgement(&self) -> Option<RateJudgement> {
        self.rates.judge(self.patient.options.lr)
    }

    /// Why training does not get on, in the order in which one would mend it.
    fn why(&self) -> String {
        if let Some(advice) = self.rate_is_off() {
            return advice;
        }
        if self.labels_are_off()
            || (self.start.learns && self.judgement().is_none() && self.run.gap.is_chance())
        {
            return LABELS.into();
        }
        self.start.condition.cause(self.patient).unwrap_or_else(|| {
            "neither the inputs nor the first weights explain it: try more units, --norm batch or another --optimizer".into()
        })
    }

    fn rate_is_off(&self) -> Option<String> {
        self.rates.off(self.patient.options.lr)
    }

    fn learning_rate(&self) -> Check {
        let Rates { found, points } = self.rates;
        let (lr, run) = (self.patient.options.lr, self.run);
        let given = if self.patient.asked_for_rate { "" } else { ", the default," };
        let tried = match &points[..] {
            [first, .., last] => format!("{} to {}", short(first.learning_rate), short(last.learning_rate)),
            _ => "none".into(),
        };
        let Some((low, best, high)) = found.usable else {
            return Check {
                name: "learning-rate".into(),
                expected: "a range of rates at which the loss falls".into(),
                measured: format!(
                    "from {:.4} the loss falls at none of {tried} within {SWEEP_STEPS} steps",
                    found.first_loss
                ),
                verdict: Verdict::Fail,
                advice: format!("the learning rate is not at fault: {}", self.why()),
                figure: Some(self.rates.figure()),
            };
        };
        let (verdict, advice) = match (self.judgement(), self.rate_is_off()) {
            (Some(RateJudgement::TooSmall), Some(advice)) => {
                let (before, after) = (self.start.initial.accuracy, run.trial.accuracy);
                let course = format!(
                    "; in {} steps the loss moved from {:.6} to {:.6}",
                    run.trial.steps, self.start.initial.loss, run.trial.loss
                );
                let climbs = if after > before + 0.02 {
                    format!(
                        " while accuracy rose from {before:.3} to {after:.3}: the scores are still diffuse, so that accuracy \
                         can rise first, and is no sign of a good rate"
                    )
                } else {
                    String::new()
                };
                (Verdict::Fail, advice + &course + &climbs)
            }
            (_, Some(advice)) => (Verdict::Fail, advice),
            (_, None) => (
                Verdict::Pass,
                format!(
                    "best within {SWEEP_STEPS} steps is {}; look for the best of whole runs between {} and {}",
                    short(best),
                    short(low),
                    short(high)
                ),
            ),
        };
        Check {
            name: "learning-rate".into(),
            expected: format!("{}{given} within the range at which the loss falls", short(lr)),
            measured: format!(
                "usable from {} to {}, lowest loss at {}; tried {tried}, {SWEEP_STEPS} steps each",
                short(low),
                short(high),
                short(best)
            ),
            verdict,
            advice,
            figure: Some(self.rates.figure()),
        }
    }

    fn activations(&self) -> Check {
        let condition = &self.start.condition;
        let (before, after) = (&condition.signal, &self.run.after);
        let inputs = &condition.inputs;
        let mut measured = format!("inputs {} ± {}", short(inputs.mean), short(inputs.std));
        if before.layers > 0 {
            measured += &format!(
                "; spread {} in the first hidden layer, {} in the last; at most {} dead, {} saturated; after training {} dead",
                short(before.first_std),
                short(before.last_std),
                percent(before.dead.0),
                percent(before.saturated.0),
                percent(after.dead.0),
            );
        }
        let trained_dead = after.dead.0 > 0.5 && before.dead.0 <= 0.5 && !self.run.trial.exploded;
        let inputs_off = condition.inputs_off(self.patient);
        let equal = condition.equal_units();
        let mut worst = verdict(before.verdict()).max(verdict(inputs.verdict()));
        if equal.is_some() {
            worst = Verdict::Fail;
        }
        if trained_dead {
            worst = worst.max(Verdict::Warn);
        }
        let advice = equal
            .or_else(|| condition.dead())
            // A vanishing signal has its own cause; large or off-centre inputs come before what they lead to.
            .or_else(|| inputs_off.filter(|_| before.verdict() != slicewise::check::Verdict::Fail))
            .or_else(|| condition.size())
            .or_else(|| condition.inputs_off(self.patient))
            .or_else(|| {
                trained_dead.then(|| {
                    format!(
                        "{} of the units of {} died in training: choose a lower --lr, --norm batch or --activation leaky-relu",
                        percent(after.dead.0),
                        layer_name(after.dead.1)
                    )
                })
            });
        let advice = match (worst, advice) {
            (Verdict::Pass, _) => "none needed: the signal keeps its size".into(),
            (_, Some(advice)) => advice,
            (_, None) => {
                let (share, layer) = before.dead;
                format!(
                    "{} of the units of {} are dead for {} rows: --norm batch or --activation leaky-relu bring them back",
                    percent(share),
                    layer_name(layer),
                    self.patient.probe
                )
            }
        };
        Check {
            name: "activations".into(),
            expected: "inputs about 0 ± 1; layers that keep their spread, few dead units, little saturation"
                .into(),
            measured,
            verdict: worst,
            advice,
            figure: Some(Figure::Layers { layers: self.run.before.clone() }),
        }
    }

    fn update_ratio(&self) -> Check {
        let (low, high) = UPDATE_RATIO;
        let expected =
            format!("||update|| / ||W|| about 1e-3 after warm-up: {} to {}", short(low), short(high));
        let (ratios, condition) = (&self.run.ratios, &self.start.condition);
        let name = "update-ratio".into();
        let steps = self.run.trial.steps;
        if steps < RATIO_STEPS.end {
            return Check {
                name,
                expected,
                measured: format!("the loss exploded after {steps} steps"),
                verdict: Verdict::Fail,
                advice: self.why(),
                figure: None,
            };
        }
        // The one furthest off decides.
        let distance = |ratio: f64| if ratio > 0.0 { libm::log(ratio / 1e-3).abs() } else { f64::INFINITY };
        let worst = ratios.iter().max_by(|a, b| distance(a.1).total_cmp(&distance(b.1)));
        let worst = worst.map_or(0.0, |(_, ratio)| *ratio);
        let judged = verdict(judge_update_ratio(worst));
        let lr = short(self.patient.options.lr);
        let advice = match (judged, self.rate_is_off()) {
            (Verdict::Pass, _) => "none needed: the weights move at a good pace".into(),
            (_, Some(advice)) => advice,
            (_, None) if worst == 0.0 || condition.cause(self.patient).is_some() => self.why(),
            (_, None) if worst < low => format!("the weights hardly move: raise --lr from {lr}"),
            (_, None) => format!("the weights are thrown about: lower --lr from {lr}"),
        };
        let tensors: Vec<(String, f64)> =
            ratios.iter().filter(|(_, ratio)| ratio.is_finite()).cloned().collect();
        let measured =
            ratios.iter().map(|(name, ratio)| format!("{name} {}", short(*ratio))).collect::<Vec<_>>();
        Check {
            name,
            expected,
            measured: format!(
                "{}, mean of steps {} to {}",
                measured.join(", "),
                RATIO_STEPS.start + 1,
                RATIO_STEPS.end
            ),
            verdict: judged,
            advice,
            figure: Some(Figure::Ratios { tensors }),
        }
    }

    fn loss_curve(&self) -> Check {
        let LossCurve { first, last, plateau, shape } = self.run.curve;
        let steps = self.run.trial.steps;
        let shape = if self.run.trial.exploded { LossShape::Exploding } else { shape };
        let words = match shape {
            LossShape::Good => "falls and levels off",
            LossShape::Flat => "barely falls: far too low a learning rate, or nothing to learn",
            LossShape::Linear => "still falls in a straight line: a low learning rate",
            LossShape::Stalled => "falls fast and stalls: a high learning rate, or a small model",
            LossShape::Plateau => "stays long and then drops: a bad initialisation",
            LossShape::Exploding => "explodes: far too high a learning rate",
        };
        let judged = match shape {
            LossShape::Exploding => Verdict::Fail,
            _ => verdict(self.run.curve.verdict()),
        };
        let lr = short(self.patient.options.lr);
        let advice = match (shape, self.rate_is_off()) {
            (LossShape::Good, _) => "none needed".into(),
            (_, Some(advice)) => advice,
            (LossShape::Linear, None) if !self.labels_are_off() => {
                format!("raise --lr from {lr}, or train for more epochs")
            }
            (LossShape::Stalled, None) if !self.labels_are_off() => {
                format!("lower --lr from {lr} in the course of training (--lr-decay), or take more units")
            }
            (LossShape::Plateau, None) if !self.labels_are_off() => format!(
                "{} of the steps went by before anything happened: start with larger weights, as of --init auto",
                percent(plateau)
            ),
            (LossShape::Exploding, None) => format!("lower --lr from {lr}"),
            _ => self.why(),
        };
        let course = if steps < RUN_STEPS || !last.is_finite() {
            format!("stopped after {steps} steps")
        } else {
            format!("from {first:.4} to {last:.4} in {steps} steps")
        };
        Check {
            name: "loss-curve".into(),
            expected: "falls fast, then levels off low".into(),
            measured: format!("{course}: {words}"),
            verdict: judged,
            advice,
            figure: Some(Figure::Curve { unit: "step".into(), values: self.run.losses.clone() }),
        }
    }

    fn gap(&self) -> Check {
        let gap = &self.run.gap;
        let judged = if self.run.trial.exploded { Verdict::Fail } else { verdict(gap.verdict()) };
        let (judged, advice) = match judged {
            Verdict::Pass if gap.gap() < Gap::SMALL => {
                (Verdict::Pass, "there is hardly a gap: a larger model may learn more".into())
            }
            Verdict::Pass => (Verdict::Pass, "none needed: what is learned holds for other rows".into()),
            Verdict::Warn if gap.gap() > Gap::LARGE => {
                (Verdict::Warn, "the model overfits: raise --reg or --dropout, or get more rows".into())
            }
            Verdict::Warn => {
                (Verdict::Warn, "no gap, and much still wrong: take more units or more steps".into())
            }
            Verdict::Fail => (Verdict::Fail, self.why()),
        };
        Check {
            name: "generalization-gap".into(),
            expected: format!(
                "validation above guessing ({:.3}), less than {} below the accuracy on learned rows",
                gap.commonest,
                Gap::LARGE
            ),
            measured: if self.run.trial.exploded {
                format!("the loss exploded after {} steps", self.run.trial.steps)
            } else {
                format!(
                    "{:.4} on learned rows, {:.4} on {} others: a gap of {:.4}",
                    gap.train,
                    gap.validation,
                    gap.rows,
                    gap.gap()
                )
            },
            verdict: judged,
            advice,
            figure: None,
        }
    }
}
