//! `slicewise eval` and `slicewise predict`: a saved model on data.

use crate::args::{EvalArgs, MachineArgs, Part, PredictArgs, RowsArgs};
use crate::console::Console;
use crate::data::{Pixels, Source, Splits, Table};
use crate::error::{Failure, Outcome};
use crate::evaluate::{Evaluator, threads};
use crate::inputs::{Inputs, Preprocess};
use crate::metrics::{Eval, Event, Predict};
use crate::model::{Description, Model};
use crate::network;
use crate::test_set::{confusion, likeliest};
use std::path::Path;

/// Loss, accuracy and confusion.
pub(crate) fn eval(arguments: &EvalArgs) -> Outcome<()> {
    let model = Model::read(&arguments.model)?;
    let source = source(&arguments.rows, &model.description);
    let splits = load(&arguments.rows, &model.description, &source, &arguments.model)?;
    let mut table = part(&splits, arguments.rows.split.unwrap_or(Part::Test));
    rename(&mut table, &splits.classes, &model.description, &source)?;

    let used = Used::new(&model, &arguments.machine)?;
    let inputs = used.preprocess.inputs(used.level, &table)?;
    let measured = used.evaluator().evaluate(&|net| network::import(&model, net), &inputs)?;
    let classes = &model.description.classes;
    let confusion = confusion(&used.probabilities(&inputs)?, &table.labels, classes.len());
    let eval = Eval {
        loss: measured.loss,
        acc: measured.accuracy(),
        rows: table.len(),
        confusion,
        classes: classes.clone(),
    };
    let text = |eval: &Eval| format!("{}{}", figures(eval), matrix(eval));
    Console::new(arguments.machine.json).result(&Event::Eval(eval.clone()), || text(&eval))
}

/// Classes and probabilities, row by row.
pub(crate) fn predict(arguments: &PredictArgs) -> Outcome<()> {
    let model = Model::read(&arguments.model)?;
    let description = &model.description;
    let source = source(&arguments.rows, description);
    let table = match (&source, arguments.rows.split) {
        // Rows to predict need no labels.
        (Source::Csv(file), None) => {
            let features = description.shape.features();
            let values = Source::load_unlabelled_csv(file, label(&arguments.rows, description), features)?;
            let labels = vec![0; values.len() / features];
            Table { pixels: Pixels::F32(values), labels, shape: description.shape }
        }
        (_, split) => {
            let splits = load(&arguments.rows, description, &source, &arguments.model)?;
            part(&splits, split.unwrap_or(Part::Test))
        }
    };
    let used = Used::new(&model, &arguments.machine)?;
    let probabilities = used.probabilities(&used.preprocess.inputs(used.level, &table)?)?;
    let console = Console::new(arguments.machine.json);
    let width = description.classes.iter().map(|class| class.chars().count()).max().unwrap_or(0).max(5);
    console.say(|| format!("   row  {:<width$}  probability", "class"))?;
    for (index, row) in probabilities.chunks_exact(description.classes.len()).enumerate() {
        let likeliest = likeliest(row);
        let class = description.classes[likeliest].clone();
        let text = format!("{index:>6}  {class:<width$}  {:.4}", row[likeliest]);
        let event = Event::Predict(Predict { index, class, probabilities: row.to_vec() });
        console.result(&event, || text)?;
    }
    Ok(())
}

/// A model that is used as it is.
struct Used<'a> {
    model: &'a Model,
    layers: Vec<slicewise::Layer>,
    level: slicewise::Level,
    threads: usize,
    preprocess: Preprocess,
}

impl<'a> Used<'a> {
    fn new(model: &'a Model, machine: &MachineArgs) -> Outcome<Self> {
        Ok(Self {
            model,
            layers: network::layers(&model.description.layers),
            level: network::level(machine.level)?,
            threads: threads(machine.threads),
            preprocess: Preprocess::of(model),
        })
    }

    fn evaluator(&self) -> Evaluator<'_> {
        Evaluator { layers: &self.layers, level: self.level, threads: self.threads }
    }

    fn probabilities(&self, rows: &Inputs) -> Outcome<Vec<f32>> {
        self.evaluator().predict(&|net| network::import(self.model, net), rows)
    }
}

fn source(rows: &RowsArgs, description: &Description) -> Source {
    rows.data.clone().unwrap_or_else(|| description.data.clone())
}

/// The label column that is asked for, or that the model was trained with.
fn label<'a>(rows: &'a RowsArgs, description: &'a Description) -> Option<&'a str> {
    rows.label.as_deref().or(description.label.as_deref())
}

/// The data, if the model can read it.
fn load(rows: &RowsArgs, description: &Description, source: &Source, model: &Path) -> Outcome<Splits> {
    let label = match source {
        Source::Csv(_) => label(rows, description),
        _ => rows.label.as_deref(),
    };
    let splits = source.load(label)?;
    if splits.train.shape != description.shape {
        let (takes, has) = (description.shape, splits.train.shape);
        let message = format!("takes {takes}, but {source} has {has}: choose the data it was trained for");
        return Err(Failure::unusable(message).at(model.display()));
    }
    Ok(splits)
}

fn part(splits: &Splits, part: Part) -> Table {
    let Splits { train, validation, test, .. } = splits;
    match part {
        Part::Train => train.clone(),
        Part::Validation => validation.clone(),
        Part::Test => test.clone(),
        Part::All => Table::concatenate(&[train, validation, test]),
    }
}

/// From the data's classes to the model's, by name.
fn rename(table: &mut Table, classes: &[String], description: &Description, source: &Source) -> Outcome<()> {
    for label in &mut table.labels {
        let name = &classes[*label as usize];
        let index = description.classes.iter().position(|class| class == name).ok_or_else(|| {
            let message = format!("the model does not know the class `{name}`: it was trained on other data");
            Failure::unusable(message).at(source)
        })?;
        *label = index as u32;
    }
    Ok(())
}

fn figures(eval: &Eval) -> String {
    format!("accuracy {:.4}, loss {:.4} on {} rows", eval.acc, eval.loss, crate::report::thousands(eval.rows))
}

/// The confusion as a table, where it fits a terminal.
fn matrix(eval: &Eval) -> String {
    const MOST: usize = 16;
    if eval.classes.len() > MOST {
        return String::new();
    }
    let cells = eval.confusion.iter().flatten().map(|count| count.to_string().len());
    let names = eval.classes.iter().map(|class| class.chars().count().min(8));
    let width = cells.chain(names).max().unwrap_or(1) + 2;
    let name = |class: &String| class.chars().take(8).collect::<String>();
    let mut text = format!("\n\n{:>width$}  predicted\n{:>width$}", "", "class");
    for class in &eval.classes {
        text += &format!("{:>width$}", name(class));
    }
    for (class, row) in eval.classes.iter().zip(&eval.confusion) {
        text += &format!("\n{:>width$}", name(class));
        for count in row {
            // What is not there is easier to see past than zeros.
            let cell = if *count == 0 { "·".into() } else { count.to_string() };
            text += &format!("{cell:>width$}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Eval {
        Eval {
            loss: 0.25,
            acc: 0.75,
            rows: 4,
            confusion: vec![vec![2, 0], vec![1, 1]],
            classes: vec!["no".into(), "yes".into()],
        }
    }

    #[test]
    fn a_confusion_is_a_table() {
        assert_eq!(figures(&example()), "accuracy 0.7500, loss 0.2500 on 4 rows");
        assert_eq!(
            matrix(&example()),
            "\n\n       predicted\nclass   no  yes\n   no    2    ·\n  yes    1    1"
        );
    }
}
