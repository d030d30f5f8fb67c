//! The first password: of the first administrator, by the link that the zone says when it starts, and of guests, by
//! their invitation.
//!
//! An invitation makes a new person, or adds whoever is signed in to the organisation; it gives nobody's account a
//! password who has an account already, and makes nobody the owner of the address that it was sent to (see
//! `store::guests`).

use std::sync::Arc;

use axum::extract::RawQuery;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::response::Response;

use crate::model::Secret;
use crate::zone::issuer::Issuer;
use crate::zone::oauth::Parameters;
use crate::zone::oauth::Refusal;
use crate::zone::oauth::Sent;
use crate::zone::opaque::Hash;
use crate::zone::pages::ACCOUNT;
use crate::zone::pages::INVITATION;
use crate::zone::pages::WELCOME;
use crate::zone::pages::browser::Browser;
use crate::zone::pages::browser::SecondFactor;
use crate::zone::pages::form;
use crate::zone::pages::sign_in;
use crate::zone::pages::view;
use crate::zone::pages::view::JoinPage;
use crate::zone::pages::view::WelcomePage;
use crate::zone::people::Asking;
use crate::zone::people::FirstStep;
use crate::zone::people::Ticket;
use crate::zone::store::OpenInvitation;
use crate::zone::store::User;

/// `GET /welcome`.
pub(super) async fn page(State(issuer): State<Arc<Issuer>>, headers: HeaderMap, query: RawQuery) -> Response {
    let shown = async {
        let ticket = Parameters::of_query(query.0.as_deref().unwrap_or_default());
        let ticket = ticket.first("ticket").unwrap_or_default();
        let browser = Browser::read(&issuer, &headers).await?;
        let user = welcomed(&issuer, ticket).await?;
        Ok(choose(&issuer, &browser, WELCOME, ("ticket", ticket), (&user.identifier, None), None))
    };
    shown.await.unwrap_or_else(|refusal: Refusal| view::fault(&refusal))
}

/// `POST /welcome`.
pub(super) async fn choose_first(issuer: State<Arc<Issuer>>, headers: HeaderMap, sent: Sent) -> Response {
    let chosen = async {
        let (browser, parameters) = form::read(&issuer, &headers, sent).await?;
        let ticket = parameters.one("ticket")?.unwrap_or_default();
        let user = welcomed(&issuer, ticket).await?;
        let Some(phc) = hashed(&issuer, &parameters).await? else {
            return Ok(choose(&issuer, &browser, WELCOME, ("ticket", ticket), (&user.identifier, None), Some(LENGTH)));
        };
        if !issuer.store.set_first_password(&user.id, &phc, issuer.clock.now()).await? {
            return Err(spent());
        }
        tracing::info!(user = user.id.as_str(), "the first administrator chose a password");
        signed_in(&issuer, &browser, &user).await
    };
    chosen.await.unwrap_or_else(|refusal: Refusal| view::fault(&refusal))
}

/// `GET /invitation`.
pub(super) async fn invitation(State(issuer): State<Arc<Issuer>>, headers: HeaderMap, query: RawQuery) -> Response {
    let shown = async {
        let token = Parameters::of_query(query.0.as_deref().unwrap_or_default());
        let token = token.first("token").unwrap_or_default();
        let browser = Browser::read(&issuer, &headers).await?;
        let invitation = open(&issuer, token).await?;
        if let Some((_, user)) = browser.session() {
            let mark = browser.mark(&issuer);
            let page =
                JoinPage { mark: &mark, token, organization: &invitation.organization_name, user: &user.identifier };
            return Ok(browser.keep(&issuer, view::show(StatusCode::OK, &page)));
        }
        if has_account(&issuer, &invitation).await? {
            let asking = Asking { name: invitation.email, ..Asking::default() };
            return sign_in::ask(&issuer, &browser, &going_on(token), &asking).await;
        }
        let guest = (&*invitation.guest_name(), Some(&*invitation.email));
        Ok(choose(&issuer, &browser, INVITATION, ("token", token), guest, None))
    };
    shown.await.unwrap_or_else(|refusal: Refusal| view::fault(&refusal))
}

/// `POST /invitation`.
pub(super) async fn accept(issuer: State<Arc<Issuer>>, headers: HeaderMap, sent: Sent) -> Response {
    let accepted = async {
        let (browser, parameters) = form::read(&issuer, &headers, sent).await?;
        let token = parameters.one("token")?.unwrap_or_default();
        let (invitation, now) = (open(&issuer, token).await?, issuer.clock.now());
        if let Some((_, user)) = browser.session() {
            let OpenInvitation { id, organization, role, .. } = &invitation;
            return match issuer.store.join_organization(id, organization, user.id.as_str(), role, now).await? {
                true => Ok(view::go_to(ACCOUNT)),
                false => Err(spent()),
            };
        }
        if has_account(&issuer, &invitation).await? {
            return Err(Refusal::request(
                "invalid_request",
                "This address has an account. Sign in, and open the link again",
            ));
        }
        let Some(phc) = hashed(&issuer, &parameters).await? else {
            let guest = (&*invitation.guest_name(), Some(&*invitation.email));
            return Ok(choose(&issuer, &browser, INVITATION, ("token", token), guest, Some(LENGTH)));
        };
        let user = issuer.store.accept_as_new(&invitation, &phc, now).await?.ok_or_else(spent)?;
        tracing::info!(user = user.id.as_str(), organization = invitation.organization, "a guest came in");
        signed_in(&issuer, &browser, &user).await
    };
    accepted.await.unwrap_or_else(|refusal: Refusal| view::fault(&refusal))
}

/// Whom the zone welcomes with this ticket: nobody who has a password.
async fn welcomed(issuer: &Issuer, ticket: &str) -> Result<User, Refusal> {
    let user = Ticket::open_welcome(issuer, ticket).ok_or_else(spent)?;
    let user = issuer.store.user(&user).await?.ok_or_else(spent)?;
    match issuer.store.password_of(&user.identifier).await? {
        Some((_, Some(_))) => Err(spent()),
        Some((_, None)) | None => Ok(user),
    }
}

/// Whether somebody bears the guest's address for a name: then it is known to be theirs, and they sign in with it.
async fn has_account(issuer: &Issuer, invitation: &OpenInvitation) -> Result<bool, Refusal> {
    Ok(issuer.store.password_of(&invitation.email).await?.is_some())
}

async fn open(issuer: &Issuer, token: &str) -> Result<OpenInvitation, Refusal> {
    let found = issuer.store.open_invitation(&Hash::of(&Secret::new(token)), issuer.clock.now()).await?;
    found.ok_or_else(spent)
}

async fn hashed(issuer: &Issuer, parameters: &Parameters) -> Result<Option<String>, Refusal> {
    let password = parameters.secret("new")?.unwrap_or_else(|| Secret::new(""));
    Ok(issuer.people.hash_password(password).await.ok())
}

async fn signed_in(issuer: &Issuer, browser: &Browser, user: &User) -> Result<Response, Refusal> {
    let first = FirstStep::by_password(issuer.clock.now());
    let browser = browser.sign_in(issuer, user, &first, SecondFactor::NotShown).await?;
    Ok(browser.keep(issuer, view::go_to(ACCOUNT)))
}

fn choose(
    issuer: &Issuer,
    browser: &Browser,
    action: &str,
    subject: (&str, &str),
    (name, invited): (&str, Option<&str>),
    fault: Option<&str>,
) -> Response {
    let mark = browser.mark(issuer);
    let status = if fault.is_some() { StatusCode::BAD_REQUEST } else { StatusCode::OK };
    let page = WelcomePage { mark: &mark, action, subject, name, invited, fault };
    browser.keep(issuer, view::show(status, &page))
}

/// The invitation once more, after the sign-in that it asked for.
fn going_on(token: &str) -> String {
    let token = url::form_urlencoded::byte_serialize(token.as_bytes()).collect::<String>();
    format!("{INVITATION}?token={token}")
}

fn spent() -> Refusal {
    Refusal::request("invalid_request", "This link has expired or was used. Ask for a new one")
}

const LENGTH: &str = "A password has between 10 and 256 characters.";
