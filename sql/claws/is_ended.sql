-- Whether an account is a claw that is not to run: its program is signed out, and can't sign in.
create or replace function claws.is_ended(account uuid) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select exists (select from claws.claw c
        where c.id = is_ended.account and (c.desired in ('stopped', 'deleted') or c.status = 'failed'))
$$;
