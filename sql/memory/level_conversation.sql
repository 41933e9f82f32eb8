-- What an account may do with the memory of a channel: who reads the channel reads it, members write it, owners and
-- moderators manage it.
create or replace function memory.level_conversation(account uuid, id uuid) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select case
        when channels.role_of(a.id, level_conversation.id) in ('owner', 'moderator') then 'manage'
        when channels.role_of(a.id, level_conversation.id) is not null then 'write'
        else 'read'
    end
    from identity.account a
    where a.id = level_conversation.account and a.status = 'active' and channels.may_read(a.id, level_conversation.id)
$$;
