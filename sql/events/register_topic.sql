-- Makes a kind of topic known: `reader` names a function of the owning schema that takes an account (null: nobody
-- is signed in) and the id of a topic, and says whether that account may read it.
create or replace function events.register_topic(kind text, reader text) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    insert into events.topic_kind as k (kind, reader) values ($1, $2)
    on conflict (kind) do update set reader = excluded.reader where k.reader <> excluded.reader
$$;
