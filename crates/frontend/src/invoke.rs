//! `Invoke`, step by step: the function to read first. Each step is a file of the
//! same name; what one cannot do, it refuses, and what was taken goes back.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, request::Parts};
use hyper::body::Incoming;
use model::{AffinityAsk, Digest, RequestId, TenantId};

use crate::{
    Gate, authenticate,
    head::{Head, Mode},
    payload,
    refusal::Refusal,
    resolve, respond,
    respond::Answer,
    run,
};

/// A call that is authenticated, resolved and whole.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) request: RequestId,
    pub(crate) payload: Bytes,
    pub(crate) digest: Option<Digest>,
    /// As the caller's qualifier makes it.
    pub(crate) invoked_arn: Arc<str>,
    pub(crate) trace_id: Option<String>,
    pub(crate) client_context: Option<String>,
    pub(crate) tenant: Option<TenantId>,
    pub(crate) affinity: Option<AffinityAsk>,
    /// The end of the log comes back with the answer.
    pub(crate) tail: bool,
}

pub(crate) async fn invoke(
    gate: &Arc<Gate>,
    request: RequestId,
    message: Request<Incoming>,
) -> Result<Answer, Refusal> {
    let (parts, body): (Parts, Incoming) = message.into_parts();
    // The head alone: who calls, what, and how much is to come.
    let claim = authenticate::claim(gate, &parts)?;
    let head = Head::parse(&parts)?;
    let target = resolve::resolve(gate, claim.account(), &head)?;
    payload::check_length(&parts)?;
    // The body is part of what was signed.
    let payload = payload::receive(body).await?;
    let digest = authenticate::verify(gate, &claim, &parts, &payload)?;
    let payload = payload::event(payload)?;
    if head.mode == Mode::DryRun {
        return Ok(respond::dry_run());
    }
    let invocation = Invocation {
        request,
        payload,
        digest,
        invoked_arn: target.invoked_arn,
        trace_id: head.trace_id,
        client_context: head.client_context,
        tenant: head.tenant,
        affinity: target.affinity,
        tail: head.tail,
    };
    // Admitted, routed, acquired and run; twice at most.
    let outcome = run::run(gate, &target.callable, &invocation).await;
    let outcome = outcome.inspect_err(|refusal| gate.meter.refused(&target.callable, refusal))?;
    Ok(respond::ran(&target.callable, outcome))
}
