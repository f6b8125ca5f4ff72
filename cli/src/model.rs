//! A trained network as a file: `model.safetensors` to use, `checkpoint.safetensors` to go on training.
//!
//! Tensors have the names of a PyTorch module with the layers in `self.layers = nn.Sequential(...)`:
//!
//! | layer | tensors |
//! |---|---|
//! | dense | `layers.{i}.weight` (outputs, inputs), `layers.{i}.bias` (outputs) |
//! | batch norm | `layers.{i}.weight` (gamma), `.bias` (beta), `.running_mean`, `.running_var`, each (features) |
//!
//! `preprocess.mean` and `preprocess.scale` (features) turn a row into the network's input, `(x - mean) * scale`. Where the
//! description names principal components, `preprocess.basis` (components, features) has their directions, and the input is
//! `basis ((x - mean) * scale)`, times `preprocess.whiten` (components) where they are whitened.
//!
//! A checkpoint has `optimizer.state` beside them, the update rule's memory in the trainer's own order, and the tensors
//! of the best epoch so far as `best.layers.{i}...`.

use crate::data::{Shape, Source};
use crate::error::{Failure, Outcome};
use crate::files;
use crate::options::Options;
use crate::tensors::{self, Tensor, Tensors};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The model's name in a run's directory.
pub(crate) const MODEL: &str = "model.safetensors";
/// The checkpoint's name in a run's directory.
pub(crate) const CHECKPOINT: &str = "checkpoint.safetensors";
/// The update rule's memory.
pub(crate) const OPTIMIZER_STATE: &str = "optimizer.state";
/// What is subtracted from each feature.
pub(crate) const MEAN: &str = "preprocess.mean";
/// What each centred feature is multiplied by.
pub(crate) const SCALE: &str = "preprocess.scale";

/// The directions of the principal components.
pub(crate) const BASIS: &str = "preprocess.basis";
/// What each principal component is multiplied by.
pub(crate) const WHITEN: &str = "preprocess.whiten";
/// What stands before the names of the best epoch's tensors.
pub(crate) const BEST: &str = "best.";

/// The version of the description. A reader refuses a later one.
const FORMAT: u32 = 1;

/// A network and everything that is needed to use it or to go on training it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Model {
    pub(crate) description: Description,
    pub(crate) tensors: Tensors,
}

/// What the tensors mean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Description {
    pub(crate) format: u32,
    /// From the input to the logits.
    pub(crate) layers: Vec<LayerSpec>,
    /// What an input row is.
    pub(crate) shape: Shape,
    /// Names of the classes, in the order of the outputs.
    pub(crate) classes: Vec<String>,
    /// Where the training data came from.
    pub(crate) data: Source,
    /// The label column of a CSV, by name.
    pub(crate) label: Option<String>,
    /// The principal components that the layers see instead of the features.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) components: Option<Components>,
    /// In a checkpoint: how far the training is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) training: Option<Training>,
}

impl Description {
    /// The description of a model to use.
    pub(crate) fn new(layers: Vec<LayerSpec>, shape: Shape, classes: Vec<String>, options: &Options) -> Self {
        let (data, label) = (options.data.clone(), options.label.clone());
        let components = (options.pca.is_some() || options.whiten)
            .then(|| Components { count: options.pca.unwrap_or(shape.features()), whiten: options.whiten });
        Self { format: FORMAT, layers, shape, classes, data, label, components, training: None }
    }
}

/// Principal components.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Components {
    pub(crate) count: usize,
    /// Each is divided by its standard deviation.
    pub(crate) whiten: bool,
}

/// One layer. `serde` names the fields as they stand in the file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum LayerSpec {
    /// `y = x W + b`
    Dense { inputs: usize, outputs: usize },
    /// `y = gamma (x - mean) / sqrt(var + epsilon) + beta`
    BatchNorm { features: usize, epsilon: f64, momentum: f64 },
    /// max(0, x)
    Relu,
    /// x where x > 0, otherwise slope x
    LeakyRelu { slope: f64 },
    /// x where x > 0, otherwise alpha (exp(x) - 1)
    Elu { alpha: f64 },
    /// 1 / (1 + exp(-x))
    Sigmoid,
    /// tanh(x)
    Tanh,
    /// 1 / (1 + exp(-x)) without a division, within 5 units of the last place
    SigmoidFast,
    /// tanh(x) without a division, within 8 units of the last place
    TanhFast,
    /// x Phi(x) without a division, within 9 units of the last place
    GeluFast,
    /// 1.0507 x where x > 0, otherwise 1.7581 (exp(x) - 1)
    Selu,
    /// x Phi(x), Phi the normal distribution
    Gelu,
    /// x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2
    GeluTanh,
    /// x / (1 + exp(-x))
    Silu,
    /// ln(1 + exp(x))
    Softplus,
    /// x / 6 + 1 / 2 between 0 and 1
    HardSigmoid,
    /// x between -1 and 1
    HardTanh,
    /// x times hard-sigmoid(x)
    HardSwish,
    /// x
    Identity,
    /// The largest of `pieces` inputs for each unit: with n units, inputs u, n + u, 2n + u, ... for unit u
    Maxout { pieces: usize },
    /// Units dropped in training
    Dropout { probability: f64 },
}

/// How far a run is. Every epoch's randomness follows from the seed and the epoch's number, so that nothing else
/// is needed to go on to the same bits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Training {
    pub(crate) options: Options,
    /// Epochs done.
    pub(crate) epoch: u32,
    /// Updates done.
    pub(crate) steps: u64,
    /// The loss of the very first step, from which a diverging run is told.
    pub(crate) first_loss: f64,
    /// The data's checksum.
    pub(crate) checksum: u32,
    /// The instructions the epochs ran with.
    pub(crate) level: String,
    /// The best epoch so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) best: Option<BestEpoch>,
}

/// The epoch whose weights are kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct BestEpoch {
    /// From 1.
    pub(crate) epoch: u32,
    /// Validation accuracy.
    pub(crate) val_acc: f64,
    /// Validation loss, which decides between equal accuracies; the largest number where it is not finite.
    pub(crate) val_loss: f64,
}

impl Model {
    /// Reads a model or a checkpoint; a directory stands for the model in it.
    pub(crate) fn read(path: &Path) -> Outcome<Self> {
        let path = if path.is_dir() { path.join(MODEL) } else { path.to_path_buf() };
        let bytes = files::read(&path)?;
        Self::decode(&bytes).map_err(|message| Failure::unusable(message).at(path.display()))
    }

    /// Reads the checkpoint of a run's directory.
    pub(crate) fn read_checkpoint(directory: &Path) -> Outcome<(Self, Training)> {
        let path: PathBuf = directory.join(CHECKPOINT);
        if !path.exists() {
            let message = format!("holds no {CHECKPOINT}: --resume names the directory given to --out");
            return Err(Failure::unusable(message).at(directory.display()));
        }
        let model = Self::read(&path)?;
        let training = model.description.training.clone().ok_or_else(|| {
            Failure::unusable("is a model, no checkpoint: a run cannot go on from it").at(path.display())
        })?;
        Ok((model, training))
    }

    /// Writes the file in one step.
    pub(crate) fn write(&self, path: &Path) -> Outcome<()> {
        files::write_atomically(path, &self.encode()?)
    }

    fn encode(&self) -> Outcome<Vec<u8>> {
        let description = serde_json::to_string(&self.description)
            .map_err(|error| Failure::failed(format!("cannot write the description: {error}")))?;
        tensors::encode(&description, &self.tensors)
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let (description, tensors) = tensors::decode(bytes)?;
        check_format(&description)?;
        let description: Description = serde_json::from_str(&description)
            .map_err(|error| format!("the description of the network is damaged: {error}"))?;
        description.check()?;
        let model = Self { description, tensors };
        for (name, shape) in model.description.expected() {
            model.check_tensor(&name, &shape)?;
        }
        Ok(model)
    }

    /// The values of a tensor that `decode` has seen, or that this program has put in.
    pub(crate) fn values(&self, name: &str) -> &[f32] {
        self.tensors.get(name).map_or(&[], |tensor| &tensor.values)
    }

    fn check_tensor(&self, name: &str, shape: &[usize]) -> Result<(), String> {
        let tensor: &Tensor = self
            .tensors
            .get(name)
            .ok_or_else(|| format!("tensor {name} is missing, or its type is not f32"))?;
        if tensor.shape != shape {
            return Err(format!("tensor {name} has the shape {:?}, its layer needs {shape:?}", tensor.shape));
        }
        if let Some(index) = tensor.values.iter().position(|value| !value.is_finite()) {
            return Err(format!(
                "tensor {name} holds {} at {index}: the file is damaged",
                tensor.values[index]
            ));
        }
        Ok(())
    }
}

impl Description {
    /// The layers fit each other, the data and the classes.
    fn check(&self) -> Result<(), String> {
        let features = [self.shape.channels, self.shape.height, self.shape.width]
            .iter()
            .try_fold(1usize, |product, &size| product.checked_mul(size))
            .filter(|&features| features > 0)
            .ok_or("the description names an impossible image size")?;
        if let Some(Components { count, .. }) = self.components
            && !(1..=features).contains(&count)
        {
            return Err(format!("the description names {count} components of {features} features"));
        }
        let mut width = self.components.map_or(features, |components| components.count);
        for (index, layer) in self.layers.iter().enumerate() {
            let (wanted, outputs) = match *layer {
                LayerSpec::Dense { inputs, outputs } => (inputs, outputs),
                LayerSpec::BatchNorm { features, .. } => (features, features),
                LayerSpec::Maxout { pieces } if pieces == 0 || !width.is_multiple_of(pieces) => {
                    return Err(format!("layer {index} takes {pieces} pieces of {width} units"));
                }
                LayerSpec::Maxout { pieces } => (width, width / pieces),
                _ => (width, width),
            };
            if wanted != width || outputs == 0 {
                return Err(format!(
                    "layer {index} takes {wanted} values, {width} come from the layer before"
                ));
            }
            width = outputs;
        }
        if width != self.classes.len() {
            return Err(format!("the network has {width} outputs for {} classes", self.classes.len()));
        }
        Ok(())
    }

    /// The tensors this network needs, with their shapes.
    fn expected(&self) -> Vec<(String, Vec<usize>)> {
        let features = self.shape.features();
        let mut expected = vec![(MEAN.to_string(), vec![features]), (SCALE.to_string(), vec![features])];
        if let Some(Components { count, whiten }) = self.components {
            expected.push((BASIS.to_string(), vec![count, features]));
            expected.extend(whiten.then(|| (WHITEN.to_string(), vec![count])));
        }
        self.expect_layers("", &mut expected);
        if self.training.as_ref().is_some_and(|training| training.best.is_some()) {
            self.expect_layers(BEST, &mut expected);
        }
        expected
    }

    fn expect_layers(&self, prefix: &str, expected: &mut Vec<(String, Vec<usize>)>) {
        for (index, layer) in self.layers.iter().enumerate() {
            let mut expect = |role: &str, shape: &[usize]| {
                expected.push((format!("{prefix}{}", tensor_name(index, role)), shape.to_vec()));
            };
            match *layer {
                LayerSpec::Dense { inputs, outputs } => {
                    expect("weight", &[outputs, inputs]);
                    expect("bias", &[outputs]);
                }
                LayerSpec::BatchNorm { features, .. } => {
                    for role in ["weight", "bias", "running_mean", "running_var"] {
                        expect(role, &[features]);
                    }
                }
                _ => {}
            }
        }
    }
}

/// `layers.{index}.{role}`
pub(crate) fn tensor_name(index: usize, role: &str) -> String {
    format!("layers.{index}.{role}")
}

/// A later format may describe layers unknown here: its number is read first.
fn check_format(description: &str) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    match serde_json::from_str(description) {
        Ok(Format { format: FORMAT }) => Ok(()),
        Ok(Format { format }) => {
            Err(format!("has the format {format}, this program reads {FORMAT}: use a newer slicewise"))
        }
        Err(error) => Err(format!("the description of the network is damaged: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2 - 3 - 2 with batch norm.
    fn example() -> Model {
        let layers = vec![
            LayerSpec::Dense { inputs: 2, outputs: 3 },
            LayerSpec::BatchNorm { features: 3, epsilon: 1e-5, momentum: 0.1 },
            LayerSpec::LeakyRelu { slope: 0.01 },
            LayerSpec::Dropout { probability: 0.1 },
            LayerSpec::Dense { inputs: 3, outputs: 2 },
        ];
        let options = crate::metrics::tests::example(0).start.options;
        let classes = vec!["no".to_string(), "yes".to_string()];
        let description = Description::new(layers, Shape::flat(2), classes, &options);
        let tensors = description
            .expected()
            .into_iter()
            .map(|(name, shape)| {
                let values = (0..shape.iter().product::<usize>()).map(|value| value as f32 / 7.0).collect();
                (name, Tensor { shape, values })
            })
            .collect();
        Model { description, tensors }
    }

    fn checkpoint() -> Model {
        let mut model = example();
        model.description.training = Some(Training {
            options: crate::metrics::tests::example(0).start.options,
            epoch: 3,
            steps: u64::MAX,
            first_loss: 0.1 + 0.2,
            checksum: 17,
            level: "avx2".into(),
            best: Some(BestEpoch { epoch: 2, val_acc: 0.1 + 0.7, val_loss: 0.3 }),
        });
        let best: Tensors = (model.tensors.iter())
            .filter(|(name, _)| name.starts_with("layers."))
            .map(|(name, tensor)| (format!("{BEST}{name}"), tensor.clone()))
            .collect();
        model.tensors.extend(best);
        model.tensors.insert(OPTIMIZER_STATE.into(), Tensor::vector(&[0.1, 0.2]));
        model
    }

    #[test]
    fn a_model_and_a_checkpoint_come_back() {
        let directory = tempfile::tempdir().unwrap();
        example().write(&directory.path().join(MODEL)).unwrap();
        assert_eq!(Model::read(directory.path()).unwrap(), example());
        checkpoint().write(&directory.path().join(CHECKPOINT)).unwrap();
        let (model, training) = Model::read_checkpoint(directory.path()).unwrap();
        assert_eq!(model, checkpoint());
        assert_eq!(training.steps, u64::MAX);
        assert_eq!(model.values("layers.4.bias"), [0.0, 1.0 / 7.0]);
    }

    #[test]
    fn the_names_are_those_of_pytorch() {
        let names: Vec<String> = example().tensors.into_keys().collect();
        assert_eq!(
            names,
            [
                "layers.0.bias",
                "layers.0.weight",
                "layers.1.bias",
                "layers.1.running_mean",
                "layers.1.running_var",
                "layers.1.weight",
                "layers.4.bias",
                "layers.4.weight",
                "preprocess.mean",
                "preprocess.scale",
            ]
        );
        assert_eq!(example().tensors["layers.0.weight"].shape, [3, 2]);
    }

    #[test]
    fn files_from_before_best_weights_and_components_are_read() {
        let mut older = checkpoint();
        older.tensors.retain(|name, _| !name.starts_with(BEST));
        older.description.training.as_mut().unwrap().best = None;
        let bytes = older.encode().unwrap();
        let header = String::from_utf8_lossy(&bytes[8..]);
        assert!(!header.contains("best") && !header.contains("components"), "{header}");
        assert_eq!(Model::decode(&bytes).unwrap(), older);
    }

    #[test]
    fn a_model_is_no_checkpoint() {
        let directory = tempfile::tempdir().unwrap();
        let message = |directory: &Path| Model::read_checkpoint(directory).unwrap_err().to_string();
        assert!(message(directory.path()).contains("holds no checkpoint.safetensors"));
        example().write(&directory.path().join(CHECKPOINT)).unwrap();
        assert!(message(directory.path()).contains("is a model, no checkpoint"));
    }

    fn refused(change: impl FnOnce(&mut Model)) -> String {
        let mut model = example();
        change(&mut model);
        Model::decode(&model.encode().unwrap()).unwrap_err()
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let message = refused(|model| drop(model.tensors.remove("layers.1.running_var")));
        assert_eq!(message, "tensor layers.1.running_var is missing, or its type is not f32");
        let message =
            refused(|model| drop(model.tensors.insert("layers.0.bias".into(), Tensor::vector(&[1.0]))));
        assert_eq!(message, "tensor layers.0.bias has the shape [1], its layer needs [3]");
        let message = refused(|model| model.tensors.get_mut("layers.0.bias").unwrap().values[1] = f32::NAN);
        assert_eq!(message, "tensor layers.0.bias holds NaN at 1: the file is damaged");
        let message = refused(|model| model.description.shape.width = 3);
        assert_eq!(message, "layer 0 takes 2 values, 3 come from the layer before");
        let message = refused(|model| drop(model.description.classes.pop()));
        assert_eq!(message, "the network has 2 outputs for 1 classes");
        let message = refused(|model| model.description.layers[2] = LayerSpec::Maxout { pieces: 2 });
        assert_eq!(message, "layer 2 takes 2 pieces of 3 units");
        let components = |count| {
            move |model: &mut Model| {
                model.description.components = Some(Components { count, whiten: true });
            }
        };
        assert_eq!(refused(components(3)), "the description names 3 components of 2 features");
        assert_eq!(refused(components(1)), "layer 0 takes 2 values, 1 come from the layer before");
        assert_eq!(refused(components(2)), "tensor preprocess.basis is missing, or its type is not f32");
        let message = refused(|model| {
            model.description.training = checkpoint().description.training;
        });
        assert_eq!(message, "tensor best.layers.0.weight is missing, or its type is not f32");
        let message = refused(|model| model.description.format = 2);
        assert!(message.starts_with("has the format 2"), "{message}");
        let huge = Shape { channels: usize::MAX, height: 2, width: 2 };
        assert!(refused(|model| model.description.shape = huge).contains("impossible image size"));
    }

    proptest! {
        #[test]
        fn no_change_of_one_byte_panics(place in any::<proptest::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = checkpoint().encode().unwrap();
            let place = place.index(bytes.len());
            bytes[place] = byte;
            let _ = Model::decode(&bytes);
        }
    }
}
