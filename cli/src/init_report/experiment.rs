//! The experiment: networks of one kind, seed after seed.

use super::verdict::{self, Spread};
use crate::console::Progress;
use crate::error::{Failure, Outcome};
use crate::events::{Histogram, InitLayer};
use crate::network::{self, Memory};
use crate::options::{self, Norm, name_of};
use rand_pcg::Pcg64;
use slicewise::kernels::{fill_normal, histogram};
use slicewise::monitor::{mean_and_std, statistics};
use slicewise::theory::{Expected, Signal, hidden_layers};
use slicewise::{Activation, Error, Init, Layer, Level, Network, arena_len};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Bins of a histogram: the lecture's thirty.
const BINS: usize = 30;
/// What is drawn from one seed: the weights, the rows and the gradient at the last layer's outputs.
const WEIGHTS: u128 = 0;
const ROWS: u128 = 1;
const GRADIENT: u128 = 2;

/// A network and its first weights.
#[derive(Debug)]
pub(crate) struct Case {
    pub(super) layers: Vec<Layer>,
    /// Units of a hidden layer.
    width: usize,
    pub(super) activation: options::Activation,
    pub(super) norm: Norm,
    pub(super) init: Init,
    /// As it was asked for, `auto` too.
    asked: options::Init,
}

/// How it is measured.
#[derive(Debug)]
pub(crate) struct Experiment {
    pub(super) samples: usize,
    pub(super) seed: u64,
    pub(super) seeds: usize,
    pub(super) level: Level,
    pub(super) threads: usize,
}

/// A hidden layer of one network.
#[derive(Debug, Clone, Default)]
struct Measured {
    mean: f64,
    std: f64,
    zero_fraction: f64,
    saturated_fraction: f64,
    dead_fraction: f64,
    grad_std: f64,
    counts: [u64; BINS],
}

impl Case {
    pub(super) fn new(
        depth: usize,
        width: usize,
        activation: options::Activation,
        norm: Norm,
        init: options::Init,
    ) -> Self {
        let pieces = if activation == options::Activation::Maxout { network::PIECES } else { 1 };
        let norm_layer = (norm == Norm::Batch).then_some(Layer::batch_norm(width * pieces));
        let mut block = vec![Layer::dense(width, width * pieces)];
        block.extend(norm_layer);
        block.extend(network::layers(&[network::nonlinearity(activation)]));
        let layers = block.repeat(depth);
        Self {
            layers,
            width,
            activation,
            norm,
            init: network::initialiser(init).before(&block[1..]),
            asked: init,
        }
    }

    /// The first weights in a word; what `auto` stands for.
    pub(super) fn init_name(&self) -> String {
        match (self.asked, self.init) {
            (options::Init::Auto, Init::He) => "he".into(),
            (options::Init::Auto, _) => "xavier".into(),
            (asked, _) => asked.to_string(),
        }
    }

    /// `tanh, normal:0.01, batch norm`.
    fn name(&self) -> String {
        let norm = if self.norm == Norm::Batch { ", batch norm" } else { "" };
        format!("{}, {}{norm}", name_of(&self.activation), self.init_name())
    }

    /// The nonlinearities' places among the layers.
    fn places(&self) -> impl Iterator<Item = usize> {
        let is_nonlinearity = |layer: &Layer| matches!(layer, Layer::Activation(_) | Layer::Maxout { .. });
        self.layers
            .iter()
            .enumerate()
            .filter(move |(_, layer)| is_nonlinearity(layer))
            .map(|(index, _)| index)
    }

    /// The nonlinearity; the identity for maxout, whose outputs are never saturated.
    fn function(&self) -> Activation {
        match self.layers.last() {
            Some(Layer::Activation(activation)) => *activation,
            _ => Activation::Identity,
        }
    }

    /// The histograms' range: that of the nonlinearity, otherwise three deviations of the inputs. What lies beyond counts in the bins
    /// at the ends, so that values that explode pile up there.
    fn range(&self) -> (f64, f64) {
        match self.function() {
            Activation::Tanh | Activation::TanhFast | Activation::HardTanh => (-1.0, 1.0),
            Activation::Sigmoid | Activation::SigmoidFast | Activation::HardSigmoid => (0.0, 1.0),
            Activation::Relu => (0.0, 3.0),
            Activation::Elu { alpha } => (-alpha, 3.0),
            _ => (-3.0, 3.0),
        }
    }
}

impl Experiment {
    /// The layers' means over all seeds, beside the theory. The same bits whatever the threads.
    pub(super) fn run(&self, case: &Case) -> Outcome<Vec<InitLayer>> {
        let threads = self.threads.clamp(1, self.seeds);
        let done = AtomicUsize::new(0);
        // Thread t does every `threads`-th seed from the t-th on; this one is the first, and shows how far all are.
        let share =
            |first: usize, progress: Option<&mut Progress>| self.share(case, first, threads, &done, progress);
        let shares: Vec<Vec<Vec<Measured>>> = thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|first| scope.spawn(move || share(first, None))).collect();
            let mut progress = Progress::new(case.name(), self.seeds);
            let own = share(0, Some(&mut progress));
            let joined = others.into_iter().map(|other| {
                other.join().unwrap_or_else(|_| Err(Failure::failed("a thread of the experiment stopped")))
            });
            std::iter::once(own).chain(joined).collect::<Outcome<_>>()
        })?;
        let networks: Vec<&Vec<Measured>> =
            (0..self.seeds).filter_map(|seed| shares[seed % threads].get(seed / threads)).collect();
        summarise(case, &networks)
    }

    fn share(
        &self,
        case: &Case,
        first: usize,
        threads: usize,
        done: &AtomicUsize,
        mut progress: Option<&mut Progress>,
    ) -> Outcome<Vec<Vec<Measured>>> {
        let values = self.samples.saturating_mul(case.width);
        let too_large = |_| {
            Failure::unusable(
                "this experiment needs more memory than there is: choose a smaller --layers, --width or --samples",
            )
        };
        let mut memory = Memory::new(arena_len(&case.layers, self.samples)).map_err(too_large)?;
        let (mut rows, mut gradient) =
            (Memory::new(values).map_err(too_large)?, Memory::new(values).map_err(too_large)?);
        let failed = |error: Error| Failure::failed(format!("{}: {error}", case.name()));
        let mut net =
            Network::bind(&case.layers, self.samples, self.level, memory.slice()).map_err(failed)?;
        (first..self.seeds)
            .step_by(threads)
            .map(|index| {
                let seed = self.seed.wrapping_add(index as u64);
                let measured =
                    measure(case, &mut net, seed, rows.slice(), gradient.slice()).map_err(failed)?;
                let finished = done.fetch_add(1, Ordering::Relaxed) + 1;
                if let Some(progress) = &mut progress {
                    progress.set(finished, || format!("{finished} of {} seeds", self.seeds));
                }
                Ok(measured)
            })
            .collect()
    }
}

/// One network, forward and back, in memory for its rows and for the gradient.
fn measure(
    case: &Case,
    net: &mut Network<'_, f32>,
    seed: u64,
    rows: &mut [f32],
    gradient: &mut [f32],
) -> Result<Vec<Measured>, Error> {
    let generator = |stream| Pcg64::new(seed.into(), stream);
    net.initialise(case.init, &mut generator(WEIGHTS))?;
    fill_normal(net.level(), &mut generator(ROWS), 0.0, 1.0, rows)?;
    net.forward(rows)?;
    let (level, count) = (net.level(), rows.len() / case.width);
    let mut layers = Vec::new();
    for place in case.places() {
        let outputs = net.outputs(place, count).unwrap_or_default();
        let of = statistics(level, case.function(), case.width, outputs)?;
        layers.push(Measured {
            mean: of.mean,
            std: of.std,
            zero_fraction: of.zero_fraction,
            saturated_fraction: of.saturated_fraction,
            dead_fraction: of.dead_fraction,
            grad_std: 0.0,
            counts: counts(outputs, case.range()),
        });
    }
    fill_normal(level, &mut generator(GRADIENT), 0.0, 1.0, gradient)?;
    let places: Vec<usize> = case.places().collect();
    net.backward_from(rows, gradient, |place, dy| {
        if let Ok(index) = places.binary_search(&place) {
            layers[index].grad_std = mean_and_std(level, dy).1;
        }
    })?;
    Ok(layers)
}

/// A histogram whose end bins hold what lies beyond them too.
fn counts(values: &[f32], (low, high): (f64, f64)) -> [u64; BINS] {
    let mut counts = [0; BINS];
    histogram(values, low, high, &mut counts);
    counts[0] += values.iter().filter(|value| f64::from(**value) < low).count() as u64;
    counts[BINS - 1] += values.iter().filter(|value| f64::from(**value) > high).count() as u64;
    counts
}

/// Means over the networks, beside the theory, with verdicts.
fn summarise(case: &Case, networks: &[&Vec<Measured>]) -> Outcome<Vec<InitLayer>> {
    let theory: Vec<Expected> = hidden_layers(&case.layers, case.init, Signal::STANDARD)
        .collect::<Result<_, _>>()
        .map_err(|error| Failure::failed(format!("{}: {error}", case.name())))?;
    let count = networks.len() as f64;
    let (low, high) = case.range();
    let mut dead = Vec::new();
    let mut layers: Vec<InitLayer> = Vec::new();
    for (index, expected) in theory.iter().enumerate() {
        let of = || networks.iter().filter_map(|network| network.get(index));
        let mean = |value: fn(&Measured) -> f64| of().map(value).sum::<f64>() / count;
        let std = mean(|layer| layer.std);
        let squares: f64 = of().map(|layer| (layer.std - std) * (layer.std - std)).sum();
        let sums = of().fold(vec![0; BINS], |sums, layer| {
            sums.iter().zip(&layer.counts).map(|(sum, count)| sum + count).collect()
        });
        dead.push(mean(|layer| layer.dead_fraction));
        layers.push(InitLayer {
            case: case.name(),
            layer: index + 1,
            mean: mean(|layer| layer.mean),
            std,
            seed_std: libm::sqrt(squares / (count - 1.0).max(1.0)),
            theory_std: expected.std,
            zero_fraction: mean(|layer| layer.zero_fraction),
            saturated_fraction: mean(|layer| layer.saturated_fraction),
            grad_std: mean(|layer| layer.grad_std),
            // From the last layer's outputs, where it is 1, back to this one's.
            theory_grad_std: theory[index + 1..].iter().map(|later| later.gradient_gain).product(),
            verdict: String::new(),
            histogram: Histogram { low, high, counts: sums },
        });
    }
    let spreads: Vec<Spread> =
        layers.iter().zip(&dead).map(|(layer, dead)| Spread::of(layer, *dead)).collect();
    for (layer, health) in layers.iter_mut().zip(verdict::judge(&spreads)) {
        layer.verdict = health.name().into();
    }
    Ok(layers)
}
