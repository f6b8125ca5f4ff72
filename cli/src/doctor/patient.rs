//! What is examined: the data, the network and the options, and the memory for trials.

use super::DoctorArgs;
use crate::args;
use crate::error::{Failure, Outcome};
use crate::inputs::{Inputs, Preprocess};
use crate::network;
use crate::options::{Options, name_of};
use crate::pool::Pool;
use crate::report::thousands;
use rand_pcg::Pcg64;
use slicewise::batches::shuffle;
use slicewise::check::{Lent, Rows};
use slicewise::{Element, Layer, Level, Network, Role, Update};

/// Rows to learn from, at most: a check is to be quick.
const ROWS: usize = 10_000;
/// Rows to validate on, at most.
const VALIDATION_ROWS: usize = 2_000;
/// Rows that a network is looked at with, if there are as many: a unit that is 0 for all of them is dead.
const PROBE: usize = 256;
/// Draws which rows, the same for every seed of the weights.
const SUBSET: u64 = 0;

/// All that the checks need to know.
#[derive(Debug)]
pub(super) struct Patient<'p> {
    pub(super) options: Options,
    /// Whether `--lr` was given.
    pub(super) asked_for_rate: bool,
    pub(super) layers: Vec<Layer>,
    pub(super) level: Level,
    pub(super) pool: &'p Pool,
    pub(super) train: Inputs,
    pub(super) validation: Inputs,
    pub(super) classes: usize,
    /// Rows in a step.
    pub(super) batch: usize,
    /// Rows that the network is looked at with.
    pub(super) probe: usize,
    bias: f64,
    /// The data in a line.
    summary: String,
}

impl<'p> Patient<'p> {
    pub(super) fn new(arguments: &DoctorArgs, pool: &'p Pool) -> Outcome<Self> {
        let DoctorArgs { data, widths, units, rates, rule, machine, .. } = arguments;
        let level = network::level(machine.level)?;
        let mut splits = data.source().load(data.label.as_deref())?;
        let (rows, shape) = (splits.train.len(), splits.train.shape);
        let options = args::options(data, widths, units, rates, rule, None, rows, shape.channels)?;
        let preprocess = Preprocess::fit(level, &splits.train, &options)?;
        let width = preprocess.width();
        let layers = network::layers(&network::describe(&options, width, splits.classes.len()));
        let (train, validation) =
            (subset(splits.train.len(), ROWS), subset(splits.validation.len(), VALIDATION_ROWS));
        splits.train = splits.train.select(&train);
        splits.validation = splits.validation.select(&validation);
        if arguments.shuffle_labels {
            for table in [&mut splits.train, &mut splits.validation] {
                let mut order = vec![0; table.labels.len()];
                shuffle(options.seed, 0, &mut order);
                table.labels = order.iter().map(|&row| table.labels[row as usize]).collect();
            }
        }
        let batch = options.batch.min(splits.train.len());
        if batch == 1 && network::normalises(&layers) {
            return Err(Failure::unusable("batch norm needs --batch 2 or more; or choose --norm none"));
        }
        let of = if splits.train.len() < rows {
            format!("a fixed {} of {} rows", thousands(splits.train.len()), thousands(rows))
        } else {
            format!("{} rows", thousands(rows))
        };
        let summary = format!(
            "{}: {of} to train on, {} to validate; {}\n{}; {}, learning rate {}, batches of {}, seed {}\n",
            splits.name,
            thousands(splits.validation.len()),
            shape,
            network::summary(&options, width, splits.classes.len()),
            name_of(&options.optimizer),
            options.lr,
            batch,
            options.seed,
        );
        Ok(Self {
            asked_for_rate: rates.lr.is_some(),
            train: preprocess.inputs(level, &splits.train)?,
            validation: preprocess.inputs(level, &splits.validation)?,
            classes: splits.classes.len(),
            probe: PROBE.min(splits.train.len()),
            bias: arguments.bias,
            options,
            layers,
            level,
            pool,
            batch,
            summary,
        })
    }

    pub(super) fn heading(&self) -> String {
        self.summary.clone()
    }

    /// The first `rows` rows.
    pub(super) fn first(&self, rows: usize) -> (&[f32], &[u32]) {
        (&self.train.values[..rows * self.train.width], &self.train.labels[..rows])
    }

    /// All rows to train on.
    pub(super) fn rows(&self) -> Rows<'_, f32> {
        Rows { inputs: &self.train.values, labels: &self.train.labels }
    }

    /// The rule, at a learning rate.
    pub(super) fn update(&self, learning_rate: f64) -> Update {
        Update {
            optimizer: network::optimizer(&self.options),
            learning_rate,
            regularisation: self.options.reg,
        }
    }

    /// The layers without dropout, which keeps a network from learning anything by heart.
    pub(super) fn layers_without_dropout(&self) -> Vec<Layer> {
        let is_dropout = |layer: &&Layer| matches!(layer, Layer::Dropout { .. });
        self.layers.iter().filter(|layer| !is_dropout(layer)).copied().collect()
    }

    /// A network with its first weights in `arena`.
    pub(super) fn bind<'a>(
        &self,
        layers: &'a [Layer],
        rows: usize,
        arena: &'a mut [f32],
    ) -> Outcome<Network<'a, f32, &'p Pool>> {
        let refused = |error| Failure::unusable(format!("this network cannot be: {error}"));
        let mut net = Network::bind_on(layers, rows, self.level, self.pool, arena).map_err(refused)?;
        net.set_seed(self.options.seed);
        // As in training: the shuffles are drawn from (seed, epoch), and stream 0 is free.
        net.initialise(network::init(&self.options), &mut Pcg64::new(self.options.seed.into(), 0))
            .map_err(refused)?;
        if self.bias != 0.0 {
            let last = layers.len() - 1;
            for (layer, role) in (0..last).flat_map(|layer| [(layer, Role::Bias), (layer, Role::Beta)]) {
                if let Some(tensor) = net.tensor_mut(layer, role) {
                    tensor.fill(self.bias as f32);
                }
            }
        }
        Ok(net)
    }
}

/// Memory that trials take beside the network.
#[derive(Debug)]
pub(super) struct Buffers {
    order: Vec<u32>,
    inputs: Vec<f32>,
    labels: Vec<u32>,
}

impl Buffers {
    pub(super) fn new(patient: &Patient<'_>) -> Self {
        Self {
            order: vec![0; patient.train.labels.len()],
            inputs: vec![0.0; patient.batch * patient.train.width],
            labels: vec![0; patient.batch],
        }
    }

    pub(super) fn lend(&mut self) -> Lent<'_, f32> {
        Lent { order: &mut self.order, inputs: &mut self.inputs, labels: &mut self.labels }
    }
}

/// Room for so many values. What the machine does not have is told in one line.
pub(super) fn room<T: Element>(len: usize) -> Outcome<Vec<T>> {
    let mut values = Vec::new();
    values.try_reserve_exact(len).map_err(|_| {
        let size = crate::report::bytes(len.saturating_mul(size_of::<T>()));
        Failure::unusable(format!(
            "checking this network needs {size} of memory, which is not there: choose a smaller --hidden or --batch"
        ))
    })?;
    values.resize(len, T::default());
    Ok(values)
}

/// What to say where a check cannot run.
pub(super) fn failed(error: slicewise::Error) -> Failure {
    Failure::failed(format!("the checks: {error}"))
}

/// At most `most` rows of `len`, always the same.
fn subset(len: usize, most: usize) -> Vec<usize> {
    let mut order = vec![0; len];
    shuffle(SUBSET, 0, &mut order);
    order.truncate(most);
    order.into_iter().map(|row| row as usize).collect()
}
