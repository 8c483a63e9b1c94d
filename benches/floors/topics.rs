//! Who gets what: symbols, and clients grouped by the set of symbols that they subscribed to.
//!
//! Clients with the same set get the same bytes, so the bytes are put together once per set. With a set of its own
//! each client has its own contiguous bytes.

use std::collections::HashMap;
use std::rc::Rc;

use tickwire_protocol::frame::append_text_with;

use crate::delivery::Deliver;

/// Symbols and sets.
pub(crate) struct Topics<Client> {
    symbols: HashMap<String, Symbol>,
    sets: HashMap<Vec<String>, usize>,
    groups: Vec<Group<Client>>,
    /// Groups whose batch is not empty.
    touched: Vec<usize>,
}

struct Symbol {
    sequence: u64,
    /// The newest value as a complete frame; empty before the first.
    frame: Vec<u8>,
    /// Indices of the groups that want it.
    groups: Vec<usize>,
}

struct Group<Client> {
    members: Vec<Client>,
    /// Frames that have not been sent.
    batch: Rc<Vec<u8>>,
}

impl<Client> Default for Topics<Client> {
    fn default() -> Self {
        Self {
            symbols: HashMap::new(),
            sets: HashMap::new(),
            groups: Vec::new(),
            touched: Vec::new(),
        }
    }
}

impl<Client> Topics<Client> {
    /// Makes the frame of an update and appends it to the batches of those who want it.
    pub(crate) fn update(&mut self, payload: &str) {
        let Some((symbol, object)) = symbol_of(payload).zip(payload.strip_suffix('}')) else {
            eprintln!("floor: not canonical: {payload}");
            return;
        };
        if !self.symbols.contains_key(symbol) {
            self.symbols.insert(symbol.to_owned(), Symbol::new());
        }
        let Some(symbol) = self.symbols.get_mut(symbol) else {
            return;
        };
        symbol.sequence += 1;
        let seq = format!(r#","seq":{}}}"#, symbol.sequence);
        symbol.frame.clear();
        append_text_with(&mut symbol.frame, object.len() + seq.len(), |frame| {
            frame.extend_from_slice(object.as_bytes());
            frame.extend_from_slice(seq.as_bytes());
        });
        for &index in &symbol.groups {
            let batch = Rc::make_mut(&mut self.groups[index].batch);
            if batch.is_empty() {
                self.touched.push(index);
            }
            batch.extend_from_slice(&symbol.frame);
        }
    }

    /// Sends what the batches hold.
    pub(crate) fn deliver(&mut self, delivery: &mut impl Deliver<Client = Client>) {
        for &index in &self.touched {
            let group = &mut self.groups[index];
            delivery.send(&group.batch, &mut group.members);
        }
        let somebody_left = delivery.finish();
        for index in self.touched.drain(..) {
            let group = &mut self.groups[index];
            if somebody_left {
                group.members.retain(|client| !delivery.has_left(client));
            }
            Rc::make_mut(&mut group.batch).clear();
        }
    }

    /// The newest values of these symbols, as frames one after the other.
    pub(crate) fn newest(&self, symbols: &[String]) -> Vec<u8> {
        let known = symbols.iter().filter_map(|symbol| self.symbols.get(symbol));
        known
            .flat_map(|symbol| symbol.frame.iter().copied())
            .collect()
    }

    /// `client` gets all updates of `symbols` from now on.
    pub(crate) fn join(&mut self, mut symbols: Vec<String>, client: Client) {
        symbols.sort_unstable();
        symbols.dedup();
        let index = *self.sets.entry(symbols).or_insert_with_key(|symbols| {
            let index = self.groups.len();
            self.groups.push(Group {
                members: Vec::new(),
                batch: Rc::default(),
            });
            for symbol in symbols {
                let symbol = self
                    .symbols
                    .entry(symbol.clone())
                    .or_insert_with(Symbol::new);
                symbol.groups.push(index);
            }
            index
        });
        self.groups[index].members.push(client);
    }
}

impl Symbol {
    fn new() -> Self {
        Self {
            sequence: 0,
            frame: Vec::new(),
            groups: Vec::new(),
        }
    }
}

/// The symbol of a canonical update, which stands before its data.
fn symbol_of(payload: &str) -> Option<&str> {
    let (_, rest) = payload.split_once(r#""symbol":""#)?;
    rest.split_once('"').map(|(symbol, _)| symbol)
}
