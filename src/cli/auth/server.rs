//! The zone as the command line knows it: its metadata, and the requests that need no person.

use std::sync::Arc;

use axum::http::Request;
use axum::http::StatusCode;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::Output;
use crate::cli::Surroundings;
use crate::cli::auth::wallet::Held;
use crate::cli::reach;
use crate::http::Client;
use crate::http::Form;
use crate::limits;
use crate::model::Clock;
use crate::model::Timestamp;
use crate::os::SystemClock;
use crate::tls;

/// One zone.
pub(super) struct Server {
    pub(super) issuer: String,
    /// Whether its files are on this machine and this person's own.
    pub(super) is_own: bool,
    /// Its person, where it is the personal one.
    pub(super) owner: Option<String>,
    pub(super) metadata: Metadata,
    client: Client,
    clock: Arc<dyn Clock>,
}

/// RFC 8414, as far as it is of use here.
#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    pub(super) token_endpoint: String,
    pub(super) authorization_endpoint: Option<String>,
    pub(super) device_authorization_endpoint: Option<String>,
    registration_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    userinfo_endpoint: Option<String>,
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
    /// Our own zones say under which name they know this program.
    valetkey_client_id: Option<String>,
}

/// Why the zone gave nothing.
pub(super) enum NotGiven {
    /// Its word for it.
    Refused(String),
    /// There was no word.
    Failed(Failure),
}

impl From<NotGiven> for Failure {
    fn from(not_given: NotGiven) -> Self {
        match not_given {
            NotGiven::Refused(error) => Self::new(Exit::Refused, format!("the zone refused: {error}")),
            NotGiven::Failed(failure) => failure,
        }
    }
}

impl Server {
    /// The zone that is meant by `named`; the daemon is started to ask for its own.
    pub(super) async fn find(named: &str, surroundings: &Surroundings, output: &mut Output) -> Result<Self, Failure> {
        let (issuer, is_own, owner) = match named {
            "local" => {
                let client = reach::client(surroundings);
                let status = reach::or_start(&client, surroundings.config_file(None), surroundings, output).await?;
                (status.zone.issuer, status.zone.detail.starts_with("embedded"), Some(status.user.to_string()))
            }
            url if url.starts_with("https://") || url.starts_with("http://") => (url.to_owned(), false, None),
            id if id.len() == 26 && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) => {
                (format!("https://{id}.keycard.cloud"), false, None)
            }
            other => {
                return Err(Failure::new(Exit::Usage, format!("`{other}` is no zone"))
                    .hint("say `local`, a zone's id of 26 letters and digits, or its issuer URL"));
            }
        };
        let issuer = issuer.trim_end_matches('/').to_owned();
        if issuer.starts_with("http://") && !is_here(&issuer) {
            return Err(Failure::new(Exit::Usage, format!("`{issuer}` is not https"))
                .hint("tokens travel in the clear on this machine only"));
        }
        let roots = tls::platform_roots(None);
        let tls = tls::client_config(&roots, &[], &[b"http/1.1"])
            .map_err(|error| Failure::new(Exit::Refused, "TLS can't be used").caused_by(&error))?;
        let client = Client::new(tls, limits::OUTBOUND_TIMEOUT, limits::OUTBOUND_ANSWER_BYTES_MAX);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let metadata = discover(&client, &issuer).await?;
        Ok(Self { issuer, is_own, owner, metadata, client, clock })
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The name under which the zone knows this program; registered first where it knows none.
    pub(super) async fn client_id(&self, redirect_uri: &str) -> Result<String, Failure> {
        if let Some(known) = &self.metadata.valetkey_client_id {
            return Ok(known.clone());
        }
        let Some(endpoint) = &self.metadata.registration_endpoint else {
            return Err(Failure::new(Exit::Refused, "the zone does not let this program register"));
        };
        let metadata = json!({
            "client_name": "valetkey on the command line",
            "token_endpoint_auth_method": "none",
            "redirect_uris": [redirect_uri],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
        });
        let request = Request::post(endpoint).header("content-type", "application/json");
        let answer = self.send(request.body(Bytes::from(metadata.to_string()))).await?;
        let registered = answer.get("client_id").and_then(Value::as_str);
        registered.map(str::to_owned).ok_or_else(|| not_understood(&self.issuer))
    }

    /// Sends a form; the answer's members.
    pub(super) async fn form(&self, endpoint: &str, form: Form) -> Result<Value, NotGiven> {
        let request = Request::post(endpoint).header("content-type", Form::CONTENT_TYPE);
        self.send(request.body(form.into_bytes())).await
    }

    /// Tokens for a form of the token endpoint.
    pub(super) async fn tokens(&self, client_id: &str, form: Form) -> Result<Held, NotGiven> {
        let answer = self.form(&self.metadata.token_endpoint, form.field("client_id", client_id)).await?;
        let word = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
        let access_token = word("access_token").ok_or_else(|| NotGiven::Failed(not_understood(&self.issuer)))?;
        let lifetime_s = answer.get("expires_in").and_then(Value::as_i64).unwrap_or(0);
        Ok(Held {
            issuer: self.issuer.clone(),
            client_id: client_id.to_owned(),
            access_token,
            expires_at: self.now().as_seconds().saturating_add(lifetime_s),
            refresh_token: word("refresh_token"),
            scope: word("scope"),
        })
    }

    /// Whether the token at hand has ended, or is about to.
    pub(super) fn is_stale(&self, held: &Held) -> bool {
        held.expires_at <= self.now().as_seconds().saturating_add(LEEWAY_S)
    }

    /// The next token.
    pub(super) async fn renew(&self, held: &Held) -> Result<Held, NotGiven> {
        let refused = || NotGiven::Refused("invalid_grant".to_owned());
        let refresh_token = held.refresh_token.as_ref().ok_or_else(refused)?;
        let form = Form::new().field("grant_type", "refresh_token").field("refresh_token", refresh_token);
        let renewed = self.tokens(&held.client_id, form).await?;
        let refresh_token = renewed.refresh_token.or_else(|| held.refresh_token.clone());
        Ok(Held { refresh_token, ..renewed })
    }

    /// Ends the session at the zone, where it knows how.
    pub(super) async fn revoke(&self, held: &Held) -> Result<(), Failure> {
        let Some(endpoint) = &self.metadata.revocation_endpoint else { return Ok(()) };
        let token = held.refresh_token.as_ref().unwrap_or(&held.access_token);
        self.form(endpoint, Form::new().field("token", token).field("client_id", &held.client_id)).await?;
        Ok(())
    }

    /// Who the zone says this is.
    pub(super) async fn who(&self, held: &Held) -> Result<Value, Failure> {
        let Some(endpoint) = &self.metadata.userinfo_endpoint else {
            return Err(Failure::new(Exit::Refused, "the zone does not say who is signed in"));
        };
        let request = Request::get(endpoint).header("authorization", format!("Bearer {}", held.access_token));
        match self.send(request.body(Bytes::new())).await {
            Err(NotGiven::Refused(error)) if error == "invalid_token" => {
                let failure = Failure::new(Exit::Refused, format!("you are no longer signed in to {}", self.issuer));
                Err(failure.hint("`valetkey auth signin` signs you in"))
            }
            answer => Ok(answer?),
        }
    }

    async fn send(&self, request: axum::http::Result<Request<Bytes>>) -> Result<Value, NotGiven> {
        let failed = |error: &dyn std::error::Error| {
            let message = format!("{} could not be asked", self.issuer);
            NotGiven::Failed(Failure::new(Exit::Refused, message).caused_by(error))
        };
        let answer = self.client.send(request.map_err(|error| failed(&error))?).await;
        let answer = answer.map_err(|error| failed(&error))?;
        let members: Option<Value> = serde_json::from_slice(answer.body()).ok();
        if answer.status().is_success() {
            // RFC 7009 §2.2: the answer to a revocation is empty.
            return Ok(members.unwrap_or(Value::Null));
        }
        let error = members.as_ref().and_then(|members| members.get("error")).and_then(Value::as_str);
        match error.filter(|error| error.len() < 64 && error.bytes().all(|byte| byte.is_ascii_graphic())) {
            Some(error) => Err(NotGiven::Refused(error.to_owned())),
            None => Err(NotGiven::Failed(not_understood(&self.issuer))),
        }
    }
}

/// The zone's own metadata (RFC 8414 §3.3), at either well-known address.
async fn discover(client: &Client, issuer: &str) -> Result<Metadata, Failure> {
    for name in ["oauth-authorization-server", "openid-configuration"] {
        let request = Request::get(format!("{issuer}/.well-known/{name}")).body(Bytes::new());
        let request = request.map_err(|_| Failure::new(Exit::Usage, format!("`{issuer}` is no address")))?;
        let answer = client
            .send(request)
            .await
            .map_err(|error| Failure::new(Exit::Refused, format!("{issuer} could not be asked")).caused_by(&error))?;
        if answer.status() != StatusCode::OK {
            continue;
        }
        let metadata: Metadata = serde_json::from_slice(answer.body()).map_err(|_| not_understood(issuer))?;
        if metadata.issuer.trim_end_matches('/') == issuer {
            return Ok(metadata);
        }
        return Err(Failure::new(Exit::Refused, format!("{issuer} shows the metadata of another zone")));
    }
    Err(Failure::new(Exit::Refused, format!("{issuer} is no zone: it has no metadata")))
}

fn not_understood(issuer: &str) -> Failure {
    Failure::new(Exit::Refused, format!("what {issuer} answers is not understood"))
}

fn is_here(issuer: &str) -> bool {
    let authority = issuer.strip_prefix("http://").unwrap_or_default();
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    matches!(host, "127.0.0.1" | "[::1]" | "localhost")
}

/// A token that ends within this time is renewed first.
const LEEWAY_S: i64 = 30;
