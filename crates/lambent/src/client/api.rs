//! What the commands ask of the platform: operations of the public Lambda API,
//! and the log view, which is Lambent's own.

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::{Answer, Ask, Client, segment};
use crate::failure::{Exit, Failure};

const FUNCTIONS: &str = "/2015-03-31/functions";
/// AWS wants one; nothing here assumes it.
const ROLE: &str = "arn:aws:iam::000000000000:role/lambent";

/// A function's configuration, as far as the commands show it. The rest is kept
/// for `--json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Function {
    pub(crate) function_name: String,
    pub(crate) runtime: Option<String>,
    pub(crate) handler: Option<String>,
    pub(crate) memory_size: u64,
    pub(crate) timeout: u64,
    pub(crate) code_size: u64,
    pub(crate) last_modified: String,
    pub(crate) state: Option<String>,
    pub(crate) state_reason: Option<String>,
    pub(crate) last_update_status: Option<String>,
    pub(crate) last_update_status_reason: Option<String>,
    #[serde(flatten)]
    pub(crate) rest: Map<String, Value>,
}

/// What a caller sets; absent fields stay as they are, or take AWS's defaults.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Configuration {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) runtime: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) handler: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory_size: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) environment: Option<Variables>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Variables {
    pub(crate) variables: Map<String, Value>,
}

/// A function's answer.
#[derive(Debug)]
pub(crate) struct Invoked {
    pub(crate) payload: Bytes,
    /// `Unhandled` or `Handled`, where the function failed.
    pub(crate) error: Option<String>,
    pub(crate) log: Option<Vec<u8>>,
    pub(crate) version: Option<String>,
    pub(crate) status: u16,
}

/// Log lines after a position, as they stand in the log: JSON, one per line.
#[derive(Debug)]
pub(crate) struct LogPage {
    pub(crate) lines: Bytes,
    pub(crate) next: u64,
}

impl Client {
    pub(crate) async fn find(&mut self, name: &str) -> anyhow::Result<Option<Function>> {
        let target = format!("{FUNCTIONS}/{}/configuration", segment(name));
        let answer = self.ask(Ask::new(Method::GET, target)).await?;
        if error_type(&answer.headers) == Some("ResourceNotFoundException") {
            return Ok(None);
        }
        read(&format!("looking for {name}"), &answer).map(Some)
    }

    pub(crate) async fn create(
        &mut self,
        name: &str,
        configuration: &Configuration,
        zip: &[u8],
    ) -> anyhow::Result<Function> {
        let mut body = serde_json::to_value(configuration)?;
        body["FunctionName"] = json!(name);
        body["Role"] = json!(ROLE);
        body["Code"] = json!({ "ZipFile": STANDARD.encode(zip) });
        let ask = Ask::new(Method::POST, FUNCTIONS).body(serde_json::to_vec(&body)?);
        read(&format!("creating {name}"), &self.ask(as_json(ask)).await?)
    }

    pub(crate) async fn update_code(&mut self, name: &str, zip: &[u8]) -> anyhow::Result<Function> {
        let target = format!("{FUNCTIONS}/{}/code", segment(name));
        let body = serde_json::to_vec(&json!({ "ZipFile": STANDARD.encode(zip) }))?;
        let answer = self.ask(as_json(Ask::new(Method::PUT, target).body(body))).await?;
        read(&format!("updating the code of {name}"), &answer)
    }

    pub(crate) async fn update_configuration(
        &mut self,
        name: &str,
        configuration: &Configuration,
    ) -> anyhow::Result<Function> {
        let target = format!("{FUNCTIONS}/{}/configuration", segment(name));
        let ask = Ask::new(Method::PUT, target).body(serde_json::to_vec(configuration)?);
        read(&format!("updating the configuration of {name}"), &self.ask(as_json(ask)).await?)
    }

    pub(crate) async fn delete(&mut self, name: &str) -> anyhow::Result<()> {
        let target = format!("{FUNCTIONS}/{}", segment(name));
        let answer = self.ask(Ask::new(Method::DELETE, target)).await?;
        accept(&format!("deleting {name}"), &answer)
    }

    /// Every function of the account, page by page.
    pub(crate) async fn list(&mut self) -> anyhow::Result<Vec<Function>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Page {
            functions: Vec<Function>,
            next_marker: Option<String>,
        }
        let (mut functions, mut marker) = (Vec::new(), None::<String>);
        loop {
            let after = marker.map(|m| format!("?Marker={}", segment(&m))).unwrap_or_default();
            let answer = self.ask(Ask::new(Method::GET, format!("{FUNCTIONS}{after}"))).await?;
            let page: Page = read("listing functions", &answer)?;
            functions.extend(page.functions);
            marker = page.next_marker.filter(|marker| !marker.is_empty());
            if marker.is_none() {
                return Ok(functions);
            }
        }
    }

    pub(crate) async fn invoke(
        &mut self,
        name: &str,
        qualifier: Option<&str>,
        payload: Bytes,
        tail: bool,
    ) -> anyhow::Result<Invoked> {
        let qualifier = qualifier.map(|q| format!("?Qualifier={}", segment(q))).unwrap_or_default();
        let target = format!("{FUNCTIONS}/{}/invocations{qualifier}", segment(name));
        let mut ask = as_json(Ask::new(Method::POST, target).body(payload));
        if tail {
            ask = ask.header("x-amz-log-type", "Tail");
        }
        let answer = self.ask(ask).await?;
        accept(&format!("invoking {name}"), &answer)?;
        let text = |name| header(&answer.headers, name).map(str::to_owned);
        let log = text("x-amz-log-result").map(|log| STANDARD.decode(log)).transpose();
        Ok(Invoked {
            error: text("x-amz-function-error"),
            version: text("x-amz-executed-version"),
            log: log.context("the log tail in the answer")?,
            status: answer.status.as_u16(),
            payload: answer.body,
        })
    }

    /// One request of the operators' API.
    pub(crate) async fn admin<T: serde::de::DeserializeOwned>(
        &mut self,
        method: Method,
        target: &str,
        body: Option<Value>,
        doing: &str,
    ) -> anyhow::Result<T> {
        let ask = Ask::new(method, target);
        let ask = match body {
            Some(body) => as_json(ask.body(serde_json::to_vec(&body)?)),
            None => ask,
        };
        read(doing, &self.ask(ask).await?)
    }

    pub(crate) async fn logs(&mut self, name: &str, after: u64) -> anyhow::Result<LogPage> {
        let target = format!("/lambent/v1/functions/{}/logs?after={after}", segment(name));
        let answer = self.ask(Ask::new(Method::GET, target)).await?;
        accept(&format!("reading the log of {name}"), &answer)?;
        let next = header(&answer.headers, "x-lambent-next").and_then(|next| next.parse().ok());
        let next = next.context("the answer has no position of the next log line")?;
        Ok(LogPage { lines: answer.body, next })
    }
}

fn as_json(ask: Ask) -> Ask {
    ask.header("content-type", "application/json")
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn error_type(headers: &HeaderMap) -> Option<&str> {
    let full = header(headers, "x-amzn-errortype")?;
    full.split(':').next()
}

fn read<T: for<'de> Deserialize<'de>>(doing: &str, answer: &Answer) -> anyhow::Result<T> {
    accept(doing, answer)?;
    serde_json::from_slice(&answer.body).with_context(|| format!("{doing}: the answer's body"))
}

/// An error that the platform answered becomes the command's failure.
fn accept(doing: &str, answer: &Answer) -> anyhow::Result<()> {
    if answer.status.is_success() {
        return Ok(());
    }
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let message = ["message", "Message"].iter().find_map(|key| body[key].as_str());
    let message = message.unwrap_or("no message");
    let kind = error_type(&answer.headers).unwrap_or(answer.status.as_str());
    let todo = match answer.status.as_u16() {
        403 => {
            "the credentials are of another platform: eval \"$(lambent env)\" sets the right ones"
        }
        404 => "`lambent ls` shows the functions there are",
        409 => "something else changes the function: wait a moment and try again",
        413 => "make it smaller: docs/API.md lists the limits",
        429 => "a limit of concurrency is reached: try again, or raise it",
        500..=599 => "look at what `lambent up` printed; `lambent doctor` checks the host",
        _ => "change the request as the message says",
    };
    Err(Failure::new(Exit::Refused, format!("{doing}: {kind}: {message}"), todo).into())
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn answer(status: u16, kind: Option<&'static str>, body: &'static str) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(kind) = kind {
            headers.insert("x-amzn-errortype", kind.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        Answer { status, headers, body: Bytes::from_static(body.as_bytes()) }
    }

    #[test]
    fn errors_carry_type_and_message_whichever_key_it_has() {
        let cases = [
            (
                answer(404, Some("ResourceNotFoundException"), r#"{"Message":"no f"}"#),
                "doing: ResourceNotFoundException: no f\n",
            ),
            (
                answer(429, Some("TooManyRequestsException:http://x"), r#"{"message":"slow"}"#),
                "doing: TooManyRequestsException: slow\n",
            ),
            (answer(502, None, "<html>"), "doing: 502: no message\n"),
        ];
        for (answer, text) in cases {
            let error = accept("doing", &answer).unwrap_err().to_string();
            assert!(error.starts_with(text), "{error}");
        }
        assert!(accept("doing", &answer(204, None, "")).is_ok());
    }

    #[test]
    fn what_the_commands_do_not_know_is_kept_for_json() {
        let text = r#"{"FunctionName":"f","Runtime":"python3.11","Handler":"a.b","MemorySize":128,
            "Timeout":3,"CodeSize":5,"LastModified":"now","State":"Active","StateReason":null,
            "LastUpdateStatus":"Successful","LastUpdateStatusReason":null,"Architectures":["x"]}"#;
        let function: Function = serde_json::from_str(text).unwrap();
        let whole: Value = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_value(&function).unwrap(), whole);
    }

    #[test]
    fn only_what_was_given_is_sent() {
        let configuration = Configuration { timeout: Some(9), ..Configuration::default() };
        assert_eq!(serde_json::to_value(&configuration).unwrap(), json!({ "Timeout": 9 }));
    }
}
