INSERT INTO leadership (id, epoch, node, watermark, token_ceiling, longest_agent_ttl, schedule_version,
    coordinator, election_revision)
VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET
    epoch = excluded.epoch,
    node = excluded.node,
    watermark = excluded.watermark,
    token_ceiling = excluded.token_ceiling,
    longest_agent_ttl = excluded.longest_agent_ttl,
    schedule_version = excluded.schedule_version,
    coordinator = excluded.coordinator,
    election_revision = excluded.election_revision
