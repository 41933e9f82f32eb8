-- Puts work into the queue without checking the caller, as `jobs.enqueue` does, which explains it. `cause` is the event
-- that led to it, and `depth` the number of starts of work by events behind it.
create or replace function jobs.add(
    kind text,
    payload jsonb,
    owner uuid,
    key text,
    run_at timestamptz,
    queue text,
    priority integer,
    cause uuid,
    depth integer,
    notify text default null
) returns uuid
language plpgsql
as $$
declare
    job uuid;
    queued bigint;
begin
    if char_length(add.queue) not between 1 and 128 then
        raise exception 'a queue''s name has 1 to 128 characters' using errcode = 'check_violation';
    end if;
    if add.key is not null then
        perform pg_advisory_xact_lock(
            hashtextextended(concat_ws('/', add.kind, add.owner::text, add.key), 1));
        select j.id into job from jobs.job j
        where j.kind = add.kind and j.owner_id is not distinct from add.owner
        and j.key = add.key and j.finished_at is null;
        if found then
            return job;
        end if;
    end if;
    job := platform.uuid_v7();
    queued := jobs.put(job, add.kind, add.run_at, add.queue, add.priority);
    insert into jobs.job (id, kind, owner_id, key, payload, max_attempts, run_at, queue_id, cause, depth, notify)
    values (job, add.kind, add.owner, add.key, coalesce(add.payload, '{}'),
        jobs.max_attempts(add.kind), coalesce(add.run_at, now()), queued, add.cause, add.depth,
        add.notify);
    return job;
end
$$;
