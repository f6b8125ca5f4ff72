//! The part of the page on a training run.

use super::canvas::{BLUE, CURVES, FAINT, VERMILION};
use super::histogram;
use super::line::{Chart, Kind, Series, Vertical};
use super::numbers::{bytes, duration, percent, short, thousands};
use super::page::{Key, Page};
use crate::error::Outcome;
use crate::events::Histogram;
use crate::metrics::{Epoch, Log};
use crate::options::name_of;

/// Updates of this size, as a share of the weights, are good.
const GOOD_RATIO: (f64, f64) = (3e-4, 3e-3);

/// Layers whose activations are shown.
const LAYERS: usize = 12;
/// Epochs whose activations are shown.
const RIDGES: usize = 14;

/// Figures and curves.
pub(super) fn draw(page: &mut Page, log: &Log) -> Outcome<()> {
    page.part(&format!("Training on {}", log.start.data.name), &lead(log));
    figures(page, log);
    curves(page, log)?;
    activations(page, log)
}

/// The options, and every epoch.
pub(super) fn details(page: &mut Page, log: &Log) {
    tables(page, log);
    epochs(page, &log.epochs);
}

/// What the page ends with.
pub(super) fn foot(log: &Log) -> String {
    format!("slicewise {}, level {}", log.start.version, log.start.level)
}

/// The first of the epochs with the highest validation accuracy.
fn best(log: &Log) -> Option<&Epoch> {
    log.epochs.iter().reduce(|best, epoch| if epoch.val_acc > best.val_acc { epoch } else { best })
}

fn lead(log: &Log) -> String {
    let (network, params) = (&log.start.network, thousands(log.start.params));
    let done = log.epochs.last().map_or(0, |epoch| epoch.epoch);
    let state = match &log.done {
        Some(_) => format!("{done} epoch{}", if done == 1 { "" } else { "s" }),
        None => format!("epoch {done} of {}", log.start.options.epochs),
    };
    format!("{network}, {params} parameters, {state}")
}

fn figures(page: &mut Page, log: &Log) {
    let mut figures: Vec<(String, String)> = Vec::new();
    if let Some(done) = &log.done {
        figures.push((format!("{:.4}", done.test_acc), "test accuracy".into()));
        figures.push((short(done.test_loss), "test loss".into()));
    }
    if let Some(best) = best(log) {
        let name = format!("best validation accuracy, epoch {}", best.epoch);
        figures.push((format!("{:.4}", best.val_acc), name));
    }
    if let Some(last) = log.epochs.last() {
        figures.push((format!("{:.4}", last.train_acc), "training accuracy, last epoch".into()));
        let mut speeds: Vec<f64> = log.epochs.iter().map(|epoch| epoch.samples_per_s).collect();
        speeds.sort_by(f64::total_cmp);
        figures.push((thousands(speeds[speeds.len() / 2] as usize), "training rows a second".into()));
        let seconds: f64 = log.epochs.iter().map(|epoch| epoch.seconds).sum();
        figures.push((duration(seconds), "for all epochs".into()));
    }
    page.figures(&figures);
}

fn curves(page: &mut Page, log: &Log) -> Outcome<()> {
    let over = |label, y, series| Chart::over("epoch", label, y, series);
    let two = |train: fn(&Epoch) -> f64, validation: fn(&Epoch) -> f64| {
        vec![curve(log, BLUE, train), curve(log, VERMILION, validation)]
    };
    let both = [(BLUE, "training".to_string()), (VERMILION, "validation".to_string())];
    let best =
        best(log).filter(|_| log.epochs.len() > 1).map(|best| (f64::from(best.epoch), "best".to_string()));
    page.grid("charts");

    let series = two(|epoch| epoch.train_loss, |epoch| epoch.val_loss);
    let mut chart = over("Training and validation loss over epochs", Vertical::FromZero, series);
    chart.here.clone_from(&best);
    let note = "Training: mean over the epoch's steps, penalty included. Validation: cross-entropy after the epoch. \
                Best: the epoch with the highest validation accuracy.";
    page.card("Loss", &both, chart.svg()?.as_deref(), note);

    let series = two(|epoch| epoch.train_acc, |epoch| epoch.val_acc);
    let mut chart = over("Training and validation accuracy over epochs", Vertical::UpToOne, series);
    chart.here = best;
    let note =
        "A large gap means overfitting: raise --reg or --dropout. No gap means room for a larger network.";
    page.card("Accuracy", &both, chart.svg()?.as_deref(), note);

    let (keys, series) = ratios(log);
    let mut chart = over("Update to weight ratio of every tensor over epochs", Vertical::Decades, series);
    chart.guide = Some((1e-3, "10⁻³".into()));
    chart.band = Some(GOOD_RATIO);
    let note = "Size of the last update of each epoch over the size of the weights. Weights learn well near 10⁻³, in \
                the band.";
    page.card("Update / weight ratio", &keys, chart.svg()?.as_deref(), note);

    let chart =
        over("Learning rate over epochs", Vertical::FromZero, vec![curve(log, BLUE, |epoch| epoch.lr)]);
    page.card("Learning rate", &[], chart.svg()?.as_deref(), "At the end of each epoch.");
    page.end_grid();
    Ok(())
}

/// Every layer's activations from epoch to epoch.
fn activations(page: &mut Page, log: &Log) -> Outcome<()> {
    let Some(last) = log.epochs.iter().rev().find(|epoch| !epoch.activations.is_empty()) else {
        return Ok(());
    };
    page.grid("charts");
    for layer in last.activations.iter().take(LAYERS) {
        let found = |epoch: &Epoch| epoch.activations.iter().position(|other| other.layer == layer.layer);
        let all: Vec<(u32, &Histogram)> = log
            .epochs
            .iter()
            .filter_map(|epoch| Some((epoch.epoch, &epoch.activations.get(found(epoch)?)?.histogram)))
            .collect();
        // Evenly chosen, the first and the last among them.
        let count = all.len().min(RIDGES);
        let chosen =
            (0..count).filter_map(|index| all.get(index * (all.len() - 1) / count.saturating_sub(1).max(1)));
        let rows: Vec<(String, &Histogram)> =
            chosen.map(|(epoch, histogram)| (epoch.to_string(), *histogram)).collect();
        let svg = histogram::ridges(
            &rows,
            &format!("Histograms of the activations of {} over epochs", layer.layer),
        )?;
        let note = format!(
            "Epoch by epoch, the last in front. Last: mean {}, std {}; zero {}, saturated {}, dead units {}. A bar far \
             above the others is cut.",
            short(layer.mean),
            short(layer.std),
            percent(layer.zero_fraction),
            percent(layer.saturated_fraction),
            percent(layer.dead_fraction)
        );
        page.card(&format!("Activations of {}", layer.layer), &[], Some(&svg), &note);
    }
    page.end_grid();
    Ok(())
}

/// One curve for each weight matrix; batch norm's tensors and the biases stay in the background.
fn ratios(log: &Log) -> (Vec<Key>, Vec<Series>) {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in log.epochs.iter().flat_map(|epoch| &epoch.update_ratio) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    let is_matrix = |name: &str| log.start.matrices.iter().any(|matrix| matrix == name);
    let points = |name: &str| {
        let value =
            |epoch: &Epoch| epoch.update_ratio.iter().find(|ratio| ratio.0 == name).map(|ratio| ratio.1);
        log.epochs
            .iter()
            .map(move |epoch| (epoch.epoch, value(epoch).unwrap_or(f64::NAN)))
            .collect::<Vec<_>>()
    };
    let (matrices, others): (Vec<&str>, Vec<&str>) = names.into_iter().partition(|name| is_matrix(name));
    let mut keys = Vec::new();
    let mut series: Vec<Series> = others.iter().map(|name| Series::faint(points(name))).collect();
    for (name, colour) in matrices.iter().zip(CURVES.into_iter().cycle()) {
        keys.push((colour, name.trim_start_matches("layers.").to_string()));
        series.push(Series::new(colour, Kind::Marked, points(name)));
    }
    if !others.is_empty() {
        keys.push((FAINT, "biases, gamma, beta".into()));
    }
    (keys, series)
}

fn curve(log: &Log, colour: super::canvas::Colour, value: impl Fn(&Epoch) -> f64) -> Series {
    Series::new(colour, Kind::Marked, log.epochs.iter().map(|epoch| (epoch.epoch, value(epoch))))
}

fn tables(page: &mut Page, log: &Log) {
    let (data, options) = (&log.start.data, &log.start.options);
    let or_default = |text: &Option<String>| text.clone().unwrap_or_else(|| "last column".into());
    let mut data_rows = vec![
        ("source", options.data.to_string()),
        ("row", data.shape.to_string()),
        ("classes", data.classes.to_string()),
        ("training rows", thousands(data.train)),
        ("validation rows", thousands(data.validation)),
        ("test rows", thousands(data.test)),
        ("center", name_of(&options.center)),
        ("scale", options.scale.to_string()),
    ];
    if matches!(options.data, crate::data::Source::Csv(_)) {
        data_rows.insert(1, ("label", or_default(&options.label)));
    }
    let network_rows = [
        ("hidden layers", options.hidden.to_string()),
        ("activation", name_of(&options.activation)),
        ("normalisation", name_of(&options.norm)),
        ("first weights", options.init.to_string()),
        ("dropout", options.dropout.to_string()),
        ("parameters", thousands(log.start.params)),
        ("memory for training", bytes(log.start.arena_bytes)),
    ];
    let mut training_rows = vec![
        ("optimizer", name_of(&options.optimizer)),
        ("learning rate", options.lr.to_string()),
        ("decay of the rate", options.lr_decay.to_string()),
        ("regularisation", options.reg.to_string()),
        ("batch", options.batch.to_string()),
        ("epochs", options.epochs.to_string()),
        ("seed", options.seed.to_string()),
    ];
    if options.optimizer.has_momentum() {
        training_rows.insert(2, ("momentum", options.momentum.to_string()));
    }
    if let Some(done) = &log.done {
        training_rows.push(("heap allocations in steps", thousands(done.heap_allocations_in_steps as usize)));
    }
    page.grid("tables");
    page.pairs("Data", &data_rows);
    page.pairs("Network", &network_rows);
    page.pairs("Training", &training_rows);
    page.end_grid();
}

fn epochs(page: &mut Page, epochs: &[Epoch]) {
    let heads = [
        "epoch",
        "training loss",
        "accuracy",
        "validation loss",
        "accuracy",
        "learning rate",
        "rows a second",
        "seconds",
    ];
    let rows: Vec<Vec<String>> = epochs
        .iter()
        .map(|epoch| {
            vec![
                epoch.epoch.to_string(),
                four(epoch.train_loss),
                four(epoch.train_acc),
                four(epoch.val_loss),
                four(epoch.val_acc),
                short(epoch.lr),
                thousands(epoch.samples_per_s as usize),
                format!("{:.2}", epoch.seconds),
            ]
        })
        .collect();
    page.folded_table("All epochs", &heads, &rows);
}

/// Four decimals.
fn four(value: f64) -> String {
    if value.is_finite() { format!("{value:.4}") } else { "–".into() }
}
