-- Finds a message that an account is about to change in a locked channel, or the reason why it can't: it must be a
-- member, and the message in the channel, to be read by it, and neither deleted nor hidden.
create or replace function channels.reach(account uuid, c channels.channel, message uuid) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select case
        when c.id is null then 'not-found'
        when not exists (select from channels.readable_message(account) m
            where m.id = message and m.channel_id = c.id) then 'message-not-found'
        when channels.role_of(account, c.id) is null then 'not-a-member'
        when exists (select from channels.message m where m.id = message and m.deleted_at is not null)
            then 'message-not-found'
        when c.archived_at is not null then 'channel-archived'
    end
$$;
