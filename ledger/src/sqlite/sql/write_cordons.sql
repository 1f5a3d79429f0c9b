INSERT INTO agents (agent_id, cordon_note, cordon_author, cordon_time)
VALUES :rows
ON CONFLICT (agent_id) DO UPDATE SET
    cordon_note = excluded.cordon_note,
    cordon_author = excluded.cordon_author,
    cordon_time = excluded.cordon_time
