INSERT INTO calendars (namespace, calendar_id, definition, revision, change_seq, create_time, update_time)
VALUES :rows
ON CONFLICT (namespace, calendar_id) DO UPDATE SET
    definition = excluded.definition,
    revision = excluded.revision,
    change_seq = excluded.change_seq,
    create_time = excluded.create_time,
    update_time = excluded.update_time
