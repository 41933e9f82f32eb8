-- A post as an account may read it, or null.
create or replace function social.seen_post_json(viewer uuid, post uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select social.post_json(p, viewer) from social.readable_post(viewer) p where p.id = seen_post_json.post
$$;
