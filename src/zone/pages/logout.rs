//! Signing out: from our own page, or when a client asks for it (OpenID Connect RP-Initiated Logout 1.0).
//!
//! A client that shows the ID token of the very person who is signed in here has its wish; for anybody else the person
//! is asked, so that no picture on some page signs people out. The person is sent only to an address that the client
//! registered for it.

use std::sync::Arc;

use axum::extract::RawQuery;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::response::Response;

use crate::zone::address;
use crate::zone::issuer::Issuer;
use crate::zone::oauth::Parameters;
use crate::zone::oauth::Refusal;
use crate::zone::oauth::Sent;
use crate::zone::pages::SIGN_IN;
use crate::zone::pages::browser::Browser;
use crate::zone::pages::form;
use crate::zone::pages::view;
use crate::zone::pages::view::MessagePage;
use crate::zone::pages::view::SignOutPage;

/// `GET /oauth/2/logout`.
pub(super) async fn end_session(State(issuer): State<Arc<Issuer>>, headers: HeaderMap, query: RawQuery) -> Response {
    let query = query.0.unwrap_or_default();
    consider(&issuer, &headers, &query).await.unwrap_or_else(|refusal| view::fault(&refusal))
}

/// `POST /oauth/2/logout`: a client's form, from the client's page.
pub(super) async fn end_session_by_form(State(issuer): State<Arc<Issuer>>, headers: HeaderMap, sent: Sent) -> Response {
    let query = match Parameters::read(sent) {
        Ok(parameters) => parameters.to_query(),
        Err(refusal) => return view::fault(&refusal),
    };
    consider(&issuer, &headers, &query).await.unwrap_or_else(|refusal| view::fault(&refusal))
}

/// `POST /sign-out`: the person said yes.
pub(super) async fn sign_out(State(issuer): State<Arc<Issuer>>, headers: HeaderMap, sent: Sent) -> Response {
    leave(&issuer, &headers, sent).await.unwrap_or_else(|refusal| view::fault(&refusal))
}

async fn consider(issuer: &Issuer, headers: &HeaderMap, query: &str) -> Result<Response, Refusal> {
    let wish = Wish::read(issuer, &Parameters::of_query(query)).await?;
    let browser = Browser::read(issuer, headers).await?;
    match browser.session() {
        None => Ok(wish.done()),
        Some((session, user)) if wish.of_user.as_deref() == Some(user.id.as_str()) => {
            issuer.store.end_session_of(&user.id, &session.id, issuer.clock.now()).await?;
            Ok(wish.done())
        }
        Some(_) => {
            let mark = browser.mark(issuer);
            let page = SignOutPage { mark: &mark, query };
            let response = view::show_leading_to(StatusCode::OK, &page, wish.address.as_deref());
            Ok(browser.keep(issuer, response))
        }
    }
}

async fn leave(issuer: &Issuer, headers: &HeaderMap, sent: Sent) -> Result<Response, Refusal> {
    let (browser, parameters) = form::read(issuer, headers, sent).await?;
    let wish = Wish::read(issuer, &Parameters::of_query(parameters.first("request").unwrap_or_default())).await?;
    if let Some((session, user)) = browser.session() {
        issuer.store.end_session_of(&user.id, &session.id, issuer.clock.now()).await?;
    }
    Ok(match (&wish.address, parameters.first("request")) {
        (None, None) => view::go_to(SIGN_IN),
        _ => wish.done(),
    })
}

/// What a client asks for.
struct Wish {
    /// Whom its ID token is about.
    of_user: Option<String>,
    /// Where the person goes afterwards.
    address: Option<String>,
}

impl Wish {
    async fn read(issuer: &Issuer, parameters: &Parameters) -> Result<Self, Refusal> {
        let (mut of_user, mut client_id) = (None, parameters.one("client_id")?.map(str::to_owned));
        if let Some(token) = parameters.one("id_token_hint")? {
            let hint = issuer.read_id_token_hint(token);
            let hint = hint.ok_or_else(|| Refusal::invalid_request("The id_token_hint is not valid"))?;
            if client_id.as_ref().is_some_and(|named| *named != hint.client) {
                return Err(Refusal::invalid_request("The id_token_hint is another client's"));
            }
            (of_user, client_id) = (Some(hint.user), Some(hint.client));
        }
        let Some(address) = parameters.one("post_logout_redirect_uri")? else {
            return Ok(Self { of_user, address: None });
        };
        let client = match client_id {
            Some(client_id) => issuer.client(&client_id).await?,
            None => None,
        };
        // Exactly (§2): here is no application that listens on any free port.
        if !client.is_some_and(|client| client.post_logout_redirect_uris.iter().any(|known| known == address)) {
            return Err(Refusal::invalid_request("The post_logout_redirect_uri is not one that the client registered"));
        }
        let state = parameters.one("state")?.map(|state| ("state", state));
        let address = address::with_parameters(address, &state.into_iter().collect::<Vec<_>>());
        Ok(Self { of_user, address })
    }

    fn done(&self) -> Response {
        match &self.address {
            Some(address) => view::go_to(address),
            None => view::show(StatusCode::OK, &MessagePage { title: "Signed out", text: "You are signed out here." }),
        }
    }
}
