-- Emits that a turn changed, on its own topic and those of its conversation, circle and agent.
create or replace function circles.tell_turn(turn uuid, what text, data jsonb default null) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    t circles.turn;
begin
    select x.* into t from circles.turn x where x.id = turn;
    perform events.follow((v.task ->> 'cause')::uuid, (v.task ->> 'depth')::integer)
    from circles.conversation v where v.channel_id = t.channel_id and v.task is not null;
    perform events.emit(
        array_remove(array['turn:' || t.id, 'conversation:' || t.channel_id, 'agent:' || t.agent_id,
            'circle:' || t.circle_id], null),
        'turn.' || what, coalesce(data, circles.turn_json(t) - 'partial'), null, t.agent_id,
        -- Members of a circle may read it, and not each of its conversations.
        case when t.visible_to is not null then t.visible_to || t.agent_id else array(
            select b.account_id from channels.member b where b.channel_id = t.channel_id limit 1000) end);
end
$$;
