//! Steps of training and single predictions, in samples a second and nanoseconds.
//!
//! `taskset -c 1 cargo bench -p slicewise-benches --bench training -- --table` prints, for each net, the samples a second of a step
//! (forward, softmax cross-entropy, backward, SGD with momentum), the limit that arithmetic alone sets and our share of it;
//! then what a single prediction takes. `--table=steps` and `--table=single` print one of the two, `--markdown` as Markdown,
//! `-- 3072` only nets with that in their names. Without `--table`, criterion's figures. `benches/peers` has what runs beside it.

mod nets;
mod tables;

use core::time::Duration;
use criterion::{BenchmarkId, Criterion, Throughput};
use nets::{NETS, Net, UPDATE};
use slicewise_benches::Form;

fn main() {
    let (flags, words): (Vec<_>, Vec<_>) = std::env::args().skip(1).partition(|word| word.starts_with("--"));
    let has = |wanted: &str| flags.iter().any(|flag| flag == wanted);
    let nets = NETS.iter().filter(|net| words.iter().all(|word| net.name.contains(word.as_str())));
    let form = if has("--markdown") { Form::Markdown } else { Form::Plain };
    let [both, steps, single] = ["--table", "--table=steps", "--table=single"].map(has);
    if both || steps || single {
        tables::heading(form);
    }
    if both || steps {
        tables::steps(form, nets.clone());
    }
    if both || single {
        tables::single(form, nets);
        return;
    }
    if steps {
        return;
    }
    let mut criterion = Criterion::default().configure_from_args();
    NETS.iter().for_each(|net| measure(&mut criterion, net));
    criterion.final_summary();
}

/// Criterion's figures of a net.
fn measure(criterion: &mut Criterion, net: &Net) {
    let (layers, data) = (net.layers(), net.batch_of_data());
    let mut group = criterion.benchmark_group("training");
    group.measurement_time(Duration::from_secs(3));
    group.throughput(Throughput::Elements(net.batch as u64));
    let mut arena = net.arena(&layers);
    let mut network = net.bind(&layers, &mut arena);
    group.bench_function(BenchmarkId::new("step", net.name), |b| {
        b.iter(|| network.step(&data.inputs, &data.labels, &UPDATE).expect("a good batch"));
    });
    group.throughput(Throughput::Elements(1));
    let (row, mut probabilities) = (&data.inputs[..network.features()], vec![0.0; network.classes()]);
    group.bench_function(BenchmarkId::new("predict one", net.name), |b| {
        b.iter(|| network.predict(row, &mut probabilities).expect("a good row"));
    });
    group.finish();
}
