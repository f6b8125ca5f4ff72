//! `report.html`: one file that opens from the disk, with everything in it.

mod chart;

use crate::error::{Failure, Outcome};
use crate::files;
use crate::metrics::{Epoch, Log};
use crate::options::name_of;
use chart::{Axis, CURVES, Chart, FAINT, Series, short};
use plotters::style::RGBColor;
use std::fmt::Write;
use std::path::Path;

/// The name of the file in a run's directory.
pub(crate) const FILE: &str = "report.html";

const STYLE: &str = include_str!("page.css");

/// Writes the report of a run into its directory.
pub(crate) fn write(directory: &Path, log: &Log) -> Outcome<()> {
    files::write_atomically(&directory.join(FILE), page(log)?.as_bytes())
}

fn page(log: &Log) -> Outcome<String> {
    let mut page = String::new();
    compose(&mut page, log).map_err(|failure| failure.at(FILE))?;
    Ok(page)
}

fn compose(page: &mut String, log: &Log) -> Outcome<()> {
    let title = format!("Training on {}", log.start.data.name);
    put(
        page,
        format_args!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{0}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{0}</h1>\n<p class=\"lead\">{1}</p>\n",
            escape(&title),
            escape(&lead(log)),
        ),
    )?;
    figures(page, log)?;
    charts(page, log)?;
    tables(page, log)?;
    epochs(page, &log.epochs)?;
    put(
        page,
        format_args!(
            "<footer>slicewise {}, level {}</footer>\n</main>\n</body>\n</html>\n",
            escape(&log.start.version),
            escape(&log.start.level)
        ),
    )
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

fn figures(page: &mut String, log: &Log) -> Outcome<()> {
    let mut figures: Vec<(String, String)> = Vec::new();
    if let Some(done) = &log.done {
        figures.push((format!("{:.4}", done.test_acc), "test accuracy".into()));
        figures.push((short(done.test_loss), "test loss".into()));
    }
    let best =
        log.epochs.iter().reduce(|best, epoch| if epoch.val_acc > best.val_acc { epoch } else { best });
    if let Some(best) = best {
        figures.push((
            format!("{:.4}", best.val_acc),
            format!("best validation accuracy, epoch {}", best.epoch),
        ));
    }
    if let Some(last) = log.epochs.last() {
        figures.push((format!("{:.4}", last.train_acc), "training accuracy, last epoch".into()));
        let mut speeds: Vec<f64> = log.epochs.iter().map(|epoch| epoch.samples_per_s).collect();
        speeds.sort_by(f64::total_cmp);
        figures.push((thousands(speeds[speeds.len() / 2] as usize), "training rows a second".into()));
        let seconds: f64 = log.epochs.iter().map(|epoch| epoch.seconds).sum();
        figures.push((duration(seconds), "for all epochs".into()));
    }
    put(page, format_args!("<section class=\"grid figures\">\n"))?;
    for (value, name) in figures {
        put(page, format_args!("<div class=\"card figure\"><b>{value}</b><span>{name}</span></div>\n"))?;
    }
    put(page, format_args!("</section>\n"))
}

fn charts(page: &mut String, log: &Log) -> Outcome<()> {
    let two = |train: fn(&Epoch) -> f64, validation: fn(&Epoch) -> f64| {
        vec![curve(log, CURVES[0], train), curve(log, CURVES[1], validation)]
    };
    let both = [(CURVES[0], "training".to_string()), (CURVES[1], "validation".to_string())];
    put(page, format_args!("<section class=\"grid charts\">\n"))?;
    card(
        page,
        "Loss",
        &both,
        Chart {
            axis: Axis::FromZero,
            series: two(|epoch| epoch.train_loss, |epoch| epoch.val_loss),
            guide: None,
        },
        "Training: mean over the epoch's steps, penalty included. Validation: cross-entropy after the epoch.",
    )?;
    card(
        page,
        "Accuracy",
        &both,
        Chart {
            axis: Axis::UpToOne,
            series: two(|epoch| epoch.train_acc, |epoch| epoch.val_acc),
            guide: None,
        },
        "A large gap means overfitting: raise --reg or --dropout. No gap means room for a larger network.",
    )?;
    let (legend, series) = ratios(log);
    card(
        page,
        "Update / weight ratio",
        &legend,
        Chart { axis: Axis::Log, series, guide: Some((1e-3, "guide")) },
        "Size of the last update of each epoch over the size of the weights. Weights learn well near 10⁻³.",
    )?;
    let lr = curve(log, CURVES[0], |epoch| epoch.lr);
    let chart = Chart { axis: Axis::FromZero, series: vec![lr], guide: None };
    let note = "Constant within an epoch; --lr-decay multiplies it from one epoch to the next.";
    card(page, "Learning rate", &[], chart, note)?;
    put(page, format_args!("</section>\n"))
}

/// One curve for each weight matrix; batch norm's tensors and the biases stay in the background.
fn ratios(log: &Log) -> (Vec<(RGBColor, String)>, Vec<Series>) {
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
        log.epochs.iter().map(|epoch| (epoch.epoch, value(epoch).unwrap_or(f64::NAN))).collect()
    };
    let (matrices, others): (Vec<&str>, Vec<&str>) = names.into_iter().partition(|name| is_matrix(name));
    let mut legend = Vec::new();
    let mut series = Vec::new();
    for name in &others {
        series.push(Series { colour: FAINT, points: points(name), marked: false });
    }
    for (name, colour) in matrices.iter().zip(CURVES.into_iter().cycle()) {
        legend.push((colour, (*name).to_string()));
        series.push(Series { colour, points: points(name), marked: true });
    }
    if !others.is_empty() {
        legend.push((FAINT, "biases, gamma, beta".into()));
    }
    (legend, series)
}

fn curve(log: &Log, colour: RGBColor, value: impl Fn(&Epoch) -> f64) -> Series {
    let points = log.epochs.iter().map(|epoch| (epoch.epoch, value(epoch))).collect();
    Series { colour, points, marked: true }
}

fn card(
    page: &mut String,
    title: &str,
    legend: &[(RGBColor, String)],
    chart: Chart,
    note: &str,
) -> Outcome<()> {
    put(page, format_args!("<figure class=\"card\" style=\"margin:0\">\n<header><h2>{title}</h2>"))?;
    if !legend.is_empty() {
        put(page, format_args!("<ul class=\"legend\">"))?;
        for (RGBColor(red, green, blue), name) in legend {
            let colour = format!("#{red:02X}{green:02X}{blue:02X}");
            put(
                page,
                format_args!(
                    "<li><svg class=\"key\" viewBox=\"0 0 16 4\"><rect width=\"16\" height=\"4\" rx=\"2\" \
                 fill=\"{colour}\"/></svg>{}</li>",
                    escape(name)
                ),
            )?;
        }
        put(page, format_args!("</ul>"))?;
    }
    put(page, format_args!("</header>\n"))?;
    match chart.svg()? {
        Some(svg) => put(page, format_args!("{svg}"))?,
        None => put(page, format_args!("<p class=\"note\">No epoch is done yet.</p>\n"))?,
    }
    put(page, format_args!("<figcaption class=\"note\">{note}</figcaption>\n</figure>\n"))
}

fn tables(page: &mut String, log: &Log) -> Outcome<()> {
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
    put(page, format_args!("<section class=\"grid tables\">\n"))?;
    for (title, rows) in [("Data", &data_rows[..]), ("Network", &network_rows), ("Training", &training_rows)]
    {
        put(page, format_args!("<div class=\"card\"><h2>{title}</h2>\n<table class=\"pairs\">\n"))?;
        for (name, value) in rows {
            put(page, format_args!("<tr><th>{name}</th><td>{}</td></tr>\n", escape(value)))?;
        }
        put(page, format_args!("</table></div>\n"))?;
    }
    put(page, format_args!("</section>\n"))
}

fn epochs(page: &mut String, epochs: &[Epoch]) -> Outcome<()> {
    put(
        page,
        format_args!(
            "<details class=\"card\"><summary>All epochs</summary>\n<div class=\"scroll\"><table class=\"epochs\">\n\
         <thead><tr><th>epoch</th><th>training loss</th><th>accuracy</th><th>validation loss</th><th>accuracy</th>\
         <th>learning rate</th><th>rows a second</th><th>seconds</th></tr></thead>\n<tbody>\n"
        ),
    )?;
    for epoch in epochs {
        put(
            page,
            format_args!(
                "<tr><td>{}</td><td>{:.4}</td><td>{:.4}</td><td>{:.4}</td><td>{:.4}</td><td>{}</td><td>{}</td>\
             <td>{:.2}</td></tr>\n",
                epoch.epoch,
                epoch.train_loss,
                epoch.train_acc,
                epoch.val_loss,
                epoch.val_acc,
                short(epoch.lr),
                thousands(epoch.samples_per_s as usize),
                epoch.seconds,
            ),
        )?;
    }
    put(page, format_args!("</tbody></table></div></details>\n"))
}

fn put(page: &mut String, text: std::fmt::Arguments<'_>) -> Outcome<()> {
    page.write_fmt(text).map_err(|error| Failure::failed(error.to_string()))
}

/// Text between tags and in attributes.
fn escape(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, c| {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
        escaped
    })
}

/// 1234567 as 1,234,567.
pub(crate) fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A time as people say it.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..10 => format!("{seconds:.2} s"),
        10..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// A size of memory as people say it.
pub(crate) fn bytes(count: usize) -> String {
    match count as f64 {
        size if size >= 1e9 => format!("{:.1} GB", size / 1e9),
        size if size >= 1e6 => format!("{:.1} MB", size / 1e6),
        size if size >= 1e3 => format!("{:.0} kB", size / 1e3),
        size => format!("{size} bytes"),
    }
}

#[cfg(test)]
mod tests;
