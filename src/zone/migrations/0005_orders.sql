-- For the lists that are sorted by their last change, and those that ask for one kind of row.
CREATE INDEX applications_updated ON applications (zone_id, updated_at, id);
CREATE INDEX providers_updated ON providers (zone_id, updated_at, id);
CREATE INDEX resources_updated ON resources (zone_id, updated_at, id);
CREATE INDEX resources_owner ON resources (zone_id, owner_type, created_at, id);
CREATE INDEX users_updated ON users (zone_id, updated_at, id);
CREATE INDEX zones_name ON zones (organization_id, name, id);
CREATE INDEX secrets_name ON secrets (zone_id, name, id);
CREATE INDEX secrets_type ON secrets (zone_id, type, created_at, id);
CREATE INDEX user_agents_updated ON user_agents (zone_id, updated_at, id);
CREATE INDEX user_agents_name ON user_agents (zone_id, name, id);
CREATE INDEX sessions_status ON sessions (zone_id, ended_at, expires_at);
CREATE INDEX delegated_grants_status ON delegated_grants (zone_id, revoked_at, expires_at);
DROP INDEX users_email;
CREATE INDEX users_email ON users (zone_id, email, id);
