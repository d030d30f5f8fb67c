//! Token exchange (RFC 8693): an application acts for a user.
//!
//! What is exchanged is one of two: the user's own session token of this zone, presented by an application that the
//! user granted; or a token for an API, presented by the application that owns the API, which acts on for the same
//! user. The actor is always the client that presents it. The token names all of them, nested, so that the API sees who
//! acts for whom. Never: a token that somebody else's API received.

use crate::jose::Refused;
use crate::jose::Unverified;
use crate::zone::access::OnBehalf;
use crate::zone::access::Person;
use crate::zone::claims::Session;
use crate::zone::issuer::Issuer;
use crate::zone::issuer::Subject;
use crate::zone::issuer::Wanted;
use crate::zone::issuer::session_or;
use crate::zone::oauth::answer::ACCESS_TOKEN;
use crate::zone::oauth::answer::Answer;
use crate::zone::oauth::client::Client;
use crate::zone::oauth::decide::permitted;
use crate::zone::oauth::parameters::Parameters;
use crate::zone::oauth::refusal::Refusal;
use crate::zone::oauth::target;
use crate::zone::store::Granted;
use crate::zone::store::Resource;
use crate::zone::store::User;

/// A token about the user, for one resource, with the client as its actor.
pub(super) async fn grant(
    issuer: &Issuer,
    client: &Client,
    parameters: &Parameters,
    key: Option<&str>,
) -> Result<Answer, Refusal> {
    let substitute = read_types(parameters)?;
    let token = parameters.one("subject_token")?;
    let token = token.ok_or_else(|| Refusal::invalid_request("The subject_token parameter is missing"))?;
    if substitute == Substitute::Yes {
        return impersonate(issuer, client, parameters, key, token).await;
    }
    let (subject, from) = read_subject(issuer, client, token).await?;
    let accessing = Some(subject.aud.as_str()).filter(|_| from == From::OwnApi);
    let user = find_user(issuer, &subject).await?;
    // What is bound to a key is of no use to whoever only holds the token.
    if subject.key().is_some_and(|bound| Some(bound) != key) {
        return Err(Refusal::invalid_request("The subject token is bound to another key"));
    }
    let embedded = client.registration.is_none();
    if embedded && !issuer.store.is_granted(&user.id, &client.application.id).await? {
        return Err(Refusal::consent_required());
    }
    let resource = target::find(issuer, parameters).await?;
    if !embedded {
        require_grant(issuer, client, &user, &resource, accessing).await?;
    }
    let scopes = target::scopes(&resource, parameters)?;
    let on_behalf = OnBehalf::User(user.for_policies(Some(subject.for_policies())));
    let scopes = permitted(issuer, client, on_behalf, &resource, accessing, &scopes).await?;
    let (session, sign_in) = (parameters.session()?, subject.sign_in());
    let issued = issuer.issue(Wanted {
        subject: Subject::UserThrough(&user),
        client: &client.application,
        resource: &resource,
        scopes,
        session: Some(session_or(session.as_ref(), sign_in.as_str())),
        actor: subject.actor(),
        key,
    })?;
    Ok(Answer::exchanged(issued))
}

/// A token about a user who is not here (`substitute-user`): by a policy that permits it, and only where the user
/// granted the resource to somebody before. The subject is an unsigned JWT that names the user: it proves nothing, and
/// is not meant to.
async fn impersonate(
    issuer: &Issuer,
    client: &Client,
    parameters: &Parameters,
    key: Option<&str>,
    token: &str,
) -> Result<Answer, Refusal> {
    let not_valid = || Refusal::invalid_request("The subject token is not valid");
    let said = Unverified::read(token).map_err(|_| not_valid())?;
    if said.signed || said.alg != "none" || said.typ.as_deref() != Some(SUBSTITUTE_TYPE) {
        return Err(not_valid());
    }
    let named = said.sub.filter(|sub| !sub.is_empty()).ok_or_else(not_valid)?;
    if client.is_public() {
        return Err(Refusal::unauthorized_client("A public client has nothing to show for itself"));
    }
    let resource = target::find(issuer, parameters).await?;
    let scopes = target::scopes(&resource, parameters)?;
    // The policy decides before it is told whether there is such a user: who may not impersonate learns nothing of who
    // exists.
    let user = issuer.store.user_named(&named).await?;
    let nobody = Person { id: "", identifier: &named, email: &named, claims: None };
    let on_behalf = OnBehalf::Impersonated(user.as_ref().map_or(nobody, |user| user.for_policies(None)));
    let scopes = permitted(issuer, client, on_behalf, &resource, None, &scopes).await?;
    let user = user.ok_or_else(Refusal::consent_required)?;
    if !issuer.store.is_delegated(&user.id, resource.identifier.as_str(), issuer.clock.now()).await? {
        return Err(Refusal::consent_required());
    }
    tracing::warn!(
        client = client.application.id.as_str(),
        user = user.id.as_str(),
        resource = resource.identifier.as_str(),
        "an application takes a user's place"
    );
    let issued = issuer.issue(Wanted {
        subject: Subject::UserThrough(&user),
        client: &client.application,
        resource: &resource,
        scopes,
        session: None,
        actor: None,
        key,
    })?;
    Ok(Answer::exchanged(issued))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Substitute {
    Yes,
    No,
}

/// The kinds of token that are spoken of; an actor is always the client itself.
fn read_types(parameters: &Parameters) -> Result<Substitute, Refusal> {
    let known = |kind: &str| matches!(kind, ACCESS_TOKEN | JWT);
    let substitute = match parameters.one("subject_token_type")? {
        Some(SUBSTITUTE_USER) => Substitute::Yes,
        Some(kind) if known(kind) => Substitute::No,
        Some(_) => return Err(Refusal::invalid_request("The subject_token_type is not supported")),
        None => return Err(Refusal::invalid_request("The subject_token_type parameter is missing")),
    };
    if !parameters.one("requested_token_type")?.is_none_or(known) {
        return Err(Refusal::invalid_request("The requested_token_type is not supported"));
    }
    if parameters.one("actor_token")?.is_some() {
        return Err(Refusal::invalid_request("The actor is the client, an actor_token is not supported"));
    }
    Ok(substitute)
}

/// Where a subject token comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    /// The user's own session.
    Session,
    /// A call of the client's own API.
    OwnApi,
}

/// A token for this zone, or for an API that the client owns.
async fn read_subject(issuer: &Issuer, client: &Client, token: &str) -> Result<(Session, From), Refusal> {
    let refused = match issuer.read_session(token) {
        Ok(session) => return Ok((session, From::Session)),
        Err(refused) => refused,
    };
    if refused == Refused::Audience
        && let Ok(said) = Unverified::read(token)
        && let Some(audience) = said.audience()
        && issuer.store.owns_resource(&client.application.id, audience).await?
    {
        let subject = issuer.read_token(token, audience).map_err(refuse_subject)?;
        return Ok((subject, From::OwnApi));
    }
    Err(refuse_subject(refused))
}

/// A registered application acts for a user who let it: for this resource, or, when the user is at its own page, for
/// what it depends on, where an administrator vouches for it.
async fn require_grant(
    issuer: &Issuer,
    client: &Client,
    user: &User,
    resource: &Resource,
    accessing: Option<&str>,
) -> Result<(), Refusal> {
    let (id, identifier) = (&client.application.id, resource.identifier.as_str());
    if accessing.is_some() && !issuer.store.depends_on(id, identifier, accessing).await? {
        return Err(Refusal::not_allowed(&client.application.name, identifier));
    }
    let (granted, now) = (Granted::Resource(identifier), issuer.clock.now());
    if client.asks() && issuer.store.consented(&user.id, id, granted, now).await?.is_none() {
        return Err(Refusal::consent_required());
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
    if !issuer.is_live(subject).await? {
        return Err(ended());
    }
    issuer.store.user(&id).await?.ok_or_else(ended)
}

const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const SUBSTITUTE_USER: &str = "urn:keycard:params:oauth:token-type:substitute-user";
const SUBSTITUTE_TYPE: &str = "vnd.kc.su+jwt";
