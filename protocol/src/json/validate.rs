//! Is it JSON, and not too deeply nested?

use std::fmt;

use serde_json::value::RawValue;
use simd_json::{Buffers, Tape};

use super::Value;
use crate::limits::JSON_DEPTH_MAX;

/// Validates documents by the grammar of RFC 8259, with scratch space that is used again.
///
/// simd-json decides in nearly all cases. It is narrower than the grammar, since it turns numbers
/// into machine numbers and strings into Unicode: `1e999` and half of a surrogate pair are no
/// errors of the publisher, and pass through here unread. So where simd-json refuses, serde_json's
/// check of the bare grammar is the judge.
pub(crate) struct Validator {
    buffers: Buffers,
    /// simd-json unescapes strings in place, so it works on a copy.
    scratch: Vec<u8>,
    /// Empty between calls; kept for its capacity.
    tape: Tape<'static>,
}

impl Validator {
    pub(crate) fn new() -> Self {
        Self {
            buffers: Buffers::with_max_depth(0, JSON_DEPTH_MAX),
            scratch: Vec::new(),
            tape: Tape(Vec::new()),
        }
    }

    /// Checks one document, white space around it allowed.
    ///
    /// Cost: allocates only while the scratch space grows to the largest document so far, and
    /// where serde_json is asked.
    pub(crate) fn validate(&mut self, document: &[u8]) -> Result<(), Invalid> {
        self.scratch.clear();
        self.scratch.extend_from_slice(document);
        let mut tape = std::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let accepted =
            simd_json::fill_tape(&mut self.scratch, &mut self.buffers, &mut tape).is_ok();
        self.tape = tape.reset();
        if accepted {
            // Its own limit of depth was ours.
            return Ok(());
        }
        check_grammar(document)
    }
}

/// Checks one document by the bare grammar, and counts its depth.
#[cold]
pub(super) fn check_grammar(document: &[u8]) -> Result<(), Invalid> {
    let Ok(value) = serde_json::from_slice::<&RawValue>(document) else {
        return Err(Invalid::NotJson);
    };
    if Value::of_document(value.get()).depth() > JSON_DEPTH_MAX {
        return Err(Invalid::TooDeep);
    }
    Ok(())
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Validator").finish_non_exhaustive()
    }
}

/// Why a document is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Invalid {
    /// Not JSON at all, or not UTF-8.
    NotJson,
    /// JSON with more than [`JSON_DEPTH_MAX`] levels.
    TooDeep,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(document: &str, expected: Result<(), Invalid>) {
        assert_eq!(Validator::new().validate(document.as_bytes()), expected);
    }

    #[test]
    fn numbers_of_any_length_are_fine() {
        check("1e999", Ok(()));
        check("-1E-999999999999", Ok(()));
        check(&"9".repeat(400), Ok(()));
        check(&format!("[0.{}]", "1".repeat(10_000)), Ok(()));
    }

    #[test]
    fn halves_of_surrogate_pairs_are_fine() {
        check(r#"{"a":"\ud800"}"#, Ok(()));
    }

    #[test]
    fn the_limit_of_depth_is_exact() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        check(&nested(JSON_DEPTH_MAX), Ok(()));
        check(&nested(JSON_DEPTH_MAX + 1), Err(Invalid::TooDeep));
        check(&nested(10_000), Err(Invalid::TooDeep));
        // The number makes simd-json refuse first.
        check(&nested(JSON_DEPTH_MAX).replace("[]", "[1e999]"), Ok(()));
        check(
            &nested(JSON_DEPTH_MAX + 1).replace("[]", "[1e999]"),
            Err(Invalid::TooDeep),
        );
        check(&"[".repeat(10_000), Err(Invalid::NotJson));
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for document in [
            "",
            " ",
            "{",
            "{}{}",
            "{'a':1}",
            "[1,]",
            "01",
            "+1",
            "NaN",
            "\u{feff}{}",
        ] {
            check(document, Err(Invalid::NotJson));
        }
    }

    #[test]
    fn one_document_leaves_nothing_for_the_next() {
        let mut validator = Validator::new();
        assert_eq!(
            validator.validate(br#"{"a":[1,2,{"b":"c"}"#),
            Err(Invalid::NotJson)
        );
        assert_eq!(validator.validate(b"}"), Err(Invalid::NotJson));
        assert_eq!(validator.validate(b"[1]"), Ok(()));
    }
}
