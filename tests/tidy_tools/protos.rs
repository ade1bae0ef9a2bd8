//! Reads protos line by line: everything public has a comment, enums begin with `*_UNSPECIFIED = 0`.

/// What is wrong with a file.
pub(crate) fn problems(path: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    // Enums that are open: their prefix, and whether their first value was seen.
    let mut blocks: Vec<Option<(String, bool)>> = Vec::new();
    let mut is_commented = false;
    let mut continues = false;
    for (number, line) in (1..).zip(text.lines()) {
        let (code, comment) = split(line);
        let mut problem = |what: String| problems.push(format!("{path}:{number}: {what}"));
        if code.is_empty() {
            // A blank line parts a comment from what follows.
            is_commented = comment.is_some();
            continue;
        }
        if !continues && needs_comment(code) && !is_commented && comment.is_none() {
            problem(format!("`{code}` has no comment"));
        }
        if let Some(Some((prefix, is_begun))) = blocks.last_mut()
            && let Some((name, value)) = code.split_once('=')
            && !code.starts_with("option ")
            && !code.starts_with("reserved ")
        {
            let (name, value) = (name.trim(), value.trim_start());
            let is_zero = name == format!("{prefix}_UNSPECIFIED") && value.starts_with("0;");
            if !*is_begun && !is_zero {
                problem(format!("an enum begins with {prefix}_UNSPECIFIED = 0"));
            }
            if !name.starts_with(&format!("{prefix}_")) {
                problem(format!("{name} must begin with {prefix}_"));
            }
            *is_begun = true;
        }
        for brace in code.chars().filter(|c| "{}".contains(*c)) {
            if brace == '{' {
                let name = code.strip_prefix("enum ").and_then(|rest| rest.split([' ', '{']).next());
                blocks.push(name.map(|name| (screaming(name), false)));
            } else {
                blocks.pop();
            }
        }
        continues = !code.ends_with([';', '{', '}']);
        is_commented = false;
    }
    problems
}

/// Code and comment of a line.
fn split(line: &str) -> (&str, Option<&str>) {
    match line.split_once("//") {
        Some((code, comment)) => (code.trim(), Some(comment.trim()).filter(|comment| !comment.is_empty())),
        None => (line.trim(), None),
    }
}

fn needs_comment(code: &str) -> bool {
    let exempt = ["syntax ", "package ", "import ", "option ", "reserved ", "}"];
    !exempt.iter().any(|begin| code.starts_with(begin))
}

/// `TargetKind` → `TARGET_KIND`.
pub(crate) fn screaming(name: &str) -> String {
    let mut text = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !text.is_empty() {
            text.push('_');
        }
        text.extend(c.to_uppercase());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::problems;

    const GOOD: &str = "syntax = \"proto3\";\n\n// Does it.\nservice S {\n  // Does.\n  rpc Do(DoRequest) returns \
        (DoResponse);\n}\n\n// A kind.\nenum MyKind {\n  // None.\n  MY_KIND_UNSPECIFIED = 0;\n  MY_KIND_ONE = 1; // One.\n\
        }\n\n// What.\nmessage DoRequest {\n  // The id.\n  fixed64 id = 1;\n  reserved 2;\n}\n";

    #[test]
    fn a_good_file_passes() {
        assert_eq!(problems("a.proto", GOOD), Vec::<String>::new());
    }

    #[test]
    fn missing_comments_are_found() {
        for comment in ["// Does it.\n", "  // Does.\n", "// A kind.\n", "  // None.\n", " // One.", "  // The id.\n"] {
            assert_eq!(problems("a.proto", &GOOD.replace(comment, "")).len(), 1, "{comment}");
        }
        assert_eq!(problems("a.proto", &GOOD.replace("// What.\n", "// What.\n\n")).len(), 1, "a comment apart");
    }

    #[test]
    fn misnamed_enums_are_found() {
        assert_eq!(problems("a.proto", &GOOD.replace("MY_KIND_UNSPECIFIED", "MY_KIND_NONE")).len(), 1);
        assert_eq!(problems("a.proto", &GOOD.replace("UNSPECIFIED = 0", "UNSPECIFIED = 3")).len(), 1);
        assert_eq!(problems("a.proto", &GOOD.replace("MY_KIND_ONE", "KIND_ONE")).len(), 1);
    }
}
