-- Signing in through a provider of the zone's choice. The same rules as in the tables before: plain SQL, moments in
-- milliseconds, hashes as SHA-256 in hex. No secret stands here in clear.

-- A person on the way to the provider and back: by the state that they carry, in the browser that they left with.
CREATE TABLE external_sign_ins (
    hash        TEXT   NOT NULL PRIMARY KEY,
    zone_id     TEXT   NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
    provider_id TEXT   NOT NULL REFERENCES providers (id) ON DELETE CASCADE,
    browser     TEXT   NOT NULL,
    going_on    TEXT   NOT NULL,
    expires_at  BIGINT NOT NULL
);
CREATE INDEX external_sign_ins_expiry ON external_sign_ins (expires_at);
CREATE INDEX external_sign_ins_zone ON external_sign_ins (zone_id);
CREATE INDEX external_sign_ins_provider ON external_sign_ins (provider_id);

-- Whoever a provider vouches for is one person here.
CREATE UNIQUE INDEX users_external ON users (zone_id, issuer, subject) WHERE subject IS NOT NULL;

-- What is counted is forgotten while the zone runs.
CREATE INDEX people_attempts_window ON people_attempts (window_ends_at);
