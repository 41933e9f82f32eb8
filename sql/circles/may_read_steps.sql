-- Whether an account may see what the tools of a turn were given and answered, and what its models said between: the agent
-- and its owner. Others see which steps there were.
create or replace function circles.may_read_steps(viewer uuid, t circles.turn) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select viewer = t.agent_id
        or exists (select from circles.seat s where s.account_id = t.agent_id and s.owner_id = viewer)
$$;
grant execute on function circles.may_read_steps(uuid, circles.turn) to gather_circles;
