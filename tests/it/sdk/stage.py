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
