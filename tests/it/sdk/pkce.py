"""keycardai-oauth's PKCE helper: from an API's challenge to a token, through the browser that the stage drives."""

import asyncio
import webbrowser

import httpx
from keycardai.oauth import BasicAuth, Client
from keycardai.oauth.exceptions import OAuthProtocolError
from keycardai.oauth.pkce import authenticate
from keycardai.oauth.types.models import ClientConfig

from guarded import serve
from stage import NIGHT_SHIFT, api, application, claims, enforce, free_port, issuer, passed, refused, resource, told, zone

port, callback = free_port(), free_port()
HERE = f"http://127.0.0.1:{port}/api"
redirect = f"http://localhost:{callback}/callback"
calendar = resource(HERE, ["calendar:read", "calendar:write"])
agent, secret = application("Calendar agent", protocols={"oauth2": {"redirect_uris": [redirect]}})
host = serve(port, zone_url=issuer, audience=HERE)
webbrowser.open = lambda address, *_: print("open", address)

# The person never granted it anything: no place to take.
enforce("night-shift", NIGHT_SHIFT)
_, night = application("Night shift", needs=[calendar])
night = Client(issuer, auth=BasicAuth(night.identifier, night.password), config=ClientConfig(auto_register_client=False))
failed = refused(OAuthProtocolError, night.impersonate, user_identifier=told["user"], resource=HERE)
assert failed.error == "insufficient_authorization", failed

challenge = httpx.get(host + "/api/data").headers["www-authenticate"]
token = asyncio.run(
    authenticate(
        client_id=secret.identifier,
        client_secret=secret.password,
        resource_url=HERE,
        www_authenticate_header=challenge,
        redirect_uri=redirect,
        callback_port=callback,
        scopes=["calendar:read"],
        callback_timeout=120,
    )
)
said = claims(token.access_token)
assert said["aud"] == HERE and said["scope"] == "calendar:read" and said["sub_profile"] == "user", said
assert said["client_id"] == secret.identifier and said["keycard_app_id"] == agent.id, said
assert token.refresh_token, token
seen = httpx.get(host + "/api/data", headers={"Authorization": f"Bearer {token.access_token}"})
assert seen.status_code == 200 and seen.json()["client"] == secret.identifier, seen.text

# The management API knows of it: a session of this person's through this application.
sessions = api.zones.sessions.list(zone.id, user_id=said["sub"], status="active").items
assert all(session.user_id == said["sub"] for session in sessions), sessions

# Refresh goes on for the same person and resource.
client = Client(issuer, auth=BasicAuth(secret.identifier, secret.password), config=ClientConfig(auto_register_client=False))
renewed = client.refresh_token_grant(refresh_token=token.refresh_token, resources=[HERE], scopes=["calendar:read"])
assert claims(renewed.access_token)["sub"] == said["sub"] and claims(renewed.access_token)["aud"] == HERE, renewed

# Now that the person granted the resource, an application that may take their place can.
taken = claims(night.impersonate(user_identifier=told["user"], resource=HERE).access_token)
assert taken["sub"] == said["sub"] and taken["aud"] == HERE, taken
passed()
