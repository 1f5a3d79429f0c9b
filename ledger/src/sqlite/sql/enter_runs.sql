INSERT INTO runs (
    id, job_uid, namespace, job_id, trigger, scheduled_time, occurrence, covers_from, decided_at, coalesced_count,
    first_scheduled_time, retry_of, backfill_id, labels, create_time, agent_id,
    job_revision, not_before, state, reason, reason_message, attempt, uncounted_attempts, next_attempt_time,
    first_state, first_agent_id, first_agent_instance, first_slot, first_fencing_token, first_assign_time,
    first_start_time, first_end_time, first_reason, first_error_code, first_error_message, first_exit_code,
    payload, cancel_requested_time, start_time, end_time, progress_percent, progress_message, result,
    error_code, error_message, exit_code
)
VALUES :rows
ON CONFLICT (id) DO NOTHING
