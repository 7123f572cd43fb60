//! Parameters that describe, fill and check themselves.

use crate::error::Error;
use std::borrow::Cow;
use std::fmt;

/// A parameter's value on its way across a language border.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A softness, a tolerance.
    Float(f64),
    /// A size, a count, a seed.
    Int(u64),
    /// A switch.
    Bool(bool),
    /// One of several names.
    Choice(Cow<'static, str>),
    /// Not given, where a parameter may be left out.
    None,
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Float(x) => write!(f, "{x:?}"),
            Value::Int(n) => write!(f, "{n}"),
            Value::Bool(b) => write!(f, "{b}"),
            Value::Choice(name) => write!(f, "\"{name}\""),
            Value::None => write!(f, "none"),
        }
    }
}

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// `f64`
    Float,
    /// `usize`
    Int,
    /// `bool`
    Bool,
    /// An enum of [`choices!`](crate::choices).
    Choice(&'static [&'static str]),
    /// `Option<u64>`
    OptionalInt,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Float => write!(f, "a number"),
            Kind::Int => write!(f, "a whole number"),
            Kind::Bool => write!(f, "true or false"),
            Kind::Choice(names) => write!(f, "one of {}", names.join(", ")),
            Kind::OptionalInt => write!(f, "a whole number or none"),
        }
    }
}

/// The types that a parameter may have.
pub trait Parameter: Clone {
    /// Which it is.
    const KIND: Kind;
    /// To a [`Value`].
    fn into_value(self) -> Value;
    /// Back from a [`Value`], where that loses nothing.
    fn from_value(value: &Value) -> Option<Self>;
}

impl Parameter for f64 {
    const KIND: Kind = Kind::Float;
    fn into_value(self) -> Value {
        Value::Float(self)
    }
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Float(x) => Some(*x),
            Value::Int(n) => Some(*n as f64),
            _ => None,
        }
    }
}
impl Parameter for usize {
    const KIND: Kind = Kind::Int;
    fn into_value(self) -> Value {
        Value::Int(self as u64)
    }
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Int(n) => usize::try_from(*n).ok(),
            _ => None,
        }
    }
}
impl Parameter for bool {
    const KIND: Kind = Kind::Bool;
    fn into_value(self) -> Value {
        Value::Bool(self)
    }
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(b) => Some(*b),
            _ => None,
        }
    }
}
impl Parameter for Option<u64> {
    const KIND: Kind = Kind::OptionalInt;
    fn into_value(self) -> Value {
        self.map_or(Value::None, Value::Int)
    }
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Int(n) => Some(Some(*n)),
            Value::None => Some(None),
            _ => None,
        }
    }
}

/// The values that a parameter may take; its `Display` is what errors and docs print.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Domain {
    /// Anything of its type, NaN excepted.
    Any,
    /// Finite and above zero.
    Positive,
    /// Finite and at least this.
    AtLeast(f64),
    /// Strictly between the two.
    Between(f64, f64),
}

impl Domain {
    /// Whether the value is allowed. NaN never is.
    pub fn contains(self, value: &Value) -> bool {
        let x = match value {
            Value::Float(x) => *x,
            Value::Int(n) => *n as f64,
            _ => return true,
        };
        match self {
            Domain::Any => !x.is_nan(),
            Domain::Positive => x > 0.0 && x.is_finite(),
            Domain::AtLeast(low) => x >= low && x.is_finite(),
            Domain::Between(low, high) => low < x && x < high,
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Domain::Any => write!(f, "a number"),
            Domain::Positive => write!(f, "finite and > 0"),
            Domain::AtLeast(low) => write!(f, "finite and >= {low}"),
            Domain::Between(low, high) => write!(f, "in ({low}, {high})"),
        }
    }
}

/// What the docs and the bindings need to know of one parameter.
#[derive(Debug)]
pub struct Field {
    /// Name, the same in every language.
    pub name: &'static str,
    /// Type.
    pub kind: Kind,
    /// Default value.
    pub default: fn() -> Value,
    /// Allowed values.
    pub domain: Domain,
    /// Its doc comment.
    pub doc: &'static str,
}

/// A parameter struct that can describe, fill and check itself. [`params!`](crate::params) writes it.
pub trait Params: Default + Clone + fmt::Debug + Send + Sync + 'static {
    /// One line per parameter.
    const FIELDS: &'static [Field];
    /// Reads a parameter by its position in [`FIELDS`](Self::FIELDS).
    fn get(&self, field: usize) -> Value;
    /// Writes one; `false` where the type is wrong.
    fn put(&mut self, field: usize, value: &Value) -> bool;

    /// Writes a parameter by name.
    fn set(&mut self, operator: &str, name: &str, value: Value) -> Result<(), Error> {
        let Some(i) = Self::FIELDS.iter().position(|f| f.name == name) else {
            let names: Vec<_> = Self::FIELDS.iter().map(|f| f.name).collect();
            return Err(Error::argument(operator, name, format!("one of {}", names.join(", ")), value));
        };
        if self.put(i, &value) {
            Ok(())
        } else {
            Err(Error::argument(operator, name, Self::FIELDS[i].kind, value))
        }
    }

    /// Checks every parameter against its domain.
    fn check(&self, operator: &str) -> Result<(), Error> {
        for (i, field) in Self::FIELDS.iter().enumerate() {
            let value = self.get(i);
            if !field.domain.contains(&value) {
                return Err(Error::argument(operator, field.name, field.domain, value));
            }
        }
        Ok(())
    }
}

/// Declares a parameter struct with its defaults and its schema: `name: type = default, domain;`.
///
/// ```
/// use supple_core::{params, Params};
/// params! {
///     /// Softmax at a temperature.
///     pub struct Softmax {
///         /// Temperature; the unit of the scores.
///         softness: f64 = 1.0, Positive;
///     }
/// }
/// let error = Softmax { softness: -1.0 }.check("softmax").unwrap_err();
/// assert_eq!(error.to_string(), "softmax: `softness` must be finite and > 0, got -1.0");
/// ```
#[macro_export]
macro_rules! params {
    ($(#[$meta:meta])* pub struct $name:ident {
        $($(#[doc = $doc:literal])* $field:ident: $t:ty = $default:expr, $domain:ident $(($($bound:expr),*))?;)*
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name { $($(#[doc = $doc])* pub $field: $t),* }

        impl Default for $name {
            fn default() -> Self { Self { $($field: $default),* } }
        }

        impl $crate::Params for $name {
            const FIELDS: &'static [$crate::Field] = &[$($crate::Field {
                name: stringify!($field),
                kind: <$t as $crate::Parameter>::KIND,
                default: || <$t as $crate::Parameter>::into_value($default),
                domain: $crate::Domain::$domain $(($($bound),*))?,
                doc: concat!($($doc),*),
            }),*];
            fn get(&self, field: usize) -> $crate::Value {
                let values = [$(<$t as $crate::Parameter>::into_value(self.$field.clone())),*];
                <[$crate::Value]>::get(&values, field).cloned().unwrap_or($crate::Value::None)
            }
            fn put(&mut self, field: usize, value: &$crate::Value) -> bool {
                let fields: &mut [&mut dyn FnMut(&$crate::Value) -> bool] = &mut [$(&mut |value| {
                    <$t as $crate::Parameter>::from_value(value).map(|v| self.$field = v).is_some()
                }),*];
                fields.get_mut(field).is_some_and(|put| put(value))
            }
        }
    };
}

/// Declares an enum whose names are parameter values: `L2 = "l2", Entropic = "entropic"`. The first
/// is the default. Names are read by `parse`.
#[macro_export]
macro_rules! choices {
    ($(#[$meta:meta])* pub enum $name:ident {
        $(#[$first_meta:meta])* $first:ident = $first_text:literal,
        $($(#[$variant_meta:meta])* $variant:ident = $text:literal),* $(,)?
    }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub enum $name {
            $(#[$first_meta])* #[default] $first,
            $($(#[$variant_meta])* $variant),*
        }

        impl $crate::Parameter for $name {
            const KIND: $crate::Kind = $crate::Kind::Choice(&[$first_text, $($text),*]);
            fn into_value(self) -> $crate::Value {
                $crate::Value::Choice(match self {
                    Self::$first => $first_text.into(),
                    $(Self::$variant => $text.into()),*
                })
            }
            fn from_value(value: &$crate::Value) -> Option<Self> {
                match value {
                    $crate::Value::Choice(name) if name == $first_text => Some(Self::$first),
                    $($crate::Value::Choice(name) if name == $text => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::Error;
            fn from_str(name: &str) -> Result<Self, $crate::Error> {
                let value = $crate::Value::Choice(name.to_owned().into());
                let kind = <Self as $crate::Parameter>::KIND;
                <Self as $crate::Parameter>::from_value(&value)
                    .ok_or_else(|| $crate::Error::argument(stringify!($name), "name", kind, value))
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    choices! {
        /// Kind.
        pub enum Shape {
            /// Round.
            Round = "round",
            /// Square.
            Square = "square",
        }
    }

    params! {
        /// Everything.
        pub struct All {
            /// Width.
            width: f64 = 0.5, Positive;
            /// Count.
            count: usize = 3, AtLeast(1.0);
            /// Switch.
            on: bool = true, Any;
            /// Form.
            shape: Shape = Shape::Square, Any;
            /// Seed.
            seed: Option<u64> = None, Any;
        }
    }

    #[test]
    fn choices_are_read_by_name() {
        assert_eq!("square".parse::<Shape>().unwrap(), Shape::Square);
        let error = "oval".parse::<Shape>().unwrap_err().to_string();
        assert!(error.contains("Shape") && error.contains("round") && error.contains("oval"), "{error}");
    }

    #[test]
    fn every_kind_goes_out_and_comes_back() {
        let mut all = All::default();
        for (field, value) in [
            ("width", Value::Float(2.0)),
            ("count", Value::Int(7)),
            ("on", Value::Bool(false)),
            ("shape", Value::Choice("round".into())),
            ("seed", Value::Int(4)),
        ] {
            all.set("all", field, value.clone()).unwrap();
            assert_eq!(all.get(All::FIELDS.iter().position(|f| f.name == field).unwrap()), value);
        }
        assert_eq!(all, All { width: 2.0, count: 7, on: false, shape: Shape::Round, seed: Some(4) });
        assert_eq!((All::FIELDS[3].default)(), Value::Choice("square".into()));
        assert_eq!(All::FIELDS[1].doc, " Count.");
    }

    #[test]
    fn errors_name_operator_argument_requirement_and_value() {
        let mut all = All::default();
        let message = |e: Result<(), Error>| e.unwrap_err().to_string();
        assert_eq!(
            message(all.set("all", "shape", Value::Choice("oval".into()))),
            "all: `shape` must be one of round, square, got \"oval\""
        );
        assert_eq!(
            message(all.set("all", "widht", Value::Float(1.0))),
            "all: `widht` must be one of width, count, on, shape, seed, got 1.0"
        );
        for width in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let all = All { width, ..All::default() };
            assert_eq!(
                message(all.check("all")),
                format!("all: `width` must be finite and > 0, got {width:?}")
            );
        }
        assert_eq!(
            message(All { count: 0, ..All::default() }.check("all")),
            "all: `count` must be finite and >= 1, got 0"
        );
    }
}
