//! What lies behind several complaints at once: inputs, first weights, labels. A check that fails for such a cause names it, so
//! that the first complaint tells what to mend.

use super::figures::{layer_name, percent, short};
use super::patient::Patient;
use crate::options::{Center, Scale};
use slicewise::check::{InputStatistics, Signal, Verdict};

/// What the untrained network shows.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) inputs: InputStatistics,
    pub(super) signal: Signal,
    /// The layer whose units all have the same weights.
    pub(super) equal: Option<usize>,
}

impl Condition {
    /// The first cause that explains why nothing learns; what a network cannot do without comes before what it can.
    pub(super) fn cause(&self, patient: &Patient<'_>) -> Option<String> {
        self.equal_units()
            .or_else(|| self.dead())
            .or_else(|| self.inputs_off(patient))
            .or_else(|| self.size())
    }

    /// Symmetry that is never broken.
    pub(super) fn equal_units(&self) -> Option<String> {
        let layer = layer_name(self.equal?);
        Some(format!(
            "all units of {layer} start with the same weights, so that they compute and learn the same: choose --init auto, \
             which breaks the symmetry"
        ))
    }

    /// Inputs that are far from mean 0 and spread 1. Batch norm takes them, after the first layer.
    pub(super) fn inputs_off(&self, patient: &Patient<'_>) -> Option<String> {
        let inputs = &self.inputs;
        if inputs.verdict() == Verdict::Pass {
            return None;
        }
        let options = &patient.options;
        let mut mend = Vec::new();
        if !inputs.is_centred() || options.center == Center::None {
            mend.push("choose --center image");
        }
        if !inputs.is_scaled() {
            mend.push(match options.scale {
                Scale::Std => "look for features of a few extreme values",
                Scale::None | Scale::Factor(_) => "choose --scale std, or 1/255 for pixels",
            });
        }
        Some(format!(
            "the inputs have mean {} and standard deviation {}, not about 0 and 1: {}",
            short(inputs.mean),
            short(inputs.std),
            mend.join(" and "),
        ))
    }

    /// Units that give 0 to every row.
    pub(super) fn dead(&self) -> Option<String> {
        let (share, layer) = self.signal.dead;
        (share > 0.5).then(|| {
            format!(
                "{} of the units of {} are dead, 0 for every row, and nothing comes back through them: start with biases at 0 \
                 (--init auto), centre the inputs, or choose --activation leaky-relu",
                percent(share),
                layer_name(layer)
            )
        })
    }

    /// A signal that vanishes, explodes or saturates on its way.
    pub(super) fn size(&self) -> Option<String> {
        let signal = &self.signal;
        if signal.verdict() == Verdict::Pass {
            return None;
        }
        let (share, layer) = signal.saturated;
        if !signal.finite {
            return Some("what comes through the layers is no finite number: choose --init auto".into());
        }
        if share > 1.0 / 3.0 {
            return Some(format!(
                "{} of what {} gives is saturated, where hardly a gradient comes back: choose --init auto or --norm batch",
                percent(share),
                layer_name(layer)
            ));
        }
        let way = match signal.ratio() {
            ratio if ratio > 10.0 => "explode: their spread grows",
            ratio if ratio < 0.1 => "vanish: their spread falls",
            _ if signal.first_std <= 0.0 => "have no spread at all: it stays",
            _ => return None,
        };
        Some(format!(
            "the activations {way} from {} to {} over {} layers: choose --init auto (he before ReLU, xavier before tanh) or \
             --norm batch",
            short(signal.first_std),
            short(signal.last_std),
            signal.layers
        ))
    }
}

/// Labels that do not belong to their rows.
pub(super) const LABELS: &str = "rows can be learned by heart, but nothing holds for others: the labels do not belong to their rows; check \
                                 that both are in one order, and --label";
