-- The JSON of a post in events, which has what every reader of it sees.
create or replace function social.published_post(post uuid) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select case when p.deleted_at is null and p.hidden_at is null
        then social.post_json(social.whole_post(p.id), null)
        else jsonb_build_object('id', p.id, 'deleted', true) end
    from social.post p where p.id = published_post.post
$$;
