-- A public agent or circle, by its id or name, as its card tells of it; null if there is none.
create or replace function circles.a2a_door(kind text, name text) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('kind', 'agents', 'id', a.id, 'name', a.name,
        'description', coalesce(p.told ->> 'description', ''), 'version', substr(p.told ->> 'digest', 8, 16))
    from circles.seat s
    join identity.account a on a.id = s.account_id and a.status = 'active'
    join identity.account o on o.id = s.owner_id and o.status = 'active'
    cross join lateral (select circles.persona_json(s.persona_id, s.persona_version) as told) p
    where a2a_door.kind = 'agents' and s.public and a2a_door.name in (a.name, a.id::text)
    union all
    select jsonb_build_object('kind', 'circles', 'id', c.id, 'name', c.name, 'description', c.purpose,
        'version', c.version::text)
    from circles.circle c where a2a_door.kind = 'circles' and c.public and a2a_door.name in (c.name, c.id::text)
    limit 1
$$;
grant execute on function circles.a2a_door(text, text) to gather_circles;
