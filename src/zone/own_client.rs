//! The command line as a client of every zone of ours, and how the owner of this machine signs in by it without a page.
//!
//! Whoever may read the zone's keys, or write its database, may be anybody there: neither asks for a password.

use std::path::Path;

use crate::model::Scopes;
use crate::model::Secret;
use crate::model::Timestamp;
use crate::zone::error::Error;
use crate::zone::id::ApplicationId;
use crate::zone::oauth;
use crate::zone::opaque;
use crate::zone::people::Ticket;
use crate::zone::seal::Seal;
use crate::zone::store::Allowed;
use crate::zone::store::Authentication;
use crate::zone::store::Code;
use crate::zone::store::Consent;
use crate::zone::store::Database;
use crate::zone::store::Granted;
use crate::zone::store::Origin;
use crate::zone::store::RegisteredClient;
use crate::zone::store::Store;

/// A link by which the owner of this machine signs in to the zone whose database it is, as `user`; good once, and not
/// for long. Whoever may read the zone's keys may be anybody there, and needs no password.
pub async fn sign_in_link(
    database: &Database,
    sealing_key: &Path,
    issuer: &str,
    user: &str,
    now: Timestamp,
) -> Result<Secret, Error> {
    let store = Store::open(database, now).await?;
    let found = store.user_named(user).await;
    store.close().await;
    let found = found?.ok_or_else(|| Error::Nobody(user.to_owned()))?;
    let seal = Seal::open(sealing_key)?;
    let ticket = Ticket::for_link(&seal, &found, now).ok_or_else(|| Error::Nobody(user.to_owned()))?;
    let ticket = ticket.expose_str().unwrap_or_default();
    Ok(Secret::new(format!("{issuer}/sign-in/link?ticket={ticket}")))
}

/// A code by which the owner of this machine signs in on the command line to the zone whose database it is. Whoever may
/// write the database may be anybody there, and needs neither a password nor a page.
pub async fn code_for_owner(database: &Database, user: &str, challenge: &str, now: Timestamp) -> Result<Secret, Error> {
    let store = Store::open(database, now).await?;
    let code = add_code_for(&store, user, challenge, now).await;
    store.close().await;
    code
}

async fn add_code_for(store: &Store, user: &str, challenge: &str, now: Timestamp) -> Result<Secret, Error> {
    let user = store.user_named(user).await?.ok_or_else(|| Error::Nobody(user.to_owned()))?;
    let client = ApplicationId::known(OWN_CLIENT.to_owned());
    let scopes = Scopes::collect(OWN_SCOPES).unwrap_or_default();
    store.consent(&user.id, &client, Granted::SignIn, &scopes, now).await?;
    let (word, hash) = opaque::generate("vka_");
    let code = Code {
        allowed: Allowed {
            user: user.id,
            client,
            browser: None,
            resources: Vec::new(),
            scopes,
            key: None,
            authenticated_at: now,
            second_factor_at: None,
        },
        redirect_uri: OWN_REDIRECT.to_owned(),
        challenge: challenge.to_owned(),
        nonce: None,
    };
    store.add_code(&hash, &code, now).await?;
    Ok(word)
}

/// The client of the command line: public, on any port of this machine.
pub(in crate::zone) fn own_client() -> RegisteredClient {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    RegisteredClient {
        id: ApplicationId::known(OWN_CLIENT.to_owned()),
        client_id: OWN_CLIENT.to_owned(),
        origin: Origin::Builtin,
        name: "valetkey on the command line".to_owned(),
        authentication: Authentication::None,
        jwks: None,
        jwks_uri: None,
        redirect_uris: words(&[OWN_REDIRECT, "http://[::1]/callback", "http://localhost/callback"]),
        post_logout_redirect_uris: Vec::new(),
        grant_types: Some(words(&oauth::OWN_CLIENT_GRANTS)),
        consent: Consent::Required,
    }
}

/// The client id of the command line at every zone of ours.
pub const OWN_CLIENT: &str = "valetkey-cli";

/// Its redirect address, where no browser is led anywhere.
pub const OWN_REDIRECT: &str = "http://127.0.0.1/callback";

/// What the command line asks for.
const OWN_SCOPES: [&str; 3] = ["openid", "profile", "email"];
