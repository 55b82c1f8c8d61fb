//! The service model as the generator reads it: operations and shapes of the
//! JSON that botocore ships. Only what is asked of it is interpreted.

use std::collections::BTreeMap;

use serde_json::Value;

pub(super) struct Model {
    pub operations: BTreeMap<String, Operation>,
    shapes: BTreeMap<String, Value>,
}

pub(super) struct Operation {
    pub method: String,
    pub uri: String,
    pub success: u64,
    pub input: Option<String>,
    pub output: Option<String>,
}

/// Where a member of a request travels.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Place {
    Body,
    Uri(String),
    Query(String),
    Header(String),
    Status,
}

pub(super) struct Member {
    pub name: String,
    pub shape: String,
    pub place: Place,
    pub required: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Structure,
    List,
    Map,
    Text,
    Integer,
    Double,
    Boolean,
    Blob,
}

impl Model {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let root: Value =
            serde_json::from_slice(bytes).map_err(|e| format!("parsing the model: {e}"))?;
        let object = |name: &str| {
            root[name].as_object().cloned().ok_or_else(|| format!("the model has no {name}"))
        };
        let shapes = object("shapes")?.into_iter().collect();
        let mut operations = BTreeMap::new();
        for (name, value) in object("operations")? {
            let http = &value["http"];
            let shape = |key: &str| value[key]["shape"].as_str().map(str::to_owned);
            let operation = Operation {
                method: text(&http["method"], &name)?,
                uri: text(&http["requestUri"], &name)?,
                success: http["responseCode"].as_u64().unwrap_or(200),
                input: shape("input"),
                output: shape("output"),
            };
            operations.insert(name, operation);
        }
        Ok(Self { operations, shapes })
    }

    pub(super) fn shape(&self, name: &str) -> &Value {
        self.shapes.get(name).unwrap_or(&Value::Null)
    }

    pub(super) fn kind(&self, name: &str) -> Result<Kind, String> {
        match self.shape(name)["type"].as_str() {
            Some("structure") => Ok(Kind::Structure),
            Some("list") => Ok(Kind::List),
            Some("map") => Ok(Kind::Map),
            Some("string") => Ok(Kind::Text),
            Some("integer" | "long") => Ok(Kind::Integer),
            Some("double") => Ok(Kind::Double),
            Some("boolean") => Ok(Kind::Boolean),
            Some("blob") => Ok(Kind::Blob),
            other => Err(format!("shape {name} has the type {other:?}")),
        }
    }

    pub(super) fn is_sensitive(&self, name: &str) -> bool {
        self.shape(name)["sensitive"] == Value::Bool(true)
    }

    pub(super) fn variants(&self, name: &str) -> Option<Vec<String>> {
        let list = self.shape(name)["enum"].as_array()?;
        Some(list.iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// The shape of a list's elements (`member`), a map's `key` or `value`.
    pub(super) fn part(&self, name: &str, part: &str) -> String {
        self.shape(name)[part]["shape"].as_str().unwrap_or_default().to_owned()
    }

    pub(super) fn members(&self, name: &str) -> Result<Vec<Member>, String> {
        let shape = self.shape(name);
        let required: Vec<&str> = shape["required"]
            .as_array()
            .map(|list| list.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let members = shape["members"].as_object().ok_or_else(|| format!("{name}: no members"))?;
        members
            .iter()
            .map(|(member, value)| {
                Ok(Member {
                    name: member.clone(),
                    shape: text(&value["shape"], member)?,
                    place: place(member, value)?,
                    required: required.contains(&member.as_str()),
                })
            })
            .collect()
    }

    pub(super) fn errors(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.shapes.iter().filter(|(_, shape)| shape["exception"] == Value::Bool(true))
    }
}

fn place(member: &str, value: &Value) -> Result<Place, String> {
    let named = || value["locationName"].as_str().unwrap_or(member).to_owned();
    match value["location"].as_str() {
        None => Ok(Place::Body),
        Some("uri") => Ok(Place::Uri(named())),
        Some("querystring") => Ok(Place::Query(named())),
        Some("header") => Ok(Place::Header(named())),
        Some("statusCode") => Ok(Place::Status),
        Some(other) => Err(format!("member {member} travels in {other}")),
    }
}

fn text(value: &Value, of: &str) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| format!("{of}: a string is missing"))
}
