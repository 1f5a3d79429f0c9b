-- What a leader does to the ledger, each a function that is called by a statement of its own and so committed by
-- itself: a leader that freezes between two calls holds nothing (PROTOCOL.md, rules 4 and 5). They are plpgsql and
-- VOLATILE, so that each statement in them has a snapshot of its own, taken after the wait for EPOCH.
--
-- Servers of two versions use one ledger (rule 33): a function or type that is here is never changed by a later
-- migration. What needs other parameters comes under another name, and the old one goes a release later.

-- The ledger's clock.
CREATE FUNCTION ledger_clock() RETURNS BIGINT LANGUAGE sql VOLATILE AS $$
    SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
$$;

-- The advisory lock EPOCH: 'Punc', and 1.
CREATE FUNCTION epoch_lock() RETURNS BIGINT LANGUAGE sql IMMUTABLE AS $$ SELECT (1349873251::bigint << 32) + 1 $$;

-- The epoch that is in the way of `term`; NULL: none, and it stays so until the transaction's end.
CREATE FUNCTION fence(term BIGINT) RETURNS BIGINT LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    current_epoch bigint;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(epoch_lock());
    SELECT l.epoch INTO current_epoch FROM leadership l WHERE l.id = 1;
    RETURN CASE WHEN current_epoch = term THEN NULL ELSE coalesce(current_epoch, 0) END;
END
$$;

-- Ends the term that is in the ledger and begins the next, unless somebody who was elected later by the same coordinator
-- has begun it: then it answers that election, and nothing is written. Sessions of earlier terms that hold EPOCH for longer than
-- `patience` milliseconds are ended: their leader is frozen.
CREATE FUNCTION take_over(
    by_node TEXT, own_agent_ttl BIGINT, own_schedule_version TEXT, patience TEXT,
    own_coordinator TEXT, own_revision BIGINT, judged_coordinator TEXT, judged_revision BIGINT,
    OUT epoch BIGINT, OUT watermark BIGINT, OUT token_ceiling BIGINT, OUT longest_agent_ttl BIGINT,
    OUT later_coordinator TEXT, OUT later_revision BIGINT
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    last leadership%ROWTYPE;
    lock_timeout text := current_setting('lock_timeout');
    clock bigint;
BEGIN
    PERFORM set_config('lock_timeout', patience, true);
    BEGIN
        PERFORM pg_advisory_xact_lock(epoch_lock());
    EXCEPTION WHEN lock_not_available THEN
        PERFORM pg_terminate_backend(l.pid)
        FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
        WHERE l.locktype = 'advisory' AND l.granted AND l.pid <> pg_backend_pid()
            AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
            AND l.objsubid = 1 AND (l.classid::bigint << 32) + l.objid::bigint = epoch_lock()
            AND substring(a.application_name FROM '^punctual/(\d{1,18})/')::bigint
                <= (SELECT coalesce(max(e.epoch), 0) FROM leadership e);
        PERFORM set_config('lock_timeout', lock_timeout, true);
        PERFORM pg_advisory_xact_lock(epoch_lock());
    END;
    SELECT * INTO last FROM leadership l WHERE l.id = 1;
    IF last.coordinator = own_coordinator AND last.election_revision > own_revision
        AND (judged_coordinator, judged_revision) IS DISTINCT FROM (last.coordinator, last.election_revision)
    THEN
        later_coordinator := last.coordinator;
        later_revision := last.election_revision;
        RETURN;
    END IF;
    clock := ledger_clock();
    epoch := greatest(clock / 1000, coalesce(last.epoch, 0) + 1, coalesce(last.token_ceiling, 0) / 1048576 + 1);
    watermark := coalesce(last.watermark, clock);
    -- The last token of the epoch: the new leader raises it if it needs more.
    token_ceiling := (epoch << 20) + 1048575;
    longest_agent_ttl := greatest(own_agent_ttl, last.longest_agent_ttl);
    INSERT INTO leadership AS l (
        id, epoch, node, watermark, token_ceiling, longest_agent_ttl, schedule_version, coordinator, election_revision
    )
    VALUES (1, take_over.epoch, by_node, take_over.watermark, take_over.token_ceiling, take_over.longest_agent_ttl,
        own_schedule_version, own_coordinator, own_revision)
    ON CONFLICT (id) DO UPDATE SET
        epoch = excluded.epoch,
        node = excluded.node,
        watermark = excluded.watermark,
        token_ceiling = excluded.token_ceiling,
        longest_agent_ttl = excluded.longest_agent_ttl,
        schedule_version = excluded.schedule_version,
        coordinator = excluded.coordinator,
        election_revision = excluded.election_revision;
END
$$;

-- Rows as a leader sends them.

CREATE TYPE remembered_request AS (
    namespace TEXT, method TEXT, request_id TEXT, digest TEXT, resource TEXT, time BIGINT
);
CREATE TYPE written_job AS (
    uid UUID, namespace TEXT, job_id TEXT, definition TEXT, pause TEXT, revision BIGINT, change_seq BIGINT,
    effective_from BIGINT, create_time BIGINT, update_time BIGINT, delete_time BIGINT
);
CREATE TYPE written_job_revision AS (
    job_uid UUID, revision BIGINT, change TEXT, author TEXT, note TEXT, definition TEXT, pause TEXT, change_seq BIGINT,
    effective_from BIGINT, time BIGINT
);
CREATE TYPE counted_job AS (uid UUID, fires BIGINT, failures BIGINT);
CREATE TYPE written_calendar AS (
    namespace TEXT, calendar_id TEXT, definition TEXT, revision BIGINT, change_seq BIGINT, create_time BIGINT,
    update_time BIGINT
);
CREATE TYPE deleted_calendar AS (namespace TEXT, calendar_id TEXT);
CREATE TYPE written_cordon AS (agent_id TEXT, cordon_note TEXT, cordon_author TEXT, cordon_time BIGINT);
CREATE TYPE begun_backfill AS (
    id UUID, job_uid UUID, namespace TEXT, job_id TEXT, job_revision BIGINT, author TEXT, start_time BIGINT,
    end_time BIGINT, concurrency BIGINT, instants TEXT, create_time BIGINT, position BIGINT, closed_time BIGINT,
    dropped TEXT
);
CREATE TYPE moved_backfill AS (id UUID, position BIGINT, closed_time BIGINT, dropped TEXT);
CREATE TYPE entered_run AS (
    id UUID, job_uid UUID, namespace TEXT, job_id TEXT, trigger TEXT, scheduled_time BIGINT, occurrence BIGINT,
    covers_from BIGINT, decided_at BIGINT, coalesced_count BIGINT, first_scheduled_time BIGINT, retry_of UUID,
    backfill_id UUID, labels TEXT, create_time BIGINT, agent_id TEXT,
    job_revision BIGINT, not_before BIGINT, state TEXT, reason TEXT, reason_message TEXT, attempt BIGINT,
    uncounted_attempts BIGINT, next_attempt_time BIGINT,
    first_state TEXT, first_agent_id TEXT, first_agent_instance UUID, first_slot BIGINT, first_fencing_token BIGINT,
    first_assign_time BIGINT, first_start_time BIGINT, first_end_time BIGINT, first_reason TEXT, first_error_code TEXT,
    first_error_message TEXT, first_exit_code INTEGER,
    payload TEXT, cancel_requested_time BIGINT, start_time BIGINT, end_time BIGINT, progress_percent DOUBLE PRECISION,
    progress_message TEXT, result TEXT, error_code TEXT, error_message TEXT, exit_code INTEGER
);
CREATE TYPE updated_run AS (
    id UUID,
    job_revision BIGINT, not_before BIGINT, state TEXT, reason TEXT, reason_message TEXT, attempt BIGINT,
    uncounted_attempts BIGINT, next_attempt_time BIGINT,
    first_state TEXT, first_agent_id TEXT, first_agent_instance UUID, first_slot BIGINT, first_fencing_token BIGINT,
    first_assign_time BIGINT, first_start_time BIGINT, first_end_time BIGINT, first_reason TEXT, first_error_code TEXT,
    first_error_message TEXT, first_exit_code INTEGER,
    payload TEXT, cancel_requested_time BIGINT, start_time BIGINT, end_time BIGINT, progress_percent DOUBLE PRECISION,
    progress_message TEXT, result TEXT, error_code TEXT, error_message TEXT, exit_code INTEGER
);
CREATE TYPE written_attempt AS (
    run_id UUID, number BIGINT, state TEXT, agent_id TEXT, agent_instance UUID, slot BIGINT, fencing_token BIGINT,
    assign_time BIGINT, start_time BIGINT, end_time BIGINT, reason TEXT, error_code TEXT, error_message TEXT,
    exit_code INTEGER
);
CREATE TYPE late_word AS (run_id UUID, number BIGINT, outcome TEXT, time BIGINT);
CREATE TYPE written_audit_event AS (
    id UUID, time BIGINT, principal TEXT, token_id UUID, address TEXT, method TEXT, namespace TEXT, resource TEXT,
    request_id TEXT, refusal TEXT, before TEXT, after TEXT
);
CREATE TYPE written_log AS (
    run_id UUID, attempt BIGINT, sequence BIGINT, source TEXT, time BIGINT, data BYTEA, cut_bytes BIGINT
);

CREATE FUNCTION write_audit_events(audited written_audit_event[]) RETURNS void LANGUAGE sql VOLATILE AS $$
    INSERT INTO audit_events (
        id, time, principal, token_id, address, method, namespace, resource, request_id, refusal, before, after
    )
    SELECT v.* FROM unnest(audited) v
    ON CONFLICT (id) DO NOTHING
$$;

-- Writes all of a transaction that is not there already, or nothing: `deposed_by` another epoch, refused by the
-- `ledger_time`, or with an error. SQLSTATE PN001 is an error in the data.
CREATE FUNCTION commit_transaction(
    term BIGINT, decided BIGINT, new_watermark BIGINT, new_ceiling BIGINT,
    furthest_ahead BIGINT, request_memory BIGINT,
    remembered remembered_request[], audited written_audit_event[], job_writes written_job[], revisions written_job_revision[],
    job_counts counted_job[], calendar_writes written_calendar[], calendar_deletes deleted_calendar[],
    cordon_writes written_cordon[], cordon_deletes TEXT[], begun begun_backfill[], moved moved_backfill[],
    entered entered_run[], updated updated_run[], attempt_writes written_attempt[], late late_word[],
    logged written_log[],
    OUT deposed_by BIGINT, OUT ledger_time BIGINT
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    clock bigint;
    job written_job;
    written bigint;
BEGIN
    deposed_by := fence(term);
    IF deposed_by IS NOT NULL THEN
        RETURN;
    END IF;
    clock := ledger_clock();
    IF greatest(decided, new_watermark) > clock + furthest_ahead THEN
        ledger_time := clock;
        RETURN;
    END IF;

    IF cardinality(remembered) > 0 THEN
        -- Every row that is new, that replaces a forgotten one, or that is there already: one that is not written
        -- has another content under the same number.
        INSERT INTO requests AS r (namespace, method, request_id, digest, resource, time)
        SELECT v.namespace, v.method, v.request_id, v.digest, v.resource, v.time FROM unnest(remembered) v
        ON CONFLICT (namespace, method, request_id) DO UPDATE SET
            time = CASE WHEN r.digest = excluded.digest AND r.resource = excluded.resource THEN r.time
                ELSE excluded.time END,
            digest = excluded.digest,
            resource = excluded.resource
        WHERE r.time <= clock - request_memory
            OR (r.digest = excluded.digest AND r.resource = excluded.resource);
        GET DIAGNOSTICS written = ROW_COUNT;
        IF written < cardinality(remembered) THEN
            RAISE EXCEPTION 'a request of this number is there with other content' USING ERRCODE = 'PN001';
        END IF;
    END IF;

    IF cardinality(audited) > 0 THEN
        PERFORM write_audit_events(audited);
    END IF;

    -- In the order of the changes: of several to one job the last one stays.
    IF cardinality(job_writes) > 0 THEN
        FOREACH job IN ARRAY job_writes LOOP
            INSERT INTO jobs (
                uid, namespace, job_id, definition, pause, revision, change_seq, effective_from, create_time,
                update_time, delete_time
            )
            VALUES (
                job.uid, job.namespace, job.job_id, job.definition, job.pause, job.revision, job.change_seq,
                job.effective_from, job.create_time, job.update_time, job.delete_time
            )
            ON CONFLICT (uid) DO UPDATE SET
                definition = excluded.definition,
                pause = excluded.pause,
                revision = excluded.revision,
                change_seq = excluded.change_seq,
                effective_from = excluded.effective_from,
                create_time = excluded.create_time,
                update_time = excluded.update_time,
                delete_time = excluded.delete_time;
        END LOOP;
        INSERT INTO job_revisions (
            job_uid, revision, change, author, note, definition, pause, change_seq, effective_from, time
        )
        SELECT v.* FROM unnest(revisions) v
        ON CONFLICT (job_uid, revision) DO NOTHING;
    END IF;
    IF cardinality(job_counts) > 0 THEN
        UPDATE jobs SET fires = v.fires, failures = v.failures FROM unnest(job_counts) v WHERE jobs.uid = v.uid;
    END IF;

    IF cardinality(calendar_writes) > 0 THEN
        INSERT INTO calendars (namespace, calendar_id, definition, revision, change_seq, create_time, update_time)
        SELECT v.* FROM unnest(calendar_writes) v
        ON CONFLICT (namespace, calendar_id) DO UPDATE SET
            definition = excluded.definition,
            revision = excluded.revision,
            change_seq = excluded.change_seq,
            create_time = excluded.create_time,
            update_time = excluded.update_time;
    END IF;
    IF cardinality(calendar_deletes) > 0 THEN
        DELETE FROM calendars c USING unnest(calendar_deletes) v
        WHERE c.namespace = v.namespace AND c.calendar_id = v.calendar_id;
    END IF;

    IF cardinality(cordon_writes) > 0 THEN
        INSERT INTO agents (agent_id, cordon_note, cordon_author, cordon_time)
        SELECT v.* FROM unnest(cordon_writes) v
        ON CONFLICT (agent_id) DO UPDATE SET
            cordon_note = excluded.cordon_note,
            cordon_author = excluded.cordon_author,
            cordon_time = excluded.cordon_time;
    END IF;
    IF cardinality(cordon_deletes) > 0 THEN
        DELETE FROM agents WHERE agent_id = ANY (cordon_deletes);
    END IF;

    IF cardinality(begun) > 0 THEN
        INSERT INTO backfills (
            id, job_uid, namespace, job_id, job_revision, author, start_time, end_time, concurrency, instants,
            create_time, position, closed_time, dropped
        )
        SELECT v.* FROM unnest(begun) v
        ON CONFLICT (id) DO NOTHING;
    END IF;
    IF cardinality(moved) > 0 THEN
        UPDATE backfills SET position = v.position, closed_time = v.closed_time, dropped = v.dropped
        FROM unnest(moved) v
        WHERE backfills.id = v.id;
    END IF;

    IF cardinality(entered) > 0 THEN
        INSERT INTO runs (
            id, job_uid, namespace, job_id, trigger, scheduled_time, occurrence, covers_from, decided_at,
            coalesced_count, first_scheduled_time, retry_of, backfill_id, labels, create_time, agent_id,
            job_revision, not_before, state, reason, reason_message, attempt, uncounted_attempts, next_attempt_time,
            first_state, first_agent_id, first_agent_instance, first_slot, first_fencing_token, first_assign_time,
            first_start_time, first_end_time, first_reason, first_error_code, first_error_message, first_exit_code,
            payload, cancel_requested_time, start_time, end_time, progress_percent, progress_message, result,
            error_code, error_message, exit_code
        )
        SELECT v.* FROM unnest(entered) v
        ON CONFLICT (id) DO NOTHING;
    END IF;
    IF cardinality(updated) > 0 THEN
        UPDATE runs SET
            job_revision = v.job_revision,
            not_before = v.not_before,
            state = v.state,
            reason = v.reason,
            reason_message = v.reason_message,
            attempt = v.attempt,
            uncounted_attempts = v.uncounted_attempts,
            next_attempt_time = v.next_attempt_time,
            first_state = v.first_state,
            first_agent_id = v.first_agent_id,
            first_agent_instance = v.first_agent_instance,
            first_slot = v.first_slot,
            first_fencing_token = v.first_fencing_token,
            first_assign_time = v.first_assign_time,
            first_start_time = v.first_start_time,
            first_end_time = v.first_end_time,
            first_reason = v.first_reason,
            first_error_code = v.first_error_code,
            first_error_message = v.first_error_message,
            first_exit_code = v.first_exit_code,
            payload = v.payload,
            cancel_requested_time = v.cancel_requested_time,
            start_time = v.start_time,
            end_time = v.end_time,
            progress_percent = v.progress_percent,
            progress_message = v.progress_message,
            result = v.result,
            error_code = v.error_code,
            error_message = v.error_message,
            exit_code = v.exit_code
        FROM unnest(updated) v
        WHERE runs.id = v.id;
        GET DIAGNOSTICS written = ROW_COUNT;
        IF written < cardinality(updated) THEN
            RAISE EXCEPTION 'a run to be updated is not there, or is named twice' USING ERRCODE = 'PN001';
        END IF;
    END IF;
    IF cardinality(attempt_writes) > 0 THEN
        INSERT INTO attempts (
            run_id, number, state, agent_id, agent_instance, slot, fencing_token, assign_time, start_time, end_time,
            reason, error_code, error_message, exit_code
        )
        SELECT v.* FROM unnest(attempt_writes) v
        ON CONFLICT (run_id, number) DO UPDATE SET
            state = excluded.state,
            agent_id = excluded.agent_id,
            agent_instance = excluded.agent_instance,
            slot = excluded.slot,
            fencing_token = excluded.fencing_token,
            assign_time = excluded.assign_time,
            start_time = excluded.start_time,
            end_time = excluded.end_time,
            reason = excluded.reason,
            error_code = excluded.error_code,
            error_message = excluded.error_message,
            exit_code = excluded.exit_code;
    END IF;
    IF cardinality(updated) > 0 OR cardinality(attempt_writes) > 0 THEN
        -- Of runs that were given an attempt after they were entered. Apart from the update of the run itself,
        -- since most have their agent already.
        UPDATE runs SET agent_id = v.agent_id
        FROM (
            SELECT u.id AS run_id, 1 AS number, u.first_agent_id AS agent_id FROM unnest(updated) u
            WHERE u.attempt = 1 AND u.first_agent_id IS NOT NULL
            UNION ALL
            SELECT a.run_id, a.number, a.agent_id FROM unnest(attempt_writes) a
        ) v
        WHERE runs.id = v.run_id AND runs.attempt = v.number AND runs.agent_id IS DISTINCT FROM v.agent_id;
    END IF;
    IF cardinality(late) > 0 THEN
        UPDATE runs SET first_late_outcome = v.outcome, first_late_outcome_time = v.time
        FROM unnest(late) v
        WHERE runs.id = v.run_id AND v.number = 1 AND runs.first_state = 'LOST';
        UPDATE attempts SET late_outcome = v.outcome, late_outcome_time = v.time
        FROM unnest(late) v
        WHERE attempts.run_id = v.run_id AND attempts.number = v.number AND attempts.state = 'LOST';
    END IF;
    IF cardinality(logged) > 0 THEN
        -- The output of a run that has been purged is of no use to anybody, and no reason to refuse the rest.
        INSERT INTO run_logs (run_id, attempt, sequence, source, time, data, cut_bytes)
        SELECT v.* FROM unnest(logged) v
        WHERE EXISTS (SELECT 1 FROM runs WHERE runs.id = v.run_id)
        ON CONFLICT (run_id, attempt, sequence) DO NOTHING;
    END IF;

    IF new_watermark IS NOT NULL OR new_ceiling IS NOT NULL THEN
        -- An absent value leaves what is there; the ceiling is never lowered.
        UPDATE leadership l SET
            watermark = coalesce(new_watermark, l.watermark),
            token_ceiling = greatest(l.token_ceiling, new_ceiling)
        WHERE l.id = 1;
    END IF;
END
$$;

-- Deletes runs and deleted jobs that were chosen before, and says again what must stay: what has not ended, what is
-- later than the bounds, and a job that has a run.
CREATE FUNCTION purge_chosen(
    term BIGINT, chosen_runs UUID[], runs_below UUID, scheduled_until BIGINT, chosen_jobs UUID[], deleted_until BIGINT,
    OUT deposed_by BIGINT, OUT runs_deleted BIGINT, OUT jobs_deleted UUID[]
) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    deposed_by := fence(term);
    IF deposed_by IS NOT NULL THEN
        RETURN;
    END IF;
    DELETE FROM runs
    WHERE runs.id = ANY (chosen_runs) AND runs.state NOT IN ('PENDING', 'RUNNING') AND runs.id < runs_below
        AND runs.scheduled_time <= scheduled_until;
    GET DIAGNOSTICS runs_deleted = ROW_COUNT;
    WITH gone AS (
        DELETE FROM jobs
        WHERE jobs.uid = ANY (chosen_jobs) AND jobs.delete_time <= deleted_until
            AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.job_uid = jobs.uid)
        RETURNING jobs.uid
    )
    SELECT coalesce(array_agg(gone.uid), '{}') INTO jobs_deleted FROM gone;
END
$$;

-- Forgets numbered requests of before then, the oldest first.
CREATE FUNCTION forget_requests(term BIGINT, older_than BIGINT, most BIGINT, OUT deposed_by BIGINT)
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    deposed_by := fence(term);
    IF deposed_by IS NOT NULL THEN
        RETURN;
    END IF;
    DELETE FROM requests WHERE (namespace, method, request_id) IN (
        SELECT r.namespace, r.method, r.request_id FROM requests r WHERE r.time < older_than ORDER BY r.time LIMIT most
    );
END
$$;
