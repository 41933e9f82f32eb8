-- Selects the names and ids by which an account has no pipeline.
create or replace function pipelines.unknown_pipelines(account uuid, names text[]) returns setof text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select n from unnest(names) n where pipelines.find_pipeline(account, n) is null
$$;
grant execute on function pipelines.unknown_pipelines to gather_pipelines;
