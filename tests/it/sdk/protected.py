"""keycardai-starlette 0.14 guards an API: the zone's tokens pass, others fail, each as it should."""

import base64
import hashlib
import hmac
import json

import httpx
from joserfc import jwt
from joserfc.jwk import RSAKey
from keycardai.oauth import BasicAuth, Client
from keycardai.oauth.types.models import ClientConfig

from guarded import serve
from stage import application, backstage, claims, free_port, issuer, part, passed, resource, told

silent = ClientConfig(auto_register_client=False)
port = free_port()
HERE, BEYOND = f"http://127.0.0.1:{port}/api", "https://archive.example"
archive = resource(BEYOND, ["archive:read"])
other = resource("https://other.example", ["read", "admin"])
service, own = application("Calendar", needs=[archive], consent="implicit")
calendar = resource(HERE, ["read", "write"], application_id=service.id)
powers = resource(HERE + "/", ["admin"])
agent, secret = application("Agent", needs=[calendar, other, powers], consent="implicit")
host = serve(port, zone_url=issuer, audience=HERE, own=own, beyond=BEYOND)
client = Client(issuer, auth=BasicAuth(secret.identifier, secret.password), config=silent)


def call(token=None, path="/api/data", header=None):
    headers = {"Authorization": header or f"Bearer {token}"} if token or header else {}
    return httpx.get(host + path, headers=headers, timeout=30)


def is_challenged(answer, status, error, description, path="api/data", scope=None):
    assert answer.status_code == status, (answer.status_code, answer.text)
    challenge = answer.headers["www-authenticate"]
    metadata = f'resource_metadata="{host}/.well-known/oauth-protected-resource/{path}"'
    expected = [f'error="{error}"', f'error_description="{description}"', metadata]
    if scope:
        expected.append(f'scope="{scope}"')
    assert challenge.startswith("Bearer ") and all(word in challenge for word in expected), challenge


def encoded(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


# What it shows without a token.
assert call(path="/health").json() == {"ok": True}
metadata = httpx.get(host + "/.well-known/oauth-protected-resource/api").json()
assert metadata["resource"] == HERE and metadata["authorization_servers"] == [issuer + "/"], metadata
proxied = httpx.get(host + "/.well-known/oauth-authorization-server").json()
assert proxied["token_endpoint"] == issuer + "/oauth/2/token", proxied
is_challenged(call(), 401, "invalid_token", "Authentication required")

# A token of the zone's, for this API.
token = client.client_credentials_grant(resource=HERE).access_token
seen = call(token)
assert seen.status_code == 200, seen.text
assert seen.json()["client"] == secret.identifier and seen.json()["app"] == agent.id, seen.json()
assert {"read", "write"} <= set(seen.json()["scopes"]), seen.json()
is_challenged(call(token, "/api/admin"), 403, "insufficient_scope", "Insufficient scope", "api/admin", "admin")

# Tokens that are not for it, or not the zone's, or no tokens.
failed = "Token verification failed"
for elsewhere in ("https://other.example", HERE + "/"):
    stranger = client.client_credentials_grant(resource=elsewhere).access_token
    is_challenged(call(stranger), 401, "invalid_token", failed)
head, said, signature = token.split(".")
public = json.dumps(httpx.get(issuer + "/openidconnect/jwks").json()["keys"][0]).encode()
shared = encoded(part(token, 0) | {"alg": "HS256"}) + "." + said
forged = jwt.encode({"alg": "RS256", "kid": part(token, 0)["kid"]}, claims(token), RSAKey.generate_key(2048))
for wrong in (
    "garbage",
    f"{encoded({'alg': 'none', 'kid': part(token, 0)['kid']})}.{said}.",
    shared + "." + base64.urlsafe_b64encode(hmac.digest(public, shared.encode(), hashlib.sha256)).rstrip(b"=").decode(),
    f"{head}.{encoded(claims(token) | {'scope': 'admin'})}.{signature}",
    forged,
):
    is_challenged(call(wrong), 401, "invalid_token", failed)
backstage("/ahead", "-7200")
expired = client.client_credentials_grant(resource=HERE).access_token
backstage("/ahead", "0")
is_challenged(call(expired), 401, "invalid_token", failed)
for malformed in ("Basic YTpi", "Bearer a b", token):
    answer = call(header=malformed)
    assert answer.status_code == 400 and answer.headers["www-authenticate"].startswith("Bearer "), answer.headers

# The API calls another for its caller: the person stays the subject, both act.
signed_in = Client(issuer, config=silent).exchange_authorization_code(
    code=told["code"], redirect_uri=told["redirect"], code_verifier=told["verifier"], client_id=told["client"]
)
delegated = client.exchange_token(subject_token=signed_in.access_token, resource=HERE).access_token
further = call(delegated, "/api/further")
assert further.status_code == 200, further.text
said = claims(further.json()["token"])
assert said["aud"] == BEYOND and said["sub"] == claims(delegated)["sub"], said
assert said["act"]["sub"] == service.id and said["act"]["act"]["sub"] == agent.id, said
# An application's own token is about nobody for whom the API could act.
refused = call(token, "/api/further")
assert refused.status_code == 502 and "invalid_request" in refused.text, refused.text

# An API whose zone is away says so, and not that the token is wrong.
gone = f"http://127.0.0.1:{free_port()}"
away = serve(free_port(), zone_url=gone, audience=HERE)
theirs = jwt.encode({"alg": "RS256", "kid": "k"}, claims(token) | {"iss": gone}, RSAKey.generate_key(2048))
answer = httpx.get(away + "/api/data", headers={"Authorization": f"Bearer {theirs}"}, timeout=60)
assert answer.status_code == 503 and "www-authenticate" not in answer.headers, (answer.status_code, answer.headers)
passed()
