-- A page of a conversation's messages as an account may read them: the newest first, before a number, or the eldest
-- first, after one.
create or replace function circles.messages_of(account uuid, conversation uuid, before bigint, after bigint, most bigint)
returns table (message jsonb)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if messages_of.after is not null then
        return query select circles.message_json(account, m.id) from channels.readable_message(account) m
            where m.channel_id = conversation and m.seq > messages_of.after order by m.seq limit most;
    else
        return query select circles.message_json(account, m.id) from channels.readable_message(account) m
            where m.channel_id = conversation and (messages_of.before is null or m.seq < messages_of.before)
            order by m.seq desc limit most;
    end if;
end
$$;
grant execute on function circles.messages_of(uuid, uuid, bigint, bigint, bigint) to gather_circles;
