-- The topics of a post: the feed, its tags, and itself.
create or replace function social.topics_of(post uuid, tags text[]) returns text[]
language sql immutable
as $$
    select array['feed:all', 'post:' || post] || array(select distinct 'tag:' || t from unnest(tags) t)
$$;
