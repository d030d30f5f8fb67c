-- Many zones in one database, and everything that the management API shows. Plain SQL that SQLite and PostgreSQL read
-- alike: moments are milliseconds since the epoch, hashes are SHA-256 in hex, ids and JSON are text, yes is 1.
-- What a personal zone held before is made again by itself: the owner at the start, agents when they register.

DROP TABLE refresh_tokens;
DROP TABLE sessions;
DROP TABLE registration_tokens;
DROP TABLE grants;
DROP TABLE application_secrets;
DROP TABLE applications;
DROP TABLE users;
DROP TABLE resources;
DROP TABLE retired_keys;

CREATE TABLE organizations (
    id         TEXT   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL,
    label      TEXT   NOT NULL UNIQUE,
    -- The one that this database was made with.
    home       BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX organizations_home ON organizations (home) WHERE home = 1;
CREATE INDEX organizations_page ON organizations (created_at, id);

CREATE TABLE zones (
    id                        TEXT   NOT NULL PRIMARY KEY,
    organization_id           TEXT   NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    -- The zone that is served at the address itself; others are served at a name of their own below it.
    home                      BIGINT NOT NULL DEFAULT 0,
    owner_type                TEXT   NOT NULL DEFAULT 'customer',
    slug                      TEXT   NOT NULL,
    name                      TEXT   NOT NULL,
    description               TEXT,
    login_flow                TEXT   NOT NULL DEFAULT 'default',
    pkce_required             BIGINT NOT NULL DEFAULT 1,
    dcr_enabled               BIGINT NOT NULL DEFAULT 1,
    cimd_enabled              BIGINT NOT NULL DEFAULT 0,
    cimd_allowed_client_ids   TEXT   NOT NULL DEFAULT '[]',
    requires_invitation       BIGINT NOT NULL DEFAULT 0,
    external_sync_enabled     BIGINT NOT NULL DEFAULT 0,
    encryption_key_arn        TEXT,
    user_identity_provider_id TEXT,
    default_resource_id       TEXT,
    default_mcp_gateway_application_id TEXT,
    created_at                BIGINT NOT NULL,
    updated_at                BIGINT NOT NULL,
    UNIQUE (organization_id, slug)
);
CREATE UNIQUE INDEX zones_home ON zones (home) WHERE home = 1;
CREATE INDEX zones_page ON zones (organization_id, created_at, id);
CREATE INDEX zones_slug ON zones (slug);

CREATE TABLE users (
    id               TEXT   NOT NULL PRIMARY KEY,
    zone_id          TEXT   NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
    identifier       TEXT   NOT NULL,
    email            TEXT   NOT NULL,
    email_verified   BIGINT NOT NULL DEFAULT 0,
    status           TEXT   NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
    -- Who vouches for this person, where it is not the zone itself.
    provider_id      TEXT,
    issuer           TEXT,
    subject          TEXT,
    authenticated_at BIGINT,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    UNIQUE (zone_id, identifier)
);
CREATE INDEX users_page ON users (zone_id, created_at, id);
CREATE INDEX users_email ON users (zone_id, email);
CREATE INDEX users_subject ON users (zone_id, subject);
CREATE INDEX users_issuer ON users (zone_id, issuer, subject);

CREATE TABLE providers (
    id                   TEXT   NOT NULL PRIMARY KEY,
    zone_id              TEXT   NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
    slug                 TEXT   NOT NULL,
    identifier           TEXT   NOT NULL,
    name                 TEXT   NOT NULL,
    description          TEXT,
    owner_type           TEXT   NOT NULL DEFAULT 'customer',
    type                 TEXT   NOT NULL DEFAULT 'external',
    client_id            TEXT,
    client_secret_sealed TEXT,
    -- The issuer of protocols.oauth2, by which a token finds its provider.
    issuer               TEXT,
    protocols            TEXT,
    metadata             TEXT,
    created_at           BIGINT NOT NULL,
    updated_at           BIGINT NOT NULL,
    UNIQUE (zone_id, identifier),
    UNIQUE (zone_id, slug)
);
CREATE INDEX providers_page ON providers (zone_id, created_at, id);
CREATE INDEX providers_name ON providers (zone_id, name, id);
CREATE INDEX providers_type ON providers (zone_id, type, created_at, id);
CREATE INDEX providers_issuer ON providers (zone_id, issuer);

-- kind: an agent acts for the user that owns it; the daemon is the one that signs the user in; software is what the
-- management API made, and is owned by nobody.
CREATE TABLE applications (
    id                        TEXT   NOT NULL PRIMARY KEY,
    zone_id                   TEXT   NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
    owner_id                  TEXT   REFERENCES users (id) ON DELETE CASCADE,
    kind                      TEXT   NOT NULL CHECK (kind IN ('agent', 'daemon', 'software')),
    owner_type                TEXT   NOT NULL DEFAULT 'customer',
    slug                      TEXT   NOT NULL,
    identifier                TEXT   NOT NULL,
    name                      TEXT   NOT NULL,
    description               TEXT,
    consent                   TEXT   NOT NULL DEFAULT 'required' CHECK (consent IN ('implicit', 'required')),
    metadata                  TEXT,
    -- JSON lists; null where nothing was said.
    redirect_uris             TEXT,
    post_logout_redirect_uris TEXT,
    traits                    TEXT,
    dependencies_count        BIGINT NOT NULL DEFAULT 0,
    created_at                BIGINT NOT NULL,
    updated_at                BIGINT NOT NULL,
    UNIQUE (zone_id, identifier),
    UNIQUE (zone_id, slug)
);
CREATE INDEX applications_page ON applications (zone_id, created_at, id);
CREATE INDEX applications_name ON applications (zone_id, name, id);
CREATE INDEX applications_owner ON applications (owner_id);

-- secret_hash: of a password. provider_id, subject: whose tokens speak for the application. jwks_uri: its own keys.
CREATE TABLE application_credentials (
    id             TEXT   NOT NULL PRIMARY KEY,
    zone_id        TEXT   NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
    application_id TEXT   NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    type           TEXT   NOT NULL CHECK (type IN ('token', 'password', 'public-key', 'url', 'public')),
    slug           TEXT   NOT NULL,
    identifier     TEXT   NOT NULL,
    secret_hash    TEXT,
    provider_id    TEXT   REFERENCES providers (id) ON DELETE CASCADE,
    subject        TEXT,
    jwks_uri       TEXT,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    UNIQUE (zone_id, slug)
);
-- An identifier is a client id, and says which application asks. A token says it by provider and subject.
CREATE UNIQUE INDEX application_credentials_client ON application_credentials (zone_id, identifier) WHERE type <> 'token';
CREATE UNIQUE INDEX application_credentials_token ON application_credentials (zone_id, provider_id, identifier, application_id) WHERE type = 'token';
CREATE INDEX application_credentials_page ON application_credentials (zone_id, created_at, id);
CREATE INDEX application_credentials_application ON application_credentials (application_id, created_at, id);
CREATE INDEX application_credentials_provider ON application_credentials (provider_id);

-- That a user lets an agent of their own act for them, at whatever resource.
CREATE TABLE application_grants (
    zone_id        TEXT   NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
    user_id        TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    application_id TEXT   NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    created_at     BIGINT NOT NULL,
    PRIMARY KEY (user_id, application_id)
);
CREATE INDEX application_grants_application ON application_grants (application_id);
CREATE INDEX application_grants_zone ON application_grants (zone_id);

-- origin tells those that the configuration declares from those made in another way, which a reload must not touch.
CREATE TABLE resources (
    id                          TEXT   NOT NULL PRIMARY KEY,
    zone_id                     TEXT   NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
    origin                      TEXT   NOT NULL,
    owner_type                  TEXT   NOT NULL DEFAULT 'customer',
    slug                        TEXT   NOT NULL,
    identifier                  TEXT   NOT NULL,
    name                        TEXT   NOT NULL,
    description                 TEXT,
    application_type            TEXT   NOT NULL DEFAULT 'web' CHECK (application_type IN ('native', 'web')),
    application_id              TEXT   REFERENCES applications (id) ON DELETE SET NULL,
    credential_provider_id      TEXT   REFERENCES providers (id) ON DELETE SET NULL,
    prefix                      BIGINT NOT NULL DEFAULT 0,
    credential_lifetime_seconds BIGINT,
    -- Separated by a space, as in a token; null where nothing was said.
    scopes                      TEXT,
    metadata                    TEXT,
    created_at                  BIGINT NOT NULL,
    updated_at                  BIGINT NOT NULL,
    UNIQUE (zone_id, identifier),
    UNIQUE (zone_id, slug)
);
CREATE INDEX resources_page ON resources (zone_id, created_at, id);
CREATE INDEX resources_name ON resources (zone_id, name, id);
CREATE INDEX resources_application ON resources (application_id, created_at, id);
CREATE INDEX resources_provider ON resources (credential_provider_id, created_at, id);

-- What an application needs. when_accessing: a JSON list of resource ids; null when it always needs it.
CREATE TABLE dependencies (
    application_id TEXT   NOT NULL REFERENCES applications (id) ON DELETE CASCADE,
    resource_id    TEXT   NOT NULL REFERENCES resources (id) ON DELETE CASCADE,
    when_accessing TEXT,
    created_at     BIGINT NOT NULL,
    PRIMARY KEY (application_id, resource_id)
);
CREATE INDEX dependencies_resource ON dependencies (resource_id);

-- Clients that registered themselves (RFC 7591).
CREATE TABLE user_agents (
    id         TEXT   NOT NULL PRIMARY KEY,
    zone_id    TEXT   NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
    slug       TEXT   NOT NULL,
    identifier TEXT   NOT NULL,
    name       TEXT   NOT NULL,
    -- What it registered, as JSON.
    metadata   TEXT   NOT NULL DEFAULT '{}',
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (zone_id, identifier),
    UNIQUE (zone_id, slug)
);
CREATE INDEX user_agents_page ON user_agents (zone_id, created_at, id);

-- A sign-in, and the family of its refresh tokens. A user's may have a parent; an application's stands alone.
CREATE TABLE sessions (
    id               TEXT   NOT NULL PRIMARY KEY,
    zone_id          TEXT   NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
    session_type     TEXT   NOT NULL DEFAULT 'user' CHECK (session_type IN ('user', 'application')),
    parent_id        TEXT   REFERENCES sessions (id) ON DELETE CASCADE,
    user_id          TEXT   REFERENCES users (id) ON DELETE CASCADE,
    application_id   TEXT   REFERENCES applications (id) ON DELETE CASCADE,
    user_agent_id    TEXT   REFERENCES user_agents (id) ON DELETE CASCADE,
    provider_id      TEXT,
    issuer           TEXT,
    subject          TEXT,
    name             TEXT,
    session_data     TEXT,
    authenticated_at BIGINT,
    expires_at       BIGINT NOT NULL,
    ended_at         BIGINT,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL
);
CREATE INDEX sessions_page ON sessions (zone_id, created_at, id);
CREATE INDEX sessions_user ON sessions (user_id, created_at, id);
CREATE INDEX sessions_application ON sessions (application_id);
CREATE INDEX sessions_user_agent ON sessions (user_agent_id);
CREATE INDEX sessions_parent ON sessions (parent_id);
CREATE INDEX sessions_ended ON sessions (ended_at);

-- used_at: it was exchanged for its successor. replaced_at: a retry took its place before it was ever used.
CREATE TABLE refresh_tokens (
    hash        TEXT   NOT NULL PRIMARY KEY,
    session_id  TEXT   NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
    expires_at  BIGINT NOT NULL,
    used_at     BIGINT,
    replaced_at BIGINT,
    successor   TEXT
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);
CREATE INDEX refresh_tokens_expiry ON refresh_tokens (expires_at);

-- That a user lets a resource be used in their name, and through which application where it was said.
CREATE TABLE delegated_grants (
    id                   TEXT   NOT NULL PRIMARY KEY,
    zone_id              TEXT   NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
    user_id              TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    resource_id          TEXT   NOT NULL REFERENCES resources (id) ON DELETE CASCADE,
    -- The client id; empty when it holds for each.
    client_id            TEXT   NOT NULL DEFAULT '',
    provider_id          TEXT   NOT NULL,
    scopes               TEXT   NOT NULL,
    refresh_token_sealed TEXT,
    refreshed_at         BIGINT,
    expires_at           BIGINT NOT NULL,
    revoked_at           BIGINT,
    created_at           BIGINT NOT NULL,
    updated_at           BIGINT NOT NULL,
    UNIQUE (user_id, resource_id, client_id)
);
CREATE INDEX delegated_grants_page ON delegated_grants (zone_id, created_at, id);
CREATE INDEX delegated_grants_user ON delegated_grants (user_id, created_at, id);
CREATE INDEX delegated_grants_resource ON delegated_grants (resource_id, created_at, id);

-- Initial access tokens (RFC 7591 section 3).
CREATE TABLE registration_tokens (
    hash       TEXT   NOT NULL PRIMARY KEY,
    zone_id    TEXT   NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
    user_id    TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at BIGINT NOT NULL
);
CREATE INDEX registration_tokens_user ON registration_tokens (user_id);

-- The keys that sign: the private half sealed under a key that is not in this database. The newest that is not
-- retired signs; a retired one lost its private half, and is shown until the last token of it is dead.
CREATE TABLE signing_keys (
    kid        TEXT   NOT NULL PRIMARY KEY,
    zone_id    TEXT   NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
    jwk        TEXT   NOT NULL,
    sealed     TEXT,
    created_at BIGINT NOT NULL,
    dies_at    BIGINT
);
CREATE INDEX signing_keys_zone ON signing_keys (zone_id, created_at);
CREATE UNIQUE INDEX signing_keys_current ON signing_keys (zone_id) WHERE dies_at IS NULL;
