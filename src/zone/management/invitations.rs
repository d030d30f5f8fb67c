//! Invitations: somebody is asked to join an organisation. Whoever holds the invitation's token and is signed in, joins.

use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::limits::ZONE_INVITATION_LIFETIME;
use crate::model::Secret;
use crate::model::Timestamp;
use crate::zone::id::RowId;
use crate::zone::issuer::Issuer;
use crate::zone::management::body;
use crate::zone::management::body::Body;
use crate::zone::management::caller::Caller;
use crate::zone::management::in_organization::InOrganization;
use crate::zone::management::page::Page;
use crate::zone::management::permissions;
use crate::zone::management::permissions::Permitted;
use crate::zone::management::query::Paging;
use crate::zone::management::query::Query;
use crate::zone::management::refused::Refusals;
use crate::zone::management::refused::Refused;
use crate::zone::management::refused::settle;
use crate::zone::management::second_factor::SecondFactor;
use crate::zone::opaque;
use crate::zone::opaque::Hash;
use crate::zone::pages::INVITATION;
use crate::zone::store::Conditions;
use crate::zone::store::Order;

pub(super) fn router() -> OpenApiRouter<Arc<Issuer>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(delete))
        .routes(routes!(retrieve))
        .routes(routes!(accept))
}

#[derive(Serialize, ToSchema)]
struct Invitation {
    id: String,
    organization_id: String,
    email: String,
    role: String,
    status: InvitationStatus,
    created_by: String,
    /// What the guest shows to accept. An extension: there is no mail server, so it is shown here, once.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// The page where the guest accepts with it; shown with the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// What the guest sees.
#[derive(Serialize, ToSchema)]
struct Shown {
    organization_name: String,
    created_by_name: String,
    email: String,
    role: String,
    status: InvitationStatus,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

#[derive(Serialize, ToSchema)]
struct Accepted {
    success: bool,
    organization_id: String,
    organization_name: String,
    user_id: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum InvitationStatus {
    Pending,
    Accepted,
    Expired,
    Revoked,
}

#[derive(FromRow)]
struct Row {
    id: String,
    organization_id: String,
    organization_name: String,
    email: String,
    role: String,
    created_by: String,
    created_at: i64,
    updated_at: i64,
    expires_at: i64,
    accepted_at: Option<i64>,
    revoked_at: Option<i64>,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(clippy::enum_variant_names, reason = "as clients spell them")]
enum OrganizationRole {
    OrgAdmin,
    OrgMember,
    OrgViewer,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = InvitationCreate)]
struct Create {
    email: String,
    role: OrganizationRole,
}

/// List invitations
#[utoipa::path(get, path = "/organizations/{organization_id}/invitations", tag = "invitations",
    params(Paging, ("organization_id" = String, Path)),
    responses((status = 200, body = Page<Permitted<Invitation>>), Refusals))]
async fn list(place: InOrganization, query: Query) -> Result<Json<Page<Permitted<Invitation>>>, Refused> {
    query.knows(&[], &[])?;
    query.expands_only(&[])?;
    let window = query.window(&[("created_at", Order::Created)])?;
    let listed = place.issuer.store.list::<Row>(COLUMNS, TABLES, place.rows(), &window).await?;
    let shown = permissions::asked(&place.caller, place.role, &query);
    let show = |row: Row| Permitted::new(row.show(place.issuer.url(), None, place.now), &shown);
    Ok(Json(Page::of(listed, show).with_permissions(shown.clone())))
}

/// Create invitation
///
/// For one who will administer a person shows a second factor first.
#[utoipa::path(post, path = "/organizations/{organization_id}/invitations", tag = "invitations",
    params(("organization_id" = String, Path)), request_body = Create,
    responses((status = 200, body = Invitation), Refusals))]
async fn create(
    place: InOrganization,
    second_factor: SecondFactor,
    Body(sent): Body<Create>,
) -> Result<Json<Invitation>, Refused> {
    match sent.role {
        OrganizationRole::OrgAdmin => second_factor.require()?,
        OrganizationRole::OrgMember | OrganizationRole::OrgViewer => {}
    }
    let email = body::text("email", sent.email, 3..=254)?;
    if !email.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty()) {
        return Err(Refused::bad("email", "must be an e-mail address"));
    }
    let (id, now) = (RowId::random(), place.now);
    let (token, hash) = opaque::generate("vkg_");
    let columns = vec![
        ("id", id.as_str().into()),
        ("organization_id", place.id().into()),
        ("hash", hash.as_str().into()),
        ("email", email.into()),
        ("role", sent.role.as_str().into()),
        ("created_by", place.caller.id().into()),
        ("created_at", now.as_millis().into()),
        ("updated_at", now.as_millis().into()),
        ("expires_at", now.after(ZONE_INVITATION_LIFETIME).as_millis().into()),
    ];
    place.issuer.store.insert("invitations", columns).await?;
    let row = place.issuer.store.find::<Row>(COLUMNS, TABLES, place.rows().equals("t.id", id.as_str())).await?;
    let row = row.ok_or_else(|| Refused::not_found("invitation"))?;
    Ok(Json(row.show(place.issuer.url(), token.expose_str().map(str::to_owned), now)))
}

/// Revoke invitation
#[utoipa::path(delete, path = "/organizations/{organization_id}/invitations/{id}", tag = "invitations",
    params(("organization_id" = String, Path), ("id" = String, Path)), responses((status = 204), Refusals))]
async fn delete(place: InOrganization) -> Result<StatusCode, Refused> {
    let columns = vec![("revoked_at", place.now.as_millis().into())];
    let open = place.own().empty("accepted_at", true).empty("revoked_at", true);
    settle(place.issuer.store.update("invitations", columns, open, None, place.now).await?, "open invitation")?;
    Ok(StatusCode::NO_CONTENT)
}

/// Look at an invitation
#[utoipa::path(get, path = "/invitations/{token}", tag = "invitations", params(("token" = String, Path)),
    responses((status = 200, body = Shown), Refusals), security(()))]
async fn retrieve(State(issuer): State<Arc<Issuer>>, Path(token): Path<String>) -> Result<Json<Shown>, Refused> {
    let row = find(&issuer, token).await?;
    Ok(Json(Shown {
        status: row.status(issuer.clock.now()),
        organization_name: row.organization_name,
        created_by_name: row.created_by,
        email: row.email,
        role: row.role,
        expires_at: Timestamp::from_millis(row.expires_at),
    }))
}

/// Accept an invitation
#[utoipa::path(post, path = "/invitations/{token}/accept", tag = "invitations", params(("token" = String, Path)),
    responses((status = 200, body = Accepted), Refusals))]
async fn accept(
    State(issuer): State<Arc<Issuer>>,
    caller: Caller,
    Path(token): Path<String>,
) -> Result<Json<Accepted>, Refused> {
    let Caller::User { id } = caller else {
        return Err(Refused::forbidden("Only a signed-in user can accept an invitation"));
    };
    let row = find(&issuer, token).await?;
    let now = issuer.clock.now();
    if row.status(now) != InvitationStatus::Pending {
        return Err(Refused::conflict("The invitation is not open any more"));
    }
    let joined = issuer.store.join_organization(&row.id, &row.organization_id, &id, &row.role, now).await?;
    if !joined {
        return Err(Refused::conflict("The invitation is not open any more"));
    }
    Ok(Json(Accepted {
        success: true,
        organization_id: row.organization_id,
        organization_name: row.organization_name,
        user_id: id,
    }))
}

impl Row {
    fn status(&self, now: Timestamp) -> InvitationStatus {
        match (self.accepted_at, self.revoked_at) {
            (Some(_), _) => InvitationStatus::Accepted,
            (None, Some(_)) => InvitationStatus::Revoked,
            (None, None) if self.expires_at <= now.as_millis() => InvitationStatus::Expired,
            (None, None) => InvitationStatus::Pending,
        }
    }

    fn show(self, address: &str, token: Option<String>, now: Timestamp) -> Invitation {
        Invitation {
            status: self.status(now),
            id: self.id,
            organization_id: self.organization_id,
            email: self.email,
            role: self.role,
            created_by: self.created_by,
            url: token.as_ref().map(|token| format!("{address}{INVITATION}?token={token}")),
            token,
            expires_at: Timestamp::from_millis(self.expires_at),
            created_at: Timestamp::from_millis(self.created_at),
            updated_at: Timestamp::from_millis(self.updated_at),
        }
    }
}

impl OrganizationRole {
    fn as_str(self) -> &'static str {
        match self {
            Self::OrgAdmin => "org_admin",
            Self::OrgMember => "org_member",
            Self::OrgViewer => "org_viewer",
        }
    }
}

async fn find(issuer: &Issuer, token: String) -> Result<Row, Refused> {
    let conditions = Conditions::default().equals("t.hash", Hash::of(&Secret::new(token)).as_str());
    let row = issuer.store.find::<Row>(COLUMNS, TABLES, conditions).await?;
    row.ok_or_else(|| Refused::not_found("invitation"))
}

const TABLES: &str = "invitations t JOIN organizations o ON o.id = t.organization_id";

const COLUMNS: &str = "t.id, t.organization_id, o.name AS organization_name, t.email, t.role, t.created_by, \
    t.created_at, t.updated_at, t.expires_at, t.accepted_at, t.revoked_at";
