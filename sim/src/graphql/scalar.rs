//! GitHub's scalars.

use std::time::SystemTime;

use async_graphql::{InputValueError, InputValueResult, Scalar, ScalarType, Value};

use crate::git::Oid;

/// A hexadecimal object id.
#[derive(Clone, Debug)]
pub(crate) struct GitObjectID(pub(crate) String);

/// A time in RFC 3339.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DateTime(pub(crate) SystemTime);

/// An address.
#[derive(Clone, Debug)]
pub(crate) struct Uri(pub(crate) String);

impl From<&Oid> for GitObjectID {
    fn from(oid: &Oid) -> Self {
        Self(oid.to_string())
    }
}

#[Scalar(name = "GitObjectID")]
impl ScalarType for GitObjectID {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) if text.len() == 40 => Ok(Self(text)),
            _ => Err(InputValueError::custom("a git object id has 40 hexadecimal digits")),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}

#[Scalar(name = "DateTime")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = value else {
            return Err(InputValueError::custom("a time is a string"));
        };
        humantime::parse_rfc3339_weak(&text).map(Self).map_err(InputValueError::custom)
    }

    fn to_value(&self) -> Value {
        Value::String(crate::shape::time(self.0))
    }
}

#[Scalar(name = "URI")]
impl ScalarType for Uri {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) if text.contains("://") => Ok(Self(text)),
            _ => Err(InputValueError::custom("not an absolute address")),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.clone())
    }
}
