-- The accounts that a text by `author` mentions below a post: at most 50, of those that may read it.
create or replace function social.mentioned(names text[], author uuid, post uuid) returns uuid[]
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select array(
        select n from social.named(names, author) n where events.may_read(n, 'post:' || post) order by n limit 50)
$$;
