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
    /// A bit for each name, see [`bit_of`]: where it is not set, the name is new.
    bits: u64,
    /// Places of the names in the list, by hash, once the bits are too many to tell much.
    places: HashTable<usize>,
}

impl Seen {
    /// Up to so many names a set bit has all of them looked at: a duplicate's always, few that are new.
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
            // As many as the list has room for, mostly, so that few are hashed twice; more takes more than it saves.
            self.places.reserve(names.capacity().min(1_024), hash_at);
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

/// One of 64 bits, by both ends of a name and its length: many lists have one ending, or one beginning.
fn bit_of(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let (Some([a, b]), Some([c, d])) = (bytes.first_chunk(), bytes.last_chunk()) else {
        return 1;
    };
    let ends = u64::from(u32::from_le_bytes([*a, *b, *c, *d]));
    let key = ends ^ (bytes.len() as u64) << 32;
    // The golden ratio in 64 bits (Knuth, 6.4): its product has the differences in the highest bits.
    1 << (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_as_clients_write_them_have_bits_that_differ() {
        for list in [
            "SYM001 SYM002 SYM003 SYM004 SYM005 SYM006 SYM007 SYM008 SYM009 SYM010 SYM011 SYM012 SYM013 SYM014 SYM015 SYM016",
            "AAPL MSFT GOOGL AMZN NVDA META TSLA JPM V XOM UNH JNJ WMT MA PG HD",
            "RELIANCE TCS INFY HDFCBANK ICICIBANK SBIN ITC LT KOTAKBANK AXISBANK HINDUNILVR BHARTIARTL MARUTI WIPRO ONGC NTPC",
            "BTCUSDT ETHUSDT BNBUSDT SOLUSDT XRPUSDT ADAUSDT DOGEUSDT AVAXUSDT DOTUSDT MATICUSDT LTCUSDT LINKUSDT UNIUSDT ATOMUSDT XLMUSDT TRXUSDT",
            "RELIANCE.NS TCS.NS INFY.NS HDFCBANK.NS ICICIBANK.NS SBIN.NS ITC.NS LT.NS KOTAKBANK.NS AXISBANK.NS HINDUNILVR.NS BHARTIARTL.NS MARUTI.NS WIPRO.NS ONGC.NS NTPC.NS",
            "NSE:TCS NSE:INFY NSE:HDFCBANK NSE:ICICIBANK NSE:SBIN NSE:ITC NSE:LT NSE:KOTAKBANK NSE:AXISBANK NSE:MARUTI NSE:WIPRO NSE:ONGC NSE:NTPC NSE:TITAN NSE:CIPLA NSE:UPL",
        ] {
            let mut bits: Vec<u64> = list.split(' ').map(bit_of).collect();
            assert_eq!(bits.len(), Seen::FEW);
            bits.sort_unstable();
            bits.dedup();
            // 14 of 16 is what chance gives.
            assert!(bits.len() >= 11, "{} bits: {list}", bits.len());
        }
    }
}
