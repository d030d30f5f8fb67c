//! What a person's consent is exchanged for: an authorization code (RFC 6749 §4.1.3, RFC 7636 §4.5) or a device code
//! (RFC 8628 §3.4), for a session with its first tokens.

use crate::jose::hash_of;
use crate::model::Scopes;
use crate::model::Secret;
use crate::zone::access::OnBehalf;
use crate::zone::id::SignInId;
use crate::zone::id_token::WantedIdToken;
use crate::zone::issuer::Issued;
use crate::zone::issuer::Issuer;
use crate::zone::issuer::Shown;
use crate::zone::issuer::Subject;
use crate::zone::issuer::Wanted;
use crate::zone::oauth::answer::Answer;
use crate::zone::oauth::client::Client;
use crate::zone::oauth::decide::permitted;
use crate::zone::oauth::parameters::Parameters;
use crate::zone::oauth::refusal::Refusal;
use crate::zone::oauth::target;
use crate::zone::oauth::token::REFRESH_TOKEN;
use crate::zone::opaque;
use crate::zone::opaque::Hash;
use crate::zone::store::Allowed;
use crate::zone::store::Granted;
use crate::zone::store::Polled;
use crate::zone::store::Redeemed;
use crate::zone::store::User;

/// Of an authorization code.
pub(super) async fn grant(
    issuer: &Issuer,
    client: &Client,
    parameters: &Parameters,
    key: Option<&str>,
) -> Result<Answer, Refusal> {
    let code = parameters.secret("code")?;
    let code = code.ok_or_else(|| Refusal::invalid_request("The code parameter is missing"))?;
    let (redirect_uri, verifier) = (parameters.one("redirect_uri")?, parameters.one("code_verifier")?);
    let (refresh, refresh_hash) = opaque::generate("vkr_");
    let now = issuer.clock.now();
    let presented = Hash::of(&code);
    let redeemed = issuer.store.redeem_code(&presented, &client.application.id, &refresh_hash, now, |code| {
        let proven = match (code.challenge.as_str(), verifier) {
            ("", None) => true,
            // RFC 9700 §4.8.2: a verifier without a challenge is a code that somebody else began.
            ("", Some(_)) | (_, None) => false,
            (challenge, Some(verifier)) => hash_of(verifier) == challenge,
        };
        // A code that was asked for with a key is of no use without it (RFC 9449 §10).
        let same_key = code.allowed.key.as_deref().is_none_or(|asked| Some(asked) == key);
        // Only the refresh token of a public client is bound (RFC 9449 §5).
        code.allowed.key = key.filter(|_| client.is_public()).map(str::to_owned);
        proven && same_key && redirect_uri == Some(code.redirect_uri.as_str())
    });
    match redeemed.await? {
        Redeemed::Done(code, session) => {
            let person = Person { allowed: &code.allowed, session: &session, nonce: code.nonce.as_deref() };
            begin(issuer, client, parameters, key, person, refresh).await
        }
        Redeemed::Invalid => Err(Refusal::invalid_grant("The code is not valid")),
        Redeemed::Reused => {
            tracing::warn!(client = client.application.id.as_str(), "a code was shown twice, what it began has ended");
            Err(Refusal::invalid_grant("The code is not valid"))
        }
    }
}

/// Of a device code.
pub(super) async fn device(
    issuer: &Issuer,
    client: &Client,
    parameters: &Parameters,
    key: Option<&str>,
) -> Result<Answer, Refusal> {
    let code = parameters.secret("device_code")?;
    let code = code.ok_or_else(|| Refusal::invalid_request("The device_code parameter is missing"))?;
    let (refresh, refresh_hash) = opaque::generate("vkr_");
    let bound = key.filter(|_| client.is_public());
    let now = issuer.clock.now();
    let presented = Hash::of(&code);
    let polled = issuer.store.poll_device(&presented, &client.application.id, bound, &refresh_hash, now);
    match polled.await? {
        Polled::Done(allowed, session) => {
            let person = Person { allowed: &allowed, session: &session, nonce: None };
            begin(issuer, client, parameters, key, person, refresh).await
        }
        Polled::Pending => Err(Refusal::device("authorization_pending", "Nobody has answered yet")),
        Polled::SlowDown => Err(Refusal::device("slow_down", "The client asks too often")),
        Polled::Denied => Err(Refusal::access_denied("The request was denied")),
        Polled::Expired => Err(Refusal::device("expired_token", "The device code has expired")),
        Polled::Invalid => Err(Refusal::invalid_grant("The device code is not valid")),
    }
}

/// Whose session it is, and what they allowed.
pub(super) struct Person<'a> {
    pub(super) allowed: &'a Allowed,
    pub(super) session: &'a SignInId,
    pub(super) nonce: Option<&'a str>,
}

impl Person<'_> {
    /// When and how they showed who they are.
    pub(super) fn shown(&self) -> Shown {
        Shown { at: self.allowed.authenticated_at, second_factor_at: self.allowed.second_factor_at }
    }
}

/// The first tokens of a session.
async fn begin(
    issuer: &Issuer,
    client: &Client,
    parameters: &Parameters,
    key: Option<&str>,
    person: Person<'_>,
    refresh: Secret,
) -> Result<Answer, Refusal> {
    let user = user(issuer, person.allowed).await?;
    let issued = match token(issuer, client, parameters, key, &person, &user).await {
        Ok(issued) => issued,
        Err(refusal) => {
            // Nobody has anything of it.
            issuer.store.end_session(person.session.as_str(), issuer.clock.now()).await?;
            return Err(refusal);
        }
    };
    let id_token = match person.allowed.scopes.iter().any(|scope| scope == OPENID) {
        true => Some(issuer.issue_id_token(&WantedIdToken {
            user: &user,
            sign_in: person.session,
            client: &client.application,
            shown: person.shown(),
            means: &issuer.store.means_of(person.session).await?,
            nonce: person.nonce,
        })?),
        false => None,
    };
    let may_refresh = client.may_use(REFRESH_TOKEN).is_ok();
    Ok(Answer::begun(issued, may_refresh.then_some(refresh), id_token))
}

/// The person of a session.
pub(super) async fn user(issuer: &Issuer, allowed: &Allowed) -> Result<User, Refusal> {
    let user = issuer.store.user(&allowed.user).await?;
    user.ok_or_else(|| Refusal::invalid_grant("The session has ended"))
}

/// The session's token for the resource that is asked for, of those that were allowed: the first of them when none is
/// named, and the person's session token when none was allowed.
pub(super) async fn token(
    issuer: &Issuer,
    client: &Client,
    parameters: &Parameters,
    key: Option<&str>,
    person: &Person<'_>,
    user: &User,
) -> Result<Issued, Refusal> {
    let allowed = person.allowed;
    let asked = target::named(parameters)?;
    let scopes = match parameters.one("scope")? {
        Some(asked) => {
            let asked = Scopes::parse(asked).map_err(|_| Refusal::invalid_scope("The scope is malformed"))?;
            // RFC 6749 §6: no more than was allowed.
            if !asked.is_subset(&allowed.scopes) {
                return Err(Refusal::invalid_scope("The scope is more than was allowed"));
            }
            asked
        }
        None => allowed.scopes.clone(),
    };
    let wanted = match asked {
        Some(asked) if asked == issuer.url() && allowed.resources.is_empty() => None,
        Some(asked) if allowed.resources.iter().any(|known| known == asked) => Some(asked),
        Some(_) => return Err(Refusal::invalid_target("The resource was not allowed")),
        None => allowed.resources.first().map(String::as_str),
    };
    // A grant that was taken back counts at once, whoever holds a code or a refresh token.
    let (granted, now) = (wanted.map_or(Granted::SignIn, Granted::Resource), issuer.clock.now());
    if client.asks() && issuer.store.consented(&user.id, &client.application.id, granted, now).await?.is_none() {
        return Err(Refusal::consent_required());
    }
    let Some(wanted) = wanted else {
        let own = scopes.intersection(&Scopes::collect(OWN_SCOPES).unwrap_or_default());
        let shown = Some(person.shown());
        return Ok(issuer.issue_session(user, person.session, &client.application, own, shown, key)?);
    };
    let resource = target::known(issuer, wanted).await?;
    let scopes = scopes.intersection(&resource.scopes);
    let on_behalf = OnBehalf::User(user.for_policies(None));
    let scopes = permitted(issuer, client, on_behalf, &resource, None, &scopes).await?;
    Ok(issuer.issue(Wanted {
        subject: Subject::User(user),
        client: &client.application,
        resource: &resource,
        scopes,
        session: Some(person.session.as_str()),
        actor: None,
        key,
    })?)
}

/// The scope that asks for an ID token.
const OPENID: &str = "openid";

/// The scopes of a person's own session, which belong to no resource.
pub(super) const OWN_SCOPES: [&str; 4] = [OPENID, "profile", "email", "offline_access"];
