"""What the zone's stage told, and what each program needs: the management SDK, a decoder, a free port, a refusal."""

import base64
import json
import os
import socket
import urllib.request

import pydantic
from keycardai_api import KeycardAPI

told = json.loads(os.environ["STAGE"])
issuer, folder = told["issuer"], told["folder"]


class Strict(KeycardAPI):
    """The SDK, which believes whatever it gets; here each reply must be what its model says, every type and field."""

    # For each model that came, the fields that it came with.
    seen = {}

    def __init__(self, token):
        super().__init__(api_key=token, base_url=issuer, max_retries=0)

    def _process_response_data(self, *, data, cast_to, response):
        if cast_to is not object:
            self.note(pydantic.TypeAdapter(cast_to).validate_json(response.content, strict=True))
        return super()._process_response_data(data=data, cast_to=cast_to, response=response)

    def note(self, value):
        """Remembers the models in the value."""
        if isinstance(value, pydantic.BaseModel):
            model = type(value)
            self.seen.setdefault(model, set()).update(value.model_fields_set)
            value = [getattr(value, name) for name in model.model_fields]
        elif isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            for part in value:
                self.note(part)


api = Strict(told["token"])
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
