//! How a credential stands in a request: which header, and what surrounds the token.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::AUTHORIZATION;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;

use crate::model::Secret;

/// A header name and the shape of its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialHeader {
    name: HeaderName,
    shape: Shape,
}

/// A header that could not be sent: the template is wrong, or the secret holds bytes that RFC 9110 §5.5
/// does not permit in a field value. Never says the value.
#[derive(Debug, thiserror::Error)]
pub enum HeaderNotLegal {
    /// Not a field name, or one that the wire needs for itself (`host`, `content-length`…).
    #[error("`{0}` can't carry a credential")]
    Name(String),
    /// The template lacks `{{token}}`, holds it twice, or holds a control character.
    #[error("the header template needs `{{token}}` exactly once and printable ASCII around it")]
    Template,
    /// A Basic user name with a colon or a control character (RFC 7617 §2).
    #[error("a Basic user name is printable text without a colon")]
    User,
    /// The secret is empty or has a line break or another byte that no header may hold.
    #[error("the secret holds a byte that no header may carry, such as a line break")]
    Secret,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Shape {
    Around { before: String, after: String },
    Basic { user: String },
}

impl CredentialHeader {
    /// `Authorization: Bearer {token}` (RFC 6750 §2.1).
    pub fn bearer() -> Self {
        let shape = Shape::Around { before: "Bearer ".to_owned(), after: String::new() };
        Self { name: AUTHORIZATION, shape }
    }

    /// `Authorization: Basic base64(user:token)` (RFC 7617).
    pub fn basic(user: &str) -> Result<Self, HeaderNotLegal> {
        if user.contains(':') || user.chars().any(char::is_control) {
            return Err(HeaderNotLegal::User);
        }
        Ok(Self { name: AUTHORIZATION, shape: Shape::Basic { user: user.to_owned() } })
    }

    /// Any header; `template` has `{token}` where the token goes.
    pub fn template(name: &str, template: &str) -> Result<Self, HeaderNotLegal> {
        let header: HeaderName = name.parse().map_err(|_| HeaderNotLegal::Name(name.escape_debug().to_string()))?;
        if RESERVED.contains(&header.as_str()) || header.as_str().starts_with("proxy-") {
            return Err(HeaderNotLegal::Name(header.to_string()));
        }
        let (before, after) = template.split_once("{token}").ok_or(HeaderNotLegal::Template)?;
        let printable = |text: &str| text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        if after.contains("{token}") || !printable(before) || !printable(after) {
            return Err(HeaderNotLegal::Template);
        }
        Ok(Self { name: header, shape: Shape::Around { before: before.to_owned(), after: after.to_owned() } })
    }

    /// The field name, in lower case.
    pub fn name(&self) -> &HeaderName {
        &self.name
    }

    /// The field value with `secret` in its place, marked sensitive so that HPACK never indexes it.
    pub fn render(&self, secret: &Secret) -> Result<HeaderValue, HeaderNotLegal> {
        let legal = |byte: &u8| *byte >= 0x20 && *byte != 0x7f;
        if secret.is_empty() || !secret.expose().iter().all(legal) {
            return Err(HeaderNotLegal::Secret);
        }
        let bytes = match &self.shape {
            Shape::Around { before, after } => [before.as_bytes(), secret.expose(), after.as_bytes()].concat(),
            Shape::Basic { user } => {
                let pair = Secret::new([user.as_bytes(), b":", secret.expose()].concat());
                format!("Basic {}", STANDARD.encode(pair.expose())).into_bytes()
            }
        };
        let mut value =
            HeaderValue::from_maybe_shared(bytes::Bytes::from(bytes)).map_err(|_| HeaderNotLegal::Secret)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// Fields that frame the message or belong to the hop: a credential there would break the wire.
const RESERVED: [&str; 12] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "te",
    "trailer",
    "upgrade",
    "keep-alive",
    "expect",
    "content-type",
    "forwarded",
    "via",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shape_renders_as_its_rfc_says() {
        let secret = Secret::new("open sesame");
        let bearer = CredentialHeader::bearer().render(&secret).unwrap();
        assert_eq!(bearer, "Bearer open sesame");
        assert!(bearer.is_sensitive());
        let basic = CredentialHeader::basic("Aladdin").unwrap().render(&secret).unwrap();
        assert_eq!(basic, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        let any = CredentialHeader::template("X-Api-Key", "key={token};v=1").unwrap();
        assert_eq!(any.render(&secret).unwrap(), "key=open sesame;v=1");
    }

    #[test]
    fn what_would_break_the_wire_is_refused() {
        assert!(CredentialHeader::template("Host", "{token}").is_err());
        assert!(CredentialHeader::template("Proxy-Authorization", "{token}").is_err());
        assert!(CredentialHeader::template("x", "no place").is_err());
        assert!(CredentialHeader::template("x", "{token}{token}").is_err());
        assert!(CredentialHeader::bearer().render(&Secret::new("a\r\nx: y")).is_err());
        assert!(CredentialHeader::bearer().render(&Secret::new("")).is_err());
        assert!(CredentialHeader::basic("a:b").is_err());
    }
}
