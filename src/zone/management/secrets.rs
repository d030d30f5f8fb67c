//! Secrets: credentials of others that the zone keeps for a resource, sealed. Only the one that is asked for is opened.

use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::LINK;
use axum::response::AppendHeaders;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::limits::ZONE_PAGE_MAX;
use crate::model::Secret as Opened;
use crate::model::Timestamp;
use crate::zone::id::RowId;
use crate::zone::issuer::Issuer;
use crate::zone::management::body;
use crate::zone::management::body::Body;
use crate::zone::management::caller::Role;
use crate::zone::management::in_zone::InZone;
use crate::zone::management::json;
use crate::zone::management::patch::Patch;
use crate::zone::management::query::Paging;
use crate::zone::management::query::Query;
use crate::zone::management::refused::Refusals;
use crate::zone::management::refused::Refused;
use crate::zone::management::refused::settle;
use crate::zone::store::Column;
use crate::zone::store::Conditions;
use crate::zone::store::Order;

pub(super) fn router() -> OpenApiRouter<Arc<Issuer>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(retrieve, update, delete))
}

#[derive(Serialize, ToSchema)]
struct Secret {
    id: String,
    zone_id: String,
    /// The resource that it is for.
    entity_id: String,
    name: String,
    description: Option<String>,
    /// Not sealed.
    #[schema(value_type = Option<Object>)]
    metadata: Option<serde_json::Value>,
    /// `token` or `password`
    r#type: String,
    /// Counts the changes of the data.
    version: i64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// A secret with what is secret about it.
#[derive(Serialize, ToSchema)]
struct SecretWithData {
    #[serde(flatten)]
    secret: Secret,
    data: Data,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
#[schema(as = SecretData)]
enum Data {
    #[schema(title = "SecretTokenFields")]
    Token { token: String },
    #[schema(title = "SecretPasswordFields")]
    Password { username: String, password: String },
}

#[derive(FromRow)]
struct Row {
    id: String,
    zone_id: String,
    entity_id: String,
    name: String,
    description: Option<String>,
    metadata: Option<String>,
    r#type: String,
    data_sealed: String,
    version: i64,
    created_at: i64,
    updated_at: i64,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = SecretCreate)]
struct Create {
    name: String,
    entity_id: String,
    data: Data,
    description: Option<String>,
    #[schema(value_type = Option<Object>)]
    metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = SecretUpdate)]
struct Update {
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    name: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    description: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    metadata: Patch<serde_json::Map<String, serde_json::Value>>,
    data: Option<Data>,
}

/// List
///
/// As its clients read it: the secrets themselves without an envelope, up to 1000. Where there are more, the header `Link`
/// says where they are (RFC 8288).
#[utoipa::path(get, path = "/zones/{zone_id}/secrets", tag = "secrets", params(
    Paging, ("zone_id" = String, Path), ("entity_id" = Option<String>, Query), ("type" = Option<String>, Query),
    ("owner_type" = Option<String>, Query),
), responses((status = 200, body = Vec<Secret>), Refusals))]
async fn list(place: InZone, query: Query) -> Result<impl IntoResponse, Refused> {
    query.knows(&["entity_id", "type", "owner_type"], &[])?;
    query.expands_only(&[])?;
    let conditions = place
        .rows()
        .one_of("t.entity_id", &query.filter("entity_id"))
        .one_of("t.type", &query.choices("type", &["token", "password"])?)
        .one_of("t.owner_type", &query.choices("owner_type", &["platform", "customer"])?);
    let mut window = query.window(&[("created_at", Order::Created), ("name", Order::Name)])?;
    if query.one("limit")?.is_none() {
        window.limit = ZONE_PAGE_MAX;
    }
    let listed = place.store.list::<Row>(COLUMNS, "secrets t", conditions, &window).await?;
    let more = listed.end.as_ref().filter(|_| listed.has_next);
    let link = more.map(|end| format!("<?after={}>; rel=\"next\"", end.to_text()));
    let link = AppendHeaders(link.map(|link| (LINK, link)));
    Ok((link, Json(listed.rows.into_iter().map(Row::show).collect::<Vec<_>>())))
}

/// Create
#[utoipa::path(post, path = "/zones/{zone_id}/secrets", tag = "secrets", params(("zone_id" = String, Path)),
    request_body = Create, responses((status = 200, body = Secret), Refusals))]
async fn create(place: InZone, Body(sent): Body<Create>) -> Result<Json<Secret>, Refused> {
    if place.store.count("resources t", place.rows().equals("t.id", &sent.entity_id)).await? == 0 {
        return Err(Refused::bad("entity_id", "is no resource of this zone"));
    }
    let (id, now) = (RowId::random(), place.now.as_millis());
    let columns = vec![
        ("id", id.as_str().into()),
        ("zone_id", place.zone().into()),
        ("entity_id", sent.entity_id.into()),
        ("name", body::name(sent.name)?.into()),
        ("description", sent.description.map(description).transpose()?.into()),
        ("metadata", json::write(sent.metadata)?.into()),
        ("type", sent.data.kind().into()),
        ("data_sealed", seal(&place, id.as_str(), &sent.data)?.into()),
        ("created_at", now.into()),
        ("updated_at", now.into()),
    ];
    place.store.insert("secrets", columns).await?;
    Ok(Json(find(&place, place.rows().equals("t.id", id.as_str())).await?.show()))
}

/// Retrieve
#[utoipa::path(get, path = "/zones/{zone_id}/secrets/{id}", tag = "secrets",
    params(("zone_id" = String, Path), ("id" = String, Path)),
    responses((status = 200, body = SecretWithData), Refusals))]
async fn retrieve(place: InZone) -> Result<Json<SecretWithData>, Refused> {
    let row = find(&place, place.row()).await?;
    // Whoever may only look, may look at what there is, and not take it away.
    if place.role != Role::Manager {
        return Err(Refused::forbidden("This role can't open secrets"));
    }
    let opened = place.issuer.keyring.seal().unseal(&place_of(&row.id), &row.data_sealed)?;
    let data: Data = serde_json::from_slice(opened.expose()).map_err(|_| Refused::failed())?;
    tracing::info!(secret = row.id, zone = row.zone_id, caller = place.caller.id(), "a secret was read");
    Ok(Json(SecretWithData { secret: row.show(), data }))
}

/// Update
#[utoipa::path(patch, path = "/zones/{zone_id}/secrets/{id}", tag = "secrets",
    params(("zone_id" = String, Path), ("id" = String, Path)), request_body = Update,
    responses((status = 200, body = Secret), Refusals))]
async fn update(place: InZone, Body(sent): Body<Update>) -> Result<Json<Secret>, Refused> {
    let old = find(&place, place.row()).await?;
    let metadata = match sent.metadata {
        Patch::Keep => old.metadata,
        Patch::Clear => None,
        Patch::Set(metadata) => json::write(Some(metadata))?,
    };
    let mut columns: Vec<Column> = vec![
        ("name", body::name(sent.name.required("name", old.name)?)?.into()),
        ("description", sent.description.try_map(description)?.apply(old.description).into()),
        ("metadata", metadata.into()),
    ];
    if let Some(data) = sent.data {
        columns.push(("type", data.kind().into()));
        columns.push(("data_sealed", seal(&place, &old.id, &data)?.into()));
        columns.push(("version", (old.version + 1).into()));
    }
    // Two changes of the data at once must not count as one.
    let expected = place.expected.or(Some(old.updated_at));
    settle(place.store.update("secrets", columns, place.own(), expected, place.now).await?, "secret")?;
    Ok(Json(find(&place, place.row()).await?.show()))
}

/// Delete
#[utoipa::path(delete, path = "/zones/{zone_id}/secrets/{id}", tag = "secrets",
    params(("zone_id" = String, Path), ("id" = String, Path)), responses((status = 204), Refusals))]
async fn delete(place: InZone) -> Result<StatusCode, Refused> {
    settle(place.store.remove("secrets", place.own()).await?, "secret")?;
    Ok(StatusCode::NO_CONTENT)
}

impl Row {
    fn show(self) -> Secret {
        Secret {
            id: self.id,
            zone_id: self.zone_id,
            entity_id: self.entity_id,
            name: self.name,
            description: self.description,
            metadata: json::read(self.metadata),
            r#type: self.r#type,
            version: self.version,
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
        }
    }
}

impl Data {
    fn kind(&self) -> &'static str {
        match self {
            Self::Token { .. } => "token",
            Self::Password { .. } => "password",
        }
    }
}

fn description(sent: String) -> Result<String, Refused> {
    body::text("description", sent, 0..=128)
}

fn place_of(id: &str) -> String {
    format!("secrets/{id}")
}

fn seal(place: &InZone, id: &str, data: &Data) -> Result<String, Refused> {
    let plain = Opened::new(serde_json::to_vec(data).map_err(|_| Refused::failed())?);
    Ok(place.issuer.keyring.seal().seal(&place_of(id), &plain)?)
}

async fn find(place: &InZone, conditions: Conditions) -> Result<Row, Refused> {
    let row = place.store.find::<Row>(COLUMNS, "secrets t", conditions).await?;
    row.ok_or_else(|| Refused::not_found("secret"))
}

const COLUMNS: &str = "t.id, t.zone_id, t.entity_id, t.name, t.description, t.metadata, t.type, t.data_sealed, \
    t.version, t.created_at, t.updated_at";
