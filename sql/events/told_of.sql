-- The account whose words or actions the data of an event shows: its `author`, or else its `account`, each an id or an
-- object with an id. Null: the event shows neither, such as a deletion or a change of a channel as a whole, and is told
-- even to accounts that have blocked whoever caused it.
create or replace function events.told_of(data jsonb) returns uuid
language sql immutable
as $$
    select platform.uuid_of(coalesce(data #>> '{author,id}', data ->> 'author', data #>> '{account,id}',
        data ->> 'account'))
$$;
