//! Between the options, the trainer's layers and a model file's.

use crate::error::{Failure, Outcome};
use crate::model::{LayerSpec, Model, OPTIMIZER_STATE, tensor_name};
use crate::options::{self, Norm, Options};
use crate::tensors::{Tensor, Tensors, transpose};
use slicewise::{Activation, BatchNorm, Init, Layer, Level, Momentum, Network, Optimizer, Parallel, Role};

/// Pieces of a maxout unit.
pub(crate) const PIECES: usize = 2;

/// The network that the options describe: for each hidden layer dense, norm, nonlinearity and dropout, then dense.
pub(crate) fn describe(options: &Options, features: usize, classes: usize) -> Vec<LayerSpec> {
    let mut layers = Vec::new();
    let mut width = features;
    for &units in &options.hidden.0 {
        let maxout = options.activation == options::Activation::Maxout;
        let outputs = if maxout { units * PIECES } else { units };
        layers.push(LayerSpec::Dense { inputs: width, outputs });
        if options.norm == Norm::Batch {
            let BatchNorm { epsilon, momentum, .. } = BatchNorm::DEFAULT;
            layers.push(LayerSpec::BatchNorm { features: outputs, epsilon, momentum: momentum.weight(0) });
        }
        layers.push(nonlinearity(options.activation));
        if options.dropout > 0.0 {
            layers.push(LayerSpec::Dropout { probability: options.dropout });
        }
        width = units;
    }
    layers.push(LayerSpec::Dense { inputs: width, outputs: classes });
    layers
}

/// A nonlinearity with the program's slope, alpha and pieces.
pub(crate) fn nonlinearity(activation: options::Activation) -> LayerSpec {
    match activation {
        options::Activation::Relu => LayerSpec::Relu,
        options::Activation::LeakyRelu => LayerSpec::LeakyRelu { slope: 0.01 },
        options::Activation::Elu => LayerSpec::Elu { alpha: 1.0 },
        options::Activation::Sigmoid => LayerSpec::Sigmoid,
        options::Activation::Tanh => LayerSpec::Tanh,
        options::Activation::SigmoidFast => LayerSpec::SigmoidFast,
        options::Activation::TanhFast => LayerSpec::TanhFast,
        options::Activation::GeluFast => LayerSpec::GeluFast,
        options::Activation::Selu => LayerSpec::Selu,
        options::Activation::Gelu => LayerSpec::Gelu,
        options::Activation::GeluTanh => LayerSpec::GeluTanh,
        options::Activation::Silu => LayerSpec::Silu,
        options::Activation::Softplus => LayerSpec::Softplus,
        options::Activation::HardSigmoid => LayerSpec::HardSigmoid,
        options::Activation::HardTanh => LayerSpec::HardTanh,
        options::Activation::HardSwish => LayerSpec::HardSwish,
        options::Activation::Identity => LayerSpec::Identity,
        options::Activation::Maxout => LayerSpec::Maxout { pieces: PIECES },
    }
}

/// The options' initialiser.
pub(crate) fn init(options: &Options) -> Init {
    initialiser(options.init)
}

/// The trainer's name of an initialiser.
pub(crate) fn initialiser(init: options::Init) -> Init {
    match init {
        options::Init::Auto => Init::Auto,
        options::Init::He => Init::He,
        options::Init::Xavier => Init::Xavier,
        options::Init::GlorotUniform => Init::GlorotUniform,
        options::Init::Lecun => Init::LeCun,
        options::Init::Normal(deviation) => Init::Normal(deviation),
        options::Init::Zeros => Init::Zeros,
    }
}

/// The options' update rule.
pub(crate) fn optimizer(options: &Options) -> Optimizer {
    let momentum = options.momentum;
    match options.optimizer {
        options::Optimizer::Sgd => Optimizer::Sgd,
        options::Optimizer::Momentum => Optimizer::Momentum { momentum },
        options::Optimizer::Nesterov => Optimizer::Nesterov { momentum },
        options::Optimizer::Adam => Optimizer::adam(),
        options::Optimizer::Adamw => Optimizer::adam_w(),
        options::Optimizer::Rmsprop => Optimizer::rms_prop(),
        options::Optimizer::Adagrad => Optimizer::adagrad(),
    }
}

/// The network in one line: `64-128-64-10, batch norm, relu`. `inputs` are what it sees of a row.
pub(crate) fn summary(options: &Options, inputs: usize, classes: usize) -> String {
    let widths = [inputs].into_iter().chain(options.hidden.0.iter().copied()).chain([classes]);
    let mut line = widths.map(|width| width.to_string()).collect::<Vec<_>>().join("-");
    if !options.hidden.0.is_empty() {
        if options.norm == Norm::Batch {
            line += ", batch norm";
        }
        line += ", ";
        line += &options::name_of(&options.activation);
        if options.dropout > 0.0 {
            line += &format!(", dropout {}", options.dropout);
        }
    }
    line
}

/// The trainer's layers.
pub(crate) fn layers(specs: &[LayerSpec]) -> Vec<Layer> {
    specs
        .iter()
        .map(|spec| match *spec {
            LayerSpec::Dense { inputs, outputs } => Layer::dense(inputs, outputs),
            LayerSpec::BatchNorm { features, epsilon, momentum } => Layer::BatchNorm {
                features,
                config: BatchNorm { epsilon, momentum: Momentum::Fixed(momentum), ..BatchNorm::DEFAULT },
            },
            LayerSpec::Relu => Layer::relu(),
            LayerSpec::LeakyRelu { slope } => Layer::leaky_relu(slope),
            LayerSpec::Elu { alpha } => Layer::elu(alpha),
            LayerSpec::Sigmoid => Layer::sigmoid(),
            LayerSpec::Tanh => Layer::tanh(),
            LayerSpec::SigmoidFast => Layer::Activation(Activation::SigmoidFast),
            LayerSpec::GeluFast => Layer::Activation(Activation::GeluFast),
            LayerSpec::TanhFast => Layer::Activation(Activation::TanhFast),
            LayerSpec::Selu => Layer::Activation(Activation::Selu),
            LayerSpec::Gelu => Layer::Activation(Activation::Gelu),
            LayerSpec::GeluTanh => Layer::Activation(Activation::GeluTanh),
            LayerSpec::Silu => Layer::Activation(Activation::Silu),
            LayerSpec::Softplus => Layer::Activation(Activation::Softplus),
            LayerSpec::HardSigmoid => Layer::Activation(Activation::HardSigmoid),
            LayerSpec::HardTanh => Layer::Activation(Activation::HardTanh),
            LayerSpec::HardSwish => Layer::Activation(Activation::HardSwish),
            LayerSpec::Identity => Layer::Activation(Activation::Identity),
            LayerSpec::Maxout { pieces } => Layer::maxout(pieces),
            LayerSpec::Dropout { probability } => Layer::dropout(probability),
        })
        .collect()
}

/// Trainable numbers.
pub(crate) fn parameters(layers: &[Layer]) -> usize {
    layers
        .iter()
        .map(|layer| match layer {
            Layer::Dense { inputs, outputs } => (inputs + 1) * outputs,
            Layer::BatchNorm { features, .. } => 2 * features,
            _ => 0,
        })
        .sum()
}

/// Whether a step needs two rows.
pub(crate) fn normalises(layers: &[Layer]) -> bool {
    layers.iter().any(|layer| matches!(layer, Layer::BatchNorm { .. }))
}

/// A tensor's last name in a model file.
const fn file_name(role: Role) -> &'static str {
    match role {
        Role::Weight | Role::Gamma => "weight",
        Role::Bias | Role::Beta => "bias",
        Role::RunningMean => "running_mean",
        Role::RunningVariance => "running_var",
    }
}

/// Every tensor that the layers may have, with its name in a model file.
fn places(layers: &[Layer]) -> impl Iterator<Item = (usize, &Layer, Role, String)> {
    layers.iter().enumerate().flat_map(|(index, layer)| {
        Role::ALL.into_iter().map(move |role| (index, layer, role, tensor_name(index, file_name(role))))
    })
}

/// The names of the weight matrices.
pub(crate) fn matrices(layers: &[Layer]) -> Vec<String> {
    places(layers)
        .filter(|(_, layer, role, _)| matches!((layer, role), (Layer::Dense { .. }, Role::Weight)))
        .map(|(.., name)| name)
        .collect()
}

/// `||update|| / ||weights||` of each tensor in the last step; those that were 0 before it have none.
pub(crate) fn update_ratios(net: &Network<'_, f32, impl Parallel>) -> Vec<(String, f64)> {
    places(net.layers())
        .filter_map(|(index, _, role, name)| Some((name, net.update_ratio(index, role)?)))
        .filter(|(_, ratio)| ratio.is_finite())
        .collect()
}

/// The network's tensors as a model file holds them.
pub(crate) fn export(net: &Network<'_, f32, impl Parallel>) -> Tensors {
    places(net.layers())
        .filter_map(|(index, layer, role, name)| Some((name, tensor(layer, role, net.tensor(index, role)?))))
        .collect()
}

/// A tensor as a model file holds it.
fn tensor(layer: &Layer, role: Role, values: &[f32]) -> Tensor {
    match (layer, role) {
        (Layer::Dense { inputs, outputs }, Role::Weight) => Tensor::transposed(values, *inputs, *outputs),
        _ => Tensor::vector(values),
    }
}

/// A network's tensors at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Snapshot(Vec<(usize, Role, Vec<f32>)>);

impl Snapshot {
    /// Those of a network, in the memory of the last ones.
    pub(crate) fn take(&mut self, net: &Network<'_, f32, impl Parallel>) {
        let mut room = std::mem::take(&mut self.0).into_iter().map(|(.., values)| values);
        let tensors = places(net.layers())
            .filter_map(|(index, _, role, _)| Some((index, role, net.tensor(index, role)?)));
        let tensors = tensors.map(|(index, role, values)| {
            let mut to = room.next().unwrap_or_default();
            to.clear();
            to.extend_from_slice(values);
            (index, role, to)
        });
        self.0 = tensors.collect();
    }

    /// Sets those of a network with the same layers.
    pub(crate) fn restore(&self, net: &mut Network<'_, f32, impl Parallel>) {
        for (index, role, values) in &self.0 {
            if let Some(to) = net.tensor_mut(*index, *role) {
                to.copy_from_slice(values);
            }
        }
    }

    /// As a model file holds them.
    pub(crate) fn export(&self, layers: &[Layer]) -> Tensors {
        let named = |(index, role, values): &(usize, Role, Vec<f32>)| {
            (tensor_name(*index, file_name(*role)), tensor(&layers[*index], *role, values))
        };
        self.0.iter().map(named).collect()
    }
}

/// The update rule's memory.
pub(crate) fn export_state(net: &Network<'_, f32, impl Parallel>, options: &Options) -> Tensor {
    let slots = optimizer(options).state_slots();
    let state = net.optimizer_state();
    Tensor::vector(&state.into_iter().take(slots).flatten().copied().collect::<Vec<_>>())
}

/// Sets the tensors of a network with the model's layers.
pub(crate) fn import(model: &Model, net: &mut Network<'_, f32, impl Parallel>) {
    import_prefixed(model, "", net);
}

/// As [`import`], from the tensors whose names begin with `prefix`.
pub(crate) fn import_prefixed(model: &Model, prefix: &str, net: &mut Network<'_, f32, impl Parallel>) {
    let layers = net.layers();
    for (index, layer, role, name) in places(layers) {
        let Some(to) = net.tensor_mut(index, role) else { continue };
        let values = model.values(&format!("{prefix}{name}"));
        // `Model::read` has compared every shape with its layer's.
        match (layer, role) {
            (Layer::Dense { inputs, outputs }, Role::Weight) => {
                to.copy_from_slice(&transpose(values, *outputs, *inputs));
            }
            _ => to.copy_from_slice(values),
        }
    }
}

/// Sets the update rule's memory from a checkpoint.
pub(crate) fn import_state(
    model: &Model,
    net: &mut Network<'_, f32, impl Parallel>,
    options: &Options,
) -> Outcome<()> {
    let slots = optimizer(options).state_slots();
    let values = model.values(OPTIMIZER_STATE);
    let [first, second] = net.optimizer_state_mut();
    let len = first.len();
    if values.len() != slots * len || values.iter().any(|value| !value.is_finite()) {
        return Err(Failure::unusable(format!("tensor {OPTIMIZER_STATE} does not fit the network")));
    }
    for (to, values) in [first, second].into_iter().zip(values.chunks_exact(len)) {
        to.copy_from_slice(values);
    }
    Ok(())
}

/// Sets the tensors of a network with the same layers.
pub(crate) fn copy(from: &Network<'_, f32, impl Parallel>, to: &mut Network<'_, f32, impl Parallel>) {
    for (index, _, role, _) in places(from.layers()) {
        if let (Some(from), Some(to)) = (from.tensor(index, role), to.tensor_mut(index, role)) {
            to.copy_from_slice(from);
        }
    }
}

/// Memory for a network: zeros that begin on a cache line.
#[derive(Debug)]
pub(crate) struct Memory {
    values: Vec<f32>,
    start: usize,
    len: usize,
}

impl Memory {
    const LINE: usize = 16;

    /// Room for so many values. What the machine does not have is told in one line.
    pub(crate) fn new(len: usize) -> Outcome<Self> {
        let mut values: Vec<f32> = Vec::new();
        let whole = len.saturating_add(Self::LINE);
        values.try_reserve_exact(whole).map_err(|_| {
            let size = crate::report::bytes(len.saturating_mul(4));
            Failure::unusable(format!(
                "this network needs {size} of memory, which is not there: choose a smaller --hidden or --batch"
            ))
        })?;
        values.resize(whole, 0.0);
        let start = values.as_ptr().align_offset(Self::LINE * 4).min(Self::LINE);
        Ok(Self { values, start, len })
    }

    pub(crate) fn slice(&mut self) -> &mut [f32] {
        &mut self.values[self.start..][..self.len]
    }
}

/// The level that `--level` names.
pub(crate) fn level(choice: options::LevelChoice) -> Outcome<Level> {
    if choice == options::LevelChoice::Auto {
        return Ok(Level::detect());
    }
    let name = options::name_of(&choice);
    Level::by_name(&name)
        .ok_or_else(|| Failure::unusable(format!("--level {name}: this CPU does not have it; choose auto")))
}
