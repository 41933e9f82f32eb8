-- The account of the platform itself, which owns the skills that come along. Nobody signs in as it.
create or replace function identity.platform_account() returns uuid
language sql immutable
as $$
    select '00000000-0000-7000-8000-000000000000'::uuid
$$;
