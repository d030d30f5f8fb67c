//! Zones.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::model::Timestamp;
use crate::zone::id::ZoneId;
use crate::zone::issuer::Issuer;
use crate::zone::management::body;
use crate::zone::management::body::Body;
use crate::zone::management::caller::Access;
use crate::zone::management::caller::Caller;
use crate::zone::management::caller::Role;
use crate::zone::management::in_zone::InZone;
use crate::zone::management::in_zone::tag;
use crate::zone::management::page::Page;
use crate::zone::management::patch::Patch;
use crate::zone::management::permissions::Permissions;
use crate::zone::management::permissions::permissions;
use crate::zone::management::query::Paging;
use crate::zone::management::query::Query;
use crate::zone::management::refused::Refusals;
use crate::zone::management::refused::Refused;
use crate::zone::management::refused::settle;
use crate::zone::management::second_factor::SecondFactor;
use crate::zone::management::zone_protocols::CimdSent;
use crate::zone::management::zone_protocols::Protocols;
use crate::zone::management::zone_protocols::ProtocolsChanged;
use crate::zone::management::zone_protocols::ProtocolsSent;
use crate::zone::slug;
use crate::zone::store::Column;
use crate::zone::store::Conditions;
use crate::zone::store::Order;

pub(super) fn router() -> OpenApiRouter<Arc<Issuer>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(retrieve, update, delete))
}

/// A zone for organizing resources within an organization
#[derive(Serialize, ToSchema)]
pub(super) struct Zone {
    id: String,
    organization_id: String,
    owner_type: String,
    slug: String,
    name: String,
    description: Option<String>,
    protocols: Protocols,
    login_flow: String,
    requires_invitation: bool,
    external_sync_enabled: bool,
    /// Always null: see `EncryptionKey`.
    encryption_key: Option<EncryptionKey>,
    default_resource_id: Option<String>,
    default_mcp_gateway_application_id: Option<String>,
    user_identity_provider_id: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
    /// Only with `expand[]=permissions`.
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions: Option<Permissions>,
}

/// AWS KMS configuration for zone encryption. It is refused: this zone seals with its own key, and calls no AWS.
#[derive(Serialize, Deserialize, ToSchema)]
struct EncryptionKey {
    /// AWS KMS Key ARN for encrypting the zone's data
    arn: String,
    r#type: AwsKms,
}

#[derive(Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum AwsKms {
    Aws,
}

#[derive(FromRow)]
struct Row {
    id: String,
    organization_id: String,
    home: i64,
    owner_type: String,
    slug: String,
    name: String,
    description: Option<String>,
    login_flow: String,
    pkce_required: i64,
    dcr_enabled: i64,
    cimd_enabled: i64,
    cimd_allowed_client_ids: String,
    requires_invitation: i64,
    external_sync_enabled: i64,
    user_identity_provider_id: Option<String>,
    default_resource_id: Option<String>,
    default_mcp_gateway_application_id: Option<String>,
    created_at: i64,
    updated_at: i64,
}

#[derive(Deserialize, ToSchema)]
struct Create {
    name: String,
    description: Option<String>,
    organization_id: Option<String>,
    encryption_key: Option<EncryptionKey>,
    protocols: Option<ProtocolsSent>,
    requires_invitation: Option<bool>,
    #[schema(default = "default")]
    login_flow: Option<LoginFlow>,
}

/// 'default' uses standard authentication, 'identifier_first' uses identifier-based provider routing.
#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum LoginFlow {
    Default,
    IdentifierFirst,
}

#[derive(Deserialize, ToSchema)]
struct Update {
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    name: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    description: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<EncryptionKey>)]
    encryption_key: Patch<EncryptionKey>,
    #[serde(default)]
    #[schema(value_type = Option<ProtocolsChanged>)]
    protocols: Patch<ProtocolsChanged>,
    #[serde(default)]
    #[schema(value_type = Option<LoginFlow>)]
    login_flow: Patch<LoginFlow>,
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    requires_invitation: Patch<bool>,
    #[serde(default)]
    #[schema(value_type = Option<bool>)]
    external_sync_enabled: Patch<bool>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    user_identity_provider_id: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    default_resource_id: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    default_mcp_gateway_application_id: Patch<String>,
}

/// List zones
#[utoipa::path(get, path = "/zones", tag = "zones", params(
    Paging,
    ("slug" = Option<String>, Query),
    ("filter[organization_id]" = Option<Vec<String>>, Query),
    ("sort" = Option<String>, Query, description = "`created_at` or `name`, with `-` the other way round"),
), responses((status = 200, body = Page<Zone>), Refusals))]
async fn list(State(issuer): State<Arc<Issuer>>, caller: Caller, query: Query) -> Result<Json<Page<Zone>>, Refused> {
    query.knows(&["organization_id"], &[])?;
    query.expands_only(&[])?;
    if !caller.may("zones", Access::Read) {
        return Err(Refused::forbidden("The token's scopes do not allow this"));
    }
    let window = query.window(&[("created_at", Order::Created), ("name", Order::Name)])?;
    let conditions = Conditions::default()
        .one_of("t.organization_id", &query.filter("organization_id"))
        .one_of("t.slug", &query.all("slug"));
    // Only what the caller may see; a person sees their organisations' zones and those that they are a member of.
    let conditions = match &caller {
        Caller::Token { organization, .. } | Caller::ServiceAccount { organization, .. } => {
            conditions.equals("t.organization_id", organization)
        }
        Caller::User { id } => conditions.one_of("t.id", &visible(&issuer, id).await?),
    };
    let listed = issuer.store.list::<Row>(COLUMNS, "zones t", conditions, &window).await?;
    let expand = query.expands("permissions");
    Ok(Json(Page::of(listed, |row| row.show(&issuer, expand.then(|| permissions(&caller, Role::Manager))))))
}

/// Create zone
#[utoipa::path(post, path = "/zones", tag = "zones", request_body = Create,
    responses((status = 200, body = Zone), Refusals))]
async fn create(
    State(issuer): State<Arc<Issuer>>,
    caller: Caller,
    Body(sent): Body<Create>,
) -> Result<Json<Zone>, Refused> {
    let organization = match (&caller, sent.organization_id) {
        (_, Some(named)) => named,
        (Caller::Token { organization, .. } | Caller::ServiceAccount { organization, .. }, None) => {
            organization.clone()
        }
        (Caller::User { .. }, None) => issuer.store.home_organization().await?,
    };
    let role = caller.role_in_organization(&issuer, &organization).await?;
    let role = role.ok_or_else(|| Refused::not_found("organization"))?;
    caller.check(role, "zones", Access::Write)?;
    let (id, now) = (ZoneId::random(), issuer.clock.now().as_millis());
    let name = body::name(sent.name)?;
    no_encryption_key(sent.encryption_key)?;
    let mut columns: Vec<Column> = vec![
        ("id", id.as_str().into()),
        ("organization_id", organization.into()),
        ("slug", slug::unique(&name).into()),
        ("name", name.into()),
        ("description", body::description(sent.description)?.into()),
        ("login_flow", sent.login_flow.unwrap_or(LoginFlow::Default).as_str().into()),
        ("requires_invitation", sent.requires_invitation.unwrap_or(false).into()),
        ("created_at", now.into()),
        ("updated_at", now.into()),
    ];
    columns.extend(sent.protocols.map(ProtocolsSent::columns).transpose()?.unwrap_or_default());
    let keys = issuer.keyring.first_keys().await?;
    issuer.store.make_zone(&id, columns, &keys, issuer.clock.now()).await?;
    let row = find(&issuer, id.as_str()).await?;
    Ok(Json(row.show(&issuer, None)))
}

/// Get zone
#[utoipa::path(get, path = "/zones/{zone_id}", tag = "zones", params(
    ("zone_id" = String, Path), ("expand[]" = Option<Vec<String>>, Query)),
    responses((status = 200, body = Zone), Refusals))]
async fn retrieve(place: InZone, query: Query) -> Result<impl IntoResponse, Refused> {
    query.expands_only(&[])?;
    let row = find(&place.issuer, place.zone()).await?;
    let role = place.caller.role_in_zone(&place.issuer, &place.organization, place.zone()).await?;
    let shown = role.filter(|_| query.expands("permissions")).map(|role| permissions(&place.caller, role));
    Ok((tag(row.updated_at), Json(row.show(&place.issuer, shown))))
}

/// Update zone
///
/// How administrators sign in only an administrator changes, who shows a second factor first.
#[utoipa::path(patch, path = "/zones/{zone_id}", tag = "zones", params(("zone_id" = String, Path)),
    request_body = Update, responses((status = 200, body = Zone), Refusals))]
async fn update(place: InZone, second_factor: SecondFactor, Body(sent): Body<Update>) -> Result<Json<Zone>, Refused> {
    let old = find(&place.issuer, place.zone()).await?;
    no_encryption_key(sent.encryption_key.apply(None))?;
    if !matches!(sent.user_identity_provider_id, Patch::Keep) {
        place.keeps_the_door(&second_factor).await?;
    }
    refers(&place, "user_identity_provider_id", "providers t", &sent.user_identity_provider_id).await?;
    refers(&place, "default_resource_id", "resources t", &sent.default_resource_id).await?;
    let gateway = &sent.default_mcp_gateway_application_id;
    refers(&place, "default_mcp_gateway_application_id", "applications t", gateway).await?;
    let requires_invitation = sent.requires_invitation.or_default(old.requires_invitation != 0, false);
    let external_sync = sent.external_sync_enabled.or_default(old.external_sync_enabled != 0, false);
    let login_flow = match sent.login_flow {
        Patch::Keep => old.login_flow.clone(),
        Patch::Clear => LoginFlow::Default.as_str().to_owned(),
        Patch::Set(flow) => flow.as_str().to_owned(),
    };
    let mut columns: Vec<Column> = vec![
        ("name", body::name(sent.name.required("name", old.name.clone())?)?.into()),
        ("description", body::description(sent.description.apply(old.description.clone()))?.into()),
        ("login_flow", login_flow.into()),
        ("requires_invitation", requires_invitation.into()),
        ("external_sync_enabled", external_sync.into()),
        ("user_identity_provider_id", sent.user_identity_provider_id.apply(old.user_identity_provider_id).into()),
        ("default_resource_id", sent.default_resource_id.apply(old.default_resource_id).into()),
        ("default_mcp_gateway_application_id", gateway.clone().apply(old.default_mcp_gateway_application_id).into()),
    ];
    if let Patch::Set(protocols) = sent.protocols {
        columns.extend(protocols.columns()?);
    }
    let conditions = Conditions::default().equals("id", place.zone());
    // INVARIANT: what was not sent is written back as it was read, so that nobody may have changed it meanwhile.
    let expected = place.expected.or(Some(old.updated_at));
    settle(place.store.update("zones", columns, conditions, expected, place.now).await?, "zone")?;
    let row = find(&place.issuer, place.zone()).await?;
    Ok(Json(row.show(&place.issuer, None)))
}

/// Delete zone
///
/// A person shows a second factor first.
#[utoipa::path(delete, path = "/zones/{zone_id}", tag = "zones", params(("zone_id" = String, Path)),
    responses((status = 204), Refusals))]
async fn delete(place: InZone, second_factor: SecondFactor) -> Result<StatusCode, Refused> {
    second_factor.require()?;
    let row = find(&place.issuer, place.zone()).await?;
    if row.home != 0 {
        return Err(Refused::conflict("The zone that is served at the address itself can't be deleted"));
    }
    settle(place.store.remove("zones", Conditions::default().equals("id", place.zone())).await?, "zone")?;
    Ok(StatusCode::NO_CONTENT)
}

impl Row {
    fn show(self, issuer: &Issuer, permissions: Option<Permissions>) -> Zone {
        let url = issuer.url_of(&self.id, self.home != 0);
        let cimd = CimdSent {
            enabled: self.cimd_enabled != 0,
            allowed_client_ids: serde_json::from_str(&self.cimd_allowed_client_ids).unwrap_or_default(),
        };
        Zone {
            protocols: Protocols::new(&url, self.pkce_required != 0, self.dcr_enabled != 0, cimd),
            id: self.id,
            organization_id: self.organization_id,
            owner_type: self.owner_type,
            slug: self.slug,
            name: self.name,
            description: self.description,
            login_flow: self.login_flow,
            requires_invitation: self.requires_invitation != 0,
            external_sync_enabled: self.external_sync_enabled != 0,
            encryption_key: None,
            default_resource_id: self.default_resource_id,
            default_mcp_gateway_application_id: self.default_mcp_gateway_application_id,
            user_identity_provider_id: self.user_identity_provider_id,
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
            permissions,
        }
    }
}

impl LoginFlow {
    fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::IdentifierFirst => "identifier_first",
        }
    }
}

async fn find(issuer: &Issuer, id: &str) -> Result<Row, Refused> {
    let row = issuer.store.find::<Row>(COLUMNS, "zones t", Conditions::default().equals("t.id", id)).await?;
    row.ok_or_else(|| Refused::not_found("zone"))
}

/// Refuses a key that nothing would be sealed with: whoever sends it counts on it.
fn no_encryption_key(sent: Option<EncryptionKey>) -> Result<(), Refused> {
    match sent {
        None => Ok(()),
        Some(EncryptionKey { arn: _, r#type: AwsKms::Aws }) => {
            Err(Refused::bad("encryption_key", "is not supported: this server seals with a key of its own"))
        }
    }
}

/// Refuses the id of something that is not in this zone.
async fn refers(place: &InZone, field: &str, table: &'static str, sent: &Patch<String>) -> Result<(), Refused> {
    let Patch::Set(id) = sent else { return Ok(()) };
    match place.store.count(table, place.rows().equals("t.id", id)).await? {
        0 => Err(Refused::bad(field, "is nothing of this zone")),
        _ => Ok(()),
    }
}

/// The ids of the zones that a person may look into; never none, for no condition would show all.
async fn visible(issuer: &Issuer, user: &str) -> Result<Vec<String>, Refused> {
    #[derive(FromRow)]
    struct Id {
        id: String,
    }
    let whole = "zones t JOIN organization_members m ON m.organization_id = t.organization_id";
    let conditions = Conditions::default().equals("m.user_id", user);
    let conditions = conditions.one_of("m.role", &["org_admin".to_owned(), "org_viewer".to_owned()]);
    let mut ids: Vec<Id> = issuer.store.find_all("t.id", whole, conditions).await?;
    let single = "zones t JOIN zone_members m ON m.zone_id = t.id";
    ids.extend(issuer.store.find_all::<Id>("t.id", single, Conditions::default().equals("m.user_id", user)).await?);
    let mut ids: Vec<String> = ids.into_iter().map(|row| row.id).collect();
    if ids.is_empty() {
        ids.push(String::new());
    }
    Ok(ids)
}

const COLUMNS: &str = "t.id, t.organization_id, t.home, t.owner_type, t.slug, t.name, t.description, t.login_flow, \
    t.pkce_required, t.dcr_enabled, t.cimd_enabled, t.cimd_allowed_client_ids, t.requires_invitation, \
    t.external_sync_enabled, t.user_identity_provider_id, t.default_resource_id, \
    t.default_mcp_gateway_application_id, t.created_at, t.updated_at";
