-- Changes a persona of the account. A change of what it is makes a version; the older ones stay as they are. Agents that think
-- with the newest one then do something else, which is for those alone who could have lent them their scopes. Refuses by the
-- constraint persona_name_key.
--   change  {name, visibility, definition, greeting}, the last as a message, and `held`: see `circles.may_steer`
create or replace function circles.change_persona(account uuid, persona uuid, change jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    p circles.persona;
    before jsonb;
    after jsonb;
    greeting jsonb;
begin
    perform identity.require_active(account);
    select x.* into p from circles.persona x where x.id = persona and x.deleted_at is null for update;
    if p.id is null or not circles.may_use_persona(account, p) then
        return circles.refused('persona-not-found');
    elsif p.owner_id is distinct from account then
        return circles.refused('forbidden');
    end if;
    select v.definition, v.greeting into before, greeting from circles.persona_version v where v.persona_id = p.id and v.number = p.version;
    after := before || coalesce(change -> 'definition', '{}');
    if after <> before and exists (select from circles.seat s
        where s.persona_id = p.id and s.persona_version is null
        and not circles.may_steer(s, platform.texts_of(change -> 'held'))) then
        return circles.refused('scopes-exceed-owner');
    end if;
    update circles.persona x set name = coalesce(change ->> 'name', x.name),
        visibility = coalesce(change ->> 'visibility', x.visibility),
        version = x.version + (after <> before)::integer
    where x.id = p.id returning x.* into p;
    if after <> before then
        insert into circles.persona_version (persona_id, number, definition, digest, greeting)
        values (p.id, p.version, after, circles.digest(after), coalesce(nullif(change -> 'greeting', 'null'), greeting));
        perform events.emit(array['account:' || account], 'persona.versioned',
            circles.persona_json(p.id) - 'instructions', null, account);
    end if;
    return jsonb_build_object('ok', circles.persona_json(p.id));
end
$$;
grant execute on function circles.change_persona(uuid, uuid, jsonb) to gather_circles;
