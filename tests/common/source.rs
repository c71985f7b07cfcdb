//! Rust source as the architecture test reads it: the paths it mentions and the methods it calls.
//!
//! A small reader, not a parser: comments and literals are left out, `use` trees are written out. Macros are read as text.

use std::{fmt, fs};

/// One file.
pub struct Source {
    /// Its path from the root of the package, with slashes.
    pub file: String,
    /// All of it.
    pub text: String,
    /// The paths with at least two segments, in order; `use` trees give one for each leaf.
    pub paths: Vec<Path>,
    /// Method calls: line and name.
    pub calls: Vec<(usize, String)>,
    /// All words outside of comments and literals: line and word.
    pub words: Vec<(usize, String)>,
}

/// A path such as `std::fs`, and where it stands.
#[derive(Clone, Debug)]
pub struct Path {
    /// The line of its first segment, from 1.
    pub line: usize,
    segments: Vec<String>,
}

impl Source {
    /// Every Rust file below a folder of the package.
    pub fn below(folder: &str) -> Vec<Source> {
        let mut sources = Vec::new();
        let mut folders = vec![folder.to_string()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}")) {
                let entry = entry.expect("a readable folder");
                let file = format!("{folder}/{}", entry.file_name().to_string_lossy());
                if entry.file_type().expect("a type").is_dir() {
                    folders.push(file);
                } else if file.ends_with(".rs") {
                    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
                    sources.push(Source::new(file, text));
                }
            }
        }
        sources.sort_by(|a, b| a.file.cmp(&b.file));
        sources
    }

    /// Reads a file.
    pub fn new(file: String, text: String) -> Source {
        let tokens = tokens(&text);
        let mut source = Source { file, text, paths: Vec::new(), calls: Vec::new(), words: Vec::new() };
        let mut at = 0;
        while let Some((line, token)) = tokens.get(at) {
            if is_word(token) {
                source.words.push((*line, token.clone()));
            }
            if token == "." && tokens.get(at + 2).is_some_and(|(_, next)| next == "(") {
                source.calls.push((tokens[at + 1].0, tokens[at + 1].1.clone()));
            }
            if is_word(token) && (at == 0 || tokens[at - 1].1 != "::") {
                let start = if token == "use" { at + 1 } else { at };
                let end = tree(&tokens, start, &[], &mut source.paths);
                let inside = tokens.get(at + 1..end).unwrap_or_default();
                source.words.extend(inside.iter().filter(|(_, word)| is_word(word)).cloned());
                at = end.max(at + 1);
            } else {
                at += 1;
            }
        }
        source.paths.retain(|path| path.segments.len() > 1);
        source
    }

    /// The top-level module that it belongs to.
    pub fn module(&self) -> &str {
        let inside = self.file.trim_start_matches("src/").trim_end_matches(".rs");
        inside.split('/').next().unwrap_or(inside)
    }

    /// How many modules deep it stands; 1 for a top-level module.
    pub fn depth(&self) -> usize {
        self.file.trim_start_matches("src/").trim_end_matches("/mod.rs").matches('/').count() + 1
    }

    /// What stands before the unit tests at the foot.
    pub fn code(&self) -> &str {
        match self.text.find("\n#[cfg(test)]\nmod ") {
            Some(end) => &self.text[..end],
            None => &self.text,
        }
    }
}

impl Path {
    /// Does it begin with these segments, written with `::`?
    pub fn starts(&self, prefix: &str) -> bool {
        let mut segments = self.segments.iter();
        prefix.split("::").all(|segment| segments.next().is_some_and(|own| own == segment))
    }

    /// Is this one of its segments?
    pub fn has(&self, segment: &str) -> bool {
        self.segments.iter().any(|own| own == segment)
    }

    /// The second segment, if the first is `root`.
    pub fn after(&self, root: &str) -> Option<&str> {
        if self.segments[0] == root { self.segments.get(1).map(String::as_str) } else { None }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.segments.join("::"))
    }
}

type Token = (usize, String);

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Reads one path or `use` tree from `at`, adds its leaves to `paths`, and gives the place after it.
fn tree(tokens: &[Token], at: usize, prefix: &[String], paths: &mut Vec<Path>) -> usize {
    let text = |at: usize| tokens.get(at).map(|(_, token)| token.as_str());
    let line = tokens.get(at).map_or(0, |(line, _)| *line);
    let mut segments = prefix.to_vec();
    let mut at = at;
    loop {
        match text(at) {
            Some("{") => {
                at += 1;
                while text(at).is_some_and(|token| token != "}") {
                    at = tree(tokens, at, &segments, paths);
                    // An alias, and the comma.
                    while text(at).is_some_and(|token| token != "," && token != "}") {
                        at += 1;
                    }
                    at += usize::from(text(at) == Some(","));
                }
                return at + 1;
            }
            Some(token) if is_word(token) || token == "*" => segments.push(token.to_string()),
            _ => return at.max(1),
        }
        at += 1;
        let goes_on =
            text(at) == Some("::") && text(at + 1).is_some_and(|next| is_word(next) || next == "{" || next == "*");
        if !goes_on {
            paths.push(Path { line, segments });
            return at;
        }
        at += 1;
    }
}

/// Words and punctuation with their lines; `::` is one token; comments, strings, characters and lifetimes are left out.
fn tokens(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < bytes.len() {
        let rest = &text[at..];
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = literal(rest) {
            length
        } else {
            let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            let length = match word {
                0 if rest.starts_with("::") => 2,
                0 => rest.chars().next().map_or(1, char::len_utf8),
                length => length,
            };
            if !rest[..length].trim().is_empty() {
                tokens.push((line, rest[..length].to_string()));
            }
            length
        };
        line += rest[..length].matches('\n').count();
        at += length;
    }
    tokens
}

/// The length of the string, character or lifetime that `rest` begins with.
fn literal(rest: &str) -> Option<usize> {
    let unprefixed = rest.trim_start_matches(['b', 'c']);
    let prefix = rest.len() - unprefixed.len();
    if let Some(raw) = unprefixed.strip_prefix('r')
        && prefix <= 1
        && raw.trim_start_matches('#').starts_with('"')
    {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let close = format!("\"{}", "#".repeat(hashes));
        let open = prefix + 1 + hashes + 1;
        return Some(rest[open..].find(&close).map_or(rest.len(), |end| open + end + close.len()));
    }
    if prefix > 1 {
        return None;
    }
    let quote = unprefixed.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    if quote == '\'' && prefix == 0 && lifetime(&unprefixed[1..]) {
        return Some(1);
    }
    let mut escaped = false;
    for (at, c) in unprefixed.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return Some(prefix + at + 1),
            _ => {}
        }
    }
    Some(rest.len())
}

/// Is what follows a single quote a lifetime? Then no quote closes it after one character.
fn lifetime(rest: &str) -> bool {
    let mut chars = rest.chars();
    matches!(chars.next(), Some(c) if c.is_alphabetic() || c == '_') && chars.next() != Some('\'')
}
