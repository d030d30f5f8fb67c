"""keycardai-api 0.18: every model that an operation of it can return came, with every field, each of its right type.

What is not told here, because this server has no such thing, is named at the end, and nothing else may be missing.
"""

import html
import inspect
import re
import typing

import httpx
import pydantic
from keycardai_api._resource import SyncAPIResource

from stage import Strict, api, application, issuer, passed, resource, told, zone

zones, organizations, here = api.zones, api.organizations, {"zone_id": zone.id}
browser = httpx.Client(base_url=issuer, headers={"origin": issuer, "sec-fetch-site": "same-origin"})


def token(**form):
    """An answer of the token endpoint."""
    answer = browser.post("/oauth/2/token", data=form)
    assert answer.status_code == 200, answer.text
    return answer.json()


def field(page, name):
    """A hidden field of a page."""
    return html.unescape(re.search(f'name="{name}" value="([^"]*)"', page.text)[1])


# A person, on the command line and in a browser, where they let an application act for them.
code = dict(code=told["code"], redirect_uri=told["redirect"], code_verifier=told["verifier"], client_id=told["client"])
person = Strict(token(grant_type="authorization_code", **code)["access_token"])
calendar = resource("https://calendar.example", ["read"], metadata={"docs_url": "https://docs.example"})
drive = resource("https://drive.example", ["read"], description="files", credential_lifetime_seconds=90)
redirect = "https://agent.example/callback"
protocols = {"oauth2": {"redirect_uris": [redirect], "post_logout_redirect_uris": [redirect]}}
described = {"description": "d", "metadata": {"docs_url": "https://docs.example", "icon_url": "https://icon.example"}}
agent, secret = application("Agent", needs=[calendar], protocols=protocols, **described)
page = browser.get("/account")
form = {"mark": field(page, "mark"), "continue": field(page, "continue"), "name": told["user"], "password": told["password"]}
assert browser.post("/sign-in", data=form).status_code == 303
asked = dict(response_type="code", client_id=secret.identifier, redirect_uri=redirect, state="s", scope="read", resource=calendar.identifier)
page = browser.get("/oauth/2/authorize", params=asked | {"code_challenge": told["challenge"], "code_challenge_method": "S256"})
form = {"mark": field(page, "mark"), "request": field(page, "request"), "decision": "allow"}
back = browser.post("/oauth/2/consent", data=form)
assert back.status_code == 303, back.text
given = httpx.URL(back.headers["location"]).params["code"]
basic = {"client_id": secret.identifier, "client_secret": secret.password}
token(grant_type="authorization_code", code=given, redirect_uri=redirect, code_verifier=told["verifier"], **basic)
token(grant_type="client_credentials", resource=calendar.identifier, **basic)

# Zones, and how they list.
assert zones.list(expand=["permissions", "total_count"]).pagination.total_count == 1
everything = {"default_resource_id": calendar.id, "default_mcp_gateway_application_id": agent.id, "description": "d"}
zones.update(zone.id, protocols={"oauth2": {"cimd": {"enabled": False, "allowed_client_ids": []}}}, **everything)
assert zones.retrieve(zone.id, expand=["permissions"]).permissions
zones.delete(zones.create(name="Other", encryption_key=None).id)

# Applications, providers, resources, credentials, secrets.
accounts = {"oauth2": {"issuer": "https://idp.example"}, "openid": {}}
provider = zones.providers.create(zone.id, identifier="https://idp.example", name="p", protocols=accounts, metadata={"icon_url": "https://icon.example"})
zones.providers.update(provider.id, **here, client_id="c")
assert zones.providers.retrieve(provider.id, **here) in zones.providers.list(zone.id).items
zones.applications.update(agent.id, **here, consent="required")
assert zones.applications.retrieve(agent.id, **here) in zones.applications.list(zone.id).items
zones.resources.update(calendar.id, **here, application_id=agent.id, credential_provider_id=provider.id)
assert zones.resources.retrieve(calendar.id, **here)
beside = {"extra_query": {"expand[]": ["application", "credential_provider", "provider"]}}
both = {"extra_query": {"expand[]": ["application", "credential_provider"]}}
found = zones.resources.list(zone.id, **both).items[0]
assert (found.application.id, found.credential_provider.id) == (agent.id, provider.id), found
zones.applications.dependencies.add(drive.id, **here, id=agent.id, when_accessing=[calendar.id])
for found in (zones.applications.dependencies.list(agent.id, **here).items, [zones.applications.dependencies.retrieve(drive.id, **here, id=agent.id)]):
    assert [calendar.id] in [needed.when_accessing for needed in found], found
zones.applications.list_resources(agent.id, **here)
credentials, of_agent = zones.application_credentials, {"application_id": agent.id}
made = [
    credentials.create(zone.id, type="token", provider_id=provider.id, subject="s", **of_agent),
    credentials.create(zone.id, type="public-key", jwks_uri="https://a.example/jwks", **of_agent),
    credentials.create(zone.id, type="url", identifier="https://a.example/client", **of_agent),
    credentials.create(zone.id, type="public", **of_agent),
]
credentials.update(made[0].id, **here, type="token", subject=None)
assert all(credentials.retrieve(one.id, **here).type == one.type for one in made)
beside = {"extra_query": {"expand[]": ["application", "provider"]}}
found = credentials.list(zone.id, application_id=agent.id, **beside).items
assert [one.provider.id for one in found if one.type == "token"] == [provider.id], found
assert {one.application.id for one in found} == {agent.id}, found
zones.applications.list_credentials(agent.id, **here)
data = {"type": "token", "token": "hunter2"}
key = zones.secrets.create(zone.id, entity_id=drive.id, name="key", data=data, metadata={}, description="d")
zones.secrets.update(key.id, **here, name="other")
assert [one.id for one in zones.secrets.list(zone.id)] == [key.id]
zones.secrets.retrieve(key.id, **here)
data = {"type": "password", "username": "u", "password": "hunter3"}
opened = zones.secrets.retrieve(zones.secrets.create(zone.id, entity_id=drive.id, name="both", data=data).id, **here)
assert opened.data.username == "u", opened

# People, their sessions and grants, and what they came with.
ada = zones.users.list(zone.id, filter_email=told["user"]).items[0]
assert ada.grant_count is ada.session_count is ada.credentials is None, ada
api.post(f"/zones/{zone.id}/members", body={"organization_user_id": ada.id, "role": "zone_viewer"}, cast_to=object)
expand = ["session_count", "grant_count", "role-assignments", "groups", "credentials", "credentials.provider"]
counted = zones.users.list(zone.id, expand=expand).items[0]
assert counted.session_count == len(zones.sessions.list(zone.id, user_id=ada.id).items) > 0, counted
assert counted.grant_count == len(zones.delegated_grants.list(zone.id, user_id=ada.id).items) == 1, counted
assert [one.type for one in counted.credentials] == ["password"] and counted.groups == [], counted
assert [one.role_identifier for one in counted.role_assignments] == ["zone_viewer"], counted
assert zones.users.retrieve(ada.id, **here, extra_query={"expand[]": ["role-assignments"]}).role_assignments
agents = zones.user_agents.list(zone.id).items
zones.user_agents.retrieve(agents[0].id, **here)
beside = {"extra_query": {"expand[]": ["user", "application", "user_agent"]}}
found = zones.sessions.list(zone.id, include_nested=True, **beside).items
assert {one.session_type for one in found} == {"user", "application"}, found
for one in found:
    assert zones.sessions.retrieve(one.id, **here).id == one.id
beside = {"extra_query": {"expand[]": ["user", "resource", "provider"]}}
(grant,) = zones.delegated_grants.list(zone.id, **beside).items
assert (grant.user.id, grant.resource.id, grant.scopes) == (ada.id, calendar.id, ["read"]), grant
zones.delegated_grants.retrieve(grant.id, **here)
assert zones.delegated_grants.update(grant.id, **here, status="revoked").status == "revoked"
assert zones.sessions.update(found[-1].id, **here, status="revoked").status == "revoked"

# Policies: who wrote them is told where it was a person.
schemas, policies, sets, user = zones.policy_schemas, person.zones.policies, person.zones.policy_sets, {"expand": ["user"]}
schema = schemas.list(zone.id).items[0].version
assert schemas.retrieve(schema, **here, format="cedar").cedar_schema and schemas.set_default(schema, **here, body={}).is_default
policy, other = policies.create(zone.id, name="one", description="d"), policies.create(zone.id, name="two")
assert policy.created_by == ada.id and policy.created_by_user is None, policy
policies.update(policy.id, **here, description="e")
written = policies.retrieve(policy.id, **here, **user)
assert (written.created_by_user.id, written.updated_by_user.email) == (ada.id, told["user"]), written
assert written in policies.list(zone.id, **user).items
platform = policies.list(zone.id, filter_owner_type=["platform"], **user).items
assert {one.created_by_user for one in platform} == {None}, platform
text = dict(schema_version=schema, cedar_raw="forbid(principal, action, resource) when { false };")
version, spare = (policies.versions.create(policy.id, **here, **text) for _ in range(2))
assert policies.versions.archive(spare.id, **here, policy_id=policy.id).archived_by == ada.id
found = policies.versions.retrieve(spare.id, **here, policy_id=policy.id, format="cedar", **user)
assert found.archived_by_user.id == found.created_by_user.id == ada.id and found.archived_by_user.zone_id == zone.id
assert found in policies.versions.list(policy.id, **here, format="cedar", **user).items
assert policies.archive(other.id, **here).archived_at
kept, spare = sets.create(zone.id, name="one"), sets.create(zone.id, name="two")
sets.update(kept.id, **here, name="three")
entry = {"policy_id": policy.id, "policy_version_id": version.id}
bound, unbound = (sets.versions.create(kept.id, **here, schema_version=schema, manifest={"entries": [entry]}) for _ in range(2))
found = sets.versions.list_policies(bound.id, **here, policy_set_id=kept.id, **user).items
assert [one.created_by_user.id for one in found] == [ada.id], found
sets.versions.archive(unbound.id, **here, policy_set_id=kept.id)
found = sets.versions.retrieve(unbound.id, **here, policy_set_id=kept.id, **user)
assert found.archived_by_user.id == found.created_by_user.id == ada.id, found
assert sets.versions.list(kept.id, **here, **user).items[-1].created_by_user.id == ada.id
assert sets.versions.update(bound.id, **here, policy_set_id=kept.id, active=True).active
written = sets.retrieve(kept.id, **here, **user)
assert (written.created_by_user.id, written.updated_by_user.id, written.active) == (ada.id, ada.id, True), written
assert written in sets.list(zone.id, **user).items
sets.archive(spare.id, **here)

# Organisations.
own = organizations.retrieve(zone.organization_id, expand=["permissions"])
assert own.sso_enabled is False
organizations.list(expand=["permissions"])
organizations.update(own.id, name="Renamed")
person.organizations.create(name="Second")
robot = organizations.service_accounts.create(own.id, name="Robot", description="builds")
organizations.service_accounts.update(robot.id, organization_id=own.id, name="Builder")
told_too = {"expand": ["permissions"]}
assert organizations.service_accounts.retrieve(robot.id, organization_id=own.id, **told_too).permissions
organizations.service_accounts.list(own.id, **told_too)
where = {"organization_id": own.id, "service_account_id": robot.id}
pair = organizations.service_accounts.credentials.create(robot.id, organization_id=own.id, name="laptop", description="d")
organizations.service_accounts.credentials.update(pair.id, **where, name="desk")
organizations.service_accounts.credentials.retrieve(pair.id, **where, **told_too)
organizations.service_accounts.credentials.list(robot.id, organization_id=own.id, **told_too)
invitation = organizations.invitations.create(own.id, email=told["user"], role="org_member")
organizations.invitations.list(own.id, **told_too)
assert api.invitations.retrieve(invitation.token).status == "pending"
assert person.invitations.accept(invitation.token).success
sso = organizations.sso_connection
made = sso.enable(own.id, identifier="https://sso.example", client_id="c", client_secret="hunter2", protocols=accounts)
assert made.client_secret_set and "hunter2" not in made.to_json(), made
assert sso.update(own.id, client_id="d", protocols={"openid": {"scopes": ["email"]}}).client_id == "d"
assert sso.retrieve(own.id, expand=["permissions"]).permissions and organizations.retrieve(own.id).sso_enabled
sso.disable(own.id)
assert organizations.retrieve(own.id).sso_enabled is False


def returned(of):
    """What the operations of this resource and those below it return."""
    for name in dir(type(of)):
        member = inspect.getattr_static(type(of), name)
        if name.startswith(("_", "with_")):
            continue
        if inspect.isfunction(member):
            yield typing.get_type_hints(member)["return"]
        elif isinstance(below := getattr(of, name), SyncAPIResource):
            yield from returned(below)


def models(kind, known):
    """The models that are part of this one."""
    if inspect.isclass(kind) and issubclass(kind, pydantic.BaseModel):
        if kind not in known:
            known.add(kind)
            for field in kind.model_fields.values():
                models(field.annotation, known)
    for part in typing.get_args(kind):
        models(part, known)
    return known


# A zone has no groups, so that no role comes from one, and nobody here signed in elsewhere (a test of the zone's own shows
# that); no key of a customer's; a role of a zone is for the zone itself. A grant's `refreshed_at` comes with a refresh.
NOT_HERE = {"Group", "RoleAssignmentScope", "CredentialIamUserCredentialFederation", "EncryptionKeyAwsKmsConfig"}
NOT_TOLD = {
    "RoleAssignment": {"scope", "group_id"},
    "Grant": {"refreshed_at"},
}
expected = set()
for part in (api.zones, api.organizations, api.invitations):
    for kind in returned(part):
        models(kind, expected)
assert len(expected) > 70, len(expected)
lacking = {}
for model in expected:
    if model.__name__ in NOT_HERE:
        assert model not in Strict.seen, f"{model} is told now"
        continue
    untold = set(model.model_fields) - Strict.seen.get(model, set())
    if untold != NOT_TOLD.get(model.__name__, set()):
        lacking[f"{model.__module__}.{model.__name__}"] = sorted(untold)
assert not lacking, "\n".join(f"{model}: {fields}" for model, fields in sorted(lacking.items()))
passed()
