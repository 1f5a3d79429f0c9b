-- What a leader's transactions leave behind, so that a database which has lost some of them is told from the one that
-- confirmed them: one that was promoted in its place and had not received the last commits, or a backup. A row each, which is never
-- changed: one that all of them change would have them wait for each other, and would grow long versions while a
-- snapshot is held, as by pg_dump.

CREATE TABLE commit_marks (
    epoch BIGINT NOT NULL,
    mark BIGINT NOT NULL,
    PRIMARY KEY (epoch, mark)
);

-- As commit_transaction, with a mark that it leaves; and nothing is written where one that was confirmed is not there: `lost`.
CREATE FUNCTION commit_marked_transaction(
    own_mark BIGINT, confirmed BIGINT[],
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
    -- Before the wait for EPOCH: what was confirmed was there when this began.
    SELECT min(c.mark) INTO lost
    FROM unnest(confirmed) c (mark)
    WHERE NOT EXISTS (SELECT 1 FROM commit_marks m WHERE m.epoch = term AND m.mark = c.mark);
    IF lost IS NOT NULL THEN
        -- The marks of a term that has ended may have been deleted.
        deposed_by := fence(term);
        RETURN;
    END IF;
    SELECT t.deposed_by, t.ledger_time INTO deposed_by, ledger_time FROM commit_transaction(
        term, decided, new_watermark, new_ceiling, furthest_ahead, request_memory, remembered, audited, job_writes,
        revisions, job_counts, calendar_writes, calendar_deletes, cordon_writes, cordon_deletes, begun, moved, entered,
        updated, attempt_writes, late, logged
    ) t;
    IF deposed_by IS NULL AND ledger_time IS NULL AND own_mark IS NOT NULL THEN
        INSERT INTO commit_marks (epoch, mark) VALUES (term, own_mark) ON CONFLICT DO NOTHING;
        IF own_mark % 1000 = 0 THEN
            -- No transaction tells of one that is so much older: three or so are in flight at a time.
            DELETE FROM commit_marks m WHERE (m.epoch, m.mark) < (term, own_mark - 10000);
        END IF;
    END IF;
END
$$;
