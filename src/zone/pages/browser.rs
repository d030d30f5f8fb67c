//! The browser that asks: its cookie, who is signed in there, and the marks that its forms carry.
//!
//! There is one cookie: a random word. Before anybody signs in it only ties forms to this browser; a sign-in gives a
//! new word, so that whoever planted the old one has nothing. The database knows its hash.

use axum::http::HeaderMap;
use axum::http::HeaderValue;
use axum::http::header::COOKIE;
use axum::http::header::ORIGIN;
use axum::http::header::SET_COOKIE;
use axum::http::header::USER_AGENT;
use axum::response::Response;

use crate::limits::ZONE_BROWSER_SESSION_LIFETIME;
use crate::model::Secret;
use crate::zone::issuer::Issuer;
use crate::zone::oauth::Refusal;
use crate::zone::opaque;
use crate::zone::opaque::Hash;
use crate::zone::people::FirstStep;
use crate::zone::store::BrowserSession;
use crate::zone::store::NewBrowser;
use crate::zone::store::User;

/// One browser, as its request shows it.
pub(super) struct Browser {
    cookie: Secret,
    /// Whether the browser has the cookie already.
    had: bool,
    session: Option<(BrowserSession, User)>,
    name: String,
}

impl Browser {
    /// Reads the cookie, or makes one.
    pub(super) async fn read(issuer: &Issuer, headers: &HeaderMap) -> Result<Self, Refusal> {
        let name = headers.get(USER_AGENT).and_then(|value| value.to_str().ok()).map_or("unknown browser", describe);
        let sent = cookie(headers, cookie_name(issuer));
        let Some(sent) = sent else {
            let (cookie, _) = opaque::generate("vkb_");
            return Ok(Self { cookie, had: false, session: None, name: name.to_owned() });
        };
        let session = issuer.store.browser(&Hash::of(&sent), issuer.clock.now()).await?;
        let session = match session {
            Some(session) => issuer.store.user(&session.user).await?.map(|user| (session, user)),
            None => None,
        };
        Ok(Self { cookie: sent, had: true, session, name: name.to_owned() })
    }

    /// Who is signed in.
    pub(super) fn session(&self) -> Option<&(BrowserSession, User)> {
        self.session.as_ref()
    }

    /// What the database knows the cookie by.
    pub(super) fn hash(&self) -> Hash {
        Hash::of(&self.cookie)
    }

    /// The mark that a form of this browser carries.
    pub(super) fn mark(&self, issuer: &Issuer) -> String {
        issuer.people.seal.mark(&self.marked(issuer))
    }

    /// Whether a form is this browser's own: it carries the mark, and came from one of our pages.
    pub(super) fn is_own_form(&self, issuer: &Issuer, headers: &HeaderMap, mark: Option<&str>) -> bool {
        let from_us = |value: &HeaderValue| value.as_bytes() == issuer.url().as_bytes();
        let origin = headers.get(ORIGIN).is_none_or(from_us);
        let site = headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin");
        self.had && origin && site && mark.is_some_and(|mark| issuer.people.seal.is_marked(&self.marked(issuer), mark))
    }

    /// Signs the user in here, under a new word.
    pub(super) async fn sign_in(
        &self,
        issuer: &Issuer,
        user: &User,
        first: &FirstStep,
        second_factor: SecondFactor,
    ) -> Result<Self, Refusal> {
        let (cookie, hash) = opaque::generate("vkb_");
        let now = issuer.clock.now();
        if let Some((session, of)) = &self.session {
            // The same browser, signed in once more: the old word is of no use from now on.
            issuer.store.end_session_of(&of.id, &session.id, now).await?;
        }
        let shown_at = (second_factor == SecondFactor::Shown).then_some(now);
        let session = NewBrowser {
            cookie: &hash,
            user: &user.id,
            name: &self.name,
            authenticated_at: first.at,
            second_factor_at: shown_at,
            means: &first.means,
        };
        issuer.store.add_browser(&session, now).await?;
        tracing::info!(user = user.id.as_str(), browser = self.name, "signed in");
        Ok(Self { cookie, had: false, session: None, name: self.name.clone() })
    }

    /// Sends the cookie along, unless the browser has it.
    pub(super) fn keep(&self, issuer: &Issuer, mut response: Response) -> Response {
        if self.had {
            return response;
        }
        let word = self.cookie.expose_str().unwrap_or_default();
        let (name, age) = (cookie_name(issuer), ZONE_BROWSER_SESSION_LIFETIME.as_secs());
        let secure = if is_secure(issuer) { "; Secure" } else { "" };
        let value = format!("{name}={word}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax{secure}");
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().append(SET_COOKIE, value);
        }
        response
    }

    /// Of one zone: all that share a database share what makes the mark.
    fn marked(&self, issuer: &Issuer) -> String {
        format!("form\n{}\n{}", issuer.store.zone(), Hash::of(&self.cookie).as_str())
    }
}

/// Whether the person showed a second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SecondFactor {
    Shown,
    NotShown,
}

/// With `__Host-` no other name of the domain can plant it (RFC 6265bis §4.1.3.2).
fn cookie_name(issuer: &Issuer) -> &'static str {
    if is_secure(issuer) { "__Host-valetkey" } else { "valetkey_zone" }
}

pub(super) fn is_secure(issuer: &Issuer) -> bool {
    issuer.url().starts_with("https://")
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<Secret> {
    let value = one_cookie(headers, name)?;
    (value.len() == 47 && value.starts_with("vkb_")).then(|| Secret::new(value))
}

/// The one cookie of that name; several are somebody's trick, and count as none.
pub(super) fn one_cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut found = pairs.filter(|(sent, _)| *sent == name).map(|(_, value)| value);
    let value = found.next()?;
    found.next().is_none().then_some(value)
}

/// The browser's kind, for the account page. Words of our own: a browser may call itself anything.
fn describe(agent: &str) -> &'static str {
    let kinds =
        [("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari")];
    kinds.into_iter().find(|(word, _)| agent.contains(word)).map_or("another browser", |(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_counts_once_or_not_at_all() {
        let word = format!("vkb_{}", "x".repeat(43));
        let with = |line: &str| HeaderMap::from_iter([(COOKIE, line.parse().unwrap())]);
        assert_eq!(cookie(&with(&format!("a=b; zone={word}")), "zone").unwrap().expose(), word.as_bytes());
        assert!(cookie(&with(&format!("zone={word}; zone={word}")), "zone").is_none());
        assert!(cookie(&with("zone=short"), "zone").is_none());
        assert!(cookie(&with(&format!("zonee={word}")), "zone").is_none());
    }
}
