-- Ends a locked turn, with the message that its agent has to say, if any.
create or replace function circles.end_turn(t circles.turn, status text, reason text, message jsonb) returns jsonb
language plpgsql
as $$
declare
    posted jsonb;
    is_refused boolean;
begin
    if message is not null then
        perform events.follow((v.task ->> 'cause')::uuid, (v.task ->> 'depth')::integer)
        from circles.conversation v where v.channel_id = t.channel_id and v.task is not null;
        posted := channels.post_message(t.agent_id, t.channel_id::text, message || jsonb_build_object('client_id', t.id,
            'reply_to', case when t.visible_to is not null then t.cause_id end, 'visible_to', to_jsonb(t.visible_to)));
        is_refused := posted ? 'refused';
    end if;
    update circles.turn x set finished_at = clock_timestamp(), waiting_for = null,
        status = case when is_refused then 'failed' else end_turn.status end,
        reason = case when is_refused then 'refused' else end_turn.reason end,
        reply_id = (posted #>> '{ok,message,id}')::uuid,
        reply_digest = case when posted ? 'ok' then encode(sha256(convert_to(message ->> 'body', 'UTF8')), 'hex') end,
        partial = case when message is null and end_turn.status <> 'completed' then x.partial end
    where x.id = t.id;
    perform circles.close_steps(t.id);
    perform circles.tell_turn(t.id, (select x.status from circles.turn x where x.id = t.id));
    perform circles.after_turn(t.id);
    return '{"done": true}';
end
$$;
