//! Where a search looks: the parameters that vary, each in its range, and the options that trials share.

use super::args::{SearchArgs, Strategy};
use crate::error::{Failure, Outcome};
use crate::options::{Options, Widths, below_one, not_negative, positive};
use slicewise::search::{Edge, Range, grid_counts, grid_place};
use std::collections::BTreeMap;

/// A value, or the range that it is looked for in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Extent {
    Fixed(f64),
    Between(Range),
}

/// One extent for each hidden layer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Extents(pub(crate) Vec<Extent>);

/// A parameter that varies.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Parameter {
    /// As the journal and JSON have it: `lr`, `reg`, `dropout`, `hidden`, or `hidden_1`, `hidden_2`, …
    pub(crate) name: String,
    pub(crate) range: Range,
    target: Target,
}

/// What a parameter sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Lr,
    Reg,
    Dropout,
    /// The width of a hidden layer, from 0.
    Hidden(usize),
}

/// The parameters, in the order in which they are drawn.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Space(pub(crate) Vec<Parameter>);

/// A set of parameters' values, by name.
pub(crate) type Values = BTreeMap<String, f64>;

impl Space {
    /// The search space that is asked for; what is fixed goes into the options.
    pub(crate) fn new(arguments: &SearchArgs, options: &mut Options) -> Outcome<Self> {
        let mut parameters = Vec::new();
        let mut add = |name: String, target, extent| match extent {
            Extent::Fixed(value) => set(options, target, value),
            Extent::Between(range) => parameters.push(Parameter { name, range, target }),
        };
        let default = |range: Result<Range, _>| {
            range.map(Extent::Between).map_err(|error| Failure::failed(format!("a default range: {error}")))
        };
        let usual = arguments.rule.optimizer.map_or(0.05, |optimizer| optimizer.default_lr());
        let rates = default(Range::log_uniform(usual / 100.0, usual * 10.0))?;
        add("lr".into(), Target::Lr, arguments.lr.unwrap_or(rates));
        let penalties = default(Range::log_uniform(1e-6, 0.1))?;
        add("reg".into(), Target::Reg, arguments.reg.unwrap_or(penalties));
        if let Some(extent) = arguments.dropout {
            add("dropout".into(), Target::Dropout, extent);
        }
        if let Some(Extents(layers)) = &arguments.hidden {
            for (layer, extent) in layers.iter().enumerate() {
                let one = layers.len() == 1;
                let name = if one { "hidden".into() } else { format!("hidden_{}", layer + 1) };
                add(name, Target::Hidden(layer), *extent);
            }
            options.hidden.0.truncate(layers.len());
        }
        if parameters.is_empty() {
            return Err(Failure::unusable("nothing varies: give --lr, --reg, --dropout or --hidden a range"));
        }
        Ok(Self(parameters))
    }

    /// How many trials a round of up to `trials` has: a grid has as many points as fit.
    pub(crate) fn trials(&self, strategy: Strategy, trials: usize) -> usize {
        match strategy {
            Strategy::Random => trials,
            Strategy::Grid => self.grid(trials).iter().product(),
        }
    }

    /// The values of trial `number`, which is the `index`-th of a round of up to `trials`.
    pub(crate) fn values(
        &self,
        strategy: Strategy,
        seed: u64,
        number: u64,
        index: usize,
        trials: usize,
    ) -> Values {
        let counts = if strategy == Strategy::Grid { self.grid(trials) } else { Vec::new() };
        let value = |(place, parameter): (usize, &Parameter)| match strategy {
            Strategy::Random => parameter.range.draw(seed, number, place as u32),
            Strategy::Grid => parameter.range.point(grid_place(index, &counts, place), counts[place]),
        };
        self.0.iter().enumerate().map(|at| (at.1.name.clone(), value(at))).collect()
    }

    /// The options of a trial.
    pub(crate) fn options(&self, base: &Options, values: &Values, epochs: u32) -> Options {
        let mut options = base.clone();
        options.epochs = epochs;
        for parameter in &self.0 {
            if let Some(value) = values.get(&parameter.name) {
                set(&mut options, parameter.target, *value);
            }
        }
        options
    }

    /// The ranges of the next round, from the values of this round's best trials, the best of all first; and where that one
    /// lies at an edge.
    pub(crate) fn refine(&self, best: &[&Values]) -> (Self, Vec<(String, Edge)>) {
        let mut edges = Vec::new();
        let refined = self.0.iter().map(|parameter| {
            let values: Vec<f64> =
                best.iter().filter_map(|values| values.get(&parameter.name).copied()).collect();
            let (range, edge) = parameter.range.refine(&values);
            if let Some(edge) = edge {
                edges.push((parameter.name.clone(), edge));
            }
            let (low, high) = parameter.target.limits();
            Parameter { range: range.within(low, high), ..parameter.clone() }
        });
        let refined = refined.collect();
        (Self(refined), edges)
    }

    fn grid(&self, trials: usize) -> Vec<usize> {
        let limits: Vec<usize> = self.0.iter().map(|parameter| parameter.range.points()).collect();
        let mut counts = vec![1; limits.len()];
        // Fails for no trials only: then one point will do.
        let _ = grid_counts(trials.max(1), &limits, &mut counts);
        counts
    }
}

impl Target {
    /// What the options can be at all.
    fn limits(self) -> (f64, f64) {
        match self {
            Self::Lr | Self::Reg => (f64::from(f32::MIN_POSITIVE), f64::from(f32::MAX) / 2.0),
            Self::Dropout => (0.0, 0.95),
            Self::Hidden(_) => (1.0, Widths::WIDEST as f64),
        }
    }
}

fn set(options: &mut Options, target: Target, value: f64) {
    match target {
        Target::Lr => options.lr = value,
        Target::Reg => options.reg = value,
        Target::Dropout => options.dropout = value,
        Target::Hidden(layer) => {
            let widths = &mut options.hidden.0;
            widths.resize(widths.len().max(layer + 1), 1);
            widths[layer] = value as usize;
        }
    }
}

/// A learning rate or a range of them.
pub(crate) fn rate(text: &str) -> Result<Extent, String> {
    extent(text, positive, positive, Range::log_uniform)
}

/// A lambda or a range of them: 0 is none, but has no logarithm.
pub(crate) fn penalty(text: &str) -> Result<Extent, String> {
    extent(text, not_negative, positive, Range::log_uniform)
}

/// A probability or a range of them.
pub(crate) fn probability(text: &str) -> Result<Extent, String> {
    extent(text, below_one, below_one, Range::uniform)
}

/// The hidden layers: a number or a range for each, or none.
pub(crate) fn widths(text: &str) -> Result<Extents, String> {
    if text == "none" {
        return Ok(Extents(Vec::new()));
    }
    // `Widths` knows how wide and how many layers can be.
    let width = |text: &str| match text.parse::<Widths>() {
        Ok(Widths(widths)) if widths.len() == 1 => Ok(widths[0] as f64),
        Ok(_) => Err("write a range like 64..512".into()),
        Err(message) => Err(message),
    };
    let range = |low: f64, high: f64| Range::integer(low as u32, high as u32);
    let layers = text.split(',').map(|layer| extent(layer.trim(), width, width, range));
    let layers = layers.collect::<Result<Vec<_>, String>>()?;
    if layers.len() > 100 {
        return Err("100 layers at most".into());
    }
    Ok(Extents(layers))
}

fn extent(
    text: &str,
    fixed: impl Fn(&str) -> Result<f64, String>,
    bound: impl Fn(&str) -> Result<f64, String>,
    range: impl Fn(f64, f64) -> Result<Range, slicewise::Error>,
) -> Result<Extent, String> {
    let Some((low, high)) = text.split_once("..") else { return fixed(text).map(Extent::Fixed) };
    let (low, high) = (bound(low)?, bound(high)?);
    if low >= high {
        return Err(format!("{low} is not below {high}: write LO..HI, or one number"));
    }
    range(low, high).map(Extent::Between).map_err(|error| error.to_string())
}

/// A number in about three digits: `0.0483`, `4.83e-5`.
pub(crate) fn short(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 || (value.fract() == 0.0 && size < 1e6) {
        format!("{value}")
    } else if (1e-3..1e4).contains(&size) {
        let digits = (2.0 - libm::floor(libm::log10(size))).max(0.0) as usize;
        let text = format!("{value:.digits$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
    } else {
        format!("{value:.2e}").replace(".00e", "e")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_or_a_range() {
        assert_eq!(rate("0.1"), Ok(Extent::Fixed(0.1)));
        assert_eq!(rate("1e-4..0.1"), Ok(Extent::Between(Range::log_uniform(1e-4, 0.1).unwrap())));
        assert_eq!(penalty("0"), Ok(Extent::Fixed(0.0)));
        assert_eq!(probability("0..0.5"), Ok(Extent::Between(Range::uniform(0.0, 0.5).unwrap())));
        for text in
            ["", "..", "1..", "..1", "2..1", "1..1", "0..1", "a..b", "-1..1", "1...2", "nan..1", "1..inf"]
        {
            assert!(rate(text).is_err(), "{text}");
        }
        assert!(penalty("0..1").is_err() && probability("0.5..1").is_err());
        assert_eq!(widths("none"), Ok(Extents(Vec::new())));
        let layer = Extent::Between(Range::integer(32, 128).unwrap());
        assert_eq!(widths("256,32..128"), Ok(Extents(vec![Extent::Fixed(256.0), layer])));
        for text in ["", "0..4", "4..65537", "1.5", "64..", "a", "8,"] {
            assert!(widths(text).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (0.0, "0"),
            (128.0, "128"),
            (0.05, "0.05"),
            (0.048312, "0.0483"),
            (4.8312e-5, "4.83e-5"),
            (1e-6, "1e-6"),
            (123.456, "123"),
            (1.5, "1.5"),
            (0.9996, "1"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
