-- An agent of the same owner, by its id or name, which a turn's agent may ask: {id, name, description}.
create or replace function circles.agent_for(turn uuid, ref text) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select circles.account_json(a.id) || jsonb_build_object('description',
        circles.persona_json(s.persona_id, s.persona_version) ->> 'description')
    from circles.turn t join circles.seat own on own.account_id = t.agent_id
    join circles.seat s on s.owner_id = own.owner_id and s.account_id <> t.agent_id
    join identity.account a on a.id = s.account_id and a.status = 'active'
    where t.id = agent_for.turn and s.state not in ('stopped', 'elsewhere') and agent_for.ref in (a.name, a.id::text)
$$;
grant execute on function circles.agent_for(uuid, text) to gather_agent_turn;
