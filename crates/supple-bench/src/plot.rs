//! Line and scatter plots as inline SVG.
//!
//! Colours come from the page's style, so that one plot serves light and dark: class `s0` to `s7` for series
//! that stand out, none for the others. Every mark has a title, which browsers show when pointed at.

use crate::page::escape;
use std::fmt::Write;

/// A plot with its axes.
pub struct Plot {
    /// What it shows, in a few words.
    pub title: String,
    /// What a reader who cannot see it should know.
    pub description: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// What is drawn, the first at the back.
    pub series: Vec<Series>,
    /// A dashed line of this slope through the middle, and what it says: in decades, between two logarithmic axes.
    pub guide: Option<Guide>,
    /// Width and height.
    pub size: [f64; 2],
}

/// An axis.
pub struct Axis {
    /// Its quantity and unit.
    pub label: &'static str,
    /// How it is divided.
    pub scale: Scale,
}

/// How an axis is divided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// In powers of ten.
    Log,
    /// Evenly.
    Linear,
}

/// A line through points, or points alone.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// What the label says.
    pub name: String,
    /// Its colour, where it stands out.
    pub colour: Option<usize>,
    /// Whether it is labelled where it ends.
    pub label: bool,
    /// Whether the points are joined.
    pub line: bool,
    /// Its points.
    pub points: Vec<Mark>,
}

/// A point.
#[derive(Debug, Clone, Default)]
pub struct Mark {
    /// Where.
    pub at: [f64; 2],
    /// What is shown when it is pointed at.
    pub title: String,
    /// Drawn as a ring.
    pub hollow: bool,
}

/// A line to compare with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Guide {
    /// Slope −1: what more evaluations bring to a mean.
    Falling,
    /// Where both axes are equal.
    Equal,
}

const TOP: f64 = 12.0;
const LEFT: f64 = 60.0;
const BOTTOM: f64 = 44.0;

/// Where numbers lie along an axis.
struct Placed {
    scale: Scale,
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Placed {
    /// Makes room for the numbers. On a logarithmic axis, what is further than eight decades from the middle
    /// is drawn at the edge.
    fn around(scale: Scale, numbers: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let fits = |x: &f64| x.is_finite() && (scale == Scale::Linear || *x > 0.0);
        let mut numbers: Vec<f64> = numbers.filter(fits).collect();
        numbers.sort_by(f64::total_cmp);
        let (low, high) = match (numbers.first(), numbers.last()) {
            (Some(&low), Some(&high)) => (low, high),
            _ => (1.0, 10.0),
        };
        let (low, high) = match scale {
            Scale::Log => {
                let middle = numbers.get(numbers.len() / 2).copied().unwrap_or(1.0);
                let (low, high) = (low.max(middle * 1e-8).log10(), high.min(middle * 1e8).log10());
                let room = 0.05 * (high - low).max(0.5);
                (low - room, high + room)
            }
            Scale::Linear => {
                let room = 0.06 * (high - low).max(1e-9 + 1e-3 * high.abs());
                (low - room, high + room)
            }
        };
        Self { scale, low, high, from, to }
    }

    fn place(&self, x: f64) -> f64 {
        let x = if self.scale == Scale::Log { x.max(1e-300).log10() } else { x };
        let part = ((x - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        self.from + part * (self.to - self.from)
    }

    /// Numbers worth a line, with their texts.
    fn ticks(&self) -> Vec<(f64, String)> {
        let span = self.high - self.low;
        if self.scale == Scale::Log && span >= 1.5 {
            let every = (span / 7.0).ceil() as i32;
            let decades = self.low.ceil() as i32..=self.high.floor() as i32;
            let shown = decades.filter(|decade| decade % every == 0);
            return shown.map(|decade| (10f64.powi(decade), power(decade))).collect();
        }
        if self.scale == Scale::Log {
            let decades = self.low.floor() as i32..=self.high.ceil() as i32;
            let digits =
                if span > 0.7 { &[1.0, 2.0, 5.0][..] } else { &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0][..] };
            let all = decades.flat_map(|decade| digits.iter().map(move |digit| digit * 10f64.powi(decade)));
            let inside = all.filter(|x| (self.low..=self.high).contains(&x.log10()));
            return inside.map(|x| (x, crate::table::short(x))).collect();
        }
        let step = 10f64.powf((span / 5.0).log10().floor());
        let step =
            [1.0, 2.0, 5.0, 10.0].map(|m| m * step).into_iter().find(|s| span / s <= 6.0).unwrap_or(span);
        let count = (self.low / step).ceil() as i64..=(self.high / step).floor() as i64;
        let digits = (-step.log10().floor()).max(0.0) as usize;
        count.map(|i| (i as f64 * step, format!("{:.digits$}", i as f64 * step))).collect()
    }
}

/// 10 with a raised exponent.
fn power(decade: i32) -> String {
    if (-2..=4).contains(&decade) {
        return if decade < 0 {
            format!("{}", 10f64.powi(decade))
        } else {
            format!("{}", 10i64.pow(decade as u32))
        };
    }
    let raised = |c: char| match c {
        '-' => '⁻',
        digit => ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][digit as usize - '0' as usize],
    };
    format!("10{}", decade.to_string().chars().map(raised).collect::<String>())
}

impl Plot {
    /// The plot as an `svg` element.
    pub fn svg(&self) -> String {
        let [width, height] = self.size;
        let longest = self.series.iter().filter(|s| s.label).map(|s| s.name.chars().count()).max();
        let right = width - longest.map_or(14.0, |longest| 30.0 + 6.9 * longest.min(36) as f64);
        let bottom = height - BOTTOM;
        let marks = || self.series.iter().flat_map(|series| &series.points);
        let x = Placed::around(self.x.scale, marks().map(|m| m.at[0]), LEFT, right);
        let y = Placed::around(self.y.scale, marks().map(|m| m.at[1]), bottom, TOP);
        let mut svg = format!(
            "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\"><title>{}</title><desc>{}</desc>",
            escape(&self.title),
            escape(&self.title),
            escape(&self.description)
        );
        self.axes(&mut svg, &x, &y, right, bottom);
        self.guide(&mut svg, &x, &y);
        for series in &self.series {
            draw(&mut svg, series, &x, &y);
        }
        labels(&mut svg, &self.series, &x, &y, right, bottom);
        svg + "</svg>"
    }

    fn axes(&self, svg: &mut String, x: &Placed, y: &Placed, right: f64, bottom: f64) {
        for (value, text) in x.ticks() {
            let at = x.place(value);
            push(svg, format_args!("<path class=\"grid\" d=\"M{at:.1} {TOP}V{bottom}\"/>"));
            push(
                svg,
                format_args!("<text x=\"{at:.1}\" y=\"{}\" class=\"mid\">{text}</text>", bottom + 17.0),
            );
        }
        for (value, text) in y.ticks() {
            let at = y.place(value);
            push(svg, format_args!("<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right:.1}\"/>"));
            let line = at + 4.0;
            push(svg, format_args!("<text x=\"{}\" y=\"{line:.1}\" class=\"end\">{text}</text>", LEFT - 8.0));
        }
        push(svg, format_args!("<path class=\"axis\" d=\"M{LEFT} {TOP}V{bottom}H{right:.1}\"/>"));
        let (middle, low) = ((LEFT + right) / 2.0, bottom + 37.0);
        let label = self.x.label;
        push(svg, format_args!("<text x=\"{middle:.1}\" y=\"{low}\" class=\"mid name\">{label}</text>"));
        let (middle, label) = ((TOP + bottom) / 2.0, self.y.label);
        push(
            svg,
            format_args!(
                "<text transform=\"translate(14 {middle:.1})rotate(-90)\" class=\"mid name\">{label}</text>"
            ),
        );
    }

    /// Both axes being logarithmic, a straight line across the plot.
    fn guide(&self, svg: &mut String, x: &Placed, y: &Placed) {
        let Some(guide) = self.guide else { return };
        let (slope, offset, title) = match guide {
            Guide::Equal => (1.0, 0.0, "where both are equal"),
            // Through the upper left corner.
            Guide::Falling => (-1.0, y.high - 0.08 * (y.high - y.low) + x.low, "falls as 1 / evaluations"),
        };
        // The part inside, in decades.
        let within = |x0: f64| ((y.low - offset) / slope).min((y.high - offset) / slope).max(x0);
        let (from, to) =
            (within(x.low), ((y.low - offset) / slope).max((y.high - offset) / slope).min(x.high));
        if from < to {
            let at = |decades: f64| {
                let point = [10f64.powf(decades), 10f64.powf(offset + slope * decades)];
                format!("{:.1} {:.1}", x.place(point[0]), y.place(point[1]))
            };
            let path = format_args!("M{}L{}", at(from), at(to)).to_string();
            push(svg, format_args!("<path class=\"guide\" d=\"{path}\"><title>{title}</title></path>"));
        }
    }
}

fn push(svg: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    svg.write_fmt(text).ok();
}

fn class(series: &Series) -> String {
    series.colour.map_or("s".into(), |colour| format!("s s{} on", colour % 8))
}

fn draw(svg: &mut String, series: &Series, x: &Placed, y: &Placed) {
    let shown = |mark: &&Mark| mark.at.iter().all(|x| !x.is_nan());
    let place = |mark: &Mark| (x.place(mark.at[0]), y.place(mark.at[1]));
    let name = escape(&series.name);
    push(svg, format_args!("<g class=\"{}\" data-e=\"{name}\">", class(series)));
    if series.line && series.points.iter().filter(shown).count() > 1 {
        let points: Vec<String> = series
            .points
            .iter()
            .filter(shown)
            .map(|mark| {
                let (x, y) = place(mark);
                format!("{x:.1},{y:.1}")
            })
            .collect();
        let points = points.join(" ");
        push(svg, format_args!("<polyline points=\"{points}\"><title>{name}</title></polyline>"));
    }
    for mark in series.points.iter().filter(shown) {
        let (cx, cy) = place(mark);
        let radius = if series.line { 3.0 } else { 5.0 };
        let ring = if mark.hollow { " class=\"ring\"" } else { "" };
        let title = escape(&mark.title);
        push(
            svg,
            format_args!(
                "<circle cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"{radius}\"{ring}><title>{title}</title></circle>"
            ),
        );
    }
    svg.push_str("</g>");
}

/// Names beside the last points, moved apart, with lines to where they belong.
fn labels(svg: &mut String, series: &[Series], x: &Placed, y: &Placed, right: f64, bottom: f64) {
    const APART: f64 = 14.0;
    let end = |series: &Series| {
        let mark = series.points.iter().rev().find(|mark| mark.at.iter().all(|x| !x.is_nan()))?;
        Some((x.place(mark.at[0]), y.place(mark.at[1])))
    };
    let mut labels: Vec<_> =
        series.iter().filter(|s| s.label).filter_map(|s| end(s).map(|end| (end, end.1, s))).collect();
    labels.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut least = TOP + 4.0;
    for (_, at, _) in &mut labels {
        *at = at.max(least);
        least = *at + APART;
    }
    let mut most = bottom;
    for (_, at, _) in labels.iter_mut().rev() {
        *at = at.min(most);
        most = *at - APART;
    }
    for ((x, y), at, series) in labels {
        let name = escape(&series.name);
        let (start, text) = (right + 8.0, right + 20.0);
        push(svg, format_args!("<g class=\"{} label\" data-e=\"{name}\">", class(series)));
        push(svg, format_args!("<path d=\"M{:.1} {y:.1}L{start:.1} {at:.1}h8\"/>", x + 4.0));
        let line = at + 4.0;
        push(svg, format_args!("<text x=\"{text:.1}\" y=\"{line:.1}\">{name}</text></g>"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(scale: Scale, low: f64, high: f64) -> Vec<String> {
        let placed = Placed::around(scale, [low, high].into_iter(), 0.0, 100.0);
        placed.ticks().into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(ticks(Scale::Log, 1.0, 256.0), ["1", "10", "100"]);
        assert_eq!(ticks(Scale::Log, 1e-6, 1e-3), ["10⁻⁶", "10⁻⁵", "10⁻⁴", "10⁻³"]);
        assert_eq!(ticks(Scale::Log, 2.0, 9.0), ["2.00", "5.00"]);
        assert_eq!(ticks(Scale::Linear, 0.0, 1.0), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
    }

    #[test]
    fn places_are_inside_and_far_ones_at_the_edge() {
        let placed = Placed::around(Scale::Log, [1.0, 1.0, 1.0, 1e-30].into_iter(), 0.0, 100.0);
        assert_eq!(placed.place(1e-30), placed.place(0.0));
        assert!(placed.place(1.0) > 90.0 && placed.place(1.0) < 100.0);
        let upside_down = Placed::around(Scale::Linear, [0.0, 1.0].into_iter(), 100.0, 0.0);
        assert!((upside_down.place(0.5) - 50.0).abs() < 1e-9);
    }

    #[test]
    fn an_empty_plot_and_odd_names_are_fine() {
        let mark = Mark { at: [1.0, f64::NAN], ..Mark::default() };
        let series = Series { name: "a<b".into(), label: true, line: true, points: vec![mark], colour: None };
        let axis = || Axis { label: "x", scale: Scale::Log };
        let plot = Plot {
            title: "t & t".into(),
            description: String::new(),
            x: axis(),
            y: axis(),
            series: vec![series],
            guide: Some(Guide::Falling),
            size: [400.0, 300.0],
        };
        let svg = plot.svg();
        assert!(svg.contains("t &amp; t") && svg.contains("a&lt;b") && !svg.contains("NaN"), "{svg}");
    }
}
