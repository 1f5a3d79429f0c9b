INSERT INTO api_tokens (
    id, hash, display_name, role, namespaces, agent_ids, queues, expire_time, author, create_time, revoke_time
)
VALUES :rows
ON CONFLICT (id) DO NOTHING
