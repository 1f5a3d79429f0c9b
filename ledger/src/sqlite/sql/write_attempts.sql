INSERT INTO attempts (
    run_id, number, state, agent_id, agent_instance, slot, fencing_token, assign_time, start_time, end_time,
    reason, error_code, error_message, exit_code
)
VALUES :rows
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
    exit_code = excluded.exit_code
