-- A direct channel as a conversation, which has no row of its own.
create or replace function circles.as_conversation(c channels.channel) returns circles.conversation
language sql stable
as $$
    select row(c.id, null, '', 'open', null, null, null, null, null, false)::circles.conversation
$$;
