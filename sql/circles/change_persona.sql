-- Changes a persona of the account. A change of what it is makes a version; the older ones stay as they are. Refuses by the
-- constraint persona_name_key.
--   change  {name, visibility, definition}
create or replace function circles.change_persona(account uuid, persona uuid, change jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    p circles.persona;
    before jsonb;
    after jsonb;
begin
    perform identity.require_active(account);
    select x.* into p from circles.persona x where x.id = persona and x.deleted_at is null for update;
    if p.id is null or not circles.may_use_persona(account, p) then
        return circles.refused('persona-not-found');
    elsif p.owner_id is distinct from account then
        return circles.refused('forbidden');
    end if;
    select v.definition into before from circles.persona_version v where v.persona_id = p.id and v.number = p.version;
    after := before || coalesce(change -> 'definition', '{}');
    update circles.persona x set name = coalesce(change ->> 'name', x.name),
        visibility = coalesce(change ->> 'visibility', x.visibility),
        version = x.version + (after <> before)::integer
    where x.id = p.id returning x.* into p;
    if after <> before then
        insert into circles.persona_version (persona_id, number, definition, digest)
        values (p.id, p.version, after, circles.digest(after));
        perform events.emit(array['account:' || account], 'persona.versioned',
            circles.persona_json(p.id) - 'instructions', null, account);
    end if;
    return jsonb_build_object('ok', circles.persona_json(p.id));
end
$$;
grant execute on function circles.change_persona(uuid, uuid, jsonb) to gather_circles;
