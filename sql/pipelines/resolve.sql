-- Decides about a step of an account's run of which nobody knows whether its request arrived. Answers `resolved` or
-- `not-uncertain`; null if there is no such step. Refuses an output that makes the run too large by the constraint
-- run_size.
create or replace function pipelines.resolve(account uuid, run uuid, path text, outcome text, output jsonb) returns text
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    was text;
begin
    perform from pipelines.run r where r.id = resolve.run and r.account_id = account for update;
    if not found then
        return null;
    end if;
    select s.status into was from pipelines.step s where s.run_id = resolve.run and s.path = resolve.path;
    if was is distinct from 'uncertain' then
        return case when was is not null then 'not-uncertain' end;
    end if;
    if outcome = 'succeeded' and octet_length(resolve.output::text) + coalesce((
        select sum(octet_length(coalesce(s.input::text, '')) + octet_length(coalesce(s.output::text, '')))
        from pipelines.step s where s.run_id = resolve.run), 0) > 16777216
    then
        perform identity.refuse('run_size');
    end if;
    update pipelines.step s
    set status = case outcome when 'retry' then 'ready' else outcome end,
        output = case outcome when 'succeeded' then coalesce(resolve.output, 'null') end,
        error = case outcome when 'failed'
            then '{"code": "engine-lost", "detail": "It was decided that the request counts as failed."}'::jsonb end,
        finished_at = case when outcome <> 'retry' then clock_timestamp() end
    where s.run_id = resolve.run and s.path = resolve.path;
    perform pipelines.wake(resolve.run);
    return 'resolved';
end
$$;
grant execute on function pipelines.resolve to gather_pipelines;
