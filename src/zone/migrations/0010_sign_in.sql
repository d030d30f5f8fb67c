-- What a sign-in leaves behind, and whose address an address is.

-- Whoever is on the way to a provider carries that in their own browser, sealed: nobody fills a table by setting out.
DROP TABLE external_sign_ins;

-- By what means the person of a session showed who they are: a list of words (RFC 8176), and the provider's class of it.
-- Of the sessions of before only those without a provider are known.
ALTER TABLE sessions ADD COLUMN amr TEXT NOT NULL DEFAULT '[]';
ALTER TABLE sessions ADD COLUMN acr TEXT;
UPDATE sessions SET amr = '["pwd"]' WHERE session_type = 'user' AND provider_id IS NULL;

-- Guests took the address of their invitation for a name, though nobody knew whether it is theirs. They have another
-- name now, and go on signing in with the address as long as no other guest has the same one.
UPDATE users SET identifier = 'guest-' || id
WHERE subject IS NULL AND identifier LIKE '%@%'
    AND EXISTS (SELECT 1 FROM invitations i WHERE i.email = users.identifier AND i.accepted_at = users.created_at);

-- What is left without a provider was named by whoever may write this database.
UPDATE users SET email_verified = 1 WHERE subject IS NULL AND identifier LIKE '%@%' AND email = identifier;
