//! The device page (RFC 8628 §3.3): a person types the code that a device shows, reads what it wants, and decides.
//!
//! A code that came with the address is only filled in: the person looks at the device before anything is allowed.

use std::sync::Arc;

use axum::extract::RawQuery;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::response::Response;

use crate::limits::ZONE_SIGN_IN_ATTEMPTS_MAX;
use crate::limits::ZONE_SIGN_IN_WINDOW;
use crate::model::Secret;
use crate::zone::issuer::Issuer;
use crate::zone::oauth;
use crate::zone::oauth::DEVICE_PAGE;
use crate::zone::oauth::Parameters;
use crate::zone::oauth::Refusal;
use crate::zone::oauth::Sent;
use crate::zone::opaque::Hash;
use crate::zone::pages::authorize::lines;
use crate::zone::pages::browser::Browser;
use crate::zone::pages::form;
use crate::zone::pages::sign_in;
use crate::zone::pages::view;
use crate::zone::pages::view::ConsentPage;
use crate::zone::pages::view::MessagePage;
use crate::zone::people::Asking;
use crate::zone::store::Allowed;
use crate::zone::store::User;
use crate::zone::store::Waiting;

/// `GET /device`.
pub(super) async fn page(State(issuer): State<Arc<Issuer>>, headers: HeaderMap, query: RawQuery) -> Response {
    let query = query.0.unwrap_or_default();
    look(&issuer, &headers, &query).await.unwrap_or_else(|refusal| view::fault(&refusal))
}

async fn look(issuer: &Issuer, headers: &HeaderMap, query: &str) -> Result<Response, Refusal> {
    let browser = Browser::read(issuer, headers).await?;
    let parameters = Parameters::of_query(query);
    let Some((_, user)) = browser.session() else {
        let going_on = if query.is_empty() { DEVICE_PAGE.to_owned() } else { format!("{DEVICE_PAGE}?{query}") };
        return sign_in::ask(issuer, &browser, &going_on, &Asking::default()).await;
    };
    let Some(typed) = parameters.first("user_code") else {
        return Ok(enter(issuer, &browser, StatusCode::OK, None));
    };
    match waiting(issuer, user, typed).await? {
        Some((user_code, waiting)) => confirm(issuer, &browser, user, &user_code, &waiting).await,
        None => Ok(enter(issuer, &browser, StatusCode::NOT_FOUND, Some(NO_SUCH_CODE))),
    }
}

/// `POST /device`.
pub(super) async fn decide(State(issuer): State<Arc<Issuer>>, headers: HeaderMap, sent: Sent) -> Response {
    settle(&issuer, &headers, sent).await.unwrap_or_else(|refusal| view::fault(&refusal))
}

async fn settle(issuer: &Issuer, headers: &HeaderMap, sent: Sent) -> Result<Response, Refusal> {
    let (browser, parameters) = form::read(issuer, headers, sent).await?;
    let Some((session, user)) = browser.session() else {
        return Ok(sign_in::show(issuer, &browser, StatusCode::OK, DEVICE_PAGE, &Asking::default(), None).await);
    };
    let typed = parameters.one("user_code")?.unwrap_or_default();
    let Some((user_code, waiting)) = waiting(issuer, user, typed).await? else {
        return Ok(enter(issuer, &browser, StatusCode::NOT_FOUND, Some(NO_SUCH_CODE)));
    };
    let now = issuer.clock.now();
    match parameters.one("decision")? {
        None => confirm(issuer, &browser, user, &user_code, &waiting).await,
        Some("allow") => {
            for (resource, scopes) in oauth::wanted(issuer, &waiting.resources, &waiting.scopes).await? {
                issuer.store.consent(&user.id, &waiting.client, issuer.granted(&resource), &scopes, now).await?;
            }
            let allowed = Allowed {
                user: user.id.clone(),
                client: waiting.client,
                browser: Some(session.id.clone()),
                resources: waiting.resources,
                scopes: waiting.scopes,
                key: None,
                authenticated_at: session.authenticated_at,
                second_factor_at: session.second_factor_at,
            };
            match issuer.store.allow_device(&user_code, &allowed, now).await? {
                true => Ok(told("Device connected", "You can close this page and go back to your device.")),
                false => Ok(enter(issuer, &browser, StatusCode::NOT_FOUND, Some(NO_SUCH_CODE))),
            }
        }
        Some(_) => {
            issuer.store.deny_device(&user_code, now).await?;
            Ok(told("Device turned away", "Nothing was allowed. You can close this page."))
        }
    }
}

/// Looks a code up, not too often: somebody may be guessing.
async fn waiting(issuer: &Issuer, user: &User, typed: &str) -> Result<Option<(String, Waiting)>, Refusal> {
    let now = issuer.clock.now();
    let found = match oauth::read_user_code(typed) {
        Some(user_code) => {
            let waiting = issuer.store.waiting_device(&user_code, now).await?;
            waiting.map(|waiting| (user_code, waiting))
        }
        None => None,
    };
    let counted = Hash::of(&Secret::new(format!("user code\n{}", user.id)));
    let attempts = match found {
        Some(_) => 0,
        None => issuer.store.attempt(&counted, ZONE_SIGN_IN_WINDOW, now).await?,
    };
    if attempts > ZONE_SIGN_IN_ATTEMPTS_MAX {
        return Err(Refusal::too_many("Too many codes were tried. Please wait a quarter of an hour"));
    }
    Ok(found)
}

async fn confirm(
    issuer: &Issuer,
    browser: &Browser,
    user: &User,
    user_code: &str,
    waiting: &Waiting,
) -> Result<Response, Refusal> {
    let client = issuer.store.client_name(&waiting.client).await?;
    let client = client.ok_or_else(|| Refusal::invalid_request("No such client is known here"))?;
    let wanted = oauth::wanted(issuer, &waiting.resources, &waiting.scopes).await?;
    let mark = browser.mark(issuer);
    let page = ConsentPage {
        mark: &mark,
        action: DEVICE_PAGE,
        subject: ("user_code", user_code),
        client: &client,
        answered_at: None,
        user: &user.identifier,
        wanted: &lines(issuer, &wanted),
    };
    Ok(browser.keep(issuer, view::show(StatusCode::OK, &page)))
}

fn enter(issuer: &Issuer, browser: &Browser, status: StatusCode, fault: Option<&str>) -> Response {
    let mark = browser.mark(issuer);
    browser.keep(issuer, view::show(status, &view::DevicePage { mark: &mark, fault }))
}

fn told(title: &str, text: &str) -> Response {
    view::show(StatusCode::OK, &MessagePage { title, text })
}

const NO_SUCH_CODE: &str = "No device is waiting under that code.";
