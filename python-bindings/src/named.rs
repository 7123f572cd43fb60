//! Parameters by name, for operators that are no entries of the catalogue because they hold a function.

use crate::catalogue::{requirement, value, written};
use crate::error::raise;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use supple_core::{Error, Parameter};

/// Parameters by name.
pub struct Named<'a, 'py> {
    pub operator: &'a str,
    pub parameters: &'a Bound<'py, PyDict>,
}

impl Named<'_, '_> {
    /// A parameter, which must be there.
    pub fn get<T: Parameter>(&self, name: &str) -> PyResult<T> {
        let given = self.parameters.get_item(name)?;
        let refuse = |got: String| raise(Error::argument(self.operator, name, requirement(T::KIND), got));
        let given = given.ok_or_else(|| refuse("nothing".into()))?;
        value(T::KIND, &given).and_then(|value| T::from_value(&value)).ok_or_else(|| refuse(written(&given)))
    }

    /// A parameter that is text.
    pub fn text(&self, name: &str) -> PyResult<String> {
        let given = self.parameters.get_item(name)?;
        let got = given.as_ref().map_or_else(|| "nothing".into(), written);
        let text = given.and_then(|given| given.extract().ok());
        text.ok_or_else(|| raise(Error::argument(self.operator, name, "a name", got)))
    }

    /// Whether there is one.
    pub fn has(&self, name: &str) -> bool {
        self.parameters.contains(name).unwrap_or(false)
    }
}
