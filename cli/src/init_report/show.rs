//! The layers on a terminal of 80 columns.

use super::experiment::Case;
use super::verdict;
use crate::console::{Colour, Console};
use crate::events::{Histogram, InitLayer};
use crate::options::Activation;

/// Columns of a terminal that everything fits in.
const COLUMNS: usize = 80;
/// Characters of a histogram in a table, and in one of several side by side.
const WIDE: usize = 15;
const NARROW: usize = 10;

/// One kind of first weights: measured beside theory, the verdict and a histogram, layer by layer.
pub(super) fn table(console: Console, case: &Case, layers: &[InitLayer]) -> String {
    let share_name = share_name(case.activation);
    let scale = layers.first().map_or_else(String::new, |layer| scale(&layer.histogram, WIDE));
    let mut text = format!("{:13}{:>16}{:>16}\n", "", "std of values", "of gradients");
    text += &format!(
        "{:>5} {:>7} {:>7} {:>7} {:>7} {:>7} {share_name:>5}  {:<9}  {scale}\n",
        "layer", "mean", "is", "theory", "is", "theory", "verdict"
    );
    for layer in layers {
        let share = if share_name == "zeros" { layer.zero_fraction } else { layer.saturated_fraction };
        text += &format!(
            "{:>5} {:>7} {:>7} {:>7} {:>7} {:>7} {:>5}  {}  {}\n",
            layer.layer,
            short(layer.mean),
            short(layer.std),
            short(layer.theory_std),
            short(layer.grad_std),
            short(layer.theory_grad_std),
            format!("{:.0}%", 100.0 * share),
            painted(console, &layer.verdict, 9),
            sparkline(&layer.histogram, WIDE),
        );
    }
    text
}

/// Several kinds: the standard deviation and the histogram of each, as many in a row as fit.
pub(super) fn side_by_side(console: Console, cases: &[(Case, Vec<InitLayer>)]) -> String {
    let column = NARROW + 9;
    let in_a_row = ((COLUMNS - 5) / column).max(1);
    let mut text = String::new();
    for cases in cases.chunks(in_a_row) {
        let mut line = |first: &str, cells: &mut dyn Iterator<Item = String>| {
            let cells: String = cells.map(|cell| format!("  {cell}")).collect();
            text += format!("{first:>5}{cells}").trim_end();
            text.push('\n');
        };
        let width = column - 2;
        line("", &mut cases.iter().map(|(case, _)| fitted(&case.init_name(), width)));
        line(
            "layer",
            &mut cases.iter().map(|(_, layers)| {
                let scale = layers.first().map_or_else(String::new, |layer| scale(&layer.histogram, NARROW));
                format!("{:>6} {scale:<NARROW$}", "std")
            }),
        );
        let depth = cases.first().map_or(0, |(_, layers)| layers.len());
        for index in 0..depth {
            line(
                &(index + 1).to_string(),
                &mut cases.iter().filter_map(|(_, layers)| {
                    let layer = layers.get(index)?;
                    Some(format!("{:>6} {}", tight(layer.std), sparkline(&layer.histogram, NARROW)))
                }),
            );
        }
        line(
            "",
            &mut cases.iter().map(|(_, layers)| {
                let name = verdict::worst(layers).map_or("healthy", |(health, ..)| health.name());
                painted(console, name, width)
            }),
        );
        text.push('\n');
    }
    text.pop();
    text
}

/// Text in lines that fit, each begun by a line feed.
pub(super) fn wrapped(text: &str) -> String {
    let (mut lines, mut column) = (String::new(), COLUMNS);
    for word in text.split(' ') {
        let length = word.chars().count();
        // What goes on is set in by two, so that the next text is seen to begin.
        let (separator, start) = match column {
            _ if lines.is_empty() => ("\n", 0),
            _ if column + 1 + length > COLUMNS => ("\n  ", 2),
            _ => (" ", column + 1),
        };
        lines = lines + separator + word;
        column = start + length;
    }
    lines
}

/// What share of the values the table shows: what this nonlinearity suffers from.
fn share_name(activation: Activation) -> &'static str {
    match activation {
        Activation::Tanh
        | Activation::Sigmoid
        | Activation::TanhFast
        | Activation::SigmoidFast
        | Activation::Elu
        | Activation::Selu
        | Activation::HardTanh
        | Activation::HardSigmoid => "flat",
        _ => "zeros",
    }
}

/// The ends of a histogram, above it.
fn scale(histogram: &Histogram, width: usize) -> String {
    let (low, high) = (histogram.low.to_string(), histogram.high.to_string());
    format!("{low}{high:>rest$}", rest = width.saturating_sub(low.len()))
}

/// A histogram in one line of blocks. Their heights are the roots of the counts, so that a bin that holds most values does
/// not press the others flat; nothing stands where there is no value.
pub(super) fn sparkline(histogram: &Histogram, width: usize) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let per = histogram.counts.len().div_ceil(width).max(1);
    let sums: Vec<u64> = histogram.counts.chunks(per).map(|counts| counts.iter().sum()).collect();
    let most = sums.iter().copied().max().unwrap_or(0);
    sums.iter()
        .map(|sum| {
            let height = libm::sqrt(*sum as f64 / most as f64) * BLOCKS.len() as f64;
            if *sum == 0 { ' ' } else { BLOCKS[(libm::ceil(height) as usize).clamp(1, BLOCKS.len()) - 1] }
        })
        .collect()
}

/// Four digits in seven characters at most.
pub(super) fn short(value: f64) -> String {
    let size = value.abs();
    match value {
        _ if !value.is_finite() => "inf".into(),
        0.0 => "0".into(),
        _ if (9.9995..9999.5).contains(&size) => {
            let decimals = if size < 99.995 { 2 } else { usize::from(size < 999.95) };
            format!("{value:.decimals$}")
        }
        _ if (1e-3..9.9995).contains(&size) => format!("{value:.4}"),
        _ if value < 0.0 => format!("{value:.0e}"),
        _ => exponential(value, 1),
    }
}

/// Three digits in six characters at most.
fn tight(value: f64) -> String {
    match value {
        _ if !value.is_finite() => "inf".into(),
        0.0 => "0".into(),
        0.000_95..9.9995 => format!("{value:.3}"),
        9.9995..999.95 => format!("{value:.1}"),
        _ => exponential(value, 0),
    }
}

fn exponential(value: f64, decimals: usize) -> String {
    format!("{value:.decimals$e}")
}

/// A verdict in its colour, in so many columns.
fn painted(console: Console, verdict: &str, width: usize) -> String {
    let colour = match verdict {
        "healthy" => Colour::Green,
        "vanishing" | "exploding" => Colour::Yellow,
        _ => Colour::Red,
    };
    console.colour(colour, &format!("{verdict:<width$}"))
}

/// In so many columns, cut where it is longer.
fn fitted(text: &str, width: usize) -> String {
    let text: String = text.chars().take(width).collect();
    format!("{text:<width$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fit_their_columns() {
        for (value, expected) in [
            (0.0, "0"),
            (0.62761, "0.6276"),
            (-0.00132, "-0.0013"),
            (3.0234e-7, "3.0e-7"),
            (-3.0234e-7, "-3e-7"),
            (1.5e-123, "1.5e-123"),
            (12.3456, "12.35"),
            (-1234.5, "-1234"),
            (123_456.0, "1.2e5"),
            (f64::NAN, "inf"),
        ] {
            assert_eq!(short(value), expected);
        }
        for value in [1e-300, 1e-37, 3.3e-7, 0.000_949, 0.000_951, 0.5, 9.999_6, 99.96, 999.96, 1e38] {
            assert!(tight(value).len() <= 6, "{}", tight(value));
            assert!(value < 1e-99 || short(value).len() <= 7, "{}", short(value));
        }
    }

    #[test]
    fn text_is_wrapped_at_the_edge() {
        let word = "x".repeat(39);
        assert_eq!(wrapped(&format!("{word} {word} y")), format!("\n{word} {word}\n  y"));
        assert_eq!(wrapped(&format!("{word} {word}y z")), format!("\n{word} {word}y\n  z"));
        assert!(wrapped(&"ab ".repeat(100)).lines().all(|line| line.len() <= COLUMNS));
    }

    #[test]
    fn a_histogram_is_a_line_of_blocks() {
        let histogram = |counts: &[u64]| Histogram { low: 0.0, high: 1.0, counts: counts.into() };
        // Roots: a quarter of the count is half as high.
        assert_eq!(sparkline(&histogram(&[64, 16, 1, 0]), 4), "█▄▁ ");
        assert_eq!(sparkline(&histogram(&[32, 32, 16, 0, 1, 0]), 3), "█▄▁");
        assert_eq!(sparkline(&histogram(&[0, 0]), 2), "  ");
    }
}
