//! Which driver runs: the one that was asked for, or the best that this machine can.

use std::fmt;

use tickwire_ring::SetupError;

use crate::config::DriverChoice;

/// A driver of real sockets that is in this build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverKind {
    /// [`uring`](super::uring).
    Uring,
    /// [`glommio`](super::glommio).
    #[cfg(feature = "glommio")]
    Glommio,
}

/// A driver that this machine can run; prints as the line of the banner.
#[derive(Clone, Debug)]
pub struct ChosenDriver {
    /// Which.
    pub kind: DriverKind,
    /// What it found on this machine.
    features: String,
    /// Why it is not the default one.
    reason: Option<String>,
}

impl fmt::Display for ChosenDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.features)?;
        match &self.reason {
            Some(reason) => write!(f, "; chosen because {reason}"),
            None => Ok(()),
        }
    }
}

/// Why a driver can't run here. The text names the remedy.
#[derive(Debug)]
pub enum DriverError {
    /// `uring` was asked for, or is the only one in this build.
    Uring(SetupError),
    /// `glommio` was asked for.
    #[cfg(feature = "glommio")]
    Glommio(super::glommio::SetupError),
    /// Neither can.
    #[cfg(feature = "glommio")]
    Neither(SetupError, super::glommio::SetupError),
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Uring(error) => {
                write!(f, "driver uring: {error}")?;
                if cfg!(feature = "glommio") {
                    f.write_str("; or try --driver glommio, which runs on Linux 5.8")?;
                }
                Ok(())
            }
            #[cfg(feature = "glommio")]
            Self::Glommio(error) => write!(f, "driver glommio: {error}"),
            #[cfg(feature = "glommio")]
            Self::Neither(uring, glommio) => {
                write!(f, "driver uring: {uring}; driver glommio: {glommio}")
            }
        }
    }
}

impl std::error::Error for DriverError {}

impl From<SetupError> for DriverError {
    fn from(error: SetupError) -> Self {
        Self::Uring(error)
    }
}

#[cfg(feature = "glommio")]
impl From<super::glommio::SetupError> for DriverError {
    fn from(error: super::glommio::SetupError) -> Self {
        Self::Glommio(error)
    }
}

/// Probes this machine for the driver that was asked for.
///
/// # Errors
/// What is missing, with its remedy; the engine does not start.
pub fn choose(choice: DriverChoice) -> Result<ChosenDriver, DriverError> {
    let uring = || tickwire_ring::probe().map(|features| format!("io_uring on {features}"));
    #[cfg(feature = "glommio")]
    return among(choice, uring, || {
        super::glommio::probe().map(|features| features.to_string())
    });
    #[cfg(not(feature = "glommio"))]
    match choice {
        DriverChoice::Auto | DriverChoice::Uring => Ok(ChosenDriver {
            kind: DriverKind::Uring,
            features: uring()?,
            reason: None,
        }),
    }
}

/// Chooses by what these probes find.
#[cfg(feature = "glommio")]
fn among(
    choice: DriverChoice,
    uring: impl FnOnce() -> Result<String, SetupError>,
    glommio: impl FnOnce() -> Result<String, super::glommio::SetupError>,
) -> Result<ChosenDriver, DriverError> {
    let missing = match choice {
        DriverChoice::Glommio => None,
        DriverChoice::Auto | DriverChoice::Uring => match uring() {
            Ok(features) => {
                return Ok(ChosenDriver {
                    kind: DriverKind::Uring,
                    features,
                    reason: None,
                });
            }
            Err(error) if choice == DriverChoice::Uring => return Err(error.into()),
            Err(error) => Some(error),
        },
    };
    match (glommio(), missing) {
        (Ok(features), missing) => Ok(ChosenDriver {
            kind: DriverKind::Glommio,
            features,
            reason: Some(match missing {
                Some(error) => format!("--driver auto found no better: {error}"),
                None => "--driver glommio asks for it".to_owned(),
            }),
        }),
        (Err(error), None) => Err(DriverError::Glommio(error)),
        (Err(error), Some(missing)) => Err(DriverError::Neither(missing, error)),
    }
}

#[cfg(all(test, feature = "glommio"))]
mod tests {
    use super::super::glommio;
    use super::*;

    fn uring_works() -> Result<String, SetupError> {
        Ok("io_uring".to_owned())
    }

    fn glommio_works() -> Result<String, glommio::SetupError> {
        Ok("glommio".to_owned())
    }

    fn too_old() -> Result<String, SetupError> {
        Err(SetupError::KernelTooOld)
    }

    fn forbidden() -> Result<String, glommio::SetupError> {
        Err(glommio::SetupError::NotPermitted)
    }

    #[test]
    fn auto_takes_uring_where_it_can_run_and_else_glommio_and_says_why() {
        let best = among(DriverChoice::Auto, uring_works, glommio_works).unwrap();
        assert_eq!(
            (best.kind, best.to_string().as_str()),
            (DriverKind::Uring, "io_uring")
        );
        let fallback = among(DriverChoice::Auto, too_old, glommio_works).unwrap();
        assert_eq!(fallback.kind, DriverKind::Glommio);
        let line = fallback.to_string();
        assert!(
            line.starts_with("glommio") && line.contains("6.1"),
            "{line}"
        );
    }

    #[test]
    fn a_driver_that_was_asked_for_is_not_replaced() {
        let asked = among(DriverChoice::Glommio, uring_works, glommio_works).unwrap();
        assert_eq!(asked.kind, DriverKind::Glommio);
        assert!(asked.to_string().contains("--driver glommio"));
        let refused = among(DriverChoice::Uring, too_old, glommio_works).unwrap_err();
        assert!(refused.to_string().contains("--driver glommio"));
        assert!(among(DriverChoice::Glommio, uring_works, forbidden).is_err());
    }

    #[test]
    fn when_neither_can_run_both_remedies_are_named() {
        let text = among(DriverChoice::Auto, too_old, forbidden)
            .unwrap_err()
            .to_string();
        assert!(text.contains("6.1") && text.contains("seccomp"), "{text}");
    }
}
