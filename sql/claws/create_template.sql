-- Makes a template of containers, and has the provisioner asked, so that the first claw is not accepted for a machine that
-- runs none.
create or replace function claws.create_template(new jsonb) returns setof claws.template
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    return query
    insert into claws.template (name, backend, image, command, cpu_millis, memory_bytes, disk_bytes, egress, volume)
    select t.name, t.backend, t.image, t.command, t.cpu_millis, t.memory_bytes, t.disk_bytes, t.egress, t.volume
    from jsonb_populate_record(null::claws.template, new) t
    returning *;
    perform jobs.enqueue('claw-provision', '{}');
end
$$;
grant execute on function claws.create_template(jsonb) to gather_claws;
