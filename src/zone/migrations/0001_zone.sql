-- The personal zone. Plain SQL that SQLite and PostgreSQL read alike: moments are milliseconds since the epoch,
-- hashes are SHA-256 in hex, ids are text. No secret stands here in clear.

CREATE TABLE users (
    id         TEXT   NOT NULL PRIMARY KEY,
    identifier TEXT   NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

-- kind keeps the daemon's own client apart from an agent that happens to bear its name.
CREATE TABLE applications (
    id         TEXT   NOT NULL PRIMARY KEY,
    owner_id   TEXT   NOT NULL REFERENCES users (id),
    kind       TEXT   NOT NULL CHECK (kind IN ('agent', 'daemon')),
    name       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (owner_id, kind, name)
);

CREATE TABLE application_secrets (
    hash           TEXT   NOT NULL PRIMARY KEY,
    application_id TEXT   NOT NULL REFERENCES applications (id),
    created_at     BIGINT NOT NULL
);
CREATE INDEX application_secrets_application ON application_secrets (application_id);

-- That a user lets an application act for them.
CREATE TABLE grants (
    user_id        TEXT   NOT NULL REFERENCES users (id),
    application_id TEXT   NOT NULL REFERENCES applications (id),
    created_at     BIGINT NOT NULL,
    PRIMARY KEY (user_id, application_id)
);

-- origin tells those that the configuration declares from those made in another way, which a reload must not touch.
CREATE TABLE resources (
    identifier       TEXT   NOT NULL PRIMARY KEY,
    origin           TEXT   NOT NULL,
    name             TEXT   NOT NULL,
    scopes           TEXT   NOT NULL,
    lifetime_seconds BIGINT NOT NULL
);

-- A sign-in of a user through an application; also the family of its refresh tokens.
CREATE TABLE sessions (
    id             TEXT   NOT NULL PRIMARY KEY,
    user_id        TEXT   NOT NULL REFERENCES users (id),
    application_id TEXT   NOT NULL REFERENCES applications (id),
    created_at     BIGINT NOT NULL,
    ended_at       BIGINT
);

-- used_at: it was exchanged for its successor. replaced_at: a retry took its place before it was ever used.
CREATE TABLE refresh_tokens (
    hash        TEXT   NOT NULL PRIMARY KEY,
    session_id  TEXT   NOT NULL REFERENCES sessions (id),
    expires_at  BIGINT NOT NULL,
    used_at     BIGINT,
    replaced_at BIGINT,
    successor   TEXT
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);

-- Initial access tokens (RFC 7591 section 3).
CREATE TABLE registration_tokens (
    hash       TEXT   NOT NULL PRIMARY KEY,
    user_id    TEXT   NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL
);

-- Public keys that sign no more but whose tokens may still live.
CREATE TABLE retired_keys (
    kid     TEXT   NOT NULL PRIMARY KEY,
    jwk     TEXT   NOT NULL,
    dies_at BIGINT NOT NULL
);
