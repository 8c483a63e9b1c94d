//! Whether a request asks for a WebSocket (RFC 6455, section 4.2.1), in the order of the section.

use httparse::Header;

use super::{has_word, values};

/// Whether a request asks for a WebSocket, and how well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeOffer<'b> {
    /// It doesn't.
    None,
    /// It does, but not by the rules (answer: 400); what is wrong, as a sentence.
    Invalid(&'static str),
    /// It does, in another version than 13 (answer: 426).
    VersionUnsupported,
    /// It does.
    Valid {
        /// For [`append_switching_protocols`](super::append_switching_protocols).
        key: &'b str,
    },
}

pub(super) fn upgrade_offer<'b>(
    method: &str,
    minor_version: u8,
    has_body: bool,
    headers: &[Header<'b>],
) -> UpgradeOffer<'b> {
    // RFC 9110, section 7.8: an Upgrade in HTTP/1.0 must be ignored.
    if minor_version == 0 || !has_word(headers, "upgrade", "websocket") {
        return UpgradeOffer::None;
    }
    if method != "GET" {
        return UpgradeOffer::Invalid("an upgrade needs the method GET");
    }
    if !has_word(headers, "connection", "upgrade") {
        return UpgradeOffer::Invalid("an upgrade needs the header Connection: Upgrade");
    }
    if has_body {
        // Its bytes would be read as frames.
        return UpgradeOffer::Invalid("an upgrade has no body");
    }
    let mut versions = values(headers, "sec-websocket-version");
    match (versions.next(), versions.next()) {
        (Some(b"13"), None) => {}
        (None, _) => return UpgradeOffer::VersionUnsupported,
        (Some(version), None) if list(version).all(is_version) => {
            return UpgradeOffer::VersionUnsupported;
        }
        _ => return UpgradeOffer::Invalid("one Sec-WebSocket-Version header with 13 is needed"),
    }
    let mut keys = values(headers, "sec-websocket-key");
    let (Some(key), None) = (keys.next().and_then(valid_key), keys.next()) else {
        return UpgradeOffer::Invalid(
            "exactly one Sec-WebSocket-Key of 16 bytes in base64 is needed",
        );
    };
    // None of either is used here, but what can't be read must fail (section 9.1).
    if !values(headers, "sec-websocket-protocol")
        .flat_map(list)
        .all(is_token)
    {
        return UpgradeOffer::Invalid("Sec-WebSocket-Protocol is not a list of names");
    }
    if !values(headers, "sec-websocket-extensions").all(is_extension_list) {
        return UpgradeOffer::Invalid("Sec-WebSocket-Extensions is not a list of extensions");
    }
    UpgradeOffer::Valid { key }
}

/// The elements of a list; empty ones say nothing (RFC 9110, section 5.6.1.2).
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let elements = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    elements.filter(|element| !element.is_empty())
}

/// 0 to 255, without leading zeros.
fn is_version(text: &[u8]) -> bool {
    let number = str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse::<u8>().ok());
    number.is_some_and(|number| number.to_string().as_bytes() == text)
}

fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| is_token_byte(*byte))
}

/// RFC 9110, section 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// `name; parameter; parameter=value, …` (RFC 6455, section 9.1). A quoted value must be a token within its quotes, so
/// that separators are never quoted.
fn is_extension_list(value: &[u8]) -> bool {
    list(value).all(|extension| {
        let mut parts = extension
            .split(|byte| *byte == b';')
            .map(<[u8]>::trim_ascii);
        parts.next().is_some_and(is_token) && parts.all(is_parameter)
    })
}

fn is_parameter(text: &[u8]) -> bool {
    let mut halves = text.splitn(2, |byte| *byte == b'=').map(<[u8]>::trim_ascii);
    let is_named = halves.next().is_some_and(is_token);
    is_named
        && halves.next().is_none_or(|value| {
            let quoted = value
                .strip_prefix(b"\"")
                .and_then(|rest| rest.strip_suffix(b"\""));
            is_token(quoted.unwrap_or(value))
        })
}

/// 16 bytes in base64: 22 digits and two signs of padding.
fn valid_key(key: &[u8]) -> Option<&str> {
    let digits = key.strip_suffix(b"==")?;
    let is_base64 = digits
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(byte));
    if digits.len() == 22 && is_base64 {
        str::from_utf8(key).ok()
    } else {
        None
    }
}
