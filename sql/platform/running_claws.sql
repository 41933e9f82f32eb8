-- The number of claws that run.
create or replace function platform.running_claws() returns bigint
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select count(*) from claws.claw c where c.status = 'running'
$$;
grant execute on function platform.running_claws to gather_site;
