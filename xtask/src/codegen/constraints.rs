//! Writes the constraints of the model (length, range, pattern) as a table, and
//! the checks that apply them to requests and to the structures inside them.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use super::model::{Kind, Member, Model};
use super::names::{camel, snake, upper_snake};
use super::patterns::{Matcher, matcher};
use super::shapes::Scope;

pub(super) fn render_table(model: &Model, scope: &Scope, extra: &[&str]) -> Result<String, String> {
    let mut names: BTreeSet<String> = extra.iter().map(|&n| n.to_owned()).collect();
    for structure in scope.requests.iter().chain(&scope.inward) {
        for member in model.members(structure)? {
            collect(model, &member.shape, &mut names)?;
        }
    }
    let mut out =
        String::from("use crate::validate::{Double, Integer, Length, Matcher, Pattern, Text};\n\n");
    for name in &names {
        let shape = model.shape(name);
        let (min, max) = (option(&shape["min"]), option(&shape["max"]));
        let (kind, value) = match model.kind(name)? {
            Kind::Text => {
                ("Text", format!("Text {{ min: {min}, max: {max}, pattern: {} }}", pattern(shape)?))
            }
            Kind::List => ("Length", format!("Length {{ min: {min}, max: {max} }}")),
            Kind::Integer => ("Integer", format!("Integer {{ min: {min}, max: {max} }}")),
            Kind::Double => {
                let (min, max) = (float(&shape["min"]), float(&shape["max"]));
                ("Double", format!("Double {{ min: {min}, max: {max} }}"))
            }
            Kind::Structure | Kind::Map | Kind::Boolean | Kind::Blob => continue,
        };
        let _ = writeln!(out, "pub static {}: {kind} = {value};", upper_snake(name));
    }
    Ok(out)
}

/// The shapes below `name` that have a constraint of their own.
fn collect(model: &Model, name: &str, names: &mut BTreeSet<String>) -> Result<(), String> {
    match model.kind(name)? {
        Kind::List => {
            names.insert(name.to_owned());
            collect(model, &model.part(name, "member"), names)?;
        }
        Kind::Map => {
            collect(model, &model.part(name, "key"), names)?;
            collect(model, &model.part(name, "value"), names)?;
        }
        Kind::Text if model.variants(name).is_some() => {}
        Kind::Text | Kind::Integer | Kind::Double => {
            names.insert(name.to_owned());
        }
        Kind::Structure | Kind::Boolean | Kind::Blob => {}
    }
    Ok(())
}

fn option(bound: &Value) -> String {
    match bound.as_i64() {
        Some(bound) => format!("Some({bound})"),
        None => "None".to_owned(),
    }
}

fn float(bound: &Value) -> String {
    match bound.as_f64() {
        Some(bound) => format!("Some({bound:?})"),
        None => "None".to_owned(),
    }
}

fn pattern(shape: &Value) -> Result<String, String> {
    let Some(shown) = shape["pattern"].as_str() else { return Ok("None".to_owned()) };
    let matcher = match matcher(shown)? {
        Matcher::Regex(source) => format!("Matcher::regex({})", raw(&source)),
        Matcher::TagText => "Matcher::TagText".to_owned(),
        Matcher::Anything => "Matcher::Anything".to_owned(),
    };
    Ok(format!("Some(Pattern {{ shown: {}, matcher: {matcher} }})", raw(shown)))
}

fn raw(text: &str) -> String {
    if text.contains('\\') {
        format!("r{text:?}").replace("\\\\", "\\")
    } else {
        format!("{text:?}")
    }
}

pub(super) fn render_checks(model: &Model, scope: &Scope) -> Result<String, String> {
    let mut out = String::from(
        "use super::constraints as c;\nuse super::requests::*;\nuse super::structures::*;\n\
         use crate::validate::{Check, Violations};\n\n",
    );
    for name in scope.requests.iter().chain(&scope.inward) {
        let mut lines = String::new();
        for member in model.members(name)? {
            lines.push_str(&check(model, &member)?);
        }
        let argument = if lines.is_empty() { "_v" } else { "v" };
        let _ = writeln!(
            out,
            "impl Check for {name} {{\n    fn check(&self, {argument}: &mut Violations) {{\n\
             {lines}    }}\n}}\n"
        );
    }
    Ok(out)
}

fn check(model: &Model, member: &Member) -> Result<String, String> {
    let field = format!("self.{}", snake(&member.name));
    let at = camel(&member.name);
    let shape = &member.shape;
    let mut lines = String::new();
    if member.required {
        let _ = writeln!(lines, "v.required({at:?}, {field}.is_some());");
    }
    let line = match model.kind(shape)? {
        Kind::Structure => format!("v.nested({at:?}, {field}.as_ref());"),
        Kind::List => list(model, shape, &at, &field)?,
        Kind::Map => {
            let sensitive = model.is_sensitive(shape);
            let map = if sensitive { "as_deref" } else { "as_ref" };
            format!(
                "v.map({at:?}, {field}.{map}(), &c::{}, &c::{}, {sensitive});",
                upper_snake(&model.part(shape, "key")),
                upper_snake(&model.part(shape, "value"))
            )
        }
        Kind::Text if model.variants(shape).is_some() => {
            format!("v.one_of({at:?}, {field}.as_ref());")
        }
        Kind::Text => format!("v.text({at:?}, {field}.as_deref(), &c::{});", upper_snake(shape)),
        Kind::Integer => format!("v.integer({at:?}, {field}, &c::{});", upper_snake(shape)),
        Kind::Double => format!("v.double({at:?}, {field}, &c::{});", upper_snake(shape)),
        Kind::Boolean | Kind::Blob => String::new(),
    };
    lines.push_str(&line);
    lines.push('\n');
    Ok(lines)
}

fn list(model: &Model, shape: &str, at: &str, field: &str) -> Result<String, String> {
    let length = format!("&c::{}", upper_snake(shape));
    let element = model.part(shape, "member");
    Ok(match model.kind(&element)? {
        Kind::Structure => format!("v.each({at:?}, {field}.as_deref(), {length});"),
        Kind::Text if model.variants(&element).is_some() => {
            format!("v.enums({at:?}, {field}.as_deref(), {length});")
        }
        Kind::Text => {
            format!("v.texts({at:?}, {field}.as_deref(), {length}, &c::{});", upper_snake(&element))
        }
        Kind::List | Kind::Map | Kind::Integer | Kind::Double | Kind::Boolean | Kind::Blob => {
            return Err(format!("list {shape}: no check for its elements"));
        }
    })
}
