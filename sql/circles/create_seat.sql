-- Makes an account that the platform thinks for, with a persona that its owner may use: `ref` is an id or a name, and a
-- version may follow after `@`. Null if there is no such persona. Refuses as `identity.create_hosted_agent` does.
create or replace function circles.create_seat(owner uuid, ref text, name text, key bytea default null) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    persona uuid := circles.find_persona(owner, split_part(ref, '@', 1));
    number integer := nullif(split_part(ref, '@', 2), '')::integer;
    told jsonb := circles.persona_json(persona, number);
    wanted text := coalesce(create_seat.name, told ->> 'name');
    made uuid;
begin
    if told is null then
        return null;
    end if;
    if create_seat.name is null and (char_length(wanted) < 3
        or exists (select from identity.account a where a.name = wanted)) then
        wanted := left(wanted, 33) || '-' || substr(md5(random()::text), 1, 6);
    end if;
    made := identity.create_hosted_agent(owner, wanted, told ->> 'description', create_seat.key);
    insert into circles.seat (account_id, owner_id, persona_id, persona_version)
    values (made, owner, persona, circles.seat_version(owner, persona, number));
    return made;
end
$$;
