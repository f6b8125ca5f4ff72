//! The two tables: steps beside the limit of arithmetic, and single predictions.

use super::nets::{Net, UPDATE};
use core::hint::black_box;
use core::time::Duration;
use slicewise::{Level, Network, inference_arena_len};
use slicewise_benches::{Form, Statistic, cpu, in_turn, peak, today};
use std::time::Instant;

/// Of the first column of a plain table, and of the others.
const WIDTHS: [usize; 2] = [26, 12];

fn print_row(form: Form, first: &str, cells: &[String]) {
    println!("{}", form.row(WIDTHS, first, cells));
}

fn print_head(form: Form, names: &[&str]) {
    print_row(form, "net", &names.iter().map(ToString::to_string).collect::<Vec<_>>());
    if form == Form::Markdown {
        print_row(form, "---", &vec!["---:".to_string(); names.len()]);
    }
}

/// What the tables have in common, of this machine and this day.
pub(crate) fn heading(form: Form) {
    if form == Form::Markdown {
        println!("# training on {}, {}\n", cpu(), today());
        println!("slicewise {}, f32, one core, one resident batch: medians.\n", env!("CARGO_PKG_VERSION"));
    }
}

/// Samples a second of a step, those that its products would allow at the peak measured in the same rounds, and the share.
pub(crate) fn steps<'n>(form: Form, nets: impl Iterator<Item = &'n Net>) {
    print_head(form, &["batch", "samples/s", "limit", "share", "GFLOP/s peak"]);
    for net in nets {
        let (layers, data) = (net.layers(), net.batch_of_data());
        let mut arena = net.arena(&layers);
        let mut network = net.bind(&layers, &mut arena);
        let mut operations = 0;
        let mut step = || {
            black_box(network.step(&data.inputs, &data.labels, &UPDATE).expect("a good batch"));
        };
        let mut limit = || operations = peak::<f32>(Level::detect());
        let mut contestants: [(&str, &mut dyn FnMut()); 2] = [("step", &mut step), ("peak", &mut limit)];
        let seconds = in_turn(15, Duration::from_millis(20), Statistic::Median, &mut contestants);
        let top = operations as f64 / seconds[1];
        let (rate, limit) = (net.batch as f64 / seconds[0], net.batch as f64 * top / net.flops());
        let share = format!("{:.0}%", 100.0 * rate / limit);
        let cells = [format!("{}", net.batch), format!("{rate:.0}"), format!("{limit:.0}"), share];
        print_row(form, net.name, &[&cells[..], &[format!("{:.1}", top / 1e9)]].concat());
    }
    println!();
}

/// Nanoseconds of single predictions, each timed by itself, up to the logits and with their softmax; the first line is what the clock takes.
pub(crate) fn single<'n>(form: Form, nets: impl Iterator<Item = &'n Net>) {
    print_head(form, &["p50 ns", "p99.9 ns", "softmax p50", "p99.9 ns"]);
    let print = |name: &str, times: &[[u128; 2]]| {
        print_row(form, name, &times.iter().flatten().map(u128::to_string).collect::<Vec<_>>())
    };
    print("nothing", &[percentiles(100_000, || {})]);
    for net in nets {
        let (layers, data) = (net.layers(), net.batch_of_data());
        let mut arena = net.arena(&layers);
        let parameters = net.bind(&layers, &mut arena);
        let mut arena = vec![0.0; inference_arena_len(&layers, 1)];
        let mut network =
            Network::bind_inference(&layers, 1, Level::detect(), &mut arena).expect("layers fit");
        for (layer, role) in
            (0..layers.len()).flat_map(|layer| slicewise::Role::ALL.map(|role| (layer, role)))
        {
            if let (Some(to), Some(from)) = (network.tensor_mut(layer, role), parameters.tensor(layer, role))
            {
                to.copy_from_slice(from);
            }
        }
        let (row, mut outputs) = (&data.inputs[..network.features()], vec![0.0; network.classes()]);
        let logits = percentiles(net.calls, || {
            network.infer(black_box(row), &mut outputs).expect("a good row");
            black_box(&outputs);
        });
        let probabilities = percentiles(net.calls, || {
            network.predict(black_box(row), &mut outputs).expect("a good row");
            black_box(&outputs);
        });
        print(net.name, &[logits, probabilities]);
    }
}

/// The median and the 99.9th percentile of single calls, in nanoseconds, after a tenth as many to warm up.
fn percentiles(calls: usize, mut call: impl FnMut()) -> [u128; 2] {
    (0..calls / 10).for_each(|_| call());
    let mut times: Vec<u128> = (0..calls)
        .map(|_| {
            let start = Instant::now();
            call();
            start.elapsed().as_nanos()
        })
        .collect();
    times.sort_unstable();
    [times[calls / 2], times[calls * 999 / 1000]]
}
