//! A structural scanner: finds where values begin and end, without looking into them.

use std::borrow::Cow;

use super::special::quote_or_backslash;

/// The text of one JSON value, without white space around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value<'a> {
    text: &'a str,
    /// Of a string: whether a backslash stands in it.
    has_escapes: bool,
}

impl<'a> Value<'a> {
    /// A document of validated JSON, which is one value and white space around it.
    pub(crate) fn of_document(document: &'a str) -> Self {
        let text = document.trim_ascii();
        Self {
            text,
            has_escapes: text.starts_with('"') && text.contains('\\'),
        }
    }

    /// A value that was found, and whether it is a string with escapes.
    #[inline]
    pub(super) fn found(text: &'a str, has_escapes: bool) -> Self {
        Self { text, has_escapes }
    }

    pub(crate) fn bytes(self) -> &'a [u8] {
        self.text.as_bytes()
    }

    pub(crate) fn text(self) -> &'a str {
        self.text
    }

    #[inline]
    pub(crate) fn as_string(self) -> Option<RawString<'a>> {
        let written = self.text.strip_prefix('"')?.strip_suffix('"')?;
        Some(RawString {
            written,
            has_escapes: self.has_escapes,
        })
    }

    pub(crate) fn as_object(self) -> Option<Object<'a>> {
        let rest = self.text.strip_prefix('{')?;
        Some(Object(Scanner { rest }))
    }

    pub(crate) fn as_array(self) -> Option<Array<'a>> {
        let rest = self.text.strip_prefix('[')?;
        Some(Array(Scanner { rest }))
    }

    pub(crate) fn as_bool(self) -> Option<bool> {
        match self.text {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    pub(crate) fn is_number(self) -> bool {
        self.text
            .starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
    }

    /// How deeply arrays and objects are nested; 0 for anything else.
    pub(crate) fn depth(self) -> usize {
        let mut depth: usize = 0;
        let mut depth_max = 0;
        walk_structure(self.bytes(), |byte| {
            if matches!(byte, b'{' | b'[') {
                depth += 1;
                depth_max = depth_max.max(depth);
            } else {
                depth = depth.saturating_sub(1);
            }
            true
        });
        depth_max
    }
}

/// The entries of an object in the order of writing, duplicates included.
#[derive(Debug)]
pub(crate) struct Object<'a>(Scanner<'a>);

impl<'a> Iterator for Object<'a> {
    type Item = (RawString<'a>, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let Self(scanner) = self;
        scanner.skip_separator(b',');
        let key = scanner.take_string()?;
        scanner.skip_separator(b':');
        Some((key, scanner.take_value()?))
    }
}

/// The elements of an array.
#[derive(Debug)]
pub(crate) struct Array<'a>(Scanner<'a>);

impl<'a> Array<'a> {
    /// The next element, if it is a string of plain bytes alone, and no white space stands before it; otherwise nothing
    /// is taken. No quote and no backslash may be plain.
    #[inline]
    pub(crate) fn take_plain(&mut self, is_plain: impl Fn(u8) -> bool) -> Option<&'a str> {
        let Self(scanner) = self;
        let text = scanner.rest.strip_prefix(',').unwrap_or(scanner.rest);
        let text = text.strip_prefix('"')?;
        let end = text.bytes().position(|byte| !is_plain(byte))?;
        let (plain, rest) = text.split_at_checked(end)?;
        scanner.rest = rest.strip_prefix('"')?;
        Some(plain)
    }
}

impl<'a> Iterator for Array<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let Self(scanner) = self;
        scanner.skip_separator(b',');
        scanner.take_value()
    }
}

/// A string as written, between its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawString<'a> {
    written: &'a str,
    has_escapes: bool,
}

impl<'a> RawString<'a> {
    pub(crate) fn has_escapes(self) -> bool {
        self.has_escapes
    }

    /// The string; halves of surrogate pairs, which no Rust string can hold, become U+FFFD.
    ///
    /// Cost: allocates only for strings with escapes.
    #[inline]
    pub(crate) fn decode(self) -> Cow<'a, str> {
        if self.has_escapes {
            Cow::Owned(unescape(self.written))
        } else {
            Cow::Borrowed(self.written)
        }
    }
}

/// A position in a document.
#[derive(Debug)]
struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn first(&self) -> Option<u8> {
        self.rest.as_bytes().first().copied()
    }

    /// `length` ends at a character: all that is cut at is ASCII.
    #[inline]
    fn take(&mut self, length: usize) -> Option<&'a str> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    #[inline]
    fn skip_white_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.first() {
            self.take(1);
        }
    }

    /// Skips `separator`, which may be absent before a first element, and white space around it.
    #[inline]
    fn skip_separator(&mut self, separator: u8) {
        self.skip_white_space();
        if self.first() == Some(separator) {
            self.take(1);
            self.skip_white_space();
        }
    }

    /// `None` at the end of the surrounding array or object.
    #[inline]
    fn take_value(&mut self) -> Option<Value<'a>> {
        self.skip_white_space();
        let bytes = self.rest.as_bytes();
        let (length, has_escapes) = match bytes.first()? {
            b'"' => string_len(bytes)?,
            b'{' | b'[' => (container_len(bytes)?, false),
            b'}' | b']' => return None,
            _ => {
                let end = bytes.iter().position(|byte| {
                    matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r')
                });
                (end.unwrap_or(bytes.len()), false)
            }
        };
        let text = self.take(length)?;
        Some(Value { text, has_escapes })
    }

    fn take_string(&mut self) -> Option<RawString<'a>> {
        let (length, has_escapes) = string_len(self.rest.as_bytes())?;
        let text = self.take(length)?;
        Value { text, has_escapes }.as_string()
    }
}

/// The length of the string that `bytes` start with, quotes included, and whether it has escapes.
#[inline]
fn string_len(bytes: &[u8]) -> Option<(usize, bool)> {
    let mut rest = bytes.strip_prefix(b"\"")?;
    let mut has_escapes = false;
    loop {
        let special = quote_or_backslash(rest)?;
        let after = rest.get(special + 1..)?;
        if rest.get(special) == Some(&b'"') {
            return Some((bytes.len() - after.len(), has_escapes));
        }
        // An escape: the byte after the backslash belongs to it, be it a quote.
        has_escapes = true;
        rest = after.get(1..)?;
    }
}

/// The length of the array or object that `bytes` start with.
fn container_len(bytes: &[u8]) -> Option<usize> {
    let mut depth: usize = 0;
    walk_structure(bytes, |byte| {
        if matches!(byte, b'{' | b'[') {
            depth += 1;
        } else {
            depth = depth.saturating_sub(1);
        }
        depth > 0
    })
}

/// Calls `visit` for each bracket outside strings until it returns `false`; returns the position
/// after that bracket, `None` when the bytes end before.
fn walk_structure(bytes: &[u8], mut visit: impl FnMut(u8) -> bool) -> Option<usize> {
    let mut rest = bytes;
    loop {
        let plain = rest.iter().position(|&byte| STRUCTURE[usize::from(byte)])?;
        rest = rest.get(plain..)?;
        let (byte, after) = rest.split_first()?;
        rest = if *byte == b'"' {
            rest.get(string_len(rest)?.0..)?
        } else if visit(*byte) {
            after
        } else {
            return Some(bytes.len() - after.len());
        };
    }
}

/// By byte: whether it is a bracket or begins a string.
const STRUCTURE: [bool; 256] = {
    let mut structure = [false; 256];
    let mut index = 0;
    while index < 5 {
        structure[b"\"{}[]"[index] as usize] = true;
        index += 1;
    }
    structure
};

fn unescape(written: &str) -> String {
    let mut text = String::with_capacity(written.len());
    let mut rest = written;
    while let Some((plain, escape)) = rest.split_once('\\') {
        text.push_str(plain);
        let mut chars = escape.chars();
        match chars.next() {
            Some('b') => text.push('\u{8}'),
            Some('f') => text.push('\u{c}'),
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some('t') => text.push('\t'),
            Some('u') => {
                let (c, after) = unescape_unicode(chars.as_str());
                text.push(c);
                rest = after;
                continue;
            }
            // A quote, a slash or a backslash stands for itself.
            Some(c) => text.push(c),
            None => {}
        }
        rest = chars.as_str();
    }
    text.push_str(rest);
    text
}

/// The character that `\u` introduced, and what follows it. `after_u` starts with four digits.
fn unescape_unicode(after_u: &str) -> (char, &str) {
    let Some((unit, rest)) = split_hex(after_u) else {
        return (char::REPLACEMENT_CHARACTER, "");
    };
    if let Some((low, after_low)) = rest.strip_prefix("\\u").and_then(split_hex)
        && let (0xd800..=0xdbff, 0xdc00..=0xdfff) = (unit, low)
    {
        let c = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        return (
            char::from_u32(c).unwrap_or(char::REPLACEMENT_CHARACTER),
            after_low,
        );
    }
    (
        char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER),
        rest,
    )
}

fn split_hex(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    Some((u32::from_str_radix(digits, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_string(written: &str, expected: &str) {
        let string = Value::of_document(written).as_string().unwrap();
        assert_eq!(string.decode(), expected);
        assert_eq!(string.has_escapes(), written.contains('\\'));
    }

    #[test]
    fn escapes_are_decoded() {
        check_string(
            r#""plain \u{e9}""#.replace(r"\u{e9}", "\u{e9}").as_str(),
            "plain \u{e9}",
        );
        check_string(r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t");
        check_string(r#""s\u0079mbol""#, "symbol");
        check_string(r#""\ud83d\ude00!""#, "\u{1f600}!");
    }

    #[test]
    fn halves_of_surrogate_pairs_are_replaced() {
        check_string(r#""\ud83d""#, "\u{fffd}");
        check_string(r#""\ude00x""#, "\u{fffd}x");
        check_string(r#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}");
        check_string(r#""\ud83d\u0041""#, "\u{fffd}A");
    }

    #[test]
    fn depth_counts_levels_and_skips_strings() {
        let depth = |json: &str| Value::of_document(json).depth();
        assert_eq!(depth("1"), 0);
        assert_eq!(depth(r#"{"a":"[[["}"#), 1);
        assert_eq!(depth(r#"[{"a":[]},[[1]],{}]"#), 3);
    }

    #[test]
    fn entries_keep_order_and_duplicates() {
        let document = r#" { "a" : 1 , "b":[ 2, 3 ] ,"a":"}" } "#;
        let entries: Vec<_> = Value::of_document(document)
            .as_object()
            .unwrap()
            .map(|(key, value)| (key.decode(), value.text()))
            .collect();
        assert_eq!(
            entries,
            [
                ("a".into(), "1"),
                ("b".into(), "[ 2, 3 ]"),
                ("a".into(), r#""}""#)
            ]
        );
    }
}
