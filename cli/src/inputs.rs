//! From the rows of a table to the inputs of a network.

use crate::data::{Pixels, Table};
use crate::error::{Failure, Outcome};
use crate::model::{BASIS, MEAN, Model, SCALE, WHITEN};
use crate::options::{self, Options};
use crate::pca;
use crate::tensors::{Tensor, Tensors};
use slicewise::preprocess::{
    Center, Images, Scale, Values, WHITENING_EPSILON, apply, fit, project, project_scratch_len, whitening,
};
use slicewise::{Error, Level};

/// Rows that are projected at a time.
const CHUNK: usize = 256;

/// What turns a row into the network's input: `(x - mean) * scale`, then its principal components where they are asked for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Preprocess {
    mean: Vec<f32>,
    scale: Vec<f32>,
    projection: Option<Projection>,
}

/// Onto principal components.
#[derive(Debug, Clone, PartialEq)]
struct Projection {
    /// `(components, features)`
    basis: Vec<f32>,
    /// A factor for each component.
    whiten: Option<Vec<f32>>,
    components: usize,
}

/// Rows as the network reads them, and their labels.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) values: Vec<f32>,
    pub(crate) labels: Vec<u32>,
    /// Values in a row.
    pub(crate) width: usize,
}

/// The rows of a table, centred and scaled a few at a time, so that they need not all be in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Centred<'a> {
    pub(crate) level: Level,
    table: &'a Table,
    mean: &'a [f32],
    scale: &'a [f32],
}

impl Centred<'_> {
    pub(crate) fn features(&self) -> usize {
        self.mean.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Calls `work` with up to `rows` rows at a time, in order.
    pub(crate) fn for_each(&self, rows: usize, mut work: impl FnMut(&[f32]) -> Outcome<()>) -> Outcome<()> {
        let size = rows * self.features();
        let mut chunk = vec![0.0; size];
        for first in (0..self.len() * self.features()).step_by(size) {
            let values = values(&self.table.pixels, first, size);
            let chunk = &mut chunk[..size.min(self.len() * self.features() - first)];
            apply(self.level, values, self.mean, self.scale, chunk).map_err(|error| failed(&error))?;
            work(chunk)?;
        }
        Ok(())
    }
}

/// Up to `count` values from `first` on.
fn values(pixels: &Pixels, first: usize, count: usize) -> Values<'_, f32> {
    fn part<T>(values: &[T], first: usize, count: usize) -> &[T] {
        &values[first..values.len().min(first.saturating_add(count))]
    }
    match pixels {
        Pixels::U8(bytes) => Values::U8(part(bytes, first, count)),
        Pixels::F32(reals) => Values::Real(part(reals, first, count)),
    }
}

fn failed(error: &Error) -> Failure {
    Failure::failed(format!("preprocessing: {error}"))
}

impl Preprocess {
    /// Fitted on the training rows.
    pub(crate) fn fit(level: Level, train: &Table, options: &Options) -> Outcome<Self> {
        let shape = train.shape;
        let images = Images { n: train.len(), channels: shape.channels, spatial: shape.height * shape.width };
        let values = values(&train.pixels, 0, usize::MAX);
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
        fit(level, images, values, center, factor, &mut mean, &mut scale).map_err(|error| failed(&error))?;
        if let Some(feature) = mean.iter().zip(&scale).position(|(m, s)| !(m.is_finite() && s.is_finite())) {
            let message = format!(
                "the mean or the spread of feature {feature} is not finite in 32 bits: scale the data down"
            );
            return Err(Failure::unusable(message));
        }
        let rows = Centred { level, table: train, mean: &mean, scale: &scale };
        let projection = match (options.pca, options.whiten) {
            (None, false) => None,
            (components, whiten) => Some(Projection::fit(&rows, components, whiten)?),
        };
        Ok(Self { mean, scale, projection })
    }

    /// Values that the network sees of a row.
    pub(crate) fn width(&self) -> usize {
        self.projection.as_ref().map_or(self.mean.len(), |projection| projection.components)
    }

    /// As a model file holds it.
    pub(crate) fn of(model: &Model) -> Self {
        let projection = model.description.components.map(|components| Projection {
            basis: model.values(BASIS).to_vec(),
            whiten: components.whiten.then(|| model.values(WHITEN).to_vec()),
            components: components.count,
        });
        Self { mean: model.values(MEAN).to_vec(), scale: model.values(SCALE).to_vec(), projection }
    }

    /// Puts it among a model file's tensors.
    pub(crate) fn export(&self, tensors: &mut Tensors) {
        tensors.insert(MEAN.into(), Tensor::vector(&self.mean));
        tensors.insert(SCALE.into(), Tensor::vector(&self.scale));
        if let Some(Projection { basis, whiten, components }) = &self.projection {
            let basis = Tensor { shape: vec![*components, self.mean.len()], values: basis.clone() };
            tensors.insert(BASIS.into(), basis);
            if let Some(whiten) = whiten {
                tensors.insert(WHITEN.into(), Tensor::vector(whiten));
            }
        }
    }

    /// All rows of a table.
    pub(crate) fn inputs(&self, level: Level, table: &Table) -> Outcome<Inputs> {
        let (labels, width) = (table.labels.clone(), self.width());
        let mut inputs = vec![0.0; table.len() * width];
        match &self.projection {
            None => apply(level, values(&table.pixels, 0, usize::MAX), &self.mean, &self.scale, &mut inputs)
                .map_err(|error| failed(&error))?,
            Some(projection) => {
                let rows = Centred { level, table, mean: &self.mean, scale: &self.scale };
                projection.project(&rows, &mut inputs)?;
            }
        }
        Ok(Inputs { values: inputs, labels, width })
    }
}

impl Projection {
    fn fit(rows: &Centred<'_>, components: Option<usize>, whiten: bool) -> Outcome<Self> {
        let features = rows.features();
        let components = components.unwrap_or(features);
        if components > features {
            let message = format!("--pca {components}: the data has {features} features only");
            return Err(Failure::unusable(message));
        }
        let principal = pca::principal(rows, components)?;
        let mut factors = vec![0.0; components];
        whitening(&principal.variances, WHITENING_EPSILON, &mut factors).map_err(|error| failed(&error))?;
        let narrow = |values: &[f64]| values.iter().map(|&value| value as f32).collect::<Vec<f32>>();
        Ok(Self { basis: narrow(&principal.basis), whiten: whiten.then(|| narrow(&factors)), components })
    }

    fn project(&self, rows: &Centred<'_>, to: &mut [f32]) -> Outcome<()> {
        let mut scratch = vec![0.0; project_scratch_len(CHUNK, rows.features(), self.components)];
        let mut to = to.chunks_mut(CHUNK * self.components);
        rows.for_each(CHUNK, |x| {
            let y = to.next().unwrap_or_default();
            project(rows.level, rows.features(), x, &self.basis, self.whiten.as_deref(), y, &mut scratch)
                .map_err(|error| failed(&error))
        })
    }
}

#[cfg(test)]
mod tests;
