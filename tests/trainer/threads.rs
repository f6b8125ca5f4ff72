//! A network on a pool gives the bits of a network without one: for any number of threads, in any order.

use rand_pcg::Pcg64;
use slicewise::kernels::fill_normal;
use slicewise::{
    Init, Layer, Level, Network, Optimizer, Parallel, Role, Serial, Update, arena_len_on,
    inference_arena_len_on,
};

/// Wide enough that every kernel that divides its work does.
const NET: &[Layer] = &[
    Layer::dense(300, 513),
    Layer::batch_norm(513),
    Layer::relu(),
    Layer::dropout(0.2),
    Layer::dense(513, 260),
    Layer::maxout(2),
    Layer::dense(130, 300),
    Layer::elu(1.0),
    Layer::dense(300, 7),
];
const BATCH: usize = 300;

/// Threads of the standard library, or none and `b` before `a`.
#[derive(Clone, Copy)]
struct Pool {
    threads: usize,
    real: bool,
}

impl Parallel for Pool {
    fn threads(&self) -> usize {
        self.threads
    }

    fn join(&self, a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
        if self.real {
            std::thread::scope(|scope| {
                scope.spawn(a);
                b();
            });
        } else {
            b();
            a();
        }
    }
}

fn data(rows: usize) -> (Vec<f32>, Vec<u32>) {
    let mut inputs = vec![0.0; rows * 300];
    fill_normal(Level::detect(), &mut Pcg64::new(5, 5), 0.0, 1.0, &mut inputs).unwrap();
    (inputs, (0..rows).map(|i| (i * 3 % 7) as u32).collect())
}

/// The bits of all that a few steps, an evaluation and a prediction leave.
fn run<P: Parallel>(level: Level, pool: P) -> Vec<u64> {
    let (inputs, labels) = data(700);
    // Not zeros: what lay there must not matter.
    let mut arena = vec![f32::NAN; arena_len_on(NET, BATCH, pool.threads())];
    let mut net = Network::bind_on(NET, BATCH, level, pool, &mut arena).unwrap();
    net.initialise(Init::Auto, &mut Pcg64::new(1, 1)).unwrap();
    let update = Update { optimizer: Optimizer::adam(), learning_rate: 1e-3, regularisation: 1e-3 };
    let mut bits = Vec::new();
    // The last batch is shorter.
    for (inputs, labels) in inputs.chunks(BATCH * 300).zip(labels.chunks(BATCH)) {
        let report = net.step(inputs, labels, &update).unwrap();
        bits.extend([report.loss.to_bits(), report.penalty.to_bits(), report.correct as u64]);
    }
    for layer in 0..NET.len() {
        for role in Role::ALL {
            bits.extend(net.tensor(layer, role).unwrap_or_default().iter().map(|x| u64::from(x.to_bits())));
            bits.extend(net.update_ratio(layer, role).map(f64::to_bits));
        }
    }
    let evaluation = net.evaluate(&inputs, &labels).unwrap();
    bits.extend([evaluation.loss.to_bits(), evaluation.correct as u64]);
    let mut probabilities = vec![0.0; 700 * 7];
    net.predict(&inputs, &mut probabilities).unwrap();
    bits.extend(probabilities.iter().map(|x| u64::from(x.to_bits())));
    bits
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    for level in Level::available() {
        let alone = run(level, Serial);
        assert!(alone.len() > 300_000);
        for threads in [1, 2, 3, 7] {
            for real in [false, true] {
                let same = run(level, Pool { threads, real }) == alone;
                assert!(same, "{threads} threads at {}, real: {real}", level.name());
            }
        }
    }
}

#[test]
fn an_arena_for_too_few_threads_is_refused() {
    let pool = Pool { threads: 3, real: false };
    let mut arena = vec![0.0f32; arena_len_on(NET, BATCH, 2)];
    assert!(Network::bind_on(NET, BATCH, Level::Portable, pool, &mut arena).is_err());
    let mut arena = vec![0.0f32; inference_arena_len_on(NET, BATCH, 3)];
    let mut net = Network::bind_inference_on(NET, BATCH, Level::detect(), pool, &mut arena).unwrap();
    assert_eq!(net.pool().threads(), 3);
    let (inputs, labels) = data(700);
    assert!((net.evaluate(&inputs, &labels).unwrap().loss - 7f64.ln()).abs() < 1e-6);
}
