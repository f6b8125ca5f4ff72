//! From the rows of a table to the inputs of a network.

use crate::data::{Pixels, Table};
use crate::error::{Failure, Outcome};
use crate::model::{MEAN, Model, SCALE};
use crate::options::{self, Options};
use crate::tensors::{Tensor, Tensors};
use slicewise::Level;
use slicewise::preprocess::{Center, Images, Scale, Values, apply, fit};

/// What turns a row into the network's input: `(x - mean) * scale`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Preprocess {
    mean: Vec<f32>,
    scale: Vec<f32>,
}

/// Rows as the network reads them, and their labels.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) values: Vec<f32>,
    pub(crate) labels: Vec<u32>,
    /// Values in a row.
    pub(crate) width: usize,
}

impl Preprocess {
    /// Fitted on the training rows.
    pub(crate) fn fit(level: Level, train: &Table, options: &Options) -> Outcome<Self> {
        let shape = train.shape;
        let images = Images { n: train.len(), channels: shape.channels, spatial: shape.height * shape.width };
        let values = match &train.pixels {
            Pixels::U8(bytes) => Values::U8(bytes),
            Pixels::F32(reals) => Values::Real(reals),
        };
        let center = match options.center {
            options::Center::Image => Center::Feature,
            options::Center::Channel => Center::Channel,
            options::Center::None => Center::None,
        };
        let factor = match options.scale {
            options::Scale::Std => Scale::Std,
            options::Scale::None => Scale::None,
            options::Scale::Factor(factor) => Scale::Factor(factor),
        };
        let (mut mean, mut scale) = (vec![0.0; shape.features()], vec![0.0; shape.features()]);
        fit(level, images, values, center, factor, &mut mean, &mut scale)
            .map_err(|error| Failure::failed(format!("preprocessing: {error}")))?;
        if let Some(feature) = mean.iter().zip(&scale).position(|(m, s)| !(m.is_finite() && s.is_finite())) {
            let message = format!(
                "the mean or the spread of feature {feature} is not finite in 32 bits: scale the data down"
            );
            return Err(Failure::unusable(message));
        }
        Ok(Self { mean, scale })
    }

    /// As a model file holds it.
    pub(crate) fn of(model: &Model) -> Self {
        Self { mean: model.values(MEAN).to_vec(), scale: model.values(SCALE).to_vec() }
    }

    /// Puts it among a model file's tensors.
    pub(crate) fn export(&self, tensors: &mut Tensors) {
        tensors.insert(MEAN.into(), Tensor::vector(&self.mean));
        tensors.insert(SCALE.into(), Tensor::vector(&self.scale));
    }

    /// All rows of a table.
    pub(crate) fn inputs(&self, level: Level, table: &Table) -> Outcome<Inputs> {
        let width = table.features();
        let mut inputs = vec![0.0; table.len() * width];
        let values = match &table.pixels {
            Pixels::U8(bytes) => Values::U8(bytes),
            Pixels::F32(reals) => Values::Real(reals),
        };
        apply(level, values, &self.mean, &self.scale, &mut inputs)
            .map_err(|error| Failure::failed(format!("preprocessing: {error}")))?;
        Ok(Inputs { values: inputs, labels: table.labels.clone(), width })
    }
}
