//! Why there is no credential: whose fault, in which words, and what helps.
//!
//! Holds no header, body, query or token; what a server says of itself has passed [`server_words`].

use std::sync::Arc;
use std::time::Duration;

use crate::http::Failed;
use crate::limits::SERVER_WORDS_CHARS_MAX;
use crate::model::UserName;

/// There is no credential for a request that was permitted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum NotObtained {
    /// The server answered with an OAuth error (RFC 6749 §5.2, RFC 8693 §2.2.2).
    #[error("`{server}` gave no token for `{target}`: {error}{}", parenthesised(.description))]
    Denied {
        /// Whose token endpoint.
        server: String,
        /// The resource or user the token was for.
        target: String,
        /// The `error` code, made printable.
        error: String,
        /// The `error_description`, made printable and cut; empty where there is none.
        description: String,
    },
    /// Nobody listens there, the name is unknown, or its certificate is not acceptable.
    #[error("could not reach `{server}`")]
    Unreachable {
        /// Who was called.
        server: String,
        /// What went wrong.
        source: Arc<Failed>,
    },
    /// No whole answer within the bound.
    #[error("`{server}` gave no token within {} s", bound.as_secs())]
    Slow {
        /// Who was called.
        server: String,
        /// How long it had.
        bound: Duration,
    },
    /// It answered with 5xx or 429.
    #[error("`{server}` is failing: it answered {status}")]
    Failing {
        /// Who was called.
        server: String,
        /// The status.
        status: u16,
    },
    /// The answer is not what the RFC says; nothing of it was used.
    #[error("the answer of `{server}` can't be used: {what}")]
    Unusable {
        /// Who was called.
        server: String,
        /// What is wrong with it.
        what: String,
    },
    /// Neither https nor loopback: the secret would travel in the clear.
    #[error("`{0}` is not https, and not http to loopback")]
    Insecure(String),
    /// The zone offers no way to register the agent's application (RFC 7591).
    #[error("`{0}` registers no applications")]
    NoRegistration(String),
    /// There is no refresh token for the zone, or the zone no longer takes it.
    #[error("`{user}` is not signed in at `{issuer}`")]
    SignInNeeded {
        /// The zone.
        issuer: String,
        /// For whom the token would be.
        user: UserName,
    },
    /// The session is for somebody else than the one who is signed in: their token is not lent.
    #[error("the session is for `{user}`, but `{signed_in}` is signed in at `{issuer}`")]
    OtherUser {
        /// The zone.
        issuer: String,
        /// The session's user.
        user: UserName,
        /// Whose sign-in there is.
        signed_in: UserName,
    },
    /// The configuration names a secret that is not loaded.
    #[error("there is no secret `{0}`")]
    SecretMissing(String),
    /// The secret's bytes may not stand in a header.
    #[error("the secret `{0}` holds a byte that no header may carry, such as a line break")]
    SecretNotLegal(String),
    /// The session ended while its request was on the way.
    #[error("the session has ended")]
    SessionEnded,
    /// The fetch was given up, because the daemon stops or because of a fault of our own.
    #[error("the credential was not fetched to the end")]
    Abandoned,
}

/// Whose fault it is, and so which status the agent sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The caller: 407, its session is no more.
    Session,
    /// The server's own policy said no: 403.
    Denied,
    /// A person has to do something: 403, with the hint.
    Person,
    /// The server answers wrongly: 502.
    Provider,
    /// The server can't be reached: 502.
    Network,
    /// The server is too slow: 504.
    Slow,
    /// The daemon or its configuration: 500.
    Us,
}

impl NotObtained {
    /// Stable, for machines.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Denied { .. } => "token-denied",
            Self::Unreachable { .. } => "token-endpoint-unreachable",
            Self::Slow { .. } => "token-endpoint-slow",
            Self::Failing { .. } => "token-endpoint-failing",
            Self::Unusable { .. } => "token-answer-unusable",
            Self::Insecure(_) => "token-endpoint-insecure",
            Self::NoRegistration(_) => "registration-unavailable",
            Self::SignInNeeded { .. } => "sign-in-needed",
            Self::OtherUser { .. } => "other-user-signed-in",
            Self::SecretMissing(_) => "secret-missing",
            Self::SecretNotLegal(_) => "secret-not-legal",
            Self::SessionEnded => "session-ended",
            Self::Abandoned => "credential-abandoned",
        }
    }

    /// Whose fault.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Denied { error, .. } => match error.as_str() {
                "access_denied" | "unauthorized_client" => Fault::Denied,
                "insufficient_authorization" | "interaction_required" | "consent_required" | "login_required" => {
                    Fault::Person
                }
                _ => Fault::Provider,
            },
            Self::Unreachable { .. } => Fault::Network,
            Self::Slow { .. } => Fault::Slow,
            Self::Failing { .. } | Self::Unusable { .. } | Self::NoRegistration(_) => Fault::Provider,
            Self::SignInNeeded { .. } | Self::OtherUser { .. } => Fault::Person,
            Self::Insecure(_) | Self::SecretMissing(_) | Self::SecretNotLegal(_) | Self::Abandoned => Fault::Us,
            Self::SessionEnded => Fault::Session,
        }
    }

    /// What helps.
    pub fn hint(&self) -> String {
        match self {
            Self::Denied { server, target, error, .. } => match error.as_str() {
                "invalid_target" => format!("make `{target}` known to `{server}` as a resource"),
                "invalid_client" => format!("check the client id and secret for `{server}`: `valetkey config check`"),
                "invalid_scope" => format!("ask for scopes that `{target}` has, in the resource's `scopes`"),
                "insufficient_authorization" | "interaction_required" | "consent_required" | "login_required" => {
                    format!("a person has to sign in or consent at `{server}` first")
                }
                _ => format!("ask whoever runs `{server}` to permit it"),
            },
            Self::Unreachable { server, .. } => {
                format!("check that `{server}` is up and that its name and certificate are right")
            }
            Self::Slow { server, .. } | Self::Failing { server, .. } => {
                format!("try again; if it stays so, `{server}` is down")
            }
            Self::Unusable { server, .. } => format!("check that `{server}` is an OAuth 2.0 server"),
            Self::Insecure(_) => "use https, or http to loopback".to_owned(),
            Self::NoRegistration(_) => "give `[zone]` a client id and a client secret".to_owned(),
            Self::SignInNeeded { issuer, .. } => format!("sign in at `{issuer}` and give `[zone]` the refresh token"),
            Self::OtherUser { signed_in, .. } => format!("open the session with `valetkey run --as {signed_in}`"),
            Self::SecretMissing(name) => format!("add a `[[secret]]` named `{name}`, then `valetkey config check`"),
            Self::SecretNotLegal(name) => format!("store `{name}` again without line breaks"),
            Self::SessionEnded => "open a new session with `valetkey run`".to_owned(),
            Self::Abandoned => "try again; `valetkey logs` says more".to_owned(),
        }
    }
}

/// What a server says, fit for a log, a terminal and a record: printable, cut, and without any word that
/// could be a token or one of the `sent` secrets.
pub(super) fn server_words(text: &str, sent: &[&str]) -> String {
    if sent.iter().any(|secret| !secret.is_empty() && text.contains(secret)) {
        return "…".to_owned();
    }
    let printable =
        |c: char| if c.is_ascii_graphic() || c == ' ' || (!c.is_control() && c.is_alphanumeric()) { c } else { ' ' };
    let text: String = text.chars().map(printable).collect();
    let words = text.split_whitespace().map(|word| if could_be_a_token(word) { "…" } else { word });
    let text = words.collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(SERVER_WORDS_CHARS_MAX) {
        Some((end, _)) => text.get(..end).map_or_else(String::new, |head| format!("{head}…")),
        None => text,
    }
}

/// A JWT, or a run of letters and digits longer than any word of a message.
fn could_be_a_token(word: &str) -> bool {
    word.contains("eyJ") || word.split(|c: char| !c.is_ascii_alphanumeric()).any(|run| run.len() >= 24)
}

fn parenthesised(description: &str) -> String {
    if description.is_empty() { String::new() } else { format!(" ({description})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_words_are_printable_short_and_without_tokens() {
        let plain = "Access to \"https://api.example.com/v1\" is denied by Policy \"p\".";
        assert_eq!(server_words(plain, &["hunter2"]), plain);
        assert_eq!(server_words("a\r\nb\u{1b}[31mc\u{202e}d", &[]), "a b [31mc d");
        assert_eq!(server_words("bad secret hunter2!", &["hunter2"]), "…");
        assert_eq!(server_words("no: eyJhbGciOiJub25lIn0.e30. today", &[]), "no: … today");
        assert_eq!(server_words("key 0123456789abcdef01234567 unknown", &[]), "key … unknown");
        assert_eq!(server_words(&"ab ".repeat(200), &[]).chars().count(), SERVER_WORDS_CHARS_MAX + 1);
    }
}
