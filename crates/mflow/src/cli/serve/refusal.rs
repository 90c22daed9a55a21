//! Why a question is not answered.
use hyper::StatusCode;
use mflow::core::Error as CoreError;
use std::fmt;

/// A status of HTTP, and what is wrong in words.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) message: String,
    /// The methods that are allowed, where another one was used.
    pub(super) allow: Option<&'static str>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl fmt::Display) -> Self {
        Self { status, message: message.to_string(), allow: None }
    }

    /// The question is wrong.
    pub(super) fn bad(message: impl fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// More than the limits allow.
    pub(super) fn too_large(message: impl fmt::Display) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// Not now.
    pub(super) fn busy(message: impl fmt::Display) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
    }

    /// The model refuses the question, or the computation failed.
    pub(super) fn of_model(error: anyhow::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(refusal) => refusal,
            Err(error) => {
                let status = match error.downcast_ref::<CoreError>() {
                    None | Some(CoreError::Tensor(_) | CoreError::Device { .. }) => {
                        StatusCode::INTERNAL_SERVER_ERROR
                    }
                    Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
                };
                Self::new(status, format_args!("{error:#}"))
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}
