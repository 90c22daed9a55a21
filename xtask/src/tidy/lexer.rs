//! Tells code from comments and string literals, as well as the rules on source text need it.

/// The text with comments and the insides of string and character literals blanked out; every
/// line keeps its number.
pub(super) fn code_only(text: &str) -> String {
    let mut rest = text;
    let mut code = String::with_capacity(text.len());
    while let Some(first) = rest.chars().next() {
        let previous = code.chars().next_back().filter(|c| c.is_alphanumeric() || *c == '_');
        let skipped = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest),
            // `r` at the end of a name (`for"`) does not occur; a raw identifier (`r#type`) does.
            'r' | 'b' | 'c' if previous.is_none() => raw_string(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if skipped == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            let (blanked, tail) = rest.split_at(skipped);
            code.extend(blanked.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = tail;
        }
    }
    code
}

/// The length of the (nested) block comment that `text` starts with.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(next) = text[at..].find(['/', '*']).map(|offset| at + offset) {
        at = next + 1;
        if text[next..].starts_with("/*") {
            depth += 1;
            at += 1;
        } else if text[next..].starts_with("*/") {
            depth -= 1;
            at += 1;
            if depth == 0 {
                return at;
            }
        }
    }
    text.len()
}

/// The length of the string literal that `text` starts with.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of the raw string literal (`r"…"`, `br#"…"#`, …) that `text` starts with, or 0.
fn raw_string(text: &str) -> usize {
    let Some(body) = text.strip_prefix(['b', 'c']).unwrap_or(text).strip_prefix('r') else {
        return 0;
    };
    let hashes = body.len() - body.trim_start_matches('#').len();
    if !body[hashes..].starts_with('"') {
        return 0;
    }
    let inside = text.len() - body.len() + hashes + 1;
    let end = format!("\"{}", "#".repeat(hashes));
    text[inside..].find(&end).map_or(text.len(), |at| inside + at + end.len())
}

/// The length of the character literal that `text` starts with; 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut inside = text.char_indices().skip(1);
    match (inside.next(), inside.next()) {
        (Some((_, '\\')), Some((at, escaped))) => {
            let from = at + escaped.len_utf8();
            text[from..].find('\'').map_or(0, |end| from + end + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asserts that `X` is seen as code exactly where it stands in code, and `o` nowhere.
    fn assert_code(text: &str, count: usize) {
        let code = code_only(text);
        assert_eq!(code.matches('X').count(), count, "{code:?}");
        assert!(!code.contains('o'), "{code:?}");
        assert_eq!(code.lines().count(), text.lines().count(), "{code:?}");
    }

    #[test]
    fn comments_are_not_code() {
        assert_code("X // o \"\nX /* o /* o */\n o */ X /// o", 3);
    }

    #[test]
    fn literals_are_not_code() {
        assert_code(r#"X("o // \" o", 'o', '"', '\'', '\u{6f}', X)"#, 2);
        assert_code("X(r#\"o\" o\no\"#, br\"o\\\", X)", 2);
    }

    #[test]
    fn lifetimes_and_raw_identifiers_are_code() {
        assert_code("fn X<'a>(r#X: &'a str, bar: &'a X) {}", 3);
    }
}
