//! Rewrites the model's patterns (Java's dialect) for `regex-lite`, which has
//! neither look-behind nor Unicode classes. A pattern that is new and not
//! covered stops the generator instead of weakening a check.

/// How a pattern is checked at run time.
pub(super) enum Matcher {
    /// Anchored at both ends by the checker.
    Regex(String),
    /// `[\p{L}\p{Z}\p{N}_.:/=+\-@]*`, checked character by character.
    TagText,
    /// Matches everything a length check has let through.
    Anything,
}

const TAG_TEXT: &str = r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)";

/// Patterns with look-behind and an equal one without.
const REWRITTEN: &[(&str, &str)] =
    &[(r"[0-9A-Za-z\.\-_]*(?<!\.)", r"(?:[0-9A-Za-z\.\-_]*[0-9A-Za-z\-_])?")];

pub(super) fn matcher(pattern: &str) -> Result<Matcher, String> {
    if pattern == TAG_TEXT {
        return Ok(Matcher::TagText);
    }
    if pattern == ".*" {
        return Ok(Matcher::Anything);
    }
    if let Some((_, equal)) = REWRITTEN.iter().find(|(from, _)| *from == pattern) {
        return Ok(Matcher::Regex((*equal).to_owned()));
    }
    if pattern.contains("(?<") || pattern.contains("(?=") || pattern.contains("\\p{") {
        return Err(format!("pattern {pattern} needs a rewrite in codegen/patterns.rs"));
    }
    Ok(Matcher::Regex(pattern.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_checked_stops_the_generator() {
        assert!(matcher(r"a(?<!b)").is_err());
        assert!(matcher(r"\p{Lu}+").is_err());
        assert!(matches!(matcher(r"[a-z]+"), Ok(Matcher::Regex(_))));
        assert!(matches!(matcher(".*"), Ok(Matcher::Anything)));
    }
}
