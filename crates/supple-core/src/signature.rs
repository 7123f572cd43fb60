//! Named arguments with core sizes, after NumPy's generalised ufuncs.

use crate::error::Error;
use std::collections::HashMap;
use std::sync::Mutex;

/// The arguments of an operator and their core axes, as in `"cost(m>=1,n>=1) -> value(), alignment(m,n)"`.
///
/// * `x(n)`: a real input with one core axis; axes in front of the core ones are batch.
/// * `label: index()`: an integer input, which carries no gradient.
/// * `n>=1`: the least size; without it zero is legal.
/// * `x(...) -> y(...)`: elementwise; the engine hands the kernel blocks of any length, which are its
///   items. All arguments are real and elementwise then.
/// * A symbol that only outputs have gets its size from [`Operator::size`](crate::Operator::size).
#[derive(Debug, Clone, PartialEq)]
pub struct Signature {
    /// Real inputs.
    pub inputs: Vec<Argument>,
    /// Integer inputs.
    pub indices: Vec<Argument>,
    /// Outputs.
    pub outputs: Vec<Argument>,
    /// All inputs in the order written: `true` for an integer input.
    pub order: Vec<bool>,
    /// Symbols in order of first appearance: the order of a kernel's `sizes`.
    pub symbols: Vec<Symbol>,
    /// Whether the operator works on each element alone.
    pub elementwise: bool,
}

/// One argument: its name and the places of its core symbols in [`Signature::symbols`].
#[derive(Debug, Clone, PartialEq)]
pub struct Argument {
    /// Name, the same everywhere.
    pub name: &'static str,
    /// Core axes.
    pub core: Vec<usize>,
}

/// A named size.
#[derive(Debug, Clone, PartialEq)]
pub struct Symbol {
    /// Letter or name.
    pub name: &'static str,
    /// Least size allowed.
    pub least: usize,
}

impl Signature {
    /// The signature of an operator, parsed once for the whole program.
    pub fn of(operator: &str, text: &'static str) -> Result<&'static Self, Error> {
        static PARSED: Mutex<Option<HashMap<&'static str, &'static Signature>>> = Mutex::new(None);
        let mut parsed = PARSED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let parsed = parsed.get_or_insert_default();
        if let Some(signature) = parsed.get(text) {
            return Ok(signature);
        }
        let signature = Self::parse(text).ok_or_else(|| {
            Error::argument(operator, "SIGNATURE", "like \"x(n), label: index() -> y(n)\"", text)
        })?;
        Ok(parsed.entry(text).or_insert(Box::leak(Box::new(signature))))
    }

    fn parse(text: &'static str) -> Option<Self> {
        let (inputs, outputs) = text.split_once("->")?;
        let mut this = Self {
            inputs: vec![],
            indices: vec![],
            outputs: vec![],
            order: vec![],
            symbols: vec![],
            elementwise: text.contains("..."),
        };
        for (name, index, core) in arguments(inputs)? {
            let argument = Argument { name, core: this.core(core)? };
            this.order.push(index);
            if index { this.indices.push(argument) } else { this.inputs.push(argument) }
        }
        for (name, index, core) in arguments(outputs)? {
            if index {
                return None;
            }
            let argument = Argument { name, core: this.core(core)? };
            this.outputs.push(argument);
        }
        let one_symbol = this.symbols.len() == 1 && this.symbols[0].name == "...";
        let alike = this.inputs.iter().chain(&this.outputs).all(|argument| argument.core == [0]);
        let elementwise = one_symbol && alike && this.indices.is_empty();
        (!this.outputs.is_empty() && (!this.elementwise || elementwise)).then_some(this)
    }

    fn core(&mut self, text: &'static str) -> Option<Vec<usize>> {
        let symbols = text.split(',').map(str::trim).filter(|s| !s.is_empty());
        symbols
            .map(|symbol| {
                let (name, least) = symbol.split_once(">=").unwrap_or((symbol, "0"));
                let least = least.trim().parse().ok()?;
                let name = name.trim();
                let place = self.symbol(name).unwrap_or_else(|| {
                    self.symbols.push(Symbol { name, least });
                    self.symbols.len() - 1
                });
                self.symbols[place].least = self.symbols[place].least.max(least);
                Some(place)
            })
            .collect()
    }

    /// The place of a symbol by its name.
    pub fn symbol(&self, name: &str) -> Option<usize> {
        self.symbols.iter().position(|s| s.name == name)
    }
}

/// `"x(n), label: index()"` as `[("x", false, "n"), ("label", true, "")]`.
fn arguments(text: &'static str) -> Option<Vec<(&'static str, bool, &'static str)>> {
    text.trim()
        .split_inclusive(')')
        .map(|argument| {
            let (name, core) = argument.trim_start_matches(',').trim().strip_suffix(')')?.split_once('(')?;
            match name.split_once(':') {
                None => Some((name.trim(), false, core)),
                Some((name, kind)) if kind.trim() == "index" => Some((name.trim(), true, core)),
                Some(_) => None,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_kinds_sizes_and_order() {
        let s = Signature::of("f", "x(n>=1, d), label: index(), z() -> y(n,k), loss()").unwrap();
        let names = |a: &[Argument]| a.iter().map(|a| a.name).collect::<Vec<_>>();
        assert_eq!(names(&s.inputs), ["x", "z"]);
        assert_eq!(names(&s.indices), ["label"]);
        assert_eq!(names(&s.outputs), ["y", "loss"]);
        assert_eq!(s.order, [false, true, false]);
        assert_eq!(
            s.symbols.iter().map(|s| (s.name, s.least)).collect::<Vec<_>>(),
            [("n", 1), ("d", 0), ("k", 0)]
        );
        assert_eq!(s.outputs[0].core, [0, 2]);
        assert!(Signature::of("f", "x(...) -> y(...)").unwrap().elementwise);
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        for text in [
            "x(n)",
            "x(n -> y(n)",
            "x(n), l: real() -> y()",
            "x(n) -> ",
            "x(...), y(n) -> z(n)",
            "x(...), alpha() -> y(...)",
            "x(...), k: index(...) -> y(...)",
        ] {
            let error = Signature::of("my_operator", text).unwrap_err();
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
