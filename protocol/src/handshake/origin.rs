//! Which pages may connect (RFC 6454; RFC 6455, section 10.2). Programs that are no browsers send no origin.

use std::borrow::Cow;

use super::target::is_authority;

/// The origins that an operator lets in. Default: any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedOrigins {
    /// Canonical; `None` stands for any.
    listed: Option<Vec<String>>,
}

impl AllowedOrigins {
    /// These origins only, each as a browser writes it: `https://a.example`, `http://localhost:3000`, or `null`, which
    /// stands for pages without one, such as files. `*` among them stands for any.
    ///
    /// # Errors
    /// The first that is no origin.
    pub fn parse<'t>(origins: impl IntoIterator<Item = &'t str>) -> Result<Self, &'t str> {
        let mut listed = Vec::new();
        let mut any = false;
        for origin in origins {
            match origin {
                "*" => any = true,
                _ => listed.push(canonical(origin).ok_or(origin)?.into_owned()),
            }
        }
        Ok(Self {
            listed: (!any).then_some(listed),
        })
    }

    /// Whether every origin is allowed.
    pub fn is_any(&self) -> bool {
        self.listed.is_none()
    }

    /// Whether a client may connect that sent this origin, or none.
    pub fn allow(&self, origin: Option<&str>) -> bool {
        let (Some(listed), Some(origin)) = (&self.listed, origin) else {
            return true;
        };
        canonical(origin).is_some_and(|origin| listed.iter().any(|listed| *listed == *origin))
    }
}

/// In lower case, without the port that the scheme implies; `None` for what is no origin.
fn canonical(origin: &str) -> Option<Cow<'_, str>> {
    if origin == "null" {
        return Some(origin.into());
    }
    let lower = origin.to_ascii_lowercase();
    let (scheme, authority) = lower.split_once("://")?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if !is_scheme || !is_authority(authority.as_bytes()) {
        return None;
    }
    let implied_port = match scheme {
        "http" => ":80",
        "https" => ":443",
        _ => ":",
    };
    let authority = authority.strip_suffix(implied_port).unwrap_or(authority);
    Some(format!("{scheme}://{authority}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_implied_ports_do_not_matter_but_all_else_does() {
        let allowed =
            AllowedOrigins::parse(["https://A.example", "http://b:3000", "null"]).unwrap();
        for (origin, expected) in [
            ("https://a.example", true),
            ("HTTPS://a.EXAMPLE:443", true),
            ("http://b:3000", true),
            ("null", true),
            ("http://a.example", false),
            ("https://a.example:8443", false),
            ("https://a.example.evil", false),
            ("https://sub.a.example", false),
            ("https://a.example/", false),
            ("https://a.example, http://b:3000", false),
            ("a.example", false),
            ("http://b", false),
            ("NULL", false),
            ("", false),
        ] {
            assert_eq!(allowed.allow(Some(origin)), expected, "{origin}");
        }
        assert!(allowed.allow(None));
        assert!(
            !AllowedOrigins::parse(["http://b"])
                .unwrap()
                .allow(Some("null"))
        );
    }

    #[test]
    fn any_is_the_default_and_what_is_no_origin_is_named() {
        assert!(AllowedOrigins::default().allow(Some("whatever")));
        assert!(AllowedOrigins::parse(["http://b", "*"]).unwrap().is_any());
        for wrong in [
            "a.example",
            "https://a.example/path",
            "https://",
            "://a",
            "1://a",
        ] {
            assert_eq!(AllowedOrigins::parse([wrong]), Err(wrong));
        }
    }
}
