-- Who may call the management API, and as what.

-- The users of an organisation are those of its home zone.
CREATE TABLE organization_members (
    organization_id TEXT   NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    user_id         TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role            TEXT   NOT NULL CHECK (role IN ('org_admin', 'org_member', 'org_viewer')),
    created_at      BIGINT NOT NULL,
    PRIMARY KEY (organization_id, user_id)
);
CREATE INDEX organization_members_user ON organization_members (user_id);

CREATE TABLE zone_members (
    id         TEXT   NOT NULL PRIMARY KEY,
    zone_id    TEXT   NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
    user_id    TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role       TEXT   NOT NULL CHECK (role IN ('zone_manager', 'zone_viewer')),
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (zone_id, user_id)
);
CREATE INDEX zone_members_page ON zone_members (zone_id, created_at, id);
CREATE INDEX zone_members_user ON zone_members (user_id);

-- hint: the first characters, by which people tell their tokens apart. scopes: separated by a space.
CREATE TABLE api_tokens (
    id              TEXT   NOT NULL PRIMARY KEY,
    organization_id TEXT   NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    hash            TEXT   NOT NULL UNIQUE,
    hint            TEXT   NOT NULL,
    name            TEXT   NOT NULL,
    scopes          TEXT   NOT NULL,
    created_at      BIGINT NOT NULL,
    expires_at      BIGINT,
    revoked_at      BIGINT,
    last_used_at    BIGINT
);
CREATE INDEX api_tokens_page ON api_tokens (organization_id, created_at, id);

CREATE TABLE service_accounts (
    id              TEXT   NOT NULL PRIMARY KEY,
    organization_id TEXT   NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    name            TEXT   NOT NULL,
    description     TEXT,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL
);
CREATE INDEX service_accounts_page ON service_accounts (organization_id, created_at, id);

CREATE TABLE service_account_credentials (
    id                 TEXT   NOT NULL PRIMARY KEY,
    service_account_id TEXT   NOT NULL REFERENCES service_accounts (id) ON DELETE CASCADE,
    client_id          TEXT   NOT NULL UNIQUE,
    secret_hash        TEXT   NOT NULL,
    name               TEXT   NOT NULL,
    description        TEXT,
    created_at         BIGINT NOT NULL,
    updated_at         BIGINT NOT NULL,
    last_used_at       BIGINT
);
CREATE INDEX service_account_credentials_page ON service_account_credentials (service_account_id, created_at, id);

-- The token of an invitation is kept as a hash.
CREATE TABLE invitations (
    id              TEXT   NOT NULL PRIMARY KEY,
    organization_id TEXT   NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    hash            TEXT   NOT NULL UNIQUE,
    email           TEXT   NOT NULL,
    role            TEXT   NOT NULL CHECK (role IN ('org_admin', 'org_member', 'org_viewer')),
    created_by      TEXT   NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    expires_at      BIGINT NOT NULL,
    accepted_at     BIGINT,
    revoked_at      BIGINT
);
CREATE INDEX invitations_page ON invitations (organization_id, created_at, id);

-- data: sealed. version counts its changes.
CREATE TABLE secrets (
    id          TEXT   NOT NULL PRIMARY KEY,
    zone_id     TEXT   NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
    entity_id   TEXT   NOT NULL REFERENCES resources (id) ON DELETE CASCADE,
    type        TEXT   NOT NULL CHECK (type IN ('token', 'password')),
    owner_type  TEXT   NOT NULL DEFAULT 'customer',
    name        TEXT   NOT NULL,
    description TEXT,
    metadata    TEXT,
    data_sealed TEXT   NOT NULL,
    version     BIGINT NOT NULL DEFAULT 1,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL
);
CREATE INDEX secrets_page ON secrets (zone_id, created_at, id);
CREATE INDEX secrets_entity ON secrets (entity_id, created_at, id);
