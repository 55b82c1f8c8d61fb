//! `codegen MODEL` writes `crates/aws-api/src/generated` from the published
//! service model of Lambda (`service-2.json` or `.json.gz`, as botocore ships it).
//! `codegen --check MODEL` writes nothing and fails where the tree differs.
//!
//! The generated files are checked in, so that a build needs neither this tool
//! nor the model.

mod constraints;
mod model;
mod names;
mod operations;
mod patterns;
mod shapes;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use model::Model;

/// Operations whose request and response shapes are generated. Invoke and
/// InvokeWithResponseStream are all headers and raw bytes: `aws_api::invoke`.
const SERVED: &[&str] = &[
    "CreateFunction",
    "DeleteFunction",
    "DeleteFunctionConcurrency",
    "DeleteProvisionedConcurrencyConfig",
    "GetAccountSettings",
    "GetFunction",
    "GetFunctionConcurrency",
    "GetFunctionConfiguration",
    "GetProvisionedConcurrencyConfig",
    "ListFunctions",
    "ListProvisionedConcurrencyConfigs",
    "ListTags",
    "ListVersionsByFunction",
    "PublishVersion",
    "PutFunctionConcurrency",
    "PutProvisionedConcurrencyConfig",
    "TagResource",
    "UntagResource",
    "UpdateFunctionCode",
    "UpdateFunctionConfiguration",
];

/// Shapes written by hand elsewhere or needed beyond `SERVED`.
const EXTRA_OUTPUT_SHAPES: &[&str] = &["InvokeWithResponseStreamCompleteEvent"];

/// String shapes whose constraint is used by the hand-written invoke parser.
const EXTRA_TEXTS: &[&str] = &[
    "DurableExecutionName",
    "NamespacedFunctionName",
    "NumericLatestPublishedOrAliasQualifier",
    "TenantId",
];

const HEADER: &str = "\
//! Generated from the published service model of Lambda (2015-03-31).
//! Not written by hand: `cargo run -p xtask -- codegen MODEL` makes it anew.
";

/// Most lines a generated file may have.
const FILE_LINES_MAX: usize = 800;

pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let (check, path) = match arguments {
        [path] => (false, path),
        [flag, path] if flag == "--check" => (true, path),
        _ => return Err("usage: codegen [--check] MODEL".to_owned()),
    };
    let model = Model::parse(&read(Path::new(path))?)?;
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/aws-api/src/generated");
    let files = render(&model)?;
    if check { compare(&dir, &files) } else { write(&dir, &files) }
}

/// Every generated file: name and formatted content.
fn render(model: &Model) -> Result<Vec<(String, String)>, String> {
    let scope = shapes::Scope::of(model, SERVED, EXTRA_OUTPUT_SHAPES)?;
    let bodies = [
        ("operations", operations::render(model)?),
        ("errors", operations::render_errors(model)),
        ("enums", shapes::render_enums(model, &scope)),
        ("structures", shapes::render_structures(model, &scope)?),
        ("requests", shapes::render_requests(model, &scope)?),
        ("responses", shapes::render_responses(model, &scope)?),
        ("constraints", constraints::render_table(model, &scope, EXTRA_TEXTS)?),
        ("checks", constraints::render_checks(model, &scope)?),
    ];
    let mut modules = String::new();
    for (name, _) in &bodies {
        modules.push_str(&format!("pub mod {name};\n"));
    }
    let mut files = Vec::new();
    for (name, body) in bodies.iter().map(|(n, b)| (*n, b)).chain([("mod", &modules)]) {
        let text = format(&format!("{HEADER}\n{body}"))?;
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            return Err(format!("{name}.rs would have {lines} lines, at most {FILE_LINES_MAX}"));
        }
        files.push((format!("{name}.rs"), text));
    }
    Ok(files)
}

fn write(dir: &Path, files: &[(String, String)]) -> Result<(), String> {
    std::fs::create_dir_all(dir).map_err(|e| format!("creating {}: {e}", dir.display()))?;
    for (name, text) in files {
        let path = dir.join(name);
        std::fs::write(&path, text).map_err(|e| format!("writing {}: {e}", path.display()))?;
    }
    Ok(())
}

fn compare(dir: &Path, files: &[(String, String)]) -> Result<(), String> {
    let stale: Vec<PathBuf> = files
        .iter()
        .map(|(name, text)| (dir.join(name), text))
        .filter(|(path, text)| std::fs::read_to_string(path).ok().as_ref() != Some(*text))
        .map(|(path, _)| path)
        .collect();
    if stale.is_empty() {
        return Ok(());
    }
    Err(format!("generated code differs from the model: {stale:?}"))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    if path.extension().is_some_and(|e| e == "gz") {
        let out = Command::new("gzip")
            .arg("-dc")
            .arg(path)
            .output()
            .map_err(|e| format!("starting gzip: {e}"))?;
        if !out.status.success() {
            return Err(format!("unpacking {}: {}", path.display(), out.status));
        }
        return Ok(out.stdout);
    }
    std::fs::read(path).map_err(|e| format!("reading {}: {e}", path.display()))
}

fn format(source: &str) -> Result<String, String> {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rustfmt.toml");
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(config)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("starting rustfmt: {e}"))?;
    let mut stdin = child.stdin.take().ok_or("rustfmt has no stdin")?;
    stdin.write_all(source.as_bytes()).map_err(|e| format!("feeding rustfmt: {e}"))?;
    drop(stdin);
    let out = child.wait_with_output().map_err(|e| format!("waiting for rustfmt: {e}"))?;
    if !out.status.success() {
        return Err(format!("rustfmt refused generated code: {}", out.status));
    }
    String::from_utf8(out.stdout).map_err(|e| format!("reading rustfmt's answer: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The model is not in the tree (3 MB); where it is at hand, name it in
    /// `LAMBDA_SERVICE_MODEL` and the checked-in code is compared with it.
    #[test]
    fn checked_in_code_equals_the_model() {
        let Ok(path) = std::env::var("LAMBDA_SERVICE_MODEL") else { return };
        run(&["--check".to_owned(), path]).expect("an empty difference");
    }

    #[test]
    fn a_changed_file_is_noticed() {
        let dir = std::env::temp_dir().join(format!("codegen-{}", std::process::id()));
        let mut files = vec![("a.rs".to_owned(), "one".to_owned())];
        write(&dir, &files).expect("written");
        assert!(compare(&dir, &files).is_ok());
        files[0].1.push('x');
        assert!(compare(&dir, &files).is_err());
        std::fs::remove_dir_all(&dir).expect("removed");
    }
}
