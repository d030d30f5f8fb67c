-- The authority for people and their clients. The same rules as in the tables before: plain SQL, moments in
-- milliseconds, hashes as SHA-256 in hex, lists as JSON arrays. No secret stands here in clear.
--
-- client_id is the id of an application, or the identifier of a user agent: whoever asked, by whatever credential.

-- What was shown once and must not be shown again: ids of assertions, of proofs, steps of one-time passwords.
CREATE TABLE oauth_replays (
    id         TEXT   NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX oauth_replays_expiry ON oauth_replays (expires_at);

-- A browser in which a person is signed in.
CREATE TABLE browser_sessions (
    id                  TEXT   NOT NULL PRIMARY KEY,
    hash                TEXT   NOT NULL UNIQUE,
    user_id             TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    browser             TEXT   NOT NULL,
    authenticated_at    BIGINT NOT NULL,
    second_factor_at    BIGINT,
    expires_at          BIGINT NOT NULL,
    ended_at            BIGINT
);
CREATE INDEX browser_sessions_user ON browser_sessions (user_id);

-- That a user lets a client use a resource for them; by its identifier, for it may be declared away and come again.
-- For a bare sign-in it is the zone's own address.
CREATE TABLE oauth_grants (
    user_id    TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client_id  TEXT   NOT NULL,
    resource   TEXT   NOT NULL,
    scopes     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    revoked_at BIGINT,
    PRIMARY KEY (user_id, client_id, resource)
);
CREATE INDEX oauth_grants_resource ON oauth_grants (user_id, resource);

-- A user's session through a client: the family of all tokens that descend from one code or device code.
CREATE TABLE oauth_sessions (
    id                 TEXT   NOT NULL PRIMARY KEY,
    user_id            TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    client_id          TEXT   NOT NULL,
    browser_session_id TEXT,
    resources          TEXT   NOT NULL,
    scopes             TEXT   NOT NULL,
    key_thumbprint     TEXT,
    authenticated_at   BIGINT NOT NULL,
    second_factor_at   BIGINT,
    created_at         BIGINT NOT NULL,
    ended_at           BIGINT
);
CREATE INDEX oauth_sessions_user ON oauth_sessions (user_id);
CREATE INDEX oauth_sessions_browser ON oauth_sessions (browser_session_id);

CREATE TABLE oauth_refresh_tokens (
    hash        TEXT   NOT NULL PRIMARY KEY,
    session_id  TEXT   NOT NULL REFERENCES oauth_sessions (id) ON DELETE CASCADE,
    expires_at  BIGINT NOT NULL,
    used_at     BIGINT,
    replaced_at BIGINT,
    successor   TEXT
);
CREATE INDEX oauth_refresh_tokens_session ON oauth_refresh_tokens (session_id);

-- session_id: the session that the code was exchanged for, which ends when the code shows up again.
CREATE TABLE oauth_codes (
    hash               TEXT   NOT NULL PRIMARY KEY,
    client_id          TEXT   NOT NULL,
    user_id            TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    browser_session_id TEXT,
    redirect_uri       TEXT   NOT NULL,
    challenge          TEXT   NOT NULL,
    resources          TEXT   NOT NULL,
    scopes             TEXT   NOT NULL,
    nonce              TEXT,
    key_thumbprint     TEXT,
    authenticated_at   BIGINT NOT NULL,
    second_factor_at   BIGINT,
    expires_at         BIGINT NOT NULL,
    used_at            BIGINT,
    session_id         TEXT
);
CREATE INDEX oauth_codes_expiry ON oauth_codes (expires_at);

CREATE TABLE oauth_device_codes (
    hash               TEXT   NOT NULL PRIMARY KEY,
    zone_id            TEXT   NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
    user_code          TEXT   NOT NULL UNIQUE,
    client_id          TEXT   NOT NULL,
    resources          TEXT   NOT NULL,
    scopes             TEXT   NOT NULL,
    status             TEXT   NOT NULL CHECK (status IN ('pending', 'allowed', 'denied')),
    user_id            TEXT,
    browser_session_id TEXT,
    authenticated_at   BIGINT,
    second_factor_at   BIGINT,
    interval_ms        BIGINT NOT NULL,
    polled_at          BIGINT,
    expires_at         BIGINT NOT NULL,
    used_at            BIGINT
);
CREATE INDEX oauth_device_codes_expiry ON oauth_device_codes (expires_at);

-- Access tokens that were called back, until they would have died anyway. Only who asks the zone hears of it.
CREATE TABLE oauth_revoked_tokens (
    id         TEXT   NOT NULL PRIMARY KEY,
    expires_at BIGINT NOT NULL
);

-- How a person shows who they are. The password as an argon2id PHC string; the one-time-password secret sealed.
CREATE TABLE people_passwords (
    user_id    TEXT   NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    phc        TEXT   NOT NULL,
    changed_at BIGINT NOT NULL
);
CREATE TABLE people_authenticators (
    user_id      TEXT   NOT NULL PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    sealed       TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    confirmed_at BIGINT
);
CREATE TABLE people_recovery_codes (
    hash    TEXT   NOT NULL PRIMARY KEY,
    user_id TEXT   NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    used_at BIGINT
);
CREATE INDEX people_recovery_codes_user ON people_recovery_codes (user_id);

-- Counts of what is limited, each in a window of its own.
CREATE TABLE people_attempts (
    id             TEXT   NOT NULL PRIMARY KEY,
    window_ends_at BIGINT NOT NULL,
    attempts       BIGINT NOT NULL
);
