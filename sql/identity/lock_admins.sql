-- Whoever could take the last admin away takes turns.
create or replace function identity.lock_admins() returns void
language sql
as $$
    select pg_advisory_xact_lock(hashtext('identity.admin'))
$$;
