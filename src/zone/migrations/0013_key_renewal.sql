-- A key is shown for a while before it signs. since: when it began to, or to be shown.
ALTER TABLE signing_keys ADD COLUMN upcoming BIGINT NOT NULL DEFAULT 0;
ALTER TABLE signing_keys ADD COLUMN since BIGINT NOT NULL DEFAULT 0;
UPDATE signing_keys SET since = created_at;
DROP INDEX signing_keys_current;
CREATE UNIQUE INDEX signing_keys_current ON signing_keys (zone_id, algorithm, upcoming) WHERE dies_at IS NULL;
