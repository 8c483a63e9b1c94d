//! The symbols that clients subscribe to and the publisher publishes.
//!
//! Subscribing needs names. The first 50 are those of the server's simulated feed, beyond them both
//! sides continue with `SYM00051`, `SYM00052`, so that a count is enough to name them.

use std::str::FromStr;

use tickwire_protocol::channel::ChannelName;

/// The names with which both sides begin.
const NAMED: [&str; 50] = [
    "RELIANCE",
    "TCS",
    "HDFCBANK",
    "ICICIBANK",
    "INFY",
    "HINDUNILVR",
    "ITC",
    "SBIN",
    "BHARTIARTL",
    "KOTAKBANK",
    "LT",
    "AXISBANK",
    "ASIANPAINT",
    "MARUTI",
    "SUNPHARMA",
    "TITAN",
    "BAJFINANCE",
    "ULTRACEMCO",
    "NESTLEIND",
    "WIPRO",
    "AAPL",
    "MSFT",
    "GOOGL",
    "AMZN",
    "META",
    "NVDA",
    "TSLA",
    "NFLX",
    "AMD",
    "INTC",
    "ORCL",
    "CRM",
    "ADBE",
    "CSCO",
    "QCOM",
    "IBM",
    "TXN",
    "AVGO",
    "JPM",
    "BAC",
    "WFC",
    "GS",
    "MS",
    "V",
    "MA",
    "PYPL",
    "DIS",
    "KO",
    "PEP",
    "WMT",
];

/// So many that one `subscribe` still fits the 64 KiB that the wire allows a client message.
pub const SYMBOLS_MAX: usize = 5_000;

/// Index of a symbol in its [`Symbols`]; dense from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SymbolIndex(pub u16);

const _: () = assert!(SYMBOLS_MAX <= u16::MAX as usize);

impl SymbolIndex {
    /// For tables with one entry per symbol.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::from(self.0)
    }
}

/// Distinct symbols in canonical (upper) case, at least one, at most [`SYMBOLS_MAX`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbols {
    names: Vec<String>,
}

impl Symbols {
    /// The first `count` names, at least one, at most [`SYMBOLS_MAX`].
    ///
    /// # Errors
    /// A sentence for the user when `count` is outside that range.
    pub fn first(count: usize) -> Result<Self, String> {
        if !(1..=SYMBOLS_MAX).contains(&count) {
            return Err(format!("a count of symbols is 1 to {SYMBOLS_MAX}"));
        }
        Ok(Self {
            names: (0..count).map(name).collect(),
        })
    }

    /// In the order of their indices.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> u16 {
        u16::try_from(self.names.len()).expect("at most SYMBOLS_MAX")
    }

    /// All with their indices.
    pub fn iter(&self) -> impl Iterator<Item = (SymbolIndex, &str)> {
        (0..)
            .map(SymbolIndex)
            .zip(self.names.iter().map(String::as_str))
    }

    fn listed(text: &str) -> Result<Self, String> {
        let mut names: Vec<String> = Vec::new();
        for listed in text.split(',') {
            let channel = ChannelName::from_symbol(listed.trim())
                .map_err(|error| format!("`{}` is no symbol: {error}", listed.trim()))?;
            let name = channel.symbol().expect("made from a symbol").to_owned();
            if names.contains(&name) {
                return Err(format!("`{name}` is listed twice"));
            }
            names.push(name);
        }
        if names.len() > SYMBOLS_MAX {
            return Err(format!("at most {SYMBOLS_MAX} symbols"));
        }
        Ok(Self { names })
    }
}

/// `50`, or `AAPL,MSFT`.
impl FromStr for Symbols {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(count) => Self::first(count),
            Err(_) => Self::listed(text),
        }
    }
}

fn name(index: usize) -> String {
    NAMED
        .get(index)
        .map_or_else(|| format!("SYM{:05}", index + 1), |&name| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_names_the_feeds_symbols_and_continues_by_number() {
        let symbols: Symbols = "52".parse().unwrap();
        assert_eq!(symbols.names()[0], "RELIANCE");
        assert_eq!(symbols.names()[49], "WMT");
        assert_eq!(symbols.names()[50..], ["SYM00051", "SYM00052"]);
    }

    #[test]
    fn a_list_is_taken_in_order_and_upper_case() {
        let symbols: Symbols = "tcs, AAPL".parse().unwrap();
        assert_eq!(symbols.names(), ["TCS", "AAPL"]);
    }

    #[test]
    fn what_cannot_be_subscribed_is_refused() {
        for text in ["0", "5001", "", "AAPL,,TCS", "AAPL,aapl", "A B"] {
            assert!(text.parse::<Symbols>().is_err(), "{text}");
        }
    }
}
