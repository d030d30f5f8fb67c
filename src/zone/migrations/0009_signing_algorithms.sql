-- Two keys that sign, one for each algorithm, and for each resource the one that its tokens are signed with.
ALTER TABLE signing_keys ADD COLUMN algorithm TEXT NOT NULL DEFAULT 'RS256' CHECK (algorithm IN ('RS256', 'ES256'));
DROP INDEX signing_keys_current;
CREATE UNIQUE INDEX signing_keys_current ON signing_keys (zone_id, algorithm) WHERE dies_at IS NULL;
ALTER TABLE resources ADD COLUMN access_token_signing_alg TEXT NOT NULL DEFAULT 'RS256'
    CHECK (access_token_signing_alg IN ('RS256', 'ES256'));
