//! The catalogue: APIs that many people use, to be installed into a zone in one step.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use serde::Deserialize;
use serde::Serialize;
use sqlx::FromRow;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::zone::catalog::PACKAGES;
use crate::zone::catalog::Package as Known;
use crate::zone::catalog::PackageField;
use crate::zone::catalog::PackageProvider;
use crate::zone::catalog::PackageResource;
use crate::zone::id::RowId;
use crate::zone::issuer::Issuer;
use crate::zone::management::body;
use crate::zone::management::body::Body;
use crate::zone::management::caller::Access;
use crate::zone::management::in_zone::InZone;
use crate::zone::management::json;
use crate::zone::management::page::Page;
use crate::zone::management::provider_protocols::Protocols;
use crate::zone::management::providers;
use crate::zone::management::query::Query;
use crate::zone::management::refused::Refusals;
use crate::zone::management::refused::Refused;
use crate::zone::store::Column;
use crate::zone::store::Listed;

pub(super) fn router() -> OpenApiRouter<Arc<Issuer>> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(install))
}

/// An API of the catalogue, or several of one provider.
#[derive(Serialize, ToSchema)]
struct Package {
    id: &'static str,
    name: &'static str,
    description: &'static str,
    docs_url: &'static str,
    /// What must be said to install it; each is required.
    fields: Vec<Field>,
    /// The provider that is made; none where the zone itself hands out the tokens.
    provider: Option<Provider>,
    /// The resources that are made.
    resources: Vec<PackageResource>,
    /// Whether the zone has a resource of it already.
    installed: bool,
}

/// What whoever installs a package must say.
#[derive(Serialize, ToSchema)]
#[schema(as = PackageFieldNeeded)]
struct Field {
    name: PackageField,
    label: &'static str,
    /// Kept sealed and never shown.
    secret: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = PackageProvider)]
struct Provider {
    identifier: &'static str,
    name: &'static str,
    protocols: Option<Protocols>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = PackageInstall)]
struct Install {
    package_id: String,
    /// By their names.
    #[serde(default)]
    fields: BTreeMap<String, String>,
}

#[derive(FromRow)]
struct IdentifierRow {
    identifier: String,
}

#[derive(FromRow)]
struct IdRow {
    id: String,
}

/// List packages
///
/// All at once: the catalogue is short.
#[utoipa::path(get, path = "/catalog/zones/{zone_id}/packages", tag = "catalog", params(("zone_id" = String, Path)),
    responses((status = 200, body = Page<Package>), Refusals))]
async fn list(place: InZone, query: Query) -> Result<Json<Page<Package>>, Refused> {
    query.knows(&[], &[])?;
    query.expands_only(&[])?;
    let named: Vec<String> = PACKAGES.iter().flat_map(|package| identifiers(package).map(str::to_owned)).collect();
    let conditions = place.rows().one_of("t.identifier", &named);
    let there: Vec<IdentifierRow> = place.store.find_all("t.identifier", "resources t", conditions).await?;
    let rows: Vec<&'static Known> = PACKAGES.iter().collect();
    let total = query.expands("total_count").then(|| i64::try_from(rows.len()).unwrap_or(i64::MAX));
    let listed = Listed { rows, has_next: false, has_previous: false, start: None, end: None, total };
    let is_there = |identifier: &str| there.iter().any(|row| row.identifier == identifier);
    Ok(Json(Page::of(listed, |package| show(package, identifiers(package).any(is_there)))))
}

/// Install a package
///
/// Makes its provider and its resources, all or none. Whoever does it may write both.
#[utoipa::path(post, path = "/catalog/zones/{zone_id}/install", tag = "catalog", params(("zone_id" = String, Path)),
    request_body = Install, responses((status = 201), Refusals))]
async fn install(place: InZone, Body(sent): Body<Install>) -> Result<StatusCode, Refused> {
    for collection in ["providers", "resources"] {
        place.caller.check(place.role, collection, Access::Write)?;
    }
    let package = Known::find(&sent.package_id);
    let package = package.ok_or_else(|| Refused::bad("package_id", "is no package of the catalogue"))?;
    let fields = checked(package, sent.fields)?;
    let mut rows = Vec::with_capacity(package.resources.len() + 1);
    let provider = match &package.provider {
        Some(provider) => {
            let id = RowId::random().to_string();
            rows.push(("providers", provider_row(&place, &id, package, provider, fields).await?));
            id
        }
        None => own_provider(&place).await?,
    };
    for resource in &package.resources {
        rows.push(("resources", resource_row(&place, package, resource, &provider).await?));
    }
    place.store.insert_all(rows).await?;
    Ok(StatusCode::CREATED)
}

/// Each field that the package asks for, once, and no other.
fn checked(package: &Known, mut sent: BTreeMap<String, String>) -> Result<BTreeMap<&'static str, String>, Refused> {
    let mut fields = BTreeMap::new();
    for field in &package.fields {
        let (name, spelled) = (field.as_str(), format!("fields.{}", field.as_str()));
        let value = sent.remove(name).ok_or_else(|| Refused::bad(&spelled, "is missing"))?;
        fields.insert(name, body::text(&spelled, value, 1..=2048)?);
    }
    match sent.into_keys().next() {
        Some(unknown) => Err(Refused::bad(&format!("fields.{unknown}"), "is not asked for by this package")),
        None => Ok(fields),
    }
}

async fn provider_row(
    place: &InZone,
    id: &str,
    package: &Known,
    provider: &PackageProvider,
    mut fields: BTreeMap<&'static str, String>,
) -> Result<Vec<Column>, Refused> {
    let protocols = protocols(provider).ok_or_else(Refused::failed)?;
    let secret = fields.remove(PackageField::ClientSecret.as_str());
    let secret = secret.map(|secret| providers::seal(&place.issuer, id, secret)).transpose()?;
    let now = place.now.as_millis();
    Ok(vec![
        ("id", id.into()),
        ("zone_id", place.zone().into()),
        ("slug", place.store.free_slug("providers t", &package.name).await?.into()),
        ("name", (&package.name).into()),
        ("issuer", Protocols::issuer(Some(&protocols), &provider.identifier).into()),
        ("identifier", (&provider.identifier).into()),
        ("description", (&package.description).into()),
        ("client_id", fields.remove(PackageField::ClientId.as_str()).into()),
        ("client_secret_sealed", secret.into()),
        ("protocols", json::write(Some(protocols))?.into()),
        ("created_at", now.into()),
        ("updated_at", now.into()),
    ])
}

async fn resource_row(
    place: &InZone,
    package: &Known,
    resource: &PackageResource,
    provider: &str,
) -> Result<Vec<Column>, Refused> {
    let now = place.now.as_millis();
    let metadata = serde_json::json!({"docs_url": package.docs_url});
    let scopes = Some(resource.scopes.join(" ")).filter(|scopes| !scopes.is_empty());
    Ok(vec![
        ("id", RowId::random().as_str().into()),
        ("zone_id", place.zone().into()),
        ("origin", "api".into()),
        ("slug", place.store.free_slug("resources t", &resource.name).await?.into()),
        ("name", (&resource.name).into()),
        ("identifier", (&resource.identifier).into()),
        ("credential_provider_id", provider.into()),
        ("prefix", true.into()),
        ("credential_lifetime_seconds", resource.credential_lifetime_seconds.into()),
        ("scopes", scopes.into()),
        ("metadata", json::write(Some(metadata))?.into()),
        ("created_at", now.into()),
        ("updated_at", now.into()),
    ])
}

/// The zone's own, which signs its tokens.
async fn own_provider(place: &InZone) -> Result<String, Refused> {
    let conditions = place.rows().equals("t.type", "keycard-sts");
    let row: Option<IdRow> = place.store.find("t.id", "providers t", conditions).await?;
    row.map(|row| row.id).ok_or_else(Refused::failed)
}

fn show(package: &'static Known, installed: bool) -> Package {
    let provider = package.provider.as_ref().map(|provider| Provider {
        identifier: &provider.identifier,
        name: &package.name,
        protocols: protocols(provider),
    });
    Package {
        id: &package.id,
        name: &package.name,
        description: &package.description,
        docs_url: &package.docs_url,
        fields: package.fields.iter().map(|field| needed(*field)).collect(),
        provider,
        resources: package.resources.clone(),
        installed,
    }
}

fn needed(name: PackageField) -> Field {
    match name {
        PackageField::ClientId => Field { name, label: "Client ID", secret: false },
        PackageField::ClientSecret => Field { name, label: "Client secret", secret: true },
    }
}

fn protocols(provider: &PackageProvider) -> Option<Protocols> {
    let protocols: Protocols = serde_json::from_value(provider.protocols.clone()).ok()?;
    protocols.checked(&provider.identifier).ok()
}

fn identifiers(package: &'static Known) -> impl Iterator<Item = &'static str> {
    package.resources.iter().map(|resource| resource.identifier.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Scopes;

    #[test]
    fn every_package_is_what_the_api_itself_would_take() {
        for package in PACKAGES.iter() {
            body::url("docs_url", package.docs_url.clone()).unwrap();
            for resource in &package.resources {
                assert!(resource.identifier.starts_with("https://"), "{}", resource.identifier);
                Scopes::parse(&resource.scopes.join(" ")).unwrap();
            }
            let Some(provider) = &package.provider else { continue };
            let read = protocols(provider).unwrap_or_else(|| panic!("{}", package.id));
            // Whatever the file says is known by its name, and none is lost.
            let mut shown = serde_json::to_value(&read).unwrap();
            shown["oauth2"].as_object_mut().unwrap().remove("issuer");
            let mut expected = shown.clone();
            json_patch(&mut expected, &provider.protocols);
            assert_eq!(shown, expected, "{}", package.id);
            assert!(Protocols::token_endpoint(Some(&read)).is_some_and(|endpoint| endpoint.starts_with("https://")));
        }
    }

    fn json_patch(into: &mut serde_json::Value, with: &serde_json::Value) {
        match with.as_object() {
            None => *into = with.clone(),
            Some(fields) => fields.iter().for_each(|(name, value)| json_patch(&mut into[name], value)),
        }
    }
}
