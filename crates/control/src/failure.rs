//! What can end a control call early: a refusal that the caller sees as it is, or a
//! failure of ours that the operator sees in the log and the caller as a 500.

use aws_api::ApiError;
use objects::{GetError, PutError, RootError, zip::UnpackError};
use platform::tasks::WorkPanicked;
use store::{ReadError, RecordError, TransactError};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Refused(#[from] ApiError),
    #[error("reading metadata")]
    Read(#[from] ReadError),
    #[error("writing metadata")]
    Commit(#[from] TransactError),
    #[error("encoding metadata")]
    Record(#[from] RecordError),
    #[error("making or deleting a root of code")]
    Root(#[from] RootError),
    #[error("storing code")]
    Put(#[from] PutError),
    #[error("reading code")]
    Get(#[from] GetError),
    #[error("inspecting code")]
    Inspect(#[source] UnpackError),
    #[error("working on code")]
    Work(#[from] WorkPanicked),
    #[error("writing an answer")]
    Answer(#[from] serde_json::Error),
    #[error("an inconsistent record: {0}")]
    Inconsistent(String),
}

impl Failure {
    /// What the caller is told. A failure of ours is logged here, once.
    pub(crate) fn into_api_error(self, request: model::RequestId) -> ApiError {
        if let Failure::Refused(error) = self {
            return error;
        }
        let mut causes = String::new();
        let mut source = std::error::Error::source(&self);
        while let Some(cause) = source {
            causes.push_str(": ");
            causes.push_str(&cause.to_string());
            source = cause.source();
        }
        tracing::error!(%request, error = %format!("{self}{causes}"), "a control call failed");
        ApiError::service()
    }
}
