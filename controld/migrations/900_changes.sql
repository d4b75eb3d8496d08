-- The gateway's own additions to a database of Kong's: which rows changed, in
-- which commit.  Kong neither sees nor needs them; without them a node polls.
--
-- Statement triggers note the rows that a transaction changed, a deferred
-- trigger gives the notes one version when it commits: then all of its locks
-- are taken, so that the lock that orders the versions can be in no cycle of
-- waits, and is held for the moment of the commit only.  Versions become
-- visible in their order.  A version and its stamp name one history: after a
-- restore or a fail-over that lost commits the pair is not found.
--
-- Rows that a logical replication or session_replication_role = replica
-- writes come through row triggers, which fire then only.

CREATE TABLE IF NOT EXISTS controld_migrations (
    name        text,
    executed_at timestamptz NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT controld_migrations_pkey PRIMARY KEY (name)
);


CREATE SEQUENCE IF NOT EXISTS controld_version_seq;


-- one row a commit that changed something; the highest is the version
CREATE TABLE IF NOT EXISTS controld_commits (
    version bigint,
    stamp   bigint NOT NULL,            -- microseconds since the epoch
    CONSTRAINT controld_commits_pkey PRIMARY KEY (version)
);


-- ids NULL: any row of the table; version NULL: the transaction is open
CREATE TABLE IF NOT EXISTS controld_changes (
    txid      bigint NOT NULL,
    version   bigint,
    entity    text NOT NULL,
    operation text NOT NULL,
    ids       uuid[],
    first     boolean NOT NULL
);
CREATE INDEX IF NOT EXISTS controld_changes_version_idx
    ON controld_changes USING btree (version);
CREATE INDEX IF NOT EXISTS controld_changes_open_idx
    ON controld_changes USING btree (txid) WHERE version IS NULL;

GRANT SELECT ON controld_migrations, controld_commits, controld_changes
    TO PUBLIC;


-- the tables that make a configuration, those of absent plugins left out
CREATE OR REPLACE FUNCTION controld_tables() RETURNS SETOF regclass
    LANGUAGE sql STABLE
    SET search_path FROM CURRENT
AS $$
    SELECT to_regclass(name) FROM unnest(ARRAY[
        'acls', 'basicauth_credentials', 'ca_certificates', 'certificates',
        'consumers', 'filter_chains', 'hmacauth_credentials', 'jwt_secrets',
        'key_sets', 'keyauth_credentials', 'keys', 'oauth2_credentials',
        'plugins', 'routes', 'services', 'sm_vaults', 'snis', 'targets',
        'upstreams', 'workspaces'
    ]) AS name WHERE to_regclass(name) IS NOT NULL
$$;


-- A transaction notes up to 1000 rows of a table by id, then the table as a
-- whole, and nothing more.  The transaction's own settings count: they go
-- back with a savepoint, as the notes do.
CREATE OR REPLACE FUNCTION controld_note(entity text, operation text,
    changed uuid[]) RETURNS void
    LANGUAGE plpgsql
    SET search_path FROM CURRENT
AS $$
DECLARE
    setting CONSTANT text := 'controld.rows_' || entity;
    me      CONSTANT text := txid_current()::text;
    count   integer := 0;
    state   text := current_setting(setting, true);
    opens   boolean;
BEGIN
    IF split_part(state, ' ', 1) = me THEN
        count := split_part(state, ' ', 2)::integer;

        IF count = -1 THEN
            RETURN;
        END IF;
    END IF;

    count := count + cardinality(changed);

    IF count IS NULL OR count > 1000 THEN
        count := -1;
        changed := NULL;
    END IF;

    -- the trigger of the insert may run at once, and opens the next round

    opens := current_setting('controld.open', true) IS DISTINCT FROM me;

    PERFORM set_config(setting, me || ' ' || count, true),
            set_config('controld.open', me, true);

    INSERT INTO controld_changes (txid, entity, operation, ids, first)
        VALUES (me::bigint, entity, operation, changed, opens);
END
$$;

REVOKE ALL ON FUNCTION controld_note(text, text, uuid[]) FROM PUBLIC;


CREATE OR REPLACE FUNCTION controld_statement() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path FROM CURRENT
AS $$
DECLARE
    changed uuid[];
BEGIN
    IF current_setting('controld.rows_' || TG_TABLE_NAME, true)
       = txid_current_if_assigned() || ' -1'
    THEN
        RETURN NULL;
    END IF;

    IF TG_OP = 'INSERT' THEN
        changed := ARRAY(SELECT n.id FROM controld_new n LIMIT 1001);

    ELSIF TG_OP = 'DELETE' THEN
        changed := ARRAY(SELECT o.id FROM controld_old o LIMIT 1001);

    ELSIF TG_OP = 'UPDATE' THEN
        changed := ARRAY(
            (SELECT n.id FROM controld_new n LIMIT 1001)
            UNION (SELECT o.id FROM controld_old o LIMIT 1001));
    END IF;

    IF changed IS NULL OR changed <> '{}' THEN
        PERFORM controld_note(TG_TABLE_NAME, TG_OP, changed);
    END IF;

    RETURN NULL;
END
$$;


CREATE OR REPLACE FUNCTION controld_row() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path FROM CURRENT
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM controld_note(TG_TABLE_NAME, TG_OP, ARRAY[NEW.id]);

    ELSIF TG_OP = 'DELETE' THEN
        PERFORM controld_note(TG_TABLE_NAME, TG_OP, ARRAY[OLD.id]);

    ELSE
        PERFORM controld_note(TG_TABLE_NAME, TG_OP, ARRAY[OLD.id, NEW.id]);
    END IF;

    RETURN NULL;
END
$$;


-- Two clients' commits come here one after the other.  A snapshot older than
-- the lock must neither update nor delete what others did: no counter row is
-- updated, and the log is trimmed by transactions that read what is committed.
CREATE OR REPLACE FUNCTION controld_commit() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path FROM CURRENT
AS $$
DECLARE
    v    bigint;
    keep integer := 2048;
BEGIN
    PERFORM set_config('controld.open', '', true);
    PERFORM pg_advisory_xact_lock(1802465895, TG_RELID::integer);

    v := nextval('controld_version_seq');

    INSERT INTO controld_commits (version, stamp)
        VALUES (v, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);

    UPDATE controld_changes SET version = v
        WHERE txid = NEW.txid AND version IS NULL;

    PERFORM pg_notify('kong_changes', v || ' ' || TG_TABLE_SCHEMA);

    IF v % 64 = 0
       AND current_setting('transaction_isolation') = 'read committed'
    THEN
        IF (SELECT count(*) FROM controld_changes) > 100000 THEN
            keep := 64;
        END IF;

        DELETE FROM controld_commits WHERE version <= v - keep;
        DELETE FROM controld_changes WHERE version <= v - keep;
    END IF;

    RETURN NULL;
END
$$;


-- fires when it should: row triggers for replicated writes only, the two that
-- no other trigger stands in for always
CREATE OR REPLACE FUNCTION controld_trigger_good(name name, enabled "char")
    RETURNS boolean
    LANGUAGE sql IMMUTABLE
AS $$
    SELECT enabled = CASE name WHEN 'controld_row' THEN 'R'
                               WHEN 'controld_truncate' THEN 'A'
                               WHEN 'controld_commit' THEN 'A'
                               ELSE 'O' END::"char"
$$;


-- puts the triggers on the tables that lack one of them
CREATE OR REPLACE FUNCTION controld_arm() RETURNS void
    LANGUAGE plpgsql
    SET search_path FROM CURRENT
AS $$
DECLARE
    name regclass;
    args text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger t
                   WHERE t.tgrelid = 'controld_changes'::regclass
                         AND t.tgname = 'controld_commit'
                         AND controld_trigger_good(t.tgname, t.tgenabled))
    THEN
        DROP TRIGGER IF EXISTS controld_commit ON controld_changes;
        CREATE CONSTRAINT TRIGGER controld_commit
            AFTER INSERT ON controld_changes DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW WHEN (NEW.first AND NEW.version IS NULL)
            EXECUTE PROCEDURE controld_commit();
        ALTER TABLE controld_changes ENABLE ALWAYS TRIGGER controld_commit;
    END IF;

    FOR name IN SELECT * FROM controld_tables() LOOP

        IF (SELECT count(*) = 5 FROM pg_trigger t
            WHERE t.tgrelid = name AND t.tgname LIKE 'controld\_%'
                  AND controld_trigger_good(t.tgname, t.tgenabled))
        THEN
            CONTINUE;
        END IF;

        FOREACH args IN ARRAY ARRAY[
            'insert|INSERT ON %s REFERENCING NEW TABLE AS controld_new',
            'delete|DELETE ON %s REFERENCING OLD TABLE AS controld_old',
            'update|UPDATE ON %s REFERENCING NEW TABLE AS controld_new '
                'OLD TABLE AS controld_old',
            'truncate|TRUNCATE ON %s' ]
        LOOP
            EXECUTE format('DROP TRIGGER IF EXISTS controld_%s ON %s',
                           split_part(args, '|', 1), name);
            EXECUTE format('CREATE TRIGGER controld_%s AFTER '
                           || split_part(args, '|', 2)
                           || ' FOR EACH STATEMENT'
                              ' EXECUTE PROCEDURE controld_statement()',
                           split_part(args, '|', 1), name);
        END LOOP;

        EXECUTE format('DROP TRIGGER IF EXISTS controld_row ON %s', name);
        EXECUTE format('CREATE TRIGGER controld_row '
                       'AFTER INSERT OR DELETE OR UPDATE ON %s '
                       'FOR EACH ROW EXECUTE PROCEDURE controld_row()', name);
        EXECUTE format('ALTER TABLE %s '
                       'ENABLE REPLICA TRIGGER controld_row, '
                       'ENABLE ALWAYS TRIGGER controld_truncate', name);
    END LOOP;
END
$$;

REVOKE ALL ON FUNCTION controld_arm() FROM PUBLIC;


-- What a reader asks, of a primary or a replica, with the version and the
-- stamp it knows.  One row with entity NULL always comes: the version now,
-- and complete: the other rows are all that changed since (id NULL: any row
-- of the table).  A reader that finds complete false reads everything.
CREATE OR REPLACE FUNCTION controld_changes_since(known bigint, mark bigint)
    RETURNS TABLE (version bigint, stamp bigint, complete boolean,
                   entity text, id uuid)
    LANGUAGE plpgsql STABLE
    SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
BEGIN
    complete := EXISTS (SELECT FROM controld_commits c
                        WHERE c.version = known AND c.stamp = mark);

    SELECT c.version, c.stamp INTO version, stamp
        FROM controld_commits c ORDER BY c.version DESC LIMIT 1;

    RETURN NEXT;

    IF complete AND version > known THEN
        RETURN QUERY
            SELECT DISTINCT NULL::bigint, NULL::bigint, NULL::boolean,
                   n.entity, r.id
            FROM controld_changes n
            LEFT JOIN LATERAL unnest(n.ids) AS r (id) ON true
            WHERE n.version > known;
    END IF;
END
$$;


-- Whether versions can be relied on, which a reader asks now and then, and
-- whenever it reads everything.  armed: every table has its triggers; while
-- it is false, changes may come without a version.  guard: a text that
-- differs after triggers were dropped, made, or switched off and on, as a
-- restore of rows does: then everything is to be read again.
CREATE OR REPLACE FUNCTION controld_guard()
    RETURNS TABLE (guard text, armed boolean)
    LANGUAGE sql STABLE
    SET search_path FROM CURRENT
AS $$
    SELECT coalesce(md5(string_agg(concat(t.oid, ' ', t.xmin, t.tgenabled),
                                   ',' ORDER BY t.oid)), ''),
           count(*) FILTER (
               WHERE controld_trigger_good(t.tgname, t.tgenabled))
           = (SELECT count(*) * 5 + 1 FROM controld_tables())
    FROM pg_trigger t
    WHERE t.tgname LIKE 'controld\_%' AND t.tgrelid IN (
        SELECT * FROM controld_tables()
        UNION ALL SELECT 'controld_changes'::regclass)
$$;


SELECT controld_arm();

INSERT INTO controld_commits (version, stamp)
    VALUES (nextval('controld_version_seq'),
            (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
