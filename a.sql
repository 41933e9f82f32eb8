--
-- PostgreSQL database dump
--

\restrict JB6sbTZzNfXnQ4lw2pz9zRMmNlNCXxHv81aWnVXVZBbSwHJpA2KqcyGiYkKMQUv

-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: audit; Type: SCHEMA; Schema: -; Owner: postgres
--

CREATE SCHEMA audit;


ALTER SCHEMA audit OWNER TO postgres;

--
-- Name: events; Type: SCHEMA; Schema: -; Owner: postgres
--

CREATE SCHEMA events;


ALTER SCHEMA events OWNER TO postgres;

--
-- Name: graphile_worker; Type: SCHEMA; Schema: -; Owner: postgres
--

CREATE SCHEMA graphile_worker;


ALTER SCHEMA graphile_worker OWNER TO postgres;

--
-- Name: identity; Type: SCHEMA; Schema: -; Owner: postgres
--

CREATE SCHEMA identity;


ALTER SCHEMA identity OWNER TO postgres;

--
-- Name: jobs; Type: SCHEMA; Schema: -; Owner: postgres
--

CREATE SCHEMA jobs;


ALTER SCHEMA jobs OWNER TO postgres;

--
-- Name: platform; Type: SCHEMA; Schema: -; Owner: postgres
--

CREATE SCHEMA platform;


ALTER SCHEMA platform OWNER TO postgres;

--
-- Name: skills; Type: SCHEMA; Schema: -; Owner: postgres
--

CREATE SCHEMA skills;


ALTER SCHEMA skills OWNER TO postgres;

--
-- Name: trigram; Type: SCHEMA; Schema: -; Owner: postgres
--

CREATE SCHEMA trigram;


ALTER SCHEMA trigram OWNER TO postgres;

--
-- Name: pg_trgm; Type: EXTENSION; Schema: -; Owner: -
--

CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA trigram;


--
-- Name: EXTENSION pg_trgm; Type: COMMENT; Schema: -; Owner: 
--

COMMENT ON EXTENSION pg_trgm IS 'text similarity measurement and index searching based on trigrams';


--
-- Name: job_spec; Type: TYPE; Schema: graphile_worker; Owner: postgres
--

CREATE TYPE graphile_worker.job_spec AS (
	identifier text,
	payload json,
	queue_name text,
	run_at timestamp with time zone,
	max_attempts smallint,
	job_key text,
	priority smallint,
	flags text[]
);


ALTER TYPE graphile_worker.job_spec OWNER TO postgres;

--
-- Name: granted; Type: TYPE; Schema: identity; Owner: postgres
--

CREATE TYPE identity.granted AS (
	session uuid,
	account uuid,
	kind text,
	scope text,
	generation integer,
	kid text,
	sealed text
);


ALTER TYPE identity.granted OWNER TO postgres;

--
-- Name: uuid_v7(); Type: FUNCTION; Schema: platform; Owner: postgres
--

CREATE FUNCTION platform.uuid_v7() RETURNS uuid
    LANGUAGE sql PARALLEL SAFE
    AS $$
    select encode(
        set_bit(set_bit(
            overlay(uuid_send(gen_random_uuid())
                placing substring(int8send(floor(extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
                from 1 for 6),
            52, 1), 53, 1),
        'hex')::uuid
$$;


ALTER FUNCTION platform.uuid_v7() OWNER TO postgres;

SET default_tablespace = '';

--
-- Name: entry; Type: TABLE; Schema: audit; Owner: postgres
--

CREATE TABLE audit.entry (
    id uuid DEFAULT platform.uuid_v7() NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    actor_id uuid,
    action text NOT NULL,
    subject text,
    allowed boolean NOT NULL,
    address text,
    request_id text,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    chain smallint NOT NULL,
    "position" bigint NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT entry_action_form CHECK ((action ~ '^[a-z]+([.-][a-z]+)*$'::text))
)
PARTITION BY RANGE (at);


ALTER TABLE audit.entry OWNER TO postgres;

--
-- Name: digest(bytea, audit.entry); Type: FUNCTION; Schema: audit; Owner: postgres
--

CREATE FUNCTION audit.digest(previous bytea, entry audit.entry) RETURNS bytea
    LANGUAGE sql IMMUTABLE
    AS $$
    select sha256(previous || convert_to(jsonb_build_object(
        'id', entry.id, 'at', (extract(epoch from entry.at) * 1000000)::bigint,
        'actor', entry.actor_id, 'action', entry.action, 'subject', entry.subject,
        'allowed', entry.allowed, 'address', entry.address, 'request', entry.request_id,
        'detail', entry.detail, 'chain', entry.chain, 'position', entry.position)::text, 'UTF8'))
$$;


ALTER FUNCTION audit.digest(previous bytea, entry audit.entry) OWNER TO postgres;

--
-- Name: maintain(); Type: FUNCTION; Schema: audit; Owner: postgres
--

CREATE FUNCTION audit.maintain() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '50ms'
    AS $$
declare
    month date;
    name text;
begin
    if not pg_try_advisory_xact_lock(hashtext('audit.maintain')) then
        return;
    end if;
    for month in select (date_trunc('month', current_date) + n * interval '1 month')::date
        from generate_series(0, 2) n
    loop
        name := 'entry_' || to_char(month, 'YYYYMM');
        if to_regclass('audit.' || name) is null then
            begin
                execute format('create table audit.%I partition of audit.entry for values from (%L) to (%L)',
                    name, month, (month + interval '1 month')::date);
            exception
                when check_violation then
                    raise notice 'entries of % stay in the default partition', month;
                when lock_not_available then
                    return;
            end;
        end if;
    end loop;
end
$$;


ALTER FUNCTION audit.maintain() OWNER TO postgres;

--
-- Name: record(uuid, text, text, boolean, text, text, jsonb); Type: FUNCTION; Schema: audit; Owner: postgres
--

CREATE FUNCTION audit.record(actor uuid, action text, subject text, allowed boolean, address text, request_id text, detail jsonb DEFAULT '{}'::jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    head audit.chain;
    entry audit.entry;
    any_chain smallint;
begin
    -- The chain that this transaction holds already, or any that nobody else holds at this moment.
    select * into head from audit.chain c
    where c.id = nullif(current_setting('audit.chain', true), '')::smallint for update;
    if not found then
        select * into head from audit.chain c order by random() limit 1 for update skip locked;
    end if;
    if not found then
        any_chain := floor(random() * 16);
        select * into head from audit.chain c where c.id = any_chain for update;
    end if;
    perform set_config('audit.chain', head.id::text, true);
    entry := (platform.uuid_v7(), clock_timestamp(), record.actor, record.action, left(record.subject, 200),
        record.allowed, left(record.address, 64), left(record.request_id, 128),
        coalesce(record.detail, '{}'), head.id, head.length + 1, null);
    entry.hash := audit.digest(head.hash, entry);
    insert into audit.entry values (entry.*);
    update audit.chain c set length = entry.position, hash = entry.hash where c.id = head.id;
end
$$;


ALTER FUNCTION audit.record(actor uuid, action text, subject text, allowed boolean, address text, request_id text, detail jsonb) OWNER TO postgres;

--
-- Name: verify(); Type: FUNCTION; Schema: audit; Owner: postgres
--

CREATE FUNCTION audit.verify() RETURNS TABLE(chain smallint, "position" bigint, problem text)
    LANGUAGE sql STABLE
    AS $$
    with linked as (
        select e as entry, e.chain, e.position, e.hash,
            lag(e.hash, 1, decode(repeat('00', 32), 'hex')) over w as previous,
            row_number() over w as expected
        from audit.entry e
        window w as (partition by e.chain order by e.position)
    )
    select l.chain, l.position, case
            when l.position <> l.expected then 'an entry before this one is missing, or was added'
            else 'this entry, or the one before it, was changed'
        end
    from linked l
    where l.position <> l.expected or l.hash <> audit.digest(l.previous, l.entry)
    union all
    select n.id::smallint, coalesce(c.length, 0), 'the last entries are missing, or were changed'
    from generate_series(0, 15) as n (id)
    left join audit.chain c on c.id = n.id
    left join lateral (
        select e.position, e.hash from audit.entry e where e.chain = n.id order by e.position desc limit 1
    ) last on true
    where c.id is null or c.length <> coalesce(last.position, 0)
    or (last.hash is not null and last.hash <> c.hash)
    order by 1, 2
$$;


ALTER FUNCTION audit.verify() OWNER TO postgres;

--
-- Name: maintain(interval); Type: FUNCTION; Schema: events; Owner: postgres
--

CREATE FUNCTION events.maintain(keep interval) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET lock_timeout TO '50ms'
    AS $_$
declare
    day date;
    name text;
begin
    if not pg_try_advisory_xact_lock(hashtext('events.maintain')) then
        return;
    end if;
    for day in select generate_series(current_date, current_date + 3, interval '1 day')::date loop
        name := 'event_' || to_char(day, 'YYYYMMDD');
        if to_regclass('events.' || name) is null then
            begin
                execute format('create table events.%I partition of events.event for values from (%L) to (%L)',
                    name, day, day + 1);
            exception
                when check_violation then
                    -- The default partition holds rows of that day; they stay there.
                    raise notice 'events of % stay in the default partition', day;
                when lock_not_available then
                    return;
            end;
        end if;
    end loop;
    for name in
        select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = 'events.event'::regclass and c.relname ~ '^event_[0-9]{8}$'
        and to_date(right(c.relname, 8), 'YYYYMMDD') < current_date - keep
    loop
        begin
            execute format('drop table events.%I', name);
        exception when lock_not_available then
            return;
        end;
    end loop;
    delete from events.event_default where created_at < now() - keep;
end
$_$;


ALTER FUNCTION events.maintain(keep interval) OWNER TO postgres;

--
-- Name: wake(); Type: FUNCTION; Schema: events; Owner: postgres
--

CREATE FUNCTION events.wake() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    if exists (select from added) then
        perform pg_notify('events', '');
    end if;
    return null;
end
$$;


ALTER FUNCTION events.wake() OWNER TO postgres;

--
-- Name: _private_return_jobs(text, bigint[], bigint, text, boolean); Type: FUNCTION; Schema: graphile_worker; Owner: postgres
--

CREATE FUNCTION graphile_worker._private_return_jobs(worker_id text, job_ids bigint[], recovery_delay_ms bigint DEFAULT NULL::bigint, recovery_error text DEFAULT NULL::text, update_recovery_metadata boolean DEFAULT false) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM 1 FROM graphile_worker._private_jobs AS jobs
    WHERE jobs.id = ANY(job_ids) AND jobs.locked_by = worker_id
    ORDER BY jobs.id
    FOR UPDATE;

    WITH returned AS (
        UPDATE graphile_worker._private_jobs AS jobs
        SET
            attempts = CASE WHEN EXISTS (
                SELECT 1 FROM graphile_worker._private_job_retirements AS retired
                WHERE retired.id = jobs.id
            ) THEN jobs.attempts ELSE GREATEST(0, jobs.attempts - 1) END,
            locked_by = NULL,
            locked_at = NULL,
            run_at = CASE WHEN update_recovery_metadata AND recovery_delay_ms IS NOT NULL
                THEN GREATEST(jobs.run_at, now() + recovery_delay_ms * interval '1 millisecond')
                ELSE jobs.run_at END,
            last_error = CASE WHEN update_recovery_metadata
                THEN COALESCE(recovery_error, jobs.last_error) ELSE jobs.last_error END,
            updated_at = CASE WHEN update_recovery_metadata THEN now() ELSE jobs.updated_at END
        WHERE jobs.id = ANY(job_ids) AND jobs.locked_by = worker_id
        RETURNING jobs.job_queue_id
    )
    UPDATE graphile_worker._private_job_queues AS queues
    SET locked_by = NULL, locked_at = NULL
    FROM returned
    WHERE queues.id = returned.job_queue_id AND queues.locked_by = worker_id;
END;
$$;


ALTER FUNCTION graphile_worker._private_return_jobs(worker_id text, job_ids bigint[], recovery_delay_ms bigint, recovery_error text, update_recovery_metadata boolean) OWNER TO postgres;

SET default_table_access_method = heap;

--
-- Name: _private_jobs; Type: TABLE; Schema: graphile_worker; Owner: postgres
--

CREATE TABLE graphile_worker._private_jobs (
    id bigint NOT NULL,
    job_queue_id integer,
    task_id integer NOT NULL,
    payload json DEFAULT '{}'::json NOT NULL,
    priority smallint DEFAULT 0 NOT NULL,
    run_at timestamp with time zone DEFAULT now() NOT NULL,
    attempts smallint DEFAULT 0 NOT NULL,
    max_attempts smallint DEFAULT 25 NOT NULL,
    last_error text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    key text,
    locked_at timestamp with time zone,
    locked_by text,
    revision integer DEFAULT 0 NOT NULL,
    flags jsonb,
    is_available boolean GENERATED ALWAYS AS (((locked_at IS NULL) AND (attempts < max_attempts))) STORED NOT NULL,
    CONSTRAINT jobs_key_check CHECK (((length(key) > 0) AND (length(key) <= 512))),
    CONSTRAINT jobs_max_attempts_check CHECK ((max_attempts >= 1))
);


ALTER TABLE graphile_worker._private_jobs OWNER TO postgres;

--
-- Name: add_job(text, json, text, timestamp with time zone, integer, text, integer, text[], text); Type: FUNCTION; Schema: graphile_worker; Owner: postgres
--

CREATE FUNCTION graphile_worker.add_job(identifier text, payload json DEFAULT NULL::json, queue_name text DEFAULT NULL::text, run_at timestamp with time zone DEFAULT NULL::timestamp with time zone, max_attempts integer DEFAULT NULL::integer, job_key text DEFAULT NULL::text, priority integer DEFAULT NULL::integer, flags text[] DEFAULT NULL::text[], job_key_mode text DEFAULT 'replace'::text) RETURNS graphile_worker._private_jobs
    LANGUAGE plpgsql
    AS $$
declare
    v_job graphile_worker._private_jobs;
begin
    if (job_key is null or job_key_mode is null or job_key_mode in ('replace', 'preserve_run_at')) then
        select * into v_job
        from graphile_worker.add_jobs(
            ARRAY[(
                identifier,
                payload,
                queue_name,
                run_at,
                max_attempts::smallint,
                job_key,
                priority::smallint,
                flags
            )::graphile_worker.job_spec],
            (job_key_mode = 'preserve_run_at')
        )
        limit 1;

        if v_job.id is null then
            raise exception 'Unable to schedule job for key "%"', coalesce(job_key, '<null>') using errcode = 'GWNOR';
        end if;

        return v_job;
    elsif job_key_mode = 'unsafe_dedupe' then
        insert into graphile_worker._private_tasks as tasks (identifier)
        select add_job.identifier
        where not exists (
            select 1 from graphile_worker._private_tasks as existing
            where existing.identifier = add_job.identifier
        )
        on conflict do nothing;

        if queue_name is not null then
            insert into graphile_worker._private_job_queues as job_queues (queue_name)
            select add_job.queue_name
            where not exists (
                select 1 from graphile_worker._private_job_queues as existing
                where existing.queue_name = add_job.queue_name
            )
            on conflict do nothing;
        end if;

        insert into graphile_worker._private_jobs as jobs (
            job_queue_id,
            task_id,
            payload,
            run_at,
            max_attempts,
            key,
            priority,
            flags
        )
        select
            job_queues.id,
            tasks.id,
            coalesce(payload, '{}'::json),
            coalesce(run_at, now()),
            coalesce(max_attempts::smallint, 25::smallint),
            job_key,
            coalesce(priority::smallint, 0::smallint),
            (
                select jsonb_object_agg(flag, true)
                from unnest(flags) as item(flag)
            )
        from graphile_worker._private_tasks as tasks
        left join graphile_worker._private_job_queues as job_queues
        on job_queues.queue_name = add_job.queue_name
        where tasks.identifier = add_job.identifier
        on conflict (key)
        do update set
            revision = jobs.revision + 1,
            updated_at = now()
        returning *
        into v_job;

        if v_job.revision = 0 then
            perform pg_notify('jobs:insert', '{"r":' || random()::text || ',"count":1}');
        end if;

        return v_job;
    else
        raise exception 'Invalid job_key_mode value, expected ''replace'', ''preserve_run_at'' or ''unsafe_dedupe''.' using errcode = 'GWBKM';
    end if;
end;
$$;


ALTER FUNCTION graphile_worker.add_job(identifier text, payload json, queue_name text, run_at timestamp with time zone, max_attempts integer, job_key text, priority integer, flags text[], job_key_mode text) OWNER TO postgres;

--
-- Name: add_jobs(graphile_worker.job_spec[], boolean); Type: FUNCTION; Schema: graphile_worker; Owner: postgres
--

CREATE FUNCTION graphile_worker.add_jobs(specs graphile_worker.job_spec[], job_key_preserve_run_at boolean DEFAULT false) RETURNS SETOF graphile_worker._private_jobs
    LANGUAGE plpgsql
    AS $$
declare
    locked_key text;
begin
    for locked_key in
        select distinct spec.job_key
        from unnest(specs) spec
        where spec.job_key is not null
        order by spec.job_key
    loop
        perform pg_advisory_xact_lock(hashtext(locked_key));
    end loop;

    perform 1
    from graphile_worker._private_jobs as jobs
    where jobs.key = any(
        array(
            select distinct spec.job_key
            from unnest(specs) spec
            where spec.job_key is not null
        )
    )
    for update;

    insert into graphile_worker._private_tasks as tasks (identifier)
    select distinct spec.identifier
    from unnest(specs) spec
    where not exists (
        select 1 from graphile_worker._private_tasks as existing
        where existing.identifier = spec.identifier
    )
    on conflict do nothing;

    insert into graphile_worker._private_job_queues as job_queues (queue_name)
    select distinct spec.queue_name
    from unnest(specs) spec
    where spec.queue_name is not null
    and not exists (
        select 1 from graphile_worker._private_job_queues as existing
        where existing.queue_name = spec.queue_name
    )
    on conflict do nothing;

    with retired as (
        update graphile_worker._private_jobs as jobs
        set
            key = null,
            attempts = jobs.max_attempts,
            updated_at = now()
        from unnest(specs) spec
        where spec.job_key is not null
        and jobs.key = spec.job_key
        and is_available is not true
        returning jobs.id
    )
    insert into graphile_worker._private_job_retirements(id)
    select id from retired
    on conflict do nothing;

    perform pg_notify('jobs:insert', '{"r":' || random()::text || ',"count":' || array_length(specs, 1)::text || '}');

    return query insert into graphile_worker._private_jobs as jobs (
        job_queue_id,
        task_id,
        payload,
        run_at,
        max_attempts,
        key,
        priority,
        flags
    )
        select
            job_queues.id,
            tasks.id,
            coalesce(spec.payload, '{}'::json),
            coalesce(spec.run_at, now()),
            coalesce(spec.max_attempts, 25),
            spec.job_key,
            coalesce(spec.priority, 0),
            (
                select jsonb_object_agg(flag, true)
                from unnest(spec.flags) as item(flag)
            )
        from unnest(specs) spec
        inner join graphile_worker._private_tasks as tasks
        on tasks.identifier = spec.identifier
        left join graphile_worker._private_job_queues as job_queues
        on job_queues.queue_name = spec.queue_name
    on conflict (key) do update set
        job_queue_id = excluded.job_queue_id,
        task_id = excluded.task_id,
        payload =
            case
            when json_typeof(jobs.payload) = 'array' and json_typeof(excluded.payload) = 'array' then
                (jobs.payload::jsonb || excluded.payload::jsonb)::json
            else
                excluded.payload
            end,
        max_attempts = excluded.max_attempts,
        run_at = (case
            when job_key_preserve_run_at is true and jobs.attempts = 0 then jobs.run_at
            else excluded.run_at
        end),
        priority = excluded.priority,
        revision = jobs.revision + 1,
        flags = excluded.flags,
        attempts = 0,
        last_error = null,
        updated_at = now()
    where jobs.locked_at is null
    returning *;
end;
$$;


ALTER FUNCTION graphile_worker.add_jobs(specs graphile_worker.job_spec[], job_key_preserve_run_at boolean) OWNER TO postgres;

--
-- Name: complete_jobs(bigint[]); Type: FUNCTION; Schema: graphile_worker; Owner: postgres
--

CREATE FUNCTION graphile_worker.complete_jobs(job_ids bigint[]) RETURNS SETOF graphile_worker._private_jobs
    LANGUAGE sql
    AS $$
    delete from graphile_worker._private_jobs as jobs
        where id = any(job_ids)
        and (
            locked_at is null
        or
            locked_at < now() - interval '4 hours'
        )
        returning *;
$$;


ALTER FUNCTION graphile_worker.complete_jobs(job_ids bigint[]) OWNER TO postgres;

--
-- Name: delete_stale_workers(text[]); Type: FUNCTION; Schema: graphile_worker; Owner: postgres
--

CREATE FUNCTION graphile_worker.delete_stale_workers(worker_ids text[]) RETURNS void
    LANGUAGE sql
    AS $$
    DELETE FROM graphile_worker._private_workers AS workers
    WHERE workers.id = ANY(worker_ids);
$$;


ALTER FUNCTION graphile_worker.delete_stale_workers(worker_ids text[]) OWNER TO postgres;

--
-- Name: force_unlock_workers(text[]); Type: FUNCTION; Schema: graphile_worker; Owner: postgres
--

CREATE FUNCTION graphile_worker.force_unlock_workers(worker_ids text[]) RETURNS void
    LANGUAGE sql
    AS $$
        update graphile_worker._private_jobs as jobs
        set locked_at = null, locked_by = null
        where locked_by = any(worker_ids);
        update graphile_worker._private_job_queues as job_queues
        set locked_at = null, locked_by = null
        where locked_by = any(worker_ids);
$$;


ALTER FUNCTION graphile_worker.force_unlock_workers(worker_ids text[]) OWNER TO postgres;

--
-- Name: list_orphan_locked_workers(interval); Type: FUNCTION; Schema: graphile_worker; Owner: postgres
--

CREATE FUNCTION graphile_worker.list_orphan_locked_workers(stale_threshold interval) RETURNS TABLE(worker_id text)
    LANGUAGE sql
    AS $$
    SELECT DISTINCT locks.locked_by AS worker_id
    FROM (
        SELECT jobs.locked_by, jobs.locked_at
        FROM graphile_worker._private_jobs AS jobs
        WHERE jobs.locked_by IS NOT NULL
        UNION ALL
        SELECT job_queues.locked_by, job_queues.locked_at
        FROM graphile_worker._private_job_queues AS job_queues
        WHERE job_queues.locked_by IS NOT NULL
    ) AS locks
    WHERE locks.locked_at < now() - stale_threshold
    AND NOT EXISTS (
        SELECT 1
        FROM graphile_worker._private_workers AS workers
        WHERE workers.id = locks.locked_by
    );
$$;


ALTER FUNCTION graphile_worker.list_orphan_locked_workers(stale_threshold interval) OWNER TO postgres;

--
-- Name: list_stale_workers(interval); Type: FUNCTION; Schema: graphile_worker; Owner: postgres
--

CREATE FUNCTION graphile_worker.list_stale_workers(stale_threshold interval) RETURNS TABLE(worker_id text)
    LANGUAGE sql
    AS $$
    SELECT workers.id AS worker_id
    FROM graphile_worker._private_workers AS workers
    WHERE workers.last_heartbeat_at < now() - stale_threshold;
$$;


ALTER FUNCTION graphile_worker.list_stale_workers(stale_threshold interval) OWNER TO postgres;

--
-- Name: permanently_fail_jobs(bigint[], text); Type: FUNCTION; Schema: graphile_worker; Owner: postgres
--

CREATE FUNCTION graphile_worker.permanently_fail_jobs(job_ids bigint[], error_message text DEFAULT NULL::text) RETURNS SETOF graphile_worker._private_jobs
    LANGUAGE sql
    AS $$
    WITH retired AS (
    UPDATE graphile_worker._private_jobs AS jobs
    SET
        last_error = COALESCE(error_message, 'Manually marked as failed'),
        attempts = max_attempts,
        updated_at = now()
    WHERE id = ANY(job_ids)
    AND (
        locked_at IS NULL
    OR
        locked_at < NOW() - interval '4 hours'
    )
    RETURNING *
    ), marked AS (
        INSERT INTO graphile_worker._private_job_retirements(id)
        SELECT id FROM retired
        ON CONFLICT DO NOTHING
    )
    SELECT * FROM retired;
$$;


ALTER FUNCTION graphile_worker.permanently_fail_jobs(job_ids bigint[], error_message text) OWNER TO postgres;

--
-- Name: recover_dead_worker_jobs(text[], interval); Type: FUNCTION; Schema: graphile_worker; Owner: postgres
--

CREATE FUNCTION graphile_worker.recover_dead_worker_jobs(worker_ids text[], recovery_delay interval DEFAULT '00:00:00'::interval) RETURNS integer
    LANGUAGE plpgsql
    AS $$
DECLARE
    recovered_count integer := 0;
BEGIN
    -- Take row locks before the statement that reads retirement markers.
    PERFORM 1 FROM graphile_worker._private_jobs AS jobs
    WHERE jobs.locked_by = ANY(worker_ids)
    ORDER BY jobs.id
    FOR UPDATE;

    WITH j AS (
        UPDATE graphile_worker._private_jobs AS jobs
        SET
            attempts = CASE WHEN EXISTS (
                SELECT 1 FROM graphile_worker._private_job_retirements AS retired
                WHERE retired.id = jobs.id
            ) THEN jobs.attempts
                ELSE GREATEST(0, jobs.attempts - 1) END,
            locked_by = NULL,
            locked_at = NULL,
            run_at = GREATEST(jobs.run_at, now() + recovery_delay),
            last_error = 'Job recovered after worker interruption',
            updated_at = now()
        WHERE jobs.locked_by = ANY(worker_ids)
        RETURNING jobs.job_queue_id
    )
    SELECT COUNT(*) INTO recovered_count FROM j;

    UPDATE graphile_worker._private_job_queues AS job_queues
    SET locked_by = NULL, locked_at = NULL
    WHERE job_queues.locked_by = ANY(worker_ids);

    RETURN recovered_count;
END;
$$;


ALTER FUNCTION graphile_worker.recover_dead_worker_jobs(worker_ids text[], recovery_delay interval) OWNER TO postgres;

--
-- Name: remove_job(text); Type: FUNCTION; Schema: graphile_worker; Owner: postgres
--

CREATE FUNCTION graphile_worker.remove_job(job_key text) RETURNS graphile_worker._private_jobs
    LANGUAGE plpgsql STRICT
    AS $$
declare
    v_job graphile_worker._private_jobs;
begin
    -- Delete job if not locked
    DELETE FROM graphile_worker._private_jobs AS jobs
    WHERE key = job_key
    AND (
        locked_at IS NULL
    OR
        locked_at < NOW() - interval '4 hours'
    )
    RETURNING * INTO v_job;
    IF NOT (v_job IS NULL) THEN
        RETURN v_job;
    END IF;
    -- Otherwise prevent job from retrying, and clear the key
    UPDATE graphile_worker._private_jobs AS jobs
    SET
        key = NULL,
        attempts = jobs.max_attempts,
        updated_at = now()
    WHERE key = job_key
    RETURNING * INTO v_job;
    IF v_job.id IS NOT NULL THEN
        INSERT INTO graphile_worker._private_job_retirements(id)
        VALUES (v_job.id) ON CONFLICT DO NOTHING;
    END IF;
    RETURN v_job;
end;
$$;


ALTER FUNCTION graphile_worker.remove_job(job_key text) OWNER TO postgres;

--
-- Name: reschedule_jobs(bigint[], timestamp with time zone, integer, integer, integer); Type: FUNCTION; Schema: graphile_worker; Owner: postgres
--

CREATE FUNCTION graphile_worker.reschedule_jobs(job_ids bigint[], run_at timestamp with time zone DEFAULT NULL::timestamp with time zone, priority integer DEFAULT NULL::integer, attempts integer DEFAULT NULL::integer, max_attempts integer DEFAULT NULL::integer) RETURNS SETOF graphile_worker._private_jobs
    LANGUAGE plpgsql
    AS $$
BEGIN
    -- Explicit revival must see and clear a concurrently committed retirement.
    PERFORM 1 FROM graphile_worker._private_jobs AS jobs
    WHERE jobs.id = ANY(job_ids)
    AND (jobs.locked_at IS NULL OR jobs.locked_at < now() - interval '4 hours')
    ORDER BY jobs.id
    FOR UPDATE;

    RETURN QUERY WITH updated AS (
    UPDATE graphile_worker._private_jobs AS jobs
    SET
        run_at = COALESCE(reschedule_jobs.run_at, jobs.run_at),
        priority = COALESCE(reschedule_jobs.priority::smallint, jobs.priority),
        attempts = COALESCE(reschedule_jobs.attempts::smallint, jobs.attempts),
        max_attempts = COALESCE(reschedule_jobs.max_attempts::smallint, jobs.max_attempts),
        updated_at = now()
    WHERE id = ANY(job_ids)
    AND (
        locked_at IS NULL
    OR
        locked_at < NOW() - interval '4 hours'
    )
    RETURNING *
    ), cleared AS (
        DELETE FROM graphile_worker._private_job_retirements AS retired
        USING updated
        WHERE retired.id = updated.id
    )
    SELECT * FROM updated;
END;
$$;


ALTER FUNCTION graphile_worker.reschedule_jobs(job_ids bigint[], run_at timestamp with time zone, priority integer, attempts integer, max_attempts integer) OWNER TO postgres;

--
-- Name: worker_deregister(text); Type: FUNCTION; Schema: graphile_worker; Owner: postgres
--

CREATE FUNCTION graphile_worker.worker_deregister(worker_id text) RETURNS void
    LANGUAGE sql
    AS $$
    DELETE FROM graphile_worker._private_workers
    WHERE id = worker_deregister.worker_id;
$$;


ALTER FUNCTION graphile_worker.worker_deregister(worker_id text) OWNER TO postgres;

--
-- Name: worker_heartbeat(text, json); Type: FUNCTION; Schema: graphile_worker; Owner: postgres
--

CREATE FUNCTION graphile_worker.worker_heartbeat(worker_id text, metadata json DEFAULT NULL::json) RETURNS void
    LANGUAGE sql
    AS $$
    INSERT INTO graphile_worker._private_workers AS workers (id, last_heartbeat_at, metadata)
    VALUES (worker_heartbeat.worker_id, now(), metadata::jsonb)
    ON CONFLICT (id) DO UPDATE
    SET
        last_heartbeat_at = now(),
        metadata = COALESCE(EXCLUDED.metadata, workers.metadata);
$$;


ALTER FUNCTION graphile_worker.worker_heartbeat(worker_id text, metadata json) OWNER TO postgres;

--
-- Name: account; Type: TABLE; Schema: identity; Owner: postgres
--

CREATE TABLE identity.account (
    id uuid DEFAULT platform.uuid_v7() NOT NULL,
    kind text NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    status text DEFAULT 'active'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    authenticated_at timestamp with time zone,
    generation integer DEFAULT 0 NOT NULL,
    changed_at timestamp with time zone,
    suspended_by uuid,
    CONSTRAINT account_kind_known CHECK ((kind = ANY (ARRAY['agent'::text, 'user'::text]))),
    CONSTRAINT account_name_form CHECK ((name ~ '^[a-z0-9-]{3,40}$'::text)),
    CONSTRAINT account_status_known CHECK ((status = ANY (ARRAY['active'::text, 'suspended'::text, 'deleted'::text])))
);


ALTER TABLE identity.account OWNER TO postgres;

--
-- Name: agent; Type: TABLE; Schema: identity; Owner: postgres
--

CREATE TABLE identity.agent (
    account_id uuid NOT NULL,
    public_key bytea NOT NULL,
    description text DEFAULT ''::text NOT NULL,
    owner_id uuid,
    key_since timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT agent_description_size CHECK ((char_length(description) <= 1000)),
    CONSTRAINT agent_public_key_size CHECK ((octet_length(public_key) = 32))
);


ALTER TABLE identity.agent OWNER TO postgres;

--
-- Name: agent_profile; Type: VIEW; Schema: identity; Owner: postgres
--

CREATE VIEW identity.agent_profile AS
 SELECT a.id,
    a.name,
    encode(g.public_key, 'base64'::text) AS public_key,
    g.description,
    a.status,
    a.created_at,
    o.name AS owner
   FROM ((identity.account a
     JOIN identity.agent g ON ((g.account_id = a.id)))
     LEFT JOIN identity.account o ON ((o.id = g.owner_id)))
  WHERE (a.kind = 'agent'::text);


ALTER TABLE identity.agent_profile OWNER TO postgres;

--
-- Name: accept_claim(uuid, bytea, jsonb); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.accept_claim(agent uuid, hash bytea, client jsonb) RETURNS SETOF identity.agent_profile
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    owner uuid;
begin
    delete from identity.claim c
    where c.hash = accept_claim.hash and c.agent_id = accept_claim.agent and c.expires_at > now()
    returning c.owner_id into owner;
    if not found then
        return;
    end if;
    update identity.agent g set owner_id = owner where g.account_id = accept_claim.agent and g.owner_id is null;
    if not found then
        perform identity.refuse('agent_owned');
    end if;
    delete from identity.claim c where c.agent_id = accept_claim.agent;
    perform audit.record(accept_claim.agent, 'agent.owned', owner::text, true, client ->> 'address', client ->> 'request_id');
    return query select p.* from identity.agent_profile p where p.id = accept_claim.agent;
end
$$;


ALTER FUNCTION identity.accept_claim(agent uuid, hash bytea, client jsonb) OWNER TO postgres;

--
-- Name: account_of_external(text, text, text, boolean, text, jsonb); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.account_of_external(issuer text, subject text, email text, verified boolean, name text, client jsonb) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    found_account uuid;
    wanted text := name;
begin
    -- Those who come for the first time at the same moment take turns.
    perform pg_advisory_xact_lock(hashtextextended('provider ' || account_of_external.email, 1));
    select e.account_id into found_account from identity.external_identity e
    where e.issuer = account_of_external.issuer and e.subject = account_of_external.subject;
    if found then
        return (select a.id from identity.account a where a.id = found_account and a.status = 'active');
    end if;
    if verified then
        select p.account_id into found_account from identity.person p
        join identity.account a on a.id = p.account_id and a.status = 'active'
        where p.email = account_of_external.email and p.verified_at is not null;
    end if;
    if found_account is null then
        if exists (select from identity.account a where a.name = wanted) then
            wanted := left(wanted, 31) || '-' || substr(md5(account_of_external.issuer || ' ' || account_of_external.subject), 1, 8);
        end if;
        begin
            insert into identity.account as a (kind, name) values ('user', wanted) returning a.id into found_account;
        exception when check_violation or unique_violation then
            -- A reserved word, or one that was free a moment ago.
            insert into identity.account as a (kind, name)
            values ('user', 'user-' || replace(platform.uuid_v7()::text, '-', '')) returning a.id into found_account;
        end;
        insert into identity.person (account_id, email, verified_at)
        values (found_account, account_of_external.email, case when verified then now() end);
        perform audit.record(found_account, 'account.registered', found_account::text, true,
            client ->> 'address', client ->> 'request_id', '{"by": "provider"}');
    end if;
    insert into identity.external_identity (issuer, subject, account_id)
    values (account_of_external.issuer, account_of_external.subject, found_account);
    perform audit.record(found_account, 'provider.linked', account_of_external.issuer, true,
        client ->> 'address', client ->> 'request_id');
    return found_account;
end
$$;


ALTER FUNCTION identity.account_of_external(issuer text, subject text, email text, verified boolean, name text, client jsonb) OWNER TO postgres;

--
-- Name: passkey; Type: TABLE; Schema: identity; Owner: postgres
--

CREATE TABLE identity.passkey (
    id uuid DEFAULT platform.uuid_v7() NOT NULL,
    account_id uuid NOT NULL,
    credential_id bytea NOT NULL,
    name text NOT NULL,
    static_state bytea NOT NULL,
    dynamic_state bytea NOT NULL,
    backed_up boolean NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_used_at timestamp with time zone,
    CONSTRAINT passkey_credential_id_size CHECK (((octet_length(credential_id) >= 16) AND (octet_length(credential_id) <= 1023))),
    CONSTRAINT passkey_dynamic_state_size CHECK ((octet_length(dynamic_state) = 7)),
    CONSTRAINT passkey_name_size CHECK (((char_length(name) >= 1) AND (char_length(name) <= 100))),
    CONSTRAINT passkey_static_state_size CHECK ((octet_length(static_state) <= 640))
);


ALTER TABLE identity.passkey OWNER TO postgres;

--
-- Name: add_passkey(uuid, uuid, text, bytea, bytea, bytea, boolean, bytea, timestamp with time zone, jsonb); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.add_passkey(account uuid, session uuid, name text, credential bytea, fixed bytea, changing bytea, backed_up boolean, nonce bytea, expires timestamp with time zone, client jsonb) RETURNS SETOF identity.passkey
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    made identity.passkey;
begin
    -- Those who ask at the same moment take turns.
    perform identity.require_session(account, session);
    -- Who has no password to show has signed in a moment ago.
    if exists (select from identity.person p join identity.session s on s.id = session
            where p.account_id = account and p.password is null and s.created_at < now() - interval '10 minutes') then
        perform identity.refuse('session_fresh');
    end if;
    if (select count(*) from identity.passkey p where p.account_id = account) >= 20 then
        perform identity.refuse('passkey_count');
    end if;
    insert into identity.used_challenge (nonce, expires_at) values (add_passkey.nonce, expires);
    insert into identity.passkey as p (account_id, credential_id, name, static_state, dynamic_state, backed_up)
    values (account, credential, add_passkey.name, fixed, changing, add_passkey.backed_up) returning p.* into made;
    perform audit.record(account, 'passkey.added', made.id::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('name', made.name));
    return next made;
end
$$;


ALTER FUNCTION identity.add_passkey(account uuid, session uuid, name text, credential bytea, fixed bytea, changing bytea, backed_up boolean, nonce bytea, expires timestamp with time zone, client jsonb) OWNER TO postgres;

--
-- Name: allows(uuid, text, uuid); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.allows(account uuid, scope text, team uuid DEFAULT NULL::uuid) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select coalesce((select a.status = 'active' from identity.account a where a.id = allows.account), false) and (
        case when allows.team is null
            then string_to_array(identity.scopes_of(allows.account), ' ') && array['admin:all', allows.scope]
            else exists (select from identity.team_member m join identity.team_role r on r.name = m.role
                where m.team_id = allows.team and m.account_id = allows.account and allows.scope = any(r.scopes))
        end)
$$;


ALTER FUNCTION identity.allows(account uuid, scope text, team uuid) OWNER TO postgres;

--
-- Name: check_in(timestamp with time zone, bytea, text, text, integer, boolean); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.check_in(since timestamp with time zone, credential bytea, bucket text, tier text, quota integer, exact boolean) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    known jsonb;
    counted text := check_in.bucket;
    -- Commits are not seen in the order of their times; no statement takes longer than this.
    after timestamptz := check_in.since - interval '30 seconds';
begin
    if credential is not null then
        select jsonb_build_object('id', a.id, 'kind', a.kind, 'generation', a.generation, 'session', c.id,
            'via', c.via, 'expires', extract(epoch from c.expires_at)::bigint, 'used_at', c.last_used_at,
            'scope', case when c.scopes is null then identity.scopes_of(a.id) else (
                select coalesce(string_agg(s, ' '), '')
                from unnest(string_to_array(identity.scopes_of(a.id), ' ')) s where s = any(c.scopes)) end)
        into known
        from (
            select s.id, s.account_id, s.expires_at, 'cookie' as via, null::text[] as scopes, now() as last_used_at
            from identity.session s
            where s.cookie_hash = credential and s.revoked_at is null and s.expires_at > now()
            union all
            select k.id, k.account_id, k.expires_at, 'key', k.scopes, k.last_used_at
            from identity.api_key k
            where k.hash = credential and k.revoked_at is null and (k.expires_at is null or k.expires_at > now())
        ) c
        join identity.account a on a.id = c.account_id and a.status = 'active';
        if known ->> 'via' = 'key' and (known ->> 'used_at' is null
            or (known ->> 'used_at')::timestamptz < now() - interval '1 minute') then
            -- Lost in a crash it would do no harm, so nobody waits for the disk.
            perform set_config('synchronous_commit', 'off', true);
            update identity.api_key k set last_used_at = now() where k.hash = credential;
        end if;
        if known is not null and counted is not null then
            counted := tier || ':account:' || (known ->> 'id');
        end if;
    end if;
    return jsonb_build_object(
        'now', clock_timestamp(),
        'keys', (select coalesce(jsonb_agg(jsonb_build_object('kid', k.kid, 'public_key', k.public_key)), '[]')
            from identity.verification_key k),
        'revoked', (select coalesce(jsonb_agg(r.session_id), '[]') from identity.revocation r
            where after is null or r.revoked_at > after),
        'changed', (select coalesce(jsonb_agg(jsonb_build_array(a.id, a.generation)), '[]') from identity.account a
            where a.changed_at > coalesce(after, now() - interval '20 minutes')),
        'caller', known,
        'lease', case when counted is not null then identity.lease(counted, quota, exact) end);
end
$$;


ALTER FUNCTION identity.check_in(since timestamp with time zone, credential bytea, bucket text, tier text, quota integer, exact boolean) OWNER TO postgres;

--
-- Name: check_password(text, bytea, uuid, jsonb); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.check_password(email text, password bytea, only_account uuid, client jsonb) RETURNS TABLE(account uuid, totp text)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    return query
        select a.id, case when p.totp_confirmed_at is not null then encode(p.totp_secret, 'base64') end
        from identity.person p join identity.account a on a.id = p.account_id and a.status = 'active'
        where p.email = check_password.email and p.password = check_password.password
        and (only_account is null or a.id = only_account)
        order by p.verified_at is null, a.id desc limit 1;
    if not found then
        perform identity.refuse_sign_in(check_password.email, client, 'password');
    end if;
end
$$;


ALTER FUNCTION identity.check_password(email text, password bytea, only_account uuid, client jsonb) OWNER TO postgres;

--
-- Name: claim_agent(uuid, uuid, bytea, jsonb); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.claim_agent(agent uuid, owner uuid, hash bytea, client jsonb) RETURNS timestamp with time zone
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    until timestamptz;
begin
    perform identity.require_active(owner);
    perform from identity.agent g where g.account_id = claim_agent.agent for update;
    if not found then
        return null;
    end if;
    -- One at a time: the last code counts.
    delete from identity.claim c where c.agent_id = claim_agent.agent and c.owner_id = claim_agent.owner;
    insert into identity.claim as c (hash, agent_id, owner_id, expires_at)
    values (claim_agent.hash, claim_agent.agent, claim_agent.owner, now() + interval '15 minutes')
    returning c.expires_at into until;
    perform audit.record(owner, 'agent.claimed', claim_agent.agent::text, true, client ->> 'address', client ->> 'request_id');
    return until;
end
$$;


ALTER FUNCTION identity.claim_agent(agent uuid, owner uuid, hash bytea, client jsonb) OWNER TO postgres;

--
-- Name: confirm_totp(uuid, bytea, bigint, text[], jsonb); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.confirm_totp(account uuid, secret bytea, step bigint, codes text[], client jsonb) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    update identity.person p set totp_confirmed_at = now(), totp_step = step
    where p.account_id = account and p.totp_secret = secret and p.totp_confirmed_at is null;
    if not found then
        return false;
    end if;
    delete from identity.recovery_code r where r.account_id = account;
    insert into identity.recovery_code (account_id, hash) select account, decode(code, 'hex') from unnest(codes) as code;
    perform audit.record(account, 'second-factor.added', account::text, true, client ->> 'address', client ->> 'request_id');
    return true;
end
$$;


ALTER FUNCTION identity.confirm_totp(account uuid, secret bytea, step bigint, codes text[], client jsonb) OWNER TO postgres;

--
-- Name: api_key; Type: TABLE; Schema: identity; Owner: postgres
--

CREATE TABLE identity.api_key (
    id uuid DEFAULT platform.uuid_v7() NOT NULL,
    account_id uuid NOT NULL,
    name text NOT NULL,
    hash bytea NOT NULL,
    hint text NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone,
    last_used_at timestamp with time zone,
    revoked_at timestamp with time zone,
    CONSTRAINT api_key_hash_size CHECK ((octet_length(hash) = 32)),
    CONSTRAINT api_key_name_size CHECK (((char_length(name) >= 1) AND (char_length(name) <= 100)))
);


ALTER TABLE identity.api_key OWNER TO postgres;

--
-- Name: create_key(uuid, uuid, text, bytea, text, text[], timestamp with time zone, jsonb); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.create_key(account uuid, session uuid, name text, hash bytea, hint text, scopes text[], expires timestamp with time zone, client jsonb) RETURNS SETOF identity.api_key
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    made identity.api_key;
begin
    -- Those who ask at the same moment take turns.
    perform identity.require_active(account);
    if not exists (select from identity.session s where s.id = create_key.session and s.revoked_at is null)
        and not exists (select from identity.agent g
            where g.account_id = account and identity.session_of_key(g.public_key) = create_key.session) then
        perform identity.refuse('account_active');
    end if;
    if (select count(*) from identity.api_key k where k.account_id = account and k.revoked_at is null
        and (k.expires_at is null or k.expires_at > now())) >= 100 then
        perform identity.refuse('api_key_count');
    end if;
    insert into identity.api_key as k (account_id, name, hash, hint, scopes, expires_at)
    values (account, create_key.name, create_key.hash, create_key.hint, create_key.scopes, expires)
    returning k.* into made;
    perform audit.record(account, 'key.created', made.id::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('name', made.name, 'scopes', made.scopes));
    return next made;
end
$$;


ALTER FUNCTION identity.create_key(account uuid, session uuid, name text, hash bytea, hint text, scopes text[], expires timestamp with time zone, client jsonb) OWNER TO postgres;

--
-- Name: team; Type: TABLE; Schema: identity; Owner: postgres
--

CREATE TABLE identity.team (
    id uuid DEFAULT platform.uuid_v7() NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    description text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT team_description_size CHECK ((char_length(description) <= 1000)),
    CONSTRAINT team_name_form CHECK ((name ~ '^[a-z0-9-]{3,40}$'::text))
);


ALTER TABLE identity.team OWNER TO postgres;

--
-- Name: create_team(uuid, text, text, jsonb); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.create_team(creator uuid, name text, description text, client jsonb) RETURNS identity.team
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    made identity.team;
begin
    perform identity.require_active(creator);
    insert into identity.team as t (name, description)
    values (create_team.name, create_team.description) returning t.* into made;
    insert into identity.team_member (team_id, account_id, role) values (made.id, creator, 'owner');
    perform audit.record(creator, 'team.created', made.id::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('name', made.name));
    return made;
end
$$;


ALTER FUNCTION identity.create_team(creator uuid, name text, description text, client jsonb) OWNER TO postgres;

--
-- Name: drop_second_factor(uuid); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.drop_second_factor(account uuid) RETURNS boolean
    LANGUAGE plpgsql
    AS $$
begin
    delete from identity.recovery_code r where r.account_id = account;
    update identity.person p set totp_secret = null, totp_confirmed_at = null, totp_step = null
    where p.account_id = account and p.totp_secret is not null;
    return found;
end
$$;


ALTER FUNCTION identity.drop_second_factor(account uuid) OWNER TO postgres;

--
-- Name: end_keys(uuid); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.end_keys(account uuid) RETURNS void
    LANGUAGE sql
    AS $$
    update identity.api_key k set revoked_at = clock_timestamp() where k.account_id = account and k.revoked_at is null;
    delete from identity.passkey p where p.account_id = account;
$$;


ALTER FUNCTION identity.end_keys(account uuid) OWNER TO postgres;

--
-- Name: end_sessions(uuid, uuid); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.end_sessions(account uuid, but uuid DEFAULT NULL::uuid) RETURNS bigint
    LANGUAGE sql
    AS $$
    with ended as (
        update identity.session s set revoked_at = clock_timestamp()
        where s.account_id = account and s.revoked_at is null and s.expires_at > now()
        and s.id is distinct from but
        returning 1
    ) select count(*) from ended
$$;


ALTER FUNCTION identity.end_sessions(account uuid, but uuid) OWNER TO postgres;

--
-- Name: export_account(uuid); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.export_account(account uuid) RETURNS jsonb
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select jsonb_build_object(
        'account', (select to_jsonb(v) from identity.account_view v where v.id = account),
        'agent', (select to_jsonb(p) from identity.agent_profile p where p.id = account),
        'person', (select jsonb_build_object('email', p.email, 'verified_at', p.verified_at,
                'password_changed_at', p.password_changed_at, 'second_factor_since', p.totp_confirmed_at)
            from identity.person p where p.account_id = account),
        'providers', (select coalesce(jsonb_agg(jsonb_build_object('issuer', e.issuer, 'subject', e.subject,
            'since', e.created_at)), '[]') from identity.external_identity e where e.account_id = account),
        -- The newest: an agent that signs in each minute has more than one answer can hold.
        'sessions', (select coalesce(jsonb_agg(to_jsonb(s) - 'cookie_hash' order by s.id), '[]') from (
            select * from identity.session s where s.account_id = account order by s.id desc limit 1000) s),
        'keys', (select coalesce(jsonb_agg(to_jsonb(k) - 'hash' order by k.id), '[]')
            from identity.api_key k where k.account_id = account),
        'passkeys', (select coalesce(jsonb_agg(jsonb_build_object('id', p.id, 'name', p.name, 'created_at', p.created_at,
            'last_used_at', p.last_used_at, 'backed_up', p.backed_up) order by p.id), '[]')
            from identity.passkey p where p.account_id = account),
        'agents', (select coalesce(jsonb_agg(a.name order by a.name), '[]') from identity.agent g
            join identity.account a on a.id = g.account_id where g.owner_id = account),
        'teams', (select coalesce(jsonb_agg(jsonb_build_object('name', t.name, 'role', m.role, 'since', m.added_at)
            order by t.name), '[]') from identity.team_member m join identity.team t on t.id = m.team_id
            where m.account_id = account),
        'audit', (select coalesce(jsonb_agg(to_jsonb(e) order by e.at), '[]') from (
            select e.at, e.action, e.subject, e.allowed, e.address, e.detail from audit.entry e
            where e.actor_id = account order by e.at desc, e.id desc limit 1000) e))
$$;


ALTER FUNCTION identity.export_account(account uuid) OWNER TO postgres;

--
-- Name: failure_keys(text, text); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.failure_keys(email text, address text) RETURNS TABLE(key text, free integer, longest interval)
    LANGUAGE sql IMMUTABLE
    AS $$
    values ('both:' || email || ' ' || address, 5, interval '15 minutes'),
        -- Many may share an address, and everybody that of this machine, where a proxy may stand.
        (case when address not in ('127.0.0.1', '::1') then 'address:' || address end, 50, interval '1 minute'),
        -- A stranger who fails all the time delays others by a minute at most, and never where the account
        -- has signed in before.
        ('email:' || email, 20, interval '1 minute')
$$;


ALTER FUNCTION identity.failure_keys(email text, address text) OWNER TO postgres;

--
-- Name: forget_account(uuid, jsonb); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.forget_account(account uuid, client jsonb) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    was_admin boolean;
    left_team uuid;
begin
    perform identity.lock_admins();
    was_admin := 'admin' = any(identity.roles_of(account));
    -- Always in this order: others change them too.
    perform from identity.team t where t.id in (select m.team_id from identity.team_member m where m.account_id = account)
    order by t.id for update;
    perform from identity.account a where a.id = account for update;
    perform from identity.sign_in_failure f join identity.person p on p.account_id = account
    and (f.key = 'email:' || p.email or starts_with(f.key, 'both:' || p.email || ' '))
    order by f.key for update of f;
    delete from identity.sign_in_failure f using identity.person p
    where p.account_id = account and (f.key = 'email:' || p.email or starts_with(f.key, 'both:' || p.email || ' '));
    delete from identity.idempotency_key k where k.owner = account::text;
    update identity.account a set name = 'deleted-' || replace(a.id::text, '-', ''), status = 'deleted',
        generation = a.generation + 1, changed_at = clock_timestamp()
    where a.id = account and a.status <> 'deleted';
    if not found then
        return false;
    end if;
    delete from identity.account_role g where g.account_id = account;
    if was_admin then
        perform identity.keep_an_admin();
    end if;
    perform identity.end_sessions(account);
    update identity.session s set address = null, user_agent = null where s.account_id = account;
    perform identity.end_keys(account);
    update identity.api_key k set name = 'deleted' where k.account_id = account;
    delete from identity.person p where p.account_id = account;
    delete from identity.recovery_code r where r.account_id = account;
    delete from identity.external_identity e where e.account_id = account;
    delete from identity.link l where l.account_id = account;
    delete from identity.claim c where account in (c.agent_id, c.owner_id);
    update identity.agent g set owner_id = null where g.owner_id = account;
    -- The key of one that left is nobody's again.
    insert into identity.former_key (public_key, account_id, created_at)
    select g.public_key, g.account_id, g.key_since from identity.agent g where g.account_id = account;
    delete from identity.agent g where g.account_id = account;
    for left_team in
        delete from identity.team_member m where m.account_id = account returning m.team_id
    loop
        -- The eldest member inherits a team without an owner; one without members goes too.
        update identity.team_member m set role = 'owner'
        where m.team_id = left_team
        and not exists (select from identity.team_member o where o.team_id = left_team and o.role = 'owner')
        and m.account_id = (select e.account_id from identity.team_member e where e.team_id = left_team
            order by e.added_at, e.account_id limit 1);
        delete from identity.team t where t.id = left_team
        and not exists (select from identity.team_member m where m.team_id = left_team);
    end loop;
    perform audit.record(account, 'account.deleted', account::text, true, client ->> 'address', client ->> 'request_id');
    return true;
end
$$;


ALTER FUNCTION identity.forget_account(account uuid, client jsonb) OWNER TO postgres;

--
-- Name: forget_password(text, jsonb); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.forget_password(email text, client jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    account uuid := identity.holder_of(forget_password.email);
begin
    -- The same work for an address that nobody has.
    perform identity.mail(account, 'reset', interval '30 minutes');
    perform audit.record(null, 'password.forgotten', account::text, true, client ->> 'address', client ->> 'request_id');
end
$$;


ALTER FUNCTION identity.forget_password(email text, client jsonb) OWNER TO postgres;

--
-- Name: forgive(uuid, text, text, boolean); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.forgive(account uuid, email text, address text, proved boolean) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if account is distinct from identity.holder_of(forgive.email) then
        return;
    end if;
    -- In the order in which failures are noted.
    perform from identity.sign_in_failure f
    where f.key in ('address:' || forgive.address, 'both:' || forgive.email || ' ' || forgive.address)
    or (proved and f.key = 'email:' || forgive.email)
    order by f.key for update;
    delete from identity.sign_in_failure f
    where f.key = 'both:' || forgive.email || ' ' || forgive.address
    or (proved and f.key = 'email:' || forgive.email);
    update identity.sign_in_failure f set failures = f.failures / 2 where f.key = 'address:' || forgive.address;
end
$$;


ALTER FUNCTION identity.forgive(account uuid, email text, address text, proved boolean) OWNER TO postgres;

--
-- Name: granted_of(uuid, text); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.granted_of(session uuid, known_kid text) RETURNS SETOF identity.granted
    LANGUAGE sql STABLE
    AS $$
    select s.id, a.id, a.kind, identity.scopes_of(a.id), a.generation, k.kid,
        case when k.kid is distinct from known_kid then encode(k.sealed, 'base64') end
    from identity.session s
    join identity.account a on a.id = s.account_id
    left join identity.signing_key k on k.retired_at is null
    where s.id = granted_of.session
$$;


ALTER FUNCTION identity.granted_of(session uuid, known_kid text) OWNER TO postgres;

--
-- Name: has_admin(); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.has_admin() RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select exists (select from identity.account_role g join identity.account a on a.id = g.account_id
        where g.role = 'admin' and a.status = 'active')
$$;


ALTER FUNCTION identity.has_admin() OWNER TO postgres;

--
-- Name: has_password(uuid, bytea); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.has_password(account uuid, password bytea) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$
    select exists (select from identity.person p where p.account_id = account and p.password = has_password.password)
$$;


ALTER FUNCTION identity.has_password(account uuid, password bytea) OWNER TO postgres;

--
-- Name: holder_of(text); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.holder_of(email text) RETURNS uuid
    LANGUAGE sql STABLE
    AS $$
    select a.id from identity.person p join identity.account a on a.id = p.account_id and a.status = 'active'
    where p.email = holder_of.email order by p.verified_at is null, a.id limit 1
$$;


ALTER FUNCTION identity.holder_of(email text) OWNER TO postgres;

--
-- Name: keep_an_admin(); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.keep_an_admin() RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if not identity.has_admin() then
        perform identity.refuse('last_admin');
    end if;
end
$$;


ALTER FUNCTION identity.keep_an_admin() OWNER TO postgres;

--
-- Name: lease(text, integer, boolean); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.lease(bucket text, quota integer, exact boolean) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
declare
    moment timestamptz := clock_timestamp();
    first integer := identity.share(quota, exact);
    taken identity.allowance;
begin
    insert into identity.allowance as a (bucket, used, granted, ends_at)
    values (lease.bucket, first, first, moment + interval '1 minute')
    on conflict on constraint allowance_pkey do update set
        granted = case when a.ends_at <= moment then first else identity.share(quota - a.used, exact) end,
        used = case when a.ends_at <= moment then first else a.used + identity.share(quota - a.used, exact) end,
        ends_at = case when a.ends_at <= moment then moment + interval '1 minute' else a.ends_at end
    returning a.* into taken;
    return jsonb_build_object('granted', taken.granted, 'free', greatest(quota - taken.used, 0),
        'ends_in_ms', greatest((extract(epoch from taken.ends_at - moment) * 1000)::integer, 0));
end
$$;


ALTER FUNCTION identity.lease(bucket text, quota integer, exact boolean) OWNER TO postgres;

--
-- Name: link_email(uuid, text); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.link_email(link uuid, purpose text) RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select p.email from identity.link l join identity.person p on p.account_id = l.account_id
    where l.id = link_email.link and l.purpose = link_email.purpose and l.used_at is null and l.expires_at > now()
$$;


ALTER FUNCTION identity.link_email(link uuid, purpose text) OWNER TO postgres;

--
-- Name: lock_admins(); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.lock_admins() RETURNS void
    LANGUAGE sql
    AS $$
    select pg_advisory_xact_lock(hashtext('identity.admin'))
$$;


ALTER FUNCTION identity.lock_admins() OWNER TO postgres;

--
-- Name: mail(uuid, text, interval); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.mail(account uuid, purpose text, valid interval) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
    link uuid := platform.uuid_v7();
    recipient text := (select p.email from identity.person p where p.account_id = account);
begin
    -- Those who ask for the same address at the same moment take turns.
    perform pg_advisory_xact_lock(hashtextextended('mail ' || recipient, 1));
    if not exists (select from identity.link l
            where l.account_id = account and l.purpose = mail.purpose and l.created_at > now() - interval '1 minute')
        and (select count(*) from identity.person p join identity.link l on l.account_id = p.account_id
            where p.email = recipient and l.purpose = mail.purpose and l.created_at > now() - interval '1 hour') < 5
    then
        insert into identity.link (id, account_id, purpose, expires_at)
        values (link, account, mail.purpose, now() + valid);
    end if;
    -- Also where there is no mail, and for an address that nobody has: the time tells nothing.
    perform jobs.enqueue('mail-delivery', jsonb_build_object('link', link));
end
$$;


ALTER FUNCTION identity.mail(account uuid, purpose text, valid interval) OWNER TO postgres;

--
-- Name: make_admin(text); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.make_admin(name_or_id text) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    target identity.account;
begin
    perform identity.lock_admins();
    select * into target from identity.account a
    where (a.name = name_or_id or a.id::text = lower(name_or_id)) and a.status = 'active';
    if not found then
        return null;
    end if;
    perform identity.set_roles(target.id,
        array(select distinct unnest(identity.roles_of(target.id) || array['admin'])), null, null, null);
    return target.name;
end
$$;


ALTER FUNCTION identity.make_admin(name_or_id text) OWNER TO postgres;

--
-- Name: note_failure(text, text); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.note_failure(email text, address text) RETURNS void
    LANGUAGE sql
    AS $$
    insert into identity.sign_in_failure as f (key, failures, last_at, blocked_until)
    select k.key, 1, now(), now() from identity.failure_keys(email, address) k where k.key is not null order by k.key
    on conflict on constraint sign_in_failure_pkey do update set
        failures = case when f.last_at < now() - interval '30 minutes' then 1 else f.failures + 1 end,
        last_at = now(),
        blocked_until = now() + (
            select case
                when f.last_at < now() - interval '30 minutes' or f.failures + 1 < k.free then interval '0'
                else least(k.longest, interval '1 second' * power(2, least(f.failures + 1 - k.free, 20)))
            end
            from identity.failure_keys(note_failure.email, note_failure.address) k where k.key = f.key)
$$;


ALTER FUNCTION identity.note_failure(email text, address text) OWNER TO postgres;

--
-- Name: open_session(uuid, text, bytea, bytea, jsonb, text); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.open_session(account uuid, method text, password bytea, refresh bytea, client jsonb, known_kid text) RETURNS SETOF identity.granted
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    opened uuid;
begin
    -- Whoever suspends the account or changes how it signs in waits for us, or we for them.
    perform from identity.account a where a.id = account and a.status = 'active' for no key update;
    if not found
        or (open_session.password is not null and not identity.has_password(account, open_session.password))
        or (open_session.method = 'provider'
            and not exists (select from identity.external_identity e where e.account_id = account)) then
        return;
    end if;
    update identity.session s set revoked_at = clock_timestamp()
    where s.cookie_hash = decode(client ->> 'former_cookie', 'hex') and s.revoked_at is null;
    insert into identity.session as s (account_id, expires_at, method, address, user_agent, cookie_hash)
    values (account, now() + interval '30 days', open_session.method, client ->> 'address',
        left(client ->> 'user_agent', 200), decode(client ->> 'cookie', 'hex'))
    returning s.id into opened;
    insert into identity.refresh_token (hash, account_id, session_id, expires_at)
    values (refresh, account, opened, now() + interval '30 days');
    update identity.account a set authenticated_at = now() where a.id = account and a.authenticated_at is null;
    perform audit.record(account, 'session.opened', opened::text, true, client ->> 'address',
        client ->> 'request_id', jsonb_build_object('method', open_session.method));
    return query select g.* from identity.granted_of(opened, known_kid) g;
end
$$;


ALTER FUNCTION identity.open_session(account uuid, method text, password bytea, refresh bytea, client jsonb, known_kid text) OWNER TO postgres;

--
-- Name: outgoing_mail(uuid); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.outgoing_mail(link uuid) RETURNS jsonb
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select jsonb_build_object('to', p.email, 'name', a.name, 'purpose', l.purpose, 'expires_at', l.expires_at)
    from identity.link l
    join identity.account a on a.id = l.account_id and a.status <> 'deleted'
    join identity.person p on p.account_id = a.id
    where l.id = outgoing_mail.link and l.used_at is null and l.expires_at > now()
$$;


ALTER FUNCTION identity.outgoing_mail(link uuid) OWNER TO postgres;

--
-- Name: purge(integer); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.purge(most integer, OUT accounts bigint, OUT sessions bigint, OUT refresh_tokens bigint, OUT idempotency_keys bigint, OUT challenges bigint, OUT links bigint, OUT counters bigint) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    with gone as (
        delete from identity.account a where a.id in (
            select o.id from identity.account o
            where o.created_at < now() - interval '1 day' and o.authenticated_at is null and o.status = 'active'
            and not exists (select from identity.account_role r where r.account_id = o.id)
            and not exists (select from identity.person p where p.account_id = o.id and p.verified_at is not null)
            order by o.created_at limit most for update skip locked)
        returning 1
    ) select count(*) into accounts from gone;
    with gone as (
        delete from identity.session s where s.id in (
            select o.id from identity.session o where o.expires_at < now() - interval '1 day'
            order by o.expires_at limit most for update skip locked)
        returning 1
    ) select count(*) into sessions from gone;
    with gone as (
        delete from identity.refresh_token t where t.hash in (
            select o.hash from identity.refresh_token o where o.expires_at < now() - interval '1 day'
            order by o.expires_at limit most for update skip locked)
        returning 1
    ) select count(*) into refresh_tokens from gone;
    with gone as (
        delete from identity.idempotency_key k where (k.owner, k.key) in (
            select o.owner, o.key from identity.idempotency_key o
            where o.created_at < now() - interval '1 day'
            order by o.created_at limit most for update skip locked)
        returning 1
    ) select count(*) into idempotency_keys from gone;
    with gone as (
        delete from identity.used_challenge c where c.nonce in (
            select o.nonce from identity.used_challenge o where o.expires_at < now() - interval '1 minute'
            order by o.expires_at limit most for update skip locked)
        returning 1
    ) select count(*) into challenges from gone;
    with gone as (
        delete from identity.link l where l.id in (
            select o.id from identity.link o where o.expires_at < now() - interval '1 day'
            order by o.expires_at limit most for update skip locked)
        returning 1
    ), claims as (
        delete from identity.claim c where c.hash in (
            select o.hash from identity.claim o where o.expires_at < now()
            order by o.expires_at limit most for update skip locked)
        returning 1
    ), keys as (
        delete from identity.api_key k where k.id in (
            select o.id from identity.api_key o
            where o.revoked_at < now() - interval '30 days' or o.expires_at < now() - interval '30 days'
            limit most for update skip locked)
        returning 1
    ) select (select count(*) from gone) + (select count(*) from claims) + (select count(*) from keys) into links;
    with gone as (
        delete from identity.allowance a where a.bucket in (
            select o.bucket from identity.allowance o where o.ends_at < now() - interval '1 minute'
            order by o.ends_at limit most for update skip locked)
        returning 1
    ), failures as (
        delete from identity.sign_in_failure f where f.key in (
            select o.key from identity.sign_in_failure o where o.last_at < now() - interval '1 day'
            order by o.last_at limit most for update skip locked)
        returning 1
    ) select (select count(*) from gone) + (select count(*) from failures) into counters;
end
$$;


ALTER FUNCTION identity.purge(most integer, OUT accounts bigint, OUT sessions bigint, OUT refresh_tokens bigint, OUT idempotency_keys bigint, OUT challenges bigint, OUT links bigint, OUT counters bigint) OWNER TO postgres;

--
-- Name: refresh(bytea, bytea, jsonb, text); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.refresh(presented bytea, next bytea, client jsonb, known_kid text) RETURNS SETOF identity.granted
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    token identity.refresh_token;
    continued identity.session;
begin
    select * into token from identity.refresh_token t where t.hash = presented for update;
    if not found then
        perform audit.record(null, 'session.refused', null, false, client ->> 'address', client ->> 'request_id',
            '{"method": "refresh"}');
        return;
    end if;
    if token.used_at is not null then
        update identity.session s set revoked_at = clock_timestamp() where s.id = token.session_id and s.revoked_at is null;
        if found then
            perform audit.record(token.account_id, 'session.reused', token.session_id::text, false,
                client ->> 'address', client ->> 'request_id', '{}');
        end if;
        return;
    end if;
    update identity.session s set refreshed_at = now(), expires_at = now() + interval '30 days'
    from identity.account a
    where s.id = token.session_id and token.expires_at > now() and s.revoked_at is null
    and s.expires_at > now() and a.id = s.account_id and a.status = 'active'
    returning s.* into continued;
    if not found then
        return;
    end if;
    update identity.refresh_token t set used_at = now() where t.hash = presented;
    insert into identity.refresh_token (hash, account_id, session_id, expires_at)
    values (next, continued.account_id, continued.id, continued.expires_at);
    return query select g.* from identity.granted_of(continued.id, known_kid) g;
end
$$;


ALTER FUNCTION identity.refresh(presented bytea, next bytea, client jsonb, known_kid text) OWNER TO postgres;

--
-- Name: refuse(text); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.refuse(name text) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
    raise exception '%', name using errcode = 'check_violation', constraint = name;
end
$$;


ALTER FUNCTION identity.refuse(name text) OWNER TO postgres;

--
-- Name: refuse_access(uuid, text, text, text, text); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.refuse_access(actor uuid, subject text, address text, request_id text, scope text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if (identity.lease('refused:account:' || actor, 100, true) ->> 'granted')::integer > 0 then
        perform audit.record(actor, 'access.refused', refuse_access.subject, false, refuse_access.address,
            refuse_access.request_id, jsonb_build_object('scope', scope));
    end if;
end
$$;


ALTER FUNCTION identity.refuse_access(actor uuid, subject text, address text, request_id text, scope text) OWNER TO postgres;

--
-- Name: refuse_former_key(); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.refuse_former_key() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if exists (select from identity.former_key f where f.public_key = new.public_key) then
        raise exception 'a former key' using errcode = 'unique_violation', constraint = 'agent_public_key_key';
    end if;
    return new;
end
$$;


ALTER FUNCTION identity.refuse_former_key() OWNER TO postgres;

--
-- Name: refuse_sign_in(text, jsonb, text); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.refuse_sign_in(email text, client jsonb, method text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform identity.note_failure(refuse_sign_in.email, client ->> 'address');
    perform audit.record(null, 'session.refused',
        identity.holder_of(refuse_sign_in.email)::text, false, client ->> 'address', client ->> 'request_id', jsonb_build_object('method', refuse_sign_in.method));
end
$$;


ALTER FUNCTION identity.refuse_sign_in(email text, client jsonb, method text) OWNER TO postgres;

--
-- Name: register_admin(uuid, text, text, bytea, smallint, jsonb); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.register_admin(link uuid, email text, name text, password bytea, version smallint, client jsonb) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    made identity.account;
begin
    update identity.link l set used_at = now()
    where l.id = register_admin.link and l.purpose = 'admin' and l.used_at is null and l.expires_at > now();
    if not found then
        return null;
    end if;
    made := identity.register_person(register_admin.email, register_admin.name, register_admin.password,
        register_admin.version, client);
    perform identity.set_roles(made.id, '{admin}', made.id, client ->> 'address', client ->> 'request_id');
    return made.id;
end
$$;


ALTER FUNCTION identity.register_admin(link uuid, email text, name text, password bytea, version smallint, client jsonb) OWNER TO postgres;

--
-- Name: register_person(text, text, bytea, smallint, jsonb); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.register_person(email text, name text, password bytea, version smallint, client jsonb) RETURNS identity.account
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    made identity.account;
    owner uuid;
begin
    insert into identity.account as a (kind, name) values ('user', register_person.name) returning a.* into made;
    insert into identity.person (account_id, email, password, password_version, password_changed_at)
    values (made.id, register_person.email, register_person.password, register_person.version, now());
    select p.account_id into owner from identity.person p
    where p.email = register_person.email and p.verified_at is not null;
    if found then
        perform identity.mail(owner, 'registered', interval '1 day');
    else
        perform identity.mail(made.id, 'verify', interval '1 day');
    end if;
    perform audit.record(made.id, 'account.registered', made.id::text, true, client ->> 'address', client ->> 'request_id');
    return made;
end
$$;


ALTER FUNCTION identity.register_person(email text, name text, password bytea, version smallint, client jsonb) OWNER TO postgres;

--
-- Name: release_agent(uuid, uuid, jsonb); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.release_agent(agent uuid, actor uuid, client jsonb) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    update identity.agent g set owner_id = null
    where g.account_id = release_agent.agent and g.owner_id is not null
    and actor in (g.owner_id, g.account_id);
    if not found then
        return false;
    end if;
    perform audit.record(actor, 'agent.released', release_agent.agent::text, true, client ->> 'address', client ->> 'request_id');
    return true;
end
$$;


ALTER FUNCTION identity.release_agent(agent uuid, actor uuid, client jsonb) OWNER TO postgres;

--
-- Name: remove_passkey(uuid, uuid, jsonb); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.remove_passkey(account uuid, passkey uuid, client jsonb) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    delete from identity.passkey p where p.id = passkey and p.account_id = account;
    if not found then
        return false;
    end if;
    perform identity.tell(account, 'passkey-removed');
    perform audit.record(account, 'passkey.removed', passkey::text, true, client ->> 'address', client ->> 'request_id');
    return true;
end
$$;


ALTER FUNCTION identity.remove_passkey(account uuid, passkey uuid, client jsonb) OWNER TO postgres;

--
-- Name: remove_totp(uuid, jsonb); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.remove_totp(account uuid, client jsonb) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if not identity.drop_second_factor(account) then
        return false;
    end if;
    perform audit.record(account, 'second-factor.removed', account::text, true, client ->> 'address', client ->> 'request_id');
    return true;
end
$$;


ALTER FUNCTION identity.remove_totp(account uuid, client jsonb) OWNER TO postgres;

--
-- Name: require_active(uuid); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.require_active(account uuid) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
    perform from identity.account a where a.id = account and a.status = 'active' for no key update;
    if not found then
        perform identity.refuse('account_active');
    end if;
end
$$;


ALTER FUNCTION identity.require_active(account uuid) OWNER TO postgres;

--
-- Name: require_session(uuid, uuid); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.require_session(account uuid, session uuid) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
    perform identity.require_active(account);
    if not exists (select from identity.session s
            where s.id = session and s.account_id = account and s.revoked_at is null) then
        perform identity.refuse('account_active');
    end if;
end
$$;


ALTER FUNCTION identity.require_session(account uuid, session uuid) OWNER TO postgres;

--
-- Name: roles_of(uuid); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.roles_of(account uuid) RETURNS text[]
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select coalesce(
        (select array_agg(r.name order by r.rank) from identity.account_role g
         join identity.role r on r.name = g.role where g.account_id = account),
        (select array[case a.kind when 'agent' then 'developer' else 'user' end]
         from identity.account a where a.id = account))
$$;


ALTER FUNCTION identity.roles_of(account uuid) OWNER TO postgres;

--
-- Name: rotate_agent_key(uuid, bytea, bytea, jsonb); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.rotate_agent_key(account uuid, old bytea, new bytea, client jsonb) RETURNS SETOF identity.agent_profile
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    since timestamptz;
begin
    perform from identity.account a where a.id = account for update;
    select g.key_since into since from identity.agent g
    where g.account_id = account and g.public_key = old for update;
    if not found then
        return;
    end if;
    update identity.agent g set public_key = new, key_since = now() where g.account_id = account;
    insert into identity.former_key (public_key, account_id, created_at) values (old, account, since);
    perform identity.end_sessions(account);
    perform identity.end_keys(account);
    perform audit.record(account, 'agent.key-rotated', account::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('key', encode(new, 'base64')));
    return query select p.* from identity.agent_profile p where p.id = account;
end
$$;


ALTER FUNCTION identity.rotate_agent_key(account uuid, old bytea, new bytea, client jsonb) OWNER TO postgres;

--
-- Name: rotate_signing_key(); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.rotate_signing_key() RETURNS void
    LANGUAGE sql
    AS $$
    update identity.signing_key set retired_at = now(), sealed = null where retired_at is null;
    select audit.record(null, 'signing-key.rotated', null, true, null, null)
$$;


ALTER FUNCTION identity.rotate_signing_key() OWNER TO postgres;

--
-- Name: scopes_of(uuid); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.scopes_of(account uuid) RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select string_agg(distinct s.scope, ' ' order by s.scope)
    from identity.role r cross join lateral unnest(r.scopes) as s (scope)
    where r.name = any(identity.roles_of(account))
$$;


ALTER FUNCTION identity.scopes_of(account uuid) OWNER TO postgres;

--
-- Name: session_of_key(bytea); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.session_of_key(key bytea) RETURNS uuid
    LANGUAGE sql IMMUTABLE
    AS $$
    select encode(substr(sha256(key), 1, 16), 'hex')::uuid
$$;


ALTER FUNCTION identity.session_of_key(key bytea) OWNER TO postgres;

--
-- Name: set_member(uuid, uuid, text, uuid, jsonb); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.set_member(team uuid, account uuid, role text, actor uuid, client jsonb) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform from identity.team t where t.id = set_member.team for update;
    if not found then
        return false;
    end if;
    -- Who leaves at this moment goes before us, or is taken out after us.
    perform from identity.account a where a.id = set_member.account for share;
    if set_member.role is null then
        delete from identity.team_member m where m.team_id = set_member.team and m.account_id = set_member.account;
    else
        insert into identity.team_member as m (team_id, account_id, role)
        select set_member.team, a.id, set_member.role from identity.account a
        where a.id = set_member.account and a.status <> 'deleted'
        on conflict on constraint team_member_pkey do update set role = excluded.role;
    end if;
    if not found then
        return false;
    end if;
    if not exists (select from identity.team_member m where m.team_id = set_member.team and m.role = 'owner') then
        perform identity.refuse('team_last_owner');
    end if;
    perform audit.record(actor, 'team.member-changed', set_member.team::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('account', set_member.account, 'role', set_member.role));
    return true;
end
$$;


ALTER FUNCTION identity.set_member(team uuid, account uuid, role text, actor uuid, client jsonb) OWNER TO postgres;

--
-- Name: set_password(uuid, uuid, bytea, bytea, smallint, uuid, jsonb); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.set_password(account uuid, link uuid, old bytea, password bytea, version smallint, but uuid, client jsonb) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    target uuid := account;
    changed identity.person;
    first_proof boolean := false;
begin
    if link is not null then
        select l.account_id into target from identity.link l where l.id = set_password.link;
    end if;
    -- Who opens a session at this moment goes before us, and is ended, or comes after us, and is refused. The account
    -- before its links, as those do who leave; and who mails it refers to it without waiting for us.
    perform from identity.account a where a.id = target for no key update;
    if link is null then
        if not identity.has_password(target, set_password.old) then
            return false;
        end if;
    else
        update identity.link l set used_at = now()
        where l.id = set_password.link and l.purpose = 'reset' and l.used_at is null and l.expires_at > now();
        if not found then
            return false;
        end if;
        -- Whatever else was asked for is void too.
        update identity.link l set used_at = now()
        where l.account_id = target and l.purpose = 'reset' and l.used_at is null;
        -- Whoever had the password, or had registered with somebody else's address, keeps nothing.
        perform identity.end_keys(target);
        select p.verified_at is null into first_proof from identity.person p where p.account_id = target;
        if first_proof or exists (select from identity.person p
                where p.account_id = target and p.totp_confirmed_at > now() - interval '7 days') then
            perform identity.drop_second_factor(target);
        end if;
        if first_proof then
            delete from identity.external_identity e where e.account_id = target;
        end if;
    end if;
    update identity.person p set password = set_password.password, password_version = set_password.version,
        password_changed_at = now(),
        -- Who has the link reads the mail. Another account may have proved the address meanwhile.
        verified_at = case when link is null or exists (select from identity.person o
                where o.email = p.email and o.verified_at is not null and o.account_id <> p.account_id)
            then p.verified_at else coalesce(p.verified_at, now()) end
    where p.account_id = target returning p.* into changed;
    if not found then
        return false;
    end if;
    perform identity.end_sessions(target, but);
    perform identity.forgive(target, changed.email, client ->> 'address', link is not null);
    perform identity.mail(target, 'password-changed', interval '1 day');
    perform audit.record(target, 'password.changed', target::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('by', case when link is null then 'password' else 'link' end));
    return true;
end
$$;


ALTER FUNCTION identity.set_password(account uuid, link uuid, old bytea, password bytea, version smallint, but uuid, client jsonb) OWNER TO postgres;

--
-- Name: account_view; Type: VIEW; Schema: identity; Owner: postgres
--

CREATE VIEW identity.account_view AS
 SELECT a.id,
    a.kind,
    a.name,
    a.status,
    identity.roles_of(a.id) AS roles,
    string_to_array(identity.scopes_of(a.id), ' '::text) AS scopes,
    a.created_at
   FROM identity.account a;


ALTER TABLE identity.account_view OWNER TO postgres;

--
-- Name: set_roles(uuid, text[], uuid, text, text); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.set_roles(account uuid, roles text[], actor uuid, address text, request_id text) RETURNS SETOF identity.account_view
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    before text[];
    was_admin boolean;
begin
    perform identity.lock_admins();
    before := identity.roles_of(account);
    was_admin := 'admin' = any(before);
    update identity.account a set generation = a.generation + 1, changed_at = clock_timestamp()
    where a.id = account and a.status <> 'deleted';
    if not found then
        return;
    end if;
    delete from identity.account_role g where g.account_id = account and g.role <> all(set_roles.roles);
    insert into identity.account_role (account_id, role, granted_by)
    select account, role, actor from unnest(set_roles.roles) as role on conflict do nothing;
    if was_admin then
        perform identity.keep_an_admin();
    end if;
    perform audit.record(actor, 'roles.changed', account::text, true, set_roles.address, set_roles.request_id,
        jsonb_build_object('before', before, 'after', identity.roles_of(account)));
    return query select v.* from identity.account_view v where v.id = account;
end
$$;


ALTER FUNCTION identity.set_roles(account uuid, roles text[], actor uuid, address text, request_id text) OWNER TO postgres;

--
-- Name: set_status(uuid, text, text, uuid, boolean, text, text); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.set_status(account uuid, status text, reason text, actor uuid, is_admin boolean, address text, request_id text) RETURNS SETOF identity.account_view
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform identity.lock_admins();
    update identity.account a
    set status = set_status.status, generation = a.generation + 1, changed_at = clock_timestamp(),
        suspended_by = case when set_status.status = 'suspended' then actor end
    where a.id = account and a.status <> 'deleted'
    and (a.status <> set_status.status
        -- What an admin imposes, the owner can't lift, even if it was the owner's before.
        or (is_admin and set_status.status = 'suspended' and a.suspended_by is distinct from actor))
    and (is_admin or (
        exists (select from identity.agent g where g.account_id = a.id and g.owner_id = actor)
        and (a.status <> 'suspended' or a.suspended_by = actor)));
    if not found then
        -- It is as it shall be, or it is not theirs to decide.
        return query select v.* from identity.account_view v
        where v.id = account and v.status = set_status.status
        and (is_admin or exists (select from identity.agent g where g.account_id = v.id and g.owner_id = actor));
        return;
    end if;
    if set_status.status = 'suspended' then
        perform identity.end_sessions(account);
        if 'admin' = any(identity.roles_of(account)) then
            perform identity.keep_an_admin();
        end if;
    end if;
    perform audit.record(actor, 'account.' || case set_status.status when 'active' then 'reinstated' else 'suspended' end,
        account::text, true, set_status.address, set_status.request_id,
        case when reason is null then '{}' else jsonb_build_object('reason', reason) end);
    return query select v.* from identity.account_view v where v.id = account;
end
$$;


ALTER FUNCTION identity.set_status(account uuid, status text, reason text, actor uuid, is_admin boolean, address text, request_id text) OWNER TO postgres;

--
-- Name: set_totp(uuid, bytea); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.set_totp(account uuid, secret bytea) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    update identity.person p set totp_secret = secret, totp_step = null
    where p.account_id = account and p.totp_confirmed_at is null;
    return found;
end
$$;


ALTER FUNCTION identity.set_totp(account uuid, secret bytea) OWNER TO postgres;

--
-- Name: share(integer, boolean); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.share(free integer, exact boolean) RETURNS integer
    LANGUAGE sql IMMUTABLE
    AS $$
    select case when free <= 0 then 0 when exact then 1 else greatest(1, least(free / 128, 256)) end
$$;


ALTER FUNCTION identity.share(free integer, exact boolean) OWNER TO postgres;

--
-- Name: sign_in_agent(bytea, bytea, timestamp with time zone, bytea, jsonb, text); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.sign_in_agent(key bytea, nonce bytea, expires timestamp with time zone, refresh bytea, client jsonb, known_kid text) RETURNS SETOF identity.granted
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    account uuid;
begin
    delete from identity.used_challenge u where u.nonce in (
        select o.nonce from identity.used_challenge o where o.expires_at < now() - interval '1 minute'
        order by o.expires_at limit 5 for update skip locked);
    select a.id into account from identity.agent g join identity.account a on a.id = g.account_id
    where g.public_key = key and a.status = 'active';
    -- Whoever rotates the key waits for us, or we for them, and then it is another one.
    perform from identity.account a where a.id = account for no key update;
    if account is not null and not exists (
        select from identity.agent g where g.account_id = account and g.public_key = key) then
        account := null;
    end if;
    if account is not null then
        insert into identity.used_challenge (nonce, expires_at) values (sign_in_agent.nonce, expires)
        on conflict do nothing;
        if found then
            return query select g.* from identity.open_session(account, 'key', null, refresh, client, known_kid) g;
            return;
        end if;
    end if;
    perform audit.record(null, 'session.refused', coalesce(account::text, encode(key, 'base64')), false,
        client ->> 'address', client ->> 'request_id', '{"method": "key"}');
end
$$;


ALTER FUNCTION identity.sign_in_agent(key bytea, nonce bytea, expires timestamp with time zone, refresh bytea, client jsonb, known_kid text) OWNER TO postgres;

--
-- Name: sign_in_delay(text, text); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.sign_in_delay(email text, address text) RETURNS integer
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select coalesce(ceil(extract(epoch from max(f.blocked_until) - now())), 0)::integer
    from identity.failure_keys(email, address) k
    join identity.sign_in_failure f on f.key = k.key and f.blocked_until > now()
    where not (k.key like 'email:%' and exists (
        select from identity.session s where s.account_id = identity.holder_of(sign_in_delay.email)
        and s.address = sign_in_delay.address))
$$;


ALTER FUNCTION identity.sign_in_delay(email text, address text) OWNER TO postgres;

--
-- Name: sign_in_with_passkey(uuid, bytea, bytea, boolean, bytea, timestamp with time zone, bytea, jsonb, text); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.sign_in_with_passkey(passkey uuid, former bytea, changing bytea, backed_up boolean, nonce bytea, expires timestamp with time zone, refresh bytea, client jsonb, known_kid text) RETURNS SETOF identity.granted
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    account uuid := (select p.account_id from identity.passkey p where p.id = passkey);
begin
    -- Whoever resets the password, which removes passkeys, waits for us, or we for them.
    perform from identity.account a where a.id = account for no key update;
    insert into identity.used_challenge (nonce, expires_at) values (sign_in_with_passkey.nonce, expires)
    on conflict do nothing;
    if found then
        update identity.passkey p set dynamic_state = changing, backed_up = sign_in_with_passkey.backed_up, last_used_at = now()
        where p.id = passkey and p.dynamic_state = former;
        if found then
            return query select g.* from identity.open_session(account, 'passkey', null, refresh, client, known_kid) g;
            if found then
                return;
            end if;
        end if;
    end if;
    perform audit.record(null, 'session.refused', account::text, false, client ->> 'address', client ->> 'request_id',
        '{"method": "passkey"}');
end
$$;


ALTER FUNCTION identity.sign_in_with_passkey(passkey uuid, former bytea, changing bytea, backed_up boolean, nonce bytea, expires timestamp with time zone, refresh bytea, client jsonb, known_kid text) OWNER TO postgres;

--
-- Name: signed_by(bytea, bytea, timestamp with time zone); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.signed_by(key bytea, nonce bytea, expires timestamp with time zone) RETURNS jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    known jsonb;
begin
    select jsonb_build_object('id', a.id, 'kind', a.kind, 'generation', a.generation,
        'session', identity.session_of_key(g.public_key),
        'via', 'signature', 'expires', null, 'scope', identity.scopes_of(a.id))
    into known
    from identity.agent g join identity.account a on a.id = g.account_id
    where g.public_key = key and a.status = 'active';
    if known is null then
        return null;
    end if;
    insert into identity.used_challenge (nonce, expires_at) values (signed_by.nonce, signed_by.expires)
    on conflict do nothing;
    if not found then
        return null;
    end if;
    update identity.account a set authenticated_at = now()
    where a.id = (known ->> 'id')::uuid and a.authenticated_at is null;
    return known;
end
$$;


ALTER FUNCTION identity.signed_by(key bytea, nonce bytea, expires timestamp with time zone) OWNER TO postgres;

--
-- Name: tell(uuid, text); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.tell(account uuid, purpose text) RETURNS void
    LANGUAGE sql
    AS $$
    select identity.mail(p.account_id, tell.purpose, interval '1 day')
    from identity.person p where p.account_id = tell.account and p.verified_at is not null
$$;


ALTER FUNCTION identity.tell(account uuid, purpose text) OWNER TO postgres;

--
-- Name: tell_owner(); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.tell_owner() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    -- Who was made by this very transaction knows.
    if exists (select from identity.account a where a.id = new.account_id and a.created_at < now()) then
        perform identity.tell(new.account_id, tg_argv[0]);
    end if;
    return null;
end
$$;


ALTER FUNCTION identity.tell_owner() OWNER TO postgres;

--
-- Name: use_second_factor(uuid, bigint, bytea); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.use_second_factor(account uuid, step bigint, code bytea) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    if step is not null then
        update identity.person p set totp_step = step
        where p.account_id = account and (p.totp_step is null or p.totp_step < step);
    else
        update identity.recovery_code r set used_at = now()
        where r.account_id = account and r.hash = code and r.used_at is null;
    end if;
    return found;
end
$$;


ALTER FUNCTION identity.use_second_factor(account uuid, step bigint, code bytea) OWNER TO postgres;

--
-- Name: verify_again(uuid); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.verify_again(account uuid) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform from identity.person p where p.account_id = account and p.verified_at is null and p.password is not null
    and not exists (select from identity.person o where o.email = p.email and o.verified_at is not null);
    if found then
        perform identity.mail(account, 'verify', interval '1 day');
    end if;
end
$$;


ALTER FUNCTION identity.verify_again(account uuid) OWNER TO postgres;

--
-- Name: verify_email(uuid, bytea, jsonb); Type: FUNCTION; Schema: identity; Owner: postgres
--

CREATE FUNCTION identity.verify_email(link uuid, password bytea, client jsonb) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    account uuid;
begin
    update identity.link l set used_at = now()
    where l.id = verify_email.link and l.purpose = 'verify' and l.used_at is null and l.expires_at > now()
    and identity.has_password(l.account_id, verify_email.password)
    returning l.account_id into account;
    if not found then
        return false;
    end if;
    update identity.person p set verified_at = coalesce(p.verified_at, now()) where p.account_id = account;
    perform audit.record(account, 'email.verified', account::text, true, client ->> 'address', client ->> 'request_id');
    return true;
end
$$;


ALTER FUNCTION identity.verify_email(link uuid, password bytea, client jsonb) OWNER TO postgres;

--
-- Name: begin(text, jsonb); Type: FUNCTION; Schema: jobs; Owner: postgres
--

CREATE FUNCTION jobs.begin(worker text, claimed jsonb) RETURNS SETOF jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
declare
    ids bigint[] := array(select (c ->> 'queue_id')::bigint from jsonb_array_elements(claimed) c);
    number integer;
begin
    if exists (select from jsonb_array_elements(claimed) c where not coalesce(c -> 'payload' ? 'job', false)) then
        insert into jobs.job (kind, payload, max_attempts, queue_id)
        select c.kind, coalesce(c.payload, '{}'), jobs.max_attempts(c.kind), c.queue_id
        from jsonb_to_recordset(claimed) as c (queue_id bigint, kind text, payload jsonb)
        where not coalesce(c.payload ? 'job', false)
        on conflict (queue_id) where queue_id is not null do nothing;
    end if;

    return query
    with lost as (
        insert into jobs.attempt (job_id, number, worker, started_at, outcome, error)
        select j.id, j.attempts, j.worker, j.started_at, 'lost', 'The worker that ran it was lost.'
        from jobs.job j where j.queue_id = any (ids) and j.status = 'running'
        on conflict do nothing
    )
    update jobs.job j
    set status = 'running', attempts = j.attempts + 1, worker = begin.worker, percent = 0, note = '',
        started_at = clock_timestamp(),
        -- It may have been asked for before any worker told how often to try.
        max_attempts = case j.attempts when 0 then jobs.max_attempts(j.kind) else j.max_attempts end
    where j.queue_id = any (ids) and j.cancel_requested_at is null
    and (j.status <> 'running' or j.attempts < j.max_attempts)
    returning jsonb_build_object('id', j.id, 'queue_id', j.queue_id, 'kind', j.kind, 'attempt', j.attempts,
        'max_attempts', j.max_attempts, 'owner', j.owner_id, 'payload', j.payload);
    get diagnostics number = row_count;
    if number < cardinality(ids) then
        perform jobs.end_unfit(worker, ids);
    end if;
end
$$;


ALTER FUNCTION jobs.begin(worker text, claimed jsonb) OWNER TO postgres;

--
-- Name: cancel(uuid, uuid); Type: FUNCTION; Schema: jobs; Owner: postgres
--

CREATE FUNCTION jobs.cancel(job uuid, owner uuid) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    target jobs.job;
begin
    select j.* into target from jobs.job j
    where j.id = cancel.job and (cancel.owner is null or j.owner_id = cancel.owner) for update;
    if target.status in ('queued', 'failed') then
        -- If a worker has just claimed it, the queue's row stays until that finds out.
        delete from graphile_worker._private_jobs q where q.id = target.queue_id and q.locked_at is null;
        update jobs.job j
        set status = 'cancelled', cancel_requested_at = now(), finished_at = now(), queue_id = null
        where j.id = target.id;
        if target.owner_id is not null then
            insert into events.event (topic, type, data)
            values ('job:' || target.id, 'job.cancelled',
                jobs.event_data(target.id, target.kind, 'cancelled', target.percent, target.note));
        end if;
        return 'cancelled';
    elsif target.status = 'running' then
        update jobs.job j set cancel_requested_at = coalesce(j.cancel_requested_at, now()) where j.id = target.id;
        perform pg_notify('jobs:cancel', target.id::text);
    end if;
    return target.status;
end
$$;


ALTER FUNCTION jobs.cancel(job uuid, owner uuid) OWNER TO postgres;

--
-- Name: check_transition(); Type: FUNCTION; Schema: jobs; Owner: postgres
--

CREATE FUNCTION jobs.check_transition() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    if not (case old.status
        when 'queued' then new.status in ('running', 'cancelled', 'dead')
        when 'failed' then new.status in ('running', 'cancelled', 'dead')
        when 'running' then new.status in ('succeeded', 'failed', 'dead', 'cancelled', 'queued')
        when 'dead' then new.status = 'queued'
        else false
    end) then
        raise exception 'a job that is % cannot become %', old.status, new.status
            using errcode = 'check_violation', constraint = 'job_transition';
    end if;
    return new;
end
$$;


ALTER FUNCTION jobs.check_transition() OWNER TO postgres;

--
-- Name: count_deleted(); Type: FUNCTION; Schema: jobs; Owner: postgres
--

CREATE FUNCTION jobs.count_deleted() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    insert into jobs.count_change
    select kind, status, -count(*) from changed group by kind, status;
    return null;
end
$$;


ALTER FUNCTION jobs.count_deleted() OWNER TO postgres;

--
-- Name: count_inserted(); Type: FUNCTION; Schema: jobs; Owner: postgres
--

CREATE FUNCTION jobs.count_inserted() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    insert into jobs.count_change
    select kind, status, count(*) from changed group by kind, status;
    return null;
end
$$;


ALTER FUNCTION jobs.count_inserted() OWNER TO postgres;

--
-- Name: count_updated(); Type: FUNCTION; Schema: jobs; Owner: postgres
--

CREATE FUNCTION jobs.count_updated() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    insert into jobs.count_change
    select kind, status, sum(change) from (
        select kind, status, 1 as change from changed
        union all select kind, status, -1 from before
    ) c group by kind, status having sum(change) <> 0;
    return null;
end
$$;


ALTER FUNCTION jobs.count_updated() OWNER TO postgres;

--
-- Name: drop_idle_queues(); Type: FUNCTION; Schema: jobs; Owner: postgres
--

CREATE FUNCTION jobs.drop_idle_queues() RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
    if not exists (
        select from graphile_worker._private_job_queues q
        where q.locked_at is null
        and not exists (select from graphile_worker._private_jobs j where j.job_queue_id = q.id)
    ) then
        return;
    end if;
    set local lock_timeout = '50ms';
    begin
        lock table graphile_worker._private_jobs in share row exclusive mode;
        delete from graphile_worker._private_job_queues q
        where q.locked_at is null
        and not exists (select from graphile_worker._private_jobs j where j.job_queue_id = q.id);
    exception when lock_not_available then null;
    end;
    set local lock_timeout = 0;
end
$$;


ALTER FUNCTION jobs.drop_idle_queues() OWNER TO postgres;

--
-- Name: end_unfit(text, bigint[]); Type: FUNCTION; Schema: jobs; Owner: postgres
--

CREATE FUNCTION jobs.end_unfit(worker text, ids bigint[]) RETURNS void
    LANGUAGE sql
    AS $_$
    with unfit as (
        select q.id, q.job_queue_id from graphile_worker._private_jobs q
        where q.id = any (ids) and q.locked_by = $1
        and not exists (select from jobs.job j
            -- Begun in this transaction, that is.
            where j.queue_id = q.id and j.status = 'running' and j.xmin = pg_current_xact_id()::xid)
    ), ended as (
        update jobs.job j
        set status = case when j.cancel_requested_at is null then 'dead' else 'cancelled' end,
            error = case when j.cancel_requested_at is null then 'The worker that ran it was lost.' end,
            finished_at = now(), queue_id = null
        from unfit u where j.queue_id = u.id
        returning j.*
    ), told as (
        insert into events.event (topic, type, data)
        select 'job:' || e.id, 'job.' || e.status, jobs.event_data(e.id, e.kind, e.status, e.percent, e.note)
        from ended e where e.owner_id is not null
    ), dropped as (
        delete from graphile_worker._private_jobs q using unfit u where q.id = u.id
    )
    update graphile_worker._private_job_queues q set locked_by = null, locked_at = null
    from unfit u where q.id = u.job_queue_id and q.locked_by = $1
$_$;


ALTER FUNCTION jobs.end_unfit(worker text, ids bigint[]) OWNER TO postgres;

--
-- Name: enqueue(text, jsonb, uuid, text, timestamp with time zone, text, integer); Type: FUNCTION; Schema: jobs; Owner: postgres
--

CREATE FUNCTION jobs.enqueue(kind text, payload jsonb DEFAULT '{}'::jsonb, owner uuid DEFAULT NULL::uuid, key text DEFAULT NULL::text, run_at timestamp with time zone DEFAULT NULL::timestamp with time zone, queue text DEFAULT NULL::text, priority integer DEFAULT 0) RETURNS uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    job uuid;
    queued bigint;
begin
    -- The caller's own role, not the one that this function runs as. Its owner may do all.
    if session_user <> current_user and not exists (
        select from jobs.enqueuer e where e.role = session_user and e.kind = enqueue.kind
    ) then
        raise exception 'the role % may not enqueue jobs of the kind %', session_user, enqueue.kind
            using errcode = 'insufficient_privilege',
                hint = 'add a row to jobs.enqueuer in a migration';
    end if;
    if char_length(enqueue.queue) not between 1 and 128 then
        raise exception 'a queue''s name has 1 to 128 characters' using errcode = 'check_violation';
    end if;
    if enqueue.key is not null then
        perform pg_advisory_xact_lock(
            hashtextextended(concat_ws('/', enqueue.kind, enqueue.owner::text, enqueue.key), 1));
        select j.id into job from jobs.job j
        where j.kind = enqueue.kind and j.owner_id is not distinct from enqueue.owner
        and j.key = enqueue.key and j.finished_at is null;
        if found then
            return job;
        end if;
    end if;
    job := platform.uuid_v7();
    queued := jobs.put(job, enqueue.kind, enqueue.run_at, enqueue.queue, enqueue.priority);
    insert into jobs.job (id, kind, owner_id, key, payload, max_attempts, run_at, queue_id)
    values (job, enqueue.kind, enqueue.owner, enqueue.key, coalesce(enqueue.payload, '{}'),
        jobs.max_attempts(enqueue.kind), coalesce(enqueue.run_at, now()), queued);
    return job;
end
$$;


ALTER FUNCTION jobs.enqueue(kind text, payload jsonb, owner uuid, key text, run_at timestamp with time zone, queue text, priority integer) OWNER TO postgres;

--
-- Name: event_data(uuid, text, text, smallint, text); Type: FUNCTION; Schema: jobs; Owner: postgres
--

CREATE FUNCTION jobs.event_data(id uuid, kind text, status text, percent smallint, note text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    AS $$
    select jsonb_build_object('id', id, 'kind', kind, 'status', status,
        'progress', jsonb_build_object('percent', percent, 'note', note))
$$;


ALTER FUNCTION jobs.event_data(id uuid, kind text, status text, percent smallint, note text) OWNER TO postgres;

--
-- Name: finish(text, jsonb); Type: FUNCTION; Schema: jobs; Owner: postgres
--

CREATE FUNCTION jobs.finish(worker text, outcomes jsonb) RETURNS SETOF uuid
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
declare
    done uuid[];
begin
    -- Unlike all else that a worker writes, see its role.
    perform set_config('synchronous_commit', 'on', true);
    with given as (
        select o.*, coalesce(o.delay_ms, 0) * interval '1 millisecond' as delay
        from jsonb_to_recordset(outcomes) as o (id uuid, queue_id bigint, attempt integer,
            outcome text, result jsonb, error text, delay_ms bigint)
    ), ended as (
        update jobs.job j
        set status = jobs.next_status(o.outcome, j),
            attempts = j.attempts - (o.outcome = 'returned')::integer,
            percent = case o.outcome when 'succeeded' then 100 when 'returned' then 0 else j.percent end,
            result = o.result,
            error = o.error,
            run_at = case o.outcome when 'failed' then now() + o.delay else j.run_at end,
            queue_id = case when jobs.next_status(o.outcome, j) in ('failed', 'queued') then j.queue_id end,
            finished_at = case when jobs.next_status(o.outcome, j) not in ('failed', 'queued')
                then clock_timestamp() end
        from given o
        where j.id = o.id and j.queue_id = o.queue_id and j.status = 'running' and j.attempts = o.attempt
        and j.worker = finish.worker
        returning j.id, j.status, j.started_at, o.queue_id, o.attempt, o.error, o.delay
    ), noted as (
        insert into jobs.attempt (job_id, number, worker, started_at, outcome, error)
        select e.id, e.attempt, finish.worker, e.started_at, 'failed', coalesce(e.error, '')
        from ended e where e.status in ('failed', 'dead')
        on conflict do nothing
    ), dropped as (
        delete from graphile_worker._private_jobs q using ended e
        where q.id = e.queue_id and e.status not in ('failed', 'queued')
        returning q.job_queue_id
    ), again as (
        update graphile_worker._private_jobs q
        set locked_by = null, locked_at = null, updated_at = now(), last_error = e.error,
            run_at = case e.status when 'failed' then now() + e.delay else q.run_at end
        from ended e where q.id = e.queue_id and e.status in ('failed', 'queued')
        returning q.job_queue_id
    ), freed as (
        update graphile_worker._private_job_queues q set locked_by = null, locked_at = null
        from (select job_queue_id from dropped union all select job_queue_id from again) e
        where q.id = e.job_queue_id and q.locked_by = finish.worker
    )
    select array_agg(e.id) into done from ended e;

    insert into events.event (topic, type, data)
    select 'job:' || j.id, 'job.' || j.status, jobs.event_data(j.id, j.kind, j.status, j.percent, j.note)
    from jobs.job j where j.id = any (done) and j.owner_id is not null;
    return query select unnest(done);
end
$$;


ALTER FUNCTION jobs.finish(worker text, outcomes jsonb) OWNER TO postgres;

--
-- Name: give_back_unknown(text, bigint[]); Type: FUNCTION; Schema: jobs; Owner: postgres
--

CREATE FUNCTION jobs.give_back_unknown(worker text, known bigint[]) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select graphile_worker._private_return_jobs(give_back_unknown.worker, array_agg(q.id))
    from graphile_worker._private_jobs q
    where q.locked_by = give_back_unknown.worker and q.id <> all (known)
    having count(*) > 0
$$;


ALTER FUNCTION jobs.give_back_unknown(worker text, known bigint[]) OWNER TO postgres;

--
-- Name: heartbeat(text, jsonb, bigint[]); Type: FUNCTION; Schema: jobs; Owner: postgres
--

CREATE FUNCTION jobs.heartbeat(worker text, about jsonb, running bigint[]) RETURNS SETOF jsonb
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
begin
    perform graphile_worker.worker_heartbeat(heartbeat.worker, about::json);
    -- A clock that was set back leaves heartbeats in the future, which would never grow old.
    update graphile_worker._private_workers set last_heartbeat_at = now() where last_heartbeat_at > now();
    return query
    select jsonb_build_object('queue_id', q.id, 'cancel', j.cancel_requested_at is not null)
    from graphile_worker._private_jobs q join jobs.job j on j.queue_id = q.id
    where q.id = any (running) and q.locked_by = heartbeat.worker;
end
$$;


ALTER FUNCTION jobs.heartbeat(worker text, about jsonb, running bigint[]) OWNER TO postgres;

--
-- Name: maintain(interval, interval, interval); Type: FUNCTION; Schema: jobs; Owner: postgres
--

CREATE FUNCTION jobs.maintain(keep interval, keep_dead interval, lease interval) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    summary jsonb;
    tuples jsonb;
begin
    if not pg_try_advisory_xact_lock(hashtext('jobs.maintain')) then
        return;
    end if;
    with taken as (
        delete from jobs.count_change returning kind, status, change
    )
    insert into jobs.count_total as t (kind, status, count)
    select kind, status, sum(change) from taken group by kind, status
    on conflict (kind, status) do update set count = t.count + excluded.count;

    delete from jobs.job j where j.id in (
        select f.id from jobs.job f
        where f.finished_at < now() - case f.status when 'dead' then keep_dead else keep end
        order by f.finished_at limit 10000);

    perform jobs.drop_idle_queues();
    perform events.maintain('7 days');

    summary := jobs.summary(lease);
    select jsonb_build_object('dead_tuples', sum(n_dead_tup), 'live_tuples', sum(n_live_tup)) into tuples
    from pg_stat_user_tables
    where relid in ('jobs.job'::regclass, 'graphile_worker._private_jobs'::regclass);
    -- Vacuum can't keep up where an old transaction keeps every row version alive.
    perform platform.report_health('queue',
        case when coalesce((summary ->> 'oldest_queued_ms')::bigint, 0) > 300000
            or coalesce((tuples ->> 'dead_tuples')::bigint, 0) > 100000
                + coalesce((tuples ->> 'live_tuples')::bigint, 0)
        then 'degraded' else 'healthy' end,
        tuples || jsonb_build_object('oldest_queued_ms', summary -> 'oldest_queued_ms'));
    perform platform.report_health('workers', 'healthy', jsonb_build_object('alive', summary -> 'workers'));
end
$$;


ALTER FUNCTION jobs.maintain(keep interval, keep_dead interval, lease interval) OWNER TO postgres;

--
-- Name: max_attempts(text); Type: FUNCTION; Schema: jobs; Owner: postgres
--

CREATE FUNCTION jobs.max_attempts(kind text) RETURNS integer
    LANGUAGE sql STABLE
    AS $$
    select coalesce((select k.max_attempts from jobs.kind k where k.name = kind), 5)
$$;


ALTER FUNCTION jobs.max_attempts(kind text) OWNER TO postgres;

--
-- Name: job; Type: TABLE; Schema: jobs; Owner: postgres
--

CREATE TABLE jobs.job (
    id uuid DEFAULT platform.uuid_v7() NOT NULL,
    kind text NOT NULL,
    owner_id uuid,
    key text,
    payload jsonb DEFAULT '{}'::jsonb NOT NULL,
    status text DEFAULT 'queued'::text NOT NULL,
    percent smallint DEFAULT 0 NOT NULL,
    note text DEFAULT ''::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    max_attempts integer NOT NULL,
    result jsonb,
    error text,
    queue_id bigint,
    worker text,
    cancel_requested_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    run_at timestamp with time zone DEFAULT now() NOT NULL,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    CONSTRAINT job_finished CHECK (((finished_at IS NOT NULL) = (status = ANY (ARRAY['succeeded'::text, 'dead'::text, 'cancelled'::text])))),
    CONSTRAINT job_in_queue CHECK (((queue_id IS NULL) = (finished_at IS NOT NULL))),
    CONSTRAINT job_key_size CHECK (((char_length(key) >= 1) AND (char_length(key) <= 512))),
    CONSTRAINT job_kind_form CHECK ((kind ~ '^[a-z0-9-]{1,60}$'::text)),
    CONSTRAINT job_payload_size CHECK ((pg_column_size(payload) <= 1048576)),
    CONSTRAINT job_percent CHECK (((percent >= 0) AND (percent <= 100))),
    CONSTRAINT job_status_known CHECK ((status = ANY (ARRAY['queued'::text, 'running'::text, 'failed'::text, 'succeeded'::text, 'dead'::text, 'cancelled'::text])))
)
WITH (fillfactor='85', autovacuum_vacuum_scale_factor='0.02', autovacuum_analyze_scale_factor='0.05');


ALTER TABLE jobs.job OWNER TO postgres;

--
-- Name: next_status(text, jobs.job); Type: FUNCTION; Schema: jobs; Owner: postgres
--

CREATE FUNCTION jobs.next_status(outcome text, job jobs.job) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
    select case
        when outcome in ('failed', 'returned') and job.cancel_requested_at is not null then 'cancelled'
        when outcome = 'failed' and job.attempts >= job.max_attempts then 'dead'
        when outcome = 'returned' then 'queued'
        else outcome
    end
$$;


ALTER FUNCTION jobs.next_status(outcome text, job jobs.job) OWNER TO postgres;

--
-- Name: put(uuid, text, timestamp with time zone, text, integer); Type: FUNCTION; Schema: jobs; Owner: postgres
--

CREATE FUNCTION jobs.put(job uuid, kind text, run_at timestamp with time zone, queue text, priority integer) RETURNS bigint
    LANGUAGE sql
    AS $$
    select id from graphile_worker.add_job(
        identifier => kind, payload => json_build_object('job', job), queue_name => queue,
        run_at => run_at, max_attempts => 32767, priority => priority)
$$;


ALTER FUNCTION jobs.put(job uuid, kind text, run_at timestamp with time zone, queue text, priority integer) OWNER TO postgres;

--
-- Name: register_kind(text, integer); Type: FUNCTION; Schema: jobs; Owner: postgres
--

CREATE FUNCTION jobs.register_kind(name text, max_attempts integer) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $_$
    insert into jobs.kind as k (name, max_attempts) values ($1, $2)
    on conflict (name) do update set max_attempts = excluded.max_attempts
    where k.max_attempts <> excluded.max_attempts
$_$;


ALTER FUNCTION jobs.register_kind(name text, max_attempts integer) OWNER TO postgres;

--
-- Name: report_progress(text, jsonb); Type: FUNCTION; Schema: jobs; Owner: postgres
--

CREATE FUNCTION jobs.report_progress(worker text, reports jsonb) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with moved as (
        update jobs.job j set percent = r.percent, note = r.note
        from jsonb_to_recordset(reports) as r (id uuid, attempt integer, percent smallint, note text)
        where j.id = r.id and j.status = 'running' and j.attempts = r.attempt
        and j.worker = report_progress.worker
        returning j.*
    )
    insert into events.event (topic, type, data)
    select 'job:' || m.id, 'job.progress', jobs.event_data(m.id, m.kind, m.status, m.percent, m.note)
    from moved m where m.owner_id is not null
$$;


ALTER FUNCTION jobs.report_progress(worker text, reports jsonb) OWNER TO postgres;

--
-- Name: retry(uuid, uuid); Type: FUNCTION; Schema: jobs; Owner: postgres
--

CREATE FUNCTION jobs.retry(job uuid, owner uuid) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    target jobs.job;
begin
    select j.* into target from jobs.job j
    where j.id = retry.job and (retry.owner is null or j.owner_id = retry.owner) for update;
    if target.status = 'dead' then
        update jobs.job j
        set status = 'queued', finished_at = null, percent = 0, note = '', run_at = now(),
            cancel_requested_at = null,
            max_attempts = j.attempts + jobs.max_attempts(j.kind),
            queue_id = jobs.put(j.id, j.kind, null, null, 0)
        where j.id = target.id;
    end if;
    return target.status;
end
$$;


ALTER FUNCTION jobs.retry(job uuid, owner uuid) OWNER TO postgres;

--
-- Name: summary(interval); Type: FUNCTION; Schema: jobs; Owner: postgres
--

CREATE FUNCTION jobs.summary(lease interval) RETURNS jsonb
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with counted as (
        select kind, status, sum(n)::bigint as n from (
            select kind, status, count as n from jobs.count_total
            union all select kind, status, change from jobs.count_change
        ) c group by kind, status having sum(n) > 0
    )
    select jsonb_build_object(
        'by_status', coalesce((select jsonb_object_agg(status, n)
            from (select status, sum(n) as n from counted group by status) s), '{}'),
        'by_kind', coalesce((select jsonb_object_agg(kind, states)
            from (select kind, jsonb_object_agg(status, n) as states from counted group by kind) k), '{}'),
        'oldest_queued_ms', (select greatest(0, floor(extract(epoch from now() - run_at) * 1000))::bigint
            from jobs.job where status = 'queued' and run_at <= now() order by run_at limit 1),
        'workers', (select count(*) from graphile_worker._private_workers
            where last_heartbeat_at > now() - lease))
$$;


ALTER FUNCTION jobs.summary(lease interval) OWNER TO postgres;

--
-- Name: report_health(text, text, jsonb); Type: FUNCTION; Schema: platform; Owner: postgres
--

CREATE FUNCTION platform.report_health(component text, status text, detail jsonb) RETURNS void
    LANGUAGE sql
    AS $_$
    insert into platform.health as h (component, status, detail, reported_at)
    values ($1, $2, coalesce($3, '{}'), now())
    on conflict (component) do update
    set status = excluded.status, detail = excluded.detail, reported_at = excluded.reported_at
$_$;


ALTER FUNCTION platform.report_health(component text, status text, detail jsonb) OWNER TO postgres;

--
-- Name: choose_latest(uuid); Type: FUNCTION; Schema: skills; Owner: postgres
--

CREATE FUNCTION skills.choose_latest(skill uuid) RETURNS void
    LANGUAGE sql
    AS $$
    -- Who chooses at the same time waits here, and then sees what was decided.
    select from skills.skill s where s.id = choose_latest.skill for update;
    update skills.skill s
    set latest_id = l.id,
        description = coalesce(l.manifest ->> 'description', ''),
        tags = coalesce(array(select jsonb_array_elements_text(l.manifest -> 'tags')), '{}'),
        updated_at = now(),
        words = lower(concat_ws(' ', s.name, replace(s.name, '-', ' '), l.manifest ->> 'description',
            (select string_agg(t, ' ') from jsonb_array_elements_text(l.manifest -> 'tags') t))),
        document =
            setweight(to_tsvector('simple', replace(s.name, '-', ' ')), 'A')
            || setweight(to_tsvector('english', coalesce(l.manifest ->> 'description', '')), 'B')
            || setweight(to_tsvector('simple', coalesce(
                (select string_agg(t, ' ') from jsonb_array_elements_text(l.manifest -> 'tags') t), '')), 'B')
            || setweight(to_tsvector('english', coalesce(
                (select string_agg(concat_ws(' ', t ->> 'name', t ->> 'description'), ' ')
                 from jsonb_array_elements(l.tools) t), '')), 'C')
            || setweight(to_tsvector('english', left(coalesce(l.manifest ->> 'readme', ''), 20000)), 'D')
    from (select 1) one
    left join lateral (
        select v.* from skills.version v
        where v.skill_id = choose_latest.skill and v.status = 'approved'
        order by v.is_prerelease, v.precedence desc limit 1
    ) l on true
    where s.id = choose_latest.skill
$$;


ALTER FUNCTION skills.choose_latest(skill uuid) OWNER TO postgres;

--
-- Name: decide(uuid, text, jsonb, double precision, jsonb, uuid); Type: FUNCTION; Schema: skills; Owner: postgres
--

CREATE FUNCTION skills.decide(version uuid, verdict text, review jsonb, quality double precision, envelope jsonb, by uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    target skills.version;
begin
    select v.* into target from skills.version v where v.id = decide.version for update;
    if not found or target.status <> 'in_review' or (decide.by is not null) <> target.held then
        return false;
    end if;
    update skills.version v
    set status = case decide.verdict when 'approve' then 'approved' when 'reject' then 'rejected' else 'in_review' end,
        held = decide.verdict = 'hold',
        review = coalesce(decide.review, v.review),
        quality = coalesce(decide.quality, v.quality),
        decided_at = case decide.verdict when 'hold' then null else now() end,
        decided_by = decide.by
    where v.id = target.id;
    if decide.envelope is not null then
        insert into skills.attestation (version_id, envelope) values (target.id, decide.envelope);
    end if;
    if decide.verdict = 'approve' then
        perform skills.choose_latest(target.skill_id);
    end if;
    insert into events.event (topic, type, data)
    values ('account:' || target.published_by, 'skill.' || decide.verdict,
        jsonb_build_object('skill_id', target.skill_id, 'version_id', target.id, 'version', target.version));
    return true;
end
$$;


ALTER FUNCTION skills.decide(version uuid, verdict text, review jsonb, quality double precision, envelope jsonb, by uuid) OWNER TO postgres;

--
-- Name: is_review_lost(uuid); Type: FUNCTION; Schema: skills; Owner: postgres
--

CREATE FUNCTION skills.is_review_lost(job uuid) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select not exists (select from jobs.job j where j.id = is_review_lost.job and j.finished_at is null)
$$;


ALTER FUNCTION skills.is_review_lost(job uuid) OWNER TO postgres;

--
-- Name: kv_increment(uuid, text, text, bigint, bigint); Type: FUNCTION; Schema: skills; Owner: postgres
--

CREATE FUNCTION skills.kv_increment(skill uuid, bucket text, key text, delta bigint, max_bytes bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    current bytea;
    number bigint;
begin
    insert into skills.kv_total (skill_id) values (kv_increment.skill) on conflict do nothing;
    perform from skills.kv_total t where t.skill_id = kv_increment.skill for update;
    select k.value into current from skills.kv k
    where k.skill_id = kv_increment.skill and k.bucket = kv_increment.bucket and k.key = kv_increment.key;
    begin
        number := coalesce(convert_from(current, 'UTF8')::bigint, 0) + kv_increment.delta;
    exception when data_exception then
        return null;
    end;
    if not skills.kv_put(kv_increment.skill, kv_increment.bucket, kv_increment.key,
        convert_to(number::text, 'UTF8'), kv_increment.max_bytes) then
        return null;
    end if;
    return number;
end
$$;


ALTER FUNCTION skills.kv_increment(skill uuid, bucket text, key text, delta bigint, max_bytes bigint) OWNER TO postgres;

--
-- Name: kv_put(uuid, text, text, bytea, bigint); Type: FUNCTION; Schema: skills; Owner: postgres
--

CREATE FUNCTION skills.kv_put(skill uuid, bucket text, key text, value bytea, max_bytes bigint) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    total bigint;
    before bigint;
    after bigint := skills.kv_size(kv_put.bucket, kv_put.key, kv_put.value);
begin
    insert into skills.kv_total (skill_id) values (kv_put.skill) on conflict do nothing;
    select t.bytes into total from skills.kv_total t where t.skill_id = kv_put.skill for update;
    select skills.kv_size(k.bucket, k.key, k.value) into before
    from skills.kv k where k.skill_id = kv_put.skill and k.bucket = kv_put.bucket and k.key = kv_put.key;
    total := total - coalesce(before, 0) + after;
    if after > coalesce(before, 0) and total > kv_put.max_bytes then
        return false;
    end if;
    if kv_put.value is null then
        delete from skills.kv k
        where k.skill_id = kv_put.skill and k.bucket = kv_put.bucket and k.key = kv_put.key;
    else
        insert into skills.kv (skill_id, bucket, key, value)
        values (kv_put.skill, kv_put.bucket, kv_put.key, kv_put.value)
        on conflict on constraint kv_pkey do update set value = excluded.value;
    end if;
    update skills.kv_total t set bytes = total where t.skill_id = kv_put.skill;
    return true;
end
$$;


ALTER FUNCTION skills.kv_put(skill uuid, bucket text, key text, value bytea, max_bytes bigint) OWNER TO postgres;

--
-- Name: kv_size(text, text, bytea); Type: FUNCTION; Schema: skills; Owner: postgres
--

CREATE FUNCTION skills.kv_size(bucket text, key text, value bytea) RETURNS bigint
    LANGUAGE sql IMMUTABLE
    AS $$
    select coalesce(octet_length(bucket) + octet_length(key) + octet_length(value) + 64, 0)
$$;


ALTER FUNCTION skills.kv_size(bucket text, key text, value bytea) OWNER TO postgres;

--
-- Name: kv_swap(uuid, text, text, bytea, bytea, bigint); Type: FUNCTION; Schema: skills; Owner: postgres
--

CREATE FUNCTION skills.kv_swap(skill uuid, bucket text, key text, seen bytea, value bytea, max_bytes bigint) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
declare
    current bytea;
begin
    insert into skills.kv_total (skill_id) values (kv_swap.skill) on conflict do nothing;
    perform from skills.kv_total t where t.skill_id = kv_swap.skill for update;
    select k.value into current from skills.kv k
    where k.skill_id = kv_swap.skill and k.bucket = kv_swap.bucket and k.key = kv_swap.key;
    if current is distinct from kv_swap.seen then
        return 'changed';
    end if;
    if not skills.kv_put(kv_swap.skill, kv_swap.bucket, kv_swap.key, kv_swap.value, kv_swap.max_bytes) then
        return 'full';
    end if;
    return 'done';
end
$$;


ALTER FUNCTION skills.kv_swap(skill uuid, bucket text, key text, seen bytea, value bytea, max_bytes bigint) OWNER TO postgres;

--
-- Name: matching(text); Type: FUNCTION; Schema: skills; Owner: postgres
--

CREATE FUNCTION skills.matching(query text) RETURNS TABLE(id uuid, relevance double precision)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'trigram', 'pg_temp'
    SET "pg_trgm.word_similarity_threshold" TO '0.45'
    AS $$
    select s.id, round((
        ts_rank(s.document, q.query) + word_similarity(lower(matching.query), s.words)
        + case when s.name = lower(matching.query) then 1 else 0 end)::numeric, 4)::double precision as relevance
    from skills.skill s,
        lateral (select websearch_to_tsquery('english', matching.query)
            || websearch_to_tsquery('simple', matching.query) as query) q
    where s.latest_id is not null
    and (s.document @@ q.query or lower(matching.query) <% s.words)
    order by relevance desc, s.rank desc, s.id desc limit 1000
$$;


ALTER FUNCTION skills.matching(query text) OWNER TO postgres;

--
-- Name: publish(uuid, jsonb); Type: FUNCTION; Schema: skills; Owner: postgres
--

CREATE FUNCTION skills.publish(account uuid, published jsonb) RETURNS jsonb
    LANGUAGE plpgsql
    AS $$
declare
    skill skills.skill;
    version skills.version;
    manifest jsonb := published -> 'manifest';
begin
    insert into skills.skill (name, owner_id) values (manifest ->> 'name', account)
    on conflict on constraint skill_name_key do nothing;
    select * into skill from skills.skill s where s.name = manifest ->> 'name' for update;
    if skill.owner_id <> account then
        raise exception 'the name is taken' using errcode = 'unique_violation', constraint = 'skill_owner';
    end if;
    insert into skills.version
        (skill_id, version, precedence, is_prerelease, digest, manifest, tools, facts, published_by)
    values (skill.id, manifest ->> 'version', published ->> 'precedence',
        (published ->> 'is_prerelease')::boolean, published ->> 'digest', manifest,
        published -> 'tools', published -> 'facts', account)
    on conflict on constraint version_key do nothing
    returning * into version;
    if version.id is null then
        select * into version from skills.version v
        where v.skill_id = skill.id and v.version = published #>> '{manifest,version}' and v.status = 'in_review'
        and not v.held and v.digest = published ->> 'digest' and v.manifest = publish.published -> 'manifest'
        and skills.is_review_lost(v.job_id);
        if version.id is null then
            raise exception 'the version exists' using errcode = 'unique_violation', constraint = 'version_key';
        end if;
    end if;
    update skills.version v
    set job_id = jobs.enqueue('skill-review', jsonb_build_object('version_id', version.id), account,
        version.id::text)
    where v.id = version.id returning * into version;
    return jsonb_build_object('skill_id', skill.id, 'version_id', version.id, 'job_id', version.job_id,
        'created_at', version.created_at);
end
$$;


ALTER FUNCTION skills.publish(account uuid, published jsonb) OWNER TO postgres;

--
-- Name: rank_all(); Type: FUNCTION; Schema: skills; Owner: postgres
--

CREATE FUNCTION skills.rank_all() RETURNS bigint
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    with recent as (
        select u.skill_id, u.account_id, sum(u.calls) as calls
        from skills.usage u where u.day > current_date - 30 group by u.skill_id, u.account_id
    ), weight as (
        select a.id as account_id,
            least(1, extract(epoch from now() - a.created_at) / (30 * 86400))
            * least(1, count(distinct s.owner_id) filter (where s.owner_id <> a.id) / 3.0) as weight
        from recent r
        join identity.account a on a.id = r.account_id
        join skills.skill s on s.id = r.skill_id
        group by a.id, a.created_at
    ), reach as (
        select r.skill_id, sum(r.calls) as calls, count(*) as users, sum(w.weight) as weight
        from recent r join weight w using (account_id)
        join skills.skill s on s.id = r.skill_id and s.owner_id <> r.account_id
        group by r.skill_id
    ), rated as (
        select t.skill_id, count(*) as ratings, avg(t.rating) as mean,
            coalesce(sum(w.weight * t.rating) filter (where r.account_id is not null), 0) as total,
            coalesce(sum(w.weight) filter (where r.account_id is not null), 0) as weight
        from skills.rating t
        join skills.skill s on s.id = t.skill_id and s.owner_id <> t.account_id
        left join recent r on r.skill_id = t.skill_id and r.account_id = t.account_id
        left join weight w on w.account_id = t.account_id
        group by t.skill_id
    ), ranked as (
        select s.id, round((
            0.35 * coalesce(v.quality, 0)
            + 0.25 * least(1, ln(1 + coalesce(c.weight, 0)) / ln(1001))
            + 0.25 * ((5 * 3.5 + coalesce(t.total, 0)) / (5 + coalesce(t.weight, 0)) - 1) / 4
            + 0.15 * power(0.5, (current_date - v.created_at::date) / 180.0)
            )::numeric, 4)::double precision as rank,
            coalesce(c.calls, 0) as uses, coalesce(c.users, 0) as users, t.mean, coalesce(t.ratings, 0) as ratings
        from skills.skill s
        join skills.version v on v.id = s.latest_id
        left join reach c on c.skill_id = s.id
        left join rated t on t.skill_id = s.id
    ), changed as (
        update skills.skill s
        set rank = r.rank, uses_30d = r.uses, users_30d = r.users, rating = r.mean, ratings = r.ratings
        from ranked r
        where r.id = s.id
        and (s.rank, s.uses_30d, s.users_30d, s.rating, s.ratings)
            is distinct from (r.rank, r.uses, r.users, r.mean, r.ratings)
        returning 1
    )
    select count(*) from changed
$$;


ALTER FUNCTION skills.rank_all() OWNER TO postgres;

--
-- Name: record_usage(jsonb); Type: FUNCTION; Schema: skills; Owner: postgres
--

CREATE FUNCTION skills.record_usage(calls jsonb) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    insert into skills.usage as u (skill_id, account_id, day, calls, failures)
    select c.skill_id, c.account_id, current_date, c.calls, c.failures
    from jsonb_to_recordset(record_usage.calls)
        as c (skill_id uuid, account_id uuid, calls bigint, failures bigint)
    join skills.skill s on s.id = c.skill_id
    join identity.account a on a.id = c.account_id
    order by c.skill_id, c.account_id
    on conflict (skill_id, account_id, day) do update
    set calls = u.calls + excluded.calls, failures = u.failures + excluded.failures
$$;


ALTER FUNCTION skills.record_usage(calls jsonb) OWNER TO postgres;

--
-- Name: sweep(); Type: FUNCTION; Schema: skills; Owner: postgres
--

CREATE FUNCTION skills.sweep() RETURNS SETOF text
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    delete from skills.component c
    where c.digest in (
        select o.digest from skills.component o
        where o.created_at < now() - interval '1 day'
        and not exists (select from skills.version v where v.digest = o.digest)
        order by o.created_at limit 100)
    -- Again, of the row as it is now: it may have been uploaded anew.
    and c.created_at < now() - interval '1 day'
    returning c.digest
$$;


ALTER FUNCTION skills.sweep() OWNER TO postgres;

--
-- Name: under_review(uuid); Type: FUNCTION; Schema: skills; Owner: postgres
--

CREATE FUNCTION skills.under_review(version uuid) RETURNS jsonb
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    select jsonb_build_object('version_id', v.id, 'skill_id', s.id, 'name', s.name, 'version', v.version,
        'digest', v.digest, 'manifest', v.manifest, 'tools', v.tools, 'facts', v.facts, 'status', v.status,
        'held', v.held, 'published_by', v.published_by,
        'reasons', v.review -> 'reasons', 'quality', v.quality)
    from skills.version v join skills.skill s on s.id = v.skill_id
    where v.id = under_review.version
$$;


ALTER FUNCTION skills.under_review(version uuid) OWNER TO postgres;

--
-- Name: yank(uuid); Type: FUNCTION; Schema: skills; Owner: postgres
--

CREATE FUNCTION skills.yank(version uuid) RETURNS void
    LANGUAGE sql
    AS $$
    update skills.version v set status = 'yanked', yanked_at = now()
    where v.id = yank.version and v.status = 'approved';
    select skills.choose_latest(v.skill_id) from skills.version v where v.id = yank.version;
$$;


ALTER FUNCTION skills.yank(version uuid) OWNER TO postgres;

--
-- Name: chain; Type: TABLE; Schema: audit; Owner: postgres
--

CREATE TABLE audit.chain (
    id smallint NOT NULL,
    length bigint DEFAULT 0 NOT NULL,
    hash bytea DEFAULT decode(repeat('00'::text, 32), 'hex'::text) NOT NULL
);


ALTER TABLE audit.chain OWNER TO postgres;

--
-- Name: entry_202611; Type: TABLE; Schema: audit; Owner: postgres
--

CREATE TABLE audit.entry_202611 (
    id uuid DEFAULT platform.uuid_v7() NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    actor_id uuid,
    action text NOT NULL,
    subject text,
    allowed boolean NOT NULL,
    address text,
    request_id text,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    chain smallint NOT NULL,
    "position" bigint NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT entry_action_form CHECK ((action ~ '^[a-z]+([.-][a-z]+)*$'::text))
);


ALTER TABLE audit.entry_202611 OWNER TO postgres;

--
-- Name: entry_202612; Type: TABLE; Schema: audit; Owner: postgres
--

CREATE TABLE audit.entry_202612 (
    id uuid DEFAULT platform.uuid_v7() NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    actor_id uuid,
    action text NOT NULL,
    subject text,
    allowed boolean NOT NULL,
    address text,
    request_id text,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    chain smallint NOT NULL,
    "position" bigint NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT entry_action_form CHECK ((action ~ '^[a-z]+([.-][a-z]+)*$'::text))
);


ALTER TABLE audit.entry_202612 OWNER TO postgres;

--
-- Name: entry_202701; Type: TABLE; Schema: audit; Owner: postgres
--

CREATE TABLE audit.entry_202701 (
    id uuid DEFAULT platform.uuid_v7() NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    actor_id uuid,
    action text NOT NULL,
    subject text,
    allowed boolean NOT NULL,
    address text,
    request_id text,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    chain smallint NOT NULL,
    "position" bigint NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT entry_action_form CHECK ((action ~ '^[a-z]+([.-][a-z]+)*$'::text))
);


ALTER TABLE audit.entry_202701 OWNER TO postgres;

--
-- Name: entry_default; Type: TABLE; Schema: audit; Owner: postgres
--

CREATE TABLE audit.entry_default (
    id uuid DEFAULT platform.uuid_v7() NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    actor_id uuid,
    action text NOT NULL,
    subject text,
    allowed boolean NOT NULL,
    address text,
    request_id text,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    chain smallint NOT NULL,
    "position" bigint NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT entry_action_form CHECK ((action ~ '^[a-z]+([.-][a-z]+)*$'::text))
);


ALTER TABLE audit.entry_default OWNER TO postgres;

--
-- Name: event; Type: TABLE; Schema: events; Owner: postgres
--

CREATE TABLE events.event (
    id uuid DEFAULT platform.uuid_v7() NOT NULL,
    topic text NOT NULL,
    type text NOT NULL,
    data jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT event_topic_form CHECK ((topic ~ '^[a-z]+:[a-zA-Z0-9-]{1,100}$'::text)),
    CONSTRAINT event_type_form CHECK ((type ~ '^[a-z]+([.-][a-z]+)*$'::text))
)
PARTITION BY RANGE (created_at);


ALTER TABLE events.event OWNER TO postgres;

--
-- Name: event_20261129; Type: TABLE; Schema: events; Owner: postgres
--

CREATE TABLE events.event_20261129 (
    id uuid DEFAULT platform.uuid_v7() NOT NULL,
    topic text NOT NULL,
    type text NOT NULL,
    data jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT event_topic_form CHECK ((topic ~ '^[a-z]+:[a-zA-Z0-9-]{1,100}$'::text)),
    CONSTRAINT event_type_form CHECK ((type ~ '^[a-z]+([.-][a-z]+)*$'::text))
);


ALTER TABLE events.event_20261129 OWNER TO postgres;

--
-- Name: event_20261130; Type: TABLE; Schema: events; Owner: postgres
--

CREATE TABLE events.event_20261130 (
    id uuid DEFAULT platform.uuid_v7() NOT NULL,
    topic text NOT NULL,
    type text NOT NULL,
    data jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT event_topic_form CHECK ((topic ~ '^[a-z]+:[a-zA-Z0-9-]{1,100}$'::text)),
    CONSTRAINT event_type_form CHECK ((type ~ '^[a-z]+([.-][a-z]+)*$'::text))
);


ALTER TABLE events.event_20261130 OWNER TO postgres;

--
-- Name: event_20261201; Type: TABLE; Schema: events; Owner: postgres
--

CREATE TABLE events.event_20261201 (
    id uuid DEFAULT platform.uuid_v7() NOT NULL,
    topic text NOT NULL,
    type text NOT NULL,
    data jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT event_topic_form CHECK ((topic ~ '^[a-z]+:[a-zA-Z0-9-]{1,100}$'::text)),
    CONSTRAINT event_type_form CHECK ((type ~ '^[a-z]+([.-][a-z]+)*$'::text))
);


ALTER TABLE events.event_20261201 OWNER TO postgres;

--
-- Name: event_20261202; Type: TABLE; Schema: events; Owner: postgres
--

CREATE TABLE events.event_20261202 (
    id uuid DEFAULT platform.uuid_v7() NOT NULL,
    topic text NOT NULL,
    type text NOT NULL,
    data jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT event_topic_form CHECK ((topic ~ '^[a-z]+:[a-zA-Z0-9-]{1,100}$'::text)),
    CONSTRAINT event_type_form CHECK ((type ~ '^[a-z]+([.-][a-z]+)*$'::text))
);


ALTER TABLE events.event_20261202 OWNER TO postgres;

--
-- Name: event_default; Type: TABLE; Schema: events; Owner: postgres
--

CREATE TABLE events.event_default (
    id uuid DEFAULT platform.uuid_v7() NOT NULL,
    topic text NOT NULL,
    type text NOT NULL,
    data jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT event_topic_form CHECK ((topic ~ '^[a-z]+:[a-zA-Z0-9-]{1,100}$'::text)),
    CONSTRAINT event_type_form CHECK ((type ~ '^[a-z]+([.-][a-z]+)*$'::text))
);


ALTER TABLE events.event_default OWNER TO postgres;

--
-- Name: _private_job_queues; Type: TABLE; Schema: graphile_worker; Owner: postgres
--

CREATE TABLE graphile_worker._private_job_queues (
    id integer NOT NULL,
    queue_name text NOT NULL,
    locked_at timestamp with time zone,
    locked_by text,
    is_available boolean GENERATED ALWAYS AS ((locked_at IS NULL)) STORED NOT NULL,
    CONSTRAINT job_queues_queue_name_check CHECK ((length(queue_name) <= 128))
);


ALTER TABLE graphile_worker._private_job_queues OWNER TO postgres;

--
-- Name: _private_job_retirements; Type: TABLE; Schema: graphile_worker; Owner: postgres
--

CREATE TABLE graphile_worker._private_job_retirements (
    id bigint NOT NULL
);


ALTER TABLE graphile_worker._private_job_retirements OWNER TO postgres;

--
-- Name: _private_known_crontabs; Type: TABLE; Schema: graphile_worker; Owner: postgres
--

CREATE TABLE graphile_worker._private_known_crontabs (
    identifier text NOT NULL,
    known_since timestamp with time zone NOT NULL,
    last_execution timestamp with time zone
);


ALTER TABLE graphile_worker._private_known_crontabs OWNER TO postgres;

--
-- Name: _private_tasks; Type: TABLE; Schema: graphile_worker; Owner: postgres
--

CREATE TABLE graphile_worker._private_tasks (
    id integer NOT NULL,
    identifier text NOT NULL,
    CONSTRAINT tasks_identifier_check CHECK ((length(identifier) <= 128))
);


ALTER TABLE graphile_worker._private_tasks OWNER TO postgres;

--
-- Name: _private_workers; Type: TABLE; Schema: graphile_worker; Owner: postgres
--

CREATE TABLE graphile_worker._private_workers (
    id text NOT NULL,
    last_heartbeat_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    metadata jsonb
);


ALTER TABLE graphile_worker._private_workers OWNER TO postgres;

--
-- Name: job_queues_id_seq; Type: SEQUENCE; Schema: graphile_worker; Owner: postgres
--

ALTER TABLE graphile_worker._private_job_queues ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME graphile_worker.job_queues_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: jobs; Type: VIEW; Schema: graphile_worker; Owner: postgres
--

CREATE VIEW graphile_worker.jobs AS
 SELECT jobs.id,
    job_queues.queue_name,
    tasks.identifier AS task_identifier,
    jobs.priority,
    jobs.run_at,
    jobs.attempts,
    jobs.max_attempts,
    jobs.last_error,
    jobs.created_at,
    jobs.updated_at,
    jobs.key,
    jobs.locked_at,
    jobs.locked_by,
    jobs.revision,
    jobs.flags
   FROM ((graphile_worker._private_jobs jobs
     JOIN graphile_worker._private_tasks tasks ON ((tasks.id = jobs.task_id)))
     LEFT JOIN graphile_worker._private_job_queues job_queues ON ((job_queues.id = jobs.job_queue_id)));


ALTER TABLE graphile_worker.jobs OWNER TO postgres;

--
-- Name: jobs_id_seq1; Type: SEQUENCE; Schema: graphile_worker; Owner: postgres
--

ALTER TABLE graphile_worker._private_jobs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME graphile_worker.jobs_id_seq1
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: migrations; Type: TABLE; Schema: graphile_worker; Owner: postgres
--

CREATE TABLE graphile_worker.migrations (
    id integer NOT NULL,
    ts timestamp with time zone DEFAULT now() NOT NULL,
    breaking boolean DEFAULT false NOT NULL
);


ALTER TABLE graphile_worker.migrations OWNER TO postgres;

--
-- Name: tasks_id_seq; Type: SEQUENCE; Schema: graphile_worker; Owner: postgres
--

ALTER TABLE graphile_worker._private_tasks ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME graphile_worker.tasks_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: account_name; Type: VIEW; Schema: identity; Owner: postgres
--

CREATE VIEW identity.account_name AS
 SELECT account.id,
    account.name,
    account.kind,
    account.status,
    (account.authenticated_at IS NOT NULL) AS has_signed_in
   FROM identity.account;


ALTER TABLE identity.account_name OWNER TO postgres;

--
-- Name: account_role; Type: TABLE; Schema: identity; Owner: postgres
--

CREATE TABLE identity.account_role (
    account_id uuid NOT NULL,
    role text NOT NULL,
    granted_by uuid,
    granted_at timestamp with time zone DEFAULT now() NOT NULL
);


ALTER TABLE identity.account_role OWNER TO postgres;

--
-- Name: allowance; Type: TABLE; Schema: identity; Owner: postgres
--

CREATE UNLOGGED TABLE identity.allowance (
    bucket text NOT NULL,
    used integer NOT NULL,
    granted integer NOT NULL,
    ends_at timestamp with time zone NOT NULL
);


ALTER TABLE identity.allowance OWNER TO postgres;

--
-- Name: attestation_key; Type: TABLE; Schema: identity; Owner: postgres
--

CREATE TABLE identity.attestation_key (
    kid text NOT NULL,
    public_key bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT attestation_key_size CHECK ((octet_length(public_key) = 32))
);


ALTER TABLE identity.attestation_key OWNER TO postgres;

--
-- Name: claim; Type: TABLE; Schema: identity; Owner: postgres
--

CREATE TABLE identity.claim (
    hash bytea NOT NULL,
    agent_id uuid NOT NULL,
    owner_id uuid NOT NULL,
    expires_at timestamp with time zone NOT NULL
);


ALTER TABLE identity.claim OWNER TO postgres;

--
-- Name: external_identity; Type: TABLE; Schema: identity; Owner: postgres
--

CREATE TABLE identity.external_identity (
    issuer text NOT NULL,
    subject text NOT NULL,
    account_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);


ALTER TABLE identity.external_identity OWNER TO postgres;

--
-- Name: former_key; Type: TABLE; Schema: identity; Owner: postgres
--

CREATE TABLE identity.former_key (
    public_key bytea NOT NULL,
    account_id uuid NOT NULL,
    created_at timestamp with time zone NOT NULL,
    retired_at timestamp with time zone DEFAULT now() NOT NULL
);


ALTER TABLE identity.former_key OWNER TO postgres;

--
-- Name: idempotency_key; Type: TABLE; Schema: identity; Owner: postgres
--

CREATE TABLE identity.idempotency_key (
    owner text NOT NULL,
    key text NOT NULL,
    fingerprint text NOT NULL,
    status integer,
    headers jsonb,
    body text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT idempotency_key_size CHECK (((char_length(key) >= 1) AND (char_length(key) <= 255)))
);


ALTER TABLE identity.idempotency_key OWNER TO postgres;

--
-- Name: link; Type: TABLE; Schema: identity; Owner: postgres
--

CREATE TABLE identity.link (
    id uuid DEFAULT platform.uuid_v7() NOT NULL,
    account_id uuid,
    purpose text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    CONSTRAINT link_purpose_known CHECK ((purpose = ANY (ARRAY['verify'::text, 'reset'::text, 'registered'::text, 'password-changed'::text, 'admin'::text, 'passkey-added'::text, 'passkey-removed'::text, 'provider-linked'::text, 'key-created'::text, 'second-factor-added'::text, 'second-factor-removed'::text])))
);


ALTER TABLE identity.link OWNER TO postgres;

--
-- Name: person; Type: TABLE; Schema: identity; Owner: postgres
--

CREATE TABLE identity.person (
    account_id uuid NOT NULL,
    email text NOT NULL,
    verified_at timestamp with time zone,
    password bytea,
    password_version smallint,
    password_changed_at timestamp with time zone,
    totp_secret bytea,
    totp_confirmed_at timestamp with time zone,
    totp_step bigint,
    CONSTRAINT person_password_size CHECK ((octet_length(password) = 32)),
    CONSTRAINT person_password_version CHECK (((password IS NULL) = (password_version IS NULL)))
);


ALTER TABLE identity.person OWNER TO postgres;

--
-- Name: signing_key; Type: TABLE; Schema: identity; Owner: postgres
--

CREATE TABLE identity.signing_key (
    kid text NOT NULL,
    public_key bytea NOT NULL,
    sealed bytea,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    retired_at timestamp with time zone,
    CONSTRAINT signing_key_public_key_size CHECK ((octet_length(public_key) = 32)),
    CONSTRAINT signing_key_sealed_while_active CHECK (((sealed IS NULL) = (retired_at IS NOT NULL)))
);


ALTER TABLE identity.signing_key OWNER TO postgres;

--
-- Name: verification_key; Type: VIEW; Schema: identity; Owner: postgres
--

CREATE VIEW identity.verification_key AS
 SELECT signing_key.kid,
    encode(signing_key.public_key, 'base64'::text) AS public_key,
    (signing_key.retired_at + '00:16:00'::interval) AS expires_at
   FROM identity.signing_key
  WHERE ((signing_key.retired_at IS NULL) OR (signing_key.retired_at > (now() - '00:16:00'::interval)));


ALTER TABLE identity.verification_key OWNER TO postgres;

--
-- Name: published_key; Type: VIEW; Schema: identity; Owner: postgres
--

CREATE VIEW identity.published_key AS
 SELECT verification_key.kid,
    verification_key.public_key,
    verification_key.expires_at
   FROM identity.verification_key
UNION ALL
 SELECT attestation_key.kid,
    encode(attestation_key.public_key, 'base64'::text) AS public_key,
    NULL::timestamp with time zone AS expires_at
   FROM identity.attestation_key;


ALTER TABLE identity.published_key OWNER TO postgres;

--
-- Name: recovery_code; Type: TABLE; Schema: identity; Owner: postgres
--

CREATE TABLE identity.recovery_code (
    account_id uuid NOT NULL,
    hash bytea NOT NULL,
    used_at timestamp with time zone
);


ALTER TABLE identity.recovery_code OWNER TO postgres;

--
-- Name: refresh_token; Type: TABLE; Schema: identity; Owner: postgres
--

CREATE TABLE identity.refresh_token (
    hash bytea NOT NULL,
    account_id uuid NOT NULL,
    session_id uuid NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    CONSTRAINT refresh_token_hash_size CHECK ((octet_length(hash) = 32))
);


ALTER TABLE identity.refresh_token OWNER TO postgres;

--
-- Name: session; Type: TABLE; Schema: identity; Owner: postgres
--

CREATE TABLE identity.session (
    id uuid DEFAULT platform.uuid_v7() NOT NULL,
    account_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    refreshed_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    method text DEFAULT 'key'::text NOT NULL,
    address text,
    user_agent text,
    cookie_hash bytea,
    CONSTRAINT session_method_known CHECK ((method = ANY (ARRAY['key'::text, 'password'::text, 'provider'::text, 'passkey'::text])))
);


ALTER TABLE identity.session OWNER TO postgres;

--
-- Name: revocation; Type: VIEW; Schema: identity; Owner: postgres
--

CREATE VIEW identity.revocation AS
 SELECT session.id AS session_id,
    session.revoked_at
   FROM identity.session
  WHERE (session.revoked_at > (now() - '00:20:00'::interval))
UNION ALL
 SELECT api_key.id AS session_id,
    api_key.revoked_at
   FROM identity.api_key
  WHERE (api_key.revoked_at > (now() - '00:20:00'::interval));


ALTER TABLE identity.revocation OWNER TO postgres;

--
-- Name: role; Type: TABLE; Schema: identity; Owner: postgres
--

CREATE TABLE identity.role (
    name text NOT NULL,
    scopes text[] NOT NULL,
    rank smallint NOT NULL
);


ALTER TABLE identity.role OWNER TO postgres;

--
-- Name: sign_in_failure; Type: TABLE; Schema: identity; Owner: postgres
--

CREATE TABLE identity.sign_in_failure (
    key text NOT NULL,
    failures integer NOT NULL,
    last_at timestamp with time zone NOT NULL,
    blocked_until timestamp with time zone NOT NULL
);


ALTER TABLE identity.sign_in_failure OWNER TO postgres;

--
-- Name: team_member; Type: TABLE; Schema: identity; Owner: postgres
--

CREATE TABLE identity.team_member (
    team_id uuid NOT NULL,
    account_id uuid NOT NULL,
    role text NOT NULL,
    added_at timestamp with time zone DEFAULT now() NOT NULL
);


ALTER TABLE identity.team_member OWNER TO postgres;

--
-- Name: team_role; Type: TABLE; Schema: identity; Owner: postgres
--

CREATE TABLE identity.team_role (
    name text NOT NULL,
    scopes text[] NOT NULL,
    rank smallint NOT NULL
);


ALTER TABLE identity.team_role OWNER TO postgres;

--
-- Name: used_challenge; Type: TABLE; Schema: identity; Owner: postgres
--

CREATE TABLE identity.used_challenge (
    nonce bytea NOT NULL,
    expires_at timestamp with time zone NOT NULL
);


ALTER TABLE identity.used_challenge OWNER TO postgres;

--
-- Name: attempt; Type: TABLE; Schema: jobs; Owner: postgres
--

CREATE TABLE jobs.attempt (
    job_id uuid NOT NULL,
    number integer NOT NULL,
    worker text,
    started_at timestamp with time zone,
    ended_at timestamp with time zone DEFAULT now() NOT NULL,
    outcome text NOT NULL,
    error text NOT NULL,
    CONSTRAINT attempt_outcome_known CHECK ((outcome = ANY (ARRAY['failed'::text, 'lost'::text])))
);


ALTER TABLE jobs.attempt OWNER TO postgres;

--
-- Name: attempt_view; Type: VIEW; Schema: jobs; Owner: postgres
--

CREATE VIEW jobs.attempt_view AS
 SELECT a.job_id,
    a.number AS attempt,
    a.outcome,
    a.error,
    a.started_at,
    a.ended_at
   FROM jobs.attempt a;


ALTER TABLE jobs.attempt_view OWNER TO postgres;

--
-- Name: count_change; Type: TABLE; Schema: jobs; Owner: postgres
--

CREATE TABLE jobs.count_change (
    kind text NOT NULL,
    status text NOT NULL,
    change bigint NOT NULL
);


ALTER TABLE jobs.count_change OWNER TO postgres;

--
-- Name: count_total; Type: TABLE; Schema: jobs; Owner: postgres
--

CREATE TABLE jobs.count_total (
    kind text NOT NULL,
    status text NOT NULL,
    count bigint NOT NULL
);


ALTER TABLE jobs.count_total OWNER TO postgres;

--
-- Name: enqueuer; Type: TABLE; Schema: jobs; Owner: postgres
--

CREATE TABLE jobs.enqueuer (
    role text NOT NULL,
    kind text NOT NULL
);


ALTER TABLE jobs.enqueuer OWNER TO postgres;

--
-- Name: job_view; Type: VIEW; Schema: jobs; Owner: postgres
--

CREATE VIEW jobs.job_view AS
 SELECT j.id,
    j.owner_id,
    j.kind,
    j.status,
    jsonb_build_object('percent', j.percent, 'note', j.note) AS progress,
    j.attempts,
    j.max_attempts,
    j.result,
    j.error,
    j.created_at,
    j.started_at,
    j.finished_at,
    j.run_at,
    ((j.cancel_requested_at IS NOT NULL) AND (j.finished_at IS NULL)) AS cancelling
   FROM jobs.job j;


ALTER TABLE jobs.job_view OWNER TO postgres;

--
-- Name: kind; Type: TABLE; Schema: jobs; Owner: postgres
--

CREATE TABLE jobs.kind (
    name text NOT NULL,
    max_attempts integer NOT NULL,
    CONSTRAINT kind_max_attempts CHECK (((max_attempts >= 1) AND (max_attempts <= 100))),
    CONSTRAINT kind_name_form CHECK ((name ~ '^[a-z0-9-]{1,60}$'::text))
);


ALTER TABLE jobs.kind OWNER TO postgres;

--
-- Name: health; Type: TABLE; Schema: platform; Owner: postgres
--

CREATE TABLE platform.health (
    component text NOT NULL,
    status text NOT NULL,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    reported_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT health_status_known CHECK ((status = ANY (ARRAY['healthy'::text, 'degraded'::text, 'unhealthy'::text])))
);


ALTER TABLE platform.health OWNER TO postgres;

--
-- Name: _sqlx_migrations; Type: TABLE; Schema: public; Owner: postgres
--

CREATE TABLE public._sqlx_migrations (
    version bigint NOT NULL,
    description text NOT NULL,
    installed_on timestamp with time zone DEFAULT now() NOT NULL,
    success boolean NOT NULL,
    checksum bytea NOT NULL,
    execution_time bigint NOT NULL
);


ALTER TABLE public._sqlx_migrations OWNER TO postgres;

--
-- Name: attestation; Type: TABLE; Schema: skills; Owner: postgres
--

CREATE TABLE skills.attestation (
    id uuid DEFAULT platform.uuid_v7() NOT NULL,
    version_id uuid NOT NULL,
    envelope jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);


ALTER TABLE skills.attestation OWNER TO postgres;

--
-- Name: skill; Type: TABLE; Schema: skills; Owner: postgres
--

CREATE TABLE skills.skill (
    id uuid DEFAULT platform.uuid_v7() NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    owner_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    latest_id uuid,
    description text DEFAULT ''::text NOT NULL,
    tags text[] DEFAULT '{}'::text[] NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    document tsvector DEFAULT ''::tsvector NOT NULL,
    words text DEFAULT ''::text NOT NULL,
    rank double precision DEFAULT 0 NOT NULL,
    uses_30d bigint DEFAULT 0 NOT NULL,
    users_30d bigint DEFAULT 0 NOT NULL,
    rating double precision,
    ratings bigint DEFAULT 0 NOT NULL,
    CONSTRAINT skill_name_form CHECK (((name ~ '^[a-z0-9]+(-[a-z0-9]+)*$'::text) AND ((char_length(name) >= 2) AND (char_length(name) <= 60))))
);


ALTER TABLE skills.skill OWNER TO postgres;

--
-- Name: version; Type: TABLE; Schema: skills; Owner: postgres
--

CREATE TABLE skills.version (
    id uuid DEFAULT platform.uuid_v7() NOT NULL,
    skill_id uuid NOT NULL,
    version text NOT NULL COLLATE pg_catalog."C",
    precedence text NOT NULL COLLATE pg_catalog."C",
    is_prerelease boolean NOT NULL,
    digest text NOT NULL,
    manifest jsonb NOT NULL,
    tools jsonb NOT NULL,
    facts jsonb NOT NULL,
    status text DEFAULT 'in_review'::text NOT NULL,
    held boolean DEFAULT false NOT NULL,
    published_by uuid NOT NULL,
    job_id uuid,
    review jsonb,
    quality double precision,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    decided_at timestamp with time zone,
    decided_by uuid,
    yanked_at timestamp with time zone,
    CONSTRAINT version_held CHECK (((NOT held) OR (status = 'in_review'::text))),
    CONSTRAINT version_quality CHECK (((quality >= (0)::double precision) AND (quality <= (1)::double precision))),
    CONSTRAINT version_status_known CHECK ((status = ANY (ARRAY['in_review'::text, 'approved'::text, 'rejected'::text, 'yanked'::text])))
);


ALTER TABLE skills.version OWNER TO postgres;

--
-- Name: callable_tool; Type: VIEW; Schema: skills; Owner: postgres
--

CREATE VIEW skills.callable_tool AS
 SELECT s.id AS skill_id,
    s.name AS skill,
    s.rank,
    v.id AS version_id,
    v.version,
    v.digest,
    (t.value ->> 'name'::text) AS tool,
    (t.value ->> 'description'::text) AS description,
    (t.value -> 'input_schema'::text) AS input_schema,
    (t.value -> 'output_schema'::text) AS output_schema,
    (v.manifest ->> 'description'::text) AS skill_description
   FROM ((skills.skill s
     JOIN skills.version v ON ((v.id = s.latest_id)))
     CROSS JOIN LATERAL jsonb_array_elements(v.tools) t(value));


ALTER TABLE skills.callable_tool OWNER TO postgres;

--
-- Name: component; Type: TABLE; Schema: skills; Owner: postgres
--

CREATE TABLE skills.component (
    digest text NOT NULL,
    size_bytes bigint NOT NULL,
    bytes bytea,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT component_digest_form CHECK ((digest ~ '^sha256:[0-9a-f]{64}$'::text))
);
ALTER TABLE ONLY skills.component ALTER COLUMN bytes SET STORAGE EXTERNAL;


ALTER TABLE skills.component OWNER TO postgres;

--
-- Name: idempotency_key; Type: TABLE; Schema: skills; Owner: postgres
--

CREATE TABLE skills.idempotency_key (
    owner text NOT NULL,
    key text NOT NULL,
    fingerprint text NOT NULL,
    status integer,
    headers jsonb,
    body text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT idempotency_key_size CHECK (((char_length(key) >= 1) AND (char_length(key) <= 255)))
);


ALTER TABLE skills.idempotency_key OWNER TO postgres;

--
-- Name: kv; Type: TABLE; Schema: skills; Owner: postgres
--

CREATE TABLE skills.kv (
    skill_id uuid NOT NULL,
    bucket text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    value bytea NOT NULL,
    CONSTRAINT kv_key_size CHECK (((octet_length(key) >= 1) AND (octet_length(key) <= 1024)))
);


ALTER TABLE skills.kv OWNER TO postgres;

--
-- Name: kv_total; Type: TABLE; Schema: skills; Owner: postgres
--

CREATE TABLE skills.kv_total (
    skill_id uuid NOT NULL,
    bytes bigint DEFAULT 0 NOT NULL
);


ALTER TABLE skills.kv_total OWNER TO postgres;

--
-- Name: rating; Type: TABLE; Schema: skills; Owner: postgres
--

CREATE TABLE skills.rating (
    skill_id uuid NOT NULL,
    account_id uuid NOT NULL,
    rating smallint NOT NULL,
    text text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT rating_range CHECK (((rating >= 1) AND (rating <= 5))),
    CONSTRAINT rating_text_size CHECK ((char_length(text) <= 4000))
);


ALTER TABLE skills.rating OWNER TO postgres;

--
-- Name: usage; Type: TABLE; Schema: skills; Owner: postgres
--

CREATE TABLE skills.usage (
    skill_id uuid NOT NULL,
    account_id uuid NOT NULL,
    day date NOT NULL,
    calls bigint DEFAULT 0 NOT NULL,
    failures bigint DEFAULT 0 NOT NULL
);


ALTER TABLE skills.usage OWNER TO postgres;

--
-- Name: version_view; Type: VIEW; Schema: skills; Owner: postgres
--

CREATE VIEW skills.version_view AS
 SELECT v.id,
    v.skill_id,
    v.version,
    v.precedence,
    v.status,
    v.held,
    v.digest,
    c.size_bytes,
    v.created_at,
    v.decided_at,
    (v.status = ANY (ARRAY['approved'::text, 'yanked'::text])) AS is_public
   FROM (skills.version v
     JOIN skills.component c ON ((c.digest = v.digest)));


ALTER TABLE skills.version_view OWNER TO postgres;

--
-- Name: entry_202611; Type: TABLE ATTACH; Schema: audit; Owner: postgres
--

ALTER TABLE ONLY audit.entry ATTACH PARTITION audit.entry_202611 FOR VALUES FROM ('2026-11-01 00:00:00+00') TO ('2026-12-01 00:00:00+00');


--
-- Name: entry_202612; Type: TABLE ATTACH; Schema: audit; Owner: postgres
--

ALTER TABLE ONLY audit.entry ATTACH PARTITION audit.entry_202612 FOR VALUES FROM ('2026-12-01 00:00:00+00') TO ('2027-01-01 00:00:00+00');


--
-- Name: entry_202701; Type: TABLE ATTACH; Schema: audit; Owner: postgres
--

ALTER TABLE ONLY audit.entry ATTACH PARTITION audit.entry_202701 FOR VALUES FROM ('2027-01-01 00:00:00+00') TO ('2027-02-01 00:00:00+00');


--
-- Name: entry_default; Type: TABLE ATTACH; Schema: audit; Owner: postgres
--

ALTER TABLE ONLY audit.entry ATTACH PARTITION audit.entry_default DEFAULT;


--
-- Name: event_20261129; Type: TABLE ATTACH; Schema: events; Owner: postgres
--

ALTER TABLE ONLY events.event ATTACH PARTITION events.event_20261129 FOR VALUES FROM ('2026-11-29 00:00:00+00') TO ('2026-11-30 00:00:00+00');


--
-- Name: event_20261130; Type: TABLE ATTACH; Schema: events; Owner: postgres
--

ALTER TABLE ONLY events.event ATTACH PARTITION events.event_20261130 FOR VALUES FROM ('2026-11-30 00:00:00+00') TO ('2026-12-01 00:00:00+00');


--
-- Name: event_20261201; Type: TABLE ATTACH; Schema: events; Owner: postgres
--

ALTER TABLE ONLY events.event ATTACH PARTITION events.event_20261201 FOR VALUES FROM ('2026-12-01 00:00:00+00') TO ('2026-12-02 00:00:00+00');


--
-- Name: event_20261202; Type: TABLE ATTACH; Schema: events; Owner: postgres
--

ALTER TABLE ONLY events.event ATTACH PARTITION events.event_20261202 FOR VALUES FROM ('2026-12-02 00:00:00+00') TO ('2026-12-03 00:00:00+00');


--
-- Name: event_default; Type: TABLE ATTACH; Schema: events; Owner: postgres
--

ALTER TABLE ONLY events.event ATTACH PARTITION events.event_default DEFAULT;


--
-- Name: chain chain_pkey; Type: CONSTRAINT; Schema: audit; Owner: postgres
--

ALTER TABLE ONLY audit.chain
    ADD CONSTRAINT chain_pkey PRIMARY KEY (id);


--
-- Name: entry entry_pkey; Type: CONSTRAINT; Schema: audit; Owner: postgres
--

ALTER TABLE ONLY audit.entry
    ADD CONSTRAINT entry_pkey PRIMARY KEY (at, id);


--
-- Name: entry_202611 entry_202611_pkey; Type: CONSTRAINT; Schema: audit; Owner: postgres
--

ALTER TABLE ONLY audit.entry_202611
    ADD CONSTRAINT entry_202611_pkey PRIMARY KEY (at, id);


--
-- Name: entry_202612 entry_202612_pkey; Type: CONSTRAINT; Schema: audit; Owner: postgres
--

ALTER TABLE ONLY audit.entry_202612
    ADD CONSTRAINT entry_202612_pkey PRIMARY KEY (at, id);


--
-- Name: entry_202701 entry_202701_pkey; Type: CONSTRAINT; Schema: audit; Owner: postgres
--

ALTER TABLE ONLY audit.entry_202701
    ADD CONSTRAINT entry_202701_pkey PRIMARY KEY (at, id);


--
-- Name: entry_default entry_default_pkey; Type: CONSTRAINT; Schema: audit; Owner: postgres
--

ALTER TABLE ONLY audit.entry_default
    ADD CONSTRAINT entry_default_pkey PRIMARY KEY (at, id);


--
-- Name: event event_pkey; Type: CONSTRAINT; Schema: events; Owner: postgres
--

ALTER TABLE ONLY events.event
    ADD CONSTRAINT event_pkey PRIMARY KEY (created_at, id);


--
-- Name: event_20261129 event_20261129_pkey; Type: CONSTRAINT; Schema: events; Owner: postgres
--

ALTER TABLE ONLY events.event_20261129
    ADD CONSTRAINT event_20261129_pkey PRIMARY KEY (created_at, id);


--
-- Name: event_20261130 event_20261130_pkey; Type: CONSTRAINT; Schema: events; Owner: postgres
--

ALTER TABLE ONLY events.event_20261130
    ADD CONSTRAINT event_20261130_pkey PRIMARY KEY (created_at, id);


--
-- Name: event_20261201 event_20261201_pkey; Type: CONSTRAINT; Schema: events; Owner: postgres
--

ALTER TABLE ONLY events.event_20261201
    ADD CONSTRAINT event_20261201_pkey PRIMARY KEY (created_at, id);


--
-- Name: event_20261202 event_20261202_pkey; Type: CONSTRAINT; Schema: events; Owner: postgres
--

ALTER TABLE ONLY events.event_20261202
    ADD CONSTRAINT event_20261202_pkey PRIMARY KEY (created_at, id);


--
-- Name: event_default event_default_pkey; Type: CONSTRAINT; Schema: events; Owner: postgres
--

ALTER TABLE ONLY events.event_default
    ADD CONSTRAINT event_default_pkey PRIMARY KEY (created_at, id);


--
-- Name: _private_job_retirements _private_job_retirements_pkey; Type: CONSTRAINT; Schema: graphile_worker; Owner: postgres
--

ALTER TABLE ONLY graphile_worker._private_job_retirements
    ADD CONSTRAINT _private_job_retirements_pkey PRIMARY KEY (id);


--
-- Name: _private_workers _private_workers_pkey; Type: CONSTRAINT; Schema: graphile_worker; Owner: postgres
--

ALTER TABLE ONLY graphile_worker._private_workers
    ADD CONSTRAINT _private_workers_pkey PRIMARY KEY (id);


--
-- Name: _private_job_queues job_queues_pkey1; Type: CONSTRAINT; Schema: graphile_worker; Owner: postgres
--

ALTER TABLE ONLY graphile_worker._private_job_queues
    ADD CONSTRAINT job_queues_pkey1 PRIMARY KEY (id);


--
-- Name: _private_job_queues job_queues_queue_name_key; Type: CONSTRAINT; Schema: graphile_worker; Owner: postgres
--

ALTER TABLE ONLY graphile_worker._private_job_queues
    ADD CONSTRAINT job_queues_queue_name_key UNIQUE (queue_name);


--
-- Name: _private_jobs jobs_key_key1; Type: CONSTRAINT; Schema: graphile_worker; Owner: postgres
--

ALTER TABLE ONLY graphile_worker._private_jobs
    ADD CONSTRAINT jobs_key_key1 UNIQUE (key);


--
-- Name: _private_jobs jobs_pkey1; Type: CONSTRAINT; Schema: graphile_worker; Owner: postgres
--

ALTER TABLE ONLY graphile_worker._private_jobs
    ADD CONSTRAINT jobs_pkey1 PRIMARY KEY (id);


--
-- Name: _private_known_crontabs known_crontabs_pkey; Type: CONSTRAINT; Schema: graphile_worker; Owner: postgres
--

ALTER TABLE ONLY graphile_worker._private_known_crontabs
    ADD CONSTRAINT known_crontabs_pkey PRIMARY KEY (identifier);


--
-- Name: migrations migrations_pkey; Type: CONSTRAINT; Schema: graphile_worker; Owner: postgres
--

ALTER TABLE ONLY graphile_worker.migrations
    ADD CONSTRAINT migrations_pkey PRIMARY KEY (id);


--
-- Name: _private_tasks tasks_identifier_key; Type: CONSTRAINT; Schema: graphile_worker; Owner: postgres
--

ALTER TABLE ONLY graphile_worker._private_tasks
    ADD CONSTRAINT tasks_identifier_key UNIQUE (identifier);


--
-- Name: _private_tasks tasks_pkey; Type: CONSTRAINT; Schema: graphile_worker; Owner: postgres
--

ALTER TABLE ONLY graphile_worker._private_tasks
    ADD CONSTRAINT tasks_pkey PRIMARY KEY (id);


--
-- Name: account account_name_free; Type: CHECK CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE identity.account
    ADD CONSTRAINT account_name_free CHECK (((name <> ALL (ARRAY['me'::text, 'register'::text, 'challenge'::text, 'authenticate'::text, 'new'::text, 'search'::text, 'current'::text, 'admin'::text, 'administrator'::text, 'root'::text, 'system'::text, 'gather'::text, 'support'::text, 'security'::text, 'moderator'::text, 'anonymous'::text, 'everyone'::text, 'here'::text, 'all'::text, 'null'::text, 'undefined'::text])) AND ((status = 'deleted'::text) OR (name !~~ 'deleted-%'::text)))) NOT VALID;


--
-- Name: account account_name_key; Type: CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.account
    ADD CONSTRAINT account_name_key UNIQUE (name);


--
-- Name: account account_pkey; Type: CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.account
    ADD CONSTRAINT account_pkey PRIMARY KEY (id);


--
-- Name: account_role account_role_pkey; Type: CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.account_role
    ADD CONSTRAINT account_role_pkey PRIMARY KEY (account_id, role);


--
-- Name: agent agent_pkey; Type: CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.agent
    ADD CONSTRAINT agent_pkey PRIMARY KEY (account_id);


--
-- Name: agent agent_public_key_key; Type: CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.agent
    ADD CONSTRAINT agent_public_key_key UNIQUE (public_key);


--
-- Name: allowance allowance_pkey; Type: CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.allowance
    ADD CONSTRAINT allowance_pkey PRIMARY KEY (bucket);


--
-- Name: api_key api_key_hash_key; Type: CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.api_key
    ADD CONSTRAINT api_key_hash_key UNIQUE (hash);


--
-- Name: api_key api_key_pkey; Type: CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.api_key
    ADD CONSTRAINT api_key_pkey PRIMARY KEY (id);


--
-- Name: attestation_key attestation_key_pkey; Type: CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.attestation_key
    ADD CONSTRAINT attestation_key_pkey PRIMARY KEY (kid);


--
-- Name: claim claim_pkey; Type: CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.claim
    ADD CONSTRAINT claim_pkey PRIMARY KEY (hash);


--
-- Name: external_identity external_identity_pkey; Type: CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.external_identity
    ADD CONSTRAINT external_identity_pkey PRIMARY KEY (issuer, subject);


--
-- Name: former_key former_key_pkey; Type: CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.former_key
    ADD CONSTRAINT former_key_pkey PRIMARY KEY (public_key);


--
-- Name: idempotency_key idempotency_key_pkey; Type: CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.idempotency_key
    ADD CONSTRAINT idempotency_key_pkey PRIMARY KEY (owner, key);


--
-- Name: link link_pkey; Type: CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.link
    ADD CONSTRAINT link_pkey PRIMARY KEY (id);


--
-- Name: passkey passkey_credential_id_key; Type: CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.passkey
    ADD CONSTRAINT passkey_credential_id_key UNIQUE (credential_id);


--
-- Name: passkey passkey_pkey; Type: CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.passkey
    ADD CONSTRAINT passkey_pkey PRIMARY KEY (id);


--
-- Name: person person_pkey; Type: CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.person
    ADD CONSTRAINT person_pkey PRIMARY KEY (account_id);


--
-- Name: recovery_code recovery_code_pkey; Type: CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.recovery_code
    ADD CONSTRAINT recovery_code_pkey PRIMARY KEY (account_id, hash);


--
-- Name: refresh_token refresh_token_pkey; Type: CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.refresh_token
    ADD CONSTRAINT refresh_token_pkey PRIMARY KEY (hash);


--
-- Name: role role_pkey; Type: CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.role
    ADD CONSTRAINT role_pkey PRIMARY KEY (name);


--
-- Name: session session_pkey; Type: CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.session
    ADD CONSTRAINT session_pkey PRIMARY KEY (id);


--
-- Name: sign_in_failure sign_in_failure_pkey; Type: CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.sign_in_failure
    ADD CONSTRAINT sign_in_failure_pkey PRIMARY KEY (key);


--
-- Name: signing_key signing_key_pkey; Type: CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.signing_key
    ADD CONSTRAINT signing_key_pkey PRIMARY KEY (kid);


--
-- Name: team_member team_member_pkey; Type: CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.team_member
    ADD CONSTRAINT team_member_pkey PRIMARY KEY (team_id, account_id);


--
-- Name: team team_name_key; Type: CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.team
    ADD CONSTRAINT team_name_key UNIQUE (name);


--
-- Name: team team_pkey; Type: CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.team
    ADD CONSTRAINT team_pkey PRIMARY KEY (id);


--
-- Name: team_role team_role_pkey; Type: CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.team_role
    ADD CONSTRAINT team_role_pkey PRIMARY KEY (name);


--
-- Name: used_challenge used_challenge_pkey; Type: CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.used_challenge
    ADD CONSTRAINT used_challenge_pkey PRIMARY KEY (nonce);


--
-- Name: attempt attempt_pkey; Type: CONSTRAINT; Schema: jobs; Owner: postgres
--

ALTER TABLE ONLY jobs.attempt
    ADD CONSTRAINT attempt_pkey PRIMARY KEY (job_id, number);


--
-- Name: count_total count_total_pkey; Type: CONSTRAINT; Schema: jobs; Owner: postgres
--

ALTER TABLE ONLY jobs.count_total
    ADD CONSTRAINT count_total_pkey PRIMARY KEY (kind, status);


--
-- Name: enqueuer enqueuer_pkey; Type: CONSTRAINT; Schema: jobs; Owner: postgres
--

ALTER TABLE ONLY jobs.enqueuer
    ADD CONSTRAINT enqueuer_pkey PRIMARY KEY (role, kind);


--
-- Name: job job_pkey; Type: CONSTRAINT; Schema: jobs; Owner: postgres
--

ALTER TABLE ONLY jobs.job
    ADD CONSTRAINT job_pkey PRIMARY KEY (id);


--
-- Name: kind kind_pkey; Type: CONSTRAINT; Schema: jobs; Owner: postgres
--

ALTER TABLE ONLY jobs.kind
    ADD CONSTRAINT kind_pkey PRIMARY KEY (name);


--
-- Name: health health_pkey; Type: CONSTRAINT; Schema: platform; Owner: postgres
--

ALTER TABLE ONLY platform.health
    ADD CONSTRAINT health_pkey PRIMARY KEY (component);


--
-- Name: _sqlx_migrations _sqlx_migrations_pkey; Type: CONSTRAINT; Schema: public; Owner: postgres
--

ALTER TABLE ONLY public._sqlx_migrations
    ADD CONSTRAINT _sqlx_migrations_pkey PRIMARY KEY (version);


--
-- Name: attestation attestation_pkey; Type: CONSTRAINT; Schema: skills; Owner: postgres
--

ALTER TABLE ONLY skills.attestation
    ADD CONSTRAINT attestation_pkey PRIMARY KEY (id);


--
-- Name: component component_pkey; Type: CONSTRAINT; Schema: skills; Owner: postgres
--

ALTER TABLE ONLY skills.component
    ADD CONSTRAINT component_pkey PRIMARY KEY (digest);


--
-- Name: idempotency_key idempotency_key_pkey; Type: CONSTRAINT; Schema: skills; Owner: postgres
--

ALTER TABLE ONLY skills.idempotency_key
    ADD CONSTRAINT idempotency_key_pkey PRIMARY KEY (owner, key);


--
-- Name: kv kv_pkey; Type: CONSTRAINT; Schema: skills; Owner: postgres
--

ALTER TABLE ONLY skills.kv
    ADD CONSTRAINT kv_pkey PRIMARY KEY (skill_id, bucket, key);


--
-- Name: kv_total kv_total_pkey; Type: CONSTRAINT; Schema: skills; Owner: postgres
--

ALTER TABLE ONLY skills.kv_total
    ADD CONSTRAINT kv_total_pkey PRIMARY KEY (skill_id);


--
-- Name: rating rating_pkey; Type: CONSTRAINT; Schema: skills; Owner: postgres
--

ALTER TABLE ONLY skills.rating
    ADD CONSTRAINT rating_pkey PRIMARY KEY (skill_id, account_id);


--
-- Name: skill skill_name_key; Type: CONSTRAINT; Schema: skills; Owner: postgres
--

ALTER TABLE ONLY skills.skill
    ADD CONSTRAINT skill_name_key UNIQUE (name);


--
-- Name: skill skill_pkey; Type: CONSTRAINT; Schema: skills; Owner: postgres
--

ALTER TABLE ONLY skills.skill
    ADD CONSTRAINT skill_pkey PRIMARY KEY (id);


--
-- Name: usage usage_pkey; Type: CONSTRAINT; Schema: skills; Owner: postgres
--

ALTER TABLE ONLY skills.usage
    ADD CONSTRAINT usage_pkey PRIMARY KEY (skill_id, account_id, day);


--
-- Name: version version_key; Type: CONSTRAINT; Schema: skills; Owner: postgres
--

ALTER TABLE ONLY skills.version
    ADD CONSTRAINT version_key UNIQUE (skill_id, version);


--
-- Name: version version_pkey; Type: CONSTRAINT; Schema: skills; Owner: postgres
--

ALTER TABLE ONLY skills.version
    ADD CONSTRAINT version_pkey PRIMARY KEY (id);


--
-- Name: entry_action; Type: INDEX; Schema: audit; Owner: postgres
--

CREATE INDEX entry_action ON ONLY audit.entry USING btree (action, at, id);


--
-- Name: entry_202611_action_at_id_idx; Type: INDEX; Schema: audit; Owner: postgres
--

CREATE INDEX entry_202611_action_at_id_idx ON audit.entry_202611 USING btree (action, at, id);


--
-- Name: entry_actor; Type: INDEX; Schema: audit; Owner: postgres
--

CREATE INDEX entry_actor ON ONLY audit.entry USING btree (actor_id, at, id);


--
-- Name: entry_202611_actor_id_at_id_idx; Type: INDEX; Schema: audit; Owner: postgres
--

CREATE INDEX entry_202611_actor_id_at_id_idx ON audit.entry_202611 USING btree (actor_id, at, id);


--
-- Name: entry_refused; Type: INDEX; Schema: audit; Owner: postgres
--

CREATE INDEX entry_refused ON ONLY audit.entry USING btree (at, id) WHERE (NOT allowed);


--
-- Name: entry_202611_at_id_idx; Type: INDEX; Schema: audit; Owner: postgres
--

CREATE INDEX entry_202611_at_id_idx ON audit.entry_202611 USING btree (at, id) WHERE (NOT allowed);


--
-- Name: entry_chain; Type: INDEX; Schema: audit; Owner: postgres
--

CREATE INDEX entry_chain ON ONLY audit.entry USING btree (chain, "position");


--
-- Name: entry_202611_chain_position_idx; Type: INDEX; Schema: audit; Owner: postgres
--

CREATE INDEX entry_202611_chain_position_idx ON audit.entry_202611 USING btree (chain, "position");


--
-- Name: entry_subject; Type: INDEX; Schema: audit; Owner: postgres
--

CREATE INDEX entry_subject ON ONLY audit.entry USING btree (subject, at, id);


--
-- Name: entry_202611_subject_at_id_idx; Type: INDEX; Schema: audit; Owner: postgres
--

CREATE INDEX entry_202611_subject_at_id_idx ON audit.entry_202611 USING btree (subject, at, id);


--
-- Name: entry_202612_action_at_id_idx; Type: INDEX; Schema: audit; Owner: postgres
--

CREATE INDEX entry_202612_action_at_id_idx ON audit.entry_202612 USING btree (action, at, id);


--
-- Name: entry_202612_actor_id_at_id_idx; Type: INDEX; Schema: audit; Owner: postgres
--

CREATE INDEX entry_202612_actor_id_at_id_idx ON audit.entry_202612 USING btree (actor_id, at, id);


--
-- Name: entry_202612_at_id_idx; Type: INDEX; Schema: audit; Owner: postgres
--

CREATE INDEX entry_202612_at_id_idx ON audit.entry_202612 USING btree (at, id) WHERE (NOT allowed);


--
-- Name: entry_202612_chain_position_idx; Type: INDEX; Schema: audit; Owner: postgres
--

CREATE INDEX entry_202612_chain_position_idx ON audit.entry_202612 USING btree (chain, "position");


--
-- Name: entry_202612_subject_at_id_idx; Type: INDEX; Schema: audit; Owner: postgres
--

CREATE INDEX entry_202612_subject_at_id_idx ON audit.entry_202612 USING btree (subject, at, id);


--
-- Name: entry_202701_action_at_id_idx; Type: INDEX; Schema: audit; Owner: postgres
--

CREATE INDEX entry_202701_action_at_id_idx ON audit.entry_202701 USING btree (action, at, id);


--
-- Name: entry_202701_actor_id_at_id_idx; Type: INDEX; Schema: audit; Owner: postgres
--

CREATE INDEX entry_202701_actor_id_at_id_idx ON audit.entry_202701 USING btree (actor_id, at, id);


--
-- Name: entry_202701_at_id_idx; Type: INDEX; Schema: audit; Owner: postgres
--

CREATE INDEX entry_202701_at_id_idx ON audit.entry_202701 USING btree (at, id) WHERE (NOT allowed);


--
-- Name: entry_202701_chain_position_idx; Type: INDEX; Schema: audit; Owner: postgres
--

CREATE INDEX entry_202701_chain_position_idx ON audit.entry_202701 USING btree (chain, "position");


--
-- Name: entry_202701_subject_at_id_idx; Type: INDEX; Schema: audit; Owner: postgres
--

CREATE INDEX entry_202701_subject_at_id_idx ON audit.entry_202701 USING btree (subject, at, id);


--
-- Name: entry_default_action_at_id_idx; Type: INDEX; Schema: audit; Owner: postgres
--

CREATE INDEX entry_default_action_at_id_idx ON audit.entry_default USING btree (action, at, id);


--
-- Name: entry_default_actor_id_at_id_idx; Type: INDEX; Schema: audit; Owner: postgres
--

CREATE INDEX entry_default_actor_id_at_id_idx ON audit.entry_default USING btree (actor_id, at, id);


--
-- Name: entry_default_at_id_idx; Type: INDEX; Schema: audit; Owner: postgres
--

CREATE INDEX entry_default_at_id_idx ON audit.entry_default USING btree (at, id) WHERE (NOT allowed);


--
-- Name: entry_default_chain_position_idx; Type: INDEX; Schema: audit; Owner: postgres
--

CREATE INDEX entry_default_chain_position_idx ON audit.entry_default USING btree (chain, "position");


--
-- Name: entry_default_subject_at_id_idx; Type: INDEX; Schema: audit; Owner: postgres
--

CREATE INDEX entry_default_subject_at_id_idx ON audit.entry_default USING btree (subject, at, id);


--
-- Name: event_topic; Type: INDEX; Schema: events; Owner: postgres
--

CREATE INDEX event_topic ON ONLY events.event USING btree (topic, created_at, id);


--
-- Name: event_20261129_topic_created_at_id_idx; Type: INDEX; Schema: events; Owner: postgres
--

CREATE INDEX event_20261129_topic_created_at_id_idx ON events.event_20261129 USING btree (topic, created_at, id);


--
-- Name: event_20261130_topic_created_at_id_idx; Type: INDEX; Schema: events; Owner: postgres
--

CREATE INDEX event_20261130_topic_created_at_id_idx ON events.event_20261130 USING btree (topic, created_at, id);


--
-- Name: event_20261201_topic_created_at_id_idx; Type: INDEX; Schema: events; Owner: postgres
--

CREATE INDEX event_20261201_topic_created_at_id_idx ON events.event_20261201 USING btree (topic, created_at, id);


--
-- Name: event_20261202_topic_created_at_id_idx; Type: INDEX; Schema: events; Owner: postgres
--

CREATE INDEX event_20261202_topic_created_at_id_idx ON events.event_20261202 USING btree (topic, created_at, id);


--
-- Name: event_default_topic_created_at_id_idx; Type: INDEX; Schema: events; Owner: postgres
--

CREATE INDEX event_default_topic_created_at_id_idx ON events.event_default USING btree (topic, created_at, id);


--
-- Name: _private_workers_last_heartbeat_at_idx; Type: INDEX; Schema: graphile_worker; Owner: postgres
--

CREATE INDEX _private_workers_last_heartbeat_at_idx ON graphile_worker._private_workers USING btree (last_heartbeat_at);


--
-- Name: jobs_main_index; Type: INDEX; Schema: graphile_worker; Owner: postgres
--

CREATE INDEX jobs_main_index ON graphile_worker._private_jobs USING btree (priority, run_at) INCLUDE (id, task_id, job_queue_id) WHERE (is_available = true);


--
-- Name: jobs_no_queue_index; Type: INDEX; Schema: graphile_worker; Owner: postgres
--

CREATE INDEX jobs_no_queue_index ON graphile_worker._private_jobs USING btree (priority, run_at) INCLUDE (id, task_id) WHERE ((is_available = true) AND (job_queue_id IS NULL));


--
-- Name: private_jobs_locked; Type: INDEX; Schema: graphile_worker; Owner: postgres
--

CREATE INDEX private_jobs_locked ON graphile_worker._private_jobs USING btree (locked_by) WHERE (locked_by IS NOT NULL);


--
-- Name: private_jobs_queue; Type: INDEX; Schema: graphile_worker; Owner: postgres
--

CREATE INDEX private_jobs_queue ON graphile_worker._private_jobs USING btree (job_queue_id) WHERE (job_queue_id IS NOT NULL);


--
-- Name: account_changed; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE INDEX account_changed ON identity.account USING btree (changed_at) WHERE (changed_at IS NOT NULL);


--
-- Name: account_kind_name; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE INDEX account_kind_name ON identity.account USING btree (kind, name);


--
-- Name: account_never_came; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE INDEX account_never_came ON identity.account USING btree (created_at) WHERE (authenticated_at IS NULL);


--
-- Name: account_role_role; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE INDEX account_role_role ON identity.account_role USING btree (role, account_id);


--
-- Name: agent_owner; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE INDEX agent_owner ON identity.agent USING btree (owner_id, account_id) WHERE (owner_id IS NOT NULL);


--
-- Name: allowance_ends; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE INDEX allowance_ends ON identity.allowance USING btree (ends_at);


--
-- Name: api_key_account; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE INDEX api_key_account ON identity.api_key USING btree (account_id, id);


--
-- Name: api_key_expires; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE INDEX api_key_expires ON identity.api_key USING btree (expires_at) WHERE (expires_at IS NOT NULL);


--
-- Name: api_key_revoked; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE INDEX api_key_revoked ON identity.api_key USING btree (revoked_at) WHERE (revoked_at IS NOT NULL);


--
-- Name: claim_agent; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE INDEX claim_agent ON identity.claim USING btree (agent_id);


--
-- Name: claim_expires; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE INDEX claim_expires ON identity.claim USING btree (expires_at);


--
-- Name: claim_owner; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE INDEX claim_owner ON identity.claim USING btree (owner_id);


--
-- Name: external_identity_account; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE INDEX external_identity_account ON identity.external_identity USING btree (account_id);


--
-- Name: former_key_account; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE INDEX former_key_account ON identity.former_key USING btree (account_id, retired_at);


--
-- Name: idempotency_key_created; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE INDEX idempotency_key_created ON identity.idempotency_key USING btree (created_at);


--
-- Name: link_account; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE INDEX link_account ON identity.link USING btree (account_id, purpose, id);


--
-- Name: link_expires; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE INDEX link_expires ON identity.link USING btree (expires_at);


--
-- Name: passkey_account; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE INDEX passkey_account ON identity.passkey USING btree (account_id, id);


--
-- Name: person_email; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE INDEX person_email ON identity.person USING btree (email);


--
-- Name: person_email_verified; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE UNIQUE INDEX person_email_verified ON identity.person USING btree (email) WHERE (verified_at IS NOT NULL);


--
-- Name: refresh_token_account; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE INDEX refresh_token_account ON identity.refresh_token USING btree (account_id);


--
-- Name: refresh_token_expires; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE INDEX refresh_token_expires ON identity.refresh_token USING btree (expires_at);


--
-- Name: refresh_token_session; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE INDEX refresh_token_session ON identity.refresh_token USING btree (session_id);


--
-- Name: session_account; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE INDEX session_account ON identity.session USING btree (account_id, id);


--
-- Name: session_cookie; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE UNIQUE INDEX session_cookie ON identity.session USING btree (cookie_hash) WHERE (cookie_hash IS NOT NULL);


--
-- Name: session_expires; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE INDEX session_expires ON identity.session USING btree (expires_at);


--
-- Name: session_revoked; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE INDEX session_revoked ON identity.session USING btree (revoked_at) WHERE (revoked_at IS NOT NULL);


--
-- Name: sign_in_failure_last; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE INDEX sign_in_failure_last ON identity.sign_in_failure USING btree (last_at);


--
-- Name: signing_key_one_active; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE UNIQUE INDEX signing_key_one_active ON identity.signing_key USING btree ((true)) WHERE (retired_at IS NULL);


--
-- Name: team_member_account; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE INDEX team_member_account ON identity.team_member USING btree (account_id, team_id);


--
-- Name: used_challenge_expires; Type: INDEX; Schema: identity; Owner: postgres
--

CREATE INDEX used_challenge_expires ON identity.used_challenge USING btree (expires_at);


--
-- Name: job_finished_at; Type: INDEX; Schema: jobs; Owner: postgres
--

CREATE INDEX job_finished_at ON jobs.job USING btree (finished_at) WHERE (finished_at IS NOT NULL);


--
-- Name: job_key; Type: INDEX; Schema: jobs; Owner: postgres
--

CREATE UNIQUE INDEX job_key ON jobs.job USING btree (kind, owner_id, key) NULLS NOT DISTINCT WHERE ((key IS NOT NULL) AND (finished_at IS NULL));


--
-- Name: job_kind; Type: INDEX; Schema: jobs; Owner: postgres
--

CREATE INDEX job_kind ON jobs.job USING btree (kind, id);


--
-- Name: job_owner; Type: INDEX; Schema: jobs; Owner: postgres
--

CREATE INDEX job_owner ON jobs.job USING btree (owner_id, id);


--
-- Name: job_queue_id; Type: INDEX; Schema: jobs; Owner: postgres
--

CREATE UNIQUE INDEX job_queue_id ON jobs.job USING btree (queue_id) WHERE (queue_id IS NOT NULL);


--
-- Name: job_status; Type: INDEX; Schema: jobs; Owner: postgres
--

CREATE INDEX job_status ON jobs.job USING btree (status, id);


--
-- Name: job_waiting; Type: INDEX; Schema: jobs; Owner: postgres
--

CREATE INDEX job_waiting ON jobs.job USING btree (run_at) WHERE (status = 'queued'::text);


--
-- Name: attestation_version; Type: INDEX; Schema: skills; Owner: postgres
--

CREATE INDEX attestation_version ON skills.attestation USING btree (version_id, id);


--
-- Name: component_created; Type: INDEX; Schema: skills; Owner: postgres
--

CREATE INDEX component_created ON skills.component USING btree (created_at);


--
-- Name: idempotency_key_created; Type: INDEX; Schema: skills; Owner: postgres
--

CREATE INDEX idempotency_key_created ON skills.idempotency_key USING btree (created_at);


--
-- Name: rating_account; Type: INDEX; Schema: skills; Owner: postgres
--

CREATE INDEX rating_account ON skills.rating USING btree (account_id);


--
-- Name: rating_new; Type: INDEX; Schema: skills; Owner: postgres
--

CREATE INDEX rating_new ON skills.rating USING btree (skill_id, updated_at, account_id);


--
-- Name: skill_document; Type: INDEX; Schema: skills; Owner: postgres
--

CREATE INDEX skill_document ON skills.skill USING gin (document);


--
-- Name: skill_new; Type: INDEX; Schema: skills; Owner: postgres
--

CREATE INDEX skill_new ON skills.skill USING btree (id) WHERE (latest_id IS NOT NULL);


--
-- Name: skill_owner; Type: INDEX; Schema: skills; Owner: postgres
--

CREATE INDEX skill_owner ON skills.skill USING btree (owner_id, id);


--
-- Name: skill_rank; Type: INDEX; Schema: skills; Owner: postgres
--

CREATE INDEX skill_rank ON skills.skill USING btree (rank, id) WHERE (latest_id IS NOT NULL);


--
-- Name: skill_tags; Type: INDEX; Schema: skills; Owner: postgres
--

CREATE INDEX skill_tags ON skills.skill USING gin (tags);


--
-- Name: skill_used; Type: INDEX; Schema: skills; Owner: postgres
--

CREATE INDEX skill_used ON skills.skill USING btree (uses_30d, id) WHERE (latest_id IS NOT NULL);


--
-- Name: skill_words; Type: INDEX; Schema: skills; Owner: postgres
--

CREATE INDEX skill_words ON skills.skill USING gin (words trigram.gin_trgm_ops);


--
-- Name: usage_account; Type: INDEX; Schema: skills; Owner: postgres
--

CREATE INDEX usage_account ON skills.usage USING btree (account_id, day);


--
-- Name: usage_day; Type: INDEX; Schema: skills; Owner: postgres
--

CREATE INDEX usage_day ON skills.usage USING btree (day);


--
-- Name: version_decided; Type: INDEX; Schema: skills; Owner: postgres
--

CREATE INDEX version_decided ON skills.version USING btree (decided_by) WHERE (decided_by IS NOT NULL);


--
-- Name: version_digest; Type: INDEX; Schema: skills; Owner: postgres
--

CREATE INDEX version_digest ON skills.version USING btree (digest);


--
-- Name: version_held; Type: INDEX; Schema: skills; Owner: postgres
--

CREATE INDEX version_held ON skills.version USING btree (id) WHERE held;


--
-- Name: version_order; Type: INDEX; Schema: skills; Owner: postgres
--

CREATE INDEX version_order ON skills.version USING btree (skill_id, precedence);


--
-- Name: version_published; Type: INDEX; Schema: skills; Owner: postgres
--

CREATE INDEX version_published ON skills.version USING btree (published_by);


--
-- Name: entry_202611_action_at_id_idx; Type: INDEX ATTACH; Schema: audit; Owner: postgres
--

ALTER INDEX audit.entry_action ATTACH PARTITION audit.entry_202611_action_at_id_idx;


--
-- Name: entry_202611_actor_id_at_id_idx; Type: INDEX ATTACH; Schema: audit; Owner: postgres
--

ALTER INDEX audit.entry_actor ATTACH PARTITION audit.entry_202611_actor_id_at_id_idx;


--
-- Name: entry_202611_at_id_idx; Type: INDEX ATTACH; Schema: audit; Owner: postgres
--

ALTER INDEX audit.entry_refused ATTACH PARTITION audit.entry_202611_at_id_idx;


--
-- Name: entry_202611_chain_position_idx; Type: INDEX ATTACH; Schema: audit; Owner: postgres
--

ALTER INDEX audit.entry_chain ATTACH PARTITION audit.entry_202611_chain_position_idx;


--
-- Name: entry_202611_pkey; Type: INDEX ATTACH; Schema: audit; Owner: postgres
--

ALTER INDEX audit.entry_pkey ATTACH PARTITION audit.entry_202611_pkey;


--
-- Name: entry_202611_subject_at_id_idx; Type: INDEX ATTACH; Schema: audit; Owner: postgres
--

ALTER INDEX audit.entry_subject ATTACH PARTITION audit.entry_202611_subject_at_id_idx;


--
-- Name: entry_202612_action_at_id_idx; Type: INDEX ATTACH; Schema: audit; Owner: postgres
--

ALTER INDEX audit.entry_action ATTACH PARTITION audit.entry_202612_action_at_id_idx;


--
-- Name: entry_202612_actor_id_at_id_idx; Type: INDEX ATTACH; Schema: audit; Owner: postgres
--

ALTER INDEX audit.entry_actor ATTACH PARTITION audit.entry_202612_actor_id_at_id_idx;


--
-- Name: entry_202612_at_id_idx; Type: INDEX ATTACH; Schema: audit; Owner: postgres
--

ALTER INDEX audit.entry_refused ATTACH PARTITION audit.entry_202612_at_id_idx;


--
-- Name: entry_202612_chain_position_idx; Type: INDEX ATTACH; Schema: audit; Owner: postgres
--

ALTER INDEX audit.entry_chain ATTACH PARTITION audit.entry_202612_chain_position_idx;


--
-- Name: entry_202612_pkey; Type: INDEX ATTACH; Schema: audit; Owner: postgres
--

ALTER INDEX audit.entry_pkey ATTACH PARTITION audit.entry_202612_pkey;


--
-- Name: entry_202612_subject_at_id_idx; Type: INDEX ATTACH; Schema: audit; Owner: postgres
--

ALTER INDEX audit.entry_subject ATTACH PARTITION audit.entry_202612_subject_at_id_idx;


--
-- Name: entry_202701_action_at_id_idx; Type: INDEX ATTACH; Schema: audit; Owner: postgres
--

ALTER INDEX audit.entry_action ATTACH PARTITION audit.entry_202701_action_at_id_idx;


--
-- Name: entry_202701_actor_id_at_id_idx; Type: INDEX ATTACH; Schema: audit; Owner: postgres
--

ALTER INDEX audit.entry_actor ATTACH PARTITION audit.entry_202701_actor_id_at_id_idx;


--
-- Name: entry_202701_at_id_idx; Type: INDEX ATTACH; Schema: audit; Owner: postgres
--

ALTER INDEX audit.entry_refused ATTACH PARTITION audit.entry_202701_at_id_idx;


--
-- Name: entry_202701_chain_position_idx; Type: INDEX ATTACH; Schema: audit; Owner: postgres
--

ALTER INDEX audit.entry_chain ATTACH PARTITION audit.entry_202701_chain_position_idx;


--
-- Name: entry_202701_pkey; Type: INDEX ATTACH; Schema: audit; Owner: postgres
--

ALTER INDEX audit.entry_pkey ATTACH PARTITION audit.entry_202701_pkey;


--
-- Name: entry_202701_subject_at_id_idx; Type: INDEX ATTACH; Schema: audit; Owner: postgres
--

ALTER INDEX audit.entry_subject ATTACH PARTITION audit.entry_202701_subject_at_id_idx;


--
-- Name: entry_default_action_at_id_idx; Type: INDEX ATTACH; Schema: audit; Owner: postgres
--

ALTER INDEX audit.entry_action ATTACH PARTITION audit.entry_default_action_at_id_idx;


--
-- Name: entry_default_actor_id_at_id_idx; Type: INDEX ATTACH; Schema: audit; Owner: postgres
--

ALTER INDEX audit.entry_actor ATTACH PARTITION audit.entry_default_actor_id_at_id_idx;


--
-- Name: entry_default_at_id_idx; Type: INDEX ATTACH; Schema: audit; Owner: postgres
--

ALTER INDEX audit.entry_refused ATTACH PARTITION audit.entry_default_at_id_idx;


--
-- Name: entry_default_chain_position_idx; Type: INDEX ATTACH; Schema: audit; Owner: postgres
--

ALTER INDEX audit.entry_chain ATTACH PARTITION audit.entry_default_chain_position_idx;


--
-- Name: entry_default_pkey; Type: INDEX ATTACH; Schema: audit; Owner: postgres
--

ALTER INDEX audit.entry_pkey ATTACH PARTITION audit.entry_default_pkey;


--
-- Name: entry_default_subject_at_id_idx; Type: INDEX ATTACH; Schema: audit; Owner: postgres
--

ALTER INDEX audit.entry_subject ATTACH PARTITION audit.entry_default_subject_at_id_idx;


--
-- Name: event_20261129_pkey; Type: INDEX ATTACH; Schema: events; Owner: postgres
--

ALTER INDEX events.event_pkey ATTACH PARTITION events.event_20261129_pkey;


--
-- Name: event_20261129_topic_created_at_id_idx; Type: INDEX ATTACH; Schema: events; Owner: postgres
--

ALTER INDEX events.event_topic ATTACH PARTITION events.event_20261129_topic_created_at_id_idx;


--
-- Name: event_20261130_pkey; Type: INDEX ATTACH; Schema: events; Owner: postgres
--

ALTER INDEX events.event_pkey ATTACH PARTITION events.event_20261130_pkey;


--
-- Name: event_20261130_topic_created_at_id_idx; Type: INDEX ATTACH; Schema: events; Owner: postgres
--

ALTER INDEX events.event_topic ATTACH PARTITION events.event_20261130_topic_created_at_id_idx;


--
-- Name: event_20261201_pkey; Type: INDEX ATTACH; Schema: events; Owner: postgres
--

ALTER INDEX events.event_pkey ATTACH PARTITION events.event_20261201_pkey;


--
-- Name: event_20261201_topic_created_at_id_idx; Type: INDEX ATTACH; Schema: events; Owner: postgres
--

ALTER INDEX events.event_topic ATTACH PARTITION events.event_20261201_topic_created_at_id_idx;


--
-- Name: event_20261202_pkey; Type: INDEX ATTACH; Schema: events; Owner: postgres
--

ALTER INDEX events.event_pkey ATTACH PARTITION events.event_20261202_pkey;


--
-- Name: event_20261202_topic_created_at_id_idx; Type: INDEX ATTACH; Schema: events; Owner: postgres
--

ALTER INDEX events.event_topic ATTACH PARTITION events.event_20261202_topic_created_at_id_idx;


--
-- Name: event_default_pkey; Type: INDEX ATTACH; Schema: events; Owner: postgres
--

ALTER INDEX events.event_pkey ATTACH PARTITION events.event_default_pkey;


--
-- Name: event_default_topic_created_at_id_idx; Type: INDEX ATTACH; Schema: events; Owner: postgres
--

ALTER INDEX events.event_topic ATTACH PARTITION events.event_default_topic_created_at_id_idx;


--
-- Name: event event_wake; Type: TRIGGER; Schema: events; Owner: postgres
--

CREATE TRIGGER event_wake AFTER INSERT ON events.event REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION events.wake();


--
-- Name: agent agent_key_new; Type: TRIGGER; Schema: identity; Owner: postgres
--

CREATE TRIGGER agent_key_new BEFORE INSERT OR UPDATE OF public_key ON identity.agent FOR EACH ROW EXECUTE FUNCTION identity.refuse_former_key();


--
-- Name: api_key key_created; Type: TRIGGER; Schema: identity; Owner: postgres
--

CREATE TRIGGER key_created AFTER INSERT ON identity.api_key FOR EACH ROW EXECUTE FUNCTION identity.tell_owner('key-created');


--
-- Name: passkey passkey_added; Type: TRIGGER; Schema: identity; Owner: postgres
--

CREATE TRIGGER passkey_added AFTER INSERT ON identity.passkey FOR EACH ROW EXECUTE FUNCTION identity.tell_owner('passkey-added');


--
-- Name: external_identity provider_linked; Type: TRIGGER; Schema: identity; Owner: postgres
--

CREATE TRIGGER provider_linked AFTER INSERT ON identity.external_identity FOR EACH ROW EXECUTE FUNCTION identity.tell_owner('provider-linked');


--
-- Name: person second_factor_added; Type: TRIGGER; Schema: identity; Owner: postgres
--

CREATE TRIGGER second_factor_added AFTER UPDATE OF totp_confirmed_at ON identity.person FOR EACH ROW WHEN (((old.totp_confirmed_at IS NULL) AND (new.totp_confirmed_at IS NOT NULL))) EXECUTE FUNCTION identity.tell_owner('second-factor-added');


--
-- Name: person second_factor_removed; Type: TRIGGER; Schema: identity; Owner: postgres
--

CREATE TRIGGER second_factor_removed AFTER UPDATE OF totp_confirmed_at ON identity.person FOR EACH ROW WHEN (((old.totp_confirmed_at IS NOT NULL) AND (new.totp_confirmed_at IS NULL))) EXECUTE FUNCTION identity.tell_owner('second-factor-removed');


--
-- Name: job job_deleted; Type: TRIGGER; Schema: jobs; Owner: postgres
--

CREATE TRIGGER job_deleted AFTER DELETE ON jobs.job REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION jobs.count_deleted();


--
-- Name: job job_inserted; Type: TRIGGER; Schema: jobs; Owner: postgres
--

CREATE TRIGGER job_inserted AFTER INSERT ON jobs.job REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION jobs.count_inserted();


--
-- Name: job job_transition; Type: TRIGGER; Schema: jobs; Owner: postgres
--

CREATE TRIGGER job_transition BEFORE UPDATE OF status ON jobs.job FOR EACH ROW WHEN ((old.status IS DISTINCT FROM new.status)) EXECUTE FUNCTION jobs.check_transition();


--
-- Name: job job_updated; Type: TRIGGER; Schema: jobs; Owner: postgres
--

CREATE TRIGGER job_updated AFTER UPDATE ON jobs.job REFERENCING OLD TABLE AS before NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION jobs.count_updated();


--
-- Name: _private_job_retirements _private_job_retirements_id_fkey; Type: FK CONSTRAINT; Schema: graphile_worker; Owner: postgres
--

ALTER TABLE ONLY graphile_worker._private_job_retirements
    ADD CONSTRAINT _private_job_retirements_id_fkey FOREIGN KEY (id) REFERENCES graphile_worker._private_jobs(id) ON DELETE CASCADE;


--
-- Name: account_role account_role_account_id_fkey; Type: FK CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.account_role
    ADD CONSTRAINT account_role_account_id_fkey FOREIGN KEY (account_id) REFERENCES identity.account(id) ON DELETE CASCADE;


--
-- Name: account_role account_role_role_fkey; Type: FK CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.account_role
    ADD CONSTRAINT account_role_role_fkey FOREIGN KEY (role) REFERENCES identity.role(name);


--
-- Name: agent agent_account_id_fkey; Type: FK CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.agent
    ADD CONSTRAINT agent_account_id_fkey FOREIGN KEY (account_id) REFERENCES identity.account(id) ON DELETE CASCADE;


--
-- Name: agent agent_owner_id_fkey; Type: FK CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.agent
    ADD CONSTRAINT agent_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES identity.account(id) ON DELETE SET NULL;


--
-- Name: api_key api_key_account_id_fkey; Type: FK CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.api_key
    ADD CONSTRAINT api_key_account_id_fkey FOREIGN KEY (account_id) REFERENCES identity.account(id) ON DELETE CASCADE;


--
-- Name: claim claim_agent_id_fkey; Type: FK CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.claim
    ADD CONSTRAINT claim_agent_id_fkey FOREIGN KEY (agent_id) REFERENCES identity.agent(account_id) ON DELETE CASCADE;


--
-- Name: claim claim_owner_id_fkey; Type: FK CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.claim
    ADD CONSTRAINT claim_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES identity.account(id) ON DELETE CASCADE;


--
-- Name: external_identity external_identity_account_id_fkey; Type: FK CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.external_identity
    ADD CONSTRAINT external_identity_account_id_fkey FOREIGN KEY (account_id) REFERENCES identity.account(id) ON DELETE CASCADE;


--
-- Name: former_key former_key_account_id_fkey; Type: FK CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.former_key
    ADD CONSTRAINT former_key_account_id_fkey FOREIGN KEY (account_id) REFERENCES identity.account(id) ON DELETE CASCADE;


--
-- Name: link link_account_id_fkey; Type: FK CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.link
    ADD CONSTRAINT link_account_id_fkey FOREIGN KEY (account_id) REFERENCES identity.account(id) ON DELETE CASCADE;


--
-- Name: passkey passkey_account_id_fkey; Type: FK CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.passkey
    ADD CONSTRAINT passkey_account_id_fkey FOREIGN KEY (account_id) REFERENCES identity.person(account_id) ON DELETE CASCADE;


--
-- Name: person person_account_id_fkey; Type: FK CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.person
    ADD CONSTRAINT person_account_id_fkey FOREIGN KEY (account_id) REFERENCES identity.account(id) ON DELETE CASCADE;


--
-- Name: recovery_code recovery_code_account_id_fkey; Type: FK CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.recovery_code
    ADD CONSTRAINT recovery_code_account_id_fkey FOREIGN KEY (account_id) REFERENCES identity.account(id) ON DELETE CASCADE;


--
-- Name: refresh_token refresh_token_account_id_fkey; Type: FK CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.refresh_token
    ADD CONSTRAINT refresh_token_account_id_fkey FOREIGN KEY (account_id) REFERENCES identity.account(id) ON DELETE CASCADE;


--
-- Name: refresh_token refresh_token_session_id_fkey; Type: FK CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.refresh_token
    ADD CONSTRAINT refresh_token_session_id_fkey FOREIGN KEY (session_id) REFERENCES identity.session(id) ON DELETE CASCADE;


--
-- Name: session session_account_id_fkey; Type: FK CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.session
    ADD CONSTRAINT session_account_id_fkey FOREIGN KEY (account_id) REFERENCES identity.account(id) ON DELETE CASCADE;


--
-- Name: team_member team_member_account_id_fkey; Type: FK CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.team_member
    ADD CONSTRAINT team_member_account_id_fkey FOREIGN KEY (account_id) REFERENCES identity.account(id) ON DELETE CASCADE;


--
-- Name: team_member team_member_role_known; Type: FK CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.team_member
    ADD CONSTRAINT team_member_role_known FOREIGN KEY (role) REFERENCES identity.team_role(name);


--
-- Name: team_member team_member_team_id_fkey; Type: FK CONSTRAINT; Schema: identity; Owner: postgres
--

ALTER TABLE ONLY identity.team_member
    ADD CONSTRAINT team_member_team_id_fkey FOREIGN KEY (team_id) REFERENCES identity.team(id) ON DELETE CASCADE;


--
-- Name: attempt attempt_job_id_fkey; Type: FK CONSTRAINT; Schema: jobs; Owner: postgres
--

ALTER TABLE ONLY jobs.attempt
    ADD CONSTRAINT attempt_job_id_fkey FOREIGN KEY (job_id) REFERENCES jobs.job(id) ON DELETE CASCADE;


--
-- Name: attestation attestation_version_id_fkey; Type: FK CONSTRAINT; Schema: skills; Owner: postgres
--

ALTER TABLE ONLY skills.attestation
    ADD CONSTRAINT attestation_version_id_fkey FOREIGN KEY (version_id) REFERENCES skills.version(id);


--
-- Name: kv kv_skill_id_fkey; Type: FK CONSTRAINT; Schema: skills; Owner: postgres
--

ALTER TABLE ONLY skills.kv
    ADD CONSTRAINT kv_skill_id_fkey FOREIGN KEY (skill_id) REFERENCES skills.skill(id);


--
-- Name: kv_total kv_total_skill_id_fkey; Type: FK CONSTRAINT; Schema: skills; Owner: postgres
--

ALTER TABLE ONLY skills.kv_total
    ADD CONSTRAINT kv_total_skill_id_fkey FOREIGN KEY (skill_id) REFERENCES skills.skill(id);


--
-- Name: rating rating_account_id_fkey; Type: FK CONSTRAINT; Schema: skills; Owner: postgres
--

ALTER TABLE ONLY skills.rating
    ADD CONSTRAINT rating_account_id_fkey FOREIGN KEY (account_id) REFERENCES identity.account(id) ON DELETE CASCADE;


--
-- Name: rating rating_skill_id_fkey; Type: FK CONSTRAINT; Schema: skills; Owner: postgres
--

ALTER TABLE ONLY skills.rating
    ADD CONSTRAINT rating_skill_id_fkey FOREIGN KEY (skill_id) REFERENCES skills.skill(id);


--
-- Name: skill skill_latest; Type: FK CONSTRAINT; Schema: skills; Owner: postgres
--

ALTER TABLE ONLY skills.skill
    ADD CONSTRAINT skill_latest FOREIGN KEY (latest_id) REFERENCES skills.version(id);


--
-- Name: skill skill_owner_id_fkey; Type: FK CONSTRAINT; Schema: skills; Owner: postgres
--

ALTER TABLE ONLY skills.skill
    ADD CONSTRAINT skill_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES identity.account(id);


--
-- Name: usage usage_account_id_fkey; Type: FK CONSTRAINT; Schema: skills; Owner: postgres
--

ALTER TABLE ONLY skills.usage
    ADD CONSTRAINT usage_account_id_fkey FOREIGN KEY (account_id) REFERENCES identity.account(id) ON DELETE CASCADE;


--
-- Name: usage usage_skill_id_fkey; Type: FK CONSTRAINT; Schema: skills; Owner: postgres
--

ALTER TABLE ONLY skills.usage
    ADD CONSTRAINT usage_skill_id_fkey FOREIGN KEY (skill_id) REFERENCES skills.skill(id);


--
-- Name: version version_decided_by_fkey; Type: FK CONSTRAINT; Schema: skills; Owner: postgres
--

ALTER TABLE ONLY skills.version
    ADD CONSTRAINT version_decided_by_fkey FOREIGN KEY (decided_by) REFERENCES identity.account(id);


--
-- Name: version version_digest_fkey; Type: FK CONSTRAINT; Schema: skills; Owner: postgres
--

ALTER TABLE ONLY skills.version
    ADD CONSTRAINT version_digest_fkey FOREIGN KEY (digest) REFERENCES skills.component(digest);


--
-- Name: version version_published_by_fkey; Type: FK CONSTRAINT; Schema: skills; Owner: postgres
--

ALTER TABLE ONLY skills.version
    ADD CONSTRAINT version_published_by_fkey FOREIGN KEY (published_by) REFERENCES identity.account(id);


--
-- Name: version version_skill_id_fkey; Type: FK CONSTRAINT; Schema: skills; Owner: postgres
--

ALTER TABLE ONLY skills.version
    ADD CONSTRAINT version_skill_id_fkey FOREIGN KEY (skill_id) REFERENCES skills.skill(id);


--
-- Name: _private_job_queues; Type: ROW SECURITY; Schema: graphile_worker; Owner: postgres
--

ALTER TABLE graphile_worker._private_job_queues ENABLE ROW LEVEL SECURITY;

--
-- Name: _private_jobs; Type: ROW SECURITY; Schema: graphile_worker; Owner: postgres
--

ALTER TABLE graphile_worker._private_jobs ENABLE ROW LEVEL SECURITY;

--
-- Name: _private_known_crontabs; Type: ROW SECURITY; Schema: graphile_worker; Owner: postgres
--

ALTER TABLE graphile_worker._private_known_crontabs ENABLE ROW LEVEL SECURITY;

--
-- Name: _private_tasks; Type: ROW SECURITY; Schema: graphile_worker; Owner: postgres
--

ALTER TABLE graphile_worker._private_tasks ENABLE ROW LEVEL SECURITY;

--
-- Name: _private_job_queues worker; Type: POLICY; Schema: graphile_worker; Owner: postgres
--

CREATE POLICY worker ON graphile_worker._private_job_queues TO gather_worker USING (true) WITH CHECK (true);


--
-- Name: _private_jobs worker; Type: POLICY; Schema: graphile_worker; Owner: postgres
--

CREATE POLICY worker ON graphile_worker._private_jobs TO gather_worker USING (true) WITH CHECK (true);


--
-- Name: _private_known_crontabs worker; Type: POLICY; Schema: graphile_worker; Owner: postgres
--

CREATE POLICY worker ON graphile_worker._private_known_crontabs TO gather_worker USING (true) WITH CHECK (true);


--
-- Name: _private_tasks worker; Type: POLICY; Schema: graphile_worker; Owner: postgres
--

CREATE POLICY worker ON graphile_worker._private_tasks TO gather_worker USING (true) WITH CHECK (true);


--
-- Name: SCHEMA audit; Type: ACL; Schema: -; Owner: postgres
--

GRANT USAGE ON SCHEMA audit TO gather_identity;
GRANT USAGE ON SCHEMA audit TO gather_account_purge;


--
-- Name: SCHEMA graphile_worker; Type: ACL; Schema: -; Owner: postgres
--

GRANT USAGE ON SCHEMA graphile_worker TO gather_worker;


--
-- Name: SCHEMA identity; Type: ACL; Schema: -; Owner: postgres
--

GRANT USAGE ON SCHEMA identity TO gather_identity;
GRANT USAGE ON SCHEMA identity TO gather_jobs;
GRANT USAGE ON SCHEMA identity TO gather_account_purge;
GRANT USAGE ON SCHEMA identity TO gather_skills;
GRANT USAGE ON SCHEMA identity TO gather_mcp;
GRANT USAGE ON SCHEMA identity TO gather_sandbox;
GRANT USAGE ON SCHEMA identity TO gather_mail_delivery;


--
-- Name: SCHEMA jobs; Type: ACL; Schema: -; Owner: postgres
--

GRANT USAGE ON SCHEMA jobs TO gather_worker;
GRANT USAGE ON SCHEMA jobs TO gather_jobs;
GRANT USAGE ON SCHEMA jobs TO gather_skills;


--
-- Name: SCHEMA platform; Type: ACL; Schema: -; Owner: postgres
--

GRANT USAGE ON SCHEMA platform TO gather_site;
GRANT USAGE ON SCHEMA platform TO gather_identity;
GRANT USAGE ON SCHEMA platform TO gather_worker;
GRANT USAGE ON SCHEMA platform TO gather_jobs;
GRANT USAGE ON SCHEMA platform TO gather_skills;
GRANT USAGE ON SCHEMA platform TO gather_sandbox;


--
-- Name: SCHEMA skills; Type: ACL; Schema: -; Owner: postgres
--

GRANT USAGE ON SCHEMA skills TO gather_skills;
GRANT USAGE ON SCHEMA skills TO gather_mcp;
GRANT USAGE ON SCHEMA skills TO gather_sandbox;
GRANT USAGE ON SCHEMA skills TO gather_skill_review;
GRANT USAGE ON SCHEMA skills TO gather_skill_rank;


--
-- Name: FUNCTION gtrgm_in(cstring); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.gtrgm_in(cstring) FROM PUBLIC;


--
-- Name: FUNCTION gtrgm_out(trigram.gtrgm); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.gtrgm_out(trigram.gtrgm) FROM PUBLIC;


--
-- Name: FUNCTION uuid_v7(); Type: ACL; Schema: platform; Owner: postgres
--

REVOKE ALL ON FUNCTION platform.uuid_v7() FROM PUBLIC;
GRANT ALL ON FUNCTION platform.uuid_v7() TO gather_identity;
GRANT ALL ON FUNCTION platform.uuid_v7() TO gather_skills;


--
-- Name: TABLE entry; Type: ACL; Schema: audit; Owner: postgres
--

GRANT SELECT ON TABLE audit.entry TO gather_identity;


--
-- Name: FUNCTION digest(previous bytea, entry audit.entry); Type: ACL; Schema: audit; Owner: postgres
--

REVOKE ALL ON FUNCTION audit.digest(previous bytea, entry audit.entry) FROM PUBLIC;


--
-- Name: FUNCTION maintain(); Type: ACL; Schema: audit; Owner: postgres
--

REVOKE ALL ON FUNCTION audit.maintain() FROM PUBLIC;
GRANT ALL ON FUNCTION audit.maintain() TO gather_account_purge;


--
-- Name: FUNCTION record(actor uuid, action text, subject text, allowed boolean, address text, request_id text, detail jsonb); Type: ACL; Schema: audit; Owner: postgres
--

REVOKE ALL ON FUNCTION audit.record(actor uuid, action text, subject text, allowed boolean, address text, request_id text, detail jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION audit.record(actor uuid, action text, subject text, allowed boolean, address text, request_id text, detail jsonb) TO gather_identity;


--
-- Name: FUNCTION verify(); Type: ACL; Schema: audit; Owner: postgres
--

REVOKE ALL ON FUNCTION audit.verify() FROM PUBLIC;


--
-- Name: FUNCTION maintain(keep interval); Type: ACL; Schema: events; Owner: postgres
--

REVOKE ALL ON FUNCTION events.maintain(keep interval) FROM PUBLIC;


--
-- Name: FUNCTION wake(); Type: ACL; Schema: events; Owner: postgres
--

REVOKE ALL ON FUNCTION events.wake() FROM PUBLIC;


--
-- Name: FUNCTION _private_return_jobs(worker_id text, job_ids bigint[], recovery_delay_ms bigint, recovery_error text, update_recovery_metadata boolean); Type: ACL; Schema: graphile_worker; Owner: postgres
--

REVOKE ALL ON FUNCTION graphile_worker._private_return_jobs(worker_id text, job_ids bigint[], recovery_delay_ms bigint, recovery_error text, update_recovery_metadata boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION graphile_worker._private_return_jobs(worker_id text, job_ids bigint[], recovery_delay_ms bigint, recovery_error text, update_recovery_metadata boolean) TO gather_worker;


--
-- Name: TABLE _private_jobs; Type: ACL; Schema: graphile_worker; Owner: postgres
--

GRANT SELECT,INSERT,UPDATE ON TABLE graphile_worker._private_jobs TO gather_worker;


--
-- Name: FUNCTION add_job(identifier text, payload json, queue_name text, run_at timestamp with time zone, max_attempts integer, job_key text, priority integer, flags text[], job_key_mode text); Type: ACL; Schema: graphile_worker; Owner: postgres
--

REVOKE ALL ON FUNCTION graphile_worker.add_job(identifier text, payload json, queue_name text, run_at timestamp with time zone, max_attempts integer, job_key text, priority integer, flags text[], job_key_mode text) FROM PUBLIC;
GRANT ALL ON FUNCTION graphile_worker.add_job(identifier text, payload json, queue_name text, run_at timestamp with time zone, max_attempts integer, job_key text, priority integer, flags text[], job_key_mode text) TO gather_worker;


--
-- Name: FUNCTION add_jobs(specs graphile_worker.job_spec[], job_key_preserve_run_at boolean); Type: ACL; Schema: graphile_worker; Owner: postgres
--

REVOKE ALL ON FUNCTION graphile_worker.add_jobs(specs graphile_worker.job_spec[], job_key_preserve_run_at boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION graphile_worker.add_jobs(specs graphile_worker.job_spec[], job_key_preserve_run_at boolean) TO gather_worker;


--
-- Name: FUNCTION complete_jobs(job_ids bigint[]); Type: ACL; Schema: graphile_worker; Owner: postgres
--

REVOKE ALL ON FUNCTION graphile_worker.complete_jobs(job_ids bigint[]) FROM PUBLIC;


--
-- Name: FUNCTION delete_stale_workers(worker_ids text[]); Type: ACL; Schema: graphile_worker; Owner: postgres
--

REVOKE ALL ON FUNCTION graphile_worker.delete_stale_workers(worker_ids text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION graphile_worker.delete_stale_workers(worker_ids text[]) TO gather_worker;


--
-- Name: FUNCTION force_unlock_workers(worker_ids text[]); Type: ACL; Schema: graphile_worker; Owner: postgres
--

REVOKE ALL ON FUNCTION graphile_worker.force_unlock_workers(worker_ids text[]) FROM PUBLIC;


--
-- Name: FUNCTION list_orphan_locked_workers(stale_threshold interval); Type: ACL; Schema: graphile_worker; Owner: postgres
--

REVOKE ALL ON FUNCTION graphile_worker.list_orphan_locked_workers(stale_threshold interval) FROM PUBLIC;
GRANT ALL ON FUNCTION graphile_worker.list_orphan_locked_workers(stale_threshold interval) TO gather_worker;


--
-- Name: FUNCTION list_stale_workers(stale_threshold interval); Type: ACL; Schema: graphile_worker; Owner: postgres
--

REVOKE ALL ON FUNCTION graphile_worker.list_stale_workers(stale_threshold interval) FROM PUBLIC;
GRANT ALL ON FUNCTION graphile_worker.list_stale_workers(stale_threshold interval) TO gather_worker;


--
-- Name: FUNCTION permanently_fail_jobs(job_ids bigint[], error_message text); Type: ACL; Schema: graphile_worker; Owner: postgres
--

REVOKE ALL ON FUNCTION graphile_worker.permanently_fail_jobs(job_ids bigint[], error_message text) FROM PUBLIC;


--
-- Name: FUNCTION recover_dead_worker_jobs(worker_ids text[], recovery_delay interval); Type: ACL; Schema: graphile_worker; Owner: postgres
--

REVOKE ALL ON FUNCTION graphile_worker.recover_dead_worker_jobs(worker_ids text[], recovery_delay interval) FROM PUBLIC;
GRANT ALL ON FUNCTION graphile_worker.recover_dead_worker_jobs(worker_ids text[], recovery_delay interval) TO gather_worker;


--
-- Name: FUNCTION remove_job(job_key text); Type: ACL; Schema: graphile_worker; Owner: postgres
--

REVOKE ALL ON FUNCTION graphile_worker.remove_job(job_key text) FROM PUBLIC;


--
-- Name: FUNCTION reschedule_jobs(job_ids bigint[], run_at timestamp with time zone, priority integer, attempts integer, max_attempts integer); Type: ACL; Schema: graphile_worker; Owner: postgres
--

REVOKE ALL ON FUNCTION graphile_worker.reschedule_jobs(job_ids bigint[], run_at timestamp with time zone, priority integer, attempts integer, max_attempts integer) FROM PUBLIC;


--
-- Name: FUNCTION worker_deregister(worker_id text); Type: ACL; Schema: graphile_worker; Owner: postgres
--

REVOKE ALL ON FUNCTION graphile_worker.worker_deregister(worker_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION graphile_worker.worker_deregister(worker_id text) TO gather_worker;


--
-- Name: FUNCTION worker_heartbeat(worker_id text, metadata json); Type: ACL; Schema: graphile_worker; Owner: postgres
--

REVOKE ALL ON FUNCTION graphile_worker.worker_heartbeat(worker_id text, metadata json) FROM PUBLIC;


--
-- Name: TABLE account; Type: ACL; Schema: identity; Owner: postgres
--

GRANT SELECT,INSERT ON TABLE identity.account TO gather_identity;


--
-- Name: TABLE agent; Type: ACL; Schema: identity; Owner: postgres
--

GRANT SELECT,INSERT ON TABLE identity.agent TO gather_identity;


--
-- Name: COLUMN agent.description; Type: ACL; Schema: identity; Owner: postgres
--

GRANT UPDATE(description) ON TABLE identity.agent TO gather_identity;


--
-- Name: TABLE agent_profile; Type: ACL; Schema: identity; Owner: postgres
--

GRANT SELECT ON TABLE identity.agent_profile TO gather_identity;


--
-- Name: FUNCTION accept_claim(agent uuid, hash bytea, client jsonb); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.accept_claim(agent uuid, hash bytea, client jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.accept_claim(agent uuid, hash bytea, client jsonb) TO gather_identity;


--
-- Name: FUNCTION account_of_external(issuer text, subject text, email text, verified boolean, name text, client jsonb); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.account_of_external(issuer text, subject text, email text, verified boolean, name text, client jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.account_of_external(issuer text, subject text, email text, verified boolean, name text, client jsonb) TO gather_identity;


--
-- Name: TABLE passkey; Type: ACL; Schema: identity; Owner: postgres
--

GRANT SELECT ON TABLE identity.passkey TO gather_identity;


--
-- Name: FUNCTION add_passkey(account uuid, session uuid, name text, credential bytea, fixed bytea, changing bytea, backed_up boolean, nonce bytea, expires timestamp with time zone, client jsonb); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.add_passkey(account uuid, session uuid, name text, credential bytea, fixed bytea, changing bytea, backed_up boolean, nonce bytea, expires timestamp with time zone, client jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.add_passkey(account uuid, session uuid, name text, credential bytea, fixed bytea, changing bytea, backed_up boolean, nonce bytea, expires timestamp with time zone, client jsonb) TO gather_identity;


--
-- Name: FUNCTION allows(account uuid, scope text, team uuid); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.allows(account uuid, scope text, team uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.allows(account uuid, scope text, team uuid) TO gather_identity;


--
-- Name: FUNCTION check_in(since timestamp with time zone, credential bytea, bucket text, tier text, quota integer, exact boolean); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.check_in(since timestamp with time zone, credential bytea, bucket text, tier text, quota integer, exact boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.check_in(since timestamp with time zone, credential bytea, bucket text, tier text, quota integer, exact boolean) TO gather_identity;
GRANT ALL ON FUNCTION identity.check_in(since timestamp with time zone, credential bytea, bucket text, tier text, quota integer, exact boolean) TO gather_jobs;
GRANT ALL ON FUNCTION identity.check_in(since timestamp with time zone, credential bytea, bucket text, tier text, quota integer, exact boolean) TO gather_mcp;
GRANT ALL ON FUNCTION identity.check_in(since timestamp with time zone, credential bytea, bucket text, tier text, quota integer, exact boolean) TO gather_skills;


--
-- Name: FUNCTION check_password(email text, password bytea, only_account uuid, client jsonb); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.check_password(email text, password bytea, only_account uuid, client jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.check_password(email text, password bytea, only_account uuid, client jsonb) TO gather_identity;


--
-- Name: FUNCTION claim_agent(agent uuid, owner uuid, hash bytea, client jsonb); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.claim_agent(agent uuid, owner uuid, hash bytea, client jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.claim_agent(agent uuid, owner uuid, hash bytea, client jsonb) TO gather_identity;


--
-- Name: FUNCTION confirm_totp(account uuid, secret bytea, step bigint, codes text[], client jsonb); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.confirm_totp(account uuid, secret bytea, step bigint, codes text[], client jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.confirm_totp(account uuid, secret bytea, step bigint, codes text[], client jsonb) TO gather_identity;


--
-- Name: TABLE api_key; Type: ACL; Schema: identity; Owner: postgres
--

GRANT SELECT ON TABLE identity.api_key TO gather_identity;


--
-- Name: COLUMN api_key.revoked_at; Type: ACL; Schema: identity; Owner: postgres
--

GRANT UPDATE(revoked_at) ON TABLE identity.api_key TO gather_identity;


--
-- Name: FUNCTION create_key(account uuid, session uuid, name text, hash bytea, hint text, scopes text[], expires timestamp with time zone, client jsonb); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.create_key(account uuid, session uuid, name text, hash bytea, hint text, scopes text[], expires timestamp with time zone, client jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.create_key(account uuid, session uuid, name text, hash bytea, hint text, scopes text[], expires timestamp with time zone, client jsonb) TO gather_identity;


--
-- Name: TABLE team; Type: ACL; Schema: identity; Owner: postgres
--

GRANT SELECT,DELETE ON TABLE identity.team TO gather_identity;


--
-- Name: COLUMN team.description; Type: ACL; Schema: identity; Owner: postgres
--

GRANT UPDATE(description) ON TABLE identity.team TO gather_identity;


--
-- Name: FUNCTION create_team(creator uuid, name text, description text, client jsonb); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.create_team(creator uuid, name text, description text, client jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.create_team(creator uuid, name text, description text, client jsonb) TO gather_identity;


--
-- Name: FUNCTION drop_second_factor(account uuid); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.drop_second_factor(account uuid) FROM PUBLIC;


--
-- Name: FUNCTION end_keys(account uuid); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.end_keys(account uuid) FROM PUBLIC;


--
-- Name: FUNCTION end_sessions(account uuid, but uuid); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.end_sessions(account uuid, but uuid) FROM PUBLIC;


--
-- Name: FUNCTION export_account(account uuid); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.export_account(account uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.export_account(account uuid) TO gather_identity;


--
-- Name: FUNCTION failure_keys(email text, address text); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.failure_keys(email text, address text) FROM PUBLIC;


--
-- Name: FUNCTION forget_account(account uuid, client jsonb); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.forget_account(account uuid, client jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.forget_account(account uuid, client jsonb) TO gather_identity;


--
-- Name: FUNCTION forget_password(email text, client jsonb); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.forget_password(email text, client jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.forget_password(email text, client jsonb) TO gather_identity;


--
-- Name: FUNCTION forgive(account uuid, email text, address text, proved boolean); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.forgive(account uuid, email text, address text, proved boolean) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.forgive(account uuid, email text, address text, proved boolean) TO gather_identity;


--
-- Name: FUNCTION granted_of(session uuid, known_kid text); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.granted_of(session uuid, known_kid text) FROM PUBLIC;


--
-- Name: FUNCTION has_admin(); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.has_admin() FROM PUBLIC;


--
-- Name: FUNCTION has_password(account uuid, password bytea); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.has_password(account uuid, password bytea) FROM PUBLIC;


--
-- Name: FUNCTION holder_of(email text); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.holder_of(email text) FROM PUBLIC;


--
-- Name: FUNCTION keep_an_admin(); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.keep_an_admin() FROM PUBLIC;


--
-- Name: FUNCTION lease(bucket text, quota integer, exact boolean); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.lease(bucket text, quota integer, exact boolean) FROM PUBLIC;


--
-- Name: FUNCTION link_email(link uuid, purpose text); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.link_email(link uuid, purpose text) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.link_email(link uuid, purpose text) TO gather_identity;


--
-- Name: FUNCTION lock_admins(); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.lock_admins() FROM PUBLIC;


--
-- Name: FUNCTION mail(account uuid, purpose text, valid interval); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.mail(account uuid, purpose text, valid interval) FROM PUBLIC;


--
-- Name: FUNCTION make_admin(name_or_id text); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.make_admin(name_or_id text) FROM PUBLIC;


--
-- Name: FUNCTION note_failure(email text, address text); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.note_failure(email text, address text) FROM PUBLIC;


--
-- Name: FUNCTION open_session(account uuid, method text, password bytea, refresh bytea, client jsonb, known_kid text); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.open_session(account uuid, method text, password bytea, refresh bytea, client jsonb, known_kid text) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.open_session(account uuid, method text, password bytea, refresh bytea, client jsonb, known_kid text) TO gather_identity;


--
-- Name: FUNCTION outgoing_mail(link uuid); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.outgoing_mail(link uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.outgoing_mail(link uuid) TO gather_mail_delivery;


--
-- Name: FUNCTION purge(most integer, OUT accounts bigint, OUT sessions bigint, OUT refresh_tokens bigint, OUT idempotency_keys bigint, OUT challenges bigint, OUT links bigint, OUT counters bigint); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.purge(most integer, OUT accounts bigint, OUT sessions bigint, OUT refresh_tokens bigint, OUT idempotency_keys bigint, OUT challenges bigint, OUT links bigint, OUT counters bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.purge(most integer, OUT accounts bigint, OUT sessions bigint, OUT refresh_tokens bigint, OUT idempotency_keys bigint, OUT challenges bigint, OUT links bigint, OUT counters bigint) TO gather_account_purge;


--
-- Name: FUNCTION refresh(presented bytea, next bytea, client jsonb, known_kid text); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.refresh(presented bytea, next bytea, client jsonb, known_kid text) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.refresh(presented bytea, next bytea, client jsonb, known_kid text) TO gather_identity;


--
-- Name: FUNCTION refuse(name text); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.refuse(name text) FROM PUBLIC;


--
-- Name: FUNCTION refuse_access(actor uuid, subject text, address text, request_id text, scope text); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.refuse_access(actor uuid, subject text, address text, request_id text, scope text) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.refuse_access(actor uuid, subject text, address text, request_id text, scope text) TO gather_identity;
GRANT ALL ON FUNCTION identity.refuse_access(actor uuid, subject text, address text, request_id text, scope text) TO gather_jobs;
GRANT ALL ON FUNCTION identity.refuse_access(actor uuid, subject text, address text, request_id text, scope text) TO gather_mcp;
GRANT ALL ON FUNCTION identity.refuse_access(actor uuid, subject text, address text, request_id text, scope text) TO gather_skills;


--
-- Name: FUNCTION refuse_former_key(); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.refuse_former_key() FROM PUBLIC;


--
-- Name: FUNCTION refuse_sign_in(email text, client jsonb, method text); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.refuse_sign_in(email text, client jsonb, method text) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.refuse_sign_in(email text, client jsonb, method text) TO gather_identity;


--
-- Name: FUNCTION register_admin(link uuid, email text, name text, password bytea, version smallint, client jsonb); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.register_admin(link uuid, email text, name text, password bytea, version smallint, client jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.register_admin(link uuid, email text, name text, password bytea, version smallint, client jsonb) TO gather_identity;


--
-- Name: FUNCTION register_person(email text, name text, password bytea, version smallint, client jsonb); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.register_person(email text, name text, password bytea, version smallint, client jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.register_person(email text, name text, password bytea, version smallint, client jsonb) TO gather_identity;


--
-- Name: FUNCTION release_agent(agent uuid, actor uuid, client jsonb); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.release_agent(agent uuid, actor uuid, client jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.release_agent(agent uuid, actor uuid, client jsonb) TO gather_identity;


--
-- Name: FUNCTION remove_passkey(account uuid, passkey uuid, client jsonb); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.remove_passkey(account uuid, passkey uuid, client jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.remove_passkey(account uuid, passkey uuid, client jsonb) TO gather_identity;


--
-- Name: FUNCTION remove_totp(account uuid, client jsonb); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.remove_totp(account uuid, client jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.remove_totp(account uuid, client jsonb) TO gather_identity;


--
-- Name: FUNCTION require_active(account uuid); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.require_active(account uuid) FROM PUBLIC;


--
-- Name: FUNCTION require_session(account uuid, session uuid); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.require_session(account uuid, session uuid) FROM PUBLIC;


--
-- Name: FUNCTION roles_of(account uuid); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.roles_of(account uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.roles_of(account uuid) TO gather_identity;


--
-- Name: FUNCTION rotate_agent_key(account uuid, old bytea, new bytea, client jsonb); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.rotate_agent_key(account uuid, old bytea, new bytea, client jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.rotate_agent_key(account uuid, old bytea, new bytea, client jsonb) TO gather_identity;


--
-- Name: FUNCTION rotate_signing_key(); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.rotate_signing_key() FROM PUBLIC;


--
-- Name: FUNCTION scopes_of(account uuid); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.scopes_of(account uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.scopes_of(account uuid) TO gather_identity;


--
-- Name: FUNCTION session_of_key(key bytea); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.session_of_key(key bytea) FROM PUBLIC;


--
-- Name: FUNCTION set_member(team uuid, account uuid, role text, actor uuid, client jsonb); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.set_member(team uuid, account uuid, role text, actor uuid, client jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.set_member(team uuid, account uuid, role text, actor uuid, client jsonb) TO gather_identity;


--
-- Name: FUNCTION set_password(account uuid, link uuid, old bytea, password bytea, version smallint, but uuid, client jsonb); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.set_password(account uuid, link uuid, old bytea, password bytea, version smallint, but uuid, client jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.set_password(account uuid, link uuid, old bytea, password bytea, version smallint, but uuid, client jsonb) TO gather_identity;


--
-- Name: TABLE account_view; Type: ACL; Schema: identity; Owner: postgres
--

GRANT SELECT ON TABLE identity.account_view TO gather_identity;


--
-- Name: FUNCTION set_roles(account uuid, roles text[], actor uuid, address text, request_id text); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.set_roles(account uuid, roles text[], actor uuid, address text, request_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.set_roles(account uuid, roles text[], actor uuid, address text, request_id text) TO gather_identity;


--
-- Name: FUNCTION set_status(account uuid, status text, reason text, actor uuid, is_admin boolean, address text, request_id text); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.set_status(account uuid, status text, reason text, actor uuid, is_admin boolean, address text, request_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.set_status(account uuid, status text, reason text, actor uuid, is_admin boolean, address text, request_id text) TO gather_identity;


--
-- Name: FUNCTION set_totp(account uuid, secret bytea); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.set_totp(account uuid, secret bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.set_totp(account uuid, secret bytea) TO gather_identity;


--
-- Name: FUNCTION share(free integer, exact boolean); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.share(free integer, exact boolean) FROM PUBLIC;


--
-- Name: FUNCTION sign_in_agent(key bytea, nonce bytea, expires timestamp with time zone, refresh bytea, client jsonb, known_kid text); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.sign_in_agent(key bytea, nonce bytea, expires timestamp with time zone, refresh bytea, client jsonb, known_kid text) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.sign_in_agent(key bytea, nonce bytea, expires timestamp with time zone, refresh bytea, client jsonb, known_kid text) TO gather_identity;


--
-- Name: FUNCTION sign_in_delay(email text, address text); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.sign_in_delay(email text, address text) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.sign_in_delay(email text, address text) TO gather_identity;


--
-- Name: FUNCTION sign_in_with_passkey(passkey uuid, former bytea, changing bytea, backed_up boolean, nonce bytea, expires timestamp with time zone, refresh bytea, client jsonb, known_kid text); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.sign_in_with_passkey(passkey uuid, former bytea, changing bytea, backed_up boolean, nonce bytea, expires timestamp with time zone, refresh bytea, client jsonb, known_kid text) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.sign_in_with_passkey(passkey uuid, former bytea, changing bytea, backed_up boolean, nonce bytea, expires timestamp with time zone, refresh bytea, client jsonb, known_kid text) TO gather_identity;


--
-- Name: FUNCTION signed_by(key bytea, nonce bytea, expires timestamp with time zone); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.signed_by(key bytea, nonce bytea, expires timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.signed_by(key bytea, nonce bytea, expires timestamp with time zone) TO gather_identity;
GRANT ALL ON FUNCTION identity.signed_by(key bytea, nonce bytea, expires timestamp with time zone) TO gather_jobs;
GRANT ALL ON FUNCTION identity.signed_by(key bytea, nonce bytea, expires timestamp with time zone) TO gather_mcp;
GRANT ALL ON FUNCTION identity.signed_by(key bytea, nonce bytea, expires timestamp with time zone) TO gather_skills;


--
-- Name: FUNCTION tell(account uuid, purpose text); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.tell(account uuid, purpose text) FROM PUBLIC;


--
-- Name: FUNCTION tell_owner(); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.tell_owner() FROM PUBLIC;


--
-- Name: FUNCTION use_second_factor(account uuid, step bigint, code bytea); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.use_second_factor(account uuid, step bigint, code bytea) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.use_second_factor(account uuid, step bigint, code bytea) TO gather_identity;


--
-- Name: FUNCTION verify_again(account uuid); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.verify_again(account uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.verify_again(account uuid) TO gather_identity;


--
-- Name: FUNCTION verify_email(link uuid, password bytea, client jsonb); Type: ACL; Schema: identity; Owner: postgres
--

REVOKE ALL ON FUNCTION identity.verify_email(link uuid, password bytea, client jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION identity.verify_email(link uuid, password bytea, client jsonb) TO gather_identity;


--
-- Name: FUNCTION begin(worker text, claimed jsonb); Type: ACL; Schema: jobs; Owner: postgres
--

REVOKE ALL ON FUNCTION jobs.begin(worker text, claimed jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION jobs.begin(worker text, claimed jsonb) TO gather_worker;


--
-- Name: FUNCTION cancel(job uuid, owner uuid); Type: ACL; Schema: jobs; Owner: postgres
--

REVOKE ALL ON FUNCTION jobs.cancel(job uuid, owner uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION jobs.cancel(job uuid, owner uuid) TO gather_jobs;


--
-- Name: FUNCTION check_transition(); Type: ACL; Schema: jobs; Owner: postgres
--

REVOKE ALL ON FUNCTION jobs.check_transition() FROM PUBLIC;


--
-- Name: FUNCTION count_deleted(); Type: ACL; Schema: jobs; Owner: postgres
--

REVOKE ALL ON FUNCTION jobs.count_deleted() FROM PUBLIC;


--
-- Name: FUNCTION count_inserted(); Type: ACL; Schema: jobs; Owner: postgres
--

REVOKE ALL ON FUNCTION jobs.count_inserted() FROM PUBLIC;


--
-- Name: FUNCTION count_updated(); Type: ACL; Schema: jobs; Owner: postgres
--

REVOKE ALL ON FUNCTION jobs.count_updated() FROM PUBLIC;


--
-- Name: FUNCTION drop_idle_queues(); Type: ACL; Schema: jobs; Owner: postgres
--

REVOKE ALL ON FUNCTION jobs.drop_idle_queues() FROM PUBLIC;


--
-- Name: FUNCTION end_unfit(worker text, ids bigint[]); Type: ACL; Schema: jobs; Owner: postgres
--

REVOKE ALL ON FUNCTION jobs.end_unfit(worker text, ids bigint[]) FROM PUBLIC;


--
-- Name: FUNCTION enqueue(kind text, payload jsonb, owner uuid, key text, run_at timestamp with time zone, queue text, priority integer); Type: ACL; Schema: jobs; Owner: postgres
--

REVOKE ALL ON FUNCTION jobs.enqueue(kind text, payload jsonb, owner uuid, key text, run_at timestamp with time zone, queue text, priority integer) FROM PUBLIC;
GRANT ALL ON FUNCTION jobs.enqueue(kind text, payload jsonb, owner uuid, key text, run_at timestamp with time zone, queue text, priority integer) TO gather_skills;


--
-- Name: FUNCTION event_data(id uuid, kind text, status text, percent smallint, note text); Type: ACL; Schema: jobs; Owner: postgres
--

REVOKE ALL ON FUNCTION jobs.event_data(id uuid, kind text, status text, percent smallint, note text) FROM PUBLIC;


--
-- Name: FUNCTION finish(worker text, outcomes jsonb); Type: ACL; Schema: jobs; Owner: postgres
--

REVOKE ALL ON FUNCTION jobs.finish(worker text, outcomes jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION jobs.finish(worker text, outcomes jsonb) TO gather_worker;


--
-- Name: FUNCTION give_back_unknown(worker text, known bigint[]); Type: ACL; Schema: jobs; Owner: postgres
--

REVOKE ALL ON FUNCTION jobs.give_back_unknown(worker text, known bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION jobs.give_back_unknown(worker text, known bigint[]) TO gather_worker;


--
-- Name: FUNCTION heartbeat(worker text, about jsonb, running bigint[]); Type: ACL; Schema: jobs; Owner: postgres
--

REVOKE ALL ON FUNCTION jobs.heartbeat(worker text, about jsonb, running bigint[]) FROM PUBLIC;
GRANT ALL ON FUNCTION jobs.heartbeat(worker text, about jsonb, running bigint[]) TO gather_worker;


--
-- Name: FUNCTION maintain(keep interval, keep_dead interval, lease interval); Type: ACL; Schema: jobs; Owner: postgres
--

REVOKE ALL ON FUNCTION jobs.maintain(keep interval, keep_dead interval, lease interval) FROM PUBLIC;
GRANT ALL ON FUNCTION jobs.maintain(keep interval, keep_dead interval, lease interval) TO gather_worker;


--
-- Name: FUNCTION max_attempts(kind text); Type: ACL; Schema: jobs; Owner: postgres
--

REVOKE ALL ON FUNCTION jobs.max_attempts(kind text) FROM PUBLIC;


--
-- Name: FUNCTION next_status(outcome text, job jobs.job); Type: ACL; Schema: jobs; Owner: postgres
--

REVOKE ALL ON FUNCTION jobs.next_status(outcome text, job jobs.job) FROM PUBLIC;


--
-- Name: FUNCTION put(job uuid, kind text, run_at timestamp with time zone, queue text, priority integer); Type: ACL; Schema: jobs; Owner: postgres
--

REVOKE ALL ON FUNCTION jobs.put(job uuid, kind text, run_at timestamp with time zone, queue text, priority integer) FROM PUBLIC;


--
-- Name: FUNCTION register_kind(name text, max_attempts integer); Type: ACL; Schema: jobs; Owner: postgres
--

REVOKE ALL ON FUNCTION jobs.register_kind(name text, max_attempts integer) FROM PUBLIC;
GRANT ALL ON FUNCTION jobs.register_kind(name text, max_attempts integer) TO gather_worker;


--
-- Name: FUNCTION report_progress(worker text, reports jsonb); Type: ACL; Schema: jobs; Owner: postgres
--

REVOKE ALL ON FUNCTION jobs.report_progress(worker text, reports jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION jobs.report_progress(worker text, reports jsonb) TO gather_worker;


--
-- Name: FUNCTION retry(job uuid, owner uuid); Type: ACL; Schema: jobs; Owner: postgres
--

REVOKE ALL ON FUNCTION jobs.retry(job uuid, owner uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION jobs.retry(job uuid, owner uuid) TO gather_jobs;


--
-- Name: FUNCTION summary(lease interval); Type: ACL; Schema: jobs; Owner: postgres
--

REVOKE ALL ON FUNCTION jobs.summary(lease interval) FROM PUBLIC;
GRANT ALL ON FUNCTION jobs.summary(lease interval) TO gather_jobs;


--
-- Name: FUNCTION report_health(component text, status text, detail jsonb); Type: ACL; Schema: platform; Owner: postgres
--

REVOKE ALL ON FUNCTION platform.report_health(component text, status text, detail jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION platform.report_health(component text, status text, detail jsonb) TO gather_sandbox;


--
-- Name: FUNCTION choose_latest(skill uuid); Type: ACL; Schema: skills; Owner: postgres
--

REVOKE ALL ON FUNCTION skills.choose_latest(skill uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION skills.choose_latest(skill uuid) TO gather_skills;


--
-- Name: FUNCTION decide(version uuid, verdict text, review jsonb, quality double precision, envelope jsonb, by uuid); Type: ACL; Schema: skills; Owner: postgres
--

REVOKE ALL ON FUNCTION skills.decide(version uuid, verdict text, review jsonb, quality double precision, envelope jsonb, by uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION skills.decide(version uuid, verdict text, review jsonb, quality double precision, envelope jsonb, by uuid) TO gather_skills;
GRANT ALL ON FUNCTION skills.decide(version uuid, verdict text, review jsonb, quality double precision, envelope jsonb, by uuid) TO gather_skill_review;


--
-- Name: FUNCTION is_review_lost(job uuid); Type: ACL; Schema: skills; Owner: postgres
--

REVOKE ALL ON FUNCTION skills.is_review_lost(job uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION skills.is_review_lost(job uuid) TO gather_skills;


--
-- Name: FUNCTION kv_increment(skill uuid, bucket text, key text, delta bigint, max_bytes bigint); Type: ACL; Schema: skills; Owner: postgres
--

REVOKE ALL ON FUNCTION skills.kv_increment(skill uuid, bucket text, key text, delta bigint, max_bytes bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION skills.kv_increment(skill uuid, bucket text, key text, delta bigint, max_bytes bigint) TO gather_sandbox;


--
-- Name: FUNCTION kv_put(skill uuid, bucket text, key text, value bytea, max_bytes bigint); Type: ACL; Schema: skills; Owner: postgres
--

REVOKE ALL ON FUNCTION skills.kv_put(skill uuid, bucket text, key text, value bytea, max_bytes bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION skills.kv_put(skill uuid, bucket text, key text, value bytea, max_bytes bigint) TO gather_sandbox;


--
-- Name: FUNCTION kv_size(bucket text, key text, value bytea); Type: ACL; Schema: skills; Owner: postgres
--

REVOKE ALL ON FUNCTION skills.kv_size(bucket text, key text, value bytea) FROM PUBLIC;


--
-- Name: FUNCTION kv_swap(skill uuid, bucket text, key text, seen bytea, value bytea, max_bytes bigint); Type: ACL; Schema: skills; Owner: postgres
--

REVOKE ALL ON FUNCTION skills.kv_swap(skill uuid, bucket text, key text, seen bytea, value bytea, max_bytes bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION skills.kv_swap(skill uuid, bucket text, key text, seen bytea, value bytea, max_bytes bigint) TO gather_sandbox;


--
-- Name: FUNCTION matching(query text); Type: ACL; Schema: skills; Owner: postgres
--

REVOKE ALL ON FUNCTION skills.matching(query text) FROM PUBLIC;
GRANT ALL ON FUNCTION skills.matching(query text) TO gather_skills;


--
-- Name: FUNCTION publish(account uuid, published jsonb); Type: ACL; Schema: skills; Owner: postgres
--

REVOKE ALL ON FUNCTION skills.publish(account uuid, published jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION skills.publish(account uuid, published jsonb) TO gather_skills;


--
-- Name: FUNCTION rank_all(); Type: ACL; Schema: skills; Owner: postgres
--

REVOKE ALL ON FUNCTION skills.rank_all() FROM PUBLIC;
GRANT ALL ON FUNCTION skills.rank_all() TO gather_skill_rank;


--
-- Name: FUNCTION record_usage(calls jsonb); Type: ACL; Schema: skills; Owner: postgres
--

REVOKE ALL ON FUNCTION skills.record_usage(calls jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION skills.record_usage(calls jsonb) TO gather_sandbox;


--
-- Name: FUNCTION sweep(); Type: ACL; Schema: skills; Owner: postgres
--

REVOKE ALL ON FUNCTION skills.sweep() FROM PUBLIC;
GRANT ALL ON FUNCTION skills.sweep() TO gather_sandbox;


--
-- Name: FUNCTION under_review(version uuid); Type: ACL; Schema: skills; Owner: postgres
--

REVOKE ALL ON FUNCTION skills.under_review(version uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION skills.under_review(version uuid) TO gather_skill_review;


--
-- Name: FUNCTION yank(version uuid); Type: ACL; Schema: skills; Owner: postgres
--

REVOKE ALL ON FUNCTION skills.yank(version uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION skills.yank(version uuid) TO gather_skills;


--
-- Name: FUNCTION gin_extract_query_trgm(text, internal, smallint, internal, internal, internal, internal); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.gin_extract_query_trgm(text, internal, smallint, internal, internal, internal, internal) FROM PUBLIC;


--
-- Name: FUNCTION gin_extract_value_trgm(text, internal); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.gin_extract_value_trgm(text, internal) FROM PUBLIC;


--
-- Name: FUNCTION gin_trgm_consistent(internal, smallint, text, integer, internal, internal, internal, internal); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.gin_trgm_consistent(internal, smallint, text, integer, internal, internal, internal, internal) FROM PUBLIC;


--
-- Name: FUNCTION gin_trgm_triconsistent(internal, smallint, text, integer, internal, internal, internal); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.gin_trgm_triconsistent(internal, smallint, text, integer, internal, internal, internal) FROM PUBLIC;


--
-- Name: FUNCTION gtrgm_compress(internal); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.gtrgm_compress(internal) FROM PUBLIC;


--
-- Name: FUNCTION gtrgm_consistent(internal, text, smallint, oid, internal); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.gtrgm_consistent(internal, text, smallint, oid, internal) FROM PUBLIC;


--
-- Name: FUNCTION gtrgm_decompress(internal); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.gtrgm_decompress(internal) FROM PUBLIC;


--
-- Name: FUNCTION gtrgm_distance(internal, text, smallint, oid, internal); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.gtrgm_distance(internal, text, smallint, oid, internal) FROM PUBLIC;


--
-- Name: FUNCTION gtrgm_options(internal); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.gtrgm_options(internal) FROM PUBLIC;


--
-- Name: FUNCTION gtrgm_penalty(internal, internal, internal); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.gtrgm_penalty(internal, internal, internal) FROM PUBLIC;


--
-- Name: FUNCTION gtrgm_picksplit(internal, internal); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.gtrgm_picksplit(internal, internal) FROM PUBLIC;


--
-- Name: FUNCTION gtrgm_same(trigram.gtrgm, trigram.gtrgm, internal); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.gtrgm_same(trigram.gtrgm, trigram.gtrgm, internal) FROM PUBLIC;


--
-- Name: FUNCTION gtrgm_union(internal, internal); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.gtrgm_union(internal, internal) FROM PUBLIC;


--
-- Name: FUNCTION set_limit(real); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.set_limit(real) FROM PUBLIC;


--
-- Name: FUNCTION show_limit(); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.show_limit() FROM PUBLIC;


--
-- Name: FUNCTION show_trgm(text); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.show_trgm(text) FROM PUBLIC;


--
-- Name: FUNCTION similarity(text, text); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.similarity(text, text) FROM PUBLIC;


--
-- Name: FUNCTION similarity_dist(text, text); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.similarity_dist(text, text) FROM PUBLIC;


--
-- Name: FUNCTION similarity_op(text, text); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.similarity_op(text, text) FROM PUBLIC;


--
-- Name: FUNCTION strict_word_similarity(text, text); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.strict_word_similarity(text, text) FROM PUBLIC;


--
-- Name: FUNCTION strict_word_similarity_commutator_op(text, text); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.strict_word_similarity_commutator_op(text, text) FROM PUBLIC;


--
-- Name: FUNCTION strict_word_similarity_dist_commutator_op(text, text); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.strict_word_similarity_dist_commutator_op(text, text) FROM PUBLIC;


--
-- Name: FUNCTION strict_word_similarity_dist_op(text, text); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.strict_word_similarity_dist_op(text, text) FROM PUBLIC;


--
-- Name: FUNCTION strict_word_similarity_op(text, text); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.strict_word_similarity_op(text, text) FROM PUBLIC;


--
-- Name: FUNCTION word_similarity(text, text); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.word_similarity(text, text) FROM PUBLIC;


--
-- Name: FUNCTION word_similarity_commutator_op(text, text); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.word_similarity_commutator_op(text, text) FROM PUBLIC;


--
-- Name: FUNCTION word_similarity_dist_commutator_op(text, text); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.word_similarity_dist_commutator_op(text, text) FROM PUBLIC;


--
-- Name: FUNCTION word_similarity_dist_op(text, text); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.word_similarity_dist_op(text, text) FROM PUBLIC;


--
-- Name: FUNCTION word_similarity_op(text, text); Type: ACL; Schema: trigram; Owner: postgres
--

REVOKE ALL ON FUNCTION trigram.word_similarity_op(text, text) FROM PUBLIC;


--
-- Name: TABLE _private_job_queues; Type: ACL; Schema: graphile_worker; Owner: postgres
--

GRANT SELECT,INSERT,UPDATE ON TABLE graphile_worker._private_job_queues TO gather_worker;


--
-- Name: TABLE _private_job_retirements; Type: ACL; Schema: graphile_worker; Owner: postgres
--

GRANT SELECT,INSERT ON TABLE graphile_worker._private_job_retirements TO gather_worker;


--
-- Name: TABLE _private_known_crontabs; Type: ACL; Schema: graphile_worker; Owner: postgres
--

GRANT SELECT,INSERT,UPDATE ON TABLE graphile_worker._private_known_crontabs TO gather_worker;


--
-- Name: TABLE _private_tasks; Type: ACL; Schema: graphile_worker; Owner: postgres
--

GRANT SELECT,INSERT ON TABLE graphile_worker._private_tasks TO gather_worker;


--
-- Name: TABLE _private_workers; Type: ACL; Schema: graphile_worker; Owner: postgres
--

GRANT SELECT,DELETE,UPDATE ON TABLE graphile_worker._private_workers TO gather_worker;


--
-- Name: SEQUENCE job_queues_id_seq; Type: ACL; Schema: graphile_worker; Owner: postgres
--

GRANT USAGE ON SEQUENCE graphile_worker.job_queues_id_seq TO gather_worker;


--
-- Name: SEQUENCE jobs_id_seq1; Type: ACL; Schema: graphile_worker; Owner: postgres
--

GRANT USAGE ON SEQUENCE graphile_worker.jobs_id_seq1 TO gather_worker;


--
-- Name: SEQUENCE tasks_id_seq; Type: ACL; Schema: graphile_worker; Owner: postgres
--

GRANT USAGE ON SEQUENCE graphile_worker.tasks_id_seq TO gather_worker;


--
-- Name: TABLE account_name; Type: ACL; Schema: identity; Owner: postgres
--

GRANT SELECT ON TABLE identity.account_name TO gather_skills;


--
-- Name: TABLE attestation_key; Type: ACL; Schema: identity; Owner: postgres
--

GRANT SELECT,INSERT ON TABLE identity.attestation_key TO gather_sandbox;


--
-- Name: TABLE former_key; Type: ACL; Schema: identity; Owner: postgres
--

GRANT SELECT ON TABLE identity.former_key TO gather_identity;


--
-- Name: TABLE idempotency_key; Type: ACL; Schema: identity; Owner: postgres
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE identity.idempotency_key TO gather_identity;


--
-- Name: COLUMN person.account_id; Type: ACL; Schema: identity; Owner: postgres
--

GRANT SELECT(account_id) ON TABLE identity.person TO gather_identity;


--
-- Name: COLUMN person.email; Type: ACL; Schema: identity; Owner: postgres
--

GRANT SELECT(email) ON TABLE identity.person TO gather_identity;


--
-- Name: COLUMN person.verified_at; Type: ACL; Schema: identity; Owner: postgres
--

GRANT SELECT(verified_at) ON TABLE identity.person TO gather_identity;


--
-- Name: COLUMN person.password_version; Type: ACL; Schema: identity; Owner: postgres
--

GRANT SELECT(password_version) ON TABLE identity.person TO gather_identity;


--
-- Name: COLUMN person.totp_secret; Type: ACL; Schema: identity; Owner: postgres
--

GRANT SELECT(totp_secret) ON TABLE identity.person TO gather_identity;


--
-- Name: COLUMN person.totp_confirmed_at; Type: ACL; Schema: identity; Owner: postgres
--

GRANT SELECT(totp_confirmed_at) ON TABLE identity.person TO gather_identity;


--
-- Name: TABLE signing_key; Type: ACL; Schema: identity; Owner: postgres
--

GRANT SELECT,INSERT,UPDATE ON TABLE identity.signing_key TO gather_identity;


--
-- Name: TABLE published_key; Type: ACL; Schema: identity; Owner: postgres
--

GRANT SELECT ON TABLE identity.published_key TO gather_identity;


--
-- Name: TABLE session; Type: ACL; Schema: identity; Owner: postgres
--

GRANT SELECT,UPDATE ON TABLE identity.session TO gather_identity;


--
-- Name: TABLE team_member; Type: ACL; Schema: identity; Owner: postgres
--

GRANT SELECT ON TABLE identity.team_member TO gather_identity;


--
-- Name: TABLE attempt_view; Type: ACL; Schema: jobs; Owner: postgres
--

GRANT SELECT ON TABLE jobs.attempt_view TO gather_jobs;


--
-- Name: TABLE job_view; Type: ACL; Schema: jobs; Owner: postgres
--

GRANT SELECT ON TABLE jobs.job_view TO gather_jobs;


--
-- Name: TABLE health; Type: ACL; Schema: platform; Owner: postgres
--

GRANT SELECT ON TABLE platform.health TO gather_site;
GRANT SELECT,INSERT,UPDATE ON TABLE platform.health TO gather_sandbox;


--
-- Name: TABLE attestation; Type: ACL; Schema: skills; Owner: postgres
--

GRANT SELECT ON TABLE skills.attestation TO gather_skills;


--
-- Name: TABLE skill; Type: ACL; Schema: skills; Owner: postgres
--

GRANT SELECT,INSERT,UPDATE ON TABLE skills.skill TO gather_skills;


--
-- Name: TABLE version; Type: ACL; Schema: skills; Owner: postgres
--

GRANT SELECT,INSERT,UPDATE ON TABLE skills.version TO gather_skills;


--
-- Name: TABLE callable_tool; Type: ACL; Schema: skills; Owner: postgres
--

GRANT SELECT ON TABLE skills.callable_tool TO gather_mcp;


--
-- Name: TABLE component; Type: ACL; Schema: skills; Owner: postgres
--

GRANT SELECT,INSERT ON TABLE skills.component TO gather_sandbox;


--
-- Name: COLUMN component.digest; Type: ACL; Schema: skills; Owner: postgres
--

GRANT SELECT(digest) ON TABLE skills.component TO gather_skills;


--
-- Name: COLUMN component.size_bytes; Type: ACL; Schema: skills; Owner: postgres
--

GRANT SELECT(size_bytes) ON TABLE skills.component TO gather_skills;


--
-- Name: COLUMN component.created_at; Type: ACL; Schema: skills; Owner: postgres
--

GRANT SELECT(created_at) ON TABLE skills.component TO gather_skills;
GRANT UPDATE(created_at) ON TABLE skills.component TO gather_sandbox;


--
-- Name: TABLE idempotency_key; Type: ACL; Schema: skills; Owner: postgres
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE skills.idempotency_key TO gather_skills;


--
-- Name: TABLE kv; Type: ACL; Schema: skills; Owner: postgres
--

GRANT SELECT ON TABLE skills.kv TO gather_sandbox;


--
-- Name: TABLE rating; Type: ACL; Schema: skills; Owner: postgres
--

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE skills.rating TO gather_skills;


--
-- Name: TABLE version_view; Type: ACL; Schema: skills; Owner: postgres
--

GRANT SELECT ON TABLE skills.version_view TO gather_skills;


--
-- Name: DEFAULT PRIVILEGES FOR FUNCTIONS; Type: DEFAULT ACL; Schema: -; Owner: postgres
--

ALTER DEFAULT PRIVILEGES FOR ROLE postgres REVOKE ALL ON FUNCTIONS  FROM PUBLIC;


--
-- PostgreSQL database dump complete
--

\unrestrict JB6sbTZzNfXnQ4lw2pz9zRMmNlNCXxHv81aWnVXVZBbSwHJpA2KqcyGiYkKMQUv

