-- Starts a run in the caller's statement: the run, its event and its job are there together or not at all.
--   version   null: the active version
--   key       while a run with it is unfinished, starting again answers that run
--   start_at  the time before which it does not begin
--   restart   null, or {"from", "steps"}: the run that is begun anew, and the ended steps that are taken over. Its priority,
--             budget and stubs count as well, unless others are given
--   cause     what starts it, as `run_cause_known` lists
--   parent    the run that starts it, by its step `parent_path`
--   budget    what it may use, instead of what its definition says
--   stubs     outputs of steps that are not done, by their paths
--   event     the event that led to it; `depth` is the number of starts of work by events behind it
-- Answers {"run", "is_new"}; null if the account has no such pipeline. Refuses by the constraints pipeline_archived,
-- pipeline_paused, pipeline_version and run_count.
create or replace function pipelines.start(
    pipeline uuid, account uuid, version integer, input jsonb, key text, priority integer, start_at timestamptz,
    restart jsonb default null, cause text default 'call', parent uuid default null, parent_path text default null,
    event uuid default null, depth integer default 0, budget jsonb default null,
    stubs jsonb default null
) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    p pipelines.pipeline;
    former pipelines.run;
    made uuid;
begin
    perform identity.require_active(account);
    select o.* into p from pipelines.pipeline o where o.id = start.pipeline and o.owner_id = account for update;
    if not found then
        return null;
    elsif p.archived_at is not null then
        perform identity.refuse('pipeline_archived');
    elsif p.paused then
        perform identity.refuse('pipeline_paused');
    end if;
    if start.key is not null then
        select r.id into made from pipelines.run r
        where r.pipeline_id = p.id and r.key = start.key and r.finished_at is null;
        if found then
            return jsonb_build_object('run', made, 'is_new', false);
        end if;
    end if;
    if (select count(*) from pipelines.run r where r.account_id = account and r.finished_at is null) >= 1000 then
        perform identity.refuse('run_count');
    end if;
    if not exists (select from pipelines.version v
        where v.pipeline_id = p.id and v.number = coalesce(start.version, p.active_version)) then
        perform identity.refuse('pipeline_version');
    end if;
    select r.* into former from pipelines.run r where r.id = (restart ->> 'from')::uuid;
    insert into pipelines.run as r (pipeline_id, version, account_id, key, priority, start_at, step_count, input, cause,
        restarted_from, parent_id, parent_path, level, event_id, depth, stubs, budget)
    values (p.id, coalesce(start.version, p.active_version), account, start.key,
        coalesce(start.priority, former.priority, 0), start.start_at,
        coalesce(jsonb_array_length(restart -> 'steps'), 0), start.input,
        case when restart is null then start.cause else 'restart' end, (restart ->> 'from')::uuid, start.parent,
        start.parent_path,
        coalesce((select o.level + 1 from pipelines.run o where o.id = start.parent), 0), start.event, start.depth,
        coalesce(start.stubs, former.stubs, '{}'),
        coalesce((select v.definition -> 'budget' from pipelines.version v where v.pipeline_id = p.id
            and v.number = coalesce(start.version, p.active_version)), '{}') || coalesce(start.budget, former.budget, '{}'))
    returning r.id into made;
    insert into pipelines.step (run_id, path, type, status, effect, attempts, input, output, error, chosen, started_at,
        finished_at)
    select made, s.path, s.type, s.status, s.effect, s.attempts, s.input, s.output, s.error, s.chosen, now(),
        case when pipelines.is_end(s.status) then now() end
    from jsonb_to_recordset(restart -> 'steps') as s (path text, type text, status text, effect text, attempts integer,
        input jsonb, output jsonb, error jsonb, chosen text);
    perform pipelines.drive(made, null);
    perform pipelines.tell('run.queued', p.id, made, jsonb_build_object('run', made, 'status', 'queued'));
    return jsonb_build_object('run', made, 'is_new', true);
end
$$;
grant execute on function pipelines.start to gather_pipelines;
