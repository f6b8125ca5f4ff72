//! What a model makes of the test set: how often each class is taken for which, and the mistakes it was surest of.

use crate::data::{Pixels, Shape, Table};
use crate::error::Outcome;
use crate::evaluate::Evaluator;
use crate::inputs::Preprocess;
use crate::model::Model;
use crate::network;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// Mistakes that are kept.
const MOST: usize = 24;

/// A model on the test set. A line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct TestSet {
    /// Names of the classes.
    pub(crate) classes: Vec<String>,
    /// `confusion[true class][predicted class]`, in rows.
    pub(crate) confusion: Vec<Vec<usize>>,
    /// What a row is.
    pub(crate) shape: Shape,
    /// The value of a white pixel.
    pub(crate) white: u8,
    /// From the surest on.
    pub(crate) mistakes: Vec<Mistake>,
}

/// A row whose class was not seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Mistake {
    /// Its place in the test set.
    pub(crate) row: usize,
    pub(crate) label: usize,
    pub(crate) predicted: usize,
    /// What the predicted class was given.
    pub(crate) probability: f32,
    /// The picture's bytes as they lie in the data, in base64; empty where a row is no picture.
    pub(crate) pixels: String,
}

impl Mistake {
    /// The picture's bytes; none where there are not as many as the shape has.
    pub(crate) fn bytes(&self, shape: Shape) -> Option<Vec<u8>> {
        STANDARD.decode(&self.pixels).ok().filter(|bytes| bytes.len() == shape.features() && shape.height > 1)
    }
}

impl TestSet {
    /// Runs the model on the rows.
    pub(crate) fn measure(model: &Model, evaluator: &Evaluator<'_>, table: &Table) -> Outcome<Self> {
        let inputs = Preprocess::of(model).inputs(evaluator.level, table)?;
        let probabilities = evaluator.predict(&|net| network::import(model, net), &inputs)?;
        let description = &model.description;
        let white = description.data.unit().map_or(255.0, |unit| (1.0 / unit).round());
        Ok(Self::of(&probabilities, table, description.classes.clone(), white as u8))
    }

    fn of(probabilities: &[f32], table: &Table, classes: Vec<String>, white: u8) -> Self {
        let count = classes.len();
        let mut mistakes: Vec<(usize, usize, f32)> = Vec::new();
        let rows = probabilities.chunks_exact(count).zip(&table.labels).enumerate();
        for (row, (probabilities, &label)) in rows {
            let predicted = likeliest(probabilities);
            if predicted != label as usize {
                mistakes.push((row, predicted, probabilities[predicted]));
            }
        }
        // The surest first; the sort keeps the rows' order where two are as sure.
        mistakes.sort_by(|a, b| b.2.total_cmp(&a.2));
        mistakes.truncate(MOST);
        let features = table.features();
        let pixels = |row: usize| match &table.pixels {
            Pixels::U8(values) if table.shape.height > 1 => {
                STANDARD.encode(&values[row * features..(row + 1) * features])
            }
            _ => String::new(),
        };
        let mistakes = mistakes
            .into_iter()
            .map(|(row, predicted, probability)| {
                let label = table.labels[row] as usize;
                Mistake { row, label, predicted, probability, pixels: pixels(row) }
            })
            .collect();
        let confusion = confusion(probabilities, &table.labels, count);
        Self { classes, confusion, shape: table.shape, white, mistakes }
    }
}

/// `confusion[true class][predicted class]`, in rows.
pub(crate) fn confusion(probabilities: &[f32], labels: &[u32], classes: usize) -> Vec<Vec<usize>> {
    let mut confusion = vec![vec![0; classes]; classes];
    for (row, &label) in probabilities.chunks_exact(classes).zip(labels) {
        confusion[label as usize][likeliest(row)] += 1;
    }
    confusion
}

/// The first of the largest.
pub(crate) fn likeliest(probabilities: &[f32]) -> usize {
    let mut best = 0;
    for (class, probability) in probabilities.iter().enumerate() {
        if *probability > probabilities[best] {
            best = class;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_first() {
        assert_eq!(likeliest(&[0.1, 0.45, 0.45]), 1);
        assert_eq!(likeliest(&[1.0]), 0);
    }

    #[test]
    fn the_surest_mistakes_come_first_with_their_pictures() {
        let shape = Shape { channels: 1, height: 2, width: 1 };
        let pixels = Pixels::U8(vec![0, 1, 2, 3, 4, 5, 6, 7]);
        let table = Table { pixels, labels: vec![0, 0, 1, 1], shape };
        let probabilities = [0.9, 0.1, 0.4, 0.6, 0.8, 0.2, 0.3, 0.7];
        let test = TestSet::of(&probabilities, &table, vec!["a".into(), "b".into()], 16);
        assert_eq!(test.confusion, [[1, 1], [1, 1]]);
        let rows: Vec<usize> = test.mistakes.iter().map(|mistake| mistake.row).collect();
        assert_eq!(rows, [2, 1]);
        assert_eq!(test.mistakes[0].bytes(shape), Some(vec![4, 5]));
        assert_eq!((test.mistakes[0].label, test.mistakes[0].predicted), (1, 0));
        assert_eq!(test.mistakes[0].bytes(Shape::flat(2)), None);
    }
}
