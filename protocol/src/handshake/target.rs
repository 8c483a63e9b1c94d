//! The target of a request (RFC 9112, section 3.2), and the host that it is at.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use super::request::RequestError;

/// Decoded parts of a path; see [`Request::segments`](super::Request::segments).
#[derive(Clone, Debug)]
pub struct Segments<'b>(Option<std::str::Split<'b, char>>);

impl<'b> Iterator for Segments<'b> {
    type Item = Cow<'b, str>;

    fn next(&mut self) -> Option<Self::Item> {
        let segment = self.0.as_mut()?.next()?;
        // `split_target` has seen that it is UTF-8.
        Some(
            percent_decode_str(segment)
                .decode_utf8()
                .unwrap_or_default(),
        )
    }
}

pub(super) fn segments(path: &str) -> Segments<'_> {
    Segments(path.strip_prefix('/').map(|rest| rest.split('/')))
}

/// Path and query of a target: `/ws?x=1`, or as proxies send it, `http://host/ws?x=1`, or `*`.
pub(super) fn split_target<'b>(
    method: &str,
    target: &'b str,
) -> Result<(&'b str, Option<&'b str>), RequestError> {
    if !target.is_ascii() || target.contains('#') {
        return Err(RequestError::Malformed(
            "the request target has characters that must be percent-encoded, or a fragment",
        ));
    }
    if target == "*" && method == "OPTIONS" {
        // About the server as a whole.
        return Ok((target, None));
    }
    let target = without_origin(target)?;
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    if path.is_empty() {
        // Behind a host this means the root.
        return Ok(("/", query));
    }
    check_path(path)?;
    Ok((path, query))
}

/// Whether `text` is a host and perhaps a port (RFC 9110, section 7.2).
pub(super) fn is_authority(text: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(text) else {
        return false;
    };
    // An address of IPv6 has colons itself, and stands in brackets.
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (text, ""),
    };
    let is_port = port.is_empty() || (is_decimal(port) && port.parse::<u16>().is_ok());
    let is_host = match host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.bytes().all(is_name_byte) && has_valid_escapes(host),
    };
    is_port && is_host
}

pub(super) fn is_decimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A path and a query, without the host of an absolute target.
fn without_origin(target: &str) -> Result<&str, RequestError> {
    if target.starts_with('/') {
        return Ok(target);
    }
    absolute(target).ok_or(RequestError::Malformed(
        "the request target must be a path such as /ws, or begin with http:// and a host",
    ))
}

/// What follows the host.
fn absolute(target: &str) -> Option<&str> {
    let (scheme, rest) = target.split_once("://")?;
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let is_served = ["http", "https", "ws", "wss"]
        .iter()
        .any(|served| scheme.eq_ignore_ascii_case(served));
    (is_served && is_authority(authority.as_bytes())).then_some(path)
}

/// Two readers must not find different resources in a path.
fn check_path(path: &str) -> Result<(), RequestError> {
    if !has_valid_escapes(path) {
        return Err(RequestError::Malformed(
            "the path has a % without two hexadecimal digits; encode it as %25",
        ));
    }
    let malformed = segments(path)
        .zip(path.split('/').skip(1))
        .any(|(decoded, written)| {
            let is_text = percent_decode_str(written).decode_utf8().is_ok();
            !is_text || decoded.chars().any(char::is_control) || matches!(&*decoded, "." | "..")
        });
    if malformed {
        return Err(RequestError::Malformed(
            "the path has dot segments, control characters, or is not UTF-8",
        ));
    }
    Ok(())
}

fn has_valid_escapes(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        let digits = after.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// `reg-name` of RFC 3986, section 3.2.2.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte)
}
