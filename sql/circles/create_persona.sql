-- Makes a persona with its first version. Refuses by the constraint persona_name_key.
--   new  {name, visibility, definition, greeting}, the last as a message
create or replace function circles.create_persona(account uuid, new jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    made uuid;
begin
    perform identity.require_active(account);
    if (select count(*) from circles.persona p where p.owner_id = account and p.deleted_at is null) >= 1000 then
        return circles.refused('too-many-personas');
    end if;
    insert into circles.persona as p (owner_id, name, visibility)
    values (account, new ->> 'name', new ->> 'visibility') returning p.id into made;
    insert into circles.persona_version (persona_id, number, definition, digest, greeting)
    values (made, 1, new -> 'definition', circles.digest(new -> 'definition'), nullif(new -> 'greeting', 'null'));
    perform events.emit(array['account:' || account], 'persona.versioned',
        circles.persona_json(made) - 'instructions', null, account);
    return jsonb_build_object('ok', circles.persona_json(made));
end
$$;
grant execute on function circles.create_persona(uuid, jsonb) to gather_circles;
