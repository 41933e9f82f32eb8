-- Whether an account has this password.
create or replace function identity.has_password(account uuid, password bytea) returns boolean
language sql stable
as $$
    select exists (select from identity.person p where p.account_id = account and p.password = has_password.password)
$$;
