-- A source of tools of the owner of a turn's agent, as whoever asks it needs it: with the owner's secret of this name, if
-- one is named.
create or replace function circles.source_for(turn uuid, name text, secret text) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select circles.source_access(x) || case when source_for.secret is null then '{}' else jsonb_build_object(
        'names_secret', true, 'secret', vault.resolve_secret(source_for.secret, s.owner_id)) end
    from circles.turn t join circles.seat s on s.account_id = t.agent_id
    join circles.tool_source x on x.owner_id = s.owner_id and x.name = source_for.name
    where t.id = source_for.turn
$$;
grant execute on function circles.source_for(uuid, text, text) to gather_agent_turn;
