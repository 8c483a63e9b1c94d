//! The `--config` file: flat TOML, one key per setting.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::error::ConfigError;
use super::key;
use super::layers::{Layers, Origin};

/// Takes what the file says.
pub(super) fn read(path: &Path, layers: &mut Layers) -> Result<(), ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
        path: path.to_owned(),
        error,
    })?;
    read_text(path, &text, layers)
}

fn read_text(path: &Path, text: &str, layers: &mut Layers) -> Result<(), ConfigError> {
    let line_of = |offset: usize| {
        1 + text
            .bytes()
            .take(offset)
            .filter(|&byte| byte == b'\n')
            .count()
    };
    let table = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        path: path.to_owned(),
        line: line_of(error.span().map_or(0, |span| span.start)),
        message: error.message().to_owned(),
    })?;
    for (name, value) in table.get_ref() {
        let line = line_of(name.span().start);
        let path = path.to_owned();
        let Some(key) = key::ALL.into_iter().find(|key| key == name.get_ref()) else {
            let (key, closest) = (name.get_ref().to_string(), closest(name.get_ref()));
            return Err(ConfigError::UnknownKey {
                path,
                line,
                key,
                closest,
            });
        };
        let origin = Origin::File { path, line, key };
        match text_of(value.get_ref()) {
            Some(text) => layers.add(key, text, origin),
            None => {
                let reason =
                    format!("a table or date can't be a value; write {key} = \"…\" in one line");
                return Err(origin.refuse(reason));
            }
        }
    }
    Ok(())
}

/// The value as a flag would have it: a list is what commas separate.
fn text_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        // `as_str` has neither underscores nor the prefix of the radix.
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .ok()
            .map(|number| number.to_string()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        DeValue::Boolean(choice) => Some(choice.to_string()),
        DeValue::Array(values) => {
            let parts: Option<Vec<String>> = values
                .iter()
                .map(|value| text_of(value.get_ref()))
                .collect();
            parts.map(|parts| parts.join(","))
        }
        DeValue::Table(_) | DeValue::Datetime(_) => None,
    }
}

/// The setting whose name is closest to `name`.
pub(super) fn closest(name: &str) -> &'static str {
    key::ALL
        .into_iter()
        .min_by_key(|key| edits_between(key, name))
        .unwrap_or(key::LISTEN)
}

/// Least number of characters to insert, delete or replace (Levenshtein).
fn edits_between(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, left) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, &right) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}
