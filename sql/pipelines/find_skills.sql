-- Finds the versions of skills that a definition calls: the one that is named, or the latest. One that was yanked still
-- serves whoever names it.
--   called  [{"path", "name", "version"}]
-- Selects for each path that has one: the version, what it may use, and its tools.
create or replace function pipelines.find_skills(called jsonb) returns table (
    path text, version text, permissions text[], tools text[]
)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select c.path, v.version,
        array(select p.key from jsonb_each(v.manifest -> 'permissions') p
            where p.value not in ('null', 'false', '[]', '{}') order by p.key),
        array(select t ->> 'name' from jsonb_array_elements(v.tools) t)
    from jsonb_to_recordset(called) as c (path text, name text, version text)
    join skills.skill s on s.name = c.name
    join skills.version v on v.skill_id = s.id and v.status in ('approved', 'yanked')
        and case when c.version is null then v.id = s.latest_id else v.version = c.version end
$$;
grant execute on function pipelines.find_skills to gather_pipelines;
