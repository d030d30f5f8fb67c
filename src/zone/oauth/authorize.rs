//! The authorization request (RFC 6749 §4.1.1, RFC 7636, RFC 8707, RFC 9207), read and judged before a person sees it.
//!
//! Until client and redirect address are known to belong together, a fault is told to the person and nobody is
//! redirected; after that, it is told to the client at its own address. Never: a redirect to an address that was not
//! registered, a response without `iss`, a code without a challenge where the zone asks for one.

use crate::limits::ZONE_PARAMETER_BYTES_MAX;
use crate::limits::ZONE_RESOURCES_MAX;
use crate::model::Scopes;
use crate::zone::address;
use crate::zone::id::UserId;
use crate::zone::id_token::IdTokenHint;
use crate::zone::issuer::Issuer;
use crate::zone::oauth::client::Client;
use crate::zone::oauth::code::OWN_SCOPES;
use crate::zone::oauth::parameters::Parameters;
use crate::zone::oauth::prompt::Prompt;
use crate::zone::oauth::refusal::Refusal;
use crate::zone::oauth::target;
use crate::zone::oauth::token::AUTHORIZATION_CODE;
use crate::zone::people::Asking;
use crate::zone::store::Allowed;
use crate::zone::store::BrowserSession;
use crate::zone::store::ProofKey;
use crate::zone::store::Protocols;

/// A request that may be put to a person.
pub(in crate::zone) struct Authorization {
    pub(in crate::zone) client: Client,
    pub(in crate::zone) reply: ReplyTo,
    pub(in crate::zone) challenge: String,
    pub(in crate::zone) resources: Vec<String>,
    pub(in crate::zone) scopes: Scopes,
    pub(in crate::zone) nonce: Option<String>,
    /// The key that the code is to be bound to (RFC 9449 §10).
    pub(in crate::zone) key: Option<String>,
    pub(in crate::zone) prompt: Prompt,
    /// A sign-in older than this many seconds does not count.
    pub(in crate::zone) age_max_s: Option<u64>,
    pub(in crate::zone) login_hint: Option<String>,
    /// Whom the client expects.
    pub(in crate::zone) expected: Option<IdTokenHint>,
    /// Whether it comes back from a sign-in that it asked for.
    pub(in crate::zone) was_asked: bool,
}

/// Where the client hears the answer.
#[derive(Clone, Debug)]
pub(in crate::zone) struct ReplyTo {
    pub(in crate::zone) redirect_uri: String,
    pub(in crate::zone) state: Option<String>,
}

/// Why a request is not put to a person.
#[derive(Debug)]
pub(in crate::zone) enum NotAsked {
    /// Told to the person: nobody knows whose request it is.
    Here(Refusal),
    /// Told to the client.
    There(ReplyTo, Refusal),
}

impl ReplyTo {
    /// The client's address with the answer, and who gives it.
    pub(in crate::zone) fn with(&self, issuer: &Issuer, answer: &[(&str, &str)]) -> Option<String> {
        let mut parameters = answer.to_vec();
        if let Some(state) = &self.state {
            parameters.push(("state", state));
        }
        parameters.push(("iss", issuer.url()));
        address::with_parameters(&self.redirect_uri, &parameters)
    }
}

impl Authorization {
    /// Reads and judges the request.
    pub(in crate::zone) async fn read(issuer: &Issuer, parameters: &Parameters) -> Result<Self, NotAsked> {
        let (client, reply) = parties(issuer, parameters).await.map_err(NotAsked::Here)?;
        match Self::read_rest(issuer, parameters, client, reply.clone()).await {
            Ok(authorization) => Ok(authorization),
            Err(refusal) => Err(NotAsked::There(reply, refusal)),
        }
    }

    async fn read_rest(
        issuer: &Issuer,
        parameters: &Parameters,
        client: Client,
        reply: ReplyTo,
    ) -> Result<Self, Refusal> {
        // A repeated `state` is not echoed; it is refused like any other that is repeated.
        parameters.one("state")?;
        if parameters.one("request")?.is_some() {
            return Err(Refusal::request("request_not_supported", "Request objects are not supported"));
        }
        if parameters.one("request_uri")?.is_some() {
            return Err(Refusal::request("request_uri_not_supported", "Request objects are not supported"));
        }
        match parameters.one("response_type")? {
            Some("code") => {}
            Some(_) => return Err(Refusal::request("unsupported_response_type", "Only `code` is supported")),
            None => return Err(Refusal::invalid_request("The response_type parameter is missing")),
        }
        if parameters.one("response_mode")?.is_some_and(|mode| mode != "query") {
            return Err(Refusal::invalid_request("The response_mode is not supported"));
        }
        client.may_use(AUTHORIZATION_CODE)?;
        let challenge = challenge(&issuer.store.protocols().await?, &client, parameters)?;
        let (resources, scopes) = read_scopes(issuer, parameters).await?;
        let prompt = Prompt::read(parameters.one("prompt")?)?;
        let age_max_s = parameters.one("max_age")?.map(str::parse).transpose();
        let age_max_s = age_max_s.map_err(|_| Refusal::invalid_request("The max_age is not a number"))?;
        let expected = parameters.one("id_token_hint")?.map(|token| issuer.read_id_token_hint(token).ok_or(()));
        let expected = expected.transpose();
        let expected = expected.map_err(|()| Refusal::invalid_request("The id_token_hint is not valid"))?;
        Ok(Self {
            client,
            reply,
            challenge,
            resources,
            scopes,
            nonce: bounded(parameters, "nonce")?,
            key: bounded(parameters, "dpop_jkt")?,
            prompt,
            age_max_s,
            login_hint: bounded(parameters, "login_hint")?,
            expected,
            was_asked: parameters.first(WAS_ASKED).is_some(),
        })
    }

    /// Whether the person who is signed in there will do without another sign-in.
    pub(in crate::zone) fn takes(&self, issuer: &Issuer, browser: &BrowserSession) -> bool {
        let age = issuer.clock.now().since(browser.authenticated_at);
        let is_recent = self.age_max_s.is_none_or(|age_max_s| age.as_secs() <= age_max_s);
        is_recent && !self.prompt.asks_for_sign_in() && self.expects(&browser.user)
    }

    /// Whether this may be the person whom the client expects (OpenID Connect Core §3.1.2.1, `id_token_hint`).
    pub(in crate::zone) fn expects(&self, user: &UserId) -> bool {
        self.expected.as_ref().is_none_or(|expected| expected.user == user.as_str())
    }

    /// How the person is to be asked who they are.
    pub(in crate::zone) fn asking(&self) -> Asking {
        let name = self.login_hint.clone().or_else(|| self.expected.as_ref().map(|expected| expected.name.clone()));
        Asking { name: name.unwrap_or_default(), prompt: self.prompt.clone(), age_max_s: self.age_max_s }
    }

    /// What is asked for, one resource and its scopes each. A bare sign-in is for the zone itself.
    pub(in crate::zone) async fn wanted(&self, issuer: &Issuer) -> Result<Vec<(String, Scopes)>, Refusal> {
        wanted(issuer, &self.resources, &self.scopes).await
    }

    /// What the person allows by saying yes.
    pub(in crate::zone) fn allowed(&self, browser: &BrowserSession) -> Allowed {
        Allowed {
            user: browser.user.clone(),
            client: self.client.application.id.clone(),
            browser: Some(browser.id.clone()),
            resources: self.resources.clone(),
            scopes: self.scopes.clone(),
            key: self.key.clone(),
            authenticated_at: browser.authenticated_at,
            second_factor_at: browser.second_factor_at,
        }
    }
}

/// The resources of a request, each with those of its scopes that are asked for.
pub(in crate::zone) async fn wanted(
    issuer: &Issuer,
    resources: &[String],
    scopes: &Scopes,
) -> Result<Vec<(String, Scopes)>, Refusal> {
    if resources.is_empty() {
        return Ok(vec![(issuer.url().to_owned(), scopes.clone())]);
    }
    let mut wanted = Vec::with_capacity(resources.len());
    for identifier in resources {
        let resource = target::known(issuer, identifier).await?;
        wanted.push((identifier.clone(), scopes.intersection(&resource.scopes)));
    }
    Ok(wanted)
}

/// The resources and scopes that a request names: none of them unknown, and no scope that nothing here has.
pub(super) async fn read_scopes(issuer: &Issuer, parameters: &Parameters) -> Result<(Vec<String>, Scopes), Refusal> {
    let mut resources: Vec<String> = Vec::new();
    for named in parameters.all("resource") {
        if named != issuer.url() && !resources.iter().any(|known| known == named) {
            resources.push(named.to_owned());
        }
    }
    if resources.len() > ZONE_RESOURCES_MAX {
        return Err(Refusal::invalid_target("Too many resources are named"));
    }
    let own = Scopes::collect(OWN_SCOPES).unwrap_or_default();
    let mut available = Scopes::default();
    for identifier in &resources {
        let resource = target::known(issuer, identifier).await?;
        available = Scopes::collect(available.iter().chain(resource.scopes.iter())).unwrap_or_default();
    }
    let Some(asked) = parameters.one("scope")? else { return Ok((resources, available)) };
    let asked = Scopes::parse(asked).map_err(|_| Refusal::invalid_scope("The scope is malformed"))?;
    let of_resources = asked.intersection(&available);
    if !resources.is_empty() && !available.is_empty() && of_resources.is_empty() {
        return Err(Refusal::invalid_scope("The resource has none of the requested scopes"));
    }
    let of_own = asked.intersection(&own);
    let all = Scopes::collect(of_resources.iter().chain(of_own.iter())).unwrap_or_default();
    Ok((resources, all))
}

/// Who asks, and where it is to be answered.
async fn parties(issuer: &Issuer, parameters: &Parameters) -> Result<(Client, ReplyTo), Refusal> {
    let client_id = parameters.one("client_id")?;
    let client_id = client_id.ok_or_else(|| Refusal::invalid_request("The client_id parameter is missing"))?;
    let client = issuer.client(client_id).await?;
    let client = client.ok_or_else(|| Refusal::invalid_request("No such client is known here"))?;
    let redirect_uri = parameters.one("redirect_uri")?;
    let redirect_uri = redirect_uri.ok_or_else(|| Refusal::invalid_request("The redirect_uri parameter is missing"))?;
    if !address::is_registered(&client.redirect_uris, redirect_uri) {
        return Err(Refusal::invalid_request("The redirect_uri is not one that the client registered"));
    }
    let state = parameters.first("state").filter(|state| state.len() <= ZONE_PARAMETER_BYTES_MAX);
    let reply = ReplyTo { redirect_uri: redirect_uri.to_owned(), state: state.map(str::to_owned) };
    Ok((Client::registered(client), reply))
}

/// S256 only: `plain` shows the verifier to whoever reads the address.
fn challenge(protocols: &Protocols, client: &Client, parameters: &Parameters) -> Result<String, Refusal> {
    let method = parameters.one("code_challenge_method")?;
    let Some(challenge) = parameters.one("code_challenge")? else {
        let may_go_without = protocols.proof_key == ProofKey::ForPublicClients && !client.is_public();
        return match may_go_without && method.is_none() {
            true => Ok(String::new()),
            false => Err(Refusal::invalid_request("The code_challenge parameter is missing")),
        };
    };
    if method != Some("S256") {
        return Err(Refusal::invalid_request("The code_challenge_method must be S256"));
    }
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if challenge.len() != 43 || !challenge.bytes().all(legal) {
        return Err(Refusal::invalid_request("The code_challenge is not a SHA-256 in base64url"));
    }
    Ok(challenge.to_owned())
}

/// Says in the address that a request comes back to that its person was asked to sign in. A client that says so itself
/// hears sooner that it got another person.
pub(in crate::zone) const WAS_ASKED: &str = "valetkey_asked";

fn bounded(parameters: &Parameters, name: &str) -> Result<Option<String>, Refusal> {
    let Some(value) = parameters.one(name)? else { return Ok(None) };
    match value.len() <= ZONE_PARAMETER_BYTES_MAX {
        true => Ok(Some(value.to_owned())),
        false => Err(Refusal::invalid_request("A parameter is too long")),
    }
}
