//! From a payload to its updates.

use std::borrow::Cow;

use super::{Form, Parts, Publication, RejectReason};
use crate::{
    channel::{ChannelName, symbol_of},
    json::{Array, Invalid, Object, RawString, Validator, Value},
    limits::{INHERITED_TIMESTAMP_BYTES_MAX, PUBLICATION_BYTES_MAX},
};

/// Decodes payloads of publishers; one per ingest thread, for its scratch space.
#[derive(Debug)]
pub struct PublicationDecoder {
    validator: Validator,
}

impl PublicationDecoder {
    /// A decoder; its scratch space grows with the first payloads.
    pub fn new() -> Self {
        Self {
            validator: Validator::new(),
        }
    }

    /// Calls `visit` with each update of one payload and its index, in order. An object that is no
    /// batch is update 0.
    ///
    /// `channel_symbol` is the symbol that the name of the source's channel implies, such as `AAPL`
    /// for `market:AAPL`. It serves an object that is no batch and names nothing itself.
    ///
    /// # Errors
    /// The payload as a whole is refused; `visit` was not called. A refused element of a batch is
    /// given to `visit`, and the next one follows.
    ///
    /// Cost: a check of UTF-8, a validating pass, and a pass that finds the keys. No allocation for
    /// canonical objects once the scratch space has grown, unless the channel's name is longer than 24 bytes.
    pub fn decode<'p>(
        &mut self,
        payload: &'p [u8],
        channel_symbol: Option<&str>,
        visit: &mut dyn FnMut(usize, Result<Publication<'p>, RejectReason>),
    ) -> Result<(), RejectReason> {
        let document = self.validate(payload)?;
        let keys = Keys::read(document.as_object().ok_or(RejectReason::NotObject)?)?;
        if keys.kind.is_some_and(is_batch) {
            let batch = Batch::new(&keys)?;
            for (index, element) in batch.updates.enumerate() {
                visit(index, element_publication(element, batch.timestamp));
            }
        } else {
            visit(0, Ok(single_publication(document, &keys, channel_symbol)?));
        }
        Ok(())
    }

    fn validate<'p>(&mut self, payload: &'p [u8]) -> Result<Value<'p>, RejectReason> {
        if payload.len() > PUBLICATION_BYTES_MAX {
            return Err(RejectReason::TooLarge);
        }
        let document = str::from_utf8(payload).map_err(|_| RejectReason::NotUtf8)?;
        if document.starts_with(BYTE_ORDER_MARK) {
            return Err(RejectReason::NotUtf8);
        }
        self.validator
            .validate(payload)
            .map_err(|invalid| match invalid {
                Invalid::NotJson => RejectReason::NotJson,
                Invalid::TooDeep => RejectReason::TooDeep,
            })?;
        Ok(Value::of_document(document))
    }
}

impl Default for PublicationDecoder {
    fn default() -> Self {
        Self::new()
    }
}

/// An object that is no batch.
fn single_publication<'p>(
    object: Value<'p>,
    keys: &Keys<'p>,
    channel_symbol: Option<&str>,
) -> Result<Publication<'p>, RejectReason> {
    let name = match (keys.name()?, channel_symbol) {
        (Some(name), _) => name,
        (None, Some(symbol)) => Name::implied(symbol)?,
        (None, None) => return Err(RejectReason::MissingSymbol),
    };
    if keys.kind.and_then(Value::as_string).is_none() {
        return Err(RejectReason::MissingType);
    }
    let form = if name.is_canonical {
        Form::Verbatim
    } else {
        Form::Rebuilt(keys.parts(&name, None)?)
    };
    Ok(Publication {
        channel: name.channel,
        object: object.bytes(),
        form,
    })
}

/// An element of a batch: always rebuilt, its `type` optional.
fn element_publication<'p>(
    element: Value<'p>,
    batch_timestamp: Option<&'p [u8]>,
) -> Result<Publication<'p>, RejectReason> {
    let keys = Keys::read(element.as_object().ok_or(RejectReason::NotObject)?)?;
    let name = keys.name()?.ok_or(RejectReason::MissingSymbol)?;
    if keys
        .kind
        .is_some_and(|kind| kind.as_string().is_none() || is_batch(kind))
    {
        // A client would take a message of type `batch_update` for a batch.
        return Err(RejectReason::MissingType);
    }
    let form = Form::Rebuilt(keys.parts(&name, batch_timestamp)?);
    Ok(Publication {
        channel: name.channel,
        object: element.bytes(),
        form,
    })
}

fn is_batch(kind: Value<'_>) -> bool {
    kind.as_string()
        .is_some_and(|kind| kind.decode() == "batch_update")
}

/// What the elements of a batch share.
struct Batch<'p> {
    updates: Array<'p>,
    timestamp: Option<&'p [u8]>,
}

impl<'p> Batch<'p> {
    fn new(keys: &Keys<'p>) -> Result<Self, RejectReason> {
        if keys.has_ambiguous_value {
            return Err(RejectReason::DuplicateKey);
        }
        let updates = keys
            .updates
            .and_then(Value::as_array)
            .ok_or(RejectReason::MissingSymbol)?;
        let timestamp = keys
            .timestamp
            .map(Value::bytes)
            .filter(|timestamp| timestamp.len() <= INHERITED_TIMESTAMP_BYTES_MAX);
        Ok(Self { updates, timestamp })
    }
}

/// The keys that matter of one object, each standing once and written plainly.
#[derive(Default)]
struct Keys<'p> {
    kind: Option<Value<'p>>,
    channel: Option<Value<'p>>,
    symbol: Option<Value<'p>>,
    ticker: Option<Value<'p>>,
    updates: Option<Value<'p>>,
    data: Option<Value<'p>>,
    timestamp: Option<Value<'p>>,
    /// `data` or `timestamp` stands twice or is written with escapes. That is the client's affair
    /// where the object passes as it is, but rebuilding would have to choose.
    has_ambiguous_value: bool,
    entry_count: u32,
}

impl<'p> Keys<'p> {
    fn read(object: Object<'p>) -> Result<Self, RejectReason> {
        let mut keys = Self::default();
        for (key, value) in object {
            keys.entry_count += 1;
            let (slot, role) = match &*key.decode() {
                "type" => (&mut keys.kind, Role::Routing),
                "channel" => (&mut keys.channel, Role::Routing),
                "symbol" => (&mut keys.symbol, Role::Routing),
                "ticker" => (&mut keys.ticker, Role::Routing),
                "updates" => (&mut keys.updates, Role::Routing),
                "data" => (&mut keys.data, Role::Value),
                "timestamp" => (&mut keys.timestamp, Role::Value),
                "seq" if key.has_escapes() => return Err(RejectReason::DuplicateKey),
                "seq" => return Err(RejectReason::ReservedKey),
                _ => continue,
            };
            if slot.replace(value).is_some() || key.has_escapes() {
                match role {
                    Role::Routing => return Err(RejectReason::DuplicateKey),
                    Role::Value => keys.has_ambiguous_value = true,
                }
            }
        }
        Ok(keys)
    }

    /// What the object is about, by its own keys: `channel` before `symbol` before `ticker`.
    fn name(&self) -> Result<Option<Name>, RejectReason> {
        if let Some(channel) = self.channel {
            Name::channel(channel).map(Some)
        } else if let Some(symbol) = self.symbol {
            Name::symbol(symbol).map(Some)
        } else if let Some(ticker) = self.ticker {
            Name::ticker(ticker).map(Some)
        } else {
            Ok(None)
        }
    }

    /// What a rebuilt object is made of.
    fn parts(
        &self,
        name: &Name,
        batch_timestamp: Option<&'p [u8]>,
    ) -> Result<Parts<'p>, RejectReason> {
        if self.has_ambiguous_value {
            return Err(RejectReason::DuplicateKey);
        }
        let keys_kept = [
            self.kind.is_some(),
            name.is_from_key,
            self.data.is_some(),
            self.timestamp.is_some(),
        ];
        let kept_count: u32 = keys_kept.into_iter().map(u32::from).sum();
        Ok(Parts {
            kind: self.kind.map(Value::bytes),
            data: self.data.map(Value::bytes),
            timestamp: self.timestamp.map(Value::bytes).or(batch_timestamp),
            keys_dropped: self.entry_count.saturating_sub(kept_count),
        })
    }
}

/// What a key is for.
enum Role {
    /// Decides where the object goes.
    Routing,
    /// Is copied where the object is rebuilt.
    Value,
}

/// Which channel an object is for, and how it says so.
struct Name {
    channel: ChannelName,
    /// Clients read the same name in the object that routing found.
    is_canonical: bool,
    /// A key of the object named it.
    is_from_key: bool,
}

impl Name {
    fn channel(value: Value<'_>) -> Result<Self, RejectReason> {
        let written = name_text(value)?;
        let channel = ChannelName::parse(&written).map_err(|_| RejectReason::InvalidSymbol)?;
        let is_canonical = channel.as_str() == written;
        Ok(Self {
            channel,
            is_canonical,
            is_from_key: true,
        })
    }

    fn symbol(value: Value<'_>) -> Result<Self, RejectReason> {
        let written = name_text(value)?;
        let channel = symbol_channel(&written)?;
        let is_canonical = symbol_of(channel.as_str()) == Some(&*written);
        Ok(Self {
            channel,
            is_canonical,
            is_from_key: true,
        })
    }

    fn ticker(value: Value<'_>) -> Result<Self, RejectReason> {
        let channel = symbol_channel(&name_text(value)?)?;
        Ok(Self {
            channel,
            is_canonical: false,
            is_from_key: true,
        })
    }

    fn implied(symbol: &str) -> Result<Self, RejectReason> {
        let channel = symbol_channel(symbol)?;
        Ok(Self {
            channel,
            is_canonical: false,
            is_from_key: false,
        })
    }
}

fn name_text(value: Value<'_>) -> Result<Cow<'_, str>, RejectReason> {
    value
        .as_string()
        .map(RawString::decode)
        .ok_or(RejectReason::InvalidSymbol)
}

fn symbol_channel(symbol: &str) -> Result<ChannelName, RejectReason> {
    ChannelName::from_symbol(symbol).map_err(|_| RejectReason::InvalidSymbol)
}

/// U+FEFF. JSON must not begin with one, and readers disagree on whether to skip it.
const BYTE_ORDER_MARK: char = '\u{feff}';
