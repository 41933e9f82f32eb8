-- The accounts that an event is not told to, since they have blocked or muted whoever did it. What concerns a channel
-- as a whole is told to everybody there, and on an account's own topic only stands what it is to hear. Null: none.
create or replace function events.shunned_by(e events.event) returns uuid[]
language sql stable
as $$
    select case when e.actor is not null and not starts_with(e.topic, 'account:')
        and e.type not in ('access.changed', 'channel.updated', 'channel.deleted') then social.shunned_by(e.actor) end
$$;
