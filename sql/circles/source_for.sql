-- A source of tools of the owner of a turn's agent, as whoever asks it needs it.
create or replace function circles.source_for(turn uuid, name text) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select circles.source_access(x)
    from circles.turn t join circles.seat s on s.account_id = t.agent_id
    join circles.tool_source x on x.owner_id = s.owner_id and x.name = source_for.name
    where t.id = source_for.turn
$$;
grant execute on function circles.source_for(uuid, text) to gather_agent_turn;
