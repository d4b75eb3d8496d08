-- Kong 3.9's table of the plugin session.

CREATE TABLE sessions (
    id         uuid,
    session_id text,
    expires    integer,
    data       text,
    created_at timestamptz,
    ttl        timestamptz,
    CONSTRAINT sessions_pkey PRIMARY KEY (id),
    CONSTRAINT sessions_session_id_key UNIQUE (session_id)
);
CREATE INDEX session_sessions_expires_idx ON sessions USING btree (expires);
CREATE INDEX sessions_ttl_idx ON sessions USING btree (ttl);
CREATE TRIGGER sessions_ttl_trigger
    AFTER INSERT ON sessions FOR EACH STATEMENT
    EXECUTE PROCEDURE batch_delete_expired_rows('ttl');
