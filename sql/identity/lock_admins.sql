-- Makes changes that could remove the last admin take turns.
create or replace function identity.lock_admins() returns void
language sql
as $$
    select pg_advisory_xact_lock(hashtext('identity.admin'))
$$;
