//! What is refused at start. The operator acts on each: the message says how.

use std::fmt;
use std::path::PathBuf;

use super::layers::Origin;

/// Why the configuration was refused.
#[derive(Debug)]
pub enum ConfigError {
    /// The command line as such: an unknown flag, a flag without its value. Also `--help` and `--version`.
    Arguments(clap::Error),
    /// A value that the setting can't have.
    Value {
        /// Where it stands.
        origin: Origin,
        /// What is wrong with it and what would be right.
        reason: String,
    },
    /// The file can't be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// The file is not TOML.
    Syntax {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong there. The line itself is not quoted: it may hold a password.
        message: String,
    },
    /// The file has a key that is no setting.
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// The key as it stands there.
        key: String,
        /// The setting whose name is closest to it.
        closest: &'static str,
    },
}

impl ConfigError {
    /// Whether this is the output of `--help` or `--version`, and so no error.
    #[must_use]
    pub fn is_requested_output(&self) -> bool {
        matches!(self, Self::Arguments(error) if !error.use_stderr())
    }

    /// Prints the message and ends the process: code 2, or 0 after `--help` and `--version`.
    pub fn exit(&self) -> ! {
        match self {
            Self::Arguments(error) => error.exit(),
            refused => {
                eprintln!("error: {refused}");
                std::process::exit(EXIT_CODE)
            }
        }
    }
}

/// As clap has it for the command line.
const EXIT_CODE: i32 = 2;

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arguments(error) => error.fmt(f),
            Self::Value { origin, reason } => write!(f, "{origin}: {reason}"),
            Self::Unreadable { path, error } => write!(
                f,
                "{}: {error}; --config and TICKWIRE_CONFIG name a readable TOML file",
                path.display()
            ),
            Self::Syntax {
                path,
                line,
                message,
            } => write!(
                f,
                "{}:{line}: {message}; correct it: the file is TOML, such as coalesce-max = \"2ms\"",
                path.display()
            ),
            Self::UnknownKey {
                path,
                line,
                key,
                closest,
            } => write!(
                f,
                "{}:{line}: unknown key `{key}`; did you mean `{closest}`? `tickwire --help` lists all: \
                 a key is the flag's name without the dashes in front",
                path.display()
            ),
        }
    }
}

impl std::error::Error for ConfigError {}
