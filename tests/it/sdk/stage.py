"""What the zone's stage told, and what each program needs: the management SDK, a decoder, a free port, a refusal."""

import base64
import json
import os
import socket
import urllib.request

from keycardai_api import KeycardAPI

told = json.loads(os.environ["STAGE"])
issuer, folder = told["issuer"], told["folder"]
api = KeycardAPI(api_key=told["token"], base_url=issuer, max_retries=0)
zone = api.zones.list().items[0]


def backstage(path, body=""):
    """The zone's keys rotated, its time moved."""
    urllib.request.urlopen(urllib.request.Request(told["backstage"] + path, data=body.encode())).read()


def claims(token):
    """The claims, unverified."""
    return part(token, 1)


def part(token, number):
    """Header or claims of a JWT."""
    text = token.split(".")[number]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def free_port():
    """A port where nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def refused(error, call, *args, **kwargs):
    """The error that the call must raise."""
    try:
        got = call(*args, **kwargs)
    except error as raised:
        return raised
    raise AssertionError(f"no {error} but {got!r}")


def resource(identifier, scopes, **more):
    """A resource of the zone."""
    return api.zones.resources.create(zone.id, identifier=identifier, name=identifier, scopes=scopes, **more)


def application(name, *, needs=(), **more):
    """An application with a secret, which depends on these resources."""
    made = api.zones.applications.create(zone.id, identifier=f"https://{name.replace(' ', '-')}.example", name=name, **more)
    for needed in needs:
        api.zones.applications.dependencies.add(needed.id, zone_id=zone.id, id=made.id)
    secret = api.zones.application_credentials.create(zone.id, application_id=made.id, type="password")
    return made, secret


def passed():
    """The last word of a program."""
    print("passed")


def enforce(name, cedar):
    """A policy beside those that decide already."""
    schema = api.zones.policy_schemas.list(zone.id).items[0].version
    known = api.zones.policies.list(zone.id, filter_owner_type=["platform"]).items
    entries = [{"policy_id": policy.id, "policy_version_id": policy.latest_version_id} for policy in known]
    policy = api.zones.policies.create(zone.id, name=name)
    version = api.zones.policies.versions.create(policy.id, zone_id=zone.id, schema_version=schema, cedar_raw=cedar)
    entries.append({"policy_id": policy.id, "policy_version_id": version.id})
    kept = api.zones.policy_sets.create(zone.id, name=name)
    manifest = {"entries": entries}
    bound = api.zones.policy_sets.versions.create(kept.id, zone_id=zone.id, schema_version=schema, manifest=manifest)
    bound = api.zones.policy_sets.versions.update(bound.id, zone_id=zone.id, policy_set_id=kept.id, active=True)
    assert bound.active and [entry.policy_id for entry in bound.manifest.entries][-1:] == [policy.id], bound


NIGHT_SHIFT = """permit(principal is Keycard::Application, action, resource) when {
    principal.name == "Night shift" && context has impersonate && context.impersonate };"""
