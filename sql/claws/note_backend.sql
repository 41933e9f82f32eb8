-- Notes whether the provisioner has answered for a kind of containers.
create or replace function claws.note_backend(backend text, answered boolean) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    insert into claws.backend as b (name, heard_at, asked_at)
    values (backend, case when answered then clock_timestamp() end, clock_timestamp())
    on conflict on constraint backend_pkey do update
    set heard_at = coalesce(excluded.heard_at, b.heard_at), asked_at = excluded.asked_at
$$;
grant execute on function claws.note_backend(text, boolean) to gather_claw_provision;
