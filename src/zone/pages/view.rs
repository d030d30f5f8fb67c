//! The pages as they are written, each with the headers that keep it to itself.

use askama::Template;
use axum::http::HeaderName;
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::http::header::CONTENT_TYPE;
use axum::http::header::LOCATION;
use axum::http::header::REFERRER_POLICY;
use axum::http::header::X_CONTENT_TYPE_OPTIONS;
use axum::http::header::X_FRAME_OPTIONS;
use axum::response::IntoResponse as _;
use axum::response::Response;

use crate::zone::address;
use crate::zone::oauth::Refusal;
use crate::zone::store::GrantLine;

/// Name and password.
#[derive(Template)]
#[template(path = "sign_in.html")]
pub(super) struct SignInPage<'a> {
    pub(super) mark: &'a str,
    pub(super) going_on: &'a str,
    pub(super) name: &'a str,
    pub(super) fault: Option<&'a str>,
    /// What the provider is called through which people may sign in, and the way there.
    pub(super) provider: Option<(&'a str, &'a str)>,
    /// Where somebody else says who they are, when the name was asked for first and is settled.
    pub(super) anew: Option<&'a str>,
}

/// Who it is, before how they show it.
#[derive(Template)]
#[template(path = "identifier.html")]
pub(super) struct IdentifierPage<'a> {
    pub(super) mark: &'a str,
    pub(super) going_on: &'a str,
    /// What the provider is to ask, should the person go there, and how old a sign-in there may be.
    pub(super) prompt: &'a str,
    pub(super) age_max_s: &'a str,
    pub(super) fault: Option<&'a str>,
}

/// Back from the provider: goes on by itself.
#[derive(Template)]
#[template(path = "arrived.html")]
pub(super) struct ArrivedPage<'a> {
    pub(super) going_on: &'a str,
}

/// A first password.
#[derive(Template)]
#[template(path = "welcome.html")]
pub(super) struct WelcomePage<'a> {
    pub(super) mark: &'a str,
    /// Where the form goes.
    pub(super) action: &'a str,
    /// By what the person comes in: a ticket or a token.
    pub(super) subject: (&'a str, &'a str),
    /// What the person signs in as.
    pub(super) name: &'a str,
    /// The address that a guest was invited by.
    pub(super) invited: Option<&'a str>,
    pub(super) fault: Option<&'a str>,
}

/// An invitation of somebody who has an account.
#[derive(Template)]
#[template(path = "join.html")]
pub(super) struct JoinPage<'a> {
    pub(super) mark: &'a str,
    pub(super) token: &'a str,
    pub(super) organization: &'a str,
    pub(super) user: &'a str,
}

/// The one-time password.
#[derive(Template)]
#[template(path = "second_factor.html")]
pub(super) struct SecondFactorPage<'a> {
    pub(super) mark: &'a str,
    pub(super) going_on: &'a str,
    pub(super) ticket: &'a str,
    pub(super) fault: Option<&'a str>,
}

/// Signing in by a link that this machine made.
#[derive(Template)]
#[template(path = "link.html")]
pub(super) struct LinkPage<'a> {
    pub(super) mark: &'a str,
    pub(super) going_on: &'a str,
    pub(super) ticket: &'a str,
    pub(super) name: &'a str,
}

/// Which client wants which resource with which scopes.
#[derive(Template)]
#[template(path = "consent.html")]
pub(super) struct ConsentPage<'a> {
    pub(super) mark: &'a str,
    /// Where the form goes.
    pub(super) action: &'a str,
    /// What is decided: the request again, or the user code.
    pub(super) subject: (&'a str, &'a str),
    pub(super) client: &'a str,
    /// Where the answer goes, for the client's name proves nothing.
    pub(super) answered_at: Option<&'a str>,
    pub(super) user: &'a str,
    pub(super) wanted: &'a [Wanted],
}

/// One resource on the consent page.
pub(super) struct Wanted {
    pub(super) resource: String,
    pub(super) scopes: Vec<String>,
    /// Nothing but to know who the person is.
    pub(super) is_sign_in: bool,
}

/// The code that a device shows.
#[derive(Template)]
#[template(path = "device.html")]
pub(super) struct DevicePage<'a> {
    pub(super) mark: &'a str,
    pub(super) fault: Option<&'a str>,
}

/// Sessions, grants, password, authenticator.
#[derive(Template)]
#[template(path = "account.html")]
pub(super) struct AccountPage<'a> {
    pub(super) mark: &'a str,
    pub(super) user: &'a str,
    pub(super) message: Option<&'a str>,
    pub(super) fault: Option<&'a str>,
    /// Where to sign in once more, when that is what is wrong.
    pub(super) again: Option<&'a str>,
    pub(super) grants: &'a [GrantLine],
    pub(super) sessions: &'a [Line],
    pub(super) browsers: &'a [Line],
    pub(super) has_password: bool,
    pub(super) may_have_password: bool,
    pub(super) has_authenticator: bool,
    pub(super) recovery_codes_left: i64,
}

/// One line of the account page.
pub(super) struct Line {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) detail: String,
    pub(super) since: String,
    pub(super) is_this: bool,
}

/// A new authenticator.
#[derive(Template)]
#[template(path = "enrolment.html")]
pub(super) struct EnrolmentPage<'a> {
    pub(super) mark: &'a str,
    pub(super) secret: &'a str,
    pub(super) url: &'a str,
    pub(super) fault: Option<&'a str>,
}

/// Recovery codes, shown once.
#[derive(Template)]
#[template(path = "recovery.html")]
pub(super) struct RecoveryPage<'a> {
    pub(super) codes: &'a [String],
}

/// A question of yes or no.
#[derive(Template)]
#[template(path = "sign_out.html")]
pub(super) struct SignOutPage<'a> {
    pub(super) mark: &'a str,
    pub(super) query: &'a str,
}

/// Something to be told, and nothing to be done.
#[derive(Template)]
#[template(path = "message.html")]
pub(super) struct MessagePage<'a> {
    pub(super) title: &'a str,
    pub(super) text: &'a str,
}

/// Shows a page.
pub(super) fn show(status: StatusCode, page: &impl Template) -> Response {
    show_leading_to(status, page, None)
}

/// Shows a page whose form ends in a redirect to `address`, which the browser must let through.
pub(super) fn show_leading_to(status: StatusCode, page: &impl Template, address: Option<&str>) -> Response {
    let Ok(text) = page.render() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let leads_to = address.and_then(address::form_action).map(|source| format!(" {source}")).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; style-src 'self'; form-action 'self'{leads_to}; frame-ancestors 'none'; base-uri 'none'"
    );
    let mut response = (status, text).into_response();
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// What went wrong, for a person.
pub(super) fn fault(refusal: &Refusal) -> Response {
    let text = refusal.description();
    show(refusal.status(), &MessagePage { title: "This did not work", text })
}

/// Goes on elsewhere, by GET (RFC 9700 §4.12 has 303 for it).
pub(super) fn go_to(address: &str) -> Response {
    let Ok(location) = HeaderValue::from_str(address) else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let headers = [
        (LOCATION, location),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}

const HEADERS: [(HeaderName, &str); 7] = [
    (CONTENT_TYPE, "text/html; charset=utf-8"),
    (CACHE_CONTROL, "no-store"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    // Not `no-referrer`: with that, browsers send the forms of our own pages with `Origin: null`.
    (REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];
