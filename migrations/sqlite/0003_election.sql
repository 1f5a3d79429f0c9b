-- By what the leader was elected, where it was elected.
ALTER TABLE leadership ADD COLUMN coordinator TEXT;
ALTER TABLE leadership ADD COLUMN election_revision INTEGER;
