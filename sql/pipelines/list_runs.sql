-- The runs of an account, the newest first, at most so many; each condition that is null does not count.
--   before    only runs whose ids are smaller
--   pipeline  one of the account's pipelines, by id or name
create or replace function pipelines.list_runs(
    account uuid, before uuid, most bigint, pipeline text, status text, cause text, parent uuid
) returns setof pipelines.run_view
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
-- Each of the conditions has an index of its own.
set plan_cache_mode = force_custom_plan
as $$
declare
    wanted uuid := pipelines.find_pipeline(account, pipeline);
begin
    if pipeline is not null and wanted is null then
        return;
    end if;
    return query
    select v.* from pipelines.run_view v
    where v.actor = account and (before is null or v.id < before)
    and (list_runs.pipeline is null or v.pipeline = wanted)
    and (list_runs.status is null or v.status = list_runs.status)
    and (list_runs.cause is null or v.cause = list_runs.cause)
    and (list_runs.parent is null or v.parent = list_runs.parent)
    order by v.id desc limit most;
end
$$;
grant execute on function pipelines.list_runs to gather_pipelines;
