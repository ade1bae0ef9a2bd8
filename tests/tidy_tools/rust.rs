//! Reads Rust just well enough to see which modules it names: comments and literals are skipped.

/// A word or a piece of punctuation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    /// The line, from 1.
    pub(crate) line: usize,
    /// Its text; `::` is one token.
    pub(crate) text: &'a str,
}

/// The tokens of a file, without comments, strings and characters.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let (len, is_code) = next(rest);
        let token = rest.get(..len).unwrap_or_default();
        if is_code {
            tokens.push(Token { line, text: token });
        }
        line += token.matches('\n').count();
        at += len;
    }
    tokens
}

/// Length of the piece a text begins with, and whether it is code.
fn next(rest: &str) -> (usize, bool) {
    let first = rest.chars().next().unwrap_or(' ');
    let width = first.len_utf8();
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), false);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), false);
    }
    if let Some(len) = raw_string(rest) {
        return (len, false);
    }
    if first == '"' || rest.starts_with("b\"") {
        return (quoted(rest, '"'), false);
    }
    if first == '\'' {
        // A lifetime has no closing quote after its first character.
        let mut chars = rest.char_indices().skip(1);
        let is_escape = chars.next().is_some_and(|(_, c)| c == '\\');
        return match chars.next() {
            _ if is_escape => (quoted(rest, '\''), false),
            Some((end, '\'')) => (end + 1, false),
            _ => (width, false),
        };
    }
    if is_word(first) {
        return (rest.find(|c| !is_word(c)).unwrap_or(rest.len()), true);
    }
    if rest.starts_with("::") { (2, true) } else { (width, !first.is_whitespace()) }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(here) = rest.get(at..).filter(|here| !here.is_empty()) {
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn raw_string(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = after.find(|c| c != '#')?;
    let body = after.get(hashes..)?.strip_prefix('"')?;
    let begin = rest.len() - body.len();
    let end = format!("\"{}", "#".repeat(hashes));
    Some(body.find(&end).map_or(rest.len(), |at| begin + at + end.len()))
}

fn quoted(rest: &str, quote: char) -> usize {
    let begin = rest.find(quote).map_or(0, |at| at + 1);
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().filter(|(at, _)| *at >= begin) {
        if c == quote && !is_escaped {
            return at + 1;
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    rest.len()
}

/// What follows `root::` anywhere: one name, or those of a group `root::{a, b::c}`.
pub(crate) fn children<'a>(tokens: &[Token<'a>], root: &str) -> Vec<(usize, &'a str)> {
    let begins = (0..tokens.len()).filter(|at| tokens.get(*at).is_some_and(|token| token.text == root));
    begins.filter_map(|at| tokens.get(at + 1..)).flat_map(after_root).collect()
}

/// The top-level modules that a file so many modules deep names, by `crate::` or by climbing with `super::`.
pub(crate) fn named_rooms<'a>(tokens: &[Token<'a>], depth: usize) -> Vec<(usize, &'a str)> {
    let mut named = children(tokens, "crate");
    let mut at = 0;
    while at < tokens.len() {
        let climbed = climb(tokens.get(at..).unwrap_or_default());
        // A module inside the file is one deeper. What then looks like a room and is none is not in the table.
        if climbed >= depth && climbed > 0 {
            named.extend(after_root(tokens.get(at + 2 * climbed - 1..).unwrap_or_default()));
        }
        at += (2 * climbed).max(1);
    }
    named
}

/// How many `super::` a path begins with.
fn climb(tokens: &[Token]) -> usize {
    let pairs = tokens.chunks_exact(2);
    pairs.take_while(|pair| matches!(pair, [up, colons] if up.text == "super" && colons.text == "::")).count()
}

/// The names after the `::` that these tokens begin with.
fn after_root<'a>(tokens: &[Token<'a>]) -> Vec<(usize, &'a str)> {
    match tokens {
        [colons, brace, rest @ ..] if colons.text == "::" && brace.text == "{" => group(rest),
        [colons, name, ..] if colons.text == "::" => vec![(name.line, name.text)],
        _ => Vec::new(),
    }
}

/// The first names of each path of a group, up to its closing brace.
fn group<'a>(tokens: &[Token<'a>]) -> Vec<(usize, &'a str)> {
    let mut names = Vec::new();
    let mut depth = 0;
    let mut begins = true;
    for token in tokens {
        match token.text {
            "{" => depth += 1,
            "}" if depth == 0 => break,
            "}" => depth -= 1,
            "," if depth == 0 => {
                begins = true;
                continue;
            }
            name if begins && depth == 0 => names.push((token.line, name)),
            _ => {}
        }
        begins = false;
    }
    names
}
