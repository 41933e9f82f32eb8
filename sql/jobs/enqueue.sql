-- Puts work into the queue, in the caller's statement, so that both are done or neither is.
--   kind      the component that does it
--   payload   the input of the work, 1 MiB at most, whose secrets are shown to nobody
--   owner     the account that it is done for, which may see and cancel it; null: the platform
--   key       while a job of this kind, owner and key is unfinished, asking again answers that one
--   run_at    the time before which it does not begin
--   queue     jobs of one queue run one after another, whoever runs them
--   priority  smaller is sooner
--   by_job    the job that enqueues it, whose cause becomes the cause of this one
--   notify    the SQL function that is called with the job's id in the statement that ends it, however it ends; one of
--             `jobs.notified`
-- Returns the job's id.
create or replace function jobs.enqueue(
    kind text,
    payload jsonb default '{}',
    owner uuid default null,
    key text default null,
    run_at timestamptz default null,
    queue text default null,
    priority integer default 0,
    by_job uuid default null,
    notify text default null
) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    parent jobs.job;
begin
    -- The role of the caller, and not of this function, is checked. The function's owner may do everything.
    if session_user <> current_user and not exists (
        select from jobs.enqueuer e where e.role = session_user and e.kind = enqueue.kind
    ) then
        raise exception 'the role % may not enqueue jobs of the kind %', session_user, enqueue.kind
            using errcode = 'insufficient_privilege',
                hint = 'add a row to jobs.enqueuer in a migration';
    end if;
    if enqueue.by_job is not null then
        select j.* into parent from jobs.job j where j.id = enqueue.by_job;
    end if;
    return jobs.add(enqueue.kind, enqueue.payload, enqueue.owner, enqueue.key, enqueue.run_at, enqueue.queue,
        enqueue.priority, parent.cause, coalesce(parent.depth, 0), enqueue.notify);
end
$$;
grant execute on function jobs.enqueue to gather_skills;
