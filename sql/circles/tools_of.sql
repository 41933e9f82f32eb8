-- The tools of a skill, of its newest version or of the one that is named, as models are told of them.
create or replace function circles.tools_of(skill text, version text) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce(jsonb_agg(jsonb_build_object('skill', s.name, 'version', v.version, 'digest', v.digest,
        'tool', t.value ->> 'name', 'description', coalesce(nullif(t.value ->> 'description', ''), v.manifest ->> 'description'),
        'input_schema', t.value -> 'input_schema',
        -- Without network and store it changes nothing.
        'is_harmless', coalesce(jsonb_array_length(nullif(v.manifest #> '{permissions,http}', 'null')), 0) = 0
            and nullif(v.manifest #> '{permissions,kv}', 'null') is null)), '[]')
    from skills.skill s
    join skills.version v on v.skill_id = s.id and v.status in ('approved', 'yanked')
        and case when tools_of.version is null then v.id = s.latest_id else v.version = tools_of.version end
    cross join lateral jsonb_array_elements(v.tools) t
    where s.name = tools_of.skill
    -- A skill of the platform is taken from the platform alone.
    and (s.name not like 'gather-%' or s.owner_id = identity.platform_account())
$$;
grant execute on function circles.tools_of(text, text) to gather_agent_turn, gather_circles;
