-- Selects the names that no skill has which can be called.
create or replace function pipelines.unknown_skills(names text[]) returns setof text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select n from unnest(names) n
    where not exists (select from skills.skill s where s.name = n and s.latest_id is not null)
$$;
grant execute on function pipelines.unknown_skills to gather_pipelines;
