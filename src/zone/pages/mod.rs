//! The zone's pages for people: sign in, consent, devices, account.
//!
//! Plain HTML from the server, for keyboards and screen readers, without a single script. Promises: each page comes
//! with a policy that lets nothing in but our own style sheet and no frame around it; each form carries a mark that
//! only this zone can make for this browser; a cookie is `HttpOnly`, `SameSite=Lax`, and `Secure` wherever there is
//! TLS. Never: a redirect to an address that somebody else put into the request, a word on whether a name exists.

mod account;
mod authorize;
mod browser;
mod carried;
mod device;
mod external;
mod form;
mod logout;
mod sign_in;
mod view;
mod welcome;

use std::sync::Arc;

use axum::Router;
use axum::http::header::CACHE_CONTROL;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::routing::post;

use crate::zone::issuer::Issuer;
use crate::zone::oauth::AUTHORIZE;
use crate::zone::oauth::DEVICE_PAGE;
use crate::zone::oauth::LOGOUT;
use crate::zone::people::REDIRECT;

/// All pages.
pub(in crate::zone) fn router() -> Router<Arc<Issuer>> {
    Router::new()
        .route(AUTHORIZE, get(authorize::ask))
        .route(CONSENT, post(authorize::decide))
        .route(SIGN_IN, get(sign_in::page).post(sign_in::password))
        .route(SIGN_IN_IDENTIFIER, post(sign_in::identify))
        .route(SECOND_FACTOR, post(sign_in::second_factor))
        .route(SIGN_IN_LINK, get(sign_in::link_page).post(sign_in::link))
        .route(SIGN_IN_PROVIDER, get(external::depart))
        .route(REDIRECT, get(external::come_back))
        .route(WELCOME, get(welcome::page).post(welcome::choose_first))
        .route(INVITATION, get(welcome::invitation).post(welcome::accept))
        .route(SIGN_OUT, post(logout::sign_out))
        .route(LOGOUT, get(logout::end_session).post(logout::end_session_by_form))
        .route(DEVICE_PAGE, get(device::page).post(device::decide))
        .route(ACCOUNT, get(account::page))
        .route("/account/revoke-session", post(account::revoke_session))
        .route("/account/revoke-grant", post(account::revoke_grant))
        .route("/account/sign-out-browser", post(account::sign_out_browser))
        .route("/account/password", post(account::change_password))
        .route("/account/authenticator", get(account::enrolment).post(account::begin_enrolment))
        .route("/account/authenticator/confirm", post(account::confirm_enrolment))
        .route("/account/authenticator/remove", post(account::remove_authenticator))
        .route(STYLE, get(style))
}

async fn style() -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, "text/css; charset=utf-8"),
        (CACHE_CONTROL, "public, max-age=3600"),
        (axum::http::header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, include_str!("style.css"))
}

const CONSENT: &str = "/oauth/2/consent";
const SIGN_IN: &str = "/sign-in";
const SIGN_IN_IDENTIFIER: &str = "/sign-in/identifier";
const SECOND_FACTOR: &str = "/sign-in/second-factor";
const SIGN_IN_LINK: &str = "/sign-in/link";
const SIGN_IN_PROVIDER: &str = "/sign-in/provider";
pub(in crate::zone) const WELCOME: &str = "/welcome";
pub(in crate::zone) const INVITATION: &str = "/invitation";
const SIGN_OUT: &str = "/sign-out";
const ACCOUNT: &str = "/account";
const STYLE: &str = "/assets/zone.css";
