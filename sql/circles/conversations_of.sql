-- A page of the conversations that an account is in, the newest first, of a circle if one is named. Direct channels with agents
-- that the platform thinks for are among them, unless they are hidden.
create or replace function circles.conversations_of(account uuid, circle text, before uuid, most bigint)
returns table (conversation jsonb)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select circles.conversation_json(case when v.channel_id is null then circles.as_conversation(c) else v end)
    from channels.member b join channels.channel c on c.id = b.channel_id
    left join circles.conversation v on v.channel_id = c.id
    where b.account_id = account and not b.hidden and (before is null or b.channel_id < before)
    and c.kind <> 'channel' and circles.is_conversation(c)
    and (conversations_of.circle is null or v.circle_id = circles.find_circle(account, conversations_of.circle))
    order by b.channel_id desc limit most
$$;
grant execute on function circles.conversations_of(uuid, text, uuid, bigint) to gather_circles;
