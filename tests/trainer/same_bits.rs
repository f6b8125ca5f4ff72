//! A result depends on the inputs alone: not on the run, the batch, the arena or the level.

use proptest::prelude::*;
use rand_pcg::Pcg64;
use slicewise::batches::shuffle;
use slicewise::kernels::{fill_normal, softmax};
use slicewise::{Init, Layer, Level, Network, Optimizer, Role, Update, arena_len, inference_arena_len};

const NET: &[Layer] = &[
    Layer::dense(20, 33),
    Layer::batch_norm(33),
    Layer::relu(),
    Layer::dropout(0.3),
    Layer::dense(33, 24),
    Layer::maxout(2),
    Layer::dense(12, 7),
    Layer::tanh(),
    Layer::dense(7, 5),
];

fn data(rows: usize) -> (Vec<f32>, Vec<u32>) {
    let mut inputs = vec![0.0; rows * 20];
    fill_normal(Level::detect(), &mut Pcg64::new(5, 5), 0.0, 1.0, &mut inputs).unwrap();
    (inputs, (0..rows).map(|i| (i * 3 % 5) as u32).collect())
}

/// The bits of every tensor after some epochs in an arena that held `dirt`, and the losses on the way.
fn train(level: Level, dirt: f32, offset: usize) -> (Vec<u32>, Vec<f64>) {
    let (inputs, labels) = data(50);
    let mut arena = vec![dirt; offset + arena_len(NET, 16)];
    let mut net = Network::bind(NET, 16, level, &mut arena[offset..]).unwrap();
    net.initialise(Init::Auto, &mut Pcg64::new(1, 1)).unwrap();
    net.set_seed(9);
    let update = Update { optimizer: Optimizer::adam(), learning_rate: 1e-2, regularisation: 1e-3 };
    let mut losses = Vec::new();
    let mut order = vec![0; 50];
    for epoch in 0..5 {
        shuffle(3, epoch, &mut order);
        for rows in order.chunks(16) {
            let batch: Vec<f32> =
                rows.iter().flat_map(|r| &inputs[*r as usize * 20..][..20]).copied().collect();
            let labels: Vec<u32> = rows.iter().map(|r| labels[*r as usize]).collect();
            losses.push(net.step(&batch, &labels, &update).unwrap().loss);
        }
    }
    let mut bits = Vec::new();
    for layer in 0..NET.len() {
        for role in Role::ALL {
            bits.extend(net.tensor(layer, role).unwrap_or_default().iter().map(|x| x.to_bits()));
        }
    }
    assert!(losses.iter().all(|loss| loss.is_finite()));
    (bits, losses)
}

#[test]
fn two_runs_are_the_same_bits_whatever_the_arena_held_and_wherever_it_starts() {
    for level in Level::available() {
        let first = train(level, 0.0, 0);
        assert_eq!(first, train(level, f32::NAN, 0), "{}", level.name());
        assert_eq!(first, train(level, 1e30, 3), "{}", level.name());
    }
}

#[test]
fn levels_with_fused_multiply_add_agree_bit_for_bit_and_the_portable_one_closely() {
    let all: Vec<_> = Level::available().map(|level| (level, train(level, 0.0, 0))).collect();
    let (best, (bits, losses)) = &all[0];
    for (level, (other_bits, other_losses)) in &all[1..] {
        if *level == Level::Portable && *best != Level::Portable {
            // 20 steps of Adam: each step's rounding differences grow a little; the losses stay within 1e-4.
            for (a, b) in losses.iter().zip(other_losses) {
                assert!((a - b).abs() <= 1e-4 * a.abs(), "{a} and {b}");
            }
        } else {
            assert_eq!(bits, other_bits, "{} and {}", best.name(), level.name());
        }
    }
}

proptest! {
    #[test]
    fn a_rows_prediction_is_the_same_bits_alone_and_in_any_batch(batch in 1usize..40, rows in 1usize..60) {
        let (inputs, labels) = data(rows);
        for level in Level::available() {
            let mut arena = vec![0.0f32; arena_len(NET, batch)];
            let mut net = Network::bind(NET, batch, level, &mut arena).unwrap();
            net.initialise(Init::Auto, &mut Pcg64::new(1, 1)).unwrap();
            let mut together = vec![0.0; rows * 5];
            net.predict(&inputs, &mut together).unwrap();
            let (mut logits, mut probabilities) = (vec![0.0; rows * 5], vec![0.0; rows * 5]);
            net.infer(&inputs, &mut logits).unwrap();
            softmax(level, 5, &logits, &mut probabilities).unwrap();
            prop_assert!(probabilities.iter().zip(&together).all(|(a, b)| a.to_bits() == b.to_bits()));
            let whole = net.evaluate(&inputs, &labels).unwrap();

            let mut arena = vec![0.0f32; inference_arena_len(NET, 1)];
            let mut alone = Network::bind_inference(NET, 1, level, &mut arena).unwrap();
            for layer in 0..NET.len() {
                for role in Role::ALL {
                    if let Some(to) = alone.tensor_mut(layer, role) {
                        to.copy_from_slice(net.tensor(layer, role).unwrap());
                    }
                }
            }
            for ((input, together), logits) in inputs.chunks(20).zip(together.chunks(5)).zip(logits.chunks(5)) {
                let mut one = [0.0; 5];
                alone.predict(input, &mut one).unwrap();
                prop_assert!(one.iter().zip(together).all(|(a, b)| a.to_bits() == b.to_bits()));
                alone.infer(input, &mut one).unwrap();
                prop_assert!(one.iter().zip(logits).all(|(a, b)| a.to_bits() == b.to_bits()));
            }
            let one_by_one = alone.evaluate(&inputs, &labels).unwrap();
            prop_assert_eq!(whole.loss.to_bits(), one_by_one.loss.to_bits());
            prop_assert_eq!(whole.correct, one_by_one.correct);
        }
    }
}

#[test]
fn a_step_is_its_two_halves_one_after_the_other() {
    // In f64, where the order in which the penalty is summed shows.
    let (inputs, labels) = data(16);
    let inputs: Vec<f64> = inputs.into_iter().map(f64::from).collect();
    let update = Update { optimizer: Optimizer::adam(), learning_rate: 1e-2, regularisation: 1e-3 };
    let run = |whole: bool| {
        let mut arena = vec![0.0f64; arena_len(NET, 16)];
        let mut net = Network::bind(NET, 16, Level::detect(), &mut arena).unwrap();
        net.initialise(Init::Auto, &mut Pcg64::new(1, 1)).unwrap();
        let (mut bits, mut penalties) = (Vec::new(), Vec::new());
        for _ in 0..20 {
            let penalty = if whole {
                net.step(&inputs, &labels, &update).unwrap().penalty
            } else {
                net.gradients(&inputs, &labels).unwrap();
                net.update(&update).unwrap()
            };
            penalties.push(penalty.to_bits());
            for (layer, role) in (0..NET.len()).flat_map(|layer| Role::ALL.map(|role| (layer, role))) {
                bits.extend(net.tensor(layer, role).into_iter().flatten().map(|x| x.to_bits()));
                penalties.extend(net.update_ratio(layer, role).map(f64::to_bits));
            }
            bits.extend(net.optimizer_state().concat().iter().map(|x| x.to_bits()));
        }
        (bits, penalties)
    };
    assert!(run(true) == run(false));
}
