-- What a leader's transactions leave behind, so that a database which has lost some of them is told from the one that
-- confirmed them: one that was promoted in its place and had not received the last commits, or a backup. Transactions that are under
-- way together have a lane each, so that none waits for another; the numbers ascend, over all lanes.

CREATE TABLE commit_marks (
    lane BIGINT NOT NULL PRIMARY KEY,
    -- Marks of earlier terms count for nothing.
    epoch BIGINT NOT NULL,
    number BIGINT NOT NULL
);

CREATE TYPE commit_mark AS (lane BIGINT, number BIGINT);

-- As commit_transaction, with a mark that it leaves; and nothing is written where one that was confirmed is not there: `lost`.
CREATE FUNCTION commit_marked_transaction(
    mark commit_mark, confirmed commit_mark[],
    term BIGINT, decided BIGINT, new_watermark BIGINT, new_ceiling BIGINT,
    furthest_ahead BIGINT, request_memory BIGINT,
    remembered remembered_request[], audited written_audit_event[], job_writes written_job[], revisions written_job_revision[],
    job_counts counted_job[], calendar_writes written_calendar[], calendar_deletes deleted_calendar[],
    cordon_writes written_cordon[], cordon_deletes TEXT[], begun begun_backfill[], moved moved_backfill[],
    entered entered_run[], updated updated_run[], attempt_writes written_attempt[], late late_word[],
    logged written_log[],
    OUT deposed_by BIGINT, OUT ledger_time BIGINT, OUT lost BIGINT
) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    -- Before the wait for EPOCH: what was confirmed was there when this began. A term that has ended has marks no longer.
    SELECT min(c.number) INTO lost
    FROM unnest(confirmed) c LEFT JOIN commit_marks m ON m.lane = c.lane AND m.epoch = term
    WHERE m.number IS NULL OR m.number < c.number;
    IF lost IS NOT NULL THEN
        deposed_by := fence(term);
        RETURN;
    END IF;
    SELECT t.deposed_by, t.ledger_time INTO deposed_by, ledger_time FROM commit_transaction(
        term, decided, new_watermark, new_ceiling, furthest_ahead, request_memory, remembered, audited, job_writes,
        revisions, job_counts, calendar_writes, calendar_deletes, cordon_writes, cordon_deletes, begun, moved, entered,
        updated, attempt_writes, late, logged
    ) t;
    IF deposed_by IS NULL AND ledger_time IS NULL AND (mark).lane IS NOT NULL THEN
        INSERT INTO commit_marks AS m (lane, epoch, number) VALUES ((mark).lane, term, (mark).number)
        ON CONFLICT (lane) DO UPDATE SET epoch = excluded.epoch, number = excluded.number;
    END IF;
END
$$;
