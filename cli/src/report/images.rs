//! Pictures of pixels, as PNG files inside the page.

use super::page::escape;
use crate::data::Shape;
use crate::error::{Failure, Outcome};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// An `<img>` of RGBA pixels; `label` says what it shows to who cannot see it.
pub(super) fn image(width: usize, height: usize, rgba: &[u8], class: &str, label: &str) -> Outcome<String> {
    let failed = |error: png::EncodingError| Failure::failed(format!("cannot draw a picture: {error}"));
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header().and_then(|mut writer| writer.write_image_data(rgba)).map_err(failed)?;
    Ok(format!(
        "<img class=\"{class}\" alt=\"{}\" width=\"{width}\" height=\"{height}\" src=\"data:image/png;base64,{}\">",
        escape(label),
        STANDARD.encode(&file)
    ))
}

/// A row of a table of pictures as pixels; `white` is its brightest value. Channels lie in planes.
pub(super) fn pixels(bytes: &[u8], shape: Shape, white: u8) -> Vec<u8> {
    let plane = shape.height * shape.width;
    let bright = |byte: u8| (u32::from(byte) * 255 / u32::from(white.max(1))).min(255) as u8;
    let at =
        |channel: usize, pixel: usize| bytes.get(channel * plane + pixel).map_or(0, |byte| bright(*byte));
    let colours = if shape.channels == 3 { [0, 1, 2] } else { [0; 3] };
    (0..plane)
        .flat_map(|pixel| [at(colours[0], pixel), at(colours[1], pixel), at(colours[2], pixel), 255])
        .collect()
}

/// Signed values as pixels: blue above 0, orange below, the stronger the further from it, so that 0 is the paper.
pub(super) fn signed(values: &[f32]) -> Vec<u8> {
    let largest = values.iter().copied().map(f32::abs).filter(|size| size.is_finite()).fold(0.0, f32::max);
    values
        .iter()
        .flat_map(|value| {
            let share = if largest > 0.0 && value.is_finite() { value / largest } else { 0.0 };
            let [red, green, blue] = if share > 0.0 { [0, 114, 178] } else { [213, 94, 0] };
            [red, green, blue, (share.abs() * 255.0).round() as u8]
        })
        .collect()
}

/// The same for three colours at once: grey is 0, and a colour shows where its own weight differs.
pub(super) fn coloured(values: &[f32], plane: usize) -> Vec<u8> {
    let largest = values.iter().copied().map(f32::abs).filter(|size| size.is_finite()).fold(0.0, f32::max);
    let shade = |value: f32| {
        let share = if largest > 0.0 && value.is_finite() { value / largest } else { 0.0 };
        (127.5 + share * 127.5).round() as u8
    };
    let at =
        |channel: usize, pixel: usize| values.get(channel * plane + pixel).map_or(128, |value| shade(*value));
    (0..plane).flat_map(|pixel| [at(0, pixel), at(1, pixel), at(2, pixel), 255]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_scaled_and_planes_become_colours() {
        let grey = Shape { channels: 1, height: 2, width: 1 };
        assert_eq!(pixels(&[0, 16], grey, 16), [0, 0, 0, 255, 255, 255, 255, 255]);
        let colour = Shape { channels: 3, height: 1, width: 1 };
        assert_eq!(pixels(&[1, 2, 3], colour, 255), [1, 2, 3, 255]);
        assert_eq!(signed(&[1.0, -0.5, f32::NAN]), [0, 114, 178, 255, 213, 94, 0, 128, 213, 94, 0, 0]);
    }

    #[test]
    fn a_picture_comes_back() {
        let rgba: Vec<u8> = (0..24).collect();
        let html = image(3, 2, &rgba, "x", "a < b").unwrap();
        assert!(html.contains("alt=\"a &lt; b\""), "{html}");
        let data = html.split_once("base64,").unwrap().1.trim_end_matches("\">");
        let file = STANDARD.decode(data).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut read = vec![0; 24];
        reader.next_frame(&mut read).unwrap();
        assert_eq!(read, rgba);
    }
}
