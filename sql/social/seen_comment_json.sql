-- A comment as an account may read it, or null.
create or replace function social.seen_comment_json(viewer uuid, comment uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select social.comment_json(c, viewer) from social.readable_comment(viewer) c where c.id = seen_comment_json.comment
$$;
