-- The time of the last line that is kept of a claw's container, in RFC 3339; null: there is none.
create or replace function claws.last_line_at(claw uuid) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select to_json(max(l.at)) #>> '{}' from claws.line l where l.claw_id = claw
$$;
grant execute on function claws.last_line_at(uuid) to gather_claw_provision;
