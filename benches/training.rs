//! Steps of training and single predictions, in samples a second and microseconds.
//!
//! `cargo bench -p slicewise-benches --bench training`; pin it to a core with `taskset -c 1`.

use core::time::Duration;
use criterion::{BenchmarkId, Criterion, Throughput};
use rand_pcg::Pcg64;
use slicewise::{Init, Layer, Level, Network, Optimizer, Update, arena_len};

/// A dense layer, batch norm and ReLU for each hidden width.
fn hidden(widths: &[usize], classes: usize) -> Vec<Layer> {
    let mut layers = Vec::new();
    for pair in widths.windows(2) {
        layers.extend([Layer::dense(pair[0], pair[1]), Layer::batch_norm(pair[1]), Layer::relu()]);
    }
    layers.push(Layer::dense(*widths.last().expect("an input width"), classes));
    layers
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let nets = [
        ("64-32-10", hidden(&[64, 32], 10), 32),
        ("784-256-128-10", hidden(&[784, 256, 128], 10), 128),
        ("3072-50-10", hidden(&[3072, 50], 10), 100),
    ];
    let update = Update { optimizer: Optimizer::momentum(), learning_rate: 0.01, regularisation: 0.0 };
    for (name, net, batch) in &nets {
        let mut arena = vec![0.0f32; arena_len(net, *batch)];
        let mut network = Network::bind(net, *batch, Level::detect(), &mut arena).expect("layers fit");
        network.initialise(Init::Auto, &mut Pcg64::new(1, 1)).expect("a valid distribution");
        let inputs: Vec<f32> =
            (0..batch * network.features()).map(|i| (i * 7919 % 1000) as f32 / 500.0 - 1.0).collect();
        let labels: Vec<u32> = (0..*batch as u32).map(|i| i % 10).collect();
        let mut probabilities = [0.0; 10];
        let mut group = criterion.benchmark_group("training");
        group.measurement_time(Duration::from_secs(3));
        group.throughput(Throughput::Elements(*batch as u64));
        group.bench_function(BenchmarkId::new("step", name), |b| {
            b.iter(|| network.step(&inputs, &labels, &update).expect("a good batch"));
        });
        group.throughput(Throughput::Elements(1));
        let row = &inputs[..inputs.len() / batch];
        group.bench_function(BenchmarkId::new("predict one", name), |b| {
            b.iter(|| network.predict(row, &mut probabilities).expect("a good row"));
        });
        group.finish();
    }
    criterion.final_summary();
}
