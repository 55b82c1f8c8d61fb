//! Separates code from words: a copy of a Rust text in which comments and the
//! insides of string and character literals are blanks, line for line and byte
//! for byte, plus the literals themselves. Every other check searches the copy,
//! so that a word in a comment or a message is never taken for code.

/// A Rust text split into code and string literals.
#[derive(Debug, Default)]
pub(crate) struct Masked {
    pub(crate) code: String,
    /// Contents of each string literal with the line (from 0) it begins on.
    pub(crate) literals: Vec<(usize, String)>,
}

pub(crate) fn mask(text: &str) -> Masked {
    let mut scanner =
        Scanner { bytes: text.as_bytes(), at: 0, line: 0, code: Vec::new(), literals: Vec::new() };
    while scanner.at < scanner.bytes.len() {
        scanner.step();
    }
    Masked { code: String::from_utf8_lossy(&scanner.code).into_owned(), literals: scanner.literals }
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
    code: Vec<u8>,
    literals: Vec<(usize, String)>,
}

impl Scanner<'_> {
    fn step(&mut self) {
        match self.peek(0) {
            b'/' if self.peek(1) == b'/' => self.line_comment(),
            b'/' if self.peek(1) == b'*' => self.block_comment(),
            b'"' => self.string(),
            b'\'' => self.quote(),
            b'r' | b'b' | b'c' if !self.inside_word() => self.prefixed(),
            _ => self.keep(),
        }
    }

    fn peek(&self, ahead: usize) -> u8 {
        self.bytes.get(self.at + ahead).copied().unwrap_or(0)
    }

    /// Copies one byte.
    fn keep(&mut self) {
        let byte = self.peek(0);
        self.line += usize::from(byte == b'\n');
        self.code.push(if byte.is_ascii() { byte } else { b' ' });
        self.at += 1;
    }

    /// Replaces one byte by a blank, keeping line breaks. Nothing behind the end.
    fn blank(&mut self) {
        if self.ended() {
            return;
        }
        let byte = self.peek(0);
        self.line += usize::from(byte == b'\n');
        self.code.push(if byte == b'\n' { b'\n' } else { b' ' });
        self.at += 1;
    }

    fn ended(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn inside_word(&self) -> bool {
        self.at > 0 && is_word(self.bytes[self.at - 1])
    }

    fn line_comment(&mut self) {
        while !self.ended() && self.peek(0) != b'\n' {
            self.blank();
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        loop {
            match (self.peek(0), self.peek(1)) {
                (b'/', b'*') => depth += 1,
                (b'*', b'/') => depth -= 1,
                _ => {
                    self.blank();
                    if self.ended() {
                        return;
                    }
                    continue;
                }
            }
            self.blank();
            self.blank();
            if depth == 0 || self.ended() {
                return;
            }
        }
    }

    /// A word that may begin a raw, byte or C string; otherwise plain code.
    fn prefixed(&mut self) {
        let mut ahead = 1;
        while ahead < 3 && matches!(self.peek(ahead), b'r' | b'b' | b'c') {
            ahead += 1;
        }
        let raw = (0..ahead).any(|i| self.peek(i) == b'r');
        let hashes = (ahead..).take_while(|i| self.peek(*i) == b'#').count();
        let opens = self.peek(ahead + hashes) == b'"';
        if raw && opens {
            (0..ahead + hashes).for_each(|_| self.keep());
            self.raw_string(hashes);
        } else if opens && hashes == 0 {
            (0..ahead).for_each(|_| self.keep());
            self.string();
        } else if ahead == 1 && self.peek(0) == b'b' && self.peek(1) == b'\'' {
            self.keep();
            self.quote();
        } else {
            self.keep();
        }
    }

    fn string(&mut self) {
        let (begun, line) = (self.at + 1, self.line);
        self.keep();
        while !self.ended() && self.peek(0) != b'"' {
            if self.peek(0) == b'\\' {
                self.blank();
            }
            self.blank();
        }
        self.literal(begun, line);
        self.keep_if_any();
    }

    fn raw_string(&mut self, hashes: usize) {
        let (begun, line) = (self.at + 1, self.line);
        self.keep();
        let closes = |s: &Self| s.peek(0) == b'"' && (1..=hashes).all(|i| s.peek(i) == b'#');
        while !self.ended() && !closes(self) {
            self.blank();
        }
        self.literal(begun, line);
        (0..=hashes).for_each(|_| self.keep_if_any());
    }

    fn literal(&mut self, begun: usize, line: usize) {
        let end = self.at.min(self.bytes.len());
        let content = String::from_utf8_lossy(&self.bytes[begun.min(end)..end]).into_owned();
        self.literals.push((line, content));
    }

    fn keep_if_any(&mut self) {
        if !self.ended() {
            self.keep();
        }
    }

    /// A character literal, or a lifetime (which has no closing quote).
    fn quote(&mut self) {
        self.keep();
        if self.peek(0) == b'\\' {
            self.blank();
            self.blank();
            while !self.ended() && self.peek(0) != b'\'' {
                self.blank();
            }
            self.keep_if_any();
            return;
        }
        let width = match self.peek(0) {
            0..=0x7f => 1,
            0x80..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xff => 4,
        };
        if self.peek(width) == b'\'' {
            (0..width).for_each(|_| self.blank());
            self.keep();
        }
    }
}

pub(crate) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Byte offsets at which `word` stands in `code` as a whole word or path.
pub(crate) fn find_word<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = code.as_bytes();
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        let before = at.checked_sub(1).map_or(b' ', |i| bytes[i]);
        let after = bytes.get(at + word.len()).copied().unwrap_or(b' ');
        !is_word(before) && !is_word(after)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, code: &str, literals: &[&str]) {
        let masked = mask(text);
        assert_eq!(masked.code, code, "code of {text:?}");
        let found: Vec<&str> = masked.literals.iter().map(|(_, s)| s.as_str()).collect();
        assert_eq!(found, literals, "literals of {text:?}");
    }

    #[test]
    fn words_are_blanked_and_code_is_kept() {
        check("a // b\nc", "a     \nc", &[]);
        check("a /* b /* c */ d */ e", "a                   e", &[]);
        check("f(\"x\\\"y\");", "f(\"    \");", &["x\\\"y"]);
        check("r#\"a\"b\"#;", "r#\"   \"#;", &["a\"b"]);
        check("br\"\\\" x", "br\" \" x", &["\\"]);
        check("b\"q\" c\"r\"", "b\" \" c\" \"", &["q", "r"]);
        check("'a' 'b: &'c '\\'' '\\u{1}'", "' ' 'b: &'c '  ' '     '", &[]);
        check("bar r2 r#fn", "bar r2 r#fn", &[]);
        check("'é'x", "'  'x", &[]);
    }

    #[test]
    fn an_unclosed_literal_ends_with_the_text() {
        for text in ["\"abc", "r#\"abc", "/* abc", "'\\", "'"] {
            assert_eq!(mask(text).code.len(), text.len(), "{text:?}");
        }
    }

    #[test]
    fn a_word_is_found_whole_only() {
        let found: Vec<usize> = find_word("unsafe_code unsafe {} an_unsafe", "unsafe").collect();
        assert_eq!(found, [12]);
    }
}
