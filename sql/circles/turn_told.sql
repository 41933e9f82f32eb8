-- The JSON of a turn for its agent or that one's owner. The owner sees each turn and what it cost, and not what was said
-- where the owner may not read.
create or replace function circles.turn_told(viewer uuid, t circles.turn) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select circles.turn_json(t) || case when viewer = t.agent_id or circles.may_read_turn(viewer, t) then '{}'
        else '{"cause": null, "partial": null, "reply": null}' end::jsonb
$$;
grant execute on function circles.turn_told(uuid, circles.turn) to gather_circles;
