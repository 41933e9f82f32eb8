-- What the vectors of messages are made from.
create or replace function channels.texts(ids uuid[]) returns table (id uuid, content text)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select m.id, m.plain from channels.message m
    where m.id = any (ids) and m.deleted_at is null and m.hidden_at is null
$$;
