-- Whether an account may follow `tag:<name>`, even if no post has the tag yet.
create or replace function social.may_read_tag(account uuid, id text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select char_length(id) between 1 and 40 and id !~ '[[:space:]:]'
        and exists (select from identity.account a where a.id = account and a.status = 'active')
$$;
