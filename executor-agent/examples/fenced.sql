-- A table that refuses stale writers: a fencing token below the one that has written is turned away, whoever sends it.
-- Workers that start at the same time wait for each other here.
BEGIN;
SELECT pg_advisory_xact_lock(hashtext('fenced.sql'));

CREATE TABLE IF NOT EXISTS stock (
    item          text PRIMARY KEY,
    amount        bigint NOT NULL,
    counted_by    text NOT NULL,
    fencing_token bigint NOT NULL
);

CREATE OR REPLACE FUNCTION refuse_stale() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.fencing_token < OLD.fencing_token THEN
        RAISE EXCEPTION 'fencing token % is stale: % has written', NEW.fencing_token, OLD.fencing_token
            USING ERRCODE = 'PF001';
    END IF;
    RETURN NEW;
END
$$;

CREATE OR REPLACE TRIGGER refuse_stale BEFORE UPDATE ON stock FOR EACH ROW EXECUTE FUNCTION refuse_stale();
COMMIT;
