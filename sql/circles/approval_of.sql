-- How the approval ended that a call of a tool waits for: {state, digest, reason}.
create or replace function circles.approval_of(turn uuid, number integer) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object('state', a.state, 'digest', a.digest, 'reason', (
        select d.reason from inbox.decision d
        where d.approval_id = a.id and d.decision = 'deny' and d.reason is not null limit 1))
    from circles.step s join inbox.approval a on a.id = s.approval_id
    where s.turn_id = turn and s.number = approval_of.number
$$;
grant execute on function circles.approval_of(uuid, integer) to gather_agent_turn;
