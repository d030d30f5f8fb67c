//! Client credentials (RFC 6749 §4.4): an application asks in its own name.

use crate::model::SessionId;
use crate::zone::issuer::Issuer;
use crate::zone::issuer::Subject;
use crate::zone::oauth::answer::Answer;
use crate::zone::oauth::parameters::Parameters;
use crate::zone::oauth::refusal::Refusal;
use crate::zone::oauth::target;
use crate::zone::store::Application;

/// A token about the application itself. Parameters of other grants that some clients send along, such as
/// `subject_token_type`, are not looked at.
pub(super) async fn grant(issuer: &Issuer, client: &Application, parameters: &Parameters) -> Result<Answer, Refusal> {
    let resource = target::find(issuer, parameters).await?;
    let scopes = target::scopes(&resource, parameters)?;
    let session = parameters.session()?;
    let session = session.as_ref().map(SessionId::as_str);
    let issued = issuer.issue(&Subject::Application, client, &resource, scopes, session, None)?;
    Ok(Answer::plain(issued))
}
