//! The catalogue, as Python sees it.

use crate::error::raise;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyList, PyTuple};
use std::collections::HashMap;
use std::sync::LazyLock;
use supple_core::{AnyContract, Entry, Error, Family, Kind, Stream, Value};

fn families() -> impl Iterator<Item = &'static Family> {
    supple_ops::CATALOGUE.iter().copied().chain([&supple_convex::FAMILY])
}

static BY_NAME: LazyLock<HashMap<&'static str, &'static Entry>> =
    LazyLock::new(|| families().flat_map(|family| family.entries).map(|entry| (entry.name, entry)).collect());

/// The operator `name` with parameters in the order of its schema; those left out keep their defaults.
pub fn make(name: &str, parameters: &Bound<'_, PyTuple>) -> PyResult<Box<dyn AnyContract>> {
    let unknown = || raise(Error::argument("Operator", "name", "that of a catalogue entry", name));
    let entry = BY_NAME.get(name).ok_or_else(unknown)?;
    let mut operator = (entry.make)();
    if parameters.len() > entry.fields.len() {
        let requirement = format!("{} in number", entry.fields.len());
        return Err(raise(Error::argument(name, "parameters", requirement, parameters.len())));
    }
    for (field, given) in entry.fields.iter().zip(parameters.iter()) {
        let value = value(field.kind, &given).ok_or_else(|| {
            raise(Error::argument(name, field.name, requirement(field.kind), written(&given)))
        })?;
        operator.set(field.name, value).map_err(raise)?;
    }
    Ok(operator)
}

/// A Python value as one of a kind; `None` if it is not.
pub fn value(kind: Kind, given: &Bound<'_, PyAny>) -> Option<Value> {
    let number = !given.is_instance_of::<PyBool>();
    match kind {
        Kind::Float => given.extract().ok().filter(|_| number).map(Value::Float),
        Kind::Int => given.extract().ok().filter(|_| number).map(Value::Int),
        Kind::Bool => given.extract().ok().map(Value::Bool),
        Kind::Choice(_) => given.extract::<String>().ok().map(|name| Value::Choice(name.into())),
        Kind::OptionalInt if given.is_none() => Some(Value::None),
        Kind::OptionalInt => given.extract().ok().filter(|_| number).map(Value::Int),
    }
}

/// What a kind asks for, in words.
pub fn requirement(kind: Kind) -> String {
    match kind {
        Kind::Int => "a whole number >= 0".into(),
        Kind::OptionalInt => "a whole number >= 0, or None".into(),
        Kind::Bool => "True or False".into(),
        _ => kind.to_string(),
    }
}

/// A Python value as its `repr` writes it.
pub fn written(given: &Bound<'_, PyAny>) -> String {
    given.repr().map_or_else(|_| given.get_type().to_string(), |text| text.to_string())
}

/// All entries of the catalogue as dicts.
#[pyfunction]
pub fn entries(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    let list = PyList::empty(py);
    for family in families() {
        for entry in family.entries {
            let dict = PyDict::new(py);
            dict.set_item("name", entry.name)?;
            dict.set_item("family", family.name)?;
            dict.set_item("signature", entry.signature)?;
            dict.set_item("summary", entry.summary)?;
            dict.set_item("gradient", entry.gradient.name())?;
            dict.set_item("second_order", entry.gradient.is_derivative())?;
            dict.set_item("cost", entry.cost)?;
            dict.set_item("paper", entry.paper)?;
            let parameters = PyDict::new(py);
            for field in entry.fields {
                parameters.set_item(field.name, default(py, &(field.default)())?)?;
            }
            dict.set_item("parameters", parameters)?;
            list.append(dict)?;
        }
    }
    Ok(list)
}

fn default(py: Python<'_>, value: &Value) -> PyResult<Py<PyAny>> {
    Ok(match value {
        Value::Float(x) => x.into_pyobject(py)?.into_any().unbind(),
        Value::Int(n) => n.into_pyobject(py)?.into_any().unbind(),
        Value::Bool(b) => b.into_pyobject(py)?.to_owned().into_any().unbind(),
        Value::Choice(name) => name.as_ref().into_pyobject(py)?.into_any().unbind(),
        Value::None => py.None(),
    })
}

/// A new seed.
#[pyfunction]
pub fn fresh_seed() -> u64 {
    Stream::fresh_seed() >> 1
}
