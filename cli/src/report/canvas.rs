//! Lines, areas and words as inline SVG.
//!
//! A picture is drawn at four times its size, because the SVG writer rounds to whole units. Every colour below is named
//! again in the page's style sheet, which swaps it for another in the dark.

use crate::error::{Failure, Outcome};
use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{Circle, PathElement, Polygon, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, IntoFont, RGBColor, ShapeStyle, TextStyle};
use std::cell::RefCell;

pub(super) type Colour = RGBColor;

/// Colours of curves, told apart also by the colour-blind (Okabe and Ito, 2008), without the yellow that vanishes on white.
pub(super) const CURVES: [Colour; 6] = [BLUE, VERMILION, GREEN, PURPLE, AMBER, SKY];
pub(super) const BLUE: Colour = RGBColor(0, 114, 178);
pub(super) const VERMILION: Colour = RGBColor(213, 94, 0);
pub(super) const GREEN: Colour = RGBColor(0, 158, 115);
pub(super) const PURPLE: Colour = RGBColor(204, 121, 167);
pub(super) const AMBER: Colour = RGBColor(230, 159, 0);
pub(super) const SKY: Colour = RGBColor(86, 180, 233);
/// Curves in the background.
pub(super) const FAINT: Colour = RGBColor(173, 181, 189);
/// Lines to read values by.
pub(super) const GRID: Colour = RGBColor(228, 231, 235);
/// Axes and their words.
pub(super) const AXIS: Colour = RGBColor(92, 102, 117);
/// Lines to judge curves by.
pub(super) const GUIDE: Colour = RGBColor(73, 80, 87);
/// What a card is made of: covers what lies behind.
pub(super) const PAPER: Colour = RGBColor(255, 255, 255);

/// The words' height.
pub(super) const FONT: f64 = 12.5;
const SCALE: f64 = 4.0;

/// Where a word stands from its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
    Middle,
    /// Below, in the middle.
    Below,
    /// Above, in the middle.
    Above,
}

/// What is drawn on; lengths in units of the finished picture.
pub(super) struct Canvas<'a> {
    area: DrawingArea<SVGBackend<'a>, Shift>,
    failed: RefCell<Option<String>>,
}

/// The `<svg>` element of a picture of this width and height; `label` says what it shows to who cannot see it.
pub(super) fn picture(
    (width, height): (f64, f64),
    label: &str,
    draw: impl FnOnce(&Canvas<'_>),
) -> Outcome<String> {
    let size = (scaled(width) as u32, scaled(height) as u32);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let canvas = Canvas { area, failed: RefCell::new(None) };
        draw(&canvas);
        let failed = canvas.failed.take().or_else(|| canvas.area.present().err().map(|e| e.to_string()));
        if let Some(error) = failed {
            return Err(Failure::failed(format!("cannot draw a picture: {error}")));
        }
    }
    // The page gives the size; what is said of every element need not be said at all.
    let fixed = format!("width=\"{}\" height=\"{}\" ", size.0, size.1);
    let label = format!("role=\"img\" aria-label=\"{}\" ", super::page::escape(label));
    Ok(svg
        .replacen(&fixed, &label, 1)
        .replacen("xmlns=\"http://www.w3.org/2000/svg\"", "", 1)
        .replace(" opacity=\"1\"", "")
        .replace(" font-family=\"sans-serif\"", "")
        .replace(" stroke-width=\"0\"", ""))
}

/// The picture with words that appear where its reader points at one of the places.
pub(super) fn hover<'a>(svg: String, places: impl Iterator<Item = ((f64, f64), &'a str)>) -> String {
    let Some(end) = svg.rfind("</svg>") else { return svg };
    let (mut svg, rest) =
        (svg.get(..end).unwrap_or_default().to_string(), svg.get(end..).unwrap_or_default());
    for ((x, y), title) in places {
        let (x, y, radius, title) = (scaled(x), scaled(y), scaled(6.0), super::page::escape(title));
        svg += &format!(
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"{radius}\" fill=\"transparent\"><title>{title}</title></circle>\n"
        );
    }
    svg + rest
}

impl Canvas<'_> {
    /// A curve through the points.
    pub(super) fn line(&self, points: &[(f64, f64)], colour: Colour, width: f64) {
        self.faint_line(points, colour, width, 1.0);
    }

    /// A curve through which others can be seen.
    pub(super) fn faint_line(&self, points: &[(f64, f64)], colour: Colour, width: f64, opacity: f64) {
        let color = colour.mix(opacity);
        let style = ShapeStyle { color, filled: false, stroke_width: scaled(width) as u32 };
        self.draw(&PathElement::new(whole(points), style));
    }

    /// A straight line in dashes, level or upright.
    pub(super) fn dashes(&self, from: (f64, f64), to: (f64, f64), colour: Colour) {
        const DASH: f64 = 4.0;
        let (x, y) = (to.0 - from.0, to.1 - from.1);
        let length = x.hypot(y);
        let at = |way: f64| (from.0 + x * way / length, from.1 + y * way / length);
        for dash in 0..(length / DASH / 2.0).ceil().min(1000.0) as u32 {
            let begin = f64::from(dash) * 2.0 * DASH;
            self.line(&[at(begin), at((begin + DASH).min(length))], colour, 1.0);
        }
    }

    /// A filled area.
    pub(super) fn area(&self, points: &[(f64, f64)], colour: Colour, opacity: f64) {
        self.draw(&Polygon::new(whole(points), colour.mix(opacity).filled()));
    }

    /// A filled rectangle between two corners.
    pub(super) fn rectangle(&self, from: (f64, f64), to: (f64, f64), colour: Colour, opacity: f64) {
        let corners = [(scaled(from.0), scaled(from.1)), (scaled(to.0), scaled(to.1))];
        self.draw(&Rectangle::new(corners, colour.mix(opacity).filled()));
    }

    /// A filled circle.
    pub(super) fn dot(&self, centre: (f64, f64), radius: f64, colour: Colour, opacity: f64) {
        let centre = (scaled(centre.0), scaled(centre.1));
        self.draw(&Circle::new(centre, scaled(radius), colour.mix(opacity).filled()));
    }

    /// A circle's outline.
    pub(super) fn ring(&self, centre: (f64, f64), radius: f64, colour: Colour, width: f64) {
        let centre = (scaled(centre.0), scaled(centre.1));
        self.draw(&Circle::new(centre, scaled(radius), colour.stroke_width(scaled(width) as u32)));
    }

    /// Two crossed strokes.
    pub(super) fn cross(&self, (x, y): (f64, f64), radius: f64, colour: Colour) {
        self.line(&[(x - radius, y - radius), (x + radius, y + radius)], colour, 1.6);
        self.line(&[(x - radius, y + radius), (x + radius, y - radius)], colour, 1.6);
    }

    /// Words beside a place.
    pub(super) fn text(&self, text: &str, (x, y): (f64, f64), colour: Colour, side: Side) {
        let (horizontal, vertical) = match side {
            Side::Left => (HPos::Right, VPos::Center),
            Side::Right => (HPos::Left, VPos::Center),
            Side::Middle => (HPos::Center, VPos::Center),
            Side::Below => (HPos::Center, VPos::Top),
            Side::Above => (HPos::Center, VPos::Bottom),
        };
        // The SVG writer divides the size by 1.24.
        let colour = readable(colour);
        let style = TextStyle::from(("sans-serif", FONT * SCALE * 1.24).into_font()).color(&colour);
        let style = style.pos(Pos::new(horizontal, vertical));
        self.draw(&Text::new(text.to_string(), (scaled(x), scaled(y)), style));
    }

    fn draw<E>(&self, element: &E)
    where
        for<'a> &'a E: plotters::element::PointCollection<'a, (i32, i32)>,
        for<'a> E: plotters::element::Drawable<SVGBackend<'a>>,
    {
        if let Err(error) = self.area.draw(element) {
            self.failed.borrow_mut().get_or_insert_with(|| error.to_string());
        }
    }
}

/// The colour as style sheets write it.
pub(super) fn hex(RGBColor(red, green, blue): Colour) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

/// About how wide a text is.
pub(super) fn width_of(text: &str) -> f64 {
    text.chars().count() as f64 * FONT * 0.58
}

/// The text in at most so many letters.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_string();
    }
    text.chars().take(most.saturating_sub(1)).collect::<String>() + "…"
}

/// Light colours are too faint for words.
fn readable(colour: Colour) -> Colour {
    match colour {
        AMBER => RGBColor(158, 105, 0),
        SKY => RGBColor(31, 120, 176),
        PURPLE => RGBColor(168, 74, 124),
        GREEN => RGBColor(0, 122, 88),
        VERMILION => RGBColor(184, 80, 0),
        FAINT => AXIS,
        other => other,
    }
}

fn scaled(length: f64) -> i32 {
    (length * SCALE).round() as i32
}

fn whole(points: &[(f64, f64)]) -> Vec<(i32, i32)> {
    points.iter().map(|&(x, y)| (scaled(x), scaled(y))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_says_what_it_shows_and_escapes_it() {
        let svg = picture((100.0, 50.0), "<b>\"", |canvas| {
            canvas.text("<i>&", (10.0, 10.0), AXIS, Side::Right);
            canvas.dashes((0.0, 0.0), (20.0, 0.0), GUIDE);
        })
        .unwrap();
        assert!(
            svg.starts_with("<svg role=\"img\" aria-label=\"&lt;b&gt;&quot;\" viewBox=\"0 0 400 200\""),
            "{svg}"
        );
        assert!(svg.contains("&lt;i&gt;&amp;") && !svg.contains("<i>"), "{svg}");
        assert_eq!(svg.matches("<polyline").count(), 3);
    }

    #[test]
    fn every_colour_has_one_for_the_dark() {
        let style = include_str!("page.css");
        let lines = [BLUE, VERMILION, GREEN, PURPLE, FAINT, GRID, AXIS, GUIDE];
        for colour in lines {
            assert!(style.contains(&format!("[stroke=\"{}\"]", hex(colour))), "{}", hex(colour));
        }
        for colour in CURVES.into_iter().map(readable).chain([AXIS, GUIDE, FAINT, PAPER]) {
            assert!(style.contains(&format!("[fill=\"{}\"]", hex(colour))), "{}", hex(colour));
        }
    }
}
