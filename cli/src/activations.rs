//! What comes out of the hidden layers, as training shows it.

use crate::error::{Failure, Outcome};
use crate::events::{Activations, Histogram};
use slicewise::kernels::{histogram, max, min};
use slicewise::monitor::statistics;
use slicewise::{Activation, Layer, Network, Parallel};

/// Bins of a histogram.
const BINS: usize = 32;

/// The outputs of each nonlinearity for the first `rows` rows of the last step, which the arena still holds. A layer whose
/// outputs are not finite is left out.
pub(crate) fn measure(net: &Network<'_, f32, impl Parallel>, rows: usize) -> Outcome<Vec<Activations>> {
    let mut width = net.features();
    let mut measured = Vec::new();
    for (index, layer) in net.layers().iter().enumerate() {
        width = match layer {
            Layer::Dense { outputs, .. } => *outputs,
            Layer::Maxout { pieces } => width / pieces,
            _ => width,
        };
        let activation = match layer {
            Layer::Activation(activation) => *activation,
            // The largest of its pieces has no bounds of its own.
            Layer::Maxout { .. } => Activation::Identity,
            _ => continue,
        };
        let Some(outputs) = net.outputs(index, rows) else { continue };
        let numbers = statistics(net.level(), activation, width, outputs)
            .map_err(|error| Failure::failed(format!("activations: {error}")))?;
        let (low, high) = range(net, activation, outputs);
        if ![numbers.mean, numbers.std, low, high].into_iter().all(f64::is_finite) {
            continue;
        }
        let mut counts = vec![0; BINS];
        histogram(outputs, low, high, &mut counts);
        measured.push(Activations {
            layer: format!("layers.{index}"),
            mean: numbers.mean,
            std: numbers.std,
            zero_fraction: numbers.zero_fraction,
            saturated_fraction: numbers.saturated_fraction,
            dead_fraction: numbers.dead_fraction,
            histogram: Histogram { low, high, counts },
        });
    }
    Ok(measured)
}

/// The function's own bounds, so that epochs can be compared; what came where it has none.
fn range(net: &Network<'_, f32, impl Parallel>, activation: Activation, outputs: &[f32]) -> (f64, f64) {
    match activation {
        Activation::Tanh | Activation::TanhFast | Activation::HardTanh => (-1.0, 1.0),
        Activation::Sigmoid | Activation::SigmoidFast | Activation::HardSigmoid => (0.0, 1.0),
        _ => (min(net.level(), outputs).into(), max(net.level(), outputs).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_pcg::Pcg64;
    use slicewise::{Init, Level, arena_len};

    #[test]
    fn every_nonlinearity_is_measured() {
        const NET: &[Layer] = &[
            Layer::dense(4, 16),
            Layer::batch_norm(16),
            Layer::tanh(),
            Layer::dropout(0.5),
            Layer::dense(16, 12),
            Layer::relu(),
            Layer::dense(12, 8),
            Layer::maxout(2),
            Layer::dense(4, 2),
        ];
        let mut arena = vec![0.0; arena_len(NET, 8)];
        let mut net = Network::bind(NET, 8, Level::Portable, &mut arena).unwrap();
        net.initialise(Init::Auto, &mut Pcg64::new(1, 1)).unwrap();
        let inputs: Vec<f32> = (0..32).map(|i| ((i * 37 % 11) as f32 - 5.0) / 5.0).collect();
        net.gradients(&inputs, &[0, 1, 0, 1, 0, 1, 0, 1]).unwrap();
        let measured = measure(&net, 8).unwrap();
        let layers: Vec<&str> = measured.iter().map(|layer| layer.layer.as_str()).collect();
        assert_eq!(layers, ["layers.2", "layers.5", "layers.7"]);
        for (layer, values) in measured.iter().zip([16 * 8, 12 * 8, 4 * 8]) {
            assert_eq!(layer.histogram.counts.iter().sum::<u64>(), values, "{}", layer.layer);
            assert!(layer.std > 0.0 && layer.histogram.low < layer.histogram.high);
        }
        let [tanh, relu, _] = &measured[..] else { panic!("{measured:?}") };
        assert_eq!((tanh.histogram.low, tanh.histogram.high), (-1.0, 1.0));
        // Batch norm centres what comes to tanh, and dropout leaves its outputs alone.
        assert!(tanh.mean.abs() < 0.05 && tanh.zero_fraction == 0.0, "{tanh:?}");
        assert!(relu.zero_fraction > 0.1 && relu.histogram.low == 0.0, "{relu:?}");
    }
}
