//! Client credentials (RFC 6749 §4.4): an application asks in its own name.

use crate::model::SessionId;
use crate::zone::access::OnBehalf;
use crate::zone::issuer::Issuer;
use crate::zone::issuer::Subject;
use crate::zone::issuer::Wanted;
use crate::zone::oauth::answer::Answer;
use crate::zone::oauth::client::Client;
use crate::zone::oauth::decide::permitted;
use crate::zone::oauth::parameters::Parameters;
use crate::zone::oauth::refusal::Refusal;
use crate::zone::oauth::target;

/// A token about the application itself. Parameters of other grants that some clients send along, such as
/// `subject_token_type`, are not looked at.
pub(super) async fn grant(
    issuer: &Issuer,
    client: &Client,
    parameters: &Parameters,
    key: Option<&str>,
) -> Result<Answer, Refusal> {
    // RFC 6749 §4.4: for confidential clients only.
    if client.is_public() {
        return Err(Refusal::unauthorized_client("A public client has nothing to show for itself"));
    }
    let resource = target::find(issuer, parameters).await?;
    let scopes = target::scopes(&resource, parameters)?;
    let scopes = permitted(issuer, client, OnBehalf::Itself, &resource, None, &scopes).await?;
    let named = parameters.session()?;
    let own = issuer.store.application_session(&client.application, issuer.url(), issuer.clock.now()).await?;
    let issued = issuer.issue(Wanted {
        subject: Subject::Application,
        client: &client.application,
        resource: &resource,
        scopes,
        session: named.as_ref().map(SessionId::as_str).or(own.as_deref()),
        actor: None,
        key,
    })?;
    Ok(Answer::plain(issued))
}
