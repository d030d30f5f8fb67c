//! `Proxy-Authorization: Basic` (RFC 7617) as our own sessions send it: a session id and its secret.
//!
//! Decodes on the stack and wipes what it decoded; nothing is allocated, nothing is kept.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::GeneralPurpose;
use base64::engine::GeneralPurposeConfig;
use hyper::header::HeaderValue;
use zeroize::Zeroizing;

use crate::limits;

/// Hands id and secret to `with`. None when the value is not the Basic credentials of a session.
pub(in crate::agent) fn with_credentials<T>(value: &HeaderValue, with: impl FnOnce(&str, &[u8]) -> T) -> Option<T> {
    let encoded = after_scheme(value.as_bytes())?;
    let mut buffer = Zeroizing::new([0; limits::PROXY_CREDENTIALS_BYTES_MAX]);
    let length = BASE64.decode_slice(encoded, buffer.as_mut_slice()).ok()?;
    let decoded = buffer.get(..length)?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    let (id, rest) = decoded.split_at_checked(colon)?;
    let (_, secret) = rest.split_first()?;
    Some(with(std::str::from_utf8(id).ok()?, secret))
}

/// What follows `Basic` and at least one space (RFC 9110 §11.4; schemes are case-insensitive).
fn after_scheme(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(SCHEME.len())?;
    let credentials = rest.trim_ascii();
    let separated = rest.first() == Some(&b' ');
    (separated && scheme.eq_ignore_ascii_case(SCHEME) && !credentials.is_empty()).then_some(credentials)
}

const SCHEME: &[u8] = b"basic";

/// Some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Option<(String, String)> {
        let value = HeaderValue::from_str(value).unwrap();
        with_credentials(&value, |id, secret| (id.to_owned(), String::from_utf8_lossy(secret).into_owned()))
    }

    #[test]
    fn the_scheme_may_be_spelled_in_any_case_and_the_padding_left_out() {
        let expected = Some(("Aladdin".to_owned(), "open sesame".to_owned()));
        for value in [
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "basic QWxhZGRpbjpvcGVuIHNlc2FtZQ",
            "BASIC  QWxhZGRpbjpvcGVuIHNlc2FtZQ== ",
        ] {
            assert_eq!(read(value), expected, "{value}");
        }
    }

    #[test]
    fn what_is_not_basic_credentials_is_none() {
        let long = format!("Basic {}", "QUFB".repeat(100));
        for value in [
            "",
            "Basic",
            "Basic ",
            "BasicQWxhZGRpbjpv",
            "Bearer QWxhZGRpbjpv",
            "Basic !!!!",
            "Basic QWxhZGRpbg==",
            &long,
        ] {
            assert_eq!(read(value), None, "{value}");
        }
    }
}
