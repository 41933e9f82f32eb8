-- The platform must not lose its last admin. Two admins who leave at the same moment take turns.
create or replace function identity.keep_an_admin() returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    if not identity.has_admin() then
        perform identity.refuse('last_admin');
    end if;
end
$$;
