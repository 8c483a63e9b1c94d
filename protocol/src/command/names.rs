//! The lists `symbols` and `channels` of a command.

use hashbrown::HashSet;

use super::envelope::Refusal;
use crate::{
    channel::{ChannelError, ChannelName},
    error_code::ErrorCode,
    json::Value,
    limits::{CHANNEL_BYTES_MAX, REJECTED_NAMES_MAX},
};

/// A valid name of a command.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RequestedName {
    /// The channel meant.
    pub channel: ChannelName,
    /// How the client named it, and so where the answer names it.
    pub asked_as: AskedAs,
}

/// The list of a command, and of its answer, that a name stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AskedAs {
    /// In `symbols`.
    Symbol,
    /// In `channels`.
    Channel,
}

impl AskedAs {
    fn parse(self, name: &str) -> Result<ChannelName, ChannelError> {
        match self {
            Self::Symbol => ChannelName::from_symbol(name),
            Self::Channel => ChannelName::parse(name),
        }
    }

    /// What is wrong with an element that is not even a string.
    fn error(self) -> ChannelError {
        match self {
            Self::Symbol => ChannelError::InvalidSymbol,
            Self::Channel => ChannelError::InvalidChannel,
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Symbol => "symbols",
            Self::Channel => "channels",
        }
    }
}

/// A name that the client was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedName {
    /// The name as asked, cut to [`CHANNEL_BYTES_MAX`] bytes; the JSON of what is not a string.
    pub name: String,
    /// Why.
    pub code: ErrorCode,
}

impl RejectedName {
    /// Cuts `name` so that an answer does not repeat what a client made up at length.
    pub fn new(name: &str, code: ErrorCode) -> Self {
        let (name, _) = name.split_at(name.floor_char_boundary(CHANNEL_BYTES_MAX));
        Self {
            name: name.to_owned(),
            code,
        }
    }
}

/// Among so many names it is quicker to look at each than to hash them.
const FEW_NAMES: usize = 16;

/// The names of one command.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// In the order of asking, each once per list.
    pub(super) accepted: Vec<RequestedName>,
    pub(super) rejected: Vec<RejectedName>,
    /// The same as `accepted` once they are more than a few, to find duplicates in a list of thousands.
    seen: HashSet<RequestedName>,
}

impl Names {
    /// Reads both lists, either of which may be absent.
    pub(super) fn read(
        symbols: Option<Value<'_>>,
        channels: Option<Value<'_>>,
    ) -> Result<Self, Refusal> {
        let mut names = Self::default();
        names.read_list(symbols, AskedAs::Symbol)?;
        names.read_list(channels, AskedAs::Channel)?;
        Ok(names)
    }

    /// Whether the client named nothing at all, valid or not.
    pub(super) fn is_empty(&self) -> bool {
        self.accepted.is_empty() && self.rejected.is_empty()
    }

    fn read_list(&mut self, list: Option<Value<'_>>, asked_as: AskedAs) -> Result<(), Refusal> {
        let Some(list) = list else { return Ok(()) };
        let Some(elements) = list.as_array() else {
            let key = asked_as.key();
            return Err(Refusal::invalid(format!(
                "{key} must be an array of strings"
            )));
        };
        for element in elements {
            match element.as_string() {
                Some(name) => {
                    let name = name.decode();
                    match asked_as.parse(&name) {
                        Ok(channel) => self.accept(RequestedName { channel, asked_as }),
                        Err(error) => self.reject(&name, error)?,
                    }
                }
                None => self.reject(element.text(), asked_as.error())?,
            }
        }
        Ok(())
    }

    fn accept(&mut self, name: RequestedName) {
        if self.accepted.len() < FEW_NAMES {
            if !self.accepted.contains(&name) {
                self.accepted.push(name);
            }
            return;
        }
        if self.seen.is_empty() {
            self.seen.extend(self.accepted.iter().cloned());
        }
        if self.seen.insert(name.clone()) {
            self.accepted.push(name);
        }
    }

    fn reject(&mut self, name: &str, error: ChannelError) -> Result<(), Refusal> {
        if self.rejected.len() == REJECTED_NAMES_MAX {
            return Err(Refusal::invalid(format!(
                "more than {REJECTED_NAMES_MAX} invalid names"
            )));
        }
        self.rejected.push(RejectedName::new(name, error.code()));
        Ok(())
    }
}
