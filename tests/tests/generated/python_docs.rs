//! The documentation of the functions of the Python package.

use crate::doc;
use crate::plain::{has_axis, sentence};
use crate::python_functions::{Function, literal, python_names};
use supple_core::{Argument, Entry, Kind};

impl Function<'_> {
    pub fn short_doc(&self, axis: &str, keys: bool) -> String {
        let Entry { name, summary, signature, paper, gradient, .. } = self.entry;
        let mut text = format!(
            "    r\"\"\"{}\n\n    ``{signature}``; gradient: {}. Formula, limits and cost: :func:`supple.{name}`.\n\n",
            sentence(summary),
            gradient.name()
        );
        text += &self.parameter_docs(axis, false, keys);
        text + &format!("    {}\n    \"\"\"\n", sentence(paper))
    }

    /// Of the class of a module.
    pub fn module_doc(&self) -> String {
        let Entry { name, summary, signature, .. } = self.entry;
        let summary = sentence(summary);
        let text =
            format!("    r\"\"\"{summary} :func:`supple.torch.{name}` as a module: ``{signature}``.\n\n");
        format!("{}\n    \"\"\"\n", (text + &self.parameter_docs("dim", false, false)).trim_end())
    }

    pub fn whole_doc(&self) -> String {
        let Entry { summary, paper, gradient, cost, .. } = self.entry;
        let mut text = format!("    r\"\"\"{}\n\n    Parameters\n    ----------\n", sentence(summary));
        text += &self.parameter_docs("axis", true, false);
        text += "    Returns\n    -------\n";
        for output in &self.signature.outputs {
            text += &format!("    {} : {}\n", output.name, self.shape(output));
        }
        text += "\n    Raises\n    ------\n    ValueError\n        A parameter, a shape or a type outside what it takes.\n";
        text += "    Fault\n        An item of the batch has no answer.\n\n    Notes\n    -----\n";
        for line in doc::of(self.entry).lines() {
            text += &if line.is_empty() { "\n".into() } else { format!("    {line}\n") };
        }
        let second = if gradient.is_derivative() { "available" } else { "refused" };
        text + &format!(
            "\n    Gradient: {}; second derivatives: {second}. Cost: {}\n\n    References\n    ----------\n    {}\n    \"\"\"\n",
            gradient.name(),
            sentence(cost),
            sentence(paper)
        )
    }

    fn parameter_docs(&self, axis: &str, whole: bool, keys: bool) -> String {
        let mut text = String::new();
        let mut item = |name: &str, kind: &str, what: &str| {
            if whole {
                text += &format!("    {name} : {kind}\n");
                if !what.is_empty() {
                    text += &format!("        {what}\n");
                }
            } else {
                text += &format!("    * ``{name}``: {what}\n");
            }
        };
        if whole {
            let (mut real, mut integer) = (self.signature.inputs.iter(), self.signature.indices.iter());
            for (name, &index) in python_names(self.signature).iter().zip(&self.signature.order) {
                let argument = if index { integer.next() } else { real.next() };
                let Some(argument) = argument else { continue };
                let kind = if index { "whole numbers" } else { "array_like" };
                item(name, &format!("{kind}, {}", self.shape(argument)), "");
            }
        }
        for field in &self.fields {
            let kind = match field.kind {
                Kind::Choice(names) => {
                    let names: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
                    format!("{{{}}}", names.join(", "))
                }
                Kind::Float => "float".into(),
                Kind::Int => "int".into(),
                Kind::Bool => "bool".into(),
                Kind::OptionalInt => "int, optional".into(),
            };
            let default = literal(&(field.default)());
            let what = if keys && field.name == "seed" {
                "Seed of the noise: a whole number or a key. It must be given: a traced function cannot draw anew.".into()
            } else {
                doc::plain(&sentence(field.doc))
            };
            item(field.name, &format!("{kind}, default {default}"), &what);
        }
        if has_axis(self.signature) {
            item(axis, "int, default -1", "The axis to work along.");
        }
        if self.has_hard {
            let what = "The relaxation, the discrete function, or its value with the relaxation's gradient.";
            item("mode", "{\"soft\", \"hard\", \"straight_through\"}, default \"soft\"", what);
        }
        if self.has_lengths() {
            let what =
                "Sizes that differ from item to item, by symbol: ``{\"n\": [3, 5]}``. Padding gives zero.";
            item("lengths", "dict, optional", what);
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text
    }

    /// `shape (..., n)`.
    fn shape(&self, argument: &Argument) -> String {
        if self.signature.elementwise {
            return "any shape".into();
        }
        let symbols = argument.core.iter().map(|&symbol| self.signature.symbols[symbol].name);
        let sizes: Vec<&str> = std::iter::once("...").chain(symbols).collect();
        if sizes.len() == 1 { "shape (...)".into() } else { format!("shape ({})", sizes.join(", ")) }
    }
}
