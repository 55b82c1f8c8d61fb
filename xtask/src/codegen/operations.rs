//! Writes the table of all operations and the table of error shapes. Which row a
//! request belongs to is decided by `aws_api::operation`, not here.

use std::fmt::Write as _;

use super::model::Model;

/// One row per operation: `Name Method [segments] query success`.
pub(super) fn render(model: &Model) -> Result<String, String> {
    let mut out = String::from("use crate::operation::operations;\n\noperations! {\n");
    for (name, operation) in &model.operations {
        let (path, query) = match operation.uri.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (operation.uri.as_str(), None),
        };
        let segments: Vec<String> = path
            .trim_matches('/')
            .split('/')
            .map(|segment| match segment.strip_prefix('{') {
                Some(param) => segment_param(param),
                None => Ok(format!("{segment:?}")),
            })
            .collect::<Result<_, _>>()?;
        let query = match query.map(|q| q.split_once('=').ok_or(q)) {
            None => "None".to_owned(),
            Some(Ok((key, value))) => format!("(Some(({key:?}, {value:?})))"),
            Some(Err(query)) => return Err(format!("{name}: query {query} is not a pair")),
        };
        let method = match operation.method.as_str() {
            "GET" => "Get",
            "POST" => "Post",
            "PUT" => "Put",
            "DELETE" => "Delete",
            other => return Err(format!("{name}: method {other} is not known")),
        };
        let _ = writeln!(
            out,
            "    {name} {method} [{}] {query} {};",
            segments.join(" "),
            operation.success
        );
    }
    out.push_str("}\n");
    Ok(out)
}

fn segment_param(param: &str) -> Result<String, String> {
    let name = param.strip_suffix('}').ok_or_else(|| format!("segment {param} is not closed"))?;
    if name.ends_with('+') {
        return Err(format!("segment {name} spans several segments"));
    }
    Ok(format!("{{{name}}}"))
}

/// Name, status, whether the message key is upper case, whether the fault is ours.
pub(super) fn render_errors(model: &Model) -> String {
    let mut out = String::from(
        "/// Name, HTTP status, `true` where the key is `Message`, `true` where AWS is to blame.\n\
         pub static MODEL_ERRORS: &[(&str, u16, bool, bool)] = &[\n",
    );
    for (name, shape) in model.errors() {
        let _ = writeln!(
            out,
            "({name:?}, {}, {}, {}),",
            shape["error"]["httpStatusCode"],
            shape["members"].get("Message").is_some(),
            shape["fault"] == true,
        );
    }
    out.push_str("];\n");
    out
}
