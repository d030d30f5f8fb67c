//! One request to an OAuth server, and what may be believed of its answer.
//!
//! Checks an URL before anything is sent to it (https, or http to loopback), never follows a redirect, and
//! judges an answer in pure functions. Never lets a secret into an error.

use std::sync::Arc;

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
use crate::credential::answer::Granted;
use crate::credential::not_obtained::server_words;
use crate::http::Client;
use crate::http::Failed;
use crate::http::Form;
use crate::http::form_encode;
use crate::model::Authority;
use crate::model::Scheme;
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
}

/// RFC 8693 §3.
pub(super) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// `client_secret_basic`: both parts are form-encoded first (RFC 6749 §2.3.1).
fn basic(by: &ClientSecret) -> String {
    let pair = Secret::new(format!("{}:{}", form_encode(by.id.as_bytes()), form_encode(by.secret.expose())));
    format!("Basic {}", STANDARD.encode(pair.expose()))
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
}
