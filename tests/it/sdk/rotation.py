"""joserfc 1.8, Authlib 1.9 and keycardai's verifier read the zone's tokens before and after its keys changed."""

import asyncio
import time

import httpx
from authlib.jose import JsonWebKey, JsonWebToken
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from keycardai.oauth import BasicAuth, Client
from keycardai.oauth.server.verifier import TokenVerifier
from keycardai.oauth.types.models import ClientConfig

from stage import application, backstage, claims, issuer, part, passed, refused, resource

API = "https://calendar.example/api"
_, secret = application("Agent", needs=[resource(API, ["calendar:read"])])
client = Client(
    issuer, auth=BasicAuth(secret.identifier, secret.password), config=ClientConfig(auto_register_client=False)
)
verifier = TokenVerifier(issuer=issuer, audience=API)
required = jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": issuer}, aud={"essential": True, "value": API}, exp={"essential": True}
)


def issue():
    return client.client_credentials_grant(resource=API).access_token


def keys():
    return httpx.get(issuer + "/openidconnect/jwks").json()


def verify(token, known):
    """All three agree, or this fails."""
    decoded = jwt.decode(token, KeySet.import_key_set(known), algorithms=["RS256", "ES256"])
    required.validate(decoded.claims)
    read = JsonWebToken(["RS256", "ES256"]).decode(token, JsonWebKey.import_key_set(known))
    read.validate()
    accepted = asyncio.run(verifier.verify_token(token))
    assert accepted.client_id == decoded.claims["client_id"] == read["client_id"] == secret.identifier
    assert accepted.scopes == ["calendar:read"] and accepted.keycard_app_id == claims(token)["sub"], accepted


first, before = issue(), keys()
assert part(first, 0)["alg"] == "RS256" and part(first, 0)["typ"] == "at+jwt", part(first, 0)
verify(first, before)
backstage("/rotate")
after, second = keys(), issue()
assert part(second, 0)["kid"] != part(first, 0)["kid"]
verify(second, after)
# What was issued before is good until it dies, and was never good under the new key's name.
verify(first, after)
refused((JoseError, ValueError), jwt.decode, second, KeySet.import_key_set(before))
backstage("/rotate")
third, last = issue(), keys()
for token in (first, second, third):
    verify(token, last)
assert len({part(token, 0)["kid"] for token in (first, second, third)}) == 3
assert time.time() < claims(third)["exp"]
passed()
