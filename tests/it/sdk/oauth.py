"""keycardai-oauth 0.33 with a secret: discovery, client credentials, a code, refresh, exchange, impersonation."""

import asyncio

from keycardai.oauth import AsyncClient, BasicAuth, Client, NoneAuth
from keycardai.oauth.exceptions import OAuthError, OAuthProtocolError, RefreshGrantError
from keycardai.oauth.types.models import ClientConfig, ClientCredentialsRequest, TokenExchangeRequest

from stage import NIGHT_SHIFT, api, application, claims, enforce, issuer, passed, refused, resource, told, zone

CALENDAR, NOTES, ARCHIVE = "https://calendar.example/api", "https://notes.example/api", "https://archive.example"
silent = ClientConfig(auto_register_client=False)
calendar = resource(CALENDAR, ["calendar:read", "calendar:write"], credential_lifetime_seconds=120)
notes = resource(NOTES, ["notes:read"])
archive = resource(ARCHIVE, ["archive:read"])
agent, secret = application("Agent", needs=[calendar], consent="implicit")
basic = BasicAuth(secret.identifier, secret.password)
client = Client(issuer, auth=basic, config=silent)

# Discovery, with and without a slash, and with credentials that nobody asked for.
for address in (issuer, issuer + "/"):
    metadata = Client(address, auth=basic, config=silent).discover_server_metadata()
    assert metadata.issuer.rstrip("/") == issuer, metadata
    assert metadata.token_endpoint == issuer + "/oauth/2/token"
    assert metadata.authorization_endpoint == issuer + "/oauth/2/authorize"
    assert metadata.registration_endpoint == issuer + "/oauth/2/registration"
    assert metadata.jwks_uri == issuer + "/openidconnect/jwks"
    assert "S256" in metadata.code_challenge_methods_supported
assert client.endpoints.token == issuer + "/oauth/2/token"
other = issuer.replace("127.0.0.1", "localhost")
mixed_up = refused(OAuthProtocolError, Client(other, config=silent).discover_server_metadata)
assert mixed_up.error == "issuer_mismatch", mixed_up


# Client credentials as they should be, and as older clients send them.
def is_own(token):
    said = claims(token.access_token)
    assert said["iss"] == issuer and said["aud"] == CALENDAR, said
    assert said["sub"] == agent.id == said["keycard_app_id"] and said["sub_profile"] == "app", said
    assert said["client_id"] == secret.identifier and said["exp"] - said["iat"] == 120, said
    assert (token.token_type, token.expires_in) == ("Bearer", 120), token


is_own(client.client_credentials_grant(resource=CALENDAR))
narrow = client.client_credentials_grant(ClientCredentialsRequest(resource=CALENDAR, scope="calendar:read"))
is_own(narrow)
assert claims(narrow.access_token)["scope"] == "calendar:read" and narrow.scope == ["calendar:read"], narrow
is_own(client.exchange_token(TokenExchangeRequest(grant_type="client_credentials", resource=CALENDAR)))


async def asynchronously():
    async with AsyncClient(issuer, auth=basic, config=silent) as same:
        is_own(await same.client_credentials_grant(resource=CALENDAR))


asyncio.run(asynchronously())
failed = refused(OAuthProtocolError, client.client_credentials_grant, resource="https://nowhere.example")
assert (failed.error, failed.retryable) == ("invalid_target", True), failed
assert failed.error_description == "Requested authorization for unknown resource"
failed = refused(OAuthProtocolError, client.client_credentials_grant, resource=NOTES)
assert (failed.error, failed.retryable) == ("access_denied", False), failed
assert failed.error_description == f'Application "Agent" is not allowed to access "{NOTES}".'
for wrong in (BasicAuth(secret.identifier, "wrong"), BasicAuth("nobody", secret.password)):
    failed = refused(OAuthError, Client(issuer, auth=wrong, config=silent).client_credentials_grant, resource=CALENDAR)
    assert getattr(failed, "error", None) == "invalid_client" or getattr(failed, "status_code", None) == 401, failed

# A client id and a secret go as they are, however they look.
named = api.zones.application_credentials.create(zone.id, application_id=agent.id, type="password", identifier="a%2Bb+c@x")
odd = Client(issuer, auth=BasicAuth("a%2Bb+c@x", named.password), config=silent)
assert claims(odd.client_credentials_grant(resource=CALENDAR).access_token)["client_id"] == "a%2Bb+c@x"

# A person's session: a code, once; who it is; refresh, whose token is good once.
public = Client(issuer, auth=NoneAuth(), config=silent)
code = dict(code=told["code"], redirect_uri=told["redirect"], code_verifier=told["verifier"], client_id=told["client"])
session = public.exchange_authorization_code(**code)
who = public.userinfo(session.access_token)
assert who.sub == claims(session.access_token)["sub"], who
assert api.zones.users.retrieve(who.sub, zone_id=zone.id).email == told["user"]
refused(OAuthError, public.userinfo, "rubbish")
renewed = public.refresh_token_grant(refresh_token=session.refresh_token, client_id=told["client"])
assert renewed.refresh_token and renewed.refresh_token != session.refresh_token

# Exchange: the application acts for the person, and says so.
delegated = client.exchange_token(subject_token=renewed.access_token, resource=CALENDAR, scope="calendar:read")
said = claims(delegated.access_token)
assert said["sub"] == who.sub and said["sub_profile"] == "user" and said["act"]["sub"] == agent.id, said
assert said["scope"] == "calendar:read" and said["aud"] == CALENDAR, said
assert delegated.issued_token_type == "urn:ietf:params:oauth:token-type:access_token", delegated

# An API that was called acts on, for what it depends on; its actors nest. Nobody else may use its caller's token.
service, own = application("Calendar service", needs=[archive], consent="implicit")
api.zones.resources.update(calendar.id, zone_id=zone.id, application_id=service.id)
behind = Client(issuer, auth=BasicAuth(own.identifier, own.password), config=silent)
further = claims(behind.exchange_token(subject_token=delegated.access_token, resource=ARCHIVE).access_token)
assert further["sub"] == who.sub and further["act"]["sub"] == service.id, further
assert further["act"]["act"]["sub"] == agent.id, further
failed = refused(OAuthProtocolError, behind.exchange_token, subject_token=delegated.access_token, resource=NOTES)
assert failed.error == "access_denied", failed
failed = refused(OAuthProtocolError, client.exchange_token, subject_token=delegated.access_token, resource=ARCHIVE)
assert failed.error == "invalid_grant", failed
assert failed.error_description == "Client is not allowed to exchange token for this resource"
asking, shy = application("Asking", consent="required")
failed = refused(
    OAuthProtocolError,
    Client(issuer, auth=BasicAuth(shy.identifier, shy.password), config=silent).exchange_token,
    subject_token=renewed.access_token,
    resource=NOTES,
)
assert (failed.error, failed.error_description) == ("insufficient_authorization", "User consent is required"), failed

# Impersonation: denied where no policy permits it, and even then only where the person granted the resource before.
failed = refused(OAuthProtocolError, client.impersonate, user_identifier=told["user"], resource=CALENDAR)
assert (failed.error, failed.retryable) == ("access_denied", False), failed
enforce("night-shift", NIGHT_SHIFT)
_, night = application("Night shift", needs=[calendar])
night = Client(issuer, auth=BasicAuth(night.identifier, night.password), config=silent)
for whom in (told["user"], "nobody@example.com"):
    failed = refused(OAuthProtocolError, night.impersonate, user_identifier=whom, resource=CALENDAR)
    assert failed.error == "insufficient_authorization", failed

# The first refresh token again: the whole session ends, and with it what descends from it.
failed = refused(RefreshGrantError, public.refresh_token_grant, refresh_token=session.refresh_token, client_id=told["client"])
assert (failed.error, failed.retryable) == ("invalid_grant", False), failed
failed = refused(RefreshGrantError, public.refresh_token_grant, refresh_token=renewed.refresh_token, client_id=told["client"])
assert failed.error == "invalid_grant", failed
refused(OAuthProtocolError, client.exchange_token, subject_token=renewed.access_token, resource=CALENDAR)
refused(OAuthProtocolError, public.exchange_authorization_code, **code)
passed()
