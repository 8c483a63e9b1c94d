//! Takes an object apart and checks all of its document in the same pass, by the grammar of RFC 8259.

use super::special::quote_backslash_or_control;
use super::validate::check_grammar;
use super::{Invalid, RawString, Value};
use crate::limits::JSON_DEPTH_MAX;

/// Why a document can't be read as an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    /// Not JSON at all.
    NotJson,
    /// JSON with more than [`JSON_DEPTH_MAX`] levels.
    TooDeep,
    /// JSON, but not an object.
    NotObject,
}

/// Calls `visit` with each entry of the object that `document` is, in the order of writing, duplicates included. What was
/// visited counts only if all of the document turns out to be good.
///
/// Cost: no allocation; where the document is no object or too deep, serde_json is asked.
pub(crate) fn read_object<'a>(
    document: &'a str,
    mut visit: impl FnMut(RawString<'a>, Value<'a>),
) -> Result<(), Unread> {
    let mut reader = Reader {
        bytes: document.as_bytes(),
        at: 0,
    };
    reader.skip_white_space();
    if !reader.eat(b'{') {
        return Err(judge(document));
    }
    reader.skip_white_space();
    let mut is_open = !reader.eat(b'}');
    while is_open {
        let key = reader.at;
        let key_has_escapes = reader.string()?;
        let key = document.get(key..reader.at).ok_or(Unread::NotJson)?;
        reader.colon()?;
        let value = reader.at;
        let has_escapes = reader.value().map_err(|refused| match refused {
            Unread::NotJson => refused,
            _ => judge(document),
        })?;
        let value = document.get(value..reader.at).ok_or(Unread::NotJson)?;
        let key = Value::found(key, key_has_escapes).as_string();
        visit(
            key.ok_or(Unread::NotJson)?,
            Value::found(value, has_escapes),
        );
        reader.skip_white_space();
        is_open = match reader.take() {
            Some(b',') => true,
            Some(b'}') => false,
            _ => return Err(Unread::NotJson),
        };
        reader.skip_white_space();
    }
    reader.skip_white_space();
    if reader.at < document.len() {
        return Err(Unread::NotJson);
    }
    Ok(())
}

/// What is wrong with a document whose outermost value is no object, or which is too deep as far as it was read.
#[cold]
fn judge(document: &str) -> Unread {
    match check_grammar(document.as_bytes()) {
        Err(Invalid::NotJson) => Unread::NotJson,
        Err(Invalid::TooDeep) => Unread::TooDeep,
        Ok(()) => Unread::NotObject,
    }
}

/// A position in a document.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn take(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    #[inline]
    fn eat(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    #[inline]
    fn skip_white_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// Between a key and its value.
    #[inline]
    fn colon(&mut self) -> Result<(), Unread> {
        self.skip_white_space();
        if !self.eat(b':') {
            return Err(Unread::NotJson);
        }
        self.skip_white_space();
        Ok(())
    }

    /// One value of an object that is not inside of another. Returns whether it is a string with escapes.
    #[inline]
    fn value(&mut self) -> Result<bool, Unread> {
        if self.peek() == Some(b'"') {
            return self.string();
        }
        // Of what is open around the position, the innermost in the lowest bit: 1 for an object.
        let mut kinds: u64 = 0;
        let mut depth = 0;
        loop {
            match self.peek() {
                Some(b'"') => drop(self.string()?),
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.literal(b"true")?,
                Some(b'f') => self.literal(b"false")?,
                Some(b'n') => self.literal(b"null")?,
                Some(opening @ (b'{' | b'[')) => {
                    self.at += 1;
                    // The outermost object is one more level.
                    if depth + 1 == JSON_DEPTH_MAX {
                        return Err(Unread::TooDeep);
                    }
                    self.skip_white_space();
                    let is_object = opening == b'{';
                    if !self.eat(if is_object { b'}' } else { b']' }) {
                        kinds = kinds << 1 | u64::from(is_object);
                        depth += 1;
                        if is_object {
                            self.string()?;
                            self.colon()?;
                        }
                        continue;
                    }
                }
                _ => return Err(Unread::NotJson),
            }
            // Behind a value.
            loop {
                if depth == 0 {
                    return Ok(false);
                }
                self.skip_white_space();
                match (self.take(), kinds & 1 == 1) {
                    (Some(b','), is_object) => {
                        self.skip_white_space();
                        if is_object {
                            self.string()?;
                            self.colon()?;
                        }
                        break;
                    }
                    (Some(b'}'), true) | (Some(b']'), false) => {
                        kinds >>= 1;
                        depth -= 1;
                    }
                    _ => return Err(Unread::NotJson),
                }
            }
        }
    }

    /// Returns whether the string has escapes.
    #[inline]
    fn string(&mut self) -> Result<bool, Unread> {
        if !self.eat(b'"') {
            return Err(Unread::NotJson);
        }
        let mut has_escapes = false;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            self.at += quote_backslash_or_control(rest).ok_or(Unread::NotJson)?;
            match self.take() {
                Some(b'"') => return Ok(has_escapes),
                Some(b'\\') => self.escape()?,
                _ => return Err(Unread::NotJson),
            }
            has_escapes = true;
        }
    }

    /// What follows a backslash.
    fn escape(&mut self) -> Result<(), Unread> {
        match self.take() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(()),
            Some(b'u') => {
                let digits = self.bytes.get(self.at..self.at + 4);
                let are_hex = digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
                self.at += 4;
                are_hex.then_some(()).ok_or(Unread::NotJson)
            }
            _ => Err(Unread::NotJson),
        }
    }

    fn number(&mut self) -> Result<(), Unread> {
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _has_sign = self.eat(b'-') || self.eat(b'+');
            self.digits()?;
        }
        Ok(())
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), Unread> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start {
            return Err(Unread::NotJson);
        }
        Ok(())
    }

    fn literal(&mut self, literal: &[u8]) -> Result<(), Unread> {
        let end = self.at + literal.len();
        if self.bytes.get(self.at..end) != Some(literal) {
            return Err(Unread::NotJson);
        }
        self.at = end;
        Ok(())
    }
}

// A bit for each level inside of the outermost object.
const _: () = assert!(JSON_DEPTH_MAX <= 64);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(document: &str, expected: Result<(), Unread>) {
        assert_eq!(read_object(document, |_, _| {}), expected);
    }

    #[test]
    fn the_limit_of_depth_is_exact() {
        let nested = |depth: usize, innermost: &str| {
            let arrays = depth - 1;
            format!(
                r#"{{"a":{}{innermost}{}}}"#,
                "[".repeat(arrays),
                "]".repeat(arrays)
            )
        };
        for innermost in ["", "1", "[]", "{}"] {
            let levels = usize::from(matches!(innermost, "[]" | "{}"));
            check(&nested(JSON_DEPTH_MAX - levels, innermost), Ok(()));
            let too_deep = nested(JSON_DEPTH_MAX + 1 - levels, innermost);
            check(&too_deep, Err(Unread::TooDeep));
            check(&format!("{too_deep},"), Err(Unread::NotJson));
        }
        let object = r#"{"a":"#.repeat(JSON_DEPTH_MAX);
        check(&format!("{object}1{}", "}".repeat(JSON_DEPTH_MAX)), Ok(()));
        check(&nested(10_000, "1"), Err(Unread::TooDeep));
        check(&"[".repeat(10_000), Err(Unread::NotJson));
        check(&r#"{"a":"#.repeat(10_000), Err(Unread::NotJson));
    }

    #[test]
    fn no_rule_of_the_grammar_is_forgotten() {
        let wrong = [
            "",
            "[1}",
            r#"{"b":1]"#,
            "[[1}]",
            r#"[{"b":1]]"#,
            r#"{"b":[1}}"#,
            "[1,]",
            "[,1]",
            "[,]",
            "[1 2]",
            "[1",
            "]",
            r#"{"b":1,}"#,
            r#"{"b"}"#,
            r#"{"b":}"#,
            r#"{"b" 1}"#,
            "{1:1}",
            "{b:1}",
            "{,}",
            "-",
            "-a",
            "-01",
            "00",
            "01",
            "+1",
            ".5",
            "1.",
            "1.e1",
            "1e",
            "1e+",
            "1E-",
            "1e1.5",
            "--1",
            "0x1",
            "1a",
            "tru",
            "nul",
            "falsE",
            "True",
            "NaN",
            "'a'",
            r#""a"#,
            r#""\u12""#,
            r#""\u12g4""#,
            r#""\x""#,
            r#""\""#,
            "\"\n\"",
            "\"\u{0}\"",
        ];
        for value in wrong {
            check(&format!(r#"{{"a":{value}}}"#), Err(Unread::NotJson));
            check(&format!(r#"{{"a":[{value},1]}}"#), Err(Unread::NotJson));
            check(&format!(r#"{{"a":{{"b":{value}}}}}"#), Err(Unread::NotJson));
        }
        let right = [
            "0",
            "-0",
            "0.5",
            "-10.25e-7",
            "1E+400",
            "true",
            "false",
            "null",
            r#""""#,
            r#""\u12Ef\/""#,
            "[]",
            "{}",
            "[ ]",
            "{ }",
            "[[],{}]",
            r#"[{"b":[1]}]"#,
            "\"\u{7f}\"",
        ];
        for value in right {
            check(&format!(r#"{{"a":{value}}}"#), Ok(()));
            check(&format!(r#"{{"a":[{value},1]}}"#), Ok(()));
            check(&format!(r#"{{"a":{{"b":{value}}} }}"#), Ok(()));
        }
    }

    /// Objects and arrays in turn as deep as they may be, and with one closer that is not its opener's.
    #[test]
    fn each_closer_is_that_of_its_opener() {
        let inner = JSON_DEPTH_MAX - 1;
        let openers: String = (0..inner).map(|n| ["[", r#"{"b":"#][n % 2]).collect();
        for wrong in 0..=inner {
            let closer = |n| ["]", "}"][(n + usize::from(n == wrong)) % 2];
            let closers: String = (0..inner).rev().map(closer).collect();
            let expected = if wrong < inner {
                Err(Unread::NotJson)
            } else {
                Ok(())
            };
            check(&format!(r#"{{"a":{openers}1{closers}}}"#), expected);
        }
    }

    #[test]
    fn what_is_no_object_is_told_from_what_is_no_json() {
        for document in ["[]", "1", r#""{}""#, " null\n"] {
            check(document, Err(Unread::NotObject));
        }
        for document in ["", " ", "{", "{}{}", "{,}", r#"{"a":1,}"#, "\u{feff}{}"] {
            check(document, Err(Unread::NotJson));
        }
        check(" {}\n", Ok(()));
    }
}
