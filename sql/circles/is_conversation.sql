-- Whether a channel is a conversation: by its kind, or as a direct channel with an agent that the platform thinks for, or
-- thought for until it left.
create or replace function circles.is_conversation(c channels.channel) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select c.kind = 'conversation'
        or c.kind = 'direct' and exists (select from circles.seat s where s.account_id = any (c.member_set)
            union all
            select from circles.turn t where t.channel_id = c.id)
$$;
