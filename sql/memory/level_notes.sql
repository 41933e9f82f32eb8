-- What an account may do with what an agent notes for itself in a conversation: the agent writes it, and its owner manages
-- it, if it may read that conversation.
create or replace function memory.level_notes(account uuid, id uuid) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select case when a.id = g.owner_id then 'manage' else 'write' end
    from circles.notebook n left join identity.agent g on g.account_id = n.agent_id
    join identity.account a on a.id in (n.agent_id, g.owner_id)
    where n.id = level_notes.id and a.id = level_notes.account and a.status = 'active'
    and channels.may_read(a.id, n.channel_id)
$$;
