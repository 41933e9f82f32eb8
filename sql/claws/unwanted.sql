-- Which of these instances of the provisioner nobody wants: {id, generation} of those whose claw is gone.
create or replace function claws.unwanted(instances jsonb) returns jsonb
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select coalesce(jsonb_agg(jsonb_build_object('id', i.value -> 'id', 'generation', i.value -> 'generation')), '[]')
    from jsonb_array_elements(instances) i
    where not exists (select from claws.claw c where c.id = (i.value ->> 'id')::uuid)
$$;
grant execute on function claws.unwanted(jsonb) to gather_claw_provision;
