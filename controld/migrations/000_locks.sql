-- Kong's cluster-wide locks.  Made before anything else, and on its own,
-- because a migration holds one of them.

CREATE TABLE IF NOT EXISTS locks (
    key   text,
    owner text,
    ttl   timestamptz,
    CONSTRAINT locks_pkey PRIMARY KEY (key)
);
CREATE INDEX IF NOT EXISTS locks_ttl_idx ON locks USING btree (ttl);
