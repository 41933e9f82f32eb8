-- The JSON of a version of a persona, which null makes the newest; null if there is no such version.
create or replace function circles.persona_json(persona uuid, number integer default null) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select v.definition || jsonb_build_object('id', p.id, 'name', p.name, 'visibility', p.visibility,
        'owner', circles.account_json(p.owner_id), 'version', v.number, 'digest', v.digest, 'created_at', v.created_at)
    from circles.persona p
    join circles.persona_version v on v.persona_id = p.id and v.number = coalesce(persona_json.number, p.version)
    where p.id = persona
$$;
grant execute on function circles.persona_json(uuid, integer) to gather_circles;
