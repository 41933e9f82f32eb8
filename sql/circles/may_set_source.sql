-- Whether who holds these scopes may say which tools a source of an owner has: what each agent of the owner thinks with that
-- has tools of it.
create or replace function circles.may_set_source(owner uuid, name text, held text[]) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select not exists (
        select from circles.seat s join circles.persona p on p.id = s.persona_id
        join circles.persona_version v on v.persona_id = p.id and v.number = coalesce(s.persona_version, p.version)
        cross join lateral jsonb_array_elements(coalesce(nullif(v.definition -> 'tools', 'null'), '[]')) t
        where s.owner_id = may_set_source.owner and split_part(t ->> 'use', '/', 1) = 'mcp:' || may_set_source.name
        and not circles.may_steer(s, held))
$$;
