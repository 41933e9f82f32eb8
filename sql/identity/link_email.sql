-- The address that a link proves, which salts its password's hash. Null if the link is not valid.
create or replace function identity.link_email(link uuid, purpose text) returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select l.email from identity.link l
    where l.id = link_email.link and l.purpose = link_email.purpose and l.used_at is null and l.expires_at > now()
$$;
grant execute on function identity.link_email to gather_people;
