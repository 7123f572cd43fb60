//! What can go wrong, and how it is said.

use std::fmt::{self, Display};

/// A call that cannot be answered: wrong parameters or shapes, or an item without an answer.
///
/// Finite data of the right shape never causes the first three; they are found before any work is done.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A parameter, a shape or an option outside what the operator takes.
    #[error("{operator}: `{argument}` must be {requirement}, got {value}")]
    Argument {
        /// The operator.
        operator: String,
        /// The parameter or input.
        argument: String,
        /// What is allowed.
        requirement: String,
        /// What came.
        value: String,
    },
    /// The operator does not have what was asked for, such as a hard form or a second derivative.
    #[error("{operator}: {missing} is not available: {reason}")]
    Unsupported {
        /// The operator.
        operator: String,
        /// What was asked for.
        missing: String,
        /// Why it cannot be had.
        reason: String,
    },
    /// One item of the batch has no answer.
    #[error("{operator}: item {item}: {fault}")]
    Fault {
        /// The operator.
        operator: String,
        /// Number of the item in the flattened batch.
        item: usize,
        /// Why it has none.
        fault: Fault,
    },
}

impl Error {
    /// `{operator}: {argument} must be {requirement}, got {value}`.
    pub fn argument(
        operator: impl Display,
        argument: impl Display,
        requirement: impl Display,
        value: impl Display,
    ) -> Self {
        Self::Argument {
            operator: operator.to_string(),
            argument: argument.to_string(),
            requirement: requirement.to_string(),
            value: value.to_string(),
        }
    }

    /// `{operator}: {missing} is not available: {reason}`.
    pub fn unsupported(operator: impl Display, missing: impl Display, reason: impl Display) -> Self {
        Self::Unsupported {
            operator: operator.to_string(),
            missing: missing.to_string(),
            reason: reason.to_string(),
        }
    }

    /// The first fault of a batch as an error, where there is one.
    pub fn first(operator: &str, faults: &[(usize, Fault)]) -> Result<(), Self> {
        match faults.first() {
            Some((item, fault)) => {
                Err(Self::Fault { operator: operator.into(), item: *item, fault: fault.clone() })
            }
            None => Ok(()),
        }
    }
}

/// Why one item has no answer. It spoils that item only: see
/// [`evaluate_each`](crate::evaluate_each).
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// An iteration stopped short of its tolerance.
    #[error("not converged after {iterations} iterations, residual {residual:e}")]
    NotConverged {
        /// Iterations spent.
        iterations: usize,
        /// What was left.
        residual: f64,
    },
    /// The constraints admit no point.
    #[error("the constraints admit no point")]
    Infeasible,
    /// The objective has no lower bound.
    #[error("the objective is unbounded")]
    Unbounded,
    /// A matrix does not have the rank that the problem needs.
    #[error("{matrix} does not have full rank")]
    RankDeficient {
        /// Which one.
        matrix: &'static str,
    },
    /// An integer input points outside.
    #[error("`{argument}` has {index} at position {position}, which must be in 0..{size}")]
    BadIndex {
        /// The integer input.
        argument: &'static str,
        /// Where in it.
        position: usize,
        /// What stood there.
        index: i64,
        /// How many there are.
        size: usize,
    },
    /// The values of an input are outside what the operator is defined for.
    #[error("`{argument}` must be {requirement}, got {value}")]
    Domain {
        /// The input.
        argument: &'static str,
        /// What is allowed.
        requirement: &'static str,
        /// What came.
        value: f64,
    },
    /// A user's function or an outside solver failed.
    #[error("{0}")]
    Oracle(String),
    /// The operator has no hard form: what [`Operator::hard`](crate::Operator::hard) returns by default.
    #[error("no hard form")]
    NoHardForm,
}

impl Fault {
    /// Checks an integer input: the indices as `usize`, or the first one that is not in `0..size`.
    pub fn check_indices(argument: &'static str, indices: &[i64], size: usize) -> Result<(), Self> {
        match indices.iter().position(|&i| i < 0 || i as u64 >= size as u64) {
            Some(position) => Err(Self::BadIndex { argument, position, index: indices[position], size }),
            None => Ok(()),
        }
    }
}

/// A shape as errors print it: `(3, 4)`.
pub(crate) struct Shape<'a>(pub &'a [usize]);

impl Display for Shape<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes: Vec<String> = self.0.iter().map(usize::to_string).collect();
        write!(f, "shape ({})", sizes.join(", "))
    }
}
