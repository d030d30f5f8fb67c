//! `application/x-www-form-urlencoded`, as OAuth requests are sent (WHATWG URL §5.2).
//!
//! A form may hold secrets: it has no `Display` and a silent `Debug`.

use std::fmt;

use bytes::Bytes;
use percent_encoding::AsciiSet;
use percent_encoding::NON_ALPHANUMERIC;
use percent_encoding::percent_encode;

/// Fields in the order they were added.
#[derive(Default)]
pub struct Form(String);

impl Form {
    /// The media type of what [`Form::into_bytes`] gives.
    pub const CONTENT_TYPE: &'static str = "application/x-www-form-urlencoded";

    /// Without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field. The value may be any bytes.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(&form_encode(name.as_bytes()));
        self.0.push('=');
        self.0.push_str(&form_encode(value.as_ref()));
        self
    }

    /// The body.
    pub fn into_bytes(self) -> Bytes {
        self.0.into()
    }
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Form(…)")
    }
}

/// One name or value: all but letters, digits and `*-._` escaped, a space as `+`.
pub fn form_encode(value: &[u8]) -> String {
    percent_encode(value, &ESCAPED).to_string().replace("%20", "+")
}

const ESCAPED: AsciiSet = NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_encoded_as_the_url_standard_says() {
        let form = Form::new().field("scope", "a b").field("resource", "https://x.example/?q=ü&c~*");
        assert_eq!(format!("{form:?}"), "Form(…)");
        assert_eq!(form.into_bytes(), "scope=a+b&resource=https%3A%2F%2Fx.example%2F%3Fq%3D%C3%BC%26c%7E*");
        assert_eq!(form_encode(b"a+b%20c"), "a%2Bb%2520c");
        assert!(Form::new().into_bytes().is_empty());
    }
}
