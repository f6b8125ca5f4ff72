//! A step, an evaluation and a prediction allocate nothing, whatever the batch.
#![allow(unsafe_code, reason = "a global allocator that counts is unsafe to implement")]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use rand_pcg::Pcg64;
use slicewise::batches::{gather, shuffle};
use slicewise::check;
use slicewise::monitor::{mean_and_std, statistics};
use slicewise::preprocess::{
    Center, Images, Scale, Values, add_covariance, apply, covariance_scratch_len, fit, project,
    project_scratch_len, whitening,
};
use slicewise::schedule::{Schedule, warm_up};
use slicewise::search::{Halving, Range, grid_counts, grid_place};
use slicewise::theory::{Signal, hidden_layers};
use slicewise::{Activation, Init, Layer, Level, Network, Optimizer, Update, arena_len, saved_len};
use std::alloc::System;

struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller's promise is the system's.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations<R>(f: impl FnOnce() -> R) -> (usize, R) {
    let before = COUNT.get();
    let result = f();
    (COUNT.get() - before, result)
}

const NET: &[Layer] = &[
    Layer::dense(64, 48),
    Layer::batch_norm(48),
    Layer::relu(),
    Layer::dropout(0.1),
    Layer::dense(48, 32),
    Layer::maxout(2),
    Layer::dense(16, 16),
    Layer::elu(1.0),
    Layer::dense(16, 10),
];

/// As [`NET`], in the order that the theory covers.
const THEORY: &[Layer] = &[
    Layer::dense(64, 48),
    Layer::batch_norm(48),
    Layer::relu(),
    Layer::dropout(0.1),
    Layer::dense(48, 32),
    Layer::maxout(2),
];

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| Box::new(1u8)).0, 1);
}

#[test]
fn nothing_is_allocated() {
    for level in Level::available() {
        let mut arena = vec![0.0f32; arena_len(NET, 32)];
        let pixels = vec![3u8; 100 * 64];
        let labels: Vec<u32> = (0..100).map(|i| i % 10).collect();
        let (mut mean, mut scale, mut images) = (vec![0.0; 64], vec![0.0; 64], vec![0.0f32; 100 * 64]);
        let (mut order, mut batch, mut batch_labels) = (vec![0; 100], vec![0.0; 32 * 64], vec![0; 32]);
        let (mut probabilities, dy) = (vec![0.0; 100 * 10], vec![0.5; 32 * 10]);
        let mut covariance = vec![0.0; 64 * 64];
        let mut scratch = vec![0.0; covariance_scratch_len(64, 100).max(project_scratch_len(100, 64, 3))];
        let (mut factors, mut projected) = ([0.0; 3], vec![0.0; 100 * 3]);
        let (count, ()) = allocations(|| {
            let shape = Images { n: 100, channels: 1, spatial: 64 };
            fit(level, shape, Values::U8(&pixels), Center::Feature, Scale::Std, &mut mean, &mut scale)
                .unwrap();
            apply(level, Values::U8(&pixels), &mean, &scale, &mut images).unwrap();
            add_covariance(level, 64, 100, &images, &mut covariance, &mut scratch).unwrap();
            whitening(&[1.0, 0.5, 0.1], 1e-5, &mut factors).unwrap();
            let (basis, factors) = (&covariance[..3 * 64], factors.map(|factor| factor as f32));
            project(level, 64, &images, basis, Some(&factors), &mut projected, &mut scratch).unwrap();
            let mut net = Network::bind(NET, 32, level, &mut arena).unwrap();
            net.initialise(Init::Auto, &mut Pcg64::new(1, 1)).unwrap();
            for optimizer in [Optimizer::Sgd, Optimizer::momentum(), Optimizer::adam()] {
                let learning_rate = 1e-3 * Schedule::Cosine.factor(1, 10) * warm_up(3, 10);
                let update = Update { optimizer, learning_rate, regularisation: 1e-4 };
                shuffle(1, 1, &mut order);
                for rows in order.chunks(32) {
                    let (batch, labels_of) = (&mut batch[..rows.len() * 64], &mut batch_labels[..rows.len()]);
                    gather(&images, 64, rows, batch).unwrap();
                    gather(&labels, 1, rows, labels_of).unwrap();
                    net.step(batch, labels_of, &update).unwrap();
                }
            }
            statistics(level, Activation::Relu, 48, net.outputs(2, 4).unwrap()).unwrap();
            let (batch, gradient) = (&images[..32 * 64], &dy[..]);
            net.forward(batch).unwrap();
            let mut seen = 0.0;
            net.backward_from(batch, gradient, |_, dy| seen += mean_and_std(level, dy).1).unwrap();
            let expected = hidden_layers(THEORY, Init::Auto, Signal::STANDARD);
            seen += expected.map(|layer| layer.unwrap().std).sum::<f64>();
            assert!(seen > 0.0);
            net.evaluate(&images, &labels).unwrap();
            net.predict(&images, &mut probabilities).unwrap();
            net.infer(&images, &mut probabilities).unwrap();
        });
        assert_eq!(count, 0, "{}", level.name());
    }
}

#[test]
fn a_search_allocates_nothing() {
    let (mut values, mut counts) = ([0.0; 8], [0; 2]);
    let (count, ()) = allocations(|| {
        let range = Range::log_uniform(1e-6, 1e-3).unwrap();
        for (trial, value) in (0..).zip(&mut values) {
            *value = range.draw(1, trial, 0);
        }
        let (next, edge) = range.refine(&values);
        assert!(next.high() <= range.high() || edge.is_some());
        let points = grid_counts(9, &[range.points(), range.points()], &mut counts).unwrap();
        assert_eq!((points, grid_place(5, &counts, 1), range.point(0, 3)), (9, 1, 1e-6));
        assert_eq!(Halving::new(9, 9, 3).unwrap().rung(1).trials, 3);
    });
    assert_eq!(count, 0);
}

/// Every check of the recipe, but for what the caller lends.
#[test]
fn checks_allocate_nothing() {
    let level = Level::detect();
    let labels: Vec<u32> = (0..64).map(|i| i % 10).collect();
    let values: Vec<f64> = (0..64 * 64).map(|i| f64::from(i * 37 % 101) / 50.0 - 1.0).collect();
    let (mut arena, mut memory) = (vec![0.0f64; arena_len(NET, 32)], vec![0.0; saved_len(NET)]);
    let (mut order, mut batch, mut batch_labels) = (vec![0; 64], vec![0.0; 32 * 64], vec![0; 32]);
    let mut points = [check::RatePoint::NEW; 3];
    let mut losses = [0.0; 20];
    let update = Update { optimizer: Optimizer::adam(), learning_rate: 1e-3, regularisation: 1e-4 };
    let (count, ()) = allocations(|| {
        let mut net = Network::bind(NET, 32, level, &mut arena).unwrap();
        net.initialise(Init::Auto, &mut Pcg64::new(1, 1)).unwrap();
        let (few, few_labels) = (&values[..8 * 64], &labels[..8]);
        let sample = check::Sample { per_tensor: 4, seed: 1 };
        check::gradient(&mut net, few, few_labels, &sample, |_, gradient| gradient).unwrap();
        check::initial_loss(&mut net, &values, &labels).unwrap();
        check::regularisation(&mut net, few, few_labels, 1e3, &mut memory).unwrap();
        let rows = check::Rows { inputs: &values[..], labels: &labels[..] };
        let mut lent = check::Lent { order: &mut order, inputs: &mut batch, labels: &mut batch_labels };
        let rates = [1e-4, 1e-3, 1e-2];
        check::sweep(&mut net, rows, &mut lent, &update, &rates, 4, 1, &mut memory, &mut points, |_| ())
            .unwrap();
        check::inputs(level, 64, &values).unwrap();
        let mut sums = [0.0; NET.len()];
        let mut to = losses.iter_mut();
        check::trial(&mut net, rows, &mut lent, &update, 1, 20, |net, report| {
            check::add_update_ratios(net, &mut sums).unwrap();
            if let Some(to) = to.next() {
                *to = report.loss;
            }
        })
        .unwrap();
        check::signal(&net, 32, |_, _| ()).unwrap();
        let _ = check::loss_curve(&losses);
        let _ = check::equal_units(&net);
        check::overfit(&mut net, few, few_labels, &update, 5, |_| ()).unwrap();
    });
    assert_eq!(count, 0);
}
