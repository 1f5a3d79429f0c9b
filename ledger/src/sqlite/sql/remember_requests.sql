-- Writes every row that is new, that replaces a forgotten one, or that is there already; a row that it does
-- not write has another content under the same number.
WITH v (namespace, method, request_id, digest, resource, time, forgotten_until) AS (VALUES :rows)
INSERT INTO requests (namespace, method, request_id, digest, resource, time)
SELECT v.namespace, v.method, v.request_id, v.digest, v.resource, v.time FROM v
WHERE NOT EXISTS (
    SELECT 1 FROM requests r
    WHERE r.namespace = v.namespace AND r.method = v.method AND r.request_id = v.request_id
        AND r.time > v.forgotten_until AND (r.digest <> v.digest OR r.resource <> v.resource)
)
ON CONFLICT (namespace, method, request_id) DO UPDATE SET
    time = CASE WHEN digest = excluded.digest AND resource = excluded.resource THEN time ELSE excluded.time END,
    digest = excluded.digest,
    resource = excluded.resource
