//! Refresh (RFC 6749 §6): the next token, and the next refresh token. What a second use means: see the store.

use std::time::Duration;

use crate::limits::ZONE_REFRESH_RETRY_WINDOW;
use crate::model::Scopes;
use crate::zone::issuer::Issuer;
use crate::zone::oauth::answer::Answer;
use crate::zone::oauth::client::Client;
use crate::zone::oauth::code;
use crate::zone::oauth::code::Person;
use crate::zone::oauth::parameters::Parameters;
use crate::zone::oauth::refusal::Refusal;
use crate::zone::oauth::target;
use crate::zone::opaque;
use crate::zone::opaque::Hash;
use crate::zone::store::Renewed;

/// The next token of a session.
pub(super) async fn grant(
    issuer: &Issuer,
    client: &Client,
    parameters: &Parameters,
    key: Option<&str>,
) -> Result<Answer, Refusal> {
    let token = parameters.secret("refresh_token")?;
    let token = token.ok_or_else(|| Refusal::invalid_request("The refresh_token parameter is missing"))?;
    let presented = Hash::of(&token);
    match client.registration {
        Some(_) => of_a_person(issuer, client, parameters, key, &presented).await,
        None => of_the_daemon(issuer, client, parameters, key, &presented).await,
    }
}

async fn of_a_person(
    issuer: &Issuer,
    client: &Client,
    parameters: &Parameters,
    key: Option<&str>,
    presented: &Hash,
) -> Result<Answer, Refusal> {
    // Before the token is spent: a request that can't be answered must not cost the session.
    target::named(parameters)?;
    let grace = if client.is_public() { Duration::ZERO } else { ZONE_REFRESH_RETRY_WINDOW };
    let (next, next_hash) = opaque::generate("vkr_");
    let now = issuer.clock.now();
    let renewed = issuer.store.renew(presented, &next_hash, &client.application.id, key, grace, now);
    let (allowed, session) = match renewed.await? {
        Renewed::Done(allowed, session) => (allowed, session),
        Renewed::Invalid => return Err(not_valid()),
        Renewed::Reused(session) => {
            tracing::warn!(
                client = client.application.id.as_str(),
                session = session.as_str(),
                "a refresh token was used twice, the session is over"
            );
            return Err(not_valid());
        }
    };
    let user = code::user(issuer, &allowed).await?;
    let person = Person { allowed: &allowed, session: &session, nonce: None };
    let issued = code::token(issuer, client, parameters, key, &person, &user).await?;
    Ok(Answer::refreshed(issued, next))
}

/// The personal zone's own session: a session token of the signed-in user. Tokens for resources come by exchange only.
async fn of_the_daemon(
    issuer: &Issuer,
    client: &Client,
    parameters: &Parameters,
    key: Option<&str>,
    presented: &Hash,
) -> Result<Answer, Refusal> {
    if parameters.all("resource").any(|resource| resource != issuer.url()) {
        return Err(Refusal::invalid_target("A token for a resource is had by token exchange"));
    }
    let client = &client.application;
    let (next, next_hash) = opaque::generate("vkr_");
    let now = issuer.clock.now();
    let renewed = issuer.store.renew(presented, &next_hash, &client.id, None, ZONE_REFRESH_RETRY_WINDOW, now);
    let (allowed, sign_in) = match renewed.await? {
        Renewed::Done(allowed, sign_in) => (allowed, sign_in),
        Renewed::Invalid => return Err(not_valid()),
        Renewed::Reused(sign_in) => {
            tracing::warn!(
                client = client.id.as_str(),
                sign_in = sign_in.as_str(),
                "a refresh token was used twice, the sign-in is over"
            );
            return Err(not_valid());
        }
    };
    let user = issuer.store.user(&allowed.user).await?.ok_or_else(not_valid)?;
    let issued = issuer.issue_session(&user, &sign_in, client, Scopes::default(), None, key)?;
    Ok(Answer::refreshed(issued, next))
}

fn not_valid() -> Refusal {
    Refusal::invalid_grant("The refresh token is not valid")
}
