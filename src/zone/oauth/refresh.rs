//! Refresh (RFC 6749 §6): the next session token, and the next refresh token. What a second use means: see the store.

use crate::zone::issuer::Issuer;
use crate::zone::oauth::answer::Answer;
use crate::zone::oauth::parameters::Parameters;
use crate::zone::oauth::refusal::Refusal;
use crate::zone::opaque;
use crate::zone::opaque::Hash;
use crate::zone::store::Application;
use crate::zone::store::Rotation;

/// A session token of the signed-in user. Tokens for resources come by exchange only.
pub(super) async fn grant(issuer: &Issuer, client: &Application, parameters: &Parameters) -> Result<Answer, Refusal> {
    let token = parameters.secret("refresh_token")?;
    let token = token.ok_or_else(|| Refusal::invalid_request("The refresh_token parameter is missing"))?;
    if parameters.all("resource").any(|resource| resource != issuer.url()) {
        return Err(Refusal::invalid_target("A token for a resource is had by token exchange"));
    }
    let (next, next_hash) = opaque::generate("vkr_");
    let rotation = issuer.store.rotate(&Hash::of(&token), &next_hash, &client.id, issuer.clock.now()).await?;
    let (user, sign_in) = match rotation {
        Rotation::Done { user, sign_in } => (user, sign_in),
        Rotation::Invalid => return Err(not_valid()),
        Rotation::Reused { sign_in } => {
            tracing::warn!(
                client = client.id.as_str(),
                sign_in = sign_in.as_str(),
                "a refresh token was used twice, the sign-in is over"
            );
            return Err(not_valid());
        }
    };
    let user = issuer.store.user(&user).await?.ok_or_else(not_valid)?;
    let issued = issuer.issue_session(&user, &sign_in, client)?;
    Ok(Answer::refreshed(issued, next))
}

fn not_valid() -> Refusal {
    Refusal::invalid_grant("The refresh token is not valid")
}
