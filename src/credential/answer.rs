//! What may be believed of a token endpoint's answer: pure, strict where it matters for the wire, lenient where
//! real servers differ. Never lets a secret into an error.

use std::time::Duration;

use bytes::Bytes;
use hyper::Response;
use hyper::StatusCode;

use crate::credential::NotObtained;
use crate::credential::endpoint::ACCESS_TOKEN;
use crate::credential::endpoint::Endpoint;
use crate::credential::not_obtained::server_words;
use crate::limits::TOKEN_BYTES_MAX;
use crate::limits::TOKEN_LIFETIME_MAX;
use crate::limits::TOKEN_LIFETIME_UNSTATED;
use crate::model::Scopes;
use crate::model::Secret;

/// What a token endpoint granted.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) token: Secret,
    pub(super) lifetime: Duration,
    pub(super) scopes: Scopes,
    pub(super) refresh_token: Option<Secret>,
}

impl Endpoint {
    /// RFC 6749 §5.1.
    pub(super) fn granted(
        &self,
        answer: &Response<Bytes>,
        target: &str,
        sent: &[&str],
    ) -> Result<Granted, NotObtained> {
        if answer.status() != StatusCode::OK {
            return Err(self.refusal(answer, target, sent));
        }
        let answer_is = |what: &str| self.unusable(what);
        let fields: TokenAnswer =
            serde_json::from_slice(answer.body()).map_err(|_| answer_is("it is no JSON object"))?;
        if let Some(error) = &fields.error {
            return Err(self.denied(target, error, fields.error_description.as_deref(), sent));
        }
        let token = fields.access_token.map(|token| Secret::new(token.into_bytes()));
        let token = token.filter(|token| !token.is_empty()).ok_or_else(|| answer_is("it holds no `access_token`"))?;
        if token.expose().len() > TOKEN_BYTES_MAX {
            return Err(answer_is("its `access_token` is too long for a header"));
        }
        if !token.expose().iter().all(u8::is_ascii_graphic) {
            return Err(answer_is("its `access_token` holds a byte that no header may carry"));
        }
        let bearer = fields.token_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("bearer"));
        if !bearer {
            return Err(answer_is("its `token_type` is not `Bearer`"));
        }
        if fields.issued_token_type.as_deref().is_some_and(|kind| kind != ACCESS_TOKEN && kind != JWT) {
            return Err(answer_is("its `issued_token_type` is not an access token"));
        }
        Ok(Granted {
            token,
            lifetime: lifetime(fields.expires_in.as_ref())
                .ok_or_else(|| answer_is("its `expires_in` is no positive number"))?,
            scopes: scopes(fields.scope.as_ref()).ok_or_else(|| answer_is("its `scope` is not legal"))?,
            refresh_token: fields
                .refresh_token
                .filter(|token| !token.is_empty())
                .map(|token| Secret::new(token.into_bytes())),
        })
    }

    /// An answer that is neither success, 5xx nor redirect: RFC 6749 §5.2, or nothing that can be used.
    pub(super) fn refusal(&self, answer: &Response<Bytes>, target: &str, sent: &[&str]) -> NotObtained {
        let fields = serde_json::from_slice::<TokenAnswer>(answer.body()).ok();
        match fields.as_ref().and_then(|fields| Some((fields.error.as_deref()?, fields.error_description.as_deref()))) {
            Some((error, description)) => self.denied(target, error, description, sent),
            None => self.unusable(format!("status {} without an OAuth error", answer.status().as_u16())),
        }
    }

    fn denied(&self, target: &str, error: &str, description: Option<&str>, sent: &[&str]) -> NotObtained {
        NotObtained::Denied {
            server: self.server(),
            target: target.to_owned(),
            error: server_words(error, sent),
            description: server_words(description.unwrap_or(""), sent),
        }
    }
}

/// Success and failure in one, because some servers answer 200 with an `error`.
#[derive(serde::Deserialize)]
struct TokenAnswer {
    access_token: Option<String>,
    token_type: Option<String>,
    issued_token_type: Option<String>,
    expires_in: Option<serde_json::Value>,
    scope: Option<serde_json::Value>,
    refresh_token: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// A number of seconds, or the string of one, as some servers send.
fn lifetime(expires_in: Option<&serde_json::Value>) -> Option<Duration> {
    let seconds = match expires_in {
        None | Some(serde_json::Value::Null) => return Some(TOKEN_LIFETIME_UNSTATED),
        Some(serde_json::Value::Number(number)) => number.as_u64()?,
        Some(serde_json::Value::String(text)) => text.parse().ok()?,
        Some(_) => return None,
    };
    (seconds > 0).then(|| Duration::from_secs(seconds).min(TOKEN_LIFETIME_MAX))
}

/// A space-separated list, or an array, as some servers send.
fn scopes(scope: Option<&serde_json::Value>) -> Option<Scopes> {
    match scope {
        None | Some(serde_json::Value::Null) => Some(Scopes::default()),
        Some(serde_json::Value::String(list)) => Scopes::parse(list).ok(),
        Some(serde_json::Value::Array(list)) => {
            let list: Option<Vec<&str>> = list.iter().map(serde_json::Value::as_str).collect();
            Scopes::collect(list?).ok()
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_is_a_positive_number_of_seconds_within_a_day() {
        let of = |json: &str| lifetime(Some(&serde_json::from_str(json).unwrap()));
        assert_eq!(of("300"), Some(Duration::from_secs(300)));
        assert_eq!(of("\"300\""), Some(Duration::from_secs(300)));
        assert_eq!(of("99999999999"), Some(TOKEN_LIFETIME_MAX));
        assert_eq!(of("null"), Some(TOKEN_LIFETIME_UNSTATED));
        assert_eq!(lifetime(None), Some(TOKEN_LIFETIME_UNSTATED));
        for bad in ["0", "-1", "1.5", "\"\"", "\"-1\"", "[]", "true", "1e99"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
