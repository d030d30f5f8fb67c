//! Device authorization (RFC 8628): for a client without a browser of its own.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::CACHE_CONTROL;
use axum::http::header::PRAGMA;
use axum::response::IntoResponse;
use serde_json::json;

use crate::limits::ZONE_DEVICE_CODE_LIFETIME;
use crate::limits::ZONE_DEVICE_INTERVAL;
use crate::os::random;
use crate::zone::issuer::Issuer;
use crate::zone::oauth::DEVICE_PAGE;
use crate::zone::oauth::authorize::read_scopes;
use crate::zone::oauth::client;
use crate::zone::oauth::parameters::Parameters;
use crate::zone::oauth::parameters::Sent;
use crate::zone::oauth::refusal::Refusal;
use crate::zone::oauth::token::DEVICE_CODE;
use crate::zone::opaque;
use crate::zone::store::Waiting;

/// `POST /oauth/2/device_authorization`.
pub(super) async fn endpoint(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    sent: Sent,
) -> Result<impl IntoResponse, Refusal> {
    let parameters = Parameters::read(sent)?;
    let client = client::authenticate(&issuer, &headers, &parameters).await?;
    if client.registration.is_none() {
        return Err(Refusal::unauthorized_client("The client may not use this grant type"));
    }
    client.may_use(DEVICE_CODE)?;
    let (resources, scopes) = read_scopes(&issuer, &parameters).await?;
    let waiting = Waiting { client: client.application.id.clone(), resources, scopes };
    let (code, hash) = opaque::generate("vkd_");
    let now = issuer.clock.now();
    // Two codes of the same letters at one time are as good as impossible; three in a row are a fault.
    for _ in 0..3 {
        let user_code = user_code();
        if !issuer.store.add_device_code(&hash, &user_code, &waiting, now).await? {
            continue;
        }
        let page = format!("{}{DEVICE_PAGE}", issuer.url());
        let body = json!({
            "device_code": code.expose_str(),
            "user_code": user_code,
            "verification_uri": page,
            "verification_uri_complete": format!("{page}?user_code={user_code}"),
            "expires_in": ZONE_DEVICE_CODE_LIFETIME.as_secs(),
            "interval": ZONE_DEVICE_INTERVAL.as_secs(),
        });
        return Ok(([(CACHE_CONTROL, "no-store"), (PRAGMA, "no-cache")], Json(body)));
    }
    Err(Refusal::too_slow())
}

/// Eight consonants (RFC 8628 §6.1): easy to type, and no word of them is one. 34 bits, behind a limit of attempts.
fn user_code() -> String {
    let mut letters = String::with_capacity(9);
    while letters.len() < 9 {
        let byte = usize::from(random::bytes::<1>().first().copied().unwrap_or(0));
        // 240 is the last multiple of twenty: no letter is likelier than another.
        let Some(letter) = (byte < 240).then(|| CONSONANTS.get(byte % 20)).flatten() else { continue };
        if letters.len() == 4 {
            letters.push('-');
        }
        letters.push(char::from(*letter));
    }
    letters
}

/// As a person typed it, and as it is stored; none when it can't be one.
pub(in crate::zone) fn read_user_code(typed: &str) -> Option<String> {
    let letters = typed.chars().filter(|c| !c.is_whitespace() && *c != '-').map(|c| c.to_ascii_uppercase());
    let letters: String = letters.take(9).collect();
    let (first, second) = (letters.get(..4)?, letters.get(4..)?);
    let legal = letters.len() == 8 && letters.bytes().all(|byte| CONSONANTS.contains(&byte));
    legal.then(|| format!("{first}-{second}"))
}

const CONSONANTS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_code_is_read_however_it_is_typed() {
        let code = user_code();
        assert_eq!(code.len(), 9, "{code}");
        for typed in [code.clone(), code.to_lowercase(), code.replace('-', ""), format!(" {} ", code.replace('-', " "))]
        {
            assert_eq!(read_user_code(&typed), Some(code.clone()));
        }
        for bad in ["", "BCDF", "BCDF-GHJA", "BCDF-GHJKL", "ÄÖÜß-ÄÖÜß", "12345678"] {
            assert_eq!(read_user_code(bad), None, "{bad}");
        }
    }
}
