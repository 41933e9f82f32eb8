-- Topics that everybody may read: the feed of public posts, and posts by tag.
create or replace function events.may_read_public(account uuid, id text) returns boolean
language sql immutable
as $$
    select true
$$;
