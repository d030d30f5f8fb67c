-- Access policies: what is written, which versions there are, and which of them decide.

-- latest_*: of the newest version, where there is one.
CREATE TABLE policies (
    id                    TEXT   NOT NULL PRIMARY KEY,
    zone_id               TEXT   NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
    owner_type            TEXT   NOT NULL DEFAULT 'customer' CHECK (owner_type IN ('platform', 'customer')),
    name                  TEXT   NOT NULL,
    description           TEXT,
    latest_version        BIGINT,
    latest_version_id     TEXT,
    latest_schema_version TEXT,
    created_by            TEXT   NOT NULL,
    updated_by            TEXT,
    archived_by           TEXT,
    archived_at           BIGINT,
    created_at            BIGINT NOT NULL,
    updated_at            BIGINT NOT NULL
);
CREATE INDEX policies_page ON policies (zone_id, created_at, id) WHERE archived_at IS NULL;
CREATE INDEX policies_owner ON policies (zone_id, owner_type, created_at, id) WHERE archived_at IS NULL;
CREATE INDEX policies_zone ON policies (zone_id);

-- Never changed, only archived. sha: of cedar_raw, which is the canonical text.
CREATE TABLE policy_versions (
    id             TEXT   NOT NULL PRIMARY KEY,
    zone_id        TEXT   NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
    policy_id      TEXT   NOT NULL REFERENCES policies (id) ON DELETE CASCADE,
    owner_type     TEXT   NOT NULL DEFAULT 'customer' CHECK (owner_type IN ('platform', 'customer')),
    version        BIGINT NOT NULL,
    schema_version TEXT   NOT NULL,
    sha            TEXT   NOT NULL,
    cedar_raw      TEXT   NOT NULL,
    cedar_json     TEXT   NOT NULL,
    created_by     TEXT   NOT NULL,
    archived_by    TEXT,
    archived_at    BIGINT,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    UNIQUE (policy_id, version)
);
CREATE INDEX policy_versions_page ON policy_versions (policy_id, created_at, id);
CREATE INDEX policy_versions_zone ON policy_versions (zone_id);

-- status: whether one of its versions is bound; policy_bindings says which.
CREATE TABLE policy_sets (
    id                TEXT   NOT NULL PRIMARY KEY,
    zone_id           TEXT   NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
    owner_type        TEXT   NOT NULL DEFAULT 'customer' CHECK (owner_type IN ('platform', 'customer')),
    name              TEXT   NOT NULL,
    scope_type        TEXT   NOT NULL DEFAULT 'zone' CHECK (scope_type IN ('zone', 'resource', 'user', 'session')),
    target_type       TEXT   NOT NULL DEFAULT 'zone' CHECK (target_type IN ('zone', 'user')),
    status            TEXT   NOT NULL DEFAULT 'inactive' CHECK (status IN ('active', 'inactive')),
    latest_version    BIGINT,
    latest_version_id TEXT,
    created_by        TEXT   NOT NULL,
    updated_by        TEXT,
    archived_by       TEXT,
    archived_at       BIGINT,
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL
);
CREATE INDEX policy_sets_page ON policy_sets (zone_id, created_at, id) WHERE archived_at IS NULL;
CREATE INDEX policy_sets_status ON policy_sets (zone_id, status, id) WHERE archived_at IS NULL;
CREATE INDEX policy_sets_owner ON policy_sets (zone_id, owner_type, created_at, id) WHERE archived_at IS NULL;
CREATE INDEX policy_sets_zone ON policy_sets (zone_id);

-- manifest: JSON, with the SHA-256 of its canonical form. attestation: a JWS about it, made anew when its key is retired.
CREATE TABLE policy_set_versions (
    id             TEXT   NOT NULL PRIMARY KEY,
    zone_id        TEXT   NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
    policy_set_id  TEXT   NOT NULL REFERENCES policy_sets (id) ON DELETE CASCADE,
    owner_type     TEXT   NOT NULL DEFAULT 'customer' CHECK (owner_type IN ('platform', 'customer')),
    version        BIGINT NOT NULL,
    schema_version TEXT   NOT NULL,
    manifest       TEXT   NOT NULL,
    manifest_sha   TEXT   NOT NULL,
    attestation    TEXT,
    created_by     TEXT   NOT NULL,
    archived_by    TEXT,
    archived_at    BIGINT,
    created_at     BIGINT NOT NULL,
    updated_at     BIGINT NOT NULL,
    UNIQUE (policy_set_id, version)
);
CREATE INDEX policy_set_versions_page ON policy_set_versions (policy_set_id, created_at, id);
CREATE INDEX policy_set_versions_zone ON policy_set_versions (zone_id);

-- The manifest once more, to be joined.
CREATE TABLE policy_set_entries (
    policy_set_version_id TEXT NOT NULL REFERENCES policy_set_versions (id) ON DELETE CASCADE,
    policy_version_id     TEXT NOT NULL REFERENCES policy_versions (id) ON DELETE CASCADE,
    PRIMARY KEY (policy_set_version_id, policy_version_id)
);
CREATE INDEX policy_set_entries_policy ON policy_set_entries (policy_version_id);

-- What decides (active), and what is only asked for comparison (shadow).
CREATE TABLE policy_bindings (
    zone_id               TEXT   NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
    mode                  TEXT   NOT NULL CHECK (mode IN ('active', 'shadow')),
    policy_set_id         TEXT   NOT NULL REFERENCES policy_sets (id) ON DELETE CASCADE,
    policy_set_version_id TEXT   NOT NULL REFERENCES policy_set_versions (id) ON DELETE CASCADE,
    bound_by              TEXT   NOT NULL,
    bound_at              BIGINT NOT NULL,
    PRIMARY KEY (zone_id, mode)
);
CREATE INDEX policy_bindings_set ON policy_bindings (policy_set_id);
CREATE INDEX policy_bindings_version ON policy_bindings (policy_set_version_id);

-- One row per zone that each change of a binding or an archive takes first, so that they come one after the other.
CREATE TABLE policy_zones (
    zone_id        TEXT   NOT NULL PRIMARY KEY REFERENCES zones (id) ON DELETE CASCADE,
    revision       BIGINT NOT NULL,
    -- What the zone's people write against.
    schema_version TEXT
);

-- A caller's own policies for the programs on their machine, as one file. bundle: in base64.
CREATE TABLE policy_bundles (
    zone_id    TEXT   NOT NULL REFERENCES zones (id) ON DELETE CASCADE,
    owner_id   TEXT   NOT NULL,
    digest     TEXT   NOT NULL,
    bundle     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (zone_id, owner_id)
);
