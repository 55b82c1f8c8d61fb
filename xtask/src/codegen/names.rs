//! How names of the service model become names of Rust, and the camel case that
//! validation messages use.

/// Runs of capitals that are not words of their own.
const JOINED: &[(&str, &str)] = &[("GiBPerVCpu", "GibPerVcpu"), ("IDs", "Ids")];

pub(super) fn snake(name: &str) -> String {
    let mut joined = name.to_owned();
    for (from, to) in JOINED {
        joined = joined.replace(from, to);
    }
    let chars: Vec<char> = joined.chars().collect();
    let mut out = String::new();
    for (i, c) in chars.iter().enumerate() {
        let after_lower = i > 0 && !chars[i - 1].is_ascii_uppercase();
        let before_lower = chars.get(i + 1).is_some_and(char::is_ascii_lowercase);
        if c.is_ascii_uppercase() && i > 0 && (after_lower || before_lower) {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

pub(super) fn upper_snake(name: &str) -> String {
    snake(name).to_ascii_uppercase()
}

/// `KMSKeyArn` -> `kMSKeyArn`: what AWS writes in validation messages.
pub(super) fn camel(name: &str) -> String {
    let mut chars = name.chars();
    match chars.next() {
        Some(first) => first.to_ascii_lowercase().to_string() + chars.as_str(),
        None => String::new(),
    }
}

/// `python3.14` -> `Python3_14`, `provided.al2023` -> `ProvidedAl2023`, `PER_TENANT` -> `PerTenant`.
pub(super) fn variant(value: &str) -> String {
    let shouting = !value.chars().any(|c| c.is_ascii_lowercase());
    let mut out = String::new();
    let mut start = true;
    for c in value.chars() {
        if !c.is_ascii_alphanumeric() {
            start = true;
            continue;
        }
        if start && c.is_ascii_digit() && out.ends_with(|p: char| p.is_ascii_digit()) {
            out.push('_');
        }
        out.push(match (start, shouting) {
            (true, _) => c.to_ascii_uppercase(),
            (false, true) => c.to_ascii_lowercase(),
            (false, false) => c,
        });
        start = false;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_language() {
        let cases = [
            ("KMSKeyArn", "kms_key_arn", "kMSKeyArn"),
            ("S3Bucket", "s3_bucket", "s3Bucket"),
            ("SourceKMSKeyArn", "source_kms_key_arn", "sourceKMSKeyArn"),
            (
                "ExecutionEnvironmentMemoryGiBPerVCpu",
                "execution_environment_memory_gib_per_vcpu",
                "executionEnvironmentMemoryGiBPerVCpu",
            ),
        ];
        for (name, expected_snake, expected_camel) in cases {
            assert_eq!(snake(name), expected_snake);
            assert_eq!(camel(name), expected_camel);
        }
        for (value, expected) in [
            ("python3.14", "Python3_14"),
            ("provided.al2023", "ProvidedAl2023"),
            ("nodejs24.x", "Nodejs24X"),
            ("PER_TENANT", "PerTenant"),
            ("RequestResponse", "RequestResponse"),
            ("x86_64", "X86_64"),
        ] {
            assert_eq!(variant(value), expected);
        }
    }
}
