//! Token exchange (RFC 8693): an application acts for the signed-in user.
//!
//! The subject is a user's session token of this very zone; the actor is the client that presents it, and the user
//! must have granted it. The token names both, so that the API sees who acts for whom.

use crate::jose::Refused;
use crate::zone::issuer::Issuer;
use crate::zone::issuer::Session;
use crate::zone::issuer::Subject;
use crate::zone::issuer::session_or;
use crate::zone::oauth::answer::ACCESS_TOKEN;
use crate::zone::oauth::answer::Answer;
use crate::zone::oauth::parameters::Parameters;
use crate::zone::oauth::refusal::Refusal;
use crate::zone::oauth::target;
use crate::zone::store::Application;
use crate::zone::store::User;

/// A token about the user, for one resource, with the client as its actor.
pub(super) async fn grant(issuer: &Issuer, client: &Application, parameters: &Parameters) -> Result<Answer, Refusal> {
    read_types(parameters)?;
    let token = parameters.one("subject_token")?;
    let token = token.ok_or_else(|| Refusal::invalid_request("The subject_token parameter is missing"))?;
    let subject = issuer.read_session(token).map_err(refuse_subject)?;
    let user = find_user(issuer, &subject).await?;
    if !issuer.store.is_granted(&user.id, &client.id).await? {
        return Err(Refusal::consent_required());
    }
    let resource = target::find(issuer, parameters).await?;
    let scopes = target::scopes(&resource, parameters)?;
    let (session, sign_in) = (parameters.session()?, subject.sign_in());
    let session = session_or(session.as_ref(), sign_in.as_str());
    let through = Subject::UserThrough(&user);
    let issued = issuer.issue(&through, client, &resource, scopes, Some(session), subject.actor())?;
    Ok(Answer::exchanged(issued))
}

/// The kinds of token that are spoken of; an actor is always the client itself.
fn read_types(parameters: &Parameters) -> Result<(), Refusal> {
    let known = |kind: &str| matches!(kind, ACCESS_TOKEN | JWT);
    match parameters.one("subject_token_type")? {
        Some(kind) if known(kind) => {}
        Some(_) => return Err(Refusal::invalid_request("The subject_token_type is not supported")),
        None => return Err(Refusal::invalid_request("The subject_token_type parameter is missing")),
    }
    if !parameters.one("requested_token_type")?.is_none_or(known) {
        return Err(Refusal::invalid_request("The requested_token_type is not supported"));
    }
    if parameters.one("actor_token")?.is_some() {
        return Err(Refusal::invalid_request("The actor is the client, an actor_token is not supported"));
    }
    Ok(())
}

/// RFC 8693 §2.2.2 has `invalid_request` for a subject token that is not good.
fn refuse_subject(refused: Refused) -> Refusal {
    match refused {
        Refused::Audience => Refusal::invalid_grant("Client is not allowed to exchange token for this resource"),
        Refused::Expired => Refusal::invalid_request("The subject token has expired"),
        Refused::Issuer => Refusal::invalid_request("The subject token is from another issuer"),
        Refused::Malformed
        | Refused::NoKeyId
        | Refused::UnknownKey
        | Refused::Algorithm
        | Refused::Critical
        | Refused::Type
        | Refused::Signature
        | Refused::NotYet => Refusal::invalid_request("The subject token is not valid"),
    }
}

/// The user of the session, as long as the session lasts.
async fn find_user(issuer: &Issuer, subject: &Session) -> Result<User, Refusal> {
    let ended = || Refusal::invalid_request("The session of the subject token has ended");
    let id = subject.user().ok_or_else(|| Refusal::invalid_request("The subject token is not about a user"))?;
    if !issuer.store.is_signed_in(&subject.sign_in(), &id).await? {
        return Err(ended());
    }
    issuer.store.user(&id).await?.ok_or_else(ended)
}

const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
