-- Cancels a turn: for its agent, that one's owner, who caused it, and owners and moderators of its circle.
create or replace function circles.cancel_turn(account uuid, turn uuid) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn;
begin
    select x.* into t from circles.find_turn(account, turn) x;
    if t.id is null then
        return circles.refused('turn-not-found');
    elsif not circles.may_read_steps(account, t)
        and not exists (select from channels.message m where m.id = t.cause_id and m.author_id = account)
        and coalesce(circles.role_of(account, t.circle_id), 'member') not in ('owner', 'moderator') then
        return circles.refused('forbidden');
    elsif not circles.cut_turn(t.id) then
        return circles.refused('turn-finished');
    end if;
    return jsonb_build_object('ok', (select circles.turn_json(x) from circles.turn x where x.id = t.id));
end
$$;
grant execute on function circles.cancel_turn(uuid, uuid) to gather_circles;
