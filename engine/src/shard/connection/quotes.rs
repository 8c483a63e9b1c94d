//! `GET /api/quotes?symbols=A,B`: the last values over HTTP, for clients that poll.
//!
//! Served from this shard's own last values: no other thread is asked. The entity tag names the values, not
//! the moment, so a client that has them already gets 304 and no body.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

use hashbrown::HashSet;
use percent_encoding::percent_decode_str;
use tickwire_protocol::channel::Symbol;
use tickwire_protocol::frame::header_len;
use tickwire_protocol::handshake::{Request, append_response};

use crate::clock::Now;
use crate::limits::QUOTES_BYTES_MAX;
use crate::shard::Shard;
use crate::shard::metrics::HandshakeResult;
use crate::shard::operation::CloseReason;

/// Pages that may connect may read what any client may subscribe to without authentication. A conditional request is
/// not a simple one, so browsers ask with OPTIONS first.
const CORS: [(&str, &str); 3] = [
    ("Access-Control-Allow-Methods", "GET"),
    ("Access-Control-Allow-Headers", "If-None-Match"),
    ("Access-Control-Expose-Headers", "ETag"),
];

impl Shard {
    /// Answers a request for quotes.
    pub(super) fn answer_quotes(&mut self, slot: u32, request: &Request<'_>, now: Now) {
        let (status, etag, body) = match request.method {
            "GET" => self.quotes(request, now),
            "OPTIONS" => (200, None, Vec::new()),
            _ => (405, None, b"only GET is served here\n".to_vec()),
        };
        let allowed = &self.config.allowed_origins;
        let mut headers = CORS.to_vec();
        match request.origin {
            _ if allowed.is_any() => headers.push(("Access-Control-Allow-Origin", "*")),
            Some(origin) if allowed.allow(Some(origin)) => {
                headers.push(("Access-Control-Allow-Origin", origin));
            }
            // Without it the browser keeps the answer from the page.
            _ => {}
        }
        if !allowed.is_any() {
            headers.push(("Vary", "Origin"));
        }
        if let Some(etag) = &etag {
            headers.push(("ETag", etag));
            // To be asked again each time; a cache may keep the body for the answer 304.
            headers.push(("Cache-Control", "no-cache"));
        }
        if status == 405 {
            headers.push(("Allow", "GET, OPTIONS"));
        }
        let content_type = if status == 200 {
            "application/json"
        } else {
            super::upgrade::TEXT
        };
        let result = match status {
            405 => HandshakeResult::MethodNotAllowed,
            400 => HandshakeResult::Malformed,
            _ => HandshakeResult::Quotes,
        };
        self.counters.handshakes[result as usize] += 1;
        self.reply(slot, |out| {
            append_response(out, status, &headers, content_type, &body);
            if request.method == "HEAD" {
                out.truncate(out.len() - body.len());
            }
        });
        self.begin_answer(slot, CloseReason::Answered, now);
    }

    fn quotes(&self, request: &Request<'_>, now: Now) -> (u16, Option<String>, Vec<u8>) {
        let (mut names, mut known) = (Vec::new(), HashSet::new());
        let asked = symbols(request.query.unwrap_or_default());
        for name in asked.split(',').filter(|name| !name.is_empty()) {
            let symbol = Symbol::parse(Cow::Borrowed(name)).ok();
            let name = symbol.as_ref().map_or(name, Symbol::as_str).to_owned();
            if known.insert(name.clone()) {
                names.push((name, symbol));
            }
        }
        let mut hasher = DefaultHasher::new();
        let mut body = br#"{"quotes":{"#.to_vec();
        for (index, (name, symbol)) in names.iter().enumerate() {
            let topic = symbol
                .as_ref()
                .and_then(|symbol| self.topics.find_symbol(symbol.as_str()));
            let frame = topic.and_then(|topic| self.topics.get(topic).last_value);
            if index > 0 {
                body.push(b',');
            }
            body.extend_from_slice(
                serde_json::Value::from(name.as_str())
                    .to_string()
                    .as_bytes(),
            );
            body.push(b':');
            match frame {
                Some(frame) => {
                    let frame = self.frames.update(frame);
                    let payload =
                        header_len(&frame.frame).and_then(|start| frame.frame.get(start..));
                    body.extend_from_slice(payload.unwrap_or(b"null"));
                    (name, frame.sequence).hash(&mut hasher);
                }
                None => {
                    body.extend_from_slice(b"null");
                    (name, 0u64).hash(&mut hasher);
                }
            }
            if body.len() > QUOTES_BYTES_MAX {
                let text =
                    format!("the answer exceeds {QUOTES_BYTES_MAX} bytes; ask for fewer symbols\n");
                return (400, None, text.into_bytes());
            }
        }
        let etag = format!("\"{}-{:016x}\"", self.config.epoch, hasher.finish());
        if request
            .if_none_match
            .is_some_and(|tags| has_tag(tags, &etag))
        {
            return (304, Some(etag), Vec::new());
        }
        body.extend_from_slice(br#"},"timestamp":""#);
        now.wall.append_to(&mut body);
        body.extend_from_slice(br#""}"#);
        (200, Some(etag), body)
    }
}

/// The decoded value of `symbols` in a query; empty when there is none.
fn symbols(query: &str) -> String {
    let value = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("symbols="));
    percent_decode_str(value.unwrap_or_default())
        .decode_utf8_lossy()
        .into_owned()
}

/// Whether an If-None-Match field lists `etag` (RFC 9110, section 13.1.2; compared weakly).
fn has_tag(tags: &str, etag: &str) -> bool {
    tags.split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag)
}
