-- Puts work into the queue, in the statement of the caller: both are done or neither is.
--   kind      the component that does it
--   payload   what that needs, 1 MiB at most; its secrets are shown to nobody
--   owner     the account it is done for, which may see and cancel it; null: the platform's own
--   key       while a job of this kind, owner and key is unfinished, asking again answers that one
--   run_at    not before
--   queue     jobs of one queue run one after another, whoever runs them
--   priority  smaller is sooner
-- Answers the job's id.
create or replace function jobs.enqueue(
    kind text,
    payload jsonb default '{}',
    owner uuid default null,
    key text default null,
    run_at timestamptz default null,
    queue text default null,
    priority integer default 0
) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
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
grant execute on function jobs.enqueue to gather_skills;
