"""keycardai-oauth 0.33 without a secret: a platform's token, keys of the client's own, registration."""

import asyncio
import json
import pathlib
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
from joserfc import jwt
from joserfc.jwk import RSAKey
from keycardai.oauth import AsyncClient, BasicAuth, Client
from keycardai.oauth.exceptions import OAuthError, OAuthProtocolError
from keycardai.oauth.server.credentials import FileTokenSource, WebIdentity, WorkloadIdentity
from keycardai.oauth.types.models import ClientConfig

from stage import api, application, claims, folder, issuer, passed, refused, resource, told, zone

CALENDAR = "https://calendar.example/api"
silent = ClientConfig(auto_register_client=False)
calendar = resource(CALENDAR, ["calendar:read"])


def is_refused(failed, error):
    assert getattr(failed, "error", error if getattr(failed, "status_code", 0) == 401 else None) == error, failed


# A platform that issues tokens to its workloads, and an application that shows its keys: both on this machine.
pages = {}


class Pages(BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(pages.get(self.path, {})).encode()
        self.send_response(200 if self.path in pages else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
threading.Thread(target=server.serve_forever, daemon=True).start()
here = f"http://127.0.0.1:{server.server_port}"
key = RSAKey.generate_key(2048, {"kid": "platform-1"})
pages["/.well-known/openid-configuration"] = {"issuer": here, "jwks_uri": here + "/keys"}
pages["/keys"] = {"keys": [key.as_dict(private=False)]}


def platform_token(subject, **more):
    now = int(time.time())
    told_of = {"iss": here, "sub": subject, "aud": issuer, "iat": now, "exp": now + 600, "jti": str(uuid.uuid4())}
    return jwt.encode({"alg": "RS256", "kid": "platform-1"}, told_of | more, key)


# A session of a person, by hand: subject of the exchanges below.
public = Client(issuer, config=silent)
session = public.exchange_authorization_code(
    code=told["code"], redirect_uri=told["redirect"], code_verifier=told["verifier"], client_id=told["client"]
).access_token


async def workload():
    worker = api.zones.applications.create(zone.id, identifier="https://worker.example", name="Worker", consent="implicit")
    api.zones.applications.dependencies.add(calendar.id, zone_id=zone.id, id=worker.id)
    platform = api.zones.providers.create(zone.id, identifier=here, name="Platform")
    credential = api.zones.application_credentials.create(
        zone.id, application_id=worker.id, provider_id=platform.id, type="token", subject="system:serviceaccount:prod:worker"
    )
    file = pathlib.Path(folder) / "token"
    # Platforms end their files with a new line.
    file.write_text(platform_token("system:serviceaccount:prod:worker") + "\n")
    for client_id in (None, credential.id):
        source = WorkloadIdentity(FileTokenSource(str(file)), client_id=client_id)
        async with AsyncClient(issuer, auth=source.get_http_client_auth(), config=silent) as client:
            # The file is read each time, and may hold the same token.
            for _ in range(2):
                request = await source.prepare_token_exchange_request(client, session, CALENDAR)
                said = claims((await client.exchange_token(request)).access_token)
                assert said["act"]["sub"] == worker.id == said["keycard_app_id"], said
            own = dict(client_assertion=request.client_assertion, client_assertion_type=request.client_assertion_type)
            said = claims((await client.client_credentials_grant(resource=CALENDAR, **own)).access_token)
            assert said["sub"] == worker.id, said
            for wrong in (
                platform_token("system:serviceaccount:prod:other"),
                platform_token("system:serviceaccount:prod:worker", aud="https://elsewhere.example"),
                platform_token("system:serviceaccount:prod:worker", exp=int(time.time()) - 600),
                platform_token("system:serviceaccount:prod:worker", iss="https://other.example"),
                jwt.encode(
                    {"alg": "RS256", "kid": "platform-1"},
                    claims(platform_token("system:serviceaccount:prod:worker")),
                    RSAKey.generate_key(2048),
                ),
            ):
                file.write_text(wrong)
                request = await source.prepare_token_exchange_request(client, session, CALENDAR)
                try:
                    raise AssertionError(await client.exchange_token(request))
                except OAuthError as failed:
                    is_refused(failed, "invalid_client")
            file.write_text(platform_token("system:serviceaccount:prod:worker"))
    # Any subject of the platform, until somebody says so no more.
    api.zones.application_credentials.update(credential.id, zone_id=zone.id, type="token", subject=None)
    file.write_text(platform_token("anybody"))
    async with AsyncClient(issuer, config=silent) as client:
        request = await WorkloadIdentity(FileTokenSource(str(file))).prepare_token_exchange_request(client, session, CALENDAR)
        assert claims((await client.exchange_token(request)).access_token)["act"]["sub"] == worker.id


async def web_identity():
    service = api.zones.applications.create(zone.id, identifier="https://web.example", name="Web", consent="implicit")
    own = WebIdentity(server_name="Web", storage_dir=folder + "/keys")
    address = own.get_client_jwks_url(here)
    assert address == here + "/.well-known/jwks.json", address
    pages["/.well-known/jwks.json"] = own.get_jwks().model_dump(exclude_none=True)
    credential = api.zones.application_credentials.create(
        zone.id, application_id=service.id, type="public-key", jwks_uri=address, identifier="https://web.example/client"
    )
    auth_info = {"resource_client_id": credential.identifier, "resource_server_url": here}
    async with AsyncClient(issuer, auth=own.get_http_client_auth(), config=silent) as client:
        request = await own.prepare_token_exchange_request(client, session, CALENDAR, auth_info)
        assert claims(request.client_assertion)["aud"] == issuer + "/oauth/2/token"
        said = claims((await client.exchange_token(request)).access_token)
        assert said["act"]["sub"] == service.id and said["client_id"] == credential.identifier, said
        # The same assertion once more, and one by a key that is not shown.
        try:
            raise AssertionError(await client.exchange_token(request))
        except OAuthError as failed:
            is_refused(failed, "invalid_client")
        stranger = WebIdentity(server_name="Web", storage_dir=folder + "/other-keys")
        request = await stranger.prepare_token_exchange_request(client, session, CALENDAR, auth_info)
        try:
            raise AssertionError(await client.exchange_token(request))
        except OAuthError as failed:
            is_refused(failed, "invalid_client")
        request = await own.prepare_token_exchange_request(client, session, CALENDAR, auth_info)
        assert (await client.exchange_token(request)).access_token


asyncio.run(workload())
asyncio.run(web_identity())

# Registration: as the SDK does it by itself, and as the client of MCP does it, with a null for each unset field.
registered = public.register_client(
    client_name="Probe", redirect_uris=["http://localhost:8765/callback"], token_endpoint_auth_method="none"
)
assert registered.client_id and registered.client_secret is None, registered
assert registered.token_endpoint_auth_method == "none" and registered.redirect_uris, registered
agents = {agent.identifier: agent for agent in api.zones.user_agents.list(zone.id).items}
assert agents[registered.client_id].name == "Probe", agents
failed = refused(OAuthProtocolError, public.register_client, client_name="Nowhere")
assert failed.error == "invalid_redirect_uri", failed
automatic = Client(issuer, config=ClientConfig(auto_register_client=True, client_name="By itself"))
assert automatic.client_id, automatic
unset = (
    "scope client_uri logo_uri contacts tos_uri policy_uri jwks_uri jwks software_id software_version client_secret "
    "client_id_issued_at client_secret_expires_at"
)
answer = httpx.post(
    issuer + "/oauth/2/registration",
    json={
        "redirect_uris": ["http://localhost:3030/callback"],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "client_name": "MCP client",
    }
    | dict.fromkeys(unset.split()),
)
assert answer.status_code in (200, 201), answer.text
made = answer.json()
assert made["client_id"] and made["redirect_uris"] == ["http://localhost:3030/callback"], made
assert None not in made.values(), made
failed = refused(OAuthProtocolError, public.register_client, client_name="Bad", redirect_uris=["javascript:alert(1)"])
assert failed.error == "invalid_redirect_uri", failed
confidential = public.register_client(
    client_name="Confidential", token_endpoint_auth_method="client_secret_basic", grant_types=["client_credentials"]
)
assert confidential.client_secret, confidential
# Nothing vouches for who registered itself: no policy permits it a token.
itself = Client(issuer, auth=BasicAuth(confidential.client_id, confidential.client_secret), config=silent)
failed = refused(OAuthProtocolError, itself.client_credentials_grant, resource=CALENDAR)
assert failed.error == "access_denied", failed
passed()
