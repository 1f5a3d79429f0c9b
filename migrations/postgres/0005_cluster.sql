-- The name of the cluster whose nodes use this ledger: one row. Nodes of two clusters would have a leader each, and depose
-- each other.

CREATE TABLE cluster (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    name TEXT NOT NULL
);
