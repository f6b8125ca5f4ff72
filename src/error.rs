//! [`Error`]: what can be wrong with a network or a call.

use core::fmt;

use crate::kernels::{ShapeError, ValueError};

/// Why a network could not be bound, or a call not be carried out. Outputs are untouched.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// A layer whose sizes do not fit what comes before it.
    Layer {
        /// Its place in the network, from 0.
        index: usize,
        /// The width that comes out of the layer before.
        expected: usize,
        /// The width it takes.
        actual: usize,
    },
    /// A layer whose own numbers cannot be.
    Parameter {
        /// Its place in the network, from 0.
        index: usize,
        /// What is wanted of it.
        wanted: &'static str,
    },
    /// A network that does not begin with a layer that knows its width: dense or batch norm.
    NoWidth,
    /// A slice or a size that does not fit the call.
    Shape(ShapeError),
    /// A number that cannot be.
    Value(ValueError),
    /// A call that needs what a network bound for inference does not have.
    InferenceOnly,
    /// An update after a step, which keeps no gradients.
    NoGradients,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Layer { index, expected, actual } => {
                write!(f, "layer {index} takes {actual} values, but {expected} come to it")
            }
            Self::Parameter { index, wanted } => write!(f, "layer {index}: {wanted}"),
            Self::NoWidth => write!(f, "the first layer must know its width: dense or batch norm"),
            Self::Shape(error) => write!(f, "{error}"),
            Self::Value(error) => write!(f, "{error}"),
            Self::InferenceOnly => write!(f, "the network is bound for inference: it has no gradients"),
            Self::NoGradients => write!(f, "a step keeps no gradients: compute them before an update"),
        }
    }
}

impl core::error::Error for Error {}

impl From<ShapeError> for Error {
    fn from(error: ShapeError) -> Self {
        Self::Shape(error)
    }
}

/// [`Error::Shape`] unless `actual` is `expected`.
pub(crate) const fn expect_len(argument: &'static str, expected: usize, actual: usize) -> Result<(), Error> {
    if expected == actual { Ok(()) } else { Err(Error::Shape(ShapeError { argument, expected, actual })) }
}

impl From<ValueError> for Error {
    fn from(error: ValueError) -> Self {
        Self::Value(error)
    }
}
