//! Signing in: by password and second factor, by a link that the owner of this machine made, or at the zone's provider.
//!
//! Where the zone has a provider, a person on the way to somewhere is led there at once; `/sign-in` itself, and every
//! page after something went wrong, lets them choose. A zone of the flow `identifier_first` asks who it is first, and
//! tells the provider then: nobody is led anywhere before.

use std::sync::Arc;

use axum::extract::Extension;
use axum::extract::RawQuery;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::response::Response;

use crate::model::Secret;
use crate::zone::issuer::Issuer;
use crate::zone::oauth::Parameters;
use crate::zone::oauth::Prompt;
use crate::zone::oauth::Refusal;
use crate::zone::oauth::Sent;
use crate::zone::opaque::Hash;
use crate::zone::pages::SIGN_IN;
use crate::zone::pages::SIGN_IN_PROVIDER;
use crate::zone::pages::browser::Browser;
use crate::zone::pages::browser::SecondFactor;
use crate::zone::pages::carried;
use crate::zone::pages::form;
use crate::zone::pages::view;
use crate::zone::pages::view::IdentifierPage;
use crate::zone::pages::view::LinkPage;
use crate::zone::pages::view::SecondFactorPage;
use crate::zone::pages::view::SignInPage;
use crate::zone::peer::Peer;
use crate::zone::people::Asking;
use crate::zone::people::Attempt;
use crate::zone::people::Departure;
use crate::zone::people::FirstStep;
use crate::zone::people::Ticket;
use crate::zone::people::place;
use crate::zone::store::LoginFlow;
use crate::zone::store::Seen;
use crate::zone::store::User;

/// `GET /sign-in`.
pub(super) async fn page(State(issuer): State<Arc<Issuer>>, headers: HeaderMap, query: RawQuery) -> Response {
    let parameters = Parameters::of_query(query.0.as_deref().unwrap_or_default());
    let shown = async {
        let browser = Browser::read(&issuer, &headers).await?;
        let asking = Asking { prompt: Prompt::read(parameters.one("prompt")?)?, ..Asking::default() };
        Ok(show(&issuer, &browser, StatusCode::OK, &form::going_on(&parameters), &asking, None).await)
    };
    shown.await.unwrap_or_else(|refusal: Refusal| view::fault(&refusal))
}

/// `POST /sign-in/identifier`: who it is, where the zone asks for that first. The answer is the same for everybody: it
/// tells nobody who has an account here, and who at the provider.
pub(super) async fn identify(State(issuer): State<Arc<Issuer>>, headers: HeaderMap, sent: Sent) -> Response {
    let shown = async {
        let (browser, parameters) = form::read(&issuer, &headers, sent).await?;
        let name = parameters.one("name")?.unwrap_or_default().trim().to_owned();
        let asking = Asking { name, prompt: Prompt::read(parameters.one("prompt")?)?, age_max_s: None };
        Ok(show(&issuer, &browser, StatusCode::OK, &form::going_on(&parameters), &asking, None).await)
    };
    shown.await.unwrap_or_else(|refusal: Refusal| view::fault(&refusal))
}

/// Asks a person on the way to somewhere to sign in: at the zone's provider, or on the page.
pub(super) async fn ask(
    issuer: &Issuer,
    browser: &Browser,
    going_on: &str,
    asking: &Asking,
) -> Result<Response, Refusal> {
    match issuer.store.login_flow().await? {
        LoginFlow::Default => depart(issuer, browser, going_on, asking).await,
        LoginFlow::IdentifierFirst => Ok(show(issuer, browser, StatusCode::OK, going_on, asking, None).await),
    }
}

/// Sends a person to the zone's provider; to the page where there is none, or it can't be reached.
pub(super) async fn depart(
    issuer: &Issuer,
    browser: &Browser,
    going_on: &str,
    asking: &Asking,
) -> Result<Response, Refusal> {
    match issuer.depart(&browser.hash(), going_on, asking).await? {
        Departure::Here => Ok(show(issuer, browser, StatusCode::OK, going_on, asking, None).await),
        Departure::To { address, state, carried } => {
            let mut response = view::go_to(&address);
            match carried::give(issuer, state.expose_str().unwrap_or_default(), &carried, &mut response) {
                true => Ok(browser.keep(issuer, response)),
                false => {
                    Err(Refusal::invalid_request("The request is too long to be kept while you sign in elsewhere"))
                }
            }
        }
        Departure::Nowhere(provider) => {
            let fault = format!("{provider} can't be reached at the moment. Please try again later.");
            Ok(show(issuer, browser, StatusCode::BAD_GATEWAY, going_on, asking, Some(&fault)).await)
        }
    }
}

/// The sign-in page, on the way to somewhere.
pub(super) async fn show(
    issuer: &Issuer,
    browser: &Browser,
    status: StatusCode,
    going_on: &str,
    asking: &Asking,
    fault: Option<&str>,
) -> Response {
    let (mark, prompt) = (browser.mark(issuer), asking.prompt.for_provider().unwrap_or_default());
    let leads_to = client_address(going_on);
    // The page is of use without them too.
    let flow = issuer.store.login_flow().await.unwrap_or(LoginFlow::Default);
    let provider = issuer.store.sign_in_provider().await.ok().flatten();
    let name = asking.name.as_str();
    if flow == LoginFlow::IdentifierFirst && name.is_empty() {
        let page = IdentifierPage { mark: &mark, going_on, prompt: &prompt, fault };
        return browser.keep(issuer, view::show_leading_to(status, &page, leads_to.as_deref()));
    }
    let way = |page: &str, name: &str| {
        let fields = [("continue", going_on), ("prompt", &prompt), ("name", name)];
        let fields = fields.into_iter().filter(|(_, value)| !value.is_empty());
        let query: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        format!("{page}?{query}")
    };
    let (there, anew) = (way(SIGN_IN_PROVIDER, name), way(SIGN_IN, ""));
    let page = SignInPage {
        mark: &mark,
        going_on,
        name,
        fault,
        provider: provider.as_ref().map(|provider| (provider.name.as_str(), there.as_str())),
        anew: (flow == LoginFlow::IdentifierFirst).then_some(anew.as_str()),
    };
    browser.keep(issuer, view::show_leading_to(status, &page, leads_to.as_deref()))
}

/// `POST /sign-in`.
pub(super) async fn password(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    from: Option<Extension<Peer>>,
    sent: Sent,
) -> Response {
    judge_password(&issuer, &headers, from.map(|Extension(peer)| peer), sent)
        .await
        .unwrap_or_else(|refusal| view::fault(&refusal))
}

async fn judge_password(
    issuer: &Issuer,
    headers: &HeaderMap,
    from: Option<Peer>,
    sent: Sent,
) -> Result<Response, Refusal> {
    let (browser, parameters) = form::read(issuer, headers, sent).await?;
    let going_on = form::going_on(&parameters);
    let name = parameters.one("name")?.unwrap_or_default().trim();
    let (asking, first) = (named(name), FirstStep::by_password(issuer.clock.now()));
    let password = parameters.secret("password")?.unwrap_or_else(|| Secret::new(""));
    match issuer.show_password(name, password, from).await? {
        Attempt::SignedIn(user) => signed_in(issuer, &browser, &user, &first, &going_on).await,
        Attempt::SecondFactorNeeded(user) => {
            let ticket = Ticket::for_second_factor(issuer, &user, &first);
            Ok(show_second_factor(issuer, &browser, StatusCode::OK, &going_on, &ticket, None))
        }
        Attempt::Refused => Ok(show(
            issuer,
            &browser,
            StatusCode::UNAUTHORIZED,
            &going_on,
            &asking,
            Some("That name and password do not match."),
        )
        .await),
        Attempt::TooMany => {
            Ok(show(issuer, &browser, StatusCode::TOO_MANY_REQUESTS, &going_on, &asking, Some(TOO_MANY)).await)
        }
    }
}

/// `POST /sign-in/second-factor`.
pub(super) async fn second_factor(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    from: Option<Extension<Peer>>,
    sent: Sent,
) -> Response {
    judge_second_factor(&issuer, &headers, from.map(|Extension(peer)| peer), sent)
        .await
        .unwrap_or_else(|refusal| view::fault(&refusal))
}

async fn judge_second_factor(
    issuer: &Issuer,
    headers: &HeaderMap,
    from: Option<Peer>,
    sent: Sent,
) -> Result<Response, Refusal> {
    let (browser, parameters) = form::read(issuer, headers, sent).await?;
    let going_on = form::going_on(&parameters);
    let ticket = parameters.one("ticket")?.unwrap_or_default();
    let opened = match Ticket::open_second_factor(issuer, ticket) {
        Some((user, first)) => issuer.store.user(&user).await?.map(|user| (user, first)),
        None => None,
    };
    let Some((user, first)) = opened else {
        let fault = Some("Please sign in again.");
        return Ok(show(issuer, &browser, StatusCode::UNAUTHORIZED, &going_on, &Asking::default(), fault).await);
    };
    let place = from.map(place);
    if issuer.is_flooded(place.as_ref()).await? {
        let status = StatusCode::TOO_MANY_REQUESTS;
        return Ok(show_second_factor(issuer, &browser, status, &going_on, ticket, Some(TOO_MANY)));
    }
    match issuer.show_second_factor(&user, parameters.one("code")?.unwrap_or_default()).await? {
        Attempt::SignedIn(user) => {
            issuer.was_right(place.as_ref()).await?;
            let browser = browser.sign_in(issuer, &user, &first, SecondFactor::Shown).await?;
            Ok(browser.keep(issuer, view::go_to(&going_on)))
        }
        Attempt::SecondFactorNeeded(_) | Attempt::Refused => {
            let fault = Some("That code is not valid. Each code is good once.");
            Ok(show_second_factor(issuer, &browser, StatusCode::UNAUTHORIZED, &going_on, ticket, fault))
        }
        Attempt::TooMany => {
            Ok(show_second_factor(issuer, &browser, StatusCode::TOO_MANY_REQUESTS, &going_on, ticket, Some(TOO_MANY)))
        }
    }
}

/// `GET /sign-in/link`: a link is opened by mail programs and previews too, so that only the form signs in.
pub(super) async fn link_page(State(issuer): State<Arc<Issuer>>, headers: HeaderMap, query: RawQuery) -> Response {
    let parameters = Parameters::of_query(query.0.as_deref().unwrap_or_default());
    let ticket = parameters.first("ticket").unwrap_or_default();
    let (browser, user) = match link_user(&issuer, &headers, ticket).await {
        Ok(found) => found,
        Err(refusal) => return view::fault(&refusal),
    };
    let (mark, going_on) = (browser.mark(&issuer), form::going_on(&parameters));
    let page = LinkPage { mark: &mark, going_on: &going_on, ticket, name: &user.identifier };
    browser.keep(&issuer, view::show_leading_to(StatusCode::OK, &page, client_address(&going_on).as_deref()))
}

async fn link_user(issuer: &Issuer, headers: &HeaderMap, ticket: &str) -> Result<(Browser, User), Refusal> {
    let browser = Browser::read(issuer, headers).await?;
    let user = match Ticket::open_link(issuer, ticket) {
        Some((user, _, _)) => issuer.store.user(&user).await?,
        None => None,
    };
    user.map(|user| (browser, user)).ok_or_else(spent)
}

/// `POST /sign-in/link`.
pub(super) async fn link(State(issuer): State<Arc<Issuer>>, headers: HeaderMap, sent: Sent) -> Response {
    follow_link(&issuer, &headers, sent).await.unwrap_or_else(|refusal| view::fault(&refusal))
}

async fn follow_link(issuer: &Issuer, headers: &HeaderMap, sent: Sent) -> Result<Response, Refusal> {
    let (browser, parameters) = form::read(issuer, headers, sent).await?;
    let ticket = parameters.one("ticket")?.unwrap_or_default();
    let (user, word, expires_at) = Ticket::open_link(issuer, ticket).ok_or_else(spent)?;
    let user = issuer.store.user(&user).await?.ok_or_else(spent)?;
    let seen = Hash::of(&Secret::new(format!("sign-in link\n{word}")));
    if issuer.store.see(&seen, expires_at).await? == Seen::Again {
        return Err(spent());
    }
    let first = FirstStep::by_link(issuer.clock.now());
    signed_in(issuer, &browser, &user, &first, &form::going_on(&parameters)).await
}

async fn signed_in(
    issuer: &Issuer,
    browser: &Browser,
    user: &User,
    first: &FirstStep,
    going_on: &str,
) -> Result<Response, Refusal> {
    let browser = browser.sign_in(issuer, user, first, SecondFactor::NotShown).await?;
    Ok(browser.keep(issuer, view::go_to(going_on)))
}

pub(super) fn show_second_factor(
    issuer: &Issuer,
    browser: &Browser,
    status: StatusCode,
    going_on: &str,
    ticket: &str,
    fault: Option<&str>,
) -> Response {
    let mark = browser.mark(issuer);
    let page = SecondFactorPage { mark: &mark, going_on, ticket, fault };
    browser.keep(issuer, view::show_leading_to(status, &page, client_address(going_on).as_deref()))
}

/// Where the form may end: the client's address, when a request of its waits behind the sign-in. It is judged there;
/// here it only stands in the page's own policy.
fn client_address(going_on: &str) -> Option<String> {
    let (_, query) = going_on.split_once('?')?;
    Parameters::of_query(query).first("redirect_uri").map(str::to_owned)
}

fn named(name: &str) -> Asking {
    Asking { name: name.to_owned(), ..Asking::default() }
}

fn spent() -> Refusal {
    Refusal::request("invalid_request", "This link has expired or was used. Ask for a new one")
}

pub(super) const TOO_MANY: &str = "Too many attempts. Please wait a quarter of an hour and try again.";
