//! Finds the functions of a Rust text and how long they are, by matching
//! brackets in code without words. Knows no types and no macros: a function
//! whose name a macro makes is not seen.

use super::mask::{find_word, is_word};
use super::source::line_of;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// Line of the `fn`, from 0.
    pub(crate) line: usize,
    /// Lines from the `fn` to its closing brace, both counted.
    pub(crate) lines: usize,
    /// Begins with `pub` or `pub(…)`.
    pub(crate) is_public: bool,
}

/// Every function with a body in `code`.
pub(crate) fn of(code: &str) -> Vec<Function> {
    find_word(code, "fn").filter_map(|at| function_at(code, at)).collect()
}

fn function_at(code: &str, at: usize) -> Option<Function> {
    let rest = code.get(at + 2..)?;
    let name: String =
        rest.trim_start().chars().take_while(|c| c.is_ascii() && is_word(*c as u8)).collect();
    if name.is_empty() || !rest.starts_with(char::is_whitespace) {
        return None;
    }
    let end = item_end(code, at);
    if code.as_bytes().get(end.checked_sub(1)?) != Some(&b'}') {
        return None;
    }
    let (line, last) = (line_of(code, at), line_of(code, end));
    let begun = code[..at].rfind('\n').map_or(0, |i| i + 1);
    let is_public = code[begun..at].trim_start().starts_with("pub");
    Some(Function { name, line, lines: last - line + 1, is_public })
}

/// Where the item that begins at or after `at` ends: behind its closing brace,
/// or behind its semicolon if that comes first. Attributes are passed over.
pub(crate) fn item_end(code: &str, at: usize) -> usize {
    let (mut round, mut curly) = (0_i32, 0_i32);
    for (i, byte) in code.bytes().enumerate().skip(at) {
        match byte {
            b'(' | b'[' => round += 1,
            b')' | b']' => round -= 1,
            b'{' => curly += 1,
            b'}' => {
                curly -= 1;
                if curly <= 0 && round <= 0 {
                    return i + 1;
                }
            }
            b';' if round == 0 && curly == 0 => return i + 1,
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: &str, expected: &[(&str, usize, usize)]) {
        let found: Vec<(String, usize, usize)> =
            of(code).into_iter().map(|f| (f.name, f.line, f.lines)).collect();
        let expected: Vec<(String, usize, usize)> = expected
            .iter()
            .map(|(name, line, lines)| ((*name).to_owned(), *line, *lines))
            .collect();
        assert_eq!(found, expected, "{code}");
    }

    #[test]
    fn lengths_are_counted_from_fn_to_brace() {
        check("fn a() {}\n", &[("a", 0, 1)]);
        check(
            "pub fn a(\n  x: [u8; 4],\n) {\n  b();\n}\nfn c() {\n}\n",
            &[("a", 0, 5), ("c", 5, 2)],
        );
        check("trait T { fn a(&self); fn b(&self) { } }", &[("b", 0, 1)]);
        check("type F = fn(u8) -> u8; struct S { f: fn() }", &[]);
        check("fn outer() {\n  fn inner() {\n  }\n}\n", &[("outer", 0, 4), ("inner", 1, 2)]);
    }

    #[test]
    fn a_public_function_is_told_from_a_private_one() {
        let seen: Vec<bool> = of("pub fn a() {}\npub(crate) fn b() {}\nfn c() {}\n")
            .iter()
            .map(|f| f.is_public)
            .collect();
        assert_eq!(seen, [true, true, false]);
    }

    #[test]
    fn an_item_ends_at_its_brace_or_semicolon() {
        assert_eq!(item_end("#[cfg(test)]\nmod a;\nmod b {}", 0), 19);
        assert_eq!(item_end("#[cfg(test)] mod a { fn b() {} } x", 0), 32);
    }
}
