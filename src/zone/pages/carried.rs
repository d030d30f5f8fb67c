//! What a browser carries for a person who signs in elsewhere: a cookie of its own for each way, which goes back to the
//! one page where people come back and nowhere else.

use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::header::SET_COOKIE;
use axum::response::Response;

use crate::limits::ZONE_CARRIED_COOKIE_BYTES_MAX;
use crate::limits::ZONE_CARRIED_COOKIES_MAX;
use crate::limits::ZONE_EXTERNAL_SIGN_IN_LIFETIME;
use crate::model::Secret;
use crate::zone::issuer::Issuer;
use crate::zone::opaque::Hash;
use crate::zone::pages::browser;
use crate::zone::people::REDIRECT;

/// Lets the browser carry `sealed` until it comes back with `state`; false when that is too long.
#[must_use]
pub(super) fn give(issuer: &Issuer, state: &str, sealed: &str, response: &mut Response) -> bool {
    let pair = format!("{}={sealed}", name(issuer, state));
    if pair.len() > ZONE_CARRIED_COOKIE_BYTES_MAX {
        return false;
    }
    set(issuer, &pair, ZONE_EXTERNAL_SIGN_IN_LIFETIME.as_secs(), response);
    true
}

/// What the browser carries for this state.
pub(super) fn read(issuer: &Issuer, headers: &HeaderMap, state: &str) -> Option<String> {
    browser::one_cookie(headers, &name(issuer, state)).map(str::to_owned)
}

/// Takes it back.
pub(super) fn take(issuer: &Issuer, state: &str, response: &mut Response) {
    set(issuer, &format!("{}=", name(issuer, state)), 0, response);
}

fn set(issuer: &Issuer, pair: &str, age_s: u64, response: &mut Response) {
    let secure = if browser::is_secure(issuer) { "; Secure" } else { "" };
    let value = format!("{pair}; Path={REDIRECT}; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}");
    if let Ok(value) = HeaderValue::from_str(&value) {
        response.headers_mut().append(SET_COOKIE, value);
    }
}

/// One of a few: two tabs seldom meet in one, and whoever sets out a hundred times still sends heads of a legal length.
fn name(issuer: &Issuer, state: &str) -> String {
    let hash = Hash::of(&Secret::new(state));
    let place = hash.as_str().bytes().fold(0, |sum: usize, byte| sum.wrapping_add(usize::from(byte)));
    let place = place % ZONE_CARRIED_COOKIES_MAX;
    match browser::is_secure(issuer) {
        true => format!("__Secure-valetkey_way_{place}"),
        false => format!("valetkey_way_{place}"),
    }
}
