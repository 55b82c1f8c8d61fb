//! What kind of function some files are: language and handler from their names and
//! contents. Where two answers are possible, the user is asked, not guessed for.

use std::{collections::BTreeMap, path::Path};

use crate::failure::Failure;

/// Top-level files by name, with the text of those that may say something.
pub(crate) type Sources = BTreeMap<String, String>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Python,
    Node,
    Provided,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Detected {
    pub(crate) language: Language,
    pub(crate) handler: String,
}

/// Names that AWS's documentation and its tools give to a function's main file,
/// in the order in which they are tried.
const PYTHON_MAIN: [&str; 6] =
    ["lambda_function.py", "handler.py", "main.py", "app.py", "index.py", "function.py"];
const PYTHON_HANDLERS: [&str; 3] = ["lambda_handler", "handler", "main"];
const NODE_MAIN: [&str; 12] = [
    "index.mjs",
    "index.cjs",
    "index.js",
    "handler.mjs",
    "handler.cjs",
    "handler.js",
    "app.mjs",
    "app.cjs",
    "app.js",
    "main.mjs",
    "main.cjs",
    "main.js",
];
const NODE_EXTENSIONS: [&str; 3] = [".mjs", ".cjs", ".js"];

impl Language {
    /// The language's part of a runtime identifier, for example `python3.11`.
    fn of_runtime(runtime: &str) -> Option<Language> {
        let families = [
            ("python", Language::Python),
            ("nodejs", Language::Node),
            ("provided", Language::Provided),
        ];
        families.into_iter().find(|(start, _)| runtime.starts_with(start)).map(|(_, l)| l)
    }

    /// The newest runtime of the language that this host has, else one that AWS has.
    pub(crate) fn newest(self, host: &[String]) -> String {
        let (start, fallback) = match self {
            Language::Python => ("python3.", "python3.13"),
            Language::Node => ("nodejs", "nodejs22.x"),
            Language::Provided => return "provided.al2023".into(),
        };
        let number = |name: &&String| -> Option<u32> {
            name.strip_prefix(start)?.trim_end_matches(".x").parse().ok()
        };
        let newest = host.iter().filter(|name| number(name).is_some()).max_by_key(number);
        newest.map_or(fallback, String::as_str).into()
    }
}

pub(crate) fn detect(
    sources: &Sources,
    runtime: Option<&str>,
    handler: Option<&str>,
) -> Result<Detected, Failure> {
    let language = match runtime.and_then(Language::of_runtime) {
        Some(language) => language,
        None => language(sources)?,
    };
    let found = match (handler, language) {
        (Some(handler), _) => Some(handler.to_owned()),
        (None, Language::Provided) => Some("bootstrap".into()),
        (None, Language::Python) => python_handler(sources),
        (None, Language::Node) => node_handler(sources),
    };
    let handler = found.ok_or_else(|| {
        let example = if language == Language::Python { "app.handler" } else { "index.handler" };
        let todo = format!("name it with --handler FILE.FUNCTION, such as --handler {example}");
        Failure::usage("the entry point was not found in the files", todo)
    })?;
    Ok(Detected { language, handler })
}

fn language(sources: &Sources) -> Result<Language, Failure> {
    if sources.contains_key("bootstrap") {
        return Ok(Language::Provided);
    }
    let python = sources.keys().any(|name| name.ends_with(".py"));
    let node = sources.contains_key("package.json") || sources.keys().any(|name| is_node(name));
    match (python, node) {
        (true, false) => Ok(Language::Python),
        (false, true) => Ok(Language::Node),
        (true, true) => Err(Failure::usage(
            "there are both Python and JavaScript files at the top",
            "say which with --runtime, such as --runtime python3.13 or --runtime nodejs22.x",
        )),
        (false, false) => Err(Failure::usage(
            "there is no *.py, *.js, *.mjs, package.json or bootstrap at the top",
            "deploy the directory that has it, or say what it is with --runtime and --handler",
        )),
    }
}

/// The main file by name, else the only one; in it, the first known function.
fn python_handler(sources: &Sources) -> Option<String> {
    let files: Vec<_> = sources.keys().filter(|name| name.ends_with(".py")).collect();
    let main = main_file(sources, &PYTHON_MAIN, &files)?;
    let text = sources.get(main)?;
    let defined = |name: &&str| {
        text.lines().any(|line| {
            let line = line.strip_prefix("async ").unwrap_or(line);
            let rest = line.strip_prefix("def ").and_then(|rest| rest.strip_prefix(*name));
            let assigned = line.strip_prefix(*name).map(str::trim_start);
            rest.is_some_and(|rest| rest.trim_start().starts_with('('))
                || assigned.is_some_and(|rest| rest.starts_with('=') && !rest.starts_with("=="))
        })
    };
    let function = PYTHON_HANDLERS.iter().find(|name| defined(name))?;
    Some(format!("{}.{function}", main.trim_end_matches(".py")))
}

/// The file that package.json names, else the main file by name, else the only one;
/// in Node the function is called `handler`.
fn node_handler(sources: &Sources) -> Option<String> {
    let files: Vec<_> = sources.keys().filter(|name| is_node(name)).collect();
    let package = sources.get("package.json");
    let package = package.and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    let named = package.as_ref().and_then(|package| package["main"].as_str());
    let named = named.map(|main| main.trim_start_matches("./"));
    let main = named.or_else(|| main_file(sources, &NODE_MAIN, &files))?;
    let stem = NODE_EXTENSIONS.iter().find_map(|extension| main.strip_suffix(extension));
    Some(format!("{}.handler", stem.unwrap_or(main)))
}

fn main_file<'a>(sources: &Sources, known: &[&'a str], files: &[&'a String]) -> Option<&'a str> {
    let known = known.iter().find(|name| sources.contains_key(**name)).copied();
    known.or_else(|| match files {
        [only] => Some(only),
        _ => None,
    })
}

fn is_node(name: &str) -> bool {
    NODE_EXTENSIONS.iter().any(|extension| name.ends_with(extension))
}

/// A function's name from a path: what the API does not allow becomes a hyphen.
pub(crate) fn name(path: &Path) -> Result<String, Failure> {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let stem = if whole.is_dir() { whole.file_name() } else { whole.file_stem() };
    let stem = stem.unwrap_or_default().to_string_lossy();
    let allowed = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
    let name: String = stem.chars().map(allowed).collect();
    let name = name.trim_matches('-');
    if model::FunctionName::parse(name).is_ok() {
        return Ok(name.into());
    }
    let what = format!("{} gives no name for a function", path.display());
    Err(Failure::usage(what, "name it with --name: letters, digits, - and _, at most 64"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(files: &[(&str, &str)]) -> Sources {
        files.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect()
    }

    /// Files with their text, and what they are.
    type Case = (&'static [(&'static str, &'static str)], Option<(Language, &'static str)>);

    #[test]
    fn kinds_of_functions() {
        use Language::{Node, Provided, Python};
        const LAMBDA: &str = "import json\ndef lambda_handler(event, context):\n  pass\n";
        let cases: [Case; 14] = [
            (&[("lambda_function.py", LAMBDA)], Some((Python, "lambda_function.lambda_handler"))),
            (&[("app.py", "async def handler(e, c): ..")], Some((Python, "app.handler"))),
            (&[("odd.py", "handler = make()\n")], Some((Python, "odd.handler"))),
            (&[("odd.py", "handler == 1\n")], None),
            (&[("odd.py", "  def handler(e):\n")], None),
            (&[("a.py", LAMBDA), ("b.py", LAMBDA)], None),
            (&[("a.py", "x = 1"), ("main.py", "def main(e, c): 1")], Some((Python, "main.main"))),
            (&[("index.mjs", "")], Some((Node, "index.handler"))),
            (&[("index.js", ""), ("lib.js", "")], Some((Node, "index.handler"))),
            (&[("package.json", r#"{"main":"./dist/fn.js"}"#)], Some((Node, "dist/fn.handler"))),
            (&[("package.json", "{}"), ("only.cjs", "")], Some((Node, "only.handler"))),
            (&[("bootstrap", ""), ("index.js", "")], Some((Provided, "bootstrap"))),
            (&[("index.js", ""), ("app.py", LAMBDA)], None),
            (&[("README.md", "")], None),
        ];
        for (files, expected) in cases {
            let found = detect(&sources(files), None, None).ok();
            let expected =
                expected.map(|(language, handler)| Detected { language, handler: handler.into() });
            assert_eq!(found, expected, "{files:?}");
        }
    }

    #[test]
    fn what_is_given_is_not_looked_for() {
        let both = sources(&[("index.js", ""), ("app.py", "def handler(e, c): 1")]);
        let python = detect(&both, Some("python3.11"), None).unwrap();
        assert_eq!(python.handler, "app.handler");
        let node = detect(&both, Some("nodejs20.x"), Some("a.b")).unwrap();
        assert_eq!((node.language, &*node.handler), (Language::Node, "a.b"));
    }

    #[test]
    fn the_newest_runtime_of_the_host() {
        let host = ["python3.9", "python3.11", "nodejs20.x", "nodejs8.x"].map(String::from);
        assert_eq!(Language::Python.newest(&host), "python3.11");
        assert_eq!(Language::Node.newest(&host), "nodejs20.x");
        assert_eq!(Language::Python.newest(&[]), "python3.13");
        assert_eq!(Language::Provided.newest(&host), "provided.al2023");
    }

    #[test]
    fn names_from_paths() {
        let cases = [("/x/hello.zip", Some("hello")), ("/x/my fn!.py", Some("my-fn")), ("/", None)];
        for (path, expected) in cases {
            assert_eq!(name(Path::new(path)).ok().as_deref(), expected, "{path}");
        }
    }
}
