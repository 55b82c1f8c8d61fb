//! The way to a runtime, whichever it speaks: our framed channel or the HTTP
//! Runtime API. An environment initialises once and then exchanges one invocation
//! at a time (I1) over it.

use bytes::Bytes;
use model::{ErrorClass, RequestId, TenantId};
use serde::{Deserialize, Serialize};

use crate::{
    channel::{Channel, ChannelError, Frame, FrameKind},
    failure::Failure,
    runtime_api::ApiLink,
};

/// What a runtime is told of one invocation.
#[derive(Clone, Debug)]
pub(crate) struct Invocation {
    pub(crate) request: RequestId,
    pub(crate) deadline_ms: u64,
    pub(crate) arn: std::sync::Arc<str>,
    pub(crate) trace_id: Option<String>,
    pub(crate) client_context: Option<String>,
    pub(crate) tenant: Option<TenantId>,
    pub(crate) payload: Bytes,
}

/// What came of an init or an invocation, as far as the runtime tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Exchange {
    /// Init: ready for the first invocation. Invocation: the response.
    Done(Bytes),
    /// The runtime reported an error and goes on.
    Failed(Failure),
    /// The runtime reported an error and ends.
    FailedLast(Failure),
    /// The runtime closed its end: the process has ended or is about to.
    Closed,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error(transparent)]
    Channel(#[from] ChannelError),
    #[error("the runtime client broke the protocol: {0}")]
    Protocol(&'static str),
}

#[derive(Debug)]
pub(crate) enum Link {
    Framed(Channel),
    Api(ApiLink),
}

impl Link {
    /// Until the runtime asks for its first invocation.
    pub(crate) async fn init(&mut self) -> Result<Exchange, LinkError> {
        match self {
            Link::Framed(channel) => framed_init(channel).await,
            Link::Api(api) => Ok(api.init().await),
        }
    }

    pub(crate) async fn invoke(&mut self, invocation: Invocation) -> Result<Exchange, LinkError> {
        match self {
            Link::Framed(channel) => framed_invoke(channel, &invocation).await,
            Link::Api(api) => Ok(api.invoke(invocation).await),
        }
    }

    /// Whether an answer also says that another invocation may come.
    pub(crate) fn answers_when_ready(&self) -> bool {
        match self {
            Link::Framed(_) => true,
            Link::Api(_) => false,
        }
    }

    /// Until the runtime can take another invocation. Our own clients are ready
    /// with their answer; the HTTP ones ask again.
    pub(crate) async fn ready(&mut self) -> Exchange {
        match self {
            Link::Framed(_) => Exchange::Done(Bytes::new()),
            Link::Api(api) => api.ready().await,
        }
    }

    /// Waits for what an idle runtime should never do: close, or speak unasked.
    pub(crate) async fn unasked(&mut self) {
        match self {
            Link::Framed(channel) => {
                let _ = channel.receive().await;
            }
            Link::Api(api) => api.unasked().await,
        }
    }
}

#[derive(Serialize)]
struct InvokeHeader<'a> {
    id: &'a str,
    deadline_ms: u64,
    arn: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_context: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
}

/// The header of a frame from the runtime; each kind fills what it has.
#[derive(Default, Deserialize)]
struct AnswerHeader {
    #[serde(rename = "type", alias = "error_type")]
    error_type: Option<String>,
    /// The process ends after this.
    #[serde(default)]
    last: bool,
}

async fn framed_init(channel: &mut Channel) -> Result<Exchange, LinkError> {
    let Some(frame) = receive(channel).await? else {
        return Ok(Exchange::Closed);
    };
    match frame.kind {
        FrameKind::Ready => Ok(Exchange::Done(Bytes::new())),
        FrameKind::InitError => {
            let header = AnswerHeader::of(&frame);
            Ok(Exchange::Failed(reported(ErrorClass::Init, header, frame.body)))
        }
        FrameKind::Invoke
        | FrameKind::Response
        | FrameKind::Error
        | FrameKind::StreamStart
        | FrameKind::StreamChunk
        | FrameKind::StreamEnd => Err(LinkError::Protocol("an answer before it was ready")),
    }
}

async fn framed_invoke(
    channel: &mut Channel,
    invocation: &Invocation,
) -> Result<Exchange, LinkError> {
    let id = invocation.request.to_ascii();
    let header = serde_json::to_vec(&InvokeHeader {
        id: std::str::from_utf8(&id).unwrap_or_default(),
        deadline_ms: invocation.deadline_ms,
        arn: &invocation.arn,
        trace: invocation.trace_id.as_deref(),
        client_context: invocation.client_context.as_deref(),
        tenant: invocation.tenant.as_ref().map(TenantId::as_str),
    })
    .unwrap_or_default();
    match channel.send(FrameKind::Invoke, &header, &invocation.payload).await {
        Ok(()) => {}
        Err(ChannelError::Io(error)) if ended(&error) => return Ok(Exchange::Closed),
        Err(error) => return Err(error.into()),
    }
    let Some(frame) = receive(channel).await? else {
        return Ok(Exchange::Closed);
    };
    match frame.kind {
        FrameKind::Response if frame.body.len() as u64 <= model::limits::RESPONSE_BYTES_MAX => {
            Ok(Exchange::Done(frame.body))
        }
        FrameKind::Response => Ok(Exchange::Failed(Failure::response_too_large())),
        FrameKind::Error => Ok(handler_error(frame)),
        FrameKind::StreamStart => gather_stream(channel).await,
        FrameKind::Invoke
        | FrameKind::Ready
        | FrameKind::InitError
        | FrameKind::StreamChunk
        | FrameKind::StreamEnd => Err(LinkError::Protocol("a frame out of turn")),
    }
}

/// A streamed response to a caller who wants it whole.
async fn gather_stream(channel: &mut Channel) -> Result<Exchange, LinkError> {
    let mut whole = bytes::BytesMut::new();
    let mut fits = true;
    loop {
        let Some(frame) = receive(channel).await? else {
            return Ok(Exchange::Closed);
        };
        match frame.kind {
            FrameKind::StreamChunk => {
                let length = whole.len() + frame.body.len();
                fits &= length as u64 <= model::limits::RESPONSE_BYTES_MAX;
                if fits {
                    whole.extend_from_slice(&frame.body);
                }
            }
            FrameKind::StreamEnd if !frame.body.is_empty() => {
                return Ok(handler_error(frame));
            }
            FrameKind::StreamEnd if fits => return Ok(Exchange::Done(whole.freeze())),
            FrameKind::StreamEnd => return Ok(Exchange::Failed(Failure::response_too_large())),
            FrameKind::Error => return Ok(handler_error(frame)),
            FrameKind::Invoke
            | FrameKind::Ready
            | FrameKind::Response
            | FrameKind::InitError
            | FrameKind::StreamStart => return Err(LinkError::Protocol("a frame out of turn")),
        }
    }
}

/// A peer that is gone is an end of the stream, whichever way the kernel says so.
async fn receive(channel: &mut Channel) -> Result<Option<Frame>, ChannelError> {
    match channel.receive().await {
        Err(ChannelError::Io(error)) if ended(&error) => Ok(None),
        other => other,
    }
}

fn ended(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

fn handler_error(frame: Frame) -> Exchange {
    let header = AnswerHeader::of(&frame);
    let last = header.last;
    let failure = reported(ErrorClass::Handler, header, frame.body);
    if last { Exchange::FailedLast(failure) } else { Exchange::Failed(failure) }
}

impl AnswerHeader {
    /// A header that cannot be read says nothing.
    fn of(frame: &Frame) -> AnswerHeader {
        serde_json::from_slice(&frame.header).unwrap_or_default()
    }
}

fn reported(class: ErrorClass, header: AnswerHeader, json: Bytes) -> Failure {
    let error_type = header.error_type.unwrap_or_else(|| "Runtime.Unknown".to_owned());
    let class = if error_type == "Function.ResponseSizeTooLarge" {
        ErrorClass::ResponseTooLarge
    } else {
        class
    };
    Failure::reported(class, error_type, json)
}
