-- The tools of callable skills, with their skills' permissions.
create or replace view skills.callable_tool as
select s.id as skill_id, s.name as skill, s.rank, v.id as version_id, v.version, v.digest,
    t.value ->> 'name' as tool, t.value ->> 'description' as description,
    t.value -> 'input_schema' as input_schema, t.value -> 'output_schema' as output_schema,
    v.manifest ->> 'description' as skill_description,
    v.manifest -> 'permissions' as permissions
from skills.skill s
join skills.version v on v.id = s.latest_id
cross join lateral jsonb_array_elements(v.tools) t;
grant select on skills.callable_tool to gather_mcp;
