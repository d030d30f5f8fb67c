//! `/service-account-token`: client credentials (RFC 6749 §4.4) of a service account, for a token that opens this API.

use std::sync::Arc;

use axum::Form;
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::header::RETRY_AFTER;
use axum::response::IntoResponse;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::limits::ZONE_RETRY_AFTER_S;
use crate::limits::ZONE_SERVICE_ACCOUNT_TOKEN_LIFETIME;
use crate::model::Secret;
use crate::zone::id::token_id;
use crate::zone::issuer::Issuer;
use crate::zone::management::caller;
use crate::zone::opaque::Hash;
use crate::zone::store::Conditions;
use crate::zone::store::StoreFailed;

pub(super) fn router() -> OpenApiRouter<Arc<Issuer>> {
    OpenApiRouter::new().routes(routes!(token))
}

#[derive(Deserialize, ToSchema)]
struct TokenRequest {
    /// `client_credentials`
    grant_type: Option<String>,
    /// Or by Basic.
    client_id: Option<String>,
    client_secret: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct TokenAnswer {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
}

/// An error as RFC 6749 §5.2 has it.
#[derive(Serialize, ToSchema)]
struct TokenRefusal {
    error: &'static str,
    error_description: &'static str,
}

#[derive(FromRow)]
struct Row {
    id: String,
    secret_hash: String,
    service_account_id: String,
    organization_id: String,
    last_used_at: Option<i64>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    sub_profile: &'static str,
    aud: String,
    client_id: &'a str,
    iat: i64,
    exp: i64,
    jti: String,
    // By this claim clients learn whose token it is.
    #[serde(rename = "https://api.keycard.sh/organization_id")]
    organization: &'a str,
}

/// Get a token for a service account
#[utoipa::path(post, path = "/service-account-token", tag = "service-accounts",
    request_body(content = TokenRequest, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = TokenAnswer), (status = 400, body = TokenRefusal),
    (status = 401, body = TokenRefusal), (status = 413, body = TokenRefusal), (status = 500, body = TokenRefusal),
    (status = 503, body = TokenRefusal)), security(()))]
async fn token(
    State(issuer): State<Arc<Issuer>>,
    headers: HeaderMap,
    sent: Result<Form<TokenRequest>, FormRejection>,
) -> Response {
    let refuse =
        |status, error, error_description| (status, Json(TokenRefusal { error, error_description })).into_response();
    let bad = |error, description| refuse(StatusCode::BAD_REQUEST, error, description);
    let Form(sent) = match sent {
        Ok(sent) => sent,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", "The request is too large");
        }
        Err(_) => return bad("invalid_request", "The body must be application/x-www-form-urlencoded"),
    };
    match sent.grant_type.as_deref() {
        Some("client_credentials") => {}
        Some(_) => return bad("unsupported_grant_type", "The grant type is not supported"),
        None => return bad("invalid_request", "The grant_type parameter is missing"),
    }
    let unknown = || {
        let mut response = refuse(StatusCode::UNAUTHORIZED, "invalid_client", "Client authentication failed");
        let challenge = axum::http::HeaderValue::from_static(r#"Basic realm="valetkey management", charset="UTF-8""#);
        response.headers_mut().insert(axum::http::header::WWW_AUTHENTICATE, challenge);
        response
    };
    let Some((client_id, secret)) = credentials(&headers, sent) else { return unknown() };
    match answer(&issuer, &client_id, &secret).await {
        Ok(Some(answer)) => Json(answer).into_response(),
        Ok(None) => unknown(),
        Err(failed) => {
            tracing::error!(error = &failed as &dyn std::error::Error, "the zone could not answer");
            if let StoreFailed::Unavailable(_) = failed {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                let response = refuse(status, "temporarily_unavailable", "The zone's database is away, try again soon");
                return ([(RETRY_AFTER, ZONE_RETRY_AFTER_S)], response).into_response();
            }
            refuse(StatusCode::INTERNAL_SERVER_ERROR, "server_error", "The zone failed, its log says why")
        }
    }
}

/// By Basic, where the header is there, else from the body. Our ids and secrets have no letter that is encoded.
fn credentials(headers: &HeaderMap, sent: TokenRequest) -> Option<(String, Secret)> {
    let Some(header) = headers.get(AUTHORIZATION) else {
        let (id, secret) = (sent.client_id?, sent.client_secret?);
        return (!id.contains('\0')).then(|| (id, Secret::new(secret)));
    };
    let (scheme, pair) = header.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || sent.client_secret.is_some() {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(pair.trim_matches(' ')).ok()?).ok()?;
    let (id, secret) = pair.split_once(':')?;
    (!id.contains('\0')).then(|| (id.to_owned(), Secret::new(secret)))
}

/// None where the client is not known or its secret is another.
async fn answer(issuer: &Issuer, client_id: &str, secret: &Secret) -> Result<Option<TokenAnswer>, StoreFailed> {
    let conditions = Conditions::default().equals("t.client_id", client_id);
    let Some(row) = issuer.store.find::<Row>(COLUMNS, TABLES, conditions).await? else { return Ok(None) };
    if !Hash::known(row.secret_hash).matches(&Hash::of(secret)) {
        return Ok(None);
    }
    let (now, lifetime) = (issuer.clock.now(), ZONE_SERVICE_ACCOUNT_TOKEN_LIFETIME);
    issuer.store.note_service_account_use(&row.id, row.last_used_at, now).await?;
    let claims = Claims {
        iss: issuer.url(),
        sub: &row.service_account_id,
        sub_profile: caller::SERVICE_ACCOUNT,
        aud: caller::audience(issuer),
        client_id,
        iat: now.as_seconds(),
        exp: now.after(lifetime).as_seconds(),
        jti: token_id(now),
        organization: &row.organization_id,
    };
    let signed = issuer.keyring.keys().signing().sign("at+jwt", &claims);
    let signed = signed.map_err(|_| StoreFailed::Damaged("signing_keys"))?;
    let access_token = signed.expose_str().unwrap_or_default().to_owned();
    Ok(Some(TokenAnswer { access_token, token_type: "Bearer", expires_in: lifetime.as_secs() }))
}

const TABLES: &str = "service_account_credentials t JOIN service_accounts a ON a.id = t.service_account_id";

const COLUMNS: &str = "t.id, t.secret_hash, t.service_account_id, a.organization_id, t.last_used_at";
