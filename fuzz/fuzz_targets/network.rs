//! Networks of any layers and sizes: binding says what is wrong, and what binds trains, evaluates and predicts; on the
//! FMA levels to the same bits. Every kernel of a training step runs here under the address sanitizer.
#![no_main]

use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use slicewise::kernels::fill_normal;
use slicewise::preprocess::{Center, Images, Scale, Values as Pixels, apply, fit};
use slicewise::{Activation, Element, Init, Layer, Level, Network, Optimizer, Role, Update, arena_len};
use slicewise_fuzz::Generator;

fuzz_target!(|bytes: &[u8]| {
    let bytes = &mut Unstructured::new(bytes);
    // Bytes that are too few are no finding.
    let _ = match bytes.arbitrary() {
        Ok(true) => train::<f32>(bytes),
        _ => train::<f64>(bytes),
    };
});

fn layer(bytes: &mut Unstructured<'_>, width: usize) -> Result<Layer> {
    // Now and then a width that does not fit.
    let width = if bytes.ratio(1u8, 40u8)? { bytes.int_in_range(0..=70)? } else { width };
    Ok(match bytes.choose_index(9)? {
        0..=2 => Layer::dense(width, bytes.int_in_range(0..=70)?),
        3 => Layer::batch_norm(width),
        4 => Layer::maxout(bytes.int_in_range(0..=3)?),
        5 => Layer::dropout(f64::from(bytes.int_in_range(0..=10u8)?) / 10.0),
        _ => Layer::Activation(match bytes.choose_index(8)? {
            0 => Activation::Identity,
            1 => Activation::Relu,
            2 => Activation::LeakyRelu { slope: 0.1 },
            3 => Activation::Elu { alpha: 1.0 },
            4 => Activation::Sigmoid,
            5 => Activation::SigmoidFast,
            6 => Activation::TanhFast,
            _ => Activation::Tanh,
        }),
    })
}

fn train<T: Element>(bytes: &mut Unstructured<'_>) -> Result<()> {
    let mut width = bytes.int_in_range(1..=70usize)?;
    let mut net = Vec::new();
    for _ in 0..bytes.int_in_range(1..=8)? {
        let layer = layer(bytes, width)?;
        width = match layer {
            Layer::Dense { outputs, .. } => outputs,
            Layer::BatchNorm { features, .. } => features,
            Layer::Maxout { pieces } => width.checked_div(pieces).unwrap_or(0),
            _ => width,
        };
        net.push(layer);
    }
    let (batch, rows) = (bytes.int_in_range(1..=40usize)?, bytes.int_in_range(1..=40usize)?);
    let optimizers = [
        Optimizer::Sgd,
        Optimizer::momentum(),
        Optimizer::nesterov(),
        Optimizer::adam(),
        Optimizer::adam_w(),
        Optimizer::rms_prop(),
        Optimizer::adagrad(),
    ];
    let optimizer = optimizers[bytes.choose_index(7)?];
    let update = Update { optimizer, learning_rate: 0.01, regularisation: 0.001 };
    let mut rng = Generator(bytes.arbitrary()?);

    let mut fused: Option<Vec<u64>> = None;
    for level in Level::available() {
        let mut arena = vec![T::from_f64(f64::NAN); arena_len(&net, batch).min(1 << 22)].into_boxed_slice();
        let Ok(mut network) = Network::bind(&net, batch, level, &mut arena) else { return Ok(()) };
        let mut rng = rng.clone();
        network.initialise(Init::Auto, &mut rng).expect("a distribution without parameters");
        assert_eq!(network.classes(), width);
        // The first layer with a size says.
        let features = network.features();
        let pixels: Box<[u8]> = (0..rows * features).map(|i| (i * 37 % 256) as u8).collect();
        let (mut mean, mut scale) = (vec![T::default(); features], vec![T::default(); features]);
        let shape = Images { n: rows, channels: 1, spatial: features };
        fit(level, shape, Pixels::U8(&pixels), Center::Feature, Scale::Std, &mut mean, &mut scale)
            .expect("it fits");
        let mut inputs = vec![T::default(); rows * features].into_boxed_slice();
        apply(level, Pixels::U8(&pixels), &mean, &scale, &mut inputs).expect("it fits");
        let labels: Box<[u32]> = (0..rows).map(|i| (i % width) as u32).collect();
        let mut state = Vec::new();
        for _ in 0..3 {
            let step = network.step(&inputs, &labels, &update);
            let normalises = net.iter().any(|layer| matches!(layer, Layer::BatchNorm { .. }));
            assert_eq!(step.is_ok(), rows <= batch && !(normalises && rows < 2), "{step:?}");
            state.extend(step.map(|report| report.loss.to_bits()));
        }
        network.evaluate(&inputs, &labels).expect("it fits");
        let mut probabilities = vec![T::default(); rows * width].into_boxed_slice();
        network.predict(&inputs, &mut probabilities).expect("it fits");
        network.infer(&inputs, &mut probabilities).expect("it fits");
        state.extend(probabilities.iter().map(|x| x.to_f64().to_bits()));
        for layer in 0..net.len() {
            for role in Role::ALL {
                state.extend(
                    network.tensor(layer, role).unwrap_or_default().iter().map(|x| x.to_f64().to_bits()),
                );
            }
        }
        if level != Level::Portable {
            assert_eq!(fused.get_or_insert(state.clone()), &state, "{}", level.name());
        }
    }
    normal_values::<T>(&mut rng, rows);
    Ok(())
}

/// The same bits on every level.
fn normal_values<T: Element>(rng: &mut Generator, n: usize) {
    let mut first = None;
    for level in Level::available() {
        let mut y = vec![T::default(); n].into_boxed_slice();
        fill_normal(level, &mut rng.clone(), 0.0, 1.0, &mut y).expect("a distribution");
        assert_eq!(first.get_or_insert_with(|| y.clone()), &y, "{}", level.name());
    }
}
