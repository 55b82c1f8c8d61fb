//! What a runtime is answered, as bytes. Heads are written straight into the buffer
//! that goes to the socket; the answer of every call is ready made.

use std::fmt::Write;

use aws_api::runtime_api::{self, Refusal};
use bytes::BytesMut;
use http::StatusCode;

use super::request::ReplyForm;
use crate::link::Invocation;

pub(super) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
const ACCEPTED: &[u8] = b"HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\n\
    content-length: 15\r\n\r\n{\"status\":\"OK\"}";
const CLOSE: &[u8] = b"connection: close\r\n";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Accepted,
    Pong,
    NotFound,
    Refused(Refusal),
    Malformed,
    HeadTooLong,
}

impl Answer {
    pub(super) fn write(self, form: ReplyForm, out: &mut BytesMut) {
        let json = Some("application/json");
        match self {
            Answer::Accepted if form == ReplyForm::default() => out.extend_from_slice(ACCEPTED),
            Answer::Accepted => {
                let body = runtime_api::STATUS_OK_BODY.as_bytes();
                whole(StatusCode::ACCEPTED, json, body, form, out);
            }
            Answer::Pong => whole(StatusCode::OK, None, b"pong", form, out),
            Answer::NotFound => {
                whole(StatusCode::NOT_FOUND, None, b"404 page not found", form, out);
            }
            Answer::Refused(refusal) => {
                whole(refusal.status(), json, &refusal.body().to_json(), form, out);
            }
            Answer::Malformed => whole(StatusCode::BAD_REQUEST, None, b"", form, out),
            Answer::HeadTooLong => {
                whole(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, None, b"", form, out);
            }
        }
    }
}

fn whole(status: StatusCode, kind: Option<&str>, body: &[u8], form: ReplyForm, out: &mut BytesMut) {
    let reason = status.canonical_reason().unwrap_or_default();
    put(out, format_args!("HTTP/1.1 {} {reason}\r\n", status.as_u16()));
    if let Some(kind) = kind {
        line(out, "content-type", kind);
    }
    end_of_head(body.len(), form, out);
    if !form.head_only {
        out.extend_from_slice(body);
    }
}

/// The head of an event; its payload follows.
pub(super) fn event_head(invocation: &Invocation, form: ReplyForm, out: &mut BytesMut) {
    out.extend_from_slice(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n");
    let id = invocation.request.to_ascii();
    out.extend_from_slice(runtime_api::REQUEST_ID.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(&id);
    out.extend_from_slice(b"\r\n");
    put(out, format_args!("{}: {}\r\n", runtime_api::DEADLINE_MS, invocation.deadline_ms));
    line(out, runtime_api::INVOKED_FUNCTION_ARN, &invocation.arn);
    let optional = [
        (runtime_api::TRACE_ID, invocation.trace_id.as_deref()),
        (runtime_api::CLIENT_CONTEXT, invocation.client_context.as_deref()),
        (runtime_api::TENANT_ID, invocation.tenant.as_ref().map(|tenant| tenant.as_str())),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            line(out, name, value);
        }
    }
    end_of_head(invocation.payload.len(), form, out);
}

/// Bytes that may not stand in a header become spaces. Of JSON, which is what may
/// have them, they can only be white space.
fn line(out: &mut BytesMut, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    let from = out.len();
    out.extend_from_slice(value.as_bytes());
    for byte in &mut out[from..] {
        if byte.is_ascii_control() {
            *byte = b' ';
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn end_of_head(length: usize, form: ReplyForm, out: &mut BytesMut) {
    if form.last {
        out.extend_from_slice(CLOSE);
    }
    put(out, format_args!("content-length: {length}\r\n\r\n"));
}

/// A buffer that grows takes everything.
fn put(out: &mut BytesMut, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_made_answer_is_the_documented_one() {
        let (mut made, mut written) = (BytesMut::new(), BytesMut::new());
        Answer::Accepted.write(ReplyForm::default(), &mut made);
        let body = runtime_api::STATUS_OK_BODY.as_bytes();
        let json = Some("application/json");
        whole(StatusCode::ACCEPTED, json, body, ReplyForm::default(), &mut written);
        assert_eq!(made, written);
    }

    #[test]
    fn a_value_cannot_begin_a_header_of_its_own() {
        let mut out = BytesMut::new();
        line(&mut out, "name", "{\r\n\t\"a\": 1}\u{7f}");
        assert_eq!(&out[..], b"name: {   \"a\": 1} \r\n");
    }
}
