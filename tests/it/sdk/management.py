"""keycardai-api 0.18 over every collection of the management API: made, read, listed, changed, removed."""

import keycardai_api
from keycardai_api import KeycardAPI

from stage import api, claims, issuer, passed, refused, told, zone

zones, inside = api.zones, {"zone_id": zone.id}


def gone(call, *args, **kwargs):
    """The thing is not there, and the SDK knows the body's words."""
    raised = refused(keycardai_api.NotFoundError, call, *args, **kwargs)
    assert raised.body["code"] and raised.body["message"] and raised.body["status"] == 404, raised.body


# A stranger, and no token at all.
for key in ("vk_live_rubbish", "x"):
    refused(keycardai_api.AuthenticationError, KeycardAPI(api_key=key, base_url=issuer, max_retries=0).zones.list)

# Zones.
made = zones.create(name="Team", description="first", protocols={"oauth2": {"pkce_required": False}})
assert made.slug and made.organization_id == zone.organization_id and made.owner_type == "customer", made
assert made.protocols.oauth2.pkce_required is False and made.protocols.oauth2.dcr_enabled is True, made.protocols
assert made.protocols.oauth2.token_endpoint.endswith("/oauth/2/token"), made.protocols
assert made.protocols.openid.userinfo_endpoint.endswith("/openid/connect/userinfo"), made.protocols
assert zones.retrieve(made.id, expand=["permissions"]).permissions, "permissions are expanded"
assert zones.retrieve(made.id).permissions is None
assert [found.id for found in zones.list(slug=made.slug).items] == [made.id]
assert {found.id for found in zones.list(filter_organization_id=zone.organization_id).items} == {zone.id, made.id}
changed = zones.update(made.id, name="Crew", description=None, protocols={"oauth2": {"dcr_enabled": False}})
assert (changed.name, changed.description) == ("Crew", None) and changed.updated_at > made.updated_at, changed
assert changed.protocols.oauth2.dcr_enabled is False and changed.protocols.oauth2.pkce_required is False, changed
raised = refused(keycardai_api.BadRequestError, zones.create, name="")
assert "name" in raised.body["message"], raised.body

# Applications: 250 of them, by pages of different sizes, forward and backward, filtered, searched, sorted.
applications = zones.applications
names = [f"App {number:03}" for number in range(250)]
apps = [applications.create(made.id, identifier=f"https://a{number:03}.example", name=name) for number, name in enumerate(names)]
assert (apps[0].consent, apps[0].dependencies_count, apps[0].owner_type) == ("required", 0, "customer"), apps[0]
for limit in (100, 33, 1000):
    seen, page, after = [], None, keycardai_api.NOT_GIVEN
    while page is None or page.page_info.has_next_page:
        page = applications.list(made.id, limit=limit, sort="name", after=after, expand=["total_count"])
        after = page.page_info.end_cursor
        assert page.pagination.total_count == 250, page.pagination
        assert page.pagination.after_cursor == (after if page.page_info.has_next_page else None), page.pagination
        seen += [found.name for found in page.items]
    assert seen == names, (limit, len(seen))
back = applications.list(made.id, limit=10, sort="name", before=page.page_info.end_cursor)
assert [found.name for found in back.items] == names[239:249] and back.page_info.has_previous_page, back
assert [found.name for found in applications.list(made.id, sort="-name", limit=2).items] == names[:-3:-1]
assert applications.list(made.id, limit=1).pagination.total_count is None
assert len(applications.list(made.id).items) == 100
two = [apps[3].id, apps[4].id]
assert {found.id for found in applications.list(made.id, filter_id=two).items} == set(two)
assert [found.id for found in applications.list(made.id, identifier="https://a007.example").items] == [apps[7].id]
assert [found.id for found in applications.list(made.id, slug=apps[8].slug).items] == [apps[8].id]
assert len(applications.list(made.id, query_name="app 00").items) == 10
assert len(applications.list(made.id, query=["a24"]).items) == 10
assert len(applications.list(made.id, query_identifier=["a1", "99"]).items) == 1
refused(keycardai_api.BadRequestError, applications.list, made.id, limit=0)
refused(keycardai_api.BadRequestError, applications.list, made.id, after="rubbish")
refused(keycardai_api.BadRequestError, applications.list, made.id, sort="colour")
app = apps[0]
refused(keycardai_api.ConflictError, applications.create, made.id, identifier=app.identifier, name="Again")
refused(keycardai_api.BadRequestError, applications.create, made.id, identifier="x", name="x", consent="explicit")
fields = dict(description="d", metadata={"docs_url": "https://docs.example"}, consent="implicit")
changed = applications.update(app.id, **{"zone_id": made.id}, protocols={"oauth2": {"redirect_uris": ["https://a/cb"]}}, **fields)
assert (changed.description, changed.consent, changed.metadata.docs_url) == ("d", "implicit", "https://docs.example")
assert changed.protocols.oauth2.redirect_uris == ["https://a/cb"] and changed.name == app.name, changed
cleared = applications.update(app.id, zone_id=made.id, description=None, metadata=None, protocols=None)
assert (cleared.description, cleared.metadata, cleared.protocols) == (None, None, None), cleared
assert applications.retrieve(app.id, zone_id=made.id) == cleared
gone(applications.retrieve, app.id, zone_id=zone.id)
gone(applications.update, app.id, zone_id=zone.id, name="Stolen")
gone(applications.delete, app.id, zone_id=zone.id)
stale = {"extra_headers": {"If-Match": '"1"'}}
raised = refused(keycardai_api.APIStatusError, applications.update, app.id, zone_id=made.id, name="Late", **stale)
assert raised.status_code == 412, raised
applications.delete(apps[1].id, zone_id=made.id)
gone(applications.retrieve, apps[1].id, zone_id=made.id)

# Providers: the zone's own stays; a secret goes in and never out.
own = zones.providers.list(made.id, type="keycard-sts").items
assert [found.name for found in own] == ["Zone Provider"], own
refused(keycardai_api.PermissionDeniedError, zones.providers.delete, own[0].id, zone_id=made.id)
google = zones.providers.create(
    made.id, identifier="https://accounts.example", name="Accounts", client_id="c", client_secret="hunter2",
    protocols={"oauth2": {"authorization_endpoint": "https://accounts.example/a", "token_endpoint": "https://accounts.example/t"}},
)
assert google.client_secret_set and google.type == "external" and "hunter2" not in google.to_json(), google
changed = zones.providers.update(google.id, zone_id=made.id, name="Renamed", client_secret=None)
assert changed.name == "Renamed" and not changed.client_secret_set and changed.client_id == "c", changed
assert {found.id for found in zones.providers.list(made.id, filter_type=["external"]).items} == {google.id}
assert [found.id for found in zones.providers.list(made.id, identifier=google.identifier).items] == [google.id]
assert [found.id for found in zones.providers.list(made.id, query_name="renam").items] == [google.id]

# Resources and dependencies.
resources, dependencies = zones.resources, applications.dependencies
drive = resources.create(
    made.id, identifier="https://drive.example", name="Drive", application_id=app.id, credential_provider_id=google.id,
    scopes=["read", "write"], credential_lifetime_seconds=90, prefix=True, application_type="native",
)
assert (drive.prefix, drive.application_type, drive.scopes) == (True, "native", ["read", "write"]), drive
mail = resources.create(made.id, identifier="https://mail.example", name="Mail")
assert resources.list(made.id, credential_provider_id=google.id).items == [drive]
assert [found.id for found in resources.list(made.id, identifier="https://mail.example").items] == [mail.id]
assert [found.id for found in resources.list(made.id, filter_owner_type="customer", sort="-name").items] == [mail.id, drive.id]
assert applications.list_resources(app.id, zone_id=made.id).items == [drive]
cleared = resources.update(drive.id, zone_id=made.id, scopes=None, credential_lifetime_seconds=None, application_id=None)
assert (cleared.scopes, cleared.credential_lifetime_seconds, cleared.application_id) == (None, None, None), cleared
assert cleared.credential_provider_id == google.id, cleared
dependencies.add(drive.id, zone_id=made.id, id=app.id)
dependencies.add(mail.id, zone_id=made.id, id=app.id, when_accessing=[drive.id])
assert dependencies.retrieve(drive.id, zone_id=made.id, id=app.id).when_accessing is None
assert dependencies.retrieve(mail.id, zone_id=made.id, id=app.id).when_accessing == [drive.id]
assert {found.id for found in dependencies.list(app.id, zone_id=made.id).items} == {drive.id, mail.id}
assert [found.id for found in dependencies.list(app.id, zone_id=made.id, when_accessing=drive.id).items] == [mail.id]
assert applications.retrieve(app.id, zone_id=made.id).dependencies_count == 2
dependencies.remove(mail.id, zone_id=made.id, id=app.id)
gone(dependencies.retrieve, mail.id, zone_id=made.id, id=app.id)

# Credentials of each type.
credentials = zones.application_credentials
common = {"application_id": app.id}
password = credentials.create(made.id, type="password", identifier="client-1", **common)
assert password.identifier == "client-1" and password.password, password
token = credentials.create(made.id, type="token", provider_id=google.id, subject="repo:a", **common)
key = credentials.create(made.id, type="public-key", jwks_uri="https://a.example/jwks", **common)
url = credentials.create(made.id, type="url", identifier="https://a.example/client", **common)
public = credentials.create(made.id, type="public", **common)
assert credentials.retrieve(password.id, zone_id=made.id).password is None
kinds = {"password": password, "token": token, "public-key": key, "url": url, "public": public}
for kind, credential in kinds.items():
    found = credentials.retrieve(credential.id, zone_id=made.id)
    assert type(found) is type(credential) and found.type == kind and found.application_id == app.id, found
assert {found.type for found in credentials.list(made.id, application_id=app.id).items} == set(kinds)
assert len(applications.list_credentials(app.id, zone_id=made.id).items) == 5
assert [found.id for found in credentials.list(made.id, slug=url.slug).items] == [url.id]
assert credentials.update(token.id, zone_id=made.id, type="token", subject=None).subject is None
moved = credentials.update(url.id, zone_id=made.id, type="url", identifier="https://a.example/moved")
assert moved.identifier == "https://a.example/moved", moved
refused(keycardai_api.ConflictError, credentials.create, made.id, type="password", identifier="client-1", **common)
for credential in kinds.values():
    credentials.delete(credential.id, zone_id=made.id)
    gone(credentials.retrieve, credential.id, zone_id=made.id)

# Secrets: sealed, and shown one at a time.
secrets = zones.secrets
data = {"type": "token", "token": "hunter2"}
secret = secrets.create(made.id, entity_id=mail.id, name="key", data=data, metadata={"team": "a"})
assert (secret.type, secret.version, secret.metadata) == ("token", 1, {"team": "a"}), secret
opened = secrets.retrieve(secret.id, zone_id=made.id)
assert opened.data.token == "hunter2", opened
listed = secrets.list(made.id, entity_id=mail.id, type="token")
assert "hunter2" not in str(listed) and secret.id in str(listed), listed
data = {"type": "password", "username": "u", "password": "hunter3"}
assert secrets.update(secret.id, zone_id=made.id, data=data).version == 2
opened = secrets.retrieve(secret.id, zone_id=made.id)
assert (opened.data.username, opened.data.password) == ("u", "hunter3"), opened
secrets.delete(secret.id, zone_id=made.id)
gone(secrets.retrieve, secret.id, zone_id=made.id)

# People, their sessions, grants and user agents, in the zone where somebody is.
people = zones.users.list(zone.id, filter_email=told["user"], expand=["total_count"])
ada = people.items[0]
assert people.pagination.total_count == 1 and (ada.email, ada.status) == (told["user"], "active"), ada
assert zones.users.retrieve(ada.id, **inside).identifier == told["user"]
assert zones.users.list(zone.id, filter_external=False, query_email="ADA@").items[0].id == ada.id
assert zones.users.list(zone.id, filter_id=[ada.id, "nobody"], sort="-email").items[0].id == ada.id
assert zones.users.list(zone.id, filter_subject="nobody").items == []
gone(zones.users.retrieve, ada.id, zone_id=made.id)
agents = zones.user_agents.list(zone.id, limit=1)
agent = zones.user_agents.retrieve(agents.items[0].id, **inside)
assert agent == agents.items[0] and agent.identifier == told["client"], agent
assert zones.sessions.list(zone.id, user_id=ada.id, status="active", session_type="user").items == []
assert zones.sessions.list(zone.id, active=True, include_nested=True).pagination, "an empty page is a page"
assert zones.delegated_grants.list(zone.id, user_id=ada.id, status="active").items == []
for nothing in (zones.sessions, zones.delegated_grants):
    gone(nothing.retrieve, "nothing", **inside)
    gone(nothing.update, "nothing", status="revoked", **inside)
    gone(nothing.delete, "nothing", **inside)

# Organisations, service accounts, invitations.
organizations = api.organizations
home = organizations.retrieve(zone.organization_id, expand=["permissions"])
assert home.permissions and home.label and home.zone_id == zone.id, home
assert zone.organization_id in [found.id for found in organizations.list().items]
assert organizations.update(home.id, name="Renamed").name == "Renamed"
accounts = organizations.service_accounts
robot = accounts.create(home.id, name="Robot", description="builds")
assert accounts.retrieve(robot.id, organization_id=home.id).description == "builds"
assert accounts.update(robot.id, organization_id=home.id, name="Builder").name == "Builder"
assert [found.id for found in accounts.list(home.id, expand=["permissions"]).items] == [robot.id]
pair = accounts.credentials.create(robot.id, organization_id=home.id, name="laptop")
assert pair.client_id and pair.client_secret, pair
where = {"organization_id": home.id, "service_account_id": robot.id}
assert "client_secret" not in accounts.credentials.retrieve(pair.id, **where).to_dict()
assert accounts.credentials.update(pair.id, name="desk", **where).name == "desk"
assert [found.id for found in accounts.credentials.list(robot.id, organization_id=home.id).items] == [pair.id]
accounts.credentials.delete(pair.id, **where)
gone(accounts.credentials.retrieve, pair.id, **where)
accounts.delete(robot.id, organization_id=home.id)
gone(accounts.retrieve, robot.id, organization_id=home.id)
invitation = organizations.invitations.create(home.id, email="bob@example.com", role="org_member")
assert (invitation.status, invitation.role) == ("pending", "org_member"), invitation
assert [found.id for found in organizations.invitations.list(home.id).items] == [invitation.id]
organizations.invitations.delete(invitation.id, organization_id=home.id)
gone(api.invitations.retrieve, "no-such-token")

# Everything goes with its zone.
zones.delete(made.id)
gone(zones.retrieve, made.id)
gone(applications.retrieve, app.id, zone_id=made.id)
passed()
