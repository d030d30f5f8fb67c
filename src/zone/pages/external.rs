//! The way to the zone's provider and back.

use std::sync::Arc;

use axum::extract::Extension;
use axum::extract::RawQuery;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::response::Response;

use crate::zone::issuer::Issuer;
use crate::zone::oauth::Parameters;
use crate::zone::oauth::Prompt;
use crate::zone::oauth::Refusal;
use crate::zone::pages::ACCOUNT;
use crate::zone::pages::browser::Browser;
use crate::zone::pages::browser::SecondFactor;
use crate::zone::pages::carried;
use crate::zone::pages::form;
use crate::zone::pages::sign_in;
use crate::zone::pages::view;
use crate::zone::pages::view::ArrivedPage;
use crate::zone::peer::Peer;
use crate::zone::people::Arrived;
use crate::zone::people::Asking;
use crate::zone::people::NotSignedIn;
use crate::zone::people::Ticket;

/// `GET /sign-in/provider`: a person chose to.
pub(super) async fn depart(State(issuer): State<Arc<Issuer>>, headers: HeaderMap, query: RawQuery) -> Response {
    let parameters = Parameters::of_query(query.0.as_deref().unwrap_or_default());
    let departed = async {
        let browser = Browser::read(&issuer, &headers).await?;
        let name = parameters.first("name").unwrap_or_default().to_owned();
        let asking = Asking { name, prompt: Prompt::read(parameters.one("prompt")?)?, age_max_s: None };
        sign_in::depart(&issuer, &browser, &form::going_on(&parameters), &asking).await
    };
    departed.await.unwrap_or_else(|refusal: Refusal| view::fault(&refusal))
}

/// `GET /oauth/2/redirect`: back from there.
pub(super) async fn come_back(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    from: Option<Extension<Peer>>,
    query: RawQuery,
) -> Response {
    let answer = Parameters::of_query(query.0.as_deref().unwrap_or_default());
    let state = answer.first("state").unwrap_or_default();
    let carried = carried::read(&issuer, &headers, state);
    let from = from.map(|Extension(peer)| peer);
    let arrived = arrive(&issuer, &headers, carried.as_deref(), &answer, from).await;
    let mut response = arrived.unwrap_or_else(|refusal| view::fault(&refusal));
    if carried.is_some() {
        carried::take(&issuer, state, &mut response);
    }
    response
}

async fn arrive(
    issuer: &Issuer,
    headers: &HeaderMap,
    carried: Option<&str>,
    answer: &Parameters,
    from: Option<Peer>,
) -> Result<Response, Refusal> {
    let browser = Browser::read(issuer, headers).await?;
    let Arrived { user, going_on, first } = match issuer.come_back(&browser.hash(), carried, answer, from).await {
        Ok(arrived) => arrived,
        Err(NotSignedIn::Store(failed)) => return Err(failed.into()),
        Err(not_signed_in) => {
            tracing::warn!(error = &not_signed_in as &dyn std::error::Error, "nobody is signed in by the provider");
            let (status, fault) = match matches!(not_signed_in, NotSignedIn::TooMany) {
                true => (StatusCode::TOO_MANY_REQUESTS, sign_in::TOO_MANY),
                false => (StatusCode::FORBIDDEN, NOT_SIGNED_IN),
            };
            return Ok(sign_in::show(issuer, &browser, status, ACCOUNT, &Asking::default(), Some(fault)).await);
        }
    };
    // Who set a second factor up here is asked for it, however they showed the first.
    if issuer.has_second_factor(&user).await? {
        let ticket = Ticket::for_second_factor(issuer, &user, &first);
        return Ok(sign_in::show_second_factor(issuer, &browser, StatusCode::OK, &going_on, &ticket, None));
    }
    let browser = browser.sign_in(issuer, &user, &first, SecondFactor::NotShown).await?;
    // A page and no redirect: the provider's own page may forbid where its form leads in the end.
    Ok(browser.keep(issuer, view::show(StatusCode::OK, &ArrivedPage { going_on: &going_on })))
}

const NOT_SIGNED_IN: &str = "Signing in there did not work. Please try again.";
