-- Kong 3.9's table of the plugin acme.

CREATE TABLE acme_storage (
    id         uuid,
    key        text,
    value      text,
    created_at timestamptz,
    ttl        timestamptz,
    CONSTRAINT acme_storage_pkey PRIMARY KEY (id),
    CONSTRAINT acme_storage_key_key UNIQUE (key)
);
CREATE INDEX acme_storage_ttl_idx ON acme_storage USING btree (ttl);
CREATE TRIGGER acme_storage_ttl_trigger
    AFTER INSERT ON acme_storage FOR EACH STATEMENT
    EXECUTE PROCEDURE batch_delete_expired_rows('ttl');
