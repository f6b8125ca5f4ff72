//! CS231n's toy data (<https://cs231n.github.io/neural-networks-case-study/>): three interleaved spirals that no
//! straight line separates.
//!
//! For class c, point i of 100: `r = i / 99`, `theta = 4 c + 4 i / 99 + 0.2 * normal`, `x = (r sin theta, r cos theta)`.

use super::{Pixels, Shape, Splits, Table};
use rand_core::Rng;
use rand_pcg::Pcg64;

const CLASSES: u32 = 3;
const POINTS: u32 = 100;

/// 300 points to learn from, 300 to validate and 300 to test, which differ in their noise: always the same.
pub(super) fn make() -> Splits {
    Splits {
        name: "spiral".into(),
        classes: (0..CLASSES).map(|class| class.to_string()).collect(),
        train: arms(0),
        validation: arms(1),
        test: arms(2),
    }
}

fn arms(part: u128) -> Table {
    let mut rng = Pcg64::new(231, part);
    let mut points = Vec::new();
    let mut labels = Vec::new();
    for class in 0..CLASSES {
        for point in 0..POINTS {
            let radius = f64::from(point) / f64::from(POINTS - 1);
            let angle = 4.0 * (f64::from(class) + radius) + 0.2 * normal(&mut rng);
            // libm, not the system's library: the same points everywhere.
            points.extend([radius * libm::sin(angle), radius * libm::cos(angle)].map(|value| value as f32));
            labels.push(class);
        }
    }
    Table { pixels: Pixels::F32(points), labels, shape: Shape::flat(2) }
}

/// A standard normal number (Box and Muller).
fn normal(rng: &mut Pcg64) -> f64 {
    // 53 bits, in (0, 1]: the logarithm is finite.
    let mut uniform = || ((rng.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64;
    let (radius, angle) = (uniform(), uniform());
    libm::sqrt(-2.0 * libm::log(radius)) * libm::cos(core::f64::consts::TAU * angle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_arms_wind_around_the_origin() {
        let splits = make();
        for (name, part) in splits.parts() {
            assert_eq!(part.len(), 300);
            let Pixels::F32(points) = &part.pixels else { panic!("numbers were expected") };
            for (row, point) in points.chunks_exact(2).enumerate() {
                let radius = f64::from(point[0]).hypot(f64::from(point[1]));
                assert!(
                    (radius - (row % 100) as f64 / 99.0).abs() < 1e-6,
                    "{name}: row {row} has radius {radius}"
                );
            }
        }
        assert_ne!(splits.train, splits.test);
    }

    #[test]
    fn the_noise_is_standard_normal() {
        let mut rng = Pcg64::new(1, 1);
        let values: Vec<f64> = (0..100_000).map(|_| normal(&mut rng)).collect();
        let mean = values.iter().sum::<f64>() / 1e5;
        let variance = values.iter().map(|value| value * value).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.015, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.02, "variance {variance}");
    }
}
