-- Whose words or doing the data of an event shows: its `author`, or else its `account`, each an id or an object with
-- one. Null: nobody's, as where something is deleted or a place changes; that is told to those who have blocked whoever
-- did it, too.
create or replace function events.told_of(data jsonb) returns uuid
language sql immutable
as $$
    select platform.uuid_of(coalesce(data #>> '{author,id}', data ->> 'author', data #>> '{account,id}',
        data ->> 'account'))
$$;
