//! The account page: a person sees what they allowed and where they are signed in, and takes it back.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::response::Response;

use crate::limits::ZONE_SECOND_FACTOR_FRESH;
use crate::model::Secret;
use crate::model::Timestamp;
use crate::zone::issuer::Issuer;
use crate::zone::oauth::Parameters;
use crate::zone::oauth::Refusal;
use crate::zone::oauth::Sent;
use crate::zone::pages::ACCOUNT;
use crate::zone::pages::browser::Browser;
use crate::zone::pages::form;
use crate::zone::pages::sign_in;
use crate::zone::pages::view;
use crate::zone::pages::view::AccountPage;
use crate::zone::pages::view::EnrolmentPage;
use crate::zone::pages::view::Line;
use crate::zone::pages::view::RecoveryPage;
use crate::zone::people::Asking;
use crate::zone::people::Attempt;
use crate::zone::store::BrowserSession;
use crate::zone::store::Change;
use crate::zone::store::SessionLine;
use crate::zone::store::User;

/// `GET /account`.
pub(super) async fn page(State(issuer): State<Arc<Issuer>>, headers: HeaderMap) -> Response {
    let shown = async {
        let browser = Browser::read(&issuer, &headers).await?;
        show(&issuer, &browser, Word::Nothing).await
    };
    shown.await.unwrap_or_else(|refusal: Refusal| view::fault(&refusal))
}

/// `GET /account/authenticator`: where a reload of the page behind it leads.
pub(super) async fn enrolment() -> Response {
    view::go_to(ACCOUNT)
}

/// `POST /account/revoke-session`.
pub(super) async fn revoke_session(issuer: State<Arc<Issuer>>, headers: HeaderMap, sent: Sent) -> Response {
    act(&issuer, &headers, sent, async |person: &Person<'_>, parameters: &Parameters| {
        let id = parameters.one("id")?.unwrap_or_default();
        person.issuer.store.end_session_of(&person.user.id, id, person.now()).await?;
        Ok(view::go_to(ACCOUNT))
    })
    .await
}

/// `POST /account/revoke-grant`.
pub(super) async fn revoke_grant(issuer: State<Arc<Issuer>>, headers: HeaderMap, sent: Sent) -> Response {
    act(&issuer, &headers, sent, async |person: &Person<'_>, parameters: &Parameters| {
        let id = parameters.one("id")?.unwrap_or_default();
        match person.issuer.store.revoke_grant(id, Some(&person.user.id), None, person.now()).await? {
            // Whoever clicks twice has what they want.
            Change::Done | Change::Missing | Change::Stale => Ok(view::go_to(ACCOUNT)),
        }
    })
    .await
}

/// `POST /account/sign-out-browser`.
pub(super) async fn sign_out_browser(issuer: State<Arc<Issuer>>, headers: HeaderMap, sent: Sent) -> Response {
    act(&issuer, &headers, sent, async |person: &Person<'_>, parameters: &Parameters| {
        let id = parameters.one("id")?.unwrap_or_default();
        person.issuer.store.end_session_of(&person.user.id, id, person.now()).await?;
        Ok(view::go_to(ACCOUNT))
    })
    .await
}

/// `POST /account/password`.
pub(super) async fn change_password(issuer: State<Arc<Issuer>>, headers: HeaderMap, sent: Sent) -> Response {
    act(&issuer, &headers, sent, async |person: &Person<'_>, parameters: &Parameters| {
        let (issuer, user) = (person.issuer, person.user);
        let password = PasswordHere::of(issuer, user).await?;
        if password.is_set {
            let old = parameters.secret("old")?.unwrap_or_else(|| Secret::new(""));
            match issuer.show_password(&user.identifier, old, None).await? {
                Attempt::SignedIn(_) | Attempt::SecondFactorNeeded(_) => {}
                Attempt::Refused => return person.show(Word::Fault("That is not your password.")).await,
                Attempt::TooMany => return person.show(Word::Fault("Too many attempts. Please wait.")).await,
            }
        } else if !password.may_be_set {
            return person.show(Word::Fault("You sign in elsewhere, and need no password here.")).await;
        } else if !person.signed_in_lately() {
            return person.show(Word::SignInAgain).await;
        }
        let new = parameters.secret("new")?.unwrap_or_else(|| Secret::new(""));
        let Ok(phc) = issuer.people.hash_password(new).await else {
            return person.show(Word::Fault("A password has between 10 and 256 characters.")).await;
        };
        issuer.store.set_password(&user.id, &phc, person.now()).await?;
        // Whoever knew the old one may be signed in elsewhere.
        for other in issuer.store.browsers_of(&user.id, person.now()).await? {
            if other.id != person.session.id {
                issuer.store.end_session_of(&user.id, &other.id, person.now()).await?;
            }
        }
        tracing::info!(user = user.id.as_str(), "password changed");
        person.show(Word::Message("Your password was changed. Other browsers are signed out.")).await
    })
    .await
}

/// `POST /account/authenticator`.
pub(super) async fn begin_enrolment(issuer: State<Arc<Issuer>>, headers: HeaderMap, sent: Sent) -> Response {
    act(&issuer, &headers, sent, async |person: &Person<'_>, _: &Parameters| person.show_enrolment(None).await).await
}

/// `POST /account/authenticator/confirm`.
pub(super) async fn confirm_enrolment(issuer: State<Arc<Issuer>>, headers: HeaderMap, sent: Sent) -> Response {
    act(&issuer, &headers, sent, async |person: &Person<'_>, parameters: &Parameters| {
        let code: String = parameters.one("code")?.unwrap_or_default().split_whitespace().collect();
        let Some(codes) = person.issuer.confirm_enrolment(person.user, &code).await? else {
            return person.show_enrolment(Some("That code is not valid. Here is a new secret.")).await;
        };
        person.issuer.store.second_factor_shown(&person.session.id, person.now()).await?;
        tracing::info!(user = person.user.id.as_str(), "authenticator added");
        let codes: Vec<String> = codes.iter().filter_map(Secret::expose_str).map(grouped).collect();
        Ok(view::show(StatusCode::OK, &RecoveryPage { codes: &codes }))
    })
    .await
}

/// `POST /account/authenticator/remove`.
pub(super) async fn remove_authenticator(issuer: State<Arc<Issuer>>, headers: HeaderMap, sent: Sent) -> Response {
    act(&issuer, &headers, sent, async |person: &Person<'_>, parameters: &Parameters| {
        let code = parameters.one("code")?.unwrap_or_default();
        match person.issuer.show_second_factor(person.user, code).await? {
            Attempt::SignedIn(_) => {
                person.issuer.store.remove_authenticator(&person.user.id).await?;
                tracing::info!(user = person.user.id.as_str(), "authenticator removed");
                person.show(Word::Message("Your authenticator was removed.")).await
            }
            Attempt::SecondFactorNeeded(_) | Attempt::Refused => {
                person.show(Word::Fault("That code is not valid.")).await
            }
            Attempt::TooMany => person.show(Word::Fault("Too many attempts. Please wait.")).await,
        }
    })
    .await
}

/// Who acts on their account, and where.
struct Person<'a> {
    issuer: &'a Issuer,
    browser: &'a Browser,
    session: &'a BrowserSession,
    user: &'a User,
}

impl Person<'_> {
    fn now(&self) -> Timestamp {
        self.issuer.clock.now()
    }

    async fn show(&self, word: Word<'_>) -> Result<Response, Refusal> {
        show(self.issuer, self.browser, word).await
    }

    /// Whether the sign-in is so fresh that it was not merely found open.
    fn signed_in_lately(&self) -> bool {
        self.now().since(self.session.authenticated_at) <= ZONE_SECOND_FACTOR_FRESH
    }

    async fn show_enrolment(&self, fault: Option<&str>) -> Result<Response, Refusal> {
        // Else whoever finds a browser open could take the second factor over.
        if self.issuer.has_second_factor(self.user).await? {
            return self.show(Word::Fault("Remove the authenticator that you have first.")).await;
        }
        if !self.signed_in_lately() {
            return self.show(Word::SignInAgain).await;
        }
        let Some(enrolment) = self.issuer.begin_enrolment(self.user).await? else {
            return self.show(Word::Fault("No authenticator could be made.")).await;
        };
        let mark = self.browser.mark(self.issuer);
        let page = EnrolmentPage { mark: &mark, secret: &enrolment.secret, url: &enrolment.url, fault };
        Ok(view::show(StatusCode::OK, &page))
    }
}

/// Reads the form, finds the person, and lets `act` do the rest.
async fn act(
    issuer: &Arc<Issuer>,
    headers: &HeaderMap,
    sent: Sent,
    act: impl AsyncFnOnce(&Person<'_>, &Parameters) -> Result<Response, Refusal>,
) -> Response {
    let acted = async {
        let (browser, parameters) = form::read(issuer, headers, sent).await?;
        let Some((session, user)) = browser.session() else {
            return Ok(
                sign_in::show(issuer, &browser, StatusCode::UNAUTHORIZED, ACCOUNT, &Asking::default(), None).await
            );
        };
        act(&Person { issuer, browser: &browser, session, user }, &parameters).await
    };
    acted.await.unwrap_or_else(|refusal: Refusal| view::fault(&refusal))
}

/// A word on what was just done.
#[derive(Clone, Copy)]
enum Word<'a> {
    Nothing,
    Message(&'a str),
    Fault(&'a str),
    /// The session that was found open is not enough.
    SignInAgain,
}

async fn show(issuer: &Issuer, browser: &Browser, word: Word<'_>) -> Result<Response, Refusal> {
    let Some((session, user)) = browser.session() else {
        return sign_in::ask(issuer, browser, ACCOUNT, &Asking::default()).await;
    };
    let (store, now) = (&issuer.store, issuer.clock.now());
    let grants = store.consents_of(&user.id, now).await?;
    let sessions: Vec<Line> = store.sessions_of(&user.id, now).await?.into_iter().map(session_line).collect();
    let browsers = store.browsers_of(&user.id, now).await?;
    let browsers: Vec<Line> = browsers.into_iter().map(|browser| browser_line(browser, &session.id)).collect();
    let mark = browser.mark(issuer);
    let password = PasswordHere::of(issuer, user).await?;
    let (message, fault, again, status) = match word {
        Word::Nothing => (None, None, None, StatusCode::OK),
        Word::Message(text) => (Some(text), None, None, StatusCode::OK),
        Word::Fault(text) => (None, Some(text), None, StatusCode::BAD_REQUEST),
        Word::SignInAgain => (None, Some(A_WHILE_AGO), Some(SIGN_IN_AGAIN), StatusCode::BAD_REQUEST),
    };
    let page = AccountPage {
        mark: &mark,
        user: &user.identifier,
        message,
        fault,
        again,
        grants: &grants,
        sessions: &sessions,
        browsers: &browsers,
        has_password: password.is_set,
        may_have_password: password.may_be_set,
        has_authenticator: issuer.has_second_factor(user).await?,
        recovery_codes_left: store.recovery_codes_left(&user.id).await?,
    };
    Ok(browser.keep(issuer, view::show(status, &page)))
}

/// A person's password at the zone itself.
struct PasswordHere {
    is_set: bool,
    /// Not a first one where people sign in by a provider: whoever is taken out there would still come in by it.
    may_be_set: bool,
}

impl PasswordHere {
    async fn of(issuer: &Issuer, user: &User) -> Result<Self, Refusal> {
        let is_set = issuer.store.password_of(&user.identifier).await?.is_some_and(|(_, phc)| phc.is_some());
        Ok(Self { is_set, may_be_set: is_set || issuer.store.sign_in_provider().await?.is_none() })
    }
}

fn session_line(session: SessionLine) -> Line {
    Line {
        id: session.id,
        name: session.client_name,
        detail: session.resources.join(", "),
        since: minutes(session.created_at),
        is_this: false,
    }
}

fn browser_line(browser: BrowserSession, this: &str) -> Line {
    Line {
        is_this: browser.id == this,
        id: browser.id,
        name: browser.browser,
        detail: String::new(),
        since: minutes(browser.authenticated_at),
    }
}

/// A moment as people read it, in UTC.
fn minutes(moment: Timestamp) -> String {
    let text = moment.to_string().replace('T', " ");
    format!("{} UTC", text.get(..16).unwrap_or(&text))
}

/// Four characters at a time, for the eye.
fn grouped(code: &str) -> String {
    let letters: Vec<char> = code.chars().collect();
    letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

/// What a session that was found open is not enough for.
const A_WHILE_AGO: &str = "You signed in a while ago. Sign in again, and then do this.";

/// Where the provider, too, asks again.
const SIGN_IN_AGAIN: &str = "/sign-in?continue=%2Faccount&prompt=login";
