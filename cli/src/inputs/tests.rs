use super::*;
use crate::data::{Source, Splits};

fn options(line: &str) -> Options {
    crate::args::tests::train(line).unwrap().options(1197, 1).unwrap()
}

fn digits() -> Splits {
    Source::Digits.load(None).unwrap()
}

fn covariance(inputs: &Inputs) -> Vec<f64> {
    let width = inputs.width;
    let mut covariance = vec![0.0; width * width];
    for row in inputs.values.chunks(width) {
        for (i, a) in row.iter().enumerate() {
            for (j, b) in row.iter().enumerate() {
                covariance[i * width + j] += f64::from(*a) * f64::from(*b) / inputs.labels.len() as f64;
            }
        }
    }
    covariance
}

#[test]
fn whitened_training_rows_have_the_identity_as_their_covariance() {
    let splits = digits();
    let level = Level::detect();
    let preprocess = Preprocess::fit(level, &splits.train, &options("--whiten --pca 40")).unwrap();
    let inputs = preprocess.inputs(level, &splits.train).unwrap();
    assert_eq!((preprocess.width(), inputs.width, inputs.values.len()), (40, 40, 40 * splits.train.len()));
    for (at, c) in covariance(&inputs).into_iter().enumerate() {
        let expected = if at / 40 == at % 40 { 1.0 } else { 0.0 };
        // What epsilon takes of the 40th variance, and the rounding of f32.
        assert!((c - expected).abs() < 0.005, "{}, {}: {c}", at / 40, at % 40);
    }
}

#[test]
fn components_are_uncorrelated_and_fall() {
    let splits = digits();
    let preprocess = Preprocess::fit(Level::detect(), &splits.train, &options("--pca 64")).unwrap();
    let covariance = covariance(&preprocess.inputs(Level::detect(), &splits.train).unwrap());
    for (at, c) in covariance.iter().enumerate() {
        let (i, j) = (at / 64, at % 64);
        assert!(i == j || c.abs() < 1e-5 * covariance[0], "{i}, {j}: {c}");
        assert!(i != j || i == 0 || *c <= covariance[at - 65] * 1.00001 + 1e-9 * covariance[0], "{i}: {c}");
    }
}

/// All components give the rows back, and the first few lose no more than the variances of the others.
#[test]
fn rows_are_reconstructed() {
    let splits = digits();
    let level = Level::detect();
    let plain = Preprocess::fit(level, &splits.train, &options("")).unwrap();
    let x = plain.inputs(level, &splits.train).unwrap();
    let lost = |components: usize| {
        let line = format!("--pca {components}");
        let preprocess = Preprocess::fit(level, &splits.train, &options(&line)).unwrap();
        let y = preprocess.inputs(level, &splits.train).unwrap();
        let basis = &preprocess.projection.as_ref().unwrap().basis;
        let mut lost = 0.0;
        for (x, y) in x.values.chunks(64).zip(y.values.chunks(components)) {
            for (feature, x) in x.iter().enumerate() {
                let back: f32 =
                    y.iter().zip(basis.chunks(64)).map(|(y, direction)| y * direction[feature]).sum();
                lost += f64::from(x - back).powi(2);
            }
        }
        lost / splits.train.len() as f64
    };
    let all: f64 = covariance(&x).iter().step_by(65).sum();
    assert!(lost(64) < 1e-10 * all, "{} of {all}", lost(64));
    let kept = Preprocess::fit(level, &splits.train, &options("--pca 20")).unwrap();
    let kept: f64 = covariance(&kept.inputs(level, &splits.train).unwrap()).iter().step_by(21).sum();
    assert!((lost(20) - (all - kept)).abs() < 1e-5 * all, "{} {}", lost(20), all - kept);
    assert!(kept > 0.85 * all);
}

#[test]
fn a_projection_comes_back_from_its_file() {
    let splits = digits();
    for line in ["--pca 10", "--pca 10 --whiten", "--whiten", ""] {
        let options = options(line);
        let preprocess = Preprocess::fit(Level::detect(), &splits.train, &options).unwrap();
        let layers = crate::network::describe(&options, preprocess.width(), 10);
        let classes = splits.classes.clone();
        let description = crate::model::Description::new(layers, splits.train.shape, classes, &options);
        let mut model = Model { description, tensors: Tensors::new() };
        preprocess.export(&mut model.tensors);
        assert_eq!(Preprocess::of(&model), preprocess, "{line}");
    }
}

#[test]
fn more_components_than_features_are_refused() {
    let splits = Source::Spiral.load(None).unwrap();
    let failure = Preprocess::fit(Level::detect(), &splits.train, &options("--pca 3")).unwrap_err();
    assert_eq!(failure.to_string(), "--pca 3: the data has 2 features only");
}
