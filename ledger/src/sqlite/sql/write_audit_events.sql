INSERT INTO audit_events (
    id, time, principal, token_id, address, method, namespace, resource, request_id, refusal, before, after
)
VALUES :rows
ON CONFLICT (id) DO NOTHING
