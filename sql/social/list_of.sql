-- The list of `social.listed` that has the posts with a tag, or else those of an author (by id or name), or else all.
-- Null if the author does not exist.
create or replace function social.list_of(tag text, author text) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select case when tag is not null then 'tag:' || tag when author is not null then 'by:' || social.account_of(author)
        else 'all' end
$$;
grant execute on function social.list_of(text, text) to gather_social;
