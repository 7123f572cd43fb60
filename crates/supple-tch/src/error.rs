//! What can go wrong.

use tch::TchError;

/// An error of an operator or of LibTorch.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The call cannot be answered: see [`supple_core::Error`].
    #[error(transparent)]
    Operator(#[from] supple_core::Error),
    /// LibTorch refused.
    #[error(transparent)]
    Torch(#[from] TchError),
}

impl From<Error> for TchError {
    fn from(error: Error) -> Self {
        match error {
            Error::Operator(error) => TchError::Torch(error.to_string()),
            Error::Torch(error) => error,
        }
    }
}

/// What `tch` does in its functions without the prefix `f_`.
#[track_caller]
pub(crate) fn or_panic<T>(result: Result<T, Error>) -> T {
    // No closure: the caller's place would be lost in it.
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}
