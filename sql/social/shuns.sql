-- Whether an account has blocked or muted another one, and so hears nothing of it.
create or replace function social.shuns(account uuid, other uuid) returns boolean
language plpgsql stable security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (select from social.block b where b.blocker = account and b.blocked = other);
end
$$;
