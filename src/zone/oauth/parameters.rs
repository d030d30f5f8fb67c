//! The form of a token request, under the rules of RFC 6749 §3.2.

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use zeroize::Zeroizing;

use crate::model::Secret;
use crate::model::SessionId;
use crate::zone::oauth::refusal::Refusal;

/// The parameters as they were sent, wiped when the request is over: secrets and tokens are among them.
pub(in crate::zone) struct Parameters(Zeroizing<Vec<(String, String)>>);

/// The form as axum read it.
pub(in crate::zone) type Sent = Result<Form<Vec<(String, String)>>, FormRejection>;

impl Parameters {
    /// Unknown parameters are kept and never looked at.
    pub(in crate::zone) fn read(sent: Sent) -> Result<Self, Refusal> {
        match sent {
            Ok(Form(pairs)) => Ok(Self(Zeroizing::new(pairs))),
            Err(rejection) => Err(match rejection.into_response().status() {
                StatusCode::PAYLOAD_TOO_LARGE => Refusal::too_large(),
                _ => Refusal::invalid_request("The body must be application/x-www-form-urlencoded"),
            }),
        }
    }

    /// The parameters of an address (`?a=b&c=d`, without the question mark).
    pub(in crate::zone) fn of_query(query: &str) -> Self {
        Self(Zeroizing::new(url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()))
    }

    /// The parameters as an address has them.
    pub(in crate::zone) fn to_query(&self) -> String {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(self.0.iter()).finish()
    }

    /// The first of a name, however many there are.
    pub(in crate::zone) fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(sent, value)| sent == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// A parameter that may be sent once; without a value it counts as omitted.
    pub(in crate::zone) fn one(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let mut values = self.0.iter().filter(|(sent, _)| sent == name).map(|(_, value)| value.as_str());
        let value = values.next();
        if values.next().is_some() {
            return Err(Refusal::invalid_request("A parameter is repeated"));
        }
        Ok(value.filter(|value| !value.is_empty()))
    }

    /// A parameter that may be repeated (RFC 8707 §2).
    pub(in crate::zone) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(sent, value)| sent == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// A parameter that must not be shown.
    pub(in crate::zone) fn secret(&self, name: &str) -> Result<Option<Secret>, Refusal> {
        Ok(self.one(name)?.map(Secret::new))
    }

    /// `session_id`, an extension: the session that the token will name. Servers that don't know it ignore it.
    pub(in crate::zone) fn session(&self) -> Result<Option<SessionId>, Refusal> {
        let Some(text) = self.one("session_id")? else { return Ok(None) };
        let id = SessionId::parse(text);
        id.map(Some).map_err(|_| Refusal::invalid_request("The session_id is not legal"))
    }
}
