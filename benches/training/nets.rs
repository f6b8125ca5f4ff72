//! The nets, what they learn from, and what a step of theirs computes.

use rand_pcg::Pcg64;
use slicewise::{Activation, Init, Layer, Level, Network, Optimizer, Update, arena_len};

/// A net and its batch.
pub(crate) struct Net {
    /// Its widths, `norm` where there is batch norm, and its activation.
    pub(crate) name: &'static str,
    widths: &'static [usize],
    norm: bool,
    activation: Activation,
    pub(crate) batch: usize,
    /// Single predictions to time.
    pub(crate) calls: usize,
}

impl Net {
    const fn new(name: &'static str, widths: &'static [usize], activation: Activation, batch: usize) -> Self {
        Self { name, widths, norm: false, activation, batch, calls: 100_000 }
    }

    /// With batch norm between each hidden dense layer and its activation.
    const fn norm(self) -> Self {
        Self { norm: true, ..self }
    }

    const fn calls(self, calls: usize) -> Self {
        Self { calls, ..self }
    }
}

const DEEP: &[usize] = &[3072, 500, 500, 500, 500, 500, 500, 500, 500, 500, 10];

/// CIFAR-10's and MNIST's sizes, shallow and deep; the small nets of controllers and of audio.
pub(crate) const NETS: &[Net] = &[
    Net::new("3072-50-10 norm relu", &[3072, 50, 10], Activation::Relu, 100).norm(),
    Net::new("3072-50-10 relu", &[3072, 50, 10], Activation::Relu, 100),
    Net::new("784-100x3-10 norm sigmoid", &[784, 100, 100, 100, 10], Activation::Sigmoid, 60).norm(),
    Net::new("3072-500x9-10 norm relu", DEEP, Activation::Relu, 64).norm().calls(5_000),
    Net::new("3072-500x9-10 norm tanh", DEEP, Activation::Tanh, 64).norm().calls(5_000),
    Net::new("64-32-10 norm relu", &[64, 32, 10], Activation::Relu, 32).norm(),
    Net::new("784-256-128-10 norm relu", &[784, 256, 128, 10], Activation::Relu, 128).norm(),
    Net::new("64-32-10 relu", &[64, 32, 10], Activation::Relu, 32),
    Net::new("64-64-16 relu", &[64, 64, 16], Activation::Relu, 32),
    Net::new("8-8-2 relu", &[8, 8, 2], Activation::Relu, 32),
];

/// What the peers do too.
pub(crate) const UPDATE: Update =
    Update { optimizer: Optimizer::Momentum { momentum: 0.9 }, learning_rate: 0.01, regularisation: 0.0 };

/// A batch.
pub(crate) struct Data {
    pub(crate) inputs: Vec<f32>,
    pub(crate) labels: Vec<u32>,
}

impl Net {
    pub(crate) fn layers(&self) -> Vec<Layer> {
        let mut layers = Vec::new();
        for pair in self.widths.windows(2) {
            layers.push(Layer::dense(pair[0], pair[1]));
            if self.norm {
                layers.push(Layer::batch_norm(pair[1]));
            }
            layers.push(Layer::Activation(self.activation));
        }
        // The last layer's outputs are the logits.
        layers.truncate(layers.len() - 1 - usize::from(self.norm));
        layers
    }

    /// For [`bind`](Net::bind).
    pub(crate) fn arena(&self, layers: &[Layer]) -> Vec<f32> {
        vec![0.0; arena_len(layers, self.batch)]
    }

    /// Initialised, the same each time.
    pub(crate) fn bind<'a>(&self, layers: &'a [Layer], arena: &'a mut [f32]) -> Network<'a, f32> {
        let mut network = Network::bind(layers, self.batch, Level::detect(), arena).expect("layers fit");
        network.initialise(Init::Auto, &mut Pcg64::new(1, 1)).expect("a valid distribution");
        network
    }

    pub(crate) fn batch_of_data(&self) -> Data {
        let (features, classes) = (self.widths[0], self.widths[self.widths.len() - 1] as u32);
        let inputs = (0..self.batch * features).map(|i| (i * 7919 % 1000) as f32 / 500.0 - 1.0);
        Data { inputs: inputs.collect(), labels: (0..self.batch as u32).map(|i| i % classes).collect() }
    }

    /// Operations of a step's products: Y = X W, dW = X^T dY and, but for the first layer, dX = dY W^T.
    pub(crate) fn flops(&self) -> f64 {
        let products = |(index, pair): (usize, &[usize])| {
            let passes = if index == 0 { 2 } else { 3 };
            passes * 2 * self.batch * pair[0] * pair[1]
        };
        self.widths.windows(2).enumerate().map(products).sum::<usize>() as f64
    }
}
