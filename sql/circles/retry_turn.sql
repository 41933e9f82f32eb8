-- Thinks a thought again that did not end well: as another turn with the same cause. What was done before a fork stays done.
create or replace function circles.retry_turn(account uuid, turn uuid) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn;
    made uuid;
begin
    select x.* into t from circles.find_turn(account, turn) x;
    if t.id is null then
        return circles.refused('turn-not-found');
    elsif not circles.may_read_steps(account, t) and (social.blocks(t.agent_id, account)
        or coalesce(circles.role_of(account, t.circle_id), 'member') not in ('owner', 'moderator')) then
        return circles.refused('forbidden');
    elsif t.status not in ('failed', 'cancelled', 'limited') then
        return circles.refused(case t.status when 'completed' then 'turn-finished' else 'turn-running' end);
    end if;
    perform from channels.channel c where c.id = t.channel_id for no key update;
    if exists (select from circles.conversation v where v.channel_id = t.channel_id and v.status = 'closed') then
        return circles.refused('conversation-closed');
    elsif circles.is_crowded(t.channel_id) then
        return circles.refused('too-many-turns', 10000);
    end if;
    made := circles.start_turn(t.channel_id, t.agent_id, t.cause_id, t.cause_seq, t.hops, t.visible_to, t.prompt,
        fork => case when t.forked_from is not null then jsonb_build_object('turn', t.id, 'after_step', t.forked_after) end);
    return jsonb_build_object('ok', (select circles.turn_json(x) from circles.turn x where x.id = made));
end
$$;
grant execute on function circles.retry_turn(uuid, uuid) to gather_circles;
