//! What the sources said, as text, strongest first.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::error::ConfigError;

/// Which source said it, so that a refusal names the place to correct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag, by its name without dashes.
    Flag(&'static str),
    /// An environment variable, or several that make one value.
    Environment(String),
    /// A key of the file.
    File {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// The key.
        key: &'static str,
    },
}

impl Origin {
    pub(super) fn refuse(self, reason: String) -> ConfigError {
        ConfigError::Value {
            origin: self,
            reason,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) => write!(f, "--{name}"),
            Self::Environment(name) => f.write_str(name),
            Self::File { path, line, key } => write!(f, "{}:{line}: {key}", path.display()),
        }
    }
}

/// Values by setting, in the order in which their sources were read: strongest first.
#[derive(Debug, Default)]
pub(super) struct Layers {
    given: BTreeMap<&'static str, Vec<(String, Origin)>>,
}

impl Layers {
    pub(super) fn add(&mut self, key: &'static str, text: String, origin: Origin) {
        self.given.entry(key).or_default().push((text, origin));
    }

    /// The strongest value of a setting. All of them are parsed, so that a bad one is refused in any case.
    pub(super) fn take<T>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        Ok(self
            .take_all(key, parse)?
            .into_iter()
            .next()
            .map(|(value, _)| value))
    }

    /// All values of a setting, strongest first.
    pub(super) fn take_all<T>(
        &self,
        key: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Vec<(T, Origin)>, ConfigError> {
        let given = self.given.get(key).map_or(&[][..], Vec::as_slice);
        given
            .iter()
            .map(|(text, origin)| match parse(text.trim()) {
                Ok(value) => Ok((value, origin.clone())),
                Err(reason) => Err(origin.clone().refuse(reason)),
            })
            .collect()
    }
}
