-- What any node does to tokens, each a statement that commits itself, as the leader's functions are. No epoch guards it.

CREATE TYPE written_token AS (
    id UUID, hash BYTEA, display_name TEXT, role TEXT, namespaces TEXT, agent_ids TEXT, queues TEXT, expire_time BIGINT,
    author TEXT, create_time BIGINT, revoke_time BIGINT
);

-- Writes a token with the number of its request and its event; or answers the digest and the resource of the request
-- that has the number already. Two of one number wait for each other at the row of the request.
CREATE FUNCTION create_token(
    token written_token, request remembered_request, audited written_audit_event[], request_memory BIGINT,
    OUT had_digest TEXT, OUT had_resource TEXT
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    forgotten_until bigint := ledger_clock() - request_memory;
BEGIN
    INSERT INTO requests AS r (namespace, method, request_id, digest, resource, time)
    VALUES (request.namespace, request.method, request.request_id, request.digest, request.resource, request.time)
    ON CONFLICT (namespace, method, request_id) DO UPDATE SET
        digest = excluded.digest, resource = excluded.resource, time = excluded.time
    WHERE r.time <= forgotten_until;
    IF NOT FOUND THEN
        SELECT r.digest, r.resource INTO had_digest, had_resource FROM requests r
        WHERE r.namespace = request.namespace AND r.method = request.method AND r.request_id = request.request_id;
        RETURN;
    END IF;
    INSERT INTO api_tokens (
        id, hash, display_name, role, namespaces, agent_ids, queues, expire_time, author, create_time, revoke_time
    )
    VALUES (
        token.id, token.hash, token.display_name, token.role, token.namespaces, token.agent_ids, token.queues,
        token.expire_time, token.author, token.create_time, token.revoke_time
    )
    ON CONFLICT (id) DO NOTHING;
    PERFORM write_audit_events(audited);
END
$$;

-- Ends a token, unless it is revoked already; the event is written if it was not.
CREATE FUNCTION revoke_token(token_id UUID, revoked_at BIGINT, audited written_audit_event[])
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    UPDATE api_tokens SET revoke_time = revoked_at WHERE id = token_id AND revoke_time IS NULL;
    IF FOUND THEN
        PERFORM write_audit_events(audited);
    END IF;
END
$$;
