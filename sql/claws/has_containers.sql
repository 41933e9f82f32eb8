-- Whether there are, or were, claws in containers.
create or replace function claws.has_containers() returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select exists (select from claws.template) or exists (select from claws.claw c where c.instance is not null)
$$;
grant execute on function claws.has_containers() to gather_claw_provision;
