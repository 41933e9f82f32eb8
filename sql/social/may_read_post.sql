-- Whether an account may follow `post:<id>`: the post and its comments.
create or replace function social.may_read_post(account uuid, id text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select exists (select from social.readable_post(account) p where p.id = platform.uuid_of(may_read_post.id))
        and exists (select from identity.account a where a.id = account and a.status = 'active')
$$;
