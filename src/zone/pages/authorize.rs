//! The authorization page: who is asked to sign in, who to consent, and who is sent back at once.

use std::sync::Arc;

use axum::extract::RawQuery;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::response::Response;

use crate::model::Scopes;
use crate::zone::id::UserId;
use crate::zone::issuer::Issuer;
use crate::zone::oauth::AUTHORIZE;
use crate::zone::oauth::Authorization;
use crate::zone::oauth::NotAsked;
use crate::zone::oauth::Parameters;
use crate::zone::oauth::Refusal;
use crate::zone::oauth::Sent;
use crate::zone::oauth::WAS_ASKED;
use crate::zone::oauth::Wish;
use crate::zone::opaque;
use crate::zone::pages::CONSENT;
use crate::zone::pages::browser::Browser;
use crate::zone::pages::form;
use crate::zone::pages::sign_in;
use crate::zone::pages::view;
use crate::zone::pages::view::ConsentPage;
use crate::zone::pages::view::Wanted;
use crate::zone::store::BrowserSession;
use crate::zone::store::Code;
use crate::zone::store::User;

/// `GET /oauth/2/authorize`.
pub(super) async fn ask(State(issuer): State<Arc<Issuer>>, headers: HeaderMap, query: RawQuery) -> Response {
    let query = query.0.unwrap_or_default();
    match consider(&issuer, &headers, &query).await {
        Ok(response) => response,
        Err(not_asked) => refuse(&issuer, &not_asked),
    }
}

async fn consider(issuer: &Issuer, headers: &HeaderMap, query: &str) -> Result<Response, NotAsked> {
    let authorization = Authorization::read(issuer, &Parameters::of_query(query)).await?;
    let there = |refusal| NotAsked::There(authorization.reply.clone(), refusal);
    let browser = Browser::read(issuer, headers).await.map_err(NotAsked::Here)?;
    let taken = |(session, _): &&(BrowserSession, User)| authorization.takes(issuer, session);
    let Some((session, user)) = browser.session().filter(taken) else {
        let is_another = browser.session().is_some_and(|(session, _)| !authorization.expects(&session.user));
        if authorization.prompt.has(Wish::Nothing) || authorization.was_asked && is_another {
            return Err(there(Refusal::request("login_required", "The person is not signed in")));
        }
        let going_on = again(query, &authorization);
        return sign_in::ask(issuer, &browser, &going_on, &authorization.asking()).await.map_err(NotAsked::Here);
    };
    let wanted = authorization.wanted(issuer).await.map_err(there)?;
    let granted = is_granted(issuer, &authorization, &user.id, &wanted).await.map_err(there)?;
    if granted && !authorization.prompt.has(Wish::Consent) {
        return answer(issuer, &authorization, session).await.map_err(there);
    }
    if authorization.prompt.has(Wish::Nothing) {
        return Err(there(Refusal::request("consent_required", "The person has not consented")));
    }
    let wanted = lines(issuer, &wanted);
    let mark = browser.mark(issuer);
    let page = ConsentPage {
        mark: &mark,
        action: CONSENT,
        subject: ("request", query),
        client: &authorization.client.application.name,
        answered_at: Some(&authorization.reply.redirect_uri),
        user: &user.identifier,
        wanted: &wanted,
    };
    let leads_to = Some(authorization.reply.redirect_uri.as_str());
    Ok(browser.keep(issuer, view::show_leading_to(StatusCode::OK, &page, leads_to)))
}

/// `POST /oauth/2/consent`: the request is read and judged again, for the form came from a browser.
pub(super) async fn decide(State(issuer): State<Arc<Issuer>>, headers: HeaderMap, sent: Sent) -> Response {
    match settle(&issuer, &headers, sent).await {
        Ok(response) => response,
        Err(not_asked) => refuse(&issuer, &not_asked),
    }
}

async fn settle(issuer: &Issuer, headers: &HeaderMap, sent: Sent) -> Result<Response, NotAsked> {
    let (browser, parameters) = form::read(issuer, headers, sent).await.map_err(NotAsked::Here)?;
    let query = parameters.first("request").unwrap_or_default();
    let authorization = Authorization::read(issuer, &Parameters::of_query(query)).await?;
    let there = |refusal| NotAsked::There(authorization.reply.clone(), refusal);
    let Some((session, user)) = browser.session() else {
        let going_on = again(query, &authorization);
        return Ok(sign_in::show(issuer, &browser, StatusCode::OK, &going_on, &authorization.asking(), None).await);
    };
    if parameters.first("decision") != Some("allow") {
        return Err(there(Refusal::access_denied("The person denied the request")));
    }
    let now = issuer.clock.now();
    for (resource, scopes) in authorization.wanted(issuer).await.map_err(there)? {
        let client = &authorization.client.application.id;
        let kept = issuer.store.consent(&user.id, client, issuer.granted(&resource), &scopes, now).await;
        kept.map_err(|failed| there(failed.into()))?;
    }
    answer(issuer, &authorization, session).await.map_err(there)
}

/// Back to the client, with a code.
async fn answer(issuer: &Issuer, authorization: &Authorization, session: &BrowserSession) -> Result<Response, Refusal> {
    let (word, hash) = opaque::generate("vka_");
    let code = Code {
        allowed: authorization.allowed(session),
        redirect_uri: authorization.reply.redirect_uri.clone(),
        challenge: authorization.challenge.clone(),
        nonce: authorization.nonce.clone(),
    };
    issuer.store.add_code(&hash, &code, issuer.clock.now()).await?;
    let address = authorization.reply.with(issuer, &[("code", word.expose_str().unwrap_or_default())]);
    let address = address.ok_or_else(|| Refusal::invalid_request("The redirect_uri is no address"))?;
    Ok(view::go_to(&address))
}

/// Whether all of it was granted before.
async fn is_granted(
    issuer: &Issuer,
    authorization: &Authorization,
    user: &UserId,
    wanted: &[(String, Scopes)],
) -> Result<bool, Refusal> {
    if !authorization.client.asks() {
        return Ok(true);
    }
    let now = issuer.clock.now();
    for (resource, scopes) in wanted {
        let client = &authorization.client.application.id;
        let granted = issuer.store.consented(user, client, issuer.granted(resource), now).await?;
        if !granted.is_some_and(|granted| scopes.is_subset(&granted)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What a person reads.
pub(super) fn lines(issuer: &Issuer, wanted: &[(String, Scopes)]) -> Vec<Wanted> {
    let line = |(resource, scopes): &(String, Scopes)| Wanted {
        is_sign_in: resource == issuer.url(),
        resource: resource.clone(),
        scopes: scopes.iter().map(str::to_owned).collect(),
    };
    wanted.iter().map(line).collect()
}

fn refuse(issuer: &Issuer, not_asked: &NotAsked) -> Response {
    match not_asked {
        NotAsked::Here(refusal) => view::fault(refusal),
        NotAsked::There(reply, refusal) => {
            let answer = [("error", refusal.error()), ("error_description", refusal.description())];
            match reply.with(issuer, &answer) {
                Some(address) => view::go_to(&address),
                None => view::fault(refusal),
            }
        }
    }
}

/// The request once more, after the sign-in that it asked for.
fn again(query: &str, authorization: &Authorization) -> String {
    let asked = url::form_urlencoded::parse(query.as_bytes());
    let rest = asked.filter(|(name, _)| !matches!(name.as_ref(), "prompt" | "max_age" | WAS_ASKED));
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(rest).append_pair(WAS_ASKED, "1");
    if let Some(prompt) = authorization.prompt.after_sign_in() {
        query.append_pair("prompt", &prompt);
    }
    format!("{AUTHORIZE}?{}", query.finish())
}
