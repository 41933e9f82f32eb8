-- Brings a persona of the platform along: as a new one, or as a new version of the one that has its name.
create or replace function circles.ship_persona(name text, definition jsonb) returns void
language plpgsql
as $$
#variable_conflict use_column
declare
    p circles.persona;
begin
    insert into circles.persona as x (name, visibility) values (ship_persona.name, 'public')
    on conflict (owner_id, name) where deleted_at is null do nothing returning x.* into p;
    if p.id is null then
        update circles.persona x set version = x.version + 1
        where x.owner_id is null and x.name = ship_persona.name and not exists (
            select from circles.persona_version v
            where v.persona_id = x.id and v.number = x.version and v.digest = circles.digest(definition))
        returning x.* into p;
    end if;
    insert into circles.persona_version (persona_id, number, definition, digest)
    select p.id, p.version, definition, circles.digest(definition) where p.id is not null;
end
$$;
