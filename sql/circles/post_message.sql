-- Posts a message in a conversation, and says which turns it has made. `to` addresses accounts as a mention does, and
-- `visible_to` makes it a whisper, which nobody else may ever read.
--   new  {body, html, plain, words, names, all, to, visible_to, reply_to, client_id}
create or replace function circles.post_message(account uuid, conversation uuid, new jsonb) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    v circles.conversation;
    addressed uuid[];
    audience uuid[];
    posted jsonb;
    message uuid;
begin
    select x.* into v from circles.find_conversation(account, conversation) x;
    if v.channel_id is null then
        return circles.refused('conversation-not-found');
    elsif v.status = 'closed' then
        return circles.refused('conversation-closed');
    end if;
    addressed := array(select circles.account_of(a) from jsonb_array_elements_text(coalesce(nullif(new -> 'to', 'null'), '[]')) a);
    audience := case when jsonb_typeof(new -> 'visible_to') = 'array' then
        array(select distinct circles.account_of(a) from jsonb_array_elements_text(new -> 'visible_to') a) end;
    if exists (select from unnest(addressed) a where a is null or not channels.may_read(a, conversation)) then
        return circles.refused('addressee-not-found');
    elsif exists (select from unnest(audience) a where a is null or not channels.may_read(a, conversation)) then
        return circles.refused('reader-not-found');
    end if;
    -- A whisper is for those whom it is told, so it addresses them.
    posted := channels.post_message(account, conversation::text, new || jsonb_build_object(
        'visible_to', to_jsonb(audience),
        'names', (new -> 'names') || coalesce((select jsonb_agg(distinct a.name)
            from identity.account a where a.id = any (addressed || audience)), '[]')));
    if posted ? 'refused' then
        return case posted ->> 'refused' when 'channel-archived' then circles.refused('conversation-closed')
            when 'forbidden' then circles.refused('not-a-member') else posted end;
    end if;
    message := (posted #>> '{ok,message,id}')::uuid;
    return jsonb_build_object('ok', jsonb_build_object('is_new', posted #> '{ok,is_new}',
        'message', circles.message_json(account, message),
        'turns', (select coalesce(jsonb_agg(jsonb_build_object('id', t.id, 'agent', circles.account_json(t.agent_id),
                'status', t.status) order by t.id), '[]')
            from circles.turn t
            where t.channel_id = conversation and (t.cause_id = message or t.finished_at is null
                and t.wanted_seq = (posted #>> '{ok,message,seq}')::bigint) and circles.may_read_turn(account, t))));
end
$$;
grant execute on function circles.post_message(uuid, uuid, jsonb) to gather_circles;
