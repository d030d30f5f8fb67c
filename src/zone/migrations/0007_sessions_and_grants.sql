-- One table of sessions and one of grants, for the pages, the token endpoint and the management API alike. What stood in
-- the tables of before is taken over.

-- client_id: through which client, by whatever name it shows; none for a browser. cookie_hash: of the browser's cookie.
-- parent_id: the browser in which a client's session was begun.
ALTER TABLE sessions ADD COLUMN client_id TEXT;
ALTER TABLE sessions ADD COLUMN cookie_hash TEXT;
ALTER TABLE sessions ADD COLUMN resources TEXT NOT NULL DEFAULT '[]';
ALTER TABLE sessions ADD COLUMN scopes TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN key_thumbprint TEXT;
ALTER TABLE sessions ADD COLUMN second_factor_at BIGINT;
UPDATE sessions SET client_id = application_id;

INSERT INTO sessions
    (id, zone_id, session_type, user_id, provider_id, issuer, subject, name, authenticated_at, expires_at, ended_at,
     created_at, updated_at, cookie_hash, second_factor_at)
SELECT b.id, u.zone_id, 'user', b.user_id, u.provider_id, u.issuer, u.subject, b.browser, b.authenticated_at,
    b.expires_at, b.ended_at, b.authenticated_at, COALESCE(b.ended_at, b.authenticated_at), b.hash, b.second_factor_at
FROM browser_sessions b JOIN users u ON u.id = b.user_id;

-- A session lives as long as its last refresh token; 2592000000 is thirty days.
INSERT INTO sessions
    (id, zone_id, session_type, parent_id, user_id, application_id, user_agent_id, client_id, provider_id, issuer,
     subject, resources, scopes, key_thumbprint, authenticated_at, second_factor_at, expires_at, ended_at, created_at,
     updated_at)
SELECT s.id, u.zone_id, 'user', (SELECT b.id FROM browser_sessions b WHERE b.id = s.browser_session_id), s.user_id,
    (SELECT a.id FROM applications a WHERE a.id = s.client_id AND a.zone_id = u.zone_id),
    (SELECT g.id FROM user_agents g WHERE g.identifier = s.client_id AND g.zone_id = u.zone_id),
    s.client_id, u.provider_id, u.issuer, u.subject, s.resources, s.scopes, s.key_thumbprint, s.authenticated_at,
    s.second_factor_at,
    COALESCE((SELECT max(t.expires_at) FROM oauth_refresh_tokens t WHERE t.session_id = s.id), s.created_at + 2592000000),
    s.ended_at, s.created_at, COALESCE(s.ended_at, s.created_at)
FROM oauth_sessions s JOIN users u ON u.id = s.user_id;

INSERT INTO refresh_tokens (hash, session_id, expires_at, used_at, replaced_at, successor)
SELECT hash, session_id, expires_at, used_at, replaced_at, successor FROM oauth_refresh_tokens;

DROP TABLE oauth_refresh_tokens;
DROP TABLE oauth_sessions;
DROP TABLE browser_sessions;

CREATE UNIQUE INDEX sessions_cookie ON sessions (cookie_hash) WHERE cookie_hash IS NOT NULL;
-- An application has one session at a time for each way in which it shows who it is.
CREATE UNIQUE INDEX sessions_application_living ON sessions (application_id, client_id)
    WHERE session_type = 'application' AND ended_at IS NULL;

-- That a user lets a client use a resource in their name; without a resource, that the client may know who they are.
CREATE TABLE grants (
    id                   TEXT   NOT NULL PRIMARY KEY,
    zone_id              TEXT   NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
    user_id              TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client_id            TEXT   NOT NULL,
    resource_id          TEXT   REFERENCES resources (id) ON DELETE CASCADE,
    provider_id          TEXT   NOT NULL,
    scopes               TEXT   NOT NULL,
    refresh_token_sealed TEXT,
    refreshed_at         BIGINT,
    expires_at           BIGINT NOT NULL,
    revoked_at           BIGINT,
    created_at           BIGINT NOT NULL,
    updated_at           BIGINT NOT NULL
);

INSERT INTO grants
    (id, zone_id, user_id, client_id, resource_id, provider_id, scopes, refresh_token_sealed, refreshed_at, expires_at,
     revoked_at, created_at, updated_at)
SELECT id, zone_id, user_id, client_id, resource_id, provider_id, scopes, refresh_token_sealed, refreshed_at, expires_at,
    revoked_at, created_at, updated_at
FROM delegated_grants;

-- A consent of before lasts a year, 31536000000, from when it was last said. What was granted for a resource that is
-- gone is asked for again. A bare sign-in was granted under the zone's own address, which no resource has.
INSERT INTO grants
    (id, zone_id, user_id, client_id, resource_id, provider_id, scopes, expires_at, revoked_at, created_at, updated_at)
SELECT g.user_id || '.' || g.client_id || '.' || r.id, u.zone_id, g.user_id, g.client_id, r.id, p.id, g.scopes,
    g.updated_at + 31536000000, g.revoked_at, g.created_at, g.updated_at
FROM oauth_grants g
JOIN users u ON u.id = g.user_id
JOIN resources r ON r.zone_id = u.zone_id AND r.identifier = g.resource
JOIN providers p ON p.zone_id = u.zone_id AND p.type = 'keycard-sts'
WHERE NOT EXISTS (SELECT 1 FROM delegated_grants d
    WHERE d.user_id = g.user_id AND d.resource_id = r.id AND d.client_id = g.client_id);

INSERT INTO grants
    (id, zone_id, user_id, client_id, resource_id, provider_id, scopes, expires_at, revoked_at, created_at, updated_at)
SELECT g.user_id || '.' || g.client_id, u.zone_id, g.user_id, g.client_id, NULL, p.id, g.scopes,
    g.updated_at + 31536000000, g.revoked_at, g.created_at, g.updated_at
FROM oauth_grants g
JOIN users u ON u.id = g.user_id
JOIN providers p ON p.zone_id = u.zone_id AND p.type = 'keycard-sts'
WHERE g.scopes LIKE '%openid%'
    AND NOT EXISTS (SELECT 1 FROM resources r WHERE r.zone_id = u.zone_id AND r.identifier = g.resource)
    -- One for each client, should the address have changed: the one that was said last.
    AND NOT EXISTS (SELECT 1 FROM oauth_grants later
        WHERE later.user_id = g.user_id AND later.client_id = g.client_id AND later.scopes LIKE '%openid%'
        AND (later.updated_at, later.resource) > (g.updated_at, g.resource)
        AND NOT EXISTS (SELECT 1 FROM resources r WHERE r.zone_id = u.zone_id AND r.identifier = later.resource));

DROP TABLE oauth_grants;
DROP TABLE delegated_grants;

CREATE UNIQUE INDEX grants_resource_of_client ON grants (user_id, client_id, resource_id) WHERE resource_id IS NOT NULL;
CREATE UNIQUE INDEX grants_sign_in ON grants (user_id, client_id) WHERE resource_id IS NULL;
CREATE INDEX grants_page ON grants (zone_id, created_at, id);
CREATE INDEX grants_user ON grants (user_id, created_at, id);
CREATE INDEX grants_resource ON grants (resource_id, created_at, id);
CREATE INDEX grants_status ON grants (zone_id, revoked_at, expires_at);
