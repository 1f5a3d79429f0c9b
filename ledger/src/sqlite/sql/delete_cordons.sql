DELETE FROM agents WHERE (agent_id) IN (VALUES :rows)
