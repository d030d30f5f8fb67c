//! A zone's management API as commands ask it: where the environment says it is, with the token that it holds.

use bytes::Bytes;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::Output;
use crate::cli::Surroundings;
use crate::cli::auth;
use crate::http::Client;
use crate::limits;
use crate::model::Secret;
use crate::tls;

/// A zone, and the token to ask it with.
pub(in crate::cli) struct Api {
    url: String,
    token: Secret,
    client: Client,
}

impl Api {
    /// The zone and the token of the environment; without a token, as whoever is signed in to that zone, or to the one
    /// of this machine.
    ///
    /// # Errors
    /// When there is no token and nobody is signed in.
    pub(in crate::cli) async fn find(surroundings: &Surroundings, output: &mut Output) -> Result<Self, Failure> {
        let named = surroundings.environment.text("VALETKEY_API_URL").filter(|url| !url.is_empty());
        let token = surroundings.environment.text("VALETKEY_API_TOKEN").filter(|token| !token.is_empty());
        let (url, token) = match token {
            Some(token) => (named.unwrap_or(USUAL_URL).to_owned(), Secret::new(token)),
            None => auth::session_token(named.unwrap_or("local"), surroundings, output).await?,
        };
        let roots = tls::platform_roots(None);
        let tls = tls::client_config(&roots, &[], &[b"http/1.1"])
            .map_err(|error| Failure::new(Exit::Refused, "TLS can't be used").caused_by(&error))?;
        let client = Client::new(tls, limits::OUTBOUND_TIMEOUT, limits::OUTBOUND_ANSWER_BYTES_MAX);
        Ok(Self { url: url.trim_end_matches('/').to_owned(), token, client })
    }

    /// Whether the environment names both a zone and a token: then it is that zone that is meant.
    pub(in crate::cli) fn is_named(surroundings: &Surroundings) -> bool {
        let named = |name| surroundings.environment.text(name).is_some_and(|text| !text.is_empty());
        named("VALETKEY_API_URL") && named("VALETKEY_API_TOKEN")
    }

    /// Sends a request, its body as JSON; any status is an answer.
    ///
    /// # Errors
    /// When there is no answer, or the path is none.
    pub(in crate::cli) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Response<Bytes>, Failure> {
        let path = path.trim_start_matches('/');
        let mut request = Request::builder().method(method).uri(format!("{}/{path}", self.url));
        let authorization = format!("Bearer {}", self.token.expose_str().unwrap_or_default());
        request = request.header("authorization", authorization).header("accept", "application/json");
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(Bytes::from(body.unwrap_or_default()));
        let request = request.map_err(|_| Failure::new(Exit::Usage, "the endpoint or the token is not well-formed"))?;
        let sent = self.client.send(request).await;
        sent.map_err(|error| {
            Failure::new(Exit::Refused, "the zone can't be asked")
                .caused_by(&error)
                .hint("VALETKEY_API_URL says where it is")
        })
    }

    /// The answer's body read as `T`; whatever refuses is told in the zone's own words.
    ///
    /// # Errors
    /// When there is no answer, a refusal, or something else than `T`.
    pub(in crate::cli) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<T, Failure> {
        let answer = self.send(method, path, body.map(|body| body.to_string().into_bytes())).await?;
        let status = answer.status();
        if status.is_client_error() || status.is_server_error() {
            let problem: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
            let message = problem.get("message").and_then(Value::as_str).unwrap_or("it does not say why");
            let exit = if status == StatusCode::UNAUTHORIZED { Exit::NotPermitted } else { Exit::Refused };
            return Err(Failure::new(exit, format!("the zone answered {status}: {}", message.escape_debug())));
        }
        let body: &[u8] = if answer.body().is_empty() { b"null" } else { answer.body() };
        serde_json::from_slice(body).map_err(|error| {
            Failure::new(Exit::Refused, "the zone answered something else than it should")
                .caused_by(&error)
                .hint("does VALETKEY_API_URL name a zone of valetkey's?")
        })
    }

    /// The id of the first zone that the token sees.
    ///
    /// # Errors
    /// When it sees none, or there is no answer.
    pub(in crate::cli) async fn first_zone(&self) -> Result<String, Failure> {
        let answer = self.send(Method::GET, "/zones?limit=1", None).await?;
        let zones: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        let id = zones.pointer("/items/0/id").and_then(Value::as_str).map(str::to_owned);
        id.ok_or_else(|| {
            Failure::new(Exit::Refused, format!("the zones can't be listed: {}", answer.status()))
                .hint("name the zone with --zone, or use a token with the scope zones:read")
        })
    }
}

/// Where the embedded zone listens when nothing else is configured.
const USUAL_URL: &str = "http://127.0.0.1:7980";
