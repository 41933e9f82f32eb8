-- What the vectors of posts are made from.
create or replace function social.texts(ids uuid[]) returns table (id uuid, content text)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select p.id, p.title || E'\n' || p.plain from social.post p
    where p.id = any (ids) and p.deleted_at is null and p.hidden_at is null
$$;
