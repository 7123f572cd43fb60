//! A picture of every relaxation: its outputs and their derivatives as one input moves, at several
//! softnesses. Written from the catalogue, without a word about any operator.

use ndarray::{ArrayD, ArrayViewD, IxDyn};
use plotters::prelude::*;
use std::error::Error;
use std::path::Path;
use supple_core::{
    AnyContract, AnyInputs, Argument, Entry, Family, Kind, Mode, Options, Signature, Stream, Value,
};

/// Where the first entry of the first input stands.
const STEPS: usize = 241;

/// As many outputs are drawn, the first ones.
const CURVES: usize = 6;

/// Distances from the hard output, relative to its spread, that the softnesses are chosen for.
const BLURS: [f64; 3] = [0.03, 0.2, 0.7];

/// An operator with one of its forms.
struct Form {
    entry: &'static Entry,
    /// A parameter that is a choice, and what is chosen.
    choice: Option<(&'static str, &'static str)>,
}

impl Form {
    /// The forms of an operator: one for each value of its first choice that it takes.
    fn all(entry: &'static Entry) -> Vec<Self> {
        let choices = entry.fields.iter().find_map(|field| match field.kind {
            Kind::Choice(names) => Some((field.name, names)),
            _ => None,
        });
        let Some((name, values)) = choices else { return vec![Self { entry, choice: None }] };
        let forms = values.iter().map(|value| Self { entry, choice: Some((name, value)) });
        forms.filter(Self::is_taken).collect()
    }

    /// Whether the operator takes its parameters, whatever the sizes.
    fn is_taken(&self) -> bool {
        self.operator().is_ok_and(|operator| operator.validate(&[]).is_ok())
    }

    /// `soft_rank-l2.svg`.
    fn file(&self) -> String {
        let form: String =
            self.choice.map(|(_, value)| format!("-{}", value.replace('/', "_"))).unwrap_or_default();
        format!("{}{form}.svg", self.entry.name)
    }

    fn title(&self) -> String {
        let form = self.choice.map(|(name, value)| format!(", {name} \"{value}\"")).unwrap_or_default();
        format!("{}{form}", self.entry.name)
    }

    fn operator(&self) -> Result<Box<dyn AnyContract>, Box<dyn Error>> {
        let mut operator = (self.entry.make)();
        if let Some((name, value)) = self.choice {
            operator.set(name, Value::Choice(value.into()))?;
        }
        // The same noise in every row; an operator without a seed refuses it and stays as it was.
        let _ = operator.set("seed", Value::Int(1));
        Ok(operator)
    }
}

/// All that is drawn, by family. A front operator has the pictures of its methods.
fn forms<'a>(families: &'a [&Family]) -> impl Iterator<Item = (&'static str, Vec<Form>)> + 'a {
    let drawn = families.iter().filter(|family| family.name != "front");
    drawn.map(|family| (family.name, family.entries.iter().flat_map(Form::all).collect()))
}

/// The page that shows them.
pub fn page(families: &[&Family]) -> String {
    let mut text = String::new();
    for (family, forms) in forms(families) {
        text += &format!("\n## {family}\n");
        for form in forms {
            text += &format!("\n![{}](pictures/{})\n", form.title().replace('"', "'"), form.file());
        }
    }
    text
}

/// Draws all into `folder`.
pub fn draw(families: &[&Family], folder: &Path) -> Result<usize, Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    let mut count = 0;
    for form in forms(families).flat_map(|(_, forms)| forms) {
        let panels = panels(&form).map_err(|e| format!("{}: {e}", form.title()))?;
        let path = folder.join(form.file());
        let area = SVGBackend::new(&path, (330 * panels.len() as u32, 440)).into_drawing_area();
        picture(&form, &panels, &area).map_err(|e| format!("{}: {e}", path.display()))?;
        area.present()?;
        count += 1;
    }
    Ok(count)
}

/// One softness: the curves of the outputs and of their derivatives.
struct Panel {
    softness: Option<f64>,
    at: Vec<f64>,
    values: Vec<Vec<f64>>,
    slopes: Vec<Vec<f64>>,
}

fn panels(form: &Form) -> Result<Vec<Panel>, Box<dyn Error>> {
    let mut operator = form.operator()?;
    let steps = Steps::of(&*operator)?;
    let softness = form.entry.fields.iter().position(|field| field.name == "softness");
    let Some(Value::Float(default)) = softness.map(|field| operator.get(field)) else {
        return Ok(vec![steps.panel(&*operator, None)?]);
    };
    let mut panels = vec![];
    for softness in steps.softnesses(&mut *operator, default)? {
        operator.set("softness", Value::Float(softness))?;
        panels.push(steps.panel(&*operator, Some(softness))?);
    }
    Ok(panels)
}

/// Inputs in which one entry moves. Each step is a call of its own: in one batch, the items would not have the
/// same noise.
struct Steps {
    at: Vec<f64>,
    x: Vec<Vec<ArrayD<f64>>>,
    k: Vec<ArrayD<i64>>,
}

impl Steps {
    fn of(operator: &dyn AnyContract) -> Result<Self, Box<dyn Error>> {
        let signature = operator.signature()?;
        let sizes = operator.test_sizes();
        let wide = sizes.iter().find(|sizes| sizes.first().is_some_and(|&n| n >= 4));
        let sizes = wide.or(sizes.last()).ok_or("no sizes to test at")?.clone();
        let (x, k) = operator.sample(&sizes, &mut Stream::new(3, 0, 0));
        // Elementwise, one curve says all.
        let shape = |argument: &Argument| match signature.elementwise {
            true => vec![1],
            false => argument.core.iter().map(|&s| sizes[s]).collect::<Vec<usize>>(),
        };
        let arrays = signature.inputs.iter().zip(&x).map(|(argument, values)| {
            let shape = shape(argument);
            ArrayD::from_shape_vec(IxDyn(&shape), values[..shape.iter().product()].to_vec())
        });
        let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
        let integers = signature.indices.iter().zip(&k);
        let integers = integers
            .map(|(argument, values)| ArrayD::from_shape_vec(IxDyn(&shape(argument)), values.clone()));
        let moving = *arrays[0].first().ok_or("nothing to move")?;
        let (low, high) = if operator.free()[0] {
            (-2.5, 2.5)
        } else {
            (moving - 0.5 * moving.abs(), moving + moving.abs())
        };
        let step = (high - low) / (STEPS - 1) as f64;
        let at: Vec<f64> = (0..STEPS).map(|i| low + step * i as f64).collect();
        let moved = |&t: &f64| {
            let mut arrays = arrays.clone();
            arrays[0].iter_mut().take(1).for_each(|x| *x = t);
            arrays
        };
        Ok(Self { x: at.iter().map(moved).collect(), at, k: integers.collect::<Result<_, _>>()? })
    }

    fn inputs<'a>(&'a self, x: &'a [ArrayD<f64>], mode: Mode) -> AnyInputs<'a, f64> {
        AnyInputs {
            x: x.iter().map(|x| x.view()).collect(),
            k: self.k.iter().map(|k| k.view()).collect(),
            options: Options { mode, ..Options::default() },
        }
    }

    /// The first output at all steps, or none where a step has none or it is not finite.
    fn output(&self, operator: &dyn AnyContract, mode: Mode) -> Option<Vec<f64>> {
        let mut all = vec![];
        for x in &self.x {
            let (outputs, faults) = operator.evaluate(self.inputs(x, mode)).ok()?;
            if !faults.is_empty() || outputs[0].iter().any(|y| !y.is_finite()) {
                return None;
            }
            all.extend(&outputs[0]);
        }
        Some(all)
    }

    /// Three softnesses, from one that nearly leaves the hard function as it is; about the default where
    /// there is none to compare with.
    fn softnesses(&self, operator: &mut dyn AnyContract, default: f64) -> Result<[f64; 3], Box<dyn Error>> {
        let about = [0.3 * default, default, 3.0 * default];
        let Some(hard) = self.output(operator, Mode::Hard) else { return Ok(about) };
        let mean = hard.iter().sum::<f64>() / hard.len() as f64;
        let spread = hard.iter().map(|y| (y - mean).powi(2)).sum::<f64>().sqrt();
        let mut found = vec![];
        for step in -24..=24 {
            let softness = 10.0f64.powf(f64::from(step) / 8.0);
            operator.set("softness", Value::Float(softness))?;
            let Some(soft) = self.output(operator, Mode::Soft) else { continue };
            let distance =
                soft.iter().zip(&hard).map(|(soft, hard)| (soft - hard).powi(2)).sum::<f64>().sqrt();
            while found.len() < BLURS.len() && distance >= BLURS[found.len()] * spread {
                found.push(softness);
            }
        }
        Ok(found.try_into().unwrap_or(about))
    }

    fn panel(&self, operator: &dyn AnyContract, softness: Option<f64>) -> Result<Panel, Box<dyn Error>> {
        let (mut values, mut slopes): (Vec<Vec<f64>>, Vec<Vec<f64>>) = (vec![], vec![]);
        for x in &self.x {
            let (outputs, pullback) = operator.linearize(self.inputs(x, Mode::Soft))?;
            let (x, y): (Vec<_>, Vec<_>) = (views(x), views(&outputs));
            let curves = outputs[0].len().min(CURVES);
            values.resize(curves, vec![]);
            slopes.resize(curves, vec![]);
            for (entry, value) in outputs[0].iter().take(curves).enumerate() {
                let mut dy: Vec<_> = outputs.iter().map(|y| ArrayD::zeros(y.raw_dim())).collect();
                dy[0].iter_mut().skip(entry).take(1).for_each(|dy| *dy = 1.0);
                let gradient = pullback.vjp(&x, &y, &views(&dy))?;
                values[entry].push(*value);
                slopes[entry].push(*gradient[0].first().ok_or("nothing moves")?);
            }
        }
        Ok(Panel { softness, at: self.at.clone(), values, slopes })
    }
}

fn views(arrays: &[ArrayD<f64>]) -> Vec<ArrayViewD<'_, f64>> {
    arrays.iter().map(|array| array.view()).collect()
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn picture(form: &Form, panels: &[Panel], area: &Area<'_>) -> Result<(), Box<dyn Error>> {
    area.fill(&WHITE)?;
    let area = area.titled(&form.title(), ("sans-serif", 17))?;
    let signature = Signature::of(form.entry.name, form.entry.signature)?;
    let (x, y) = (signature.inputs[0].name, signature.outputs[0].name);
    for (panel, column) in panels.iter().zip(area.split_evenly((1, panels.len()))) {
        let rows = column.split_evenly((2, 1));
        let softness = panel.softness.map(|softness| format!(", softness {}", two_digits(softness)));
        let caption = format!("{y}{}", softness.unwrap_or_default());
        chart(&rows[0], &caption, x, &panel.at, &panel.values)?;
        chart(&rows[1], &format!("derivative to {x}[0]"), x, &panel.at, &panel.slopes)?;
    }
    Ok(())
}

fn chart(
    area: &Area<'_>,
    caption: &str,
    x: &str,
    at: &[f64],
    curves: &[Vec<f64>],
) -> Result<(), Box<dyn Error>> {
    let finite = || curves.iter().flatten().copied().filter(|y| y.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    if low > high {
        return Err("nothing finite to draw".into());
    }
    let margin = (0.06 * (high - low)).max(1e-3 * high.abs()).max(1e-9);
    let mut chart = ChartBuilder::on(area)
        .margin(6)
        .caption(caption, ("sans-serif", 13))
        .x_label_area_size(34)
        .y_label_area_size(42)
        .build_cartesian_2d(at[0]..at[at.len() - 1], low - margin..high + margin)?;
    let mut mesh = chart.configure_mesh();
    mesh.x_labels(5).y_labels(5).light_line_style(TRANSPARENT).x_desc(format!("{x}[0]")).draw()?;
    for (i, curve) in curves.iter().enumerate() {
        let points = at.iter().copied().zip(curve.iter().copied()).filter(|(_, y)| y.is_finite());
        chart.draw_series(LineSeries::new(points, Palette99::pick(i).stroke_width(2)))?;
    }
    Ok(())
}

fn two_digits(x: f64) -> String {
    let places = (1.0 - x.log10().floor()).clamp(0.0, 9.0) as usize;
    format!("{x:.places$}")
}
