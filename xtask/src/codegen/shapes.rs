//! Writes the serde types: enums, nested structures, requests with their binding
//! of path and query, responses. Every field is optional: AWS leaves out what is
//! not set, and what must be present is a check, not a type.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::model::{Kind, Member, Model, Place};
use super::names::{snake, variant};

/// Which shapes the served operations need, and in which direction.
pub(super) struct Scope {
    /// Input shapes of operations.
    pub requests: BTreeSet<String>,
    /// Output shapes of operations.
    pub responses: BTreeSet<String>,
    /// Structures inside requests.
    pub inward: BTreeSet<String>,
    /// Structures inside responses.
    outward: BTreeSet<String>,
    enums: BTreeSet<String>,
}

impl Scope {
    pub(super) fn of(
        model: &Model,
        served: &[&str],
        extra_outputs: &[&str],
    ) -> Result<Self, String> {
        let mut requests = BTreeSet::new();
        let mut responses: BTreeSet<String> = extra_outputs.iter().map(|&n| n.to_owned()).collect();
        for name in served {
            let operation =
                model.operations.get(*name).ok_or_else(|| format!("no operation {name}"))?;
            requests.extend(operation.input.clone());
            responses.extend(operation.output.clone());
        }
        let mut enums = BTreeSet::new();
        let mut inward = BTreeSet::new();
        for name in &requests {
            walk(model, name, &mut inward, &mut enums)?;
        }
        let mut outward = BTreeSet::new();
        for name in &responses {
            walk(model, name, &mut outward, &mut enums)?;
        }
        inward.retain(|name| !requests.contains(name));
        outward.retain(|name| !responses.contains(name));
        Ok(Self { requests, responses, inward, outward, enums })
    }
}

fn walk(
    model: &Model,
    name: &str,
    structures: &mut BTreeSet<String>,
    enums: &mut BTreeSet<String>,
) -> Result<(), String> {
    match model.kind(name)? {
        Kind::Structure => {
            if structures.insert(name.to_owned()) {
                for member in model.members(name)? {
                    walk(model, &member.shape, structures, enums)?;
                }
            }
        }
        Kind::List => walk(model, &model.part(name, "member"), structures, enums)?,
        Kind::Map => {
            walk(model, &model.part(name, "key"), structures, enums)?;
            walk(model, &model.part(name, "value"), structures, enums)?;
        }
        Kind::Text => {
            if model.variants(name).is_some() {
                enums.insert(name.to_owned());
            }
        }
        Kind::Integer | Kind::Double | Kind::Boolean | Kind::Blob => {}
    }
    Ok(())
}

pub(super) fn render_enums(model: &Model, scope: &Scope) -> String {
    let mut out = String::from("use crate::shape::open_enum;\n\n");
    for name in &scope.enums {
        let _ = writeln!(out, "open_enum! {{ {name} {{");
        for value in model.variants(name).unwrap_or_default() {
            let _ = writeln!(out, "    {} = {value:?},", variant(&value));
        }
        out.push_str("} }\n\n");
    }
    out
}

pub(super) fn render_structures(model: &Model, scope: &Scope) -> Result<String, String> {
    let mut out = imports("use super::enums::*;\n");
    for name in scope.inward.union(&scope.outward) {
        out.push_str(&structure(model, name)?);
    }
    Ok(out)
}

pub(super) fn render_responses(model: &Model, scope: &Scope) -> Result<String, String> {
    let mut out = imports("use super::enums::*;\nuse super::structures::*;\n");
    for name in &scope.responses {
        out.push_str(&structure(model, name)?);
    }
    Ok(out)
}

pub(super) fn render_requests(model: &Model, scope: &Scope) -> Result<String, String> {
    let mut out = imports(
        "use super::enums::*;\nuse super::structures::*;\nuse crate::errors::ApiError;\n\
         use crate::request::{Request, Source};\n",
    );
    for name in &scope.requests {
        out.push_str(&structure(model, name)?);
        out.push_str(&binding(model, name)?);
    }
    Ok(out)
}

fn imports(more: &str) -> String {
    format!(
        "#![allow(unused_imports, reason = \"one list of imports for every generated file\")]\n\
         use std::collections::BTreeMap;\n\nuse serde::{{Deserialize, Serialize}};\n\n{more}\
         use crate::shape::{{Blob, Sensitive}};\n\n"
    )
}

fn structure(model: &Model, name: &str) -> Result<String, String> {
    let mut out = String::from(
        "#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]\n#[serde(default)]\n",
    );
    let _ = writeln!(out, "pub struct {name} {{");
    for member in model.members(name)? {
        let serde = match member.place {
            Place::Body => {
                format!("rename = {:?}, skip_serializing_if = \"Option::is_none\"", member.name)
            }
            Place::Uri(_) | Place::Query(_) | Place::Header(_) | Place::Status => "skip".to_owned(),
        };
        let _ = writeln!(out, "    #[serde({serde})]");
        let rust = rust_type(model, &member.shape)?;
        let _ = writeln!(out, "    pub {}: Option<{rust}>,", snake(&member.name));
    }
    out.push_str("}\n\n");
    Ok(out)
}

fn rust_type(model: &Model, shape: &str) -> Result<String, String> {
    let plain = match model.kind(shape)? {
        Kind::Structure => shape.to_owned(),
        Kind::List => format!("Vec<{}>", rust_type(model, &model.part(shape, "member"))?),
        Kind::Map => {
            if model.kind(&model.part(shape, "value"))? != Kind::Text {
                return Err(format!("map {shape} has values that are not text"));
            }
            "BTreeMap<String, String>".to_owned()
        }
        Kind::Text if model.variants(shape).is_some() => shape.to_owned(),
        Kind::Text => "String".to_owned(),
        Kind::Integer => "i64".to_owned(),
        Kind::Double => "f64".to_owned(),
        Kind::Boolean => "bool".to_owned(),
        Kind::Blob => return Ok("Blob".to_owned()),
    };
    Ok(if model.is_sensitive(shape) { format!("Sensitive<{plain}>") } else { plain })
}

fn binding(model: &Model, name: &str) -> Result<String, String> {
    let members = model.members(name)?;
    let has_body = members.iter().any(|m| m.place == Place::Body);
    let mut lines = String::new();
    for member in &members {
        lines.push_str(&bind(model, member)?);
    }
    let source = if lines.is_empty() { "_source" } else { "source" };
    Ok(format!(
        "impl Request for {name} {{\n    const HAS_BODY: bool = {has_body};\n\n\
         fn bind(&mut self, {source}: &Source<'_>) -> Result<(), ApiError> {{\n\
         {lines}        Ok(())\n    }}\n}}\n\n"
    ))
}

fn bind(model: &Model, member: &Member) -> Result<String, String> {
    let field = snake(&member.name);
    let value = match (&member.place, model.kind(&member.shape)?) {
        (Place::Body, _) => return Ok(String::new()),
        (Place::Uri(name), Kind::Text) => format!("source.param({name:?})"),
        (Place::Query(name), Kind::Text) if model.variants(&member.shape).is_some() => {
            format!("source.query({name:?}).map(Into::into)")
        }
        (Place::Query(name), Kind::Text) => format!("source.query({name:?})"),
        (Place::Query(name), Kind::Integer) => format!("source.query_integer({name:?})?"),
        (Place::Query(name), Kind::List) => format!("source.query_all({name:?})"),
        _ => return Err(format!("member {}: no binding for its place", member.name)),
    };
    Ok(format!("        self.{field} = {value};\n"))
}
