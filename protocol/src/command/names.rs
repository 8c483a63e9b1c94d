//! The lists `symbols` and `channels` of a command.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::envelope::Refusal;
use crate::{
    channel::{ChannelError, ChannelName, Symbol},
    error_code::ErrorCode,
    json::Value,
    limits::{CHANNEL_BYTES_MAX, REJECTED_NAMES_MAX},
};

/// A valid name of a command, by the list that it stood in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestedName<'m> {
    /// The channel of a symbol.
    Symbol(Symbol<'m>),
    /// A channel, which may be that of a symbol.
    Channel(ChannelName),
}

impl RequestedName<'_> {
    /// The name as the answer gives it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Symbol(symbol) => symbol.as_str(),
            Self::Channel(channel) => channel.as_str(),
        }
    }
}

/// The list of a command that a name stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AskedAs {
    Symbol,
    Channel,
}

impl AskedAs {
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

// A message of 64 KiB may name ten thousand.
const _: () = assert!(size_of::<RequestedName<'_>>() <= 32);

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

/// The names of one command.
#[derive(Debug, Default)]
pub(super) struct Names<'m> {
    /// In the order of asking, each once per list.
    pub(super) accepted: Vec<RequestedName<'m>>,
    pub(super) rejected: Vec<RejectedName>,
    seen: Seen,
}

impl<'m> Names<'m> {
    /// Reads both lists, either of which may be absent.
    pub(super) fn read(
        symbols: Option<Value<'m>>,
        channels: Option<Value<'m>>,
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

    fn read_list(&mut self, list: Option<Value<'m>>, asked_as: AskedAs) -> Result<(), Refusal> {
        let Some(list) = list else { return Ok(()) };
        let Some(mut elements) = list.as_array() else {
            let key = asked_as.key();
            return Err(Refusal::invalid(format!(
                "{key} must be an array of strings"
            )));
        };
        // Enough for names of five characters and more, with their quotes and comma.
        self.accepted.reserve(list.text().len() / 8);
        loop {
            // Nearly all symbols are written so.
            if asked_as == AskedAs::Symbol
                && let Some(symbol) = elements.take_plain(Symbol::is_plain)
            {
                match Symbol::of_plain(symbol) {
                    Ok(symbol) => self.accept(RequestedName::Symbol(symbol)),
                    Err(error) => self.reject(symbol, error)?,
                }
                continue;
            }
            let Some(element) = elements.next() else {
                return Ok(());
            };
            let Some(written) = element.as_string() else {
                self.reject(element.text(), asked_as.error())?;
                continue;
            };
            let name = written.decode();
            let parsed = match asked_as {
                AskedAs::Symbol => Symbol::parse(name).map(RequestedName::Symbol),
                AskedAs::Channel => ChannelName::parse(&name).map(RequestedName::Channel),
            };
            match parsed {
                Ok(name) => self.accept(name),
                Err(error) => self.reject(&written.decode(), error)?,
            }
        }
    }

    fn accept(&mut self, name: RequestedName<'m>) {
        if self.seen.is_new(&name, &self.accepted) {
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

/// Finds duplicates: nearly always there are none, in a list of a few names or of thousands.
#[derive(Debug, Default)]
struct Seen {
    hasher: DefaultHashBuilder,
    /// A bit for each name, picked by its end: where it is not set, the name is new.
    bits: u64,
    /// Places of the names in the list, by hash, once the bits are too many to tell much.
    places: HashTable<usize>,
}

impl Seen {
    /// Up to so many names a set bit has all of them looked at: a duplicate always, and few that are new, unless they were
    /// chosen for that.
    const FEW: usize = 16;

    /// Whether `name` is not among `names`, all of which were asked about before and were new.
    fn is_new(&mut self, name: &RequestedName<'_>, names: &Vec<RequestedName<'_>>) -> bool {
        if names.len() < Self::FEW {
            let bit = bit_of(name.as_str());
            let may_be_there = self.bits & bit != 0;
            self.bits |= bit;
            return !(may_be_there && names.contains(name));
        }
        let hash_of = |name: &RequestedName<'_>| self.hasher.hash_one(name.as_str());
        let hash = hash_of(name);
        let hash_at = |place: &usize| names.get(*place).map_or(0, hash_of);
        if self.places.is_empty() {
            // Nearly always as many as will come, so that nothing is hashed twice.
            self.places.reserve(names.capacity(), hash_at);
            for (place, name) in names.iter().enumerate() {
                self.places.insert_unique(hash_of(name), place, hash_at);
            }
        }
        let is_same = |place: &usize| names.get(*place) == Some(name);
        let is_new = self.places.find(hash, is_same).is_none();
        if is_new {
            self.places.insert_unique(hash, names.len(), hash_at);
        }
        is_new
    }
}

/// One of 64 bits, by the last two bytes, in which the names of a list differ most.
fn bit_of(name: &str) -> u64 {
    match name.as_bytes() {
        [.., before, last] => 1 << ((u32::from(*before) * 11 + u32::from(*last)) % 64),
        _ => 1,
    }
}
