//! One request to an OAuth server, and what may be believed of its answer.
//!
//! Checks an URL before anything is sent to it (https, or http to loopback), never follows a redirect, and
//! judges an answer in pure functions. Never lets a secret into an error.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::Uri;
use hyper::header::ACCEPT;
use hyper::header::AUTHORIZATION;
use hyper::header::CONTENT_TYPE;
use hyper::header::HeaderValue;
use hyper::header::USER_AGENT;

use crate::credential::NotObtained;
use crate::credential::not_obtained::server_words;
use crate::http::Client;
use crate::http::Failed;
use crate::http::Form;
use crate::http::form_encode;
use crate::limits::TOKEN_BYTES_MAX;
use crate::limits::TOKEN_LIFETIME_MAX;
use crate::limits::TOKEN_LIFETIME_UNSTATED;
use crate::model::Authority;
use crate::model::Scheme;
use crate::model::Scopes;
use crate::model::Secret;

/// A URL that secrets may be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint(Uri);

/// A client id and its secret (RFC 6749 §2.3.1).
#[derive(Clone, Debug)]
pub(super) struct ClientSecret {
    pub(super) id: String,
    pub(super) secret: Secret,
}

/// What a token endpoint granted.
#[derive(Debug)]
pub(super) struct Granted {
    pub(super) token: Secret,
    pub(super) lifetime: Duration,
    pub(super) scopes: Scopes,
    pub(super) refresh_token: Option<Secret>,
}

impl Endpoint {
    pub(super) fn parse(url: &str) -> Result<Self, NotObtained> {
        let refuse = || NotObtained::Insecure(server_words(url, &[]));
        let uri: Uri = url.parse().map_err(|_| refuse())?;
        let scheme = match uri.scheme_str() {
            Some("https") => Scheme::Https,
            Some("http") => Scheme::Http,
            _ => return Err(refuse()),
        };
        let authority = uri.authority().ok_or_else(refuse)?;
        let authority = Authority::parse_or(authority.as_str(), scheme.default_port()).map_err(|_| refuse())?;
        let loopback = match authority.host.address() {
            Some(address) => address.is_loopback(),
            None => authority.host.as_str() == "localhost",
        };
        if scheme == Scheme::Https || loopback { Ok(Self(uri)) } else { Err(refuse()) }
    }

    /// Scheme, host and port: how people know the server.
    pub(super) fn server(&self) -> String {
        let authority = self.0.authority().map_or("", hyper::http::uri::Authority::as_str);
        format!("{}://{authority}", self.0.scheme_str().unwrap_or(""))
    }

    /// POSTs `form` and reads the token; `target` is what it is for, in words, `secrets` what the form holds.
    pub(super) async fn token(
        &self,
        client: &Client,
        by: &ClientSecret,
        form: Form,
        target: &str,
        secrets: &[&Secret],
    ) -> Result<Granted, NotObtained> {
        let mut request = self.request("POST", form.into_bytes(), &self.server())?;
        let basic = basic(by);
        let mut authorization =
            HeaderValue::from_str(&basic).map_err(|_| self.unusable("the client id is not legal"))?;
        authorization.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, authorization);
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(Form::CONTENT_TYPE));
        let answer = self.send(client, request).await?;
        let encoded: Vec<String> = secrets.iter().map(|secret| form_encode(secret.expose())).collect();
        let mut sent: Vec<&str> = encoded.iter().map(String::as_str).collect();
        sent.extend(secrets.iter().filter_map(|secret| secret.expose_str()));
        sent.extend(by.secret.expose_str());
        sent.extend(basic.strip_prefix("Basic "));
        self.granted(&answer, target, &sent)
    }

    /// POSTs JSON with a bearer token, such as a registration (RFC 7591 §3.1).
    pub(super) async fn post_json(
        &self,
        client: &Client,
        bearer: &Secret,
        body: &serde_json::Value,
        target: &str,
    ) -> Result<Bytes, NotObtained> {
        let mut request = self.request("POST", Bytes::from(body.to_string()), &self.server())?;
        let value = [b"Bearer ", bearer.expose()].concat();
        let mut authorization =
            HeaderValue::from_bytes(&value).map_err(|_| self.unusable("the registration token is not legal"))?;
        authorization.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, authorization);
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let answer = self.send(client, request).await?;
        if answer.status() == StatusCode::CREATED || answer.status() == StatusCode::OK {
            return Ok(answer.into_body());
        }
        Err(self.refusal(&answer, target, &bearer.expose_str().into_iter().collect::<Vec<_>>()))
    }

    /// GETs a document; any status is an answer.
    pub(super) async fn get(&self, client: &Client) -> Result<Response<Bytes>, NotObtained> {
        let request = self.request("GET", Bytes::new(), &self.server())?;
        self.send(client, request).await
    }

    /// The server's answer breaks the rules: `what` of it.
    pub(super) fn unusable(&self, what: impl Into<String>) -> NotObtained {
        NotObtained::Unusable { server: self.server(), what: what.into() }
    }

    fn request(&self, method: &str, body: Bytes, server: &str) -> Result<Request<Bytes>, NotObtained> {
        let request = Request::builder()
            .method(method)
            .uri(self.0.clone())
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("valetkey/", env!("CARGO_PKG_VERSION")));
        request.body(body).map_err(|_| NotObtained::Insecure(server.to_owned()))
    }

    async fn send(&self, client: &Client, request: Request<Bytes>) -> Result<Response<Bytes>, NotObtained> {
        let answer = client.send(request).await.map_err(|failed| self.failed(failed))?;
        let status = answer.status();
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(NotObtained::Failing { server: self.server(), status: status.as_u16() });
        }
        if status.is_redirection() {
            return Err(self.unusable("it redirects, and a secret follows no redirect"));
        }
        Ok(answer)
    }

    fn failed(&self, failed: Failed) -> NotObtained {
        let server = self.server();
        match failed {
            Failed::Timeout { timeout, .. } => NotObtained::Slow { server, bound: timeout },
            Failed::TooLarge(_) => self.unusable("it is too large"),
            Failed::CutShort(_) => self.unusable("it breaks off in the middle"),
            Failed::Http { .. } => self.unusable("it is not HTTP"),
            failed @ (Failed::Url(_) | Failed::Connect { .. } | Failed::Tls { .. }) => {
                NotObtained::Unreachable { server, source: Arc::new(failed) }
            }
        }
    }

    /// RFC 6749 §5.1.
    fn granted(&self, answer: &Response<Bytes>, target: &str, sent: &[&str]) -> Result<Granted, NotObtained> {
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
    fn refusal(&self, answer: &Response<Bytes>, target: &str, sent: &[&str]) -> NotObtained {
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

/// RFC 8693 §3.
pub(super) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";

/// `client_secret_basic`: both parts are form-encoded first (RFC 6749 §2.3.1).
fn basic(by: &ClientSecret) -> String {
    let pair = Secret::new(format!("{}:{}", form_encode(by.id.as_bytes()), form_encode(by.secret.expose())));
    format!("Basic {}", STANDARD.encode(pair.expose()))
}

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
    fn secrets_go_to_https_or_loopback_only() {
        for url in ["https://zone.example/token", "http://127.0.0.1:8080/t", "http://[::1]/t", "http://localhost:1/"] {
            assert!(Endpoint::parse(url).is_ok(), "{url}");
        }
        for url in [
            "http://zone.example/t",
            "ftp://127.0.0.1/",
            "/token",
            "http://127.0.0.1@evil.example/",
            "http://localhost.evil.example/",
            "",
        ] {
            assert!(Endpoint::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_client_authenticates_as_rfc_6749_says() {
        let by = ClientSecret { id: "a:b c".to_owned(), secret: Secret::new("p%q") };
        assert_eq!(basic(&by), format!("Basic {}", STANDARD.encode("a%3Ab+c:p%25q")));
    }

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
