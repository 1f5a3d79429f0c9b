-- Of runs that were given an attempt after they were entered. Apart from the update of the run itself, which
-- would have to touch the agents' index each time.
WITH v (run_id, number, agent_id) AS (VALUES :rows)
UPDATE runs SET agent_id = v.agent_id
FROM v
WHERE runs.id = v.run_id AND runs.attempt = v.number AND runs.agent_id IS NOT v.agent_id
