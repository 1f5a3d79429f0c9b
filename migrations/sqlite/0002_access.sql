-- Who may call, and who changed what.

CREATE TABLE api_tokens (
    id BLOB NOT NULL PRIMARY KEY,
    -- SHA-256 of the secret, which is nowhere.
    hash BLOB NOT NULL,
    display_name TEXT NOT NULL,
    role TEXT NOT NULL,
    -- Lists; empty: any.
    namespaces TEXT NOT NULL,
    agent_ids TEXT NOT NULL,
    queues TEXT NOT NULL,
    expire_time INTEGER,
    author TEXT NOT NULL,
    create_time INTEGER NOT NULL,
    revoke_time INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_events (
    id BLOB NOT NULL PRIMARY KEY,
    time INTEGER NOT NULL,
    principal TEXT NOT NULL,
    token_id BLOB,
    address TEXT NOT NULL,
    method TEXT NOT NULL,
    namespace TEXT NOT NULL,
    resource TEXT NOT NULL,
    request_id TEXT NOT NULL,
    refusal TEXT NOT NULL,
    before TEXT,
    after TEXT
) STRICT;

CREATE INDEX audit_events_of_namespace ON audit_events (namespace, id);
CREATE INDEX audit_events_of_principal ON audit_events (principal, id);
