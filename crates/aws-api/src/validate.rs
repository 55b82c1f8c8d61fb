//! The constraints of the service model and the sentence AWS answers with when
//! they do not hold: every violation of a request is listed in one
//! `ValidationException`.
//!
//! Which member has which constraint is generated (`generated::checks`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::OnceLock;

use regex_lite::Regex;

use crate::errors::{ApiError, Exception};
use crate::shape::OpenEnum;

#[derive(Debug)]
pub enum Matcher {
    /// In the syntax of `regex-lite`, compiled at first use.
    Regex {
        source: &'static str,
        compiled: OnceLock<Regex>,
    },
    /// Letters, separators, numbers and `_.:/=+-@`, in any script. Combining
    /// vowel signs pass although AWS refuses them.
    TagText,
    Anything,
}

impl Matcher {
    pub const fn regex(source: &'static str) -> Self {
        Self::Regex { source, compiled: OnceLock::new() }
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Regex { source, compiled } => {
                let regex = compiled.get_or_init(|| {
                    // Every pattern is compiled by a test: this is a constant.
                    Regex::new(&format!("^(?:{source})$")).expect("a pattern of the model")
                });
                regex.is_match(text)
            }
            Self::TagText => text.chars().all(|c| {
                c.is_alphabetic()
                    || c.is_numeric()
                    || (c.is_whitespace() && !c.is_control())
                    || "_.:/=+-@".contains(c)
            }),
            Self::Anything => true,
        }
    }
}

#[derive(Debug)]
pub struct Pattern {
    /// As the model writes it: shown to the caller.
    pub shown: &'static str,
    pub matcher: Matcher,
}

/// Bounds in characters, and a pattern for the whole text.
#[derive(Debug)]
pub struct Text {
    pub min: Option<usize>,
    pub max: Option<usize>,
    pub pattern: Option<Pattern>,
}

impl Text {
    pub fn holds(&self, text: &str) -> bool {
        self.broken_by(text).next().is_none()
    }

    /// The constraints `text` does not satisfy, in the order AWS lists them.
    fn broken_by<'a>(&'a self, text: &'a str) -> impl Iterator<Item = String> + 'a {
        let pattern = self.pattern.as_ref().filter(|p| !p.matcher.matches(text)).map(must_match);
        let length = Length { min: self.min, max: self.max }.broken_by(text.chars().count());
        pattern.into_iter().chain(length)
    }

    /// Every constraint: what is shown for an element of a list or a map.
    fn all(&self) -> Vec<String> {
        let max =
            self.max.map(|max| format!("Member must have length less than or equal to {max}"));
        let min =
            self.min.map(|min| format!("Member must have length greater than or equal to {min}"));
        max.into_iter().chain(min).chain(self.pattern.as_ref().map(must_match)).collect()
    }
}

fn must_match(pattern: &Pattern) -> String {
    format!("Member must satisfy regular expression pattern: {}", pattern.shown)
}

/// Bounds of a list, in elements.
#[derive(Clone, Copy, Debug)]
pub struct Length {
    pub min: Option<usize>,
    pub max: Option<usize>,
}

impl Length {
    fn broken_by(self, len: usize) -> Option<String> {
        if let Some(max) = self.max.filter(|max| len > *max) {
            return Some(format!("Member must have length less than or equal to {max}"));
        }
        let min = self.min.filter(|min| len < *min)?;
        Some(format!("Member must have length greater than or equal to {min}"))
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Integer {
    pub min: Option<i64>,
    pub max: Option<i64>,
}

#[derive(Clone, Copy, Debug)]
pub struct Double {
    pub min: Option<f64>,
    pub max: Option<f64>,
}

/// A shape whose members have constraints.
pub trait Check {
    fn check(&self, v: &mut Violations);
}

/// The violations found so far, and where in the request the check is.
#[derive(Debug, Default)]
pub struct Violations {
    found: Vec<String>,
    prefix: String,
}

impl Violations {
    /// # Errors
    /// `ValidationException` that lists everything found.
    pub fn into_result(self) -> Result<(), ApiError> {
        let plural = match self.found.len() {
            0 => return Ok(()),
            1 => "",
            _ => "s",
        };
        let message = format!(
            "{} validation error{plural} detected: {}",
            self.found.len(),
            self.found.join("; ")
        );
        Err(ApiError::new(Exception::Validation, message))
    }

    pub fn required(&mut self, name: &str, present: bool) {
        if !present {
            self.add(name, "Value null", "Member must not be null");
        }
    }

    pub fn text(&mut self, name: &str, value: Option<&str>, text: &Text) {
        let Some(value) = value else { return };
        for broken in text.broken_by(value) {
            self.add(name, &format!("Value '{value}'"), &broken);
        }
    }

    pub fn one_of<E: OpenEnum>(&mut self, name: &str, value: Option<&E>) {
        if let Some(value) = value.filter(|v| !v.is_known()) {
            self.add(name, &format!("Value '{}'", value.as_str()), &enum_set::<E>());
        }
    }

    /// For closed sets parsed by hand; `names` as the model lists them.
    pub(crate) fn not_in_set(&mut self, name: &str, value: &str, names: &str) {
        let broken = format!("Member must satisfy enum value set: [{names}]");
        self.add(name, &format!("Value '{value}'"), &broken);
    }

    pub fn integer(&mut self, name: &str, value: Option<i64>, integer: &Integer) {
        let Some(value) = value else { return };
        let (min, max) = (integer.min.filter(|m| value < *m), integer.max.filter(|m| value > *m));
        self.range(name, &value.to_string(), min, max);
    }

    pub fn double(&mut self, name: &str, value: Option<f64>, double: &Double) {
        let Some(value) = value else { return };
        let min = double.min.filter(|m| value < *m).map(|m| format!("{m:?}"));
        let max = double.max.filter(|m| value > *m).map(|m| format!("{m:?}"));
        self.range(name, &format!("{value:?}"), min, max);
    }

    pub fn texts(&mut self, name: &str, value: Option<&[String]>, length: &Length, text: &Text) {
        let Some(value) = value else { return };
        let mut broken: Vec<String> = length.broken_by(value.len()).into_iter().collect();
        if value.iter().any(|element| !text.holds(element)) {
            broken.push(every_member(text.all()));
        }
        for broken in broken {
            self.add(name, &format!("Value '[{}]'", value.join(", ")), &broken);
        }
    }

    pub fn enums<E: OpenEnum>(&mut self, name: &str, value: Option<&[E]>, length: &Length) {
        let Some(value) = value else { return };
        let mut broken: Vec<String> = length.broken_by(value.len()).into_iter().collect();
        if value.iter().any(|element| !element.is_known()) {
            broken.push(every_member(vec![enum_set::<E>()]));
        }
        let names: Vec<&str> = value.iter().map(E::as_str).collect();
        for broken in broken {
            self.add(name, &format!("Value '[{}]'", names.join(", ")), &broken);
        }
    }

    /// The values of a sensitive map are not repeated to the caller.
    pub fn map(
        &mut self,
        name: &str,
        value: Option<&BTreeMap<String, String>>,
        key: &Text,
        text: &Text,
        sensitive: bool,
    ) {
        let Some(map) = value else { return };
        let shown = if sensitive { "Value".to_owned() } else { show_map(map) };
        for (broken, kind, text) in [
            (map.keys().any(|k| !key.holds(k)), "Map keys", key),
            (map.values().any(|v| !text.holds(v)), "Map value", text),
        ] {
            if broken {
                let all = text.all().join(", ");
                self.add(name, &shown, &format!("{kind} must satisfy constraint: [{all}]"));
            }
        }
    }

    pub fn nested(&mut self, name: &str, value: Option<&impl Check>) {
        let Some(value) = value else { return };
        let outer = self.prefix.len();
        let _ = write!(self.prefix, "{name}.");
        value.check(self);
        self.prefix.truncate(outer);
    }

    pub fn each(&mut self, name: &str, value: Option<&[impl Check]>, length: &Length) {
        let Some(value) = value else { return };
        if let Some(broken) = length.broken_by(value.len()) {
            self.add(name, "Value", &broken);
        }
        for (index, element) in value.iter().enumerate() {
            self.nested(&format!("{name}.{}.member", index + 1), Some(element));
        }
    }

    fn range<N: std::fmt::Display>(
        &mut self,
        name: &str,
        value: &str,
        min: Option<N>,
        max: Option<N>,
    ) {
        if let Some(max) = max {
            let broken = format!("Member must have value less than or equal to {max}");
            self.add(name, &format!("Value '{value}'"), &broken);
        }
        if let Some(min) = min {
            let broken = format!("Member must have value greater than or equal to {min}");
            self.add(name, &format!("Value '{value}'"), &broken);
        }
    }

    fn add(&mut self, name: &str, value: &str, broken: &str) {
        let prefix = &self.prefix;
        self.found
            .push(format!("{value} at '{prefix}{name}' failed to satisfy constraint: {broken}"));
    }
}

fn enum_set<E: OpenEnum>() -> String {
    format!("Member must satisfy enum value set: [{}]", E::NAMES.join(", "))
}

fn every_member(mut constraints: Vec<String>) -> String {
    constraints.push("Member must not be null".to_owned());
    format!("Member must satisfy constraint: [{}]", constraints.join(", "))
}

fn show_map(map: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = map.iter().map(|(key, value)| format!("{key}={value}")).collect();
    format!("Value '{{{}}}'", pairs.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generated::constraints as c;

    fn message(fill: impl FnOnce(&mut Violations)) -> String {
        let mut violations = Violations::default();
        fill(&mut violations);
        violations.into_result().expect_err("refused").message().to_owned()
    }

    #[test]
    fn every_pattern_of_the_model_compiles_and_tells_good_from_bad() {
        let role = "arn:aws:iam::123456789012:role/service/x";
        for (text, good, bad) in [
            (&c::FUNCTION_NAME, "my-func_1", "a b"),
            (
                &c::NAMESPACED_FUNCTION_NAME,
                "arn:aws:lambda:us-east-1:123456789012:function:f:$LATEST",
                "f:",
            ),
            (&c::NUMERIC_LATEST_PUBLISHED_OR_ALIAS_QUALIFIER, "$LATEST.PUBLISHED", "a.b"),
            (&c::TENANT_ID, "t=1@x y", "t!"),
            (&c::DURABLE_EXECUTION_NAME, "a-b_c", "a.b"),
            (&c::ROLE_ARN, role, "role"),
            (&c::HANDLER, "a.b", "a b"),
            (&c::S3_BUCKET, "my.bucket", "bucket."),
            (&c::KMS_KEY_ARN, "", "key"),
            (&c::RESOURCE_ARN, "arn:aws:sqs:us-east-1:1:q", "q"),
            (&c::SUBNET_ID, "subnet-0a", "net-0"),
            (&c::SECURITY_GROUP_ID, "sg-0A", "xsg-0"),
            (&c::TAG_KEY, "Größe 1", "a\tb"),
            (&c::TAG_VALUE, "", "a;b"),
            (
                &c::LAYER_VERSION_ARN,
                "arn:aws:lambda:us-east-1:123456789012:layer:l:1",
                "arn:aws:lambda:us-east-1:123456789012:layer:l",
            ),
            (
                &c::FILE_SYSTEM_ARN,
                "arn:aws:elasticfilesystem:us-east-1:123456789012:access-point/fsap-0123456789abcdef0",
                "fsap",
            ),
            (&c::LOCAL_MOUNT_PATH, "/mnt/a", "/tmp/a"),
            (
                &c::CODE_SIGNING_CONFIG_ARN,
                "arn:aws:lambda:us-east-1:123456789012:code-signing-config:csc-0123456789abcdefg",
                "csc",
            ),
            (&c::LOG_GROUP, "/aws/lambda/f", "a b"),
            (
                &c::CAPACITY_PROVIDER_ARN,
                "arn:aws:lambda:us-east-1:123456789012:capacity-provider:p",
                "p",
            ),
            (
                &c::FUNCTION_RUNTIME_ARN,
                "arn:aws:lambda:us-east-1:123456789012:runtime/abc",
                "arn:aws:lambda:us-east-1:1:runtime/abcdefghijklmnopqrstuvwxyz",
            ),
            (
                &c::TAGGABLE_RESOURCE,
                "arn:aws:lambda:us-east-1:123456789012:function:f",
                "arn:aws:lambda:us-east-1:123456789012:layer:f",
            ),
            (&c::MASTER_REGION, "ALL", "all"),
            (&c::ENVIRONMENT_VARIABLE_NAME, "A_1", "1A"),
        ] {
            assert!(text.holds(good), "{good}");
            assert!(!text.holds(bad), "{bad}");
        }
    }

    #[test]
    fn a_broken_pattern_comes_before_a_broken_length() {
        let constraint = "failed to satisfy constraint: Member must";
        assert_eq!(
            message(|v| v.text("stackName", Some(""), &c::HANDLER)),
            format!(
                "1 validation error detected: Value '' at 'stackName' {constraint} satisfy regular expression pattern: [^\\s]+"
            )
        );
        let long = "é!".repeat(100);
        assert_eq!(
            message(|v| v.text("functionName", Some(&long), &c::FUNCTION_NAME)),
            format!(
                "2 validation errors detected: \
                 Value '{long}' at 'functionName' {constraint} satisfy regular expression pattern: {}; \
                 Value '{long}' at 'functionName' {constraint} have length less than or equal to 140",
                c::FUNCTION_NAME.pattern.as_ref().expect("a pattern").shown
            )
        );
    }

    #[test]
    fn elements_of_lists_and_maps_show_every_constraint() {
        let bad = ["x".to_owned()];
        let text =
            message(|v| v.texts("layers", Some(&bad), &c::LAYER_LIST, &c::LAYER_VERSION_ARN));
        assert!(text.starts_with(
            "1 validation error detected: Value '[x]' at 'layers' failed to satisfy constraint: \
             Member must satisfy constraint: [Member must have length less than or equal to 2048, \
             Member must have length greater than or equal to 1, \
             Member must satisfy regular expression pattern: ((arn:"
        ));
        assert!(text.ends_with("), Member must not be null]"), "{text}");
        let map = BTreeMap::from([("k".to_owned(), "a;b".to_owned())]);
        assert_eq!(
            message(|v| v.map("tags", Some(&map), &c::TAG_KEY, &c::TAG_VALUE, false)),
            "1 validation error detected: Value '{k=a;b}' at 'tags' failed to satisfy constraint: \
             Map value must satisfy constraint: [Member must have length less than or equal to 256, \
             Member must have length greater than or equal to 0, \
             Member must satisfy regular expression pattern: ([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)]"
        );
    }
}
