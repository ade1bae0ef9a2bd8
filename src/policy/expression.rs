//! Expressions of the policy, before the CEL parser sees them and through it.
//!
//! The language is the part of CEL that becomes a flat predicate: comparisons joined by `&&`, `||`, `!` and
//! parentheses, one side of which may be a ratio of two columns. Everything that could make a parser work hard is refused by one pass over the bytes.

use cel::common::ast::IdedExpr;
use cel::parser::PrattParser;

/// Longest expression, in bytes.
pub(super) const MAX_BYTES: usize = 4_096;
/// Deepest nesting of brackets.
pub(super) const MAX_DEPTH: usize = 32;
/// The parser counts the whole expression as a level too.
const PARSER_DEPTH: u16 = 33;
/// Most comparisons.
pub(super) const MAX_CONDITIONS: usize = 64;
/// Most operators and brackets: bounds the depth of what the parser builds, however it is written.
const MAX_OPERATORS: usize = 512;

/// Why an expression was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The part of the text that is wrong.
    pub(super) part: String,
    /// What is wrong with it.
    pub(super) message: String,
    /// What to do about it.
    pub(super) suggestion: String,
}

impl Refusal {
    /// A refusal of a part of an expression.
    pub(super) fn new(part: &str, message: impl Into<String>, suggestion: impl Into<String>) -> Self {
        Self { part: part.to_owned(), message: message.into(), suggestion: suggestion.into() }
    }
}

/// An expression that was read.
#[derive(Debug)]
pub(super) struct Parsed<'a> {
    /// Its tree.
    pub(super) tree: IdedExpr,
    /// The text of each comparison, in order.
    pub(super) comparisons: Vec<&'a str>,
}

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Parsed<'_>, Refusal> {
    let comparisons = scan(text)?;
    let tree = PrattParser::new().max_recursion_depth(PARSER_DEPTH).parse(text).map_err(|errors| {
        let message = errors.errors.first().map_or_else(String::new, |error| error.msg.clone());
        Refusal::new(
            "",
            format!("not a CEL expression: {message}"),
            "write comparisons joined by && and ||, e.g. `trust.score >= 60 && merchant.fan_count > 1000`",
        )
    })?;
    Ok(Parsed { tree, comparisons })
}

/// What one pass over the bytes keeps in mind.
struct Scan<'a> {
    text: &'a str,
    position: usize,
    open: Vec<u8>,
    squares: usize,
    operators: usize,
    comparison_start: usize,
    comparisons: Vec<&'a str>,
}

/// Refuses what the parser must not see, and cuts the text into comparisons.
fn scan(text: &str) -> Result<Vec<&str>, Refusal> {
    if text.len() > MAX_BYTES {
        return Err(Refusal::new(
            "",
            format!("expression of {} bytes, at most {MAX_BYTES} are read", text.len()),
            "move lists of members to enrolments or tags and ask for the list",
        ));
    }
    let mut scan = Scan {
        text,
        position: 0,
        open: Vec::new(),
        squares: 0,
        operators: 0,
        comparison_start: 0,
        comparisons: Vec::new(),
    };
    while let Some(byte) = scan.peek(0) {
        scan.step(byte)?;
    }
    scan.cut(0)?;
    if scan.open.is_empty() { Ok(scan.comparisons) } else { Err(unbalanced(text)) }
}

fn unbalanced(text: &str) -> Refusal {
    Refusal::new(text, "brackets do not match", "close every bracket that is opened")
}

impl Scan<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.position.saturating_add(ahead)).copied()
    }

    /// Takes one byte, or one text.
    fn step(&mut self, byte: u8) -> Result<(), Refusal> {
        if b"()[].!=<>-&|/".contains(&byte) {
            self.operators += 1;
            if self.operators > MAX_OPERATORS {
                return Err(Refusal::new("", "expression has too many operators", "split it into several programmes"));
            }
        }
        match byte {
            b'"' | b'\'' => return self.take_text(byte),
            b'(' | b'[' => self.open(byte)?,
            b')' | b']' => self.close(byte)?,
            b'&' | b'|' if self.squares == 0 && self.peek(1) == Some(byte) => return self.cut(2),
            b'!' if self.squares == 0 && self.peek(1) != Some(b'=') => return self.cut(1),
            b'?' => return Err(self.refuse("`? :` is not supported", "write `a && b || !a && c`")),
            b'/' if self.peek(1) == Some(b'/') => {
                return Err(self.refuse("expressions have no comments", "comment in the file, with #"));
            }
            b'+' | b'*' | b'%' => {
                return Err(self.refuse("arithmetic is not supported", "write the constant that it comes to"));
            }
            _ if byte.is_ascii_alphanumeric() || b"_. ,\t\r\n=<>-&|!/".contains(&byte) => {}
            _ => return Err(self.refuse("unexpected character", "texts other than names stand in quotes")),
        }
        self.position += 1;
        Ok(())
    }

    fn refuse(&self, message: &str, suggestion: &str) -> Refusal {
        let found = self.text.get(self.position..).and_then(|rest| rest.chars().next()).map(String::from);
        let found = found.unwrap_or_default();
        Refusal::new(&found, format!("{message}: `{found}`"), suggestion)
    }

    fn take_text(&mut self, quote: u8) -> Result<(), Refusal> {
        let rest = self.text.get(self.position + 1..).unwrap_or_default();
        let end = rest.bytes().position(|byte| byte == quote || byte == b'\\' || byte == b'\n');
        let Some(end) = end.filter(|end| rest.as_bytes().get(*end) == Some(&quote)) else {
            return Err(self.refuse(
                "text without an end on its line, or with a backslash",
                "end it with the quote it began with; backslashes are not supported",
            ));
        };
        let before = self.position.checked_sub(1).and_then(|at| self.text.as_bytes().get(at));
        let after = rest.as_bytes().get(end + 1);
        let touches = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'"' || *b == b'\'');
        if touches(before) || touches(after) {
            return Err(self.refuse("texts have no prefix and no triple quotes", "write it as \"text\""));
        }
        self.position += end + 2;
        Ok(())
    }

    fn open(&mut self, bracket: u8) -> Result<(), Refusal> {
        self.open.push(bracket);
        if self.open.len() > MAX_DEPTH {
            return Err(self.refuse("brackets are nested too deeply", "at most 32 levels are read; write it flatter"));
        }
        if bracket == b'[' {
            self.squares += 1;
            return Ok(());
        }
        let before = self.text.get(self.comparison_start..self.position).unwrap_or_default().trim();
        let name: &str = before.rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or_default();
        if !name.is_empty() && name != "in" {
            return Err(Refusal::new(
                &format!("{name}("),
                format!("`{name}(...)` is a function or macro; expressions have none"),
                "compare a column with a constant, e.g. `\"x\" in merchant.tags`",
            ));
        }
        self.cut_here()
    }

    fn close(&mut self, bracket: u8) -> Result<(), Refusal> {
        let opener = if bracket == b']' { b'[' } else { b'(' };
        if self.open.pop() != Some(opener) {
            return Err(unbalanced(self.text));
        }
        if bracket == b']' {
            self.squares -= 1;
            return Ok(());
        }
        self.cut_here()
    }

    /// Ends a comparison before the byte at hand, which belongs to none.
    fn cut_here(&mut self) -> Result<(), Refusal> {
        self.end_comparison()?;
        self.comparison_start = self.position + 1;
        Ok(())
    }

    /// Ends a comparison before an operator of some bytes, and steps over it.
    fn cut(&mut self, operator: usize) -> Result<(), Refusal> {
        self.end_comparison()?;
        self.position += operator;
        self.comparison_start = self.position;
        Ok(())
    }

    fn end_comparison(&mut self) -> Result<(), Refusal> {
        let comparison = self.text.get(self.comparison_start..self.position).unwrap_or_default().trim();
        if !comparison.is_empty() {
            self.comparisons.push(comparison);
        }
        if self.comparisons.len() > MAX_CONDITIONS {
            return Err(Refusal::new(
                comparison,
                format!("more than {MAX_CONDITIONS} comparisons"),
                "use `in [..]` for alternatives, or split the programme",
            ));
        }
        Ok(())
    }
}
