-- Whether an account may change something. It can't leave, or be suspended, before the caller's statement has ended.
create or replace function social.is_active(account uuid) returns boolean
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform from identity.account a where a.id = account and a.status = 'active' for key share;
    return found;
end
$$;
