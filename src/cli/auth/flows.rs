//! The ways to sign in: by the files of the personal zone, in a browser, on another device.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use url::Url;

use crate::cli::Exit;
use crate::cli::Failure;
use crate::cli::Output;
use crate::cli::Surroundings;
use crate::cli::auth::browser;
use crate::cli::auth::browser::Callback;
use crate::cli::auth::server::NotGiven;
use crate::cli::auth::server::Server;
use crate::cli::auth::wallet::Held;
use crate::http::Form;
use crate::jose::hash_of;
use crate::os::random;
use crate::zone;
use crate::zone::Database;

/// By which way.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// Without a question where that can be, else in a browser.
    Easiest,
    Browser,
    Device,
}

/// What is asked of the zone.
pub(super) struct Wish {
    pub(super) resources: Vec<String>,
    pub(super) scopes: Option<String>,
    pub(super) login_hint: Option<String>,
    /// Even when the person is signed in.
    pub(super) again: bool,
}

impl Wish {
    /// To be signed in, and nothing more.
    pub(super) fn sign_in() -> Self {
        Self { resources: Vec::new(), scopes: None, login_hint: None, again: false }
    }

    /// A bare sign-in is for the person's own session.
    fn scope(&self) -> Option<&str> {
        match &self.scopes {
            Some(scopes) => Some(scopes),
            None if self.resources.is_empty() => Some("openid profile email"),
            None => None,
        }
    }
}

/// Signs in; what was given.
pub(super) async fn sign_in(
    server: &Server,
    flow: Flow,
    wish: &Wish,
    surroundings: &Surroundings,
    output: &mut Output,
) -> Result<Held, Failure> {
    match flow {
        Flow::Easiest if server.is_own => by_files(server, surroundings).await,
        Flow::Easiest | Flow::Browser => by_browser(server, wish, surroundings, output).await,
        Flow::Device => by_device(server, wish, output).await,
    }
}

/// The personal zone's files are this person's own: who may write them needs no password.
async fn by_files(server: &Server, surroundings: &Surroundings) -> Result<Held, Failure> {
    let verifier = word();
    let database = Database::Sqlite(surroundings.paths.zone_database());
    let owner = server.owner.as_deref().unwrap_or_default();
    let code = zone::code_for_owner(&database, owner, &hash_of(&verifier), server.now()).await;
    let code = code.map_err(|error| {
        let failure = Failure::new(Exit::Refused, "the zone of this machine can't be used").caused_by(&error);
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })?;
    let form = Form::new()
        .field("grant_type", "authorization_code")
        .field("code", code.expose())
        .field("redirect_uri", zone::OWN_REDIRECT)
        .field("code_verifier", &verifier);
    Ok(server.tokens(zone::OWN_CLIENT, form).await?)
}

/// RFC 8252 with PKCE, `state` and `iss`.
async fn by_browser(
    server: &Server,
    wish: &Wish,
    surroundings: &Surroundings,
    output: &mut Output,
) -> Result<Held, Failure> {
    let Some(endpoint) = &server.metadata.authorization_endpoint else {
        return Err(Failure::new(Exit::Refused, format!("{} has no page to sign in at", server.issuer)));
    };
    let callback = Callback::open().await?;
    let client_id = server.client_id(&callback.redirect_uri).await?;
    let (verifier, state) = (word(), word());
    let mut url = Url::parse(endpoint)
        .map_err(|error| Failure::new(Exit::Refused, "the zone's own address is not understood").caused_by(&error))?;
    {
        let mut query = url.query_pairs_mut();
        query.extend_pairs([
            ("response_type", "code"),
            ("client_id", client_id.as_str()),
            ("redirect_uri", callback.redirect_uri.as_str()),
            ("state", state.as_str()),
            ("code_challenge", hash_of(&verifier).as_str()),
            ("code_challenge_method", "S256"),
        ]);
        query.extend_pairs(wish.resources.iter().map(|resource| ("resource", resource)));
        query.extend_pairs(wish.scope().map(|scope| ("scope", scope)));
        query.extend_pairs(wish.login_hint.iter().map(|hint| ("login_hint", hint)));
        if wish.again {
            query.append_pair("prompt", "login");
        }
    }
    let url = match server.is_own && !wish.again {
        true => own_link(server, surroundings, &url).await?,
        false => url,
    };
    browser::show(url.as_str(), surroundings, output);
    let brought = callback.answer(&state).await?;
    // RFC 9207: an answer of another zone is nobody's answer.
    let from_here = match brought.one("iss") {
        Some(issuer) => issuer.trim_end_matches('/') == server.issuer,
        None => !server.metadata.authorization_response_iss_parameter_supported,
    };
    if !from_here {
        return Err(Failure::new(Exit::Refused, "the answer came from another zone"));
    }
    if let Some(error) = brought.one("error") {
        let error: String = error.chars().filter(char::is_ascii_graphic).take(64).collect();
        return Err(Failure::new(Exit::Refused, format!("the zone refused: {error}")));
    }
    let code = brought.one("code").ok_or_else(|| Failure::new(Exit::Refused, "the answer has no code"))?;
    let form = Form::new()
        .field("grant_type", "authorization_code")
        .field("code", code)
        .field("redirect_uri", &callback.redirect_uri)
        .field("code_verifier", &verifier);
    let form = wish.resources.first().into_iter().fold(form, |form, first| form.field("resource", first));
    Ok(server.tokens(&client_id, form).await?)
}

/// At the personal zone the browser is signed in by a link: nobody has a password there unless they want one.
async fn own_link(server: &Server, surroundings: &Surroundings, asked: &Url) -> Result<Url, Failure> {
    let unusable = |error: &dyn std::error::Error| {
        Failure::new(Exit::Refused, "the zone of this machine can't be used").caused_by(error)
    };
    let (file, owner) = (surroundings.paths.zone_database(), server.owner.as_deref().unwrap_or_default());
    let (sealing_key, database) = (file.with_extension("seal"), Database::Sqlite(file));
    let link = zone::sign_in_link(&database, &sealing_key, &server.issuer, owner, server.now()).await;
    let link = link.map_err(|error| unusable(&error))?;
    let mut url = Url::parse(link.expose_str().unwrap_or_default()).map_err(|error| unusable(&error))?;
    let going_on = format!("{}?{}", asked.path(), asked.query().unwrap_or_default());
    url.query_pairs_mut().append_pair("continue", &going_on);
    Ok(url)
}

/// RFC 8628.
async fn by_device(server: &Server, wish: &Wish, output: &mut Output) -> Result<Held, Failure> {
    let Some(endpoint) = &server.metadata.device_authorization_endpoint else {
        return Err(Failure::new(Exit::Refused, format!("{} knows no device codes", server.issuer)));
    };
    let client_id = server.client_id(zone::OWN_REDIRECT).await?;
    let form = Form::new().field("client_id", &client_id);
    let form = wish.scope().into_iter().fold(form, |form, scope| form.field("scope", scope));
    let asked = server.form(endpoint, form).await?;
    let text = |name: &str| asked.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (code, user_code, page) = (text("device_code"), text("user_code"), text("verification_uri"));
    output.talk(format_args!("go to {page} on any device and type this code:"));
    output.talk(format_args!("  {user_code}"));
    let mut interval = asked.get("interval").and_then(Value::as_u64).unwrap_or(5).clamp(1, 60);
    let lifetime = asked.get("expires_in").and_then(Value::as_u64).unwrap_or(600);
    let polled = tokio::time::timeout(Duration::from_secs(lifetime), async {
        loop {
            tokio::time::sleep(Duration::from_secs(interval)).await;
            let form = Form::new().field("grant_type", DEVICE_CODE).field("device_code", &code);
            match server.tokens(&client_id, form).await {
                Err(NotGiven::Refused(error)) if error == "authorization_pending" => {}
                Err(NotGiven::Refused(error)) if error == "slow_down" => interval = interval.saturating_add(5),
                answer => return answer,
            }
        }
    });
    match polled.await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Failure::new(Exit::Refused, "nobody typed the code in time").hint("run the command again")),
    }
}

/// 256 random bits.
fn word() -> String {
    URL_SAFE_NO_PAD.encode(random::bytes::<32>())
}

const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
